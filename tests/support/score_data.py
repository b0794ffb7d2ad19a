"""Small recordings of every layout that ``outrider evaluate`` reads, written under names of no meaning."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from outrider.evaluate.canmod import FRAME
from outrider.evaluate.samples import Array

RATE_HZ = 100
IMPACT_S = 10.0


def half_sine(t: Array, at_s: float, peak: float, seconds: float = 0.1) -> Array:
    """A pulse of ``peak`` that begins at ``at_s``; delta-V is peak x seconds x 2 / pi."""
    since = t - at_s
    inside = (since >= 0) & (since < seconds)
    return np.where(inside, peak * np.sin(math.pi * since / seconds), 0.0)


def write_window(path: Path, label: str | None, peak_g: float) -> Path:
    """16 s at 100 Hz, a half sine of ``peak_g`` on x at 10 s, speed 50 km/h before and none after."""
    t = np.arange(16 * RATE_HZ) / RATE_HZ
    axes = {"x": -half_sine(t, IMPACT_S, peak_g), "y": np.zeros_like(t), "z": np.ones_like(t)}
    channels = {f"accel_{k}": {"unit": "g", "sr_hz": RATE_HZ, "v": v.round(4).tolist()} for k, v in axes.items()}
    channels |= {f"gyro_{k}": {"unit": "deg/s", "sr_hz": RATE_HZ, "v": [0.0] * len(t)} for k in "xyz"}
    speed = [50.0 if second <= IMPACT_S or peak_g < 3 else 0.0 for second in range(16)]
    channels["gps_speed"] = {"unit": "km/h", "sr_hz": 1, "v": speed}
    document: dict[str, object] = {"event_id": path.stem, "channels": channels}
    if label is not None:
        document["label"] = label
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def write_pulse(path: Path, size_kmh: float = 30.0) -> Path:
    """A frontal pulse of 120 ms with a little from the left; one value unknown."""
    t = np.arange(0, 0.26, 0.01)
    along = -size_kmh * np.clip(t / 0.12, 0, 1)
    across = 0.2 * size_kmh * np.clip(t / 0.12, 0, 1)
    values = [None, *along.tolist()[1:]]
    channels = {
        "speed": {"t": [-1.0, 0.0], "v": [60.0, 58.0]},
        "delta_v_long": {"t": t.tolist(), "v": values, "unit": "km/h"},
        "delta_v_lat": {"t": t.tolist(), "v": across.tolist(), "unit": "km/h"},
    }
    path.write_text(json.dumps({"channels": channels}).replace("null", "NaN"), encoding="utf-8")
    return path


def write_crash_test(path: Path, peak_g: float = -40.0) -> Path:
    """10 kHz, a half sine of 100 ms."""
    t = np.arange(-0.05, 0.3, 1e-4)
    np.savetxt(path, np.column_stack([t, half_sine(t, 0.0, peak_g)]), fmt="%.6f", delimiter="\t")
    return path


def write_stretch(path: Path, seconds: float = 4.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    t = np.arange(int(seconds * 50)) / 50
    path.write_text("acc_z\n" + "\n".join(f"{v:.3f}" for v in 9.8 + 2 * np.sin(40 * t)) + "\n", encoding="ascii")
    return path


def write_trip(
    folder: Path,
    brakes: Mapping[float, float] = MappingProxyType({20.0: 0.5, 40.0: 0.5}),
    noted: tuple[float, ...] = (20.0,),
) -> Path:
    """60 s of a phone at 50 Hz: brakes of 2 s (when: how many g), of which the notes hold those ``noted``; a calm
    stretch."""
    folder.mkdir(parents=True, exist_ok=True)
    t = np.arange(60 * 50) / 50
    along = sum((np.where((t >= at) & (t < at + 2), -g * 9.81, 0.0) for at, g in brakes.items()), np.zeros_like(t))
    acc = np.column_stack([np.zeros_like(t), along, np.full_like(t, 9.81)])
    for name, values in (("acelerometro_terra.csv", acc), ("giroscopio_terra.csv", np.zeros_like(acc))):
        rows = [
            f"01/01/2020 00:00:00,{int(1e9 + at * 1e9)},{x},{y},{z}" for at, (x, y, z) in zip(t, values, strict=True)
        ]
        (folder / name).write_text("timestamp,uptimeNanos,x,y,z\n" + "\n".join(rows) + "\n", encoding="ascii")
    truth = [f"freada_agressiva,{at},{at + 2}" for at in noted] + ["evento_nao_agressivo,5,8"]
    (folder / "groundTruth.csv").write_text("evento, inicio, fim\n" + "\n".join(truth) + "\n", encoding="ascii")
    return folder


def write_obd_log(path: Path, seconds: int = 200, kmh: float = 80.0) -> Path:
    """Two rows a second at a steady speed."""
    head = "ENGINE_RUN_TINE (),ENGINE_RPM (),VEHICLE_SPEED (),THROTTLE ()\n"
    rows = [f"{i // 2}, 2000.0, {kmh + (i % 8) / 8:.1f}, 17.6," for i in range(2 * seconds)]
    path.write_text(head + "\n".join(rows) + "\n", encoding="ascii")
    return path


def write_drive(path: Path) -> Path:
    """A file that is told to be an MDF4 log; ``canmod_frames`` is what a reader finds in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"MDF     4.11    ")
    return path


