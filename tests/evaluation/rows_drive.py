"""Rows E to G of the scoring table: harsh driving, the mounting, and the rules that need no IMU."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np

from tests.evaluation import loaders as ld
from tests.evaluation.rows import ALARMS, DRIVE_RANGE_G, wilson
from tests.native import motion_harness as mh

# ---- E -------------------------------------------------------------------------------------------------------

CLASSES = {"freada": "brake", "aceleracao": "accel", "curva": "corner", "troca": "lane"}
KINDS = {mh.HARSH_BRAKE: "brake", mh.HARSH_ACCEL: "accel", mh.HARSH_CORNER: "corner", mh.LANE_CHANGE: "lane"}


def overlaps(event: Any, begin: float, end: float, slack: float = 0.5) -> bool:
    return bool(event["t0_us"] / 1e6 <= end + slack and event["t_end_us"] / 1e6 >= begin - slack)


def row_e(name: str) -> dict[str, Any]:
    """Event against none, and the class where it was found. A trip tunes nothing here: thresholds are the defaults."""
    trip = ld.harsh_trip(name)
    events = mh.Detector().push(trip.samples)
    ends = events[(events["phase"] == mh.END) & np.isin(events["kind"], list(KINDS))]
    begins = {int(e["seq"]): float(e["t_detect_us"]) / 1e6 for e in events if e["phase"] == mh.BEGIN}
    truth = [(CLASSES.get(n.split("_")[0], "calm"), b, e) for n, b, e in trip.truth]
    real = [t for t in truth if t[0] != "calm"]
    hits = [[e for e in ends if overlaps(e, b, end)] for _, b, end in real]
    matched = {int(e["seq"]) for found in hits for e in found}
    false = sum(int(e["seq"]) not in matched for e in ends)
    found = sum(bool(h) for h in hits)
    by_class: dict[str, list[int]] = {}
    for (kind, _, _), h in zip(real, hits, strict=True):
        row = by_class.setdefault(kind, [0, 0, 0])
        row[0] += 1
        row[1] += bool(h)
        row[2] += any(KINDS[int(e["kind"])] == kind for e in h)
    precision, recall = found / max(found + false, 1), found / len(real)
    delay = [begins[int(h[0]["seq"])] - b for (_, b, _), h in zip(real, hits, strict=True) if h]
    return {
        "trip": name, "manoeuvres": len(real), "found": found, "false": false, "precision": round(precision, 2),
        "recall": round(recall, 2), "recall_95": wilson(found, len(real)),
        "f1": round(2 * precision * recall / max(precision + recall, 1e-9), 2),
        "class_n_found_named": by_class, "latency_s_p50": round(float(np.median(delay)), 2),
    }  # fmt: skip


# ---- F -------------------------------------------------------------------------------------------------------


def angle_deg(a: Any, b: Any) -> float:
    x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    return math.degrees(math.acos(min(1.0, float(x @ y / np.linalg.norm(x) / np.linalg.norm(y)))))


def row_f() -> dict[str, Any]:
    """Angle of the claimed forward direction to the answer of all logs together; never claimed when far off."""
    drives = ld.canedge()
    joined, offset = [], 0
    for drive in drives:
        part = drive.samples()
        part["t_us"] += offset
        offset = int(part["t_us"][-1]) + 5_000_000
        joined.append(part)
    whole = mh.Detector(imu_range_g=DRIVE_RANGE_G)
    whole.push(np.concatenate(joined))
    answer = list(whole.mount().fwd)
    at_300, worst, first = {}, 0.0, {}
    for drive in drives:
        course = mh.Detector(imu_range_g=DRIVE_RANGE_G).trace(drive.samples(), 500)
        claims = [(s["t_us"] / 1e6, angle_deg(s["fwd"], answer)) for s in course if s["mount"] == 2]
        if claims:
            first[drive.name] = round(claims[0][0])
            worst = max(worst, *(a for _, a in claims))
        late = [a for t, a in claims if t >= 300]
        if late:
            at_300[drive.name] = round(late[0], 1)
    return {"answer": [round(x, 3) for x in answer], "deg_at_300_s": at_300, "worst_claim_deg": round(worst, 1),
            "first_claim_s": first}  # fmt: skip


# ---- G -------------------------------------------------------------------------------------------------------


def final_kinds(events: mh.Events) -> list[int]:
    """What each incident turned out to be: the kind of its last phase. Alarms withdrawn without a new name are out."""
    rows = events[events["kind"] < mh.HARSH_BRAKE]
    out = []
    for seq in np.unique(rows["seq"]):
        last = rows[rows["seq"] == seq][-1]
        withdrawn = last["phase"] == mh.CANCELLED and last["kind"] in ALARMS
        out += [] if withdrawn else [int(last["kind"])]
    return out


def cut(log: tuple[ld.Array, ld.Array, ld.Array], at: float, how: str, gps: str) -> mh.Samples:
    """The last half minute before ``at`` and 20 s after it, changed at ``at``: ``how`` held, zero, sna, silent or both;
    ``gps`` none, stops or goes on."""
    t, v, rpm = log
    near = (t > at - 30) & (t < at + 20)
    t, v, rpm = t[near] - at + 30, v[near], rpm[near]
    after = t > 30
    alive = ~after if how == "silent" else np.ones_like(after)
    if how == "both":
        alive = t < 30 + 0.6
    speed = np.where(after & (how == "held"), v[~after][-1], np.where(after & (how in ("zero", "both")), 0.0, v))
    obd = mh.scalar(mh.SPEED, t[alive], speed[alive], mh.OBD, res=1 / 3.6)
    if how == "sna":
        obd["q"][t[alive] > 30] = mh.VALID | mh.SNA
    parts = [obd, mh.scalar(mh.RPM, t[alive], rpm[alive], mh.OBD)]
    if gps != "none":
        tg = np.arange(0, 50, 1.0) + 0.3
        vg = np.interp(tg, t, v)
        parts.append(mh.gnss(tg, np.where((tg > 30) & (gps == "stops"), 0.0, vg)))
    until = {"silent": 30.0, "both": 30.6}.get(how, 50.0)
    return mh.merge(*parts, mh.ticks(0, 50, until))


EXPECTED: dict[tuple[str, str], set[int]] = {
    ("silent", "none"): {mh.POWER_LOST},
    ("silent", "stops"): {mh.INFERRED},
    ("silent", "goes on"): {mh.BUS_LOST},
    ("both", "none"): {mh.POWER_LOST},
    ("both", "stops"): {mh.INFERRED},
    ("both", "goes on"): {mh.BUS_LOST, mh.SENSOR_LOST},
    ("zero", "goes on"): {mh.SENSOR_LOST},
    ("sna", "goes on"): {mh.SENSOR_LOST},
    ("sna", "none"): {mh.SENSOR_LOST},
    ("held", "none"): set(),
    ("held", "goes on"): set(),
}


def cut_points(log: tuple[ld.Array, ld.Array, ld.Array], n: int) -> list[float]:
    """Times at 45 km/h and more with half a minute before and after, evenly picked."""
    t, v, _ = log
    steady = np.flatnonzero((v * 3.6 >= 45) & (t > 40) & (t < t[-1] - 40))
    return [float(t[i]) for i in steady[np.linspace(0, len(steady) - 1, n).astype(int)]] if len(steady) else []


def row_g(n: int = 6) -> dict[str, Any]:
    logs = dict(ld.obd_etios())
    for drive in ld.canedge():
        t = drive.obd_speed[:, 0]
        logs[drive.name] = (t, drive.obd_speed[:, 1], np.interp(t, drive.rpm[:, 0], drive.rpm[:, 1]))
    confusion: dict[str, Counter[str]] = {}
    right = total = 0
    for log in logs.values():
        for at in cut_points(log, n):
            for (how, gps), expected in EXPECTED.items():
                kinds = set(final_kinds(mh.Detector().push(cut(log, at, how, gps))))
                good = kinds == expected or (bool(kinds) and kinds <= expected)
                right += good
                total += 1
                confusion.setdefault(f"{how}, gps {gps}", Counter())[",".join(map(str, sorted(kinds))) or "-"] += 1
    return {"cuts": total, "right": right, "share": round(right / max(total, 1), 3), "kinds": confusion}
