"""What roles make of decoded signals: fixes, IMU samples, units, events with place, evidence."""

from __future__ import annotations

import struct

import pytest

from outrider.engine import Engine, EngineOptions, parse_black_box
from outrider.engine.convert import SAMPLE
from outrider.errors import InputError
from outrider.model.event import Event, EventFlag, EventKind, Phase, Snapshot
from outrider.model.evidence import EvidencePart
from outrider.model.fix import Fix, FixType, ImuSample, PowerSample
from outrider.model.frame import FrameBatch
from outrider.model.vehicle import BitField, Condition, Encoding, MessageDef, Role, SignalDef, Slot, VehicleTables
from tests.support.evidence import Gathered

S = 1_000_000
SRC_CAN, SRC_OBD = 1, 2


def vehicle(*messages: tuple[tuple[Role, BitField, dict[str, object]], ...], obd: bool = False) -> VehicleTables:
    """Message k has identifier 0x100 + k and one slot per role."""
    slots: list[Slot] = []
    made = []
    for number, signals in enumerate(messages):
        definitions = []
        for role, field, more in signals:
            definitions.append(SignalDef(role.name, len(slots), field, **more))  # type: ignore[arg-type]
            slots.append(Slot(role.name, role=role))
        made.append(MessageDef(f"M{number}", 0x100 + number, False, 8, tuple(definitions), obd=obd))
    return VehicleTables("p", tuple(made), tuple(slots))


def u16(position: int, **more: object) -> tuple[BitField, dict[str, object]]:
    return BitField(position * 16, 16), more


def frames(*rows: tuple[int, int, bytes]) -> FrameBatch:
    made = FrameBatch()
    for t_us, number, data in rows:
        made.append(t_us, 0x100 + number, data)
    return made


def last_snapshot(tables: VehicleTables, rows: FrameBatch, until_us: int) -> Snapshot:
    with Engine(tables) as engine:
        engine.offer_frames(rows)
        engine.run(until_us)
        return [o for o in engine.take() if isinstance(o, Snapshot)][-1]


@pytest.mark.parametrize(
    ("role", "obd", "src"), [(Role.SPEED, False, 1), (Role.SPEED, True, 2), (Role.SPEED_OBD, True, 2)]
)
def test_speed_is_converted_and_names_its_source(role: Role, obd: bool, src: int) -> None:
    """km/h on the bus is m/s in the snapshot; an OBD answer is told from the car's own broadcast."""
    tables = vehicle(((role, *u16(0, factor=0.01)),), obd=obd)
    rows = frames(*((S + i * 100_000, 0, struct.pack("<H", 7200)) for i in range(30)))
    snapshot = last_snapshot(tables, rows, 4 * S)
    assert snapshot.speed_mps == pytest.approx(20.0)
    assert snapshot.speed_src == src


def test_wheels_of_two_messages_make_one_speed() -> None:
    """Front and rear wheels may come apart; four that belong together give a speed."""
    wheels = [Role.WHEEL_FL, Role.WHEEL_FR], [Role.WHEEL_RL, Role.WHEEL_RR]
    tables = vehicle(*(tuple((r, *u16(i, factor=0.01)) for i, r in enumerate(axle)) for axle in wheels))
    data = struct.pack("<HH", 3600, 3600)
    rows = frames(*((S + i * 20_000 + k * 5_000, k, data) for i in range(100) for k in (0, 1)))
    assert last_snapshot(tables, rows, 3 * S).speed_mps == pytest.approx(10.0)


def test_wheels_far_apart_in_time_make_no_speed() -> None:
    """Values more than 200 ms apart are not one moment."""
    tables = vehicle(
        ((Role.WHEEL_FL, *u16(0)), (Role.WHEEL_FR, *u16(1))), ((Role.WHEEL_RL, *u16(0)), (Role.WHEEL_RR, *u16(1)))
    )
    rows = frames(*((S + i * 500_000, i % 2, struct.pack("<HH", 36, 36)) for i in range(10)))
    with Engine(tables) as engine:
        engine.offer_frames(rows)
        engine.run(8 * S)
        ticks = engine.stats().ticks
        assert engine.stats().samples == 2 * ticks


