"""The drive as computed: one row of numbers per step, held by column.

Owns the columns' meaning. Row i is the state at the end of step i; ``t`` is seconds since the start of the recording.
Accelerations, specific forces and rates are means over the step that ends there, so that sums over steps are exact.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left

COLUMNS = (
    "t",
    "s",  # path covered [m]
    "v",  # speed along the car [m/s]
    "ground_v",  # speed over ground [m/s]
    "east",
    "north",  # [m] from the start
    "up",  # altitude [m]
    "course",  # direction the car points to, rad, counterclockwise from east
    "along",  # acceleration along the car [m/s2]
    "across",  # to the left
    "yaw",  # rad/s, + left
    "fx",
    "fy",
    "fz",  # specific force in body axes [m/s2]
    "wx",
    "wy",
    "wz",  # angular rate in body axes [rad/s]
    "steer",  # steering wheel [deg], + left
    "rpm",
    "throttle",  # 0..1
    "torque",  # Nm
    "brake",  # bar
    "gear",
    "fuel_lph",
    "fuel_l",
    "esc_v",  # what the brake control unit says [m/s]: scaled by the tyres, filtered
    "odo",  # what the cluster counted [m]
    "power",  # 0 off 2 on 3 crank
    "crash",  # 0 while driven, 1 from contact or loss of grip on
    "sky",  # 0 open 1 city 2 tunnel
    "slip",  # how much faster the driven wheels turn than the car goes [m/s]
    "drift",  # from where a free body points to where it goes [rad]
    "roll",  # attitude of a car that turns over or is lifted [rad], + right side down
)


class Track:
    """Columns of doubles by name; ``columns[name][row]``."""

    def __init__(self, step_s: float) -> None:
        self.step_s = step_s
        self.columns: dict[str, array[float]] = {name: array("d") for name in COLUMNS}
        self._append = [self.columns[name].append for name in COLUMNS]

    def add(self, row: tuple[float, ...]) -> None:
        for append, value in zip(self._append, row, strict=True):
            append(value)

    def __len__(self) -> int:
        return len(self.columns["t"])

    def row_at(self, t: float) -> int:
        """The last row that is not after ``t`` (0 if all are)."""
        guess = int(t / self.step_s) - 1
        return max(0, min(guess, len(self) - 1))

    def rows(self, begin: float, end: float) -> range:
        """Rows with begin <= t < end."""
        times = self.columns["t"]
        return range(bisect_left(times, begin), bisect_left(times, end))
