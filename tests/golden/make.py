"""Writes golden vectors: payloads of today, to be read for ever. ``PYTHONPATH=daemon python tests/golden/make.py``

A file that exists is never touched: terminals in the field keep sending what they sent, so every payload ever written
here must decode to the same content with every later version. To add a case, add it below under a new name.

Each file: ``what`` it shows, ``type`` (batch, ack, birth, body, beacon), ``payload`` as hex, what it decodes to.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from outrider.model.beacon import Beacon
from outrider.model.crash import Cover, CrashStage, CrashState, MountState, SlotName
from outrider.model.event import CrashEvidence, DataQuality, Event, EventFlag, EventKind, Phase, Trip, TripEndReason
from outrider.model.evidence import EvidenceChunk, EvidencePart, Packing
from outrider.model.notice import Notice, NoticeCode, NoticeLevel
from outrider.model.record import (
    BootInfo,
    Category,
    ClockFix,
    ClockSource,
    Gap,
    GapReason,
    Kind,
    Lane,
    Record,
    SignalSpec,
    SignalTable,
    StoredRecord,
    TelemetryRow,
)
from outrider.wire.ack import Ack, LanePosition, sign_ack
from outrider.wire.beacon import encode_beacon
from outrider.wire.birth import Birth, encode_birth
from outrider.wire.bodies import encode_body, kind_of, table_id
from outrider.wire.codec import encode_batch
from outrider.wire.describe import describe

FOLDER = Path(__file__).parent
EPOCH = 0x8F00D1CE5EEDBA11
DEVICE = "veh-000123"
KEY = bytes(range(32))

TABLE = SignalTable(
    (
        SignalSpec(0, "Vehicle.Speed", "km/h", 0.1, 0.0, Category.DRIVING),
        SignalSpec(1, "Vehicle.Powertrain.CombustionEngine.Speed", "rpm", 0.25, 0.0, Category.VEHICLE),
        SignalSpec(3, "Vehicle.CurrentLocation.Latitude", "degrees", 1e-07, 0.0, Category.LOCATION),
        SignalSpec(4, "Vehicle.CurrentLocation.Longitude", "degrees", 1e-07, 0.0, Category.LOCATION),
        SignalSpec(
            7, "Vehicle.Powertrain.Transmission.CurrentGear", "", 1.0, -1.0, labels=((0, "reverse"), (1, "neutral"))
        ),
        SignalSpec(300, "Vehicle.Exterior.AirTemperature", "celsius", 0.5, -40.0),
    )
)


def wave(i: int, period: int, size: int) -> int:
    """A triangle with a little fixed noise: integers only, the same everywhere."""
    at = i % period
    return size * min(at, period - at) // period + (i * 7919 % 13) - 6


def telemetry(i: int, seq: int, boot: int = 0xB0071D00, **more: int) -> StoredRecord:
    speed = 500 + wave(i, 40, 600)
    values = {
        0: speed,
        1: speed * 11 + wave(i, 7, 20),
        3: 313439187 + 90 * i * i,
        4: -1215065098 - 700 * i,
        7: 3 + i // 25,
    }
    if i % 9 == 0:
        values[300] = 120 + i // 30
    values |= {int(k[1:]): v for k, v in more.items()}
    body = encode_body(TelemetryRow(table_id(TABLE), tuple(sorted(values.items()))))
    t_us = 86_400_000_000 + 1_000_000 * i + 1000 * (i * 31 % 9)
    return StoredRecord(EPOCH, seq, Record(Lane.TELEMETRY, Kind.TELEMETRY, Category.LOCATION, boot, t_us, body))


def stored(seq: int, lane: Lane, obj: object, t_us: int, category: Category = Category.SYSTEM) -> StoredRecord:
    return StoredRecord(EPOCH, seq, Record(lane, kind_of(obj), category, 0xB0071D00, t_us, encode_body(obj)))


EVENT = Event(
    seq=4,
    kind=EventKind.CRASH,
    phase=Phase.CONFIRMED,
    level=3,
    flags=EventFlag.ALIGNED | EventFlag.POSITION | EventFlag.STANDSTILL,
    src_mask=0x4A,
    rule=21,
    t0_us=86_512_345_678,
    t_detect_us=86_512_395_678,
    t_end_us=86_516_000_000,
    lat_deg=31.3439187,
    lon_deg=-121.5065098,
    hacc_m=1.75,
    heading_deg=93.5,
    clock=12,
    impact_no=1,
    conf=0.9375,
    dv_kmh=58.25,
    dv_long_kmh=-58.0,
    dv_lat_kmh=5.5,
    dv_time_ms=92.0,
    peak_g=38.5,
    peak_vert_g=6.25,
    mean_g=18.0,
    asi=None,
    pdof_deg=5.25,
    dur_ms=110.0,
    v_pre_kmh=62.0,
    v_post_kmh=0.0,
    limit=8.0,
)
TRIP = Trip(
    trip_no=12,
    t_start_us=86_400_000_000,
    t_end_us=86_516_000_000,
    start_lat_deg=31.25,
    start_lon_deg=-121.5,
    end_lat_deg=31.3439187,
    end_lon_deg=-121.5065098,
    distance_m=7345.5,
    odometer_start_m=170_965_200.0,
    odometer_end_m=170_972_500.0,
    moving_s=655.5,
    idle_s=64.5,
    max_speed_mps=19.75,
    speed_src=1,
    harsh_brakes=2,
    harsh_accels=0,
    harsh_corners=1,
    lane_changes=3,
    end_reason=TripEndReason.IGNITION_OFF,
)
BODIES: dict[str, object] = {
    "boot": BootInfo("0.1.0", "det-1", "generic-obd2", "power on"),
    "signal_table": TABLE,
    "clock": ClockFix(1_790_000_000_123_456, 25_000, ClockSource.GNSS),
    "telemetry": TelemetryRow(table_id(TABLE), ((0, 623), (3, -313439187), (300, 0))),
    "event": EVENT,
    "trip": TRIP,
    "gap": Gap(EPOCH, 100, 250, GapReason.QUOTA),
    "evidence": EvidenceChunk(4, EvidencePart.IMU, 1, 3, 86_482_000_000, 86_527_000_000, bytes(range(48))),
}

ADDED: dict[str, object] = {  # fields that came later, each in a case of its own: what is above stays as it was
    "event-impact": replace(EVENT, v_impact_kmh=41.5),
    "event-quality": replace(
        EVENT,
        dv_lo_kmh=55.5,
        dv_hi_kmh=61.25,
        quality=DataQuality.GAP | DataQuality.SPEED_LATE,
        evidence=CrashEvidence.DV8 | CrashEvidence.DV25 | CrashEvidence.COLLAPSE,
    ),
    "evidence-slice": EvidenceChunk(
        4, EvidencePart.FIXES, 0, 1, 86_482_000_000, 86_511_000_000, bytes(range(56)), 2, Packing.PLAIN
    ),
    "crash": CrashState(
        event_seq=4,
        stage=CrashStage.PULSE,
        t0_us=86_512_345_678,
        t_trigger_us=86_512_395_678,
        software="0.2.0",
        algorithm="motion-2",
        profile_id="generic-obd2",
        tables_hash=0xF00D_CAFE_0000_0001,
        thresholds=(("dv150_kmh", 6.5), ("dv300_kmh", 10.0)),
        imu_range_g=16.0,
        imu_rate_hz=104.25,
        imu_src=6,
        mount=MountState((0.0, 0.0, 1.0), (0.5, -0.5, 0.0), 0.875, 1234.5),
        vehicle_class=1,
        holdup_ms=1500,
        pulse_long_kmh=(0.0, -1.5, -7.25),
        pulse_lat_kmh=(0.0, 0.25, 0.5),
        slots=(SlotName(0, "Vehicle.Speed", "km/h"), SlotName(12, "Vehicle.Chassis.Brake.PedalPosition", "percent")),
        covers=(Cover(EvidencePart.IMU, 86_482_400_000, 86_512_395_678, 144_000),),
    ),
    "notice": Notice(
        NoticeCode.UPLOAD_STALLED, NoticeLevel.WARNING, (("why", "no network"), ("backlog_records", "86400"))
    ),
    "gap-thinned": Gap(EPOCH, 101, 109, GapReason.THINNED),
}


BEACONS: dict[str, Beacon] = {
    "beacon": Beacon(
        boot_id=0xB0071D00,
        t_us=86_512_345_000,
        utc_us=1_790_000_000_123_000,
        lat_deg=31.3439187,
        lon_deg=-121.5065098,
        hacc_m=1.8,
        speed_mps=34.17,
        heading_deg=93.5,
        signal_dbm=-87,
        decel_mps2=-0.42,
        interval_s=5,
    ),
    "beacon-last": Beacon(0xB0071D00, 86_520_000_000, None, None, None, None, 12.5, None, None, None, 0),
}


def batches() -> dict[str, list[StoredRecord]]:
    ledger = [stored(i + 1, Lane.EVENT, obj, 86_400_000_000 + i) for i, obj in enumerate(BODIES.values()) if i != 3]
    ledger = [StoredRecord(EPOCH, i + 1, r.record) for i, r in enumerate(ledger)]
    mixed = [telemetry(i, 1001 + i) for i in range(10)]
    mixed.append(stored(1011, Lane.TELEMETRY, BODIES["gap"], 86_410_000_000))
    mixed.append(stored(1012, Lane.TELEMETRY, BODIES["clock"], 86_410_500_000))
    mixed += [telemetry(i, 1003 + i, boot=0xB0071D01, s5=(1 << 62) * (-1) ** i) for i in range(10, 20)]
    thinned = []
    for i in range(0, 120, 10):
        thinned.append(telemetry(i, 2001 + i))
        gap = Gap(EPOCH, 2002 + i, 2010 + i, GapReason.THINNED)
        thinned.append(stored(2010 + i, Lane.TELEMETRY, gap, telemetry(i + 9, 1).record.t_us))
    return {
        "telemetry-thinned": thinned,
        "telemetry-1": [telemetry(0, 1)],
        "telemetry-60": [telemetry(i, 1 + i) for i in range(60)],
        "telemetry-300": [telemetry(i, 61 + i) for i in range(300)],
        "telemetry-mixed": mixed,
        "event-crash": [stored(1, Lane.EMERGENCY, EVENT, 86_512_395_678, Category.EMERGENCY)],
        "event-all-kinds": ledger,
    }


def cases() -> dict[str, dict[str, Any]]:
    out: dict[str, dict[str, Any]] = {}
    for name, records in batches().items():
        out[f"batch-{name}"] = {
            "what": f"{len(records)} record(s) of lane {records[0].record.lane.name.lower()}",
            "type": "batch",
            "payload": encode_batch(DEVICE, records).hex(),
            "device": DEVICE,
            "canonical": [r.canonical().hex() for r in records],
        }
    backlog = [telemetry(i, 500 + i) for i in range(3)]
    out["batch-telemetry-behind"] = {
        "what": "3 records of lane telemetry; the terminal still holds the 99 before them",
        "type": "batch",
        "payload": encode_batch(DEVICE, backlog, behind=99).hex(),
        "device": DEVICE,
        "behind": 99,
        "canonical": [r.canonical().hex() for r in backlog],
    }
    for name, obj in (BODIES | ADDED).items():
        body = encode_body(obj)
        out[f"body-{name}"] = {
            "what": f"body of a {name} record",
            "type": "body",
            "kind": int(kind_of(obj)),
            "payload": body.hex(),
            "described": describe(kind_of(obj), body),
        }
    for name, beacon in BEACONS.items():
        what = "the last beacon, all unknown that can be" if beacon.is_last else "a beacon at 123 km/h"
        out[name] = {"what": what, "type": "beacon", "payload": encode_beacon(beacon).hex(), "fields": asdict(beacon)}
    ack = Ack(DEVICE, 42, (LanePosition(EPOCH, Lane.EMERGENCY, 1), LanePosition(EPOCH, Lane.TELEMETRY, 1022)))
    out["ack"] = {
        "what": "signed acknowledgement of two lanes",
        "type": "ack",
        "payload": sign_ack(ack, KEY).hex(),
        "key": KEY.hex(),
        "device": DEVICE,
        "counter": 42,
        "positions": [[f"{p.epoch:016x}", int(p.lane), p.up_to_seq] for p in ack.positions],
    }
    for name, online in (("birth", True), ("will", False)):
        birth = Birth(DEVICE, 0x1122334455667788, "0.1.0", TABLE, online, 0xB0071D00, EPOCH)
        out[name] = {
            "what": f"status document with a signal table, online {online}",
            "type": "birth",
            "payload": encode_birth(birth).hex(),
            "device": DEVICE,
            "session_id": f"{birth.session_id:016x}",
            "software": birth.software,
            "online": online,
            "boot_id": birth.boot_id,
            "epoch": f"{EPOCH:016x}",
            "table_id": f"{table_id(TABLE):08x}",
        }
    return out


def main() -> int:
    for name, case in cases().items():
        path = FOLDER / f"{name}.json"
        if path.exists():
            print(f"{path.name}: kept")
            continue
        path.write_text(json.dumps(case, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"{path.name}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
