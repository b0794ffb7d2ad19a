"""A summary in the form of the minimum set of data of GB 45672-2025 (accident emergency call system), Annex A."""

from __future__ import annotations

from typing import Any, Final

from outrider.crash.document import CrashDocument
from outrider.crash.standards import elements as e
from outrider.crash.standards.ecall_msd import msd_structure

_SOURCES: Final = (
    "public summaries of Annex A; the order and coding of its table are to be checked against the standard"
)


def view(document: CrashDocument) -> dict[str, Any]:
    """Its fields with their values; no transmission, no approval."""
    structure = msd_structure(document)
    return {
        "standard": "GB 45672-2025, Annex A (MSD)",
        "statement": (
            "In the form of the minimum set of data, for a service desk. The terminal is no approved AECS; nothing was "
            "sent to an emergency call platform."
        ),
        "names_from": _SOURCES,
        "device": document.device,
        "event_id": document.event_id,
        "elements": _elements(document, structure),
    }


def _elements(document: CrashDocument, structure: dict[str, Any]) -> list[e.Element]:
    place, time, impact = document.place, document.time, document.impact
    control = structure["control"]
    no_place = "no position was known"
    return [
        e.known("触发方式 (activation)", "automatic"),
        e.known("测试呼叫 (test call)", False),
        e.known("车辆类型 (vehicle category)", control["vehicleType"]),
        e.absent("车辆识别代号 (VIN)", e.NOT_BROADCAST),
        e.absent("动力类型 (propulsion)", e.NOT_BROADCAST),
        e.known("时间戳 (time, UTC)", time.t0_utc_us, "us")
        if time.t0_utc_us is not None
        else e.absent("时间戳 (time, UTC)", "no clock"),
        _placed("纬度 (latitude)", None if place is None else place.lat_deg, "deg WGS-84", no_place),
        _placed("经度 (longitude)", None if place is None else place.lon_deg, "deg WGS-84", no_place),
        e.known("位置可信度 (position can be trusted)", control["positionCanBeTrusted"]),
        _placed("行驶方向 (heading)", None if place is None else place.heading_deg, "deg from true north", no_place),
        e.known(
            "历史位置 (earlier places)", [structure[k] for k in sorted(structure) if k.startswith("recent")], "100 mas"
        ),
        _placed("乘员数量 (occupants, by fastened belts)", structure.get("numberOfPassengers"), "", e.NOT_BROADCAST),
        _placed("速度变化量 (delta-V)", impact.dv_kmh, "km/h", e.NOT_MEASURED),
        _placed(
            "碰撞方向 (principal direction of force)", impact.pdof_deg, "deg, 0 frontal, +90 from the left", e.NO_AXES
        ),
        _placed("碰撞前速度 (speed at the impact)", impact.v_impact_kmh, "km/h", e.NOT_BROADCAST),
        e.known("气囊展开 (airbag)", impact.airbag),
        e.known("翻滚 (rollover)", impact.rollover),
    ]


def _placed(name: str, value: float | None, unit: str, why: str) -> e.Element:
    return e.absent(name, why) if value is None else e.known(name, value, unit)
