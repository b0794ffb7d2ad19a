"""Arrays of what the detector is fed: ``otr_sample`` of types.h as a numpy type, and makers for each kind.

Times are seconds on a recording's own time line, values SI; axes are those of the sensor.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Samples = npt.NDArray[Any]

G: Final = 9.80665
SAMPLE: Final = np.dtype(
    [("t_us", "=i8"), ("kind", "u1"), ("src", "u1"), ("q", "=u2"), ("res", "=f4"), ("x", "=f4", (8,))]
)
VALID, SATURATED, SNA = 1, 2, 4  # OTR_Q_*
IMU, SPEED, GNSS, BUS, RPM, TICK = 1, 2, 7, 8, 10, 11  # enum otr_kind
OBD, GNSS_SERIAL, GNSS_CAN, IMU_CAN, IMU_IIO = 2, 3, 4, 5, 6  # enum otr_src
FIX_POS, FIX_SPEED, FIX_HEADING, FIX_FIRST = 1, 2, 4, 0x20  # OTR_FIX_*


def make_imu(t_s: npt.ArrayLike, acc: npt.ArrayLike, gyro: npt.ArrayLike | None = None, src: int = IMU_IIO) -> Samples:
    """Specific force [m/s2, n x 3] and angular rates [rad/s, n x 3; None: the sensor has none]."""
    t = np.asarray(t_s, dtype=float)
    out = np.zeros(len(t), dtype=SAMPLE)
    out["t_us"], out["kind"], out["src"], out["q"] = microseconds(t), IMU, src, VALID
    out["x"][:, :3] = acc
    out["x"][:, 3:6] = np.nan if gyro is None else gyro
    return out


def make_scalar(kind: int, t_s: npt.ArrayLike, value: npt.ArrayLike, src: int = 0, *, res: float = 0) -> Samples:
    """Samples with one number each: SPEED [m/s], BUS [0/1], RPM [1/min], TICK. ``res``: step of the number."""
    t = np.atleast_1d(np.asarray(t_s, dtype=float))
    out = np.zeros(len(t), dtype=SAMPLE)
    out["t_us"], out["kind"], out["src"], out["q"], out["res"] = microseconds(t), kind, src, VALID, res
    out["x"][:, 0] = value
    return out


def make_gnss(
    t_s: npt.ArrayLike,
    speed: npt.ArrayLike,
    heading: npt.ArrayLike | None = None,
    src: int = GNSS_SERIAL,
    *,
    first: bool = False,
) -> Samples:
    """Fixes with speed [m/s] and heading [rad clockwise from north]; ``first``: the first one follows none."""
    out = make_scalar(GNSS, t_s, speed, src)
    out["res"] = FIX_POS | FIX_SPEED | (0 if heading is None else FIX_HEADING)
    out["x"][:, 1] = np.nan if heading is None else heading
    out["x"][:, 2:5] = (3, np.nan, np.nan)  # accuracy [m]; the place is not needed
    if len(out) and first:
        out["res"][0] += FIX_FIRST
    return out


def make_ticks(begin_s: float, end_s: float, bus_until_s: float | None = None) -> Samples:
    """A tick each 100 ms, with traffic on the buses until ``bus_until_s`` (None: no word about the bus)."""
    t = np.arange(round(begin_s * 10) + 1, round(end_s * 10) + 1) / 10
    out = [make_scalar(TICK, t, 0)]
    if bus_until_s is not None:
        out.insert(0, make_scalar(BUS, t, (t <= bus_until_s).astype(float)))
    return merge(*out)


def merge(*parts: Samples) -> Samples:
    """All samples in order of time; equal times keep the order of the arguments."""
    every = np.concatenate(parts)
    return every[np.argsort(every["t_us"], kind="stable")]


def is_imu(samples: Samples) -> npt.NDArray[np.bool_]:
    return np.asarray(samples["kind"] == IMU)


def microseconds(t_s: Array) -> npt.NDArray[np.int64]:
    return np.round(t_s * 1e6).astype(np.int64)
