"""One function a row of the scoring table: it runs the detector on recordings and returns numbers, per data set.

Nothing here tunes anything; ``score.py`` prints the tables, the tests hold the bars.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tests.evaluation import loaders as ld
from tests.native import motion_harness as mh

ALARMS = (mh.CRASH, mh.INFERRED, mh.ROLLOVER, mh.PARKED, mh.AIRBAG_EVENT, mh.POWER_LOST)
DRIVE_RANGE_G = 63.875 / mh.G  # of the drive's own IMU


def alarms(events: mh.Events) -> mh.Events:
    """First word (SUSPECT or CONFIRMED) of every event of the emergency lane."""
    picked = events[np.isin(events["kind"], ALARMS)]
    return picked[np.unique(picked["seq"], return_index=True)[1]]


def wilson(hits: int, n: int) -> list[float]:
    """95 % interval of a share."""
    if not n:
        return [0.0, 1.0]
    z, p = 1.96, hits / n
    mid, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return [round((mid - half) / (1 + z * z / n), 3), round((mid + half) / (1 + z * z / n), 3)]


def percentiles(values: list[float], *which: float) -> list[float | None]:
    return [round(float(np.percentile(values, q)), 2) if values else None for q in which]


# ---- A -------------------------------------------------------------------------------------------------------


def row_a() -> dict[str, Any]:
    """Crash windows found, calm windows left alone, time from T0 to the trigger."""
    found, crashes, wrong, latency = 0, 0, [], []
    windows = ld.vzcrash()
    for window in windows:
        first = alarms(mh.Detector().push(window.samples))
        is_crash = window.label == "crash"
        crashes += is_crash
        found += is_crash and len(first) > 0
        if is_crash and len(first):
            latency.append(float(first["t_detect_us"][0] - first["t0_us"][0]) / 1e3)
        if bool(len(first)) != is_crash:
            wrong.append(window.name)
    calm = len(windows) - crashes
    false = sum(name in {w.name for w in windows if w.label != "crash"} for name in wrong)
    return {
        "crashes": crashes, "found": found, "recall_95": wilson(found, crashes), "calm": calm, "false": false,
        "false_95": wilson(false, calm), "wrong": wrong, "t0_to_trigger_ms_p50_max": percentiles(latency, 50, 100),
    }  # fmt: skip


# ---- B -------------------------------------------------------------------------------------------------------


def random_direction(rng: np.random.Generator, up: ld.Array) -> tuple[ld.Array, ld.Array]:
    """A random horizontal pair of axes of the sensor: where the pulse's forward and left point."""
    v = rng.normal(size=3)
    v -= v @ up * up
    x = v / np.linalg.norm(v)
    return x, np.cross(up, x)


