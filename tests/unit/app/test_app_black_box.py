"""The black-box page: when it is written, and what the next start makes of one that was left behind."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from outrider.app.black_box import TOLD_BY_PAGE, BlackBoxKeeper, BlackBoxReport
from outrider.engine import Engine, crc32c, parse_black_box
from outrider.model.event import CrashEvidence, DataQuality, Event, EventFlag, EventKind, Phase
from outrider.model.evidence import EvidenceChunk, EvidencePart
from outrider.model.fix import Fix, FixType
from outrider.model.frame import FrameBatch
from outrider.model.record import Category, ClockFix, Kind, Lane, Record
from outrider.model.vehicle import BitField, MessageDef, Role, SignalDef, Slot, VehicleTables
from outrider.record.blackbox_io import BlackBoxFile
from outrider.record.storage_memory import MemoryStorage
from outrider.wire.bodies import encode_body
from outrider.wire.evidence import assemble
from tests.support.records import open_journal, record

S = 1_000_000
UTC = 1_790_000_000 * S
BOOT = 7
CAR = VehicleTables(
    "car",
    (MessageDef("M", 0x100, False, 8, (SignalDef("speed", 0, BitField(0, 16), factor=0.1),)),),
    (Slot("Vehicle.Speed", "km/h", role=Role.SPEED),),
)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[BlackBoxFile]:
    with BlackBoxFile(tmp_path) as made:
        yield made


@pytest.fixture
def driving() -> Iterator[Engine]:
    """30 s at 90 km/h, then two seconds in which the bus says nothing."""
    frames = FrameBatch()
    for i in range(300):
        frames.append(S + i * 100_000, 0x100, (900).to_bytes(8, "little"))
    with Engine(CAR) as engine:
        engine.offer_frames(frames)
        engine.offer_fix(Fix(30 * S, FixType.FIX_3D, utc_us=UTC, lat_deg=50.0, lon_deg=8.0, heading_deg=45.0))
        engine.run(32 * S)
        yield engine


def keeper(file: BlackBoxFile, engine: Engine, boot: int = BOOT) -> BlackBoxKeeper:
    return BlackBoxKeeper(file, engine, boot, lambda _what, _err: None)


def left_behind(file: BlackBoxFile, engine: Engine, boot: int = BOOT) -> None:
    """Power goes: no page in order."""
    kept = keeper(file, engine, boot)
    kept.now()
    assert kept.flush(30.0)


def told(
    file: BlackBoxFile, boot: int = 8, *before: Record, delivered: bool = False
) -> list[tuple[Event | ClockFix | EvidenceChunk, int]]:
    journal = open_journal(MemoryStorage())
    for each in before:
        journal.append(each)
    journal.commit()
    for stream in journal.streams() if delivered else ():
        journal.acknowledge(stream.epoch, stream.lane, stream.durable)
    return BlackBoxReport(file, boot).records(journal)


def test_power_lost_at_speed_becomes_an_event_at_the_next_start(file: BlackBoxFile, driving: Engine) -> None:
    """With place, speed and time, the page as its evidence, and what UTC it was; all at the page's own time."""
    left_behind(file, driving)
    records = told(file)
    event, clock = records[0][0], records[1][0]
    assert isinstance(event, Event)
    assert (event.kind, event.phase, event.rule) == (EventKind.POWER_LOST_MOVING, Phase.CLOSED, 16)
    assert event.seq >= TOLD_BY_PAGE
    assert (event.lat_deg, event.lon_deg, event.heading_deg) == (50.0, 8.0, 45.0)
    assert event.flags == EventFlag.POSITION
    assert event.v_pre_kmh == pytest.approx(90.0, abs=0.1), "the last speed known, though the bus was silent since"
    assert clock == ClockFix(UTC, 1_000_000, clock.source) if isinstance(clock, ClockFix) else False
    assert records[1][1] == 30 * S
    assert records[0][1] == 32 * S
    chunks = [body for body, _t in records if isinstance(body, EvidenceChunk)]
    page = assemble(chunks)[EvidencePart.BLACK_BOX].data
    assert {chunk.event_seq for chunk in chunks} == {event.seq}
    speeds = [moment.speed_mps for moment in parse_black_box(page).moments]
    assert len(speeds) == 200
    assert speeds[0] == pytest.approx(25.0)


def test_nothing_is_told_of_a_stop_in_order_or_of_this_start(file: BlackBoxFile, driving: Engine) -> None:
    """A stop in order closes the page; a daemon that was merely started again lost no power."""
    left_behind(file, driving)
    assert told(file, BOOT) == []
    assert told(file, 8)
    keeper(file, driving).close()
    assert told(file, 8) == []


def test_a_standing_car_is_told_of_only_with_its_accident(file: BlackBoxFile) -> None:
    """Without speed in the page nothing is made up."""
    with Engine(CAR) as engine:
        engine.offer_fix(Fix(S, FixType.FIX_3D, lat_deg=50.0, lon_deg=8.0))
        engine.run(3 * S)
        left_behind(file, engine)
    assert told(file) == []