def test_rpm_supply_ignition_odometer() -> None:
    """The rest of the vehicle's state, in its units."""
    roles = (Role.RPM, Role.SUPPLY_V, Role.ODOMETER, Role.IGNITION)
    tables = vehicle(tuple((r, *u16(i)) for i, r in enumerate(roles)))
    snapshot = last_snapshot(tables, frames((S, 0, struct.pack("<4H", 850, 13, 60000, 1))), 2 * S)
    assert (snapshot.rpm, snapshot.supply_v, snapshot.odometer_m, snapshot.ignition) == (850, 13, 60000, True)


PLACE = (
    (
        (Role.LAT, BitField(0, 32), {"encoding": Encoding.INT, "factor": 1e-6}),
        (Role.LON, BitField(32, 32), {"encoding": Encoding.INT, "factor": 1e-6}),
    ),
    ((Role.GNSS_SPEED, *u16(0, factor=0.1)), (Role.HEADING, *u16(1, factor=0.1)), (Role.HACC, *u16(2, factor=0.1))),
    ((Role.SATS, *u16(0)), (Role.FIX_TYPE, *u16(1)), (Role.UTC, BitField(32, 32), {})),
)


def place(t_us: int, lat: float = 50.5, lon: float = -8.25) -> tuple[int, int, bytes]:
    return t_us, 0, struct.pack("<ii", round(lat * 1e6), round(lon * 1e6))


def test_a_position_on_can_becomes_one_fix() -> None:
    """LAT and LON make a fix; speed, heading, accuracy, satellites and UTC come from messages at most 1.5 s older."""
    rows = [
        row
        for second in range(1, 7)
        for row in (
            (second * S, 1, struct.pack("<3H", 360, 900, 25)),
            (second * S + 1000, 2, struct.pack("<HHI", 9, 3, 1_700_000_000 + second)),
            place(second * S + 200_000),
        )
    ]
    snapshot = last_snapshot(vehicle(*PLACE), frames(*rows), 7 * S)
    assert (snapshot.lat_deg, snapshot.lon_deg) == (pytest.approx(50.5), pytest.approx(-8.25))
    assert snapshot.heading_deg == pytest.approx(90.0)
    assert snapshot.hacc_m == pytest.approx(2.5)
    assert (snapshot.sats, snapshot.fix_type, snapshot.fix_t_us) == (9, 3, 6 * S + 200_000)
    assert snapshot.fix_utc_us == 1_700_000_006 * S + 199_000
    assert snapshot.speed_mps == pytest.approx(10.0, abs=0.2)


def test_old_companions_are_left_out() -> None:
    """A heading of two seconds ago does not belong to this position."""
    rows = frames((S, 1, struct.pack("<3H", 360, 900, 25)), place(S + 1_600_000))
    snapshot = last_snapshot(vehicle(*PLACE), rows, 3 * S)
    assert snapshot.lat_deg == pytest.approx(50.5)
    assert (snapshot.heading_deg, snapshot.hacc_m, snapshot.fix_utc_us) == (None, None, 0)


def test_no_fix_and_places_off_the_globe_give_no_position() -> None:
    """FIX_TYPE 0 and a latitude of 200 degrees are no place."""
    rows = frames((S, 2, struct.pack("<HHI", 3, 0, 0)), place(S + 1), place(S + 2_000_000, lat=200.0))
    with Engine(vehicle(*PLACE)) as engine:
        engine.offer_frames(rows)
        engine.run(4 * S)
        assert all(o.lat_deg is None for o in engine.take() if isinstance(o, Snapshot))
        assert engine.stats().can_fix_invalid == 1


