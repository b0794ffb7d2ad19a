"""GB 39732-2020 (vehicle event data recorder system), data elements of levels A and B, trigger, lock and time zero."""

from __future__ import annotations

from typing import Any, Final

from outrider.crash.document import CrashDocument
from outrider.crash.standards import elements as e

_SOURCES: Final = (
    "clauses 4.1.1 to 4.1.3 as published; names of elements from summaries, to be checked against the tables"
)


def view(document: CrashDocument) -> dict[str, Any]:
    """Level A: what every recorder holds; level B: what it holds where the car has it."""
    recorder = e.Recorder(document)
    restraint = document.impact.airbag
    long_25 = recorder.trigger(25.0, lateral=False)
    return {
        **e.head(document, "GB 39732-2020", _SOURCES, e.RIGHT_DOWN),
        "trigger": {
            "rule": "4.1.1.1: 8 km/h within 150 ms, X or (where lateral delta-V is recorded) Y",
            "met": recorder.trigger(8.0, lateral=True),
        },
        "lock": {
            "rule": "4.1.2: an irreversible restraint has fired, or 25 km/h within 150 ms in X",
            "met": True if restraint else long_25,
            "by": "restraint" if restraint else "delta-V" if long_25 else None,
        },
        "level_a": _level_a(recorder),
        "level_b": _level_b(recorder),
    }


def _level_a(r: e.Recorder) -> list[e.Element]:
    impact, document = r.document.impact, r.document
    bound = "削波标志 clipping flag"
    return [
        r.curve("纵向 delta-V (longitudinal delta-V)", "long", 250),
        r.maximum("最大记录纵向 delta-V (maximum recorded longitudinal delta-V)", "long"),
        r.time_of_maximum("达到最大记录纵向 delta-V 时间 (time to maximum longitudinal delta-V)", "long"),
        e.known(bound, impact.lower_bound) if impact.dv_kmh is not None else e.absent(bound, e.NOT_MEASURED),
        r.history("车辆速度 (vehicle speed)", e.SPEED),
        r.history("行车制动,开启或关闭 (service brake, on or off)", e.BRAKE),
        r.at("驾驶员安全带状态 (driver's belt)", e.DRIVER_BELT, -1.0),
        r.history("加速踏板位置,全开的百分比 (accelerator pedal, percent of full)", (*e.PEDAL, *e.THROTTLE)),
        r.history("每分钟转数 (engine or motor speed)", e.RPM),
        e.absent("事件发生时上电周期 (power-on cycle at the event)", e.OF_RECORDER),
        e.absent("读取数据时上电周期 (power-on cycle at reading)", e.OF_RECORDER),
        e.known("事件数据记录完整性状态 (complete record)", not document.missing),
        e.absent(
            "本次事件距离上次事件的时间间隔 (time since the event before)", "see the other packages of this terminal"
        ),
        e.absent("车辆识别代号 (VIN)", e.NOT_BROADCAST),
        e.known("软件版本 (recorder's software)", document.versions.software),
    ]


def _level_b(r: e.Recorder) -> list[e.Element]:
    found = [
        r.curve("横向 delta-V (lateral delta-V)", "lat", 250),
        r.maximum("最大记录横向 delta-V (maximum recorded lateral delta-V)", "lat"),
        r.time_of_maximum("达到最大记录横向 delta-V 时间 (time to maximum lateral delta-V)", "lat"),
        r.maximum("最大记录合成 delta-V (maximum recorded resultant delta-V)", "resultant"),
        r.time_of_maximum("达到最大记录合成 delta-V 时间 (time to maximum resultant delta-V)", "resultant"),
        r.acceleration("纵向加速度 (longitudinal acceleration)", 0),
        r.acceleration("横向加速度 (lateral acceleration)", 1),
        r.history("横摆角速度 (yaw rate)", e.YAW),
        r.history("转向角度 (steering wheel angle)", e.STEERING),
        r.history("ABS 状态 (ABS activity)", e.ABS),
        r.history("ESC 状态 (stability control)", e.ESC),
        r.at("前排乘员安全带状态 (front passenger's belt)", e.PASSENGER_BELT, -1.0),
        r.airbag_ms("驾驶员正面气囊展开时间 (driver's frontal airbag, time to deploy)"),
    ]
    names = (
        "前排乘员正面气囊展开时间 (front passenger's frontal airbag, time to deploy)",
        "侧面气囊展开时间 (side airbags, time to deploy)",
        "侧面气帘展开时间 (side curtains, time to deploy)",
        "预紧装置展开时间 (pretensioners, time to fire)",
        "座椅位置与乘员分类 (seat position, occupant classification)",
    )
    return found + [e.absent(name, e.RESTRAINT) for name in names]
