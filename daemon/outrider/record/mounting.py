"""How the sensor sits in the car, kept over a restart: one small state beside the journal.

Rule: what is kept holds for one profile and one sensor; of anything else, and of what cannot be read, nothing is used.
"""

from __future__ import annotations

import math
from typing import Final, Self

import msgspec

from outrider.errors import JournalError
from outrider.ports import Storage
from outrider.record.state import TwoSlotFile

FILE_NAME: Final = "mounting.state"
VERSION: Final = 1
Vector = tuple[float, float, float]


class KeptMounting(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """up, forward: unit vectors in the sensor's axes, forward zero when unknown. rho: quality of the fit, 0..1.

    age_s: of driving since it was accepted. profile, sensor: what it was found with.
    """

    version: int = VERSION
    profile: str
    sensor: str
    up: Vector
    forward: Vector
    rho: float
    age_s: float

    @property
    def sensible(self) -> bool:
        """Two perpendicular unit vectors, or up alone."""
        length = math.dist((0, 0, 0), self.forward)
        along = sum(a * b for a, b in zip(self.up, self.forward, strict=True))
        return (
            self.version == VERSION
            and abs(math.dist((0, 0, 0), self.up) - 1) < 1e-3
            and (length == 0 or abs(length - 1) < 1e-3)
            and abs(along) < 1e-2
            and 0 <= self.rho <= 1
            and 0 <= self.age_s < 1e12
        )


class MountingFile:
    """The newest mounting that was kept. JournalError only when the disk refuses."""

    def __init__(self, storage: Storage) -> None:
        self._file = TwoSlotFile.open(storage, FILE_NAME)

    def read(self) -> KeptMounting | None:
        """None when there is none. JournalError says that what is there is no mounting."""
        data = self._file.read()
        if not data:
            return None
        try:
            kept = msgspec.json.decode(data, type=KeptMounting)
        except (msgspec.MsgspecError, RecursionError) as err:
            raise JournalError(f"{FILE_NAME}: no mounting: {err}") from None
        if not kept.sensible:
            raise JournalError(f"{FILE_NAME}: no mounting that can be: {kept}")
        return kept

    def write(self, kept: KeptMounting | None) -> None:
        """Durable when it returns; None forgets."""
        self._file.write(b"" if kept is None else msgspec.json.encode(kept))

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()