def accident(t_us: int, phase: Phase, boot: int = BOOT) -> Record:
    values = {f.name: None for f in dataclasses.fields(Event)}
    numbers = dict.fromkeys(("seq", "level", "src_mask", "rule", "t0_us", "t_end_us", "clock", "impact_no"), 3)
    own = {"kind": EventKind.CRASH, "phase": phase, "flags": EventFlag(0), "t_detect_us": t_us, "conf": 0.5}
    own |= {"quality": DataQuality(0), "evidence": CrashEvidence(0)}
    event = Event(**(values | numbers | own))  # type: ignore[arg-type]  # the rest is unknown
    return Record(Lane.EMERGENCY, Kind.EVENT, Category.EMERGENCY, boot, t_us, encode_body(event))


def test_a_page_after_an_accident_is_its_evidence(file: BlackBoxFile, driving: Engine) -> None:
    """It was told before the power went: no second event. One of long ago or withdrawn does not count."""
    left_behind(file, driving)
    [(chunk, _t)] = [r for r in told(file, 8, accident(31 * S, Phase.SUSPECT)) if not isinstance(r[0], ClockFix)]
    assert isinstance(chunk, EvidenceChunk)
    assert chunk.event_seq == 3
    [(chunk, _t)] = [
        r for r in told(file, 8, accident(31 * S, Phase.SUSPECT), delivered=True) if not isinstance(r[0], ClockFix)
    ]
    assert isinstance(chunk, EvidenceChunk), "the receiver had it before the power went"
    for other in (
        accident(31 * S, Phase.CANCELLED),
        accident(-40 * S, Phase.SUSPECT),
        accident(31 * S, Phase.SUSPECT, 6),
    ):
        assert isinstance(told(file, 8, other)[0][0], Event)


def test_a_page_older_than_what_followed_tells_nothing(file: BlackBoxFile, driving: Engine) -> None:
    """Telemetry of the same start that is newer: the car went on, the black box failed."""
    left_behind(file, driving)
    newer = dataclasses.replace(record(Lane.TELEMETRY), t_us=40 * S)
    assert told(file, 8, newer) == []
    assert told(file, 8, newer, delivered=True) == []
    assert told(file, 8, dataclasses.replace(newer, t_us=33 * S))


def test_it_is_written_while_moving_and_at_once_when_something_is_suspected(
    file: BlackBoxFile, driving: Engine
) -> None:
    """Each second at speed, once more when standing, and for a suspicion without waiting for the second."""
    kept = keeper(file, driving)
    moving = next(o for o in driving.take() if not isinstance(o, Event) and o.motion == 2)
    for motion in (2, 2, 1, 1, 0):
        kept.note(dataclasses.replace(moving, motion=motion))
        assert kept.flush(30.0)
    assert kept.status() == {"writes": 3, "faults": 0, "at_once": 0}
    values = {f.name: None for f in dataclasses.fields(Event)}
    suspect = Event(**(values | {"kind": EventKind.SPEED_SENSOR_LOST, "phase": Phase.SUSPECT}))  # type: ignore[arg-type]
    braking = dataclasses.replace(suspect, kind=EventKind.HARSH_BRAKE, phase=Phase.BEGIN)
    corner = dataclasses.replace(suspect, kind=EventKind.HARSH_CORNER, phase=Phase.BEGIN)
    for event in (suspect, braking, corner):
        kept.note(event)
        assert kept.flush(30.0)
    assert kept.status() == {"writes": 5, "faults": 0, "at_once": 2}
    kept.close()


def of_version_1(page: bytes) -> bytes:
    """As the version before wrote it, as far as it matters: whole, and not readable here."""
    old = bytearray(page)
    old[4] = 1
    old[-4:] = crc32c(bytes(old[:-4])).to_bytes(4, "little")
    return bytes(old)


def test_a_page_that_is_none_is_passed_over(tmp_path: Path, driving: Engine) -> None:
    """Of an older version, torn, or never written."""
    with BlackBoxFile(tmp_path) as file:
        assert told(file) == []
        torn = bytearray(driving.black_box_page(BOOT))
        torn[100] ^= 1
        file.write(bytes(torn))
        assert told(file) == []
        file.write(of_version_1(driving.black_box_page(BOOT)))
        assert file.read() is not None
        assert told(file) == []


def test_pages_count_on_from_those_of_an_older_version(tmp_path: Path, driving: Engine) -> None:
    """Else the old one passes for the newest until both slots are overwritten."""
    driving.count_pages(5000)
    with BlackBoxFile(tmp_path) as file:
        for _ in range(2):
            file.write(of_version_1(driving.black_box_page(BOOT)))
    with BlackBoxFile(tmp_path) as file, Engine(CAR) as engine:
        assert file.newest == 5002
        engine.count_pages(file.newest)
        file.write(engine.black_box_page(9))
        newest = file.read()
        assert newest is not None
        assert parse_black_box(newest).boot_id == 9


def test_a_stop_that_could_not_commit_leaves_the_page(file: BlackBoxFile, driving: Engine) -> None:
    """What is told by the page is not in the journal then."""
    left_behind(file, driving)
    keeper(file, driving).close(clean=False)
    assert told(file)