class Injector:
    """A recorded pulse added to the drive's IMU before a sensor of a stated range; then what the detector said."""

    def __init__(self, range_g: float, seed: int = 1) -> None:
        self.drives = [d for d in ld.canedge() if d.seconds > 100]
        self.pulses = ld.ciss()
        self.range = range_g * mh.G
        self.rng = np.random.default_rng(seed)
        self.results: list[dict[str, Any]] = []

    def run(self, pulse: ld.Pulse) -> dict[str, Any]:
        drive = self.drives[self.rng.integers(len(self.drives))]
        good = drive.imu[:, 7] > 0
        imu = drive.imu[good]
        when = self.rng.uniform(imu[0, 0] + 40, imu[-1, 0] - 20)
        part = imu[(imu[:, 0] > when - 25) & (imu[:, 0] < when + 14)]
        up = np.mean(part[:, 1:4], axis=0)
        up /= np.linalg.norm(up)
        x, y = random_direction(self.rng, up)
        sign = self.rng.choice([-1.0, 1.0])  # left and right do not differ
        dv = self.pulse_on(pulse, part[:, 0] - when)
        acc = part[:, 1:4] + dv[:, :1] * x + sign * dv[:, 1:] * y
        clipped = np.clip(acc, -self.range, self.range)
        det = mh.Detector(imu_range_g=self.range / mh.G)
        det.set_mount(up, x, 0.9, 600)
        samples = mh.imu(part[:, 0], clipped, part[:, 4:7])
        near = (part[:, 0] > when - 0.03) & (part[:, 0] < when + 0.33)
        saturated = bool((np.abs(acc[near]) >= 0.98 * self.range).any())
        return self.judge(pulse, det.push(samples), when, saturated, float(sign))

    @staticmethod
    def pulse_on(pulse: ld.Pulse, t: ld.Array) -> ld.Array:
        """Mean acceleration over each sample's own interval, so that its sum is the recorded delta-V."""
        edges = np.concatenate([[t[0] - 0.005], (t[1:] + t[:-1]) / 2, [t[-1] + 0.005]])
        v = np.stack([np.interp(edges, pulse.t, pulse.dv[:, k] / 3.6) for k in range(2)], axis=1)
        return np.asarray(np.diff(v, axis=0) / np.diff(edges)[:, None])

    def judge(self, pulse: ld.Pulse, events: mh.Events, when: float, saturated: bool, sign: float) -> dict[str, Any]:
        first = alarms(events)
        hit = first[np.abs(first["t0_us"] / 1e6 - when) < 0.5]
        result: dict[str, Any] = {"name": pulse.name, "size": pulse.size, "saturated": saturated}
        result |= {"hit": len(hit) > 0, "extra": len(first) - len(hit[:1])}
        if not len(hit):
            return result
        final = events[(events["seq"] == hit["seq"][0]) & (events["phase"] == mh.UPDATE)][0]
        k = int(np.argmax(np.linalg.norm(pulse.dv[pulse.t <= 0.3001], axis=1)))
        true_dir = math.degrees(math.atan2(-sign * pulse.dv[k, 1], -pulse.dv[k, 0]))
        error = (float(final["pdof_deg"]) - true_dir + 180) % 360 - 180
        return result | {
            "dv_error": float(final["dv_kmh"]) / pulse.size - 1,
            "pdof_error": abs(error),
            "flagged": bool(final["flags"] & mh.LOWER_BOUND),
            "trigger_ms": float(hit["t_detect_us"][0]) / 1e3 - when * 1e3,
        }


def row_b(range_g: float, runs: int, seed: int = 1) -> dict[str, Any]:
    injector = Injector(range_g, seed)
    results = [injector.run(injector.pulses[i % len(injector.pulses)]) for i in range(runs)]
    strong = [r for r in results if r["size"] >= 8]
    hits = [r for r in results if r["hit"]]
    clean = [r for r in hits if not r["saturated"] and r["size"] >= 8]
    return {
        "range_g": round(range_g, 1), "runs": runs, "recall": sum(r["hit"] for r in strong) / len(strong),
        "recall_95": wilson(sum(r["hit"] for r in strong), len(strong)), "extra": sum(r["extra"] for r in results),
        "unsaturated": len(clean), "dv_error_p50_p95": percentiles([100 * abs(r["dv_error"]) for r in clean], 50, 95),
        "pdof_error_p50_p95": percentiles([r["pdof_error"] for r in clean], 50, 95),
        "pdof_error_saturated_p95": percentiles([r["pdof_error"] for r in hits if r["saturated"]], 95),
        "flag_wrong": sum(r["flagged"] != r["saturated"] for r in hits),
        "trigger_ms_p50_p95": percentiles([r["trigger_ms"] for r in hits if r["size"] >= 8], 50, 95),
        "missed": sorted({r["name"] for r in strong if not r["hit"]}),
    }  # fmt: skip


# ---- C -------------------------------------------------------------------------------------------------------


def sensor(t: ld.Array, g: ld.Array, rate: float, range_g: float) -> ld.Array:
    """The trace as a sensor sees it: anti-alias by the mean over a period, then the end of the range [g]."""
    edges = np.arange(t[0], t[-1], 1 / rate)
    total = np.concatenate([[0], np.cumsum((g[1:] + g[:-1]) / 2 * np.diff(t))])
    return np.asarray(np.clip(np.diff(np.interp(edges, t, total)) * rate, -range_g, range_g))


