"""A drive out of CAN frames: IMU, GNSS and attitude of a CANmod.gps (ids 9, 7, 5) and OBD-II answers (0x7E8). Pure.

Bit positions, steps and offsets are those of the maker's ``canmod-gps.dbc``; all of its signals are little-endian.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from outrider.evaluate.recordings import Drive
from outrider.evaluate.samples import Array

FRAME: Final = np.dtype(
    [("t_us", "=i8"), ("id", "=u4"), ("bus", "u1"), ("flags", "u1"), ("len", "u1"), ("rsv", "u1"), ("data", "u1", 64)]
)
_IMU, _SPEED, _ATTITUDE, _OBD = 9, 7, 5, 0x7E8
_OBD_SPEED, _OBD_RPM = 0x0D, 0x0C


def drive_of(raw: bytes | bytearray, name: str, car: str) -> Drive | None:
    """The drive in ``otr_frame`` structs; None when they hold no IMU or no GNSS speed of a CANmod.gps."""
    frames = np.frombuffer(raw, dtype=FRAME)
    if not len(frames):
        return None
    t = (frames["t_us"] - frames["t_us"][0]) / 1e6
    imu, speed = _imu(frames, t), _speed(frames, t)
    if len(imu) < 2 or len(speed) < 2:
        return None
    answers, at = _rows(frames, t, _OBD)
    is_speed, is_rpm = answers[:, 2] == _OBD_SPEED, answers[:, 2] == _OBD_RPM
    rpm = (answers[is_rpm, 3] * 256.0 + answers[is_rpm, 4]) / 4
    return Drive(
        name,
        car,
        imu,
        speed,
        _heading(frames, t),
        np.column_stack([at[is_speed], answers[is_speed, 3] / 3.6]),
        np.column_stack([at[is_rpm], rpm]),
    )


def _rows(frames: npt.NDArray[Any], t: Array, number: int) -> tuple[npt.NDArray[np.uint8], Array]:
    pick = frames["id"] == number
    return frames["data"][pick, :8], t[pick]


def _imu(frames: npt.NDArray[Any], t: Array) -> Array:
    data, at = _rows(frames, t, _IMU)
    acc = [_signal(data, 1 + 10 * axis, 10, 0.125, -64) for axis in range(3)]
    turn = [np.radians(_signal(data, 31 + 11 * axis, 11, 0.25, -256)) for axis in range(3)]
    return np.column_stack([at, *acc, *turn, _signal(data, 0, 1, 1, 0)])


def _speed(frames: npt.NDArray[Any], t: Array) -> Array:
    data, at = _rows(frames, t, _SPEED)
    return np.column_stack([at, _signal(data, 1, 20, 0.001, 0)])[_signal(data, 0, 1, 1, 0) > 0]


def _heading(frames: npt.NDArray[Any], t: Array) -> Array:
    data, at = _rows(frames, t, _ATTITUDE)
    return np.column_stack([at, np.radians(_signal(data, 43, 12, 0.1, 0))])[_signal(data, 0, 1, 1, 0) > 0]


def _signal(data: npt.NDArray[np.uint8], start: int, bits: int, step: float, offset: float) -> Array:
    raw = np.zeros(len(data), dtype=np.uint64)
    for byte in range(8):
        raw |= data[:, byte].astype(np.uint64) << np.uint64(8 * byte)
    return np.asarray(((raw >> np.uint64(start)) & np.uint64((1 << bits) - 1)).astype(float) * step + offset)
