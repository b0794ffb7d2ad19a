"""What the rows are scored on: recordings with their labels, as arrays. Frozen, no I/O; the files are read elsewhere.

``Recordings`` is the seam between rows and files: the rows see lists of the classes below.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

import numpy as np

from outrider.errors import RecordingError
from outrider.evaluate import samples as sm
from outrider.evaluate.samples import Array, Samples

DRIVE_RANGE_G: Final = 63.875 / sm.G  # of the CANmod's own IMU


class MissingError(RecordingError):
    """A folder holds no recording of the layout that a row needs."""


@dataclass(frozen=True)
class Window:
    """Some seconds around a crash, a near miss or nothing (``label``). acc: n x 3 [g], in the device's own frame."""

    name: str
    label: str
    acc: Array
    rate_hz: float
    samples: Samples

    @property
    def is_crash(self) -> bool:
        return self.label == "crash"

    @property
    def seconds(self) -> float:
        return len(self.acc) / self.rate_hz


@dataclass(frozen=True)
class Drive:
    """A drive with an IMU, GNSS and OBD on CAN. ``car``: drives of one mounting share it. Times in s from its begin.

    imu: t, ax ay az [m/s2], gx gy gz [rad/s], valid; speed (GNSS), obd_speed: t, m/s; heading: t, rad; rpm: t, 1/min.
    """

    name: str
    car: str
    imu: Array
    speed: Array
    heading: Array
    obd_speed: Array
    rpm: Array

    @property
    def seconds(self) -> float:
        return float(self.imu[-1, 0] - self.imu[0, 0])

    @cached_property
    def sound_imu(self) -> Array:
        """The IMU's frames whose valid flag is set."""
        return self.imu[self.imu[:, 7] > 0]

    def samples(self) -> Samples:
        """Everything the terminal heard, in order, with the pulse of the engine's clock."""
        end = float(self.imu[-1, 0])
        return sm.merge(self._imu(), self._gnss(), self._obd(), sm.make_ticks(0, end, end))

    def log(self) -> ObdLog:
        """What OBD alone said."""
        t = self.obd_speed[:, 0]
        rpm = np.interp(t, self.rpm[:, 0], self.rpm[:, 1]) if len(self.rpm) else np.full(len(t), np.nan)
        return ObdLog(self.name, t, self.obd_speed[:, 1], rpm)

    def _imu(self) -> Samples:
        out = sm.make_imu(self.imu[:, 0], self.imu[:, 1:4], self.imu[:, 4:7], src=sm.IMU_CAN)
        out["q"] = np.where(self.imu[:, 7] > 0, sm.VALID, 0)
        return out

    def _gnss(self) -> Samples:
        heading = None
        if len(self.heading):
            turned = np.interp(self.speed[:, 0], self.heading[:, 0], np.unwrap(self.heading[:, 1]))
            heading = turned % (2 * math.pi)
        return sm.make_gnss(self.speed[:, 0], self.speed[:, 1], heading, src=sm.GNSS_CAN, first=True)

    def _obd(self) -> Samples:
        speed = sm.make_scalar(sm.SPEED, self.obd_speed[:, 0], self.obd_speed[:, 1], sm.OBD, res=1 / 3.6)
        return sm.merge(speed, sm.make_scalar(sm.RPM, self.rpm[:, 0], self.rpm[:, 1], sm.OBD))


@dataclass(frozen=True)
class EdrPulse:
    """Cumulative delta-V of a crash as a car's own recorder kept it. t: s from its zero; dv: n x 2 [km/h]."""

    name: str
    t: Array
    dv: Array

    @property
    def size_kmh(self) -> float:
        """Largest |delta-V| within 300 ms."""
        return float(np.linalg.norm(self.dv[self.t <= 0.3001], axis=1).max())

    @property
    def direction(self) -> Array:
        """Delta-V (along, left) where it is largest within 300 ms."""
        early = self.dv[self.t <= 0.3001]
        return np.asarray(early[int(np.argmax(np.linalg.norm(early, axis=1)))])


@dataclass(frozen=True)
class CrashTest:
    """One accelerometer channel of a laboratory crash test. t [s], value [g]."""

    test: str
    channel: str
    t: Array
    g: Array

    @property
    def name(self) -> str:
        return f"{self.test}.{self.channel}"


@dataclass(frozen=True)
class Stretch:
    """Vertical acceleration [m/s2] over a piece of road, 50 Hz."""

    name: str
    kind: str
    vertical: Array


@dataclass(frozen=True)
class Manoeuvre:
    """What the driver did: class (brake, accel, corner, lane, calm) and when [s]."""

    kind: str
    begin_s: float
    end_s: float


@dataclass(frozen=True)
class Trip:
    """A trip of a phone, turned to the earth's frame, with manoeuvres driven on purpose."""

    name: str
    t: Array
    acc: Array
    samples: Samples
    manoeuvres: Sequence[Manoeuvre]

    @property
    def seconds(self) -> float:
        return float(self.t[-1])


@dataclass(frozen=True)
class ObdLog:
    """Time [s], speed [m/s] and engine speed [1/min] as OBD-II told them."""

    name: str
    t: Array
    speed: Array
    rpm: Array

    @property
    def seconds(self) -> float:
        return float(self.t[-1] - self.t[0])

    def samples(self) -> Samples:
        end = float(self.t[-1])
        speed = sm.make_scalar(sm.SPEED, self.t, self.speed, sm.OBD, res=1 / 3.6)
        rpm = sm.make_scalar(sm.RPM, self.t, self.rpm, sm.OBD)
        return sm.merge(speed, rpm[np.isfinite(rpm["x"][:, 0])], sm.make_ticks(0, end, end))


class Recordings(Protocol):
    """What is at hand. Each raises MissingError when there is none of its kind."""

    def windows(self) -> Iterable[Window]: ...

    def drives(self) -> Sequence[Drive]: ...

    def pulses(self) -> Sequence[EdrPulse]: ...

    def crash_tests(self) -> Sequence[CrashTest]: ...

    def stretches(self) -> Sequence[Stretch]: ...

    def trips(self) -> Sequence[Trip]: ...

    def obd_logs(self) -> Sequence[ObdLog]: ...