def row_c(channel: str, range_g: float, rate: float) -> dict[str, Any]:
    t, g = ld.nhtsa(channel)
    pulse = sensor(t, g, rate, 1e9)
    lead = int(12 * rate)
    along = np.concatenate([np.zeros(lead), pulse, np.zeros(int(2 * rate))])
    seen = np.clip(along, -range_g, range_g)
    acc = np.stack([seen, np.zeros_like(seen), np.ones_like(seen)], axis=1) * mh.G
    det = mh.Detector(imu_range_g=range_g)
    det.set_mount([0, 0, 1], [1, 0, 0], 0.9, 600)
    events = det.push(mh.imu(np.arange(len(seen)) / rate, acc))
    first = alarms(events)
    update = events[events["phase"] == mh.UPDATE]
    curve = np.cumsum(along) / rate * mh.G * 3.6
    begin = int((float(first["t0_us"][0]) / 1e6 - 0.02) * rate) if len(first) else lead
    truth = float(np.abs(curve[: begin + int(0.32 * rate)]).max())
    return {
        "channel": channel, "range_g": range_g, "rate": rate, "alarms": len(first), "true_dv": round(truth, 1),
        "dv": round(float(update["dv_kmh"][0]), 1) if len(update) else None,
        "error": round(float(update["dv_kmh"][0]) / truth - 1, 4) if len(update) else None,
        "saturated": bool((np.abs(along[lead:]) >= 0.98 * range_g).any()),
        "flagged": bool(update["flags"][0] & mh.LOWER_BOUND) if len(update) else None,
        "pdof": round(float(update["pdof_deg"][0]), 1) if len(update) else None,
    }  # fmt: skip


# ---- D -------------------------------------------------------------------------------------------------------


def row_d_drive() -> dict[str, Any]:
    seconds, km, count = 0.0, 0.0, 0
    for drive in ld.canedge():
        det = mh.Detector(imu_range_g=DRIVE_RANGE_G)
        count += len(alarms(det.push(drive.samples())))
        seconds += drive.seconds
        km += det.vehicle().distance_m / 1e3
    return exposure(count, seconds, km)


def exposure(count: int, seconds: float, km: float | None = None) -> dict[str, Any]:
    return {
        "alarms": count, "hours": round(seconds / 3600, 2), "km": None if km is None else round(km, 1),
        "rate_95_per_h": round(3 / (seconds / 3600), 2),
    }  # fmt: skip


def row_d_obd() -> dict[str, Any]:
    seconds, km, count = 0.0, 0.0, 0
    for t, v, rpm in ld.obd_etios().values():
        speed = mh.scalar(mh.SPEED, t, v, mh.OBD, res=1 / 3.6)
        det = mh.Detector()
        every = mh.merge(speed, mh.scalar(mh.RPM, t, rpm, mh.OBD), mh.ticks(0, float(t[-1]), float(t[-1])))
        count += len(alarms(det.push(every)))
        seconds += float(t[-1])
        km += det.vehicle().distance_m / 1e3
    return exposure(count, seconds, km)


def row_d_potholes(scale: float, tilt_deg: float = 20) -> dict[str, Any]:
    """Each stretch after ten seconds of standing, its vertical motion amplified and leaking into the plane."""
    count, stretches, seconds = 0, 0, 0.0
    tilt = math.radians(tilt_deg)
    leak = np.array([math.sin(tilt), 0, math.cos(tilt)])
    for traces in ld.potholes().values():
        for z in traces:
            shake = np.concatenate([np.zeros(500), (z - z.mean()) * scale, np.zeros(50)])
            acc = np.array([0, 0, mh.G]) + shake[:, None] * leak
            count += len(alarms(mh.Detector().push(mh.imu(np.arange(len(shake)) / 50, acc))))
            stretches += 1
            seconds += len(z) / 50
    return {"stretches": stretches, "scale": scale, **exposure(count, seconds)}


def row_d_harsh() -> dict[str, Any]:
    count, seconds = 0, 0.0
    for name in ("17", "20"):
        trip = ld.harsh_trip(name)
        count += len(alarms(mh.Detector().push(trip.samples)))
        seconds += trip.seconds
    return exposure(count, seconds)
