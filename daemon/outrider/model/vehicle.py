"""A vehicle profile after compilation: what the native tables are built from.

The profile stage produces it from DBC + VSS overlay, the engine leaf turns it into C arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from outrider.model.record import Category


class Role(IntEnum):
    """How a decoded signal feeds motion; values of ``enum otr_role`` in types.h (units are fixed there)."""

    NONE = 0
    SPEED = 1
    SPEED_OBD = 2
    WHEEL_FL = 3
    WHEEL_FR = 4
    WHEEL_RL = 5
    WHEEL_RR = 6
    YAW = 7
    BRAKE = 8
    AIRBAG = 9
    RPM = 10
    IGNITION = 11
    SUPPLY_V = 12
    ODOMETER = 13
    ACC_X = 14
    ACC_Y = 15
    ACC_Z = 16
    GYRO_X = 17
    GYRO_Y = 18
    GYRO_Z = 19
    LAT = 20
    LON = 21
    ALT = 22
    GNSS_SPEED = 23
    HEADING = 24
    HACC = 25
    SATS = 26
    FIX_TYPE = 27
    UTC = 28
    HDOP = 29


class VehicleClass(IntEnum):
    """What thresholds of harsh driving hold: ``vehicle_class`` of ``otr_motion_config`` in motion.h."""

    PASSENGER = 0
    LIGHT_TRUCK = 1  # and vans
    HEAVY = 2  # trucks and buses


class Encoding(IntEnum):
    UINT = 0
    INT = 1
    FLOAT32 = 2
    FLOAT64 = 3


@dataclass(frozen=True, slots=True)
class BitField:
    """Where a raw value sits: DBC start bit (as in the file), length 1..64, byte order."""

    start: int
    length: int
    big_endian: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """The signal is present only when the unsigned raw value of ``field`` lies in one of ``ranges`` (inclusive).

    Serves multiplexing (simple, nested, SG_MUL_VAL_ ranges) and validity bits alike.
    """

    field: BitField
    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Transform:
    """What is done after ``raw * factor + offset``: a value map, or a postfix program.

    table: pairs (from, to); values without a pair are dropped (kuksa rule).
    program: postfix tokens, e.g. ``("x", 40.0, "*", 100.0, "-", "floor")``; operators + - * / % neg abs floor ceil
    round sqrt min max. A non-finite result drops the sample.
    """

    table: tuple[tuple[float, float], ...] = ()
    program: tuple[str | float, ...] = ()


@dataclass(frozen=True, slots=True)
class SignalDef:
    """One decoded signal: physical = raw * factor + offset, then ``transform``; written to ``slot`` of the store."""

    name: str
    slot: int
    field: BitField
    encoding: Encoding = Encoding.UINT
    factor: float = 1.0
    offset: float = 0.0
    minimum: float | None = None  # physical value range after factor and offset; outside = dropped and counted
    maximum: float | None = None
    not_available: tuple[tuple[int, int], ...] = ()  # raw ranges (unsigned view of the bits) that mean "no value"
    conditions: tuple[Condition, ...] = ()
    transform: Transform | None = None


@dataclass(frozen=True, slots=True)
class MessageDef:
    """One CAN message. ``j1939``: match by PGN, any source address and priority. bus None = any bus."""

    name: str
    frame_id: int
    extended: bool
    length: int
    signals: tuple[SignalDef, ...]
    j1939: bool = False
    bus: int | None = None
    obd: bool = False  # an OBD-II answer: its speed is Role.SPEED_OBD


@dataclass(frozen=True, slots=True)
class Slot:
    """One cell of the signal store: a VSS path (or a plain DBC name) with unit and how it is kept.

    step: size of one integer step in telemetry, in the unit. max_age_ms: older values are stale and left out.
    telemetry: part of the 1 Hz record. labels: value texts of an enumeration.
    """

    path: str
    unit: str = ""
    role: Role = Role.NONE
    step: float = 1.0
    max_age_ms: int = 3000
    category: Category = Category.VEHICLE
    telemetry: bool = True
    labels: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class VehicleTables:
    """Everything the engine needs to know of a vehicle. ``SignalDef.slot`` indexes ``slots``."""

    profile_id: str
    messages: tuple[MessageDef, ...]
    slots: tuple[Slot, ...]
