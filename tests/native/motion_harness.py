"""The detector as a Python object for tests: native/src/motion_*.c compiled into a temporary shared object.

Owns the build (plain, or with sanitizers, or for another CPU) and the numpy layouts of the C structs; the declarations
are read from the headers themselves. Independent of the extension, so that the detector can be tested alone.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import cffi
import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).parents[2]
NATIVE = ROOT / "native"
SOURCES = sorted((NATIVE / "src").glob("motion_*.c"))
HEADERS = [NATIVE / "include/outrider/types.h", NATIVE / "include/outrider/motion.h"]
FLAGS = ["-std=c11", "-O2", "-ffp-contract=off", f"-I{NATIVE / 'include'}", f"-I{NATIVE / 'src'}"]

G = 9.80665
VALID, SATURATED, SNA, STALE = 1, 2, 4, 8
IMU, SPEED, WHEELS, YAW, BRAKE, AIRBAG, GNSS, BUS, POWER, RPM, TICK = range(1, 12)
CAN, OBD, GNSS_SERIAL, GNSS_CAN, IMU_CAN, IMU_IIO = range(1, 7)
FIX_POS, FIX_SPEED, FIX_HEADING, FIX_FIRST = 1, 2, 4, 0x20
CRASH, INFERRED, ROLLOVER, PARKED, MOVED, AIRBAG_EVENT, BUS_LOST, POWER_LOST, SENSOR_LOST, LOCKUP = range(1, 11)
HARSH_BRAKE, HARSH_ACCEL, HARSH_CORNER, LANE_CHANGE, WHEEL_SPIN = range(20, 25)
BEGIN, END, SUSPECT, UPDATE, CONFIRMED, CANCELLED, CLOSED = range(1, 8)
LOWER_BOUND, ALIGNED, CFC60, F_ROLLOVER, MULTI, STANDSTILL, F_AIRBAG = 1, 2, 4, 8, 16, 0x80, 0x100

SAMPLE = np.dtype([("t_us", "<i8"), ("kind", "u1"), ("src", "u1"), ("q", "<u2"), ("res", "<f4"), ("x", "<f4", 8)])
EVENT = np.dtype(
    [("t0_us", "<i8"), ("t_detect_us", "<i8"), ("t_end_us", "<i8"), ("lat_deg", "<f8"), ("lon_deg", "<f8"),
     ("hacc_m", "<f4"), ("heading_deg", "<f4"), ("seq", "<u4"), ("kind", "<u2"), ("phase", "u1"), ("level", "u1"),
     ("flags", "<u2"), ("src_mask", "<u2"), ("clock", "u1"), ("impact_no", "u1"), ("rule", "<u2"), ("conf", "<f4"),
     ("dv_kmh", "<f4"), ("dv_long_kmh", "<f4"), ("dv_lat_kmh", "<f4"), ("dv_time_ms", "<f4"), ("peak_g", "<f4"),
     ("peak_vert_g", "<f4"), ("mean_g", "<f4"), ("asi", "<f4"), ("pdof_deg", "<f4"), ("dur_ms", "<f4"),
     ("v_pre_kmh", "<f4"), ("v_post_kmh", "<f4"), ("limit", "<f4"), ("v_impact_kmh", "<f4"), ("dv_lo_kmh", "<f4"),
     ("dv_hi_kmh", "<f4"), ("quality", "<u4"), ("evidence", "<u4"), ("rsv", "<u4")]
)  # fmt: skip  # one row of the C struct a line is the readable form
Samples = npt.NDArray[Any]
Events = npt.NDArray[Any]


def declarations() -> str:
    """What cffi needs of the two headers: no comments, no preprocessor, no assertions."""
    text = "".join(path.read_text(encoding="utf-8") for path in HEADERS)
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    text = re.sub(r"static_assert\([^;]*;", "", text)
    text = text.replace("OTR_EW_TERMS", re.search(r"#define OTR_EW_TERMS (\d+)", text)[1])  # type: ignore[index]
    text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    return text + (
        "int motion_driver_run(otr_motion *m, const otr_sample *s, long n, otr_event *out, int max);"
        "void motion_driver_trace(otr_motion *m, const otr_sample *s, long n, long every,"
        " otr_vehicle *ret, otr_mount *mounts);"
    )


def compiler() -> str:
    found = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    if not found:
        raise RuntimeError("a C compiler is needed: apt-get install gcc")
    return found


def build(*extra: str, out: str = "libmotion.so", cc: str | None = None, sources: Iterable[Path] = ()) -> Path:
    """Compile the detector; rebuilt when a source, a header or a flag changed. Returns the file."""
    inputs = [*SOURCES, *sources]
    command = [cc or compiler(), *FLAGS, *extra, *map(str, inputs), "-lm"]
    digest = hashlib.sha256(repr(command).encode())
    for path in [*inputs, *sorted((NATIVE / "src").glob("motion_*.h")), *HEADERS]:
        digest.update(path.read_bytes())
    folder = Path(tempfile.gettempdir()) / f"outrider-motion-{os.getuid()}"
    folder.mkdir(exist_ok=True, mode=0o700)
    target = folder / f"{digest.hexdigest()[:16]}-{out}"
    if not target.exists():
        partial = target.with_suffix(f".{os.getpid()}")
        subprocess.run([*command, "-o", str(partial)], check=True)
        partial.rename(target)
    return target


@cache
def library(*flags: str) -> tuple[Any, Any]:
    ffi = cffi.FFI()
    ffi.cdef(declarations())
    driver = Path(__file__).parent / "motion_driver.c"
    lib = ffi.dlopen(str(build("-shared", "-fPIC", *flags, sources=[driver])))
    assert ffi.sizeof("otr_sample") == SAMPLE.itemsize
    assert ffi.sizeof("otr_event") == EVENT.itemsize
    return ffi, lib


class Detector:
    """One detector. ``Detector(imu_range_g=8.0)``: any field of otr_motion_config by name.

    flags: for the compiler, to build a detector of another kind.
    """

    def __init__(self, *flags: str, **config: float) -> None:
        self.ffi, self.lib = library(*flags)
        cfg = self.ffi.new("otr_motion_config *")
        self.lib.otr_motion_config_default(cfg)
        for name, value in config.items():
            setattr(cfg, name, value)
        size = self.lib.otr_motion_size()
        self._raw = self.ffi.new("char[]", size + 16)
        base = int(self.ffi.cast("uintptr_t", self._raw))
        ret = self.ffi.new("otr_motion **")
        code = self.lib.otr_motion_init(self._raw + (-base % 16), size, cfg, ret)
        if code:
            raise ValueError(f"otr_motion_init: {code}")
        self.state = ret[0]

    def push(self, samples: Samples, capacity: int = 20000) -> Events:
        samples = np.ascontiguousarray(samples, dtype=SAMPLE)
        out = np.zeros(capacity, dtype=EVENT)
        n = self.lib.motion_driver_run(
            self.state,
            self.ffi.cast("otr_sample *", self.ffi.from_buffer(samples)),
            len(samples),
            self.ffi.cast("otr_event *", self.ffi.from_buffer(out)),
            capacity,
        )
        assert n >= 0, n
        return out[:n]

    def trace(self, samples: Samples, every: int) -> list[dict[str, Any]]:
        """The vehicle state and the mounting after each ``every``-th sample."""
        samples = np.ascontiguousarray(samples, dtype=SAMPLE)
        n = len(samples) // every
        vehicles, mounts = self.ffi.new("otr_vehicle[]", max(n, 1)), self.ffi.new("otr_mount[]", max(n, 1))
        source = self.ffi.cast("otr_sample *", self.ffi.from_buffer(samples))
        self.lib.motion_driver_trace(self.state, source, n * every, every, vehicles, mounts)
        keys = ("t_us", "distance_m", "speed_mps", "speed_src", "motion", "mount", "align_rho", "acc_long", "acc_lat")
        return [
            {key: getattr(vehicles[i], key) for key in keys}
            | {"up": list(mounts[i].up), "fwd": list(mounts[i].fwd), "rho": mounts[i].rho}
            for i in range(n)
        ]

    def vehicle(self) -> Any:
        ret = self.ffi.new("otr_vehicle *")
        self.lib.otr_motion_vehicle(self.state, ret)
        return ret

    def stats(self) -> dict[str, int]:
        ret = self.ffi.new("otr_motion_stats *")
        self.lib.otr_motion_get_stats(self.state, ret)
        return {name: int(getattr(ret, name)) for name, _ in self.ffi.typeof("otr_motion_stats").fields}

    def mount(self) -> Any:
        ret = self.ffi.new("otr_mount *")
        self.lib.otr_motion_get_mount(self.state, ret)
        return ret

    def set_mount(self, up: Iterable[float], fwd: Iterable[float], rho: float, age_s: float = 0) -> int:
        mount = self.ffi.new("otr_mount *", {"up": list(up), "fwd": list(fwd), "rho": rho, "age_s": age_s})
        return int(self.lib.otr_motion_set_mount(self.state, mount))

    def pulse(self) -> tuple[list[float], list[float]]:
        x, y = self.ffi.new("float[31]"), self.ffi.new("float[31]")
        n = self.lib.otr_motion_pulse(self.state, x, y, 31)
        return list(x)[:n], list(y)[:n]


def imu(t_s: npt.ArrayLike, acc: npt.ArrayLike, gyro: npt.ArrayLike | None = None, src: int = IMU_IIO) -> Samples:
    """IMU samples from times [s], specific force [m/s2, n x 3] and angular rates [rad/s, n x 3]."""
    t, a = np.asarray(t_s, dtype=float), np.asarray(acc, dtype=float)
    out = np.zeros(len(t), dtype=SAMPLE)
    out["t_us"], out["kind"], out["src"], out["q"] = np.round(t * 1e6).astype(np.int64), IMU, src, VALID
    out["x"][:, :3] = a
    out["x"][:, 3:6] = np.nan if gyro is None else np.asarray(gyro, dtype=float)
    return out


def scalar(kind: int, t_s: npt.ArrayLike, value: npt.ArrayLike, src: int = 0, *, res: float = 0) -> Samples:
    """Samples with one number each: SPEED, YAW, BRAKE, AIRBAG, BUS, RPM, POWER (ignition)."""
    t = np.atleast_1d(np.asarray(t_s, dtype=float))
    out = np.zeros(len(t), dtype=SAMPLE)
    out["t_us"], out["kind"], out["src"], out["q"], out["res"] = (
        np.round(t * 1e6).astype(np.int64),
        kind,
        src,
        VALID,
        res,
    )
    out["x"][:, 0] = value
    if kind == POWER:
        out["x"][:, 1] = np.nan
    return out


def gnss(
    t_s: npt.ArrayLike,
    speed: npt.ArrayLike,
    heading: npt.ArrayLike | None = None,
    src: int = GNSS_SERIAL,
    *,
    first: int = 0,
) -> Samples:
    """GNSS samples: speed [m/s], heading [rad clockwise from north]."""
    out = scalar(GNSS, t_s, speed, src)
    out["res"] = FIX_POS | FIX_SPEED | (0 if heading is None else FIX_HEADING)
    out["x"][:, 1] = np.nan if heading is None else heading
    out["x"][:, 2] = 3
    if len(out) and first:
        out["res"][0] += FIX_FIRST
    return out


def ticks(begin_s: float, end_s: float, bus_until_s: float | None = None) -> Samples:
    """A tick each 100 ms, with bus traffic until ``bus_until_s`` (None: no word about the bus)."""
    t = np.arange(round(begin_s * 10) + 1, round(end_s * 10) + 1) / 10
    out = [scalar(TICK, t, 0)]
    if bus_until_s is not None:
        out.insert(0, scalar(BUS, t, (t <= bus_until_s).astype(float)))
    return merge(*out)


def merge(*parts: Samples) -> Samples:
    """All samples in time order; equal times keep the order of the arguments."""
    every = np.concatenate(parts)
    return every[np.argsort(every["t_us"], kind="stable")]