def test_a_lost_fix_is_told() -> None:
    """The last place stays, its type goes to none three seconds after the last message."""
    with Engine(vehicle(*PLACE)) as engine:
        engine.offer_fix(Fix(S, FixType.FIX_3D, lat_deg=1.0, lon_deg=2.0, sats=7))
        engine.run(5 * S)
        states = [(o.t_us // S, o.fix_type, o.sats, o.lat_deg) for o in engine.take() if isinstance(o, Snapshot)]
    assert states == [(2, 3, 7, 1.0), (3, 3, 7, 1.0), (4, 3, 7, 1.0), (5, 0, 0, 1.0)]


IMU_ROLES = (Role.ACC_X, Role.ACC_Y, Role.ACC_Z, Role.GYRO_X, Role.GYRO_Y, Role.GYRO_Z)


def imu_vehicle() -> VehicleTables:
    """Six axes of 10 bits and a validity bit, like real IMU-on-CAN units; and an airbag bit that freezes evidence."""
    valid = (Condition(BitField(60, 1), ((1, 1),)),)
    axes = tuple(
        (role, BitField(i * 10, 10), {"factor": 0.5, "offset": -256.0, "conditions": valid})
        for i, role in enumerate(IMU_ROLES)
    )
    return vehicle(axes, ((Role.AIRBAG, BitField(0, 1), {}),))


def axes(values: tuple[float, ...], valid: bool = True) -> bytes:
    raw = sum(round((v + 256.0) * 2) << 10 * i for i, v in enumerate(values)) | valid << 60
    return raw.to_bytes(8, "little")


def test_an_imu_message_is_one_sample_and_an_invalid_one_is_none() -> None:
    """Six roles of one frame make one sample with rad/s; a frame whose validity bit is off makes none at all."""
    good, bad = axes((1.0, -2.0, 9.5, 90.0, 0.0, -180.0)), axes((200.0, 200.0, 200.0, 0, 0, 0), valid=False)
    rows = [(S + i * 10_000, 0, bad if i % 5 == 4 else good) for i in range(100)]
    with Engine(imu_vehicle()) as engine:
        engine.offer_frames(frames((S - 1, 1, b"\x00"), *rows, (2 * S, 1, b"\x01")))
        engine.run(20 * S)
        evidence = Gathered(engine.take_evidence())
    samples = list(SAMPLE.iter_unpack(evidence.parts[EvidencePart.IMU]))
    assert len(samples) == 80
    t_us, kind, src, quality, _res, *x = samples[0]
    assert (t_us, kind, src, quality) == (S, 1, 5, 1)
    assert x[:6] == pytest.approx([1.0, -2.0, 9.5, 1.5707963, 0.0, -3.1415926])


def test_an_incomplete_imu_message_is_counted() -> None:
    """An axis that is not available spoils the sample; the rest is not taken for the whole."""
    spec: tuple[tuple[Role, BitField, dict[str, object]], ...] = tuple(
        (role, BitField(i * 8, 8), {"not_available": ((255, 255),)}) for i, role in enumerate(IMU_ROLES[:3])
    )
    with Engine(vehicle(spec)) as engine:
        engine.offer_frames(frames((S, 0, b"\x01\xff\x03"), (S + 10_000, 0, b"\x01\x02\x03")))
        engine.run(S + 20_000)
        stats = engine.stats()
    assert (stats.can_imu_incomplete, stats.decode.not_available, stats.samples) == (1, 1, 1)


def crash(options: EngineOptions | None = None) -> tuple[Engine, list[Event]]:
    """40 s of frames, fixes and IMU, the airbag at 40.5 s, 20 s after it."""
    engine, events = Engine(imu_vehicle(), options or EngineOptions()), []
    still = axes((0.0, 0.0, 9.5, 0.0, 0.0, 0.0))
    for second in range(1, 61):
        rows = [(second * S + i * 10_000, 0, still) for i in range(100)]
        if second == 1:
            rows.insert(0, (second * S, 1, b"\x00"))
        if second == 40:
            rows.insert(50, (40 * S + 495_000, 1, b"\x01"))
        engine.offer_frames(frames(*rows))
        if second <= 38:
            engine.offer_fix(Fix(second * S, FixType.FIX_3D, lat_deg=50 + second / 100, lon_deg=8.0, heading_deg=45.0))
        engine.run(second * S + 999_999)
        events += [o for o in engine.take() if isinstance(o, Event)]
    return engine, events


def test_an_airbag_is_an_event_at_the_last_fix_before_it() -> None:
    """The event has the place of the newest fix at or before it, and heading; it is not stale within 5 s."""
    engine, events = crash()
    with engine:
        first = next(e for e in events if e.kind is EventKind.AIRBAG)
        assert first.phase is Phase.CONFIRMED
        assert first.t0_us == 40 * S + 495_000
        assert (first.lat_deg, first.lon_deg, first.heading_deg) == (pytest.approx(50.38), 8.0, 45.0)
        assert EventFlag.POSITION in first.flags
        assert EventFlag.POSITION_STALE not in first.flags


def test_an_old_place_is_marked_stale() -> None:
    """A fix more than 5 s older than the event is given, and said to be old; without any fix there is no place."""
    for fixes, flags in (((S,), EventFlag.POSITION | EventFlag.POSITION_STALE), ((), EventFlag(0))):
        with Engine(imu_vehicle()) as engine:
            for t_us in fixes:
                engine.offer_fix(Fix(t_us, FixType.FIX_3D, lat_deg=1.0, lon_deg=2.0))
            engine.offer_frames(frames((S, 1, b"\x00"), (10 * S, 1, b"\x01")))
            engine.run(11 * S)
            event = next(o for o in engine.take() if isinstance(o, Event) and o.kind is EventKind.AIRBAG)
        both = EventFlag.POSITION | EventFlag.POSITION_STALE
        assert event.flags & both == flags
        assert (event.lat_deg is None) == (not fixes)


def test_power_and_imu_of_the_terminal_reach_the_state() -> None:
    """Inputs that do not come over CAN arrive too; None is unknown, not zero."""
    with Engine(vehicle()) as engine:
        engine.offer_power(PowerSample(S, ignition=True))
        engine.offer_imu([ImuSample(S + i * 10_000, (0, 0, 9.81)) for i in range(200)])
        engine.run(3 * S)
        snapshot, stats = [o for o in engine.take() if isinstance(o, Snapshot)][-1], engine.stats()
    assert snapshot.ignition is True
    assert (stats.imu, stats.power, stats.motion.nan, stats.motion.invalid) == (200, 1, 0, 0)
    assert snapshot.supply_v is None
    assert snapshot.bus_alive is False


def test_the_black_box_page_tells_this_moment() -> None:
    """Position, signals and the counter survive the round trip; a torn page is refused."""
    engine, _events = crash()
    with engine:
        engine.count_pages(0)
        first, page = parse_black_box(engine.black_box_page()), engine.black_box_page(77, clean=True)
        box = parse_black_box(page)
        assert len(page) == 4096
        assert (first.counter, box.counter) == (1, 2)
        assert (box.lat_deg, box.lon_deg, box.heading_deg) == (pytest.approx(50.38), 8.0, 45.0)
        assert (box.t_us, box.fix_t_us) == (engine.now_us(), 38 * S)
        assert box.last_event > 0
        assert [(slot, value) for slot, _age, value in box.signals] == [
            (0, 0.0),
            (1, 0.0),
            (2, 9.5),
            (3, 0.0),
            (4, 0.0),
            (5, 0.0),
            (6, 1.0),
        ]
        assert (first.boot_id, first.clean, box.boot_id, box.clean) == (0, False, 77, True)
        assert len(box.moments) == 200
        assert [m.t_us for m in box.moments] == list(range(60 * S - 19 * S, 61 * S, 100_000))
        assert {m.acc for m in box.moments} == {(0.0, 0.0, 9.5)}
        assert {m.speed_mps for m in box.moments} == {None}
        engine.count_pages(900)
        assert parse_black_box(engine.black_box_page()).counter == 901
        for i in range(0, 4096, 37):
            with pytest.raises(InputError):
                parse_black_box(page[:i] + bytes([page[i] ^ 1]) + page[i + 1 :])
        with pytest.raises(InputError, match="4096 bytes"):
            parse_black_box(page[:-1])
