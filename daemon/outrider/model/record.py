"""A record: the unit that is written to flash, sent, acknowledged and proved complete."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class Lane(IntEnum):
    """Lanes in order of urgency (architecture: Records)."""

    EMERGENCY = 0
    LEDGER = 1
    EVENT = 2
    TELEMETRY = 3
    BULK = 4


class OpenIntEnum(IntEnum):
    """An enumeration of one byte that newer software may have extended: an unknown value becomes a member named after
    its number (``KIND_99``), so that what an old receiver does not know it can still keep and pass on."""

    @classmethod
    def _missing_(cls, value: object) -> OpenIntEnum | None:
        if not isinstance(value, int) or not 0 <= value <= 255:
            return None
        member = int.__new__(cls, value)
        member._name_ = f"{cls.__name__.upper()}_{value}"
        member._value_ = value
        return member


class Category(OpenIntEnum):
    """Data category: what the owner's consent is asked for."""

    SYSTEM = 0  # the terminal's own health; no personal data
    VEHICLE = 1  # technical state of the car
    DRIVING = 2  # how it is driven
    LOCATION = 3  # where it is or was
    EMERGENCY = 4  # crash and SOS


class Kind(OpenIntEnum):
    """What ``body`` holds; the formats are in docs/reference/records.md."""

    BOOT = 1
    SIGNAL_TABLE = 2
    CLOCK = 3
    TELEMETRY = 4
    EVENT = 5
    TRIP = 6
    GAP = 7
    EVIDENCE = 8
    CRASH = 9
    NOTICE = 10


class GapReason(OpenIntEnum):
    QUOTA = 1  # dropped by retention
    OVERRUN = 2  # the writer's queue was full
    CORRUPT = 3  # unreadable on flash, quarantined
    WITHHELD = 4  # consent
    FULL = 5  # no space on the device
    THINNED = 6  # telemetry made sparser by retention


SCHEMA_VERSION: Final = 1
_HEADER: Final = struct.Struct("<BBBIq")


@dataclass(frozen=True, slots=True)
class Record:
    """A record before it has a place in the log.

    t_us: CLOCK_BOOTTIME of what it tells. boot_id: random 32 bits, new at each boot of the terminal.
    body: bytes in the format of ``kind`` (see ``outrider.wire``).
    """

    lane: Lane
    kind: Kind
    category: Category
    boot_id: int
    t_us: int
    body: bytes
    schema: int = SCHEMA_VERSION


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record with its place: (epoch, lane, seq) is unique for ever within a device; seq counts from 1, no holes."""

    epoch: int
    seq: int
    record: Record

    def canonical(self) -> bytes:
        """Bytes that identify the record; the same on the terminal and at the receiver."""
        r = self.record
        return (
            struct.pack("<QBQ", self.epoch, r.lane, self.seq)
            + _HEADER.pack(r.kind, r.category, r.schema, r.boot_id, r.t_us)
            + r.body
        )

    def digest(self) -> bytes:
        return hashlib.sha256(self.canonical()).digest()


@dataclass(frozen=True, slots=True)
class Gap:
    """Body of a GAP record: what is missing in this lane and why. first..last inclusive, epoch of the missing ones."""

    epoch: int
    first_seq: int
    last_seq: int
    reason: GapReason


@dataclass(frozen=True, slots=True)
class ClockFix:
    """Body of a CLOCK record: at boottime ``Record.t_us`` it was ``utc_us``, within ``uncertainty_us`` (1 sigma)."""

    utc_us: int
    uncertainty_us: int
    source: ClockSource


class ClockSource(IntEnum):
    NONE = 0
    GNSS = 1
    NTP = 2
    RTC = 3
    RECORDING = 4


@dataclass(frozen=True, slots=True)
class BootInfo:
    """Body of a BOOT record."""

    software: str
    algorithm: str
    profile_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class SignalSpec:
    """One column of telemetry. value = integer * step + offset, in ``unit``; ids are unique within a table."""

    id: int
    path: str
    unit: str
    step: float
    offset: float = 0.0
    category: Category = Category.VEHICLE
    labels: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SignalTable:
    """Body of a SIGNAL_TABLE record; ``table_id`` is the first 32 bits of the SHA-256 over its encoding."""

    signals: tuple[SignalSpec, ...]


@dataclass(frozen=True, slots=True)
class TelemetryRow:
    """Body of a TELEMETRY record: (signal id, integer value) sorted by id, and the table they belong to."""

    table_id: int
    values: tuple[tuple[int, int], ...]