def canmod_frames(seconds: float = 200.0, seed: int = 1) -> bytes:
    """Frames of a CANmod.gps and of OBD over a drive that speeds up, brakes and turns gently, x forward and z up."""
    t = np.arange(0, seconds, 0.01)
    rng = np.random.default_rng(seed)
    slow = 2 * math.pi / 40
    speed = 15 + 5 * np.sin(slow * t)
    along = 5 * slow * np.cos(slow * t)
    yaw = 0.08 * np.sin(2 * math.pi / 55 * t)
    acc = np.column_stack([along, speed * yaw, np.full_like(t, 9.81)]) + rng.normal(0, 0.1, (len(t), 3))
    imu = _pack(t, 9, [(1.0, 0, 1, 1, 0)] + [(acc[:, k], 1 + 10 * k, 10, 0.125, -64) for k in range(3)]
                + [(np.degrees(yaw) if k == 2 else 0.0, 31 + 11 * k, 11, 0.25, -256) for k in range(3)])  # fmt: skip
    at = t[::10]
    gnss = _pack(at, 7, [(1.0, 0, 1, 1, 0), (speed[::10], 1, 20, 0.001, 0)])
    heading = np.degrees(-np.cumsum(yaw) * 0.01)[::10] % 360
    attitude = _pack(at, 5, [(1.0, 0, 1, 1, 0), (heading, 43, 12, 0.1, 0)])
    obd = np.zeros(len(at) // 5, dtype=FRAME)
    obd["t_us"], obd["id"], obd["len"] = np.round(at[::5][: len(obd)] * 1e6), 0x7E8, 8
    obd["data"][:, :4] = [[3, 0x41, 0x0D, int(v * 3.6)] for v in speed[::50][: len(obd)]]
    frames = np.concatenate([imu, gnss, attitude, obd])
    return frames[np.argsort(frames["t_us"], kind="stable")].tobytes()


def _pack(t: Array, number: int, fields: list[tuple[Array | float, int, int, float, float]]) -> np.ndarray:  # type: ignore[type-arg]  # a structured array
    out = np.zeros(len(t), dtype=FRAME)
    raw = np.zeros(len(t), dtype=np.uint64)
    for value, start, bits, step, offset in fields:
        steps = np.clip(np.round((np.broadcast_to(value, len(t)) - offset) / step), 0, (1 << bits) - 1)
        raw |= steps.astype(np.uint64) << np.uint64(start)
    out["t_us"], out["id"], out["len"] = np.round(t * 1e6), number, 8
    out["data"][:, :8] = raw.astype("<u8").view(np.uint8).reshape(-1, 8)
    return out


def write_all(folder: Path) -> Path:
    """One folder with some of each layout, deep and under odd names, and things that belong to no row."""
    deep = folder / "some set" / "deeper"
    deep.mkdir(parents=True)
    write_window(deep / "one.json", "crash", 20.0)
    write_window(deep / "two.json", "near_miss", 0.6)
    write_pulse(deep / "three.json")
    write_crash_test(folder / "v00001.001")
    write_crash_test(folder / "v00001.002", peak_g=-2.0)
    write_stretch(deep / "gravel" / "a.csv")
    write_trip(folder / "first trip")
    write_trip(folder / "second trip", noted=(20.0, 40.0))
    write_obd_log(deep / "log.csv")
    for name in ("x", "y"):
        write_drive(folder / "car" / f"{name}.MF4")
    (folder / "README.md").write_text("# not a recording\n", encoding="ascii")
    (deep / "other.csv").write_text("a,b\n1,2\n", encoding="ascii")
    (deep / "other.json").write_text('{"channels": {}}', encoding="ascii")
    return folder
