"""The cap on emergencies: a broken sensor is bounded and told, a real accident always passes, clocks may be wrong."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import pytest

from outrider.errors import JournalError
from outrider.model.event import CrashEvidence, Event, EventFlag, EventKind, Phase
from outrider.model.evidence import EvidenceChunk, EvidencePart
from outrider.model.notice import Notice, NoticeCode
from outrider.model.record import Category, ClockFix, ClockSource, Kind, Lane, Record
from outrider.record.capped_sink_io import FILE_NAME, WAITING_BYTES, CappedSink
from outrider.record.emergency_cap import DAY_US, MAX_DIFFERENT, WITNESSES, CapOptions, EmergencyCap, PoweredTime
from outrider.record.storage_memory import MemoryStorage, Operation, refusal
from outrider.wire.bodies import encode_body, kind_of

HOUR_US = 3_600_000_000
FALSE = CrashEvidence.DV25
REAL = CrashEvidence.DV25 | CrashEvidence.COLLAPSE


def event(  # noqa: PLR0917  a maker of test data
    seq: int,
    phase: Phase = Phase.CONFIRMED,
    evidence: CrashEvidence = FALSE,
    level: int = 2,
    dv_kmh: float | None = 30.0,
    kind: EventKind = EventKind.CRASH,
    flags: EventFlag = EventFlag(0),  # noqa: B008  immutable
) -> Event:
    empty = dict.fromkeys([f.name for f in dataclasses.fields(Event)])
    numbers = dict.fromkeys(("src_mask", "rule", "t_detect_us", "t_end_us", "clock", "impact_no", "conf"), 0)
    known = {
        "seq": seq, "kind": kind, "phase": phase, "level": level, "flags": flags, "dv_kmh": dv_kmh,
        "t0_us": seq * 1000, "evidence": evidence, "quality": 0,
    }  # fmt: skip
    return Event(**(empty | numbers | known))  # type: ignore[arg-type]


class Car:
    """A sink behind the cap, and the records of accidents in front of it."""

    def __init__(self, storage: MemoryStorage | None = None, boot_id: int = 7, per_day: int = 5) -> None:
        self.storage = storage or MemoryStorage()
        self.boot_id = boot_id
        self.taken: list[Record] = []
        self.notices: list[Notice] = []
        self.t_us = 0
        self.sink = CappedSink(self, CapOptions(per_day), self.storage, boot_id, self.notices.append)

    def put(self, record: Record) -> bool:
        self.taken.append(record)
        return True

    def give(self, lane: Lane, body: object, category: Category = Category.EMERGENCY) -> None:
        assert self.sink.put(Record(lane, kind_of(body), category, self.boot_id, self.t_us, encode_body(body)))

    def accident(self, seq: int, evidence: CrashEvidence = FALSE, end: Phase = Phase.CLOSED, **more: object) -> None:
        """Suspicion, evidence, confirmation, more evidence, the end."""
        self.give(Lane.EMERGENCY, event(seq, Phase.SUSPECT, CrashEvidence(0), 1, None))
        self.chunk(seq)
        if end is not Phase.CANCELLED:
            self.give(Lane.EMERGENCY, event(seq, Phase.CONFIRMED, evidence, **more))  # type: ignore[arg-type]
        self.chunk(seq)
        self.give(Lane.EMERGENCY, event(seq, end, evidence, **more))  # type: ignore[arg-type]
        self.chunk(seq)

    def chunk(self, seq: int, size: int = 100) -> None:
        self.give(Lane.BULK, EvidenceChunk(seq, EvidencePart.FRAMES, 0, 1, self.t_us, self.t_us, bytes(size)))

    def row(self) -> None:
        self.sink.put(Record(Lane.TELEMETRY, Kind.TELEMETRY, Category.DRIVING, self.boot_id, self.t_us, bytes(9)))

    def clock(self, utc_us: int) -> None:
        self.give(Lane.EVENT, ClockFix(utc_us, 1, ClockSource.GNSS), Category.SYSTEM)

    def stored(self) -> int:
        """Accidents of which the confirmation arrived."""
        return sum(1 for each in self.taken if each.lane is Lane.EMERGENCY) // 3


def test_a_broken_sensor_is_bounded_and_told() -> None:
    """A hundred accidents in an hour: five stored whole, the others counted by kind with times and the worst."""
    car = Car()
    for seq in range(1, 101):
        car.t_us += 36_000_000
        car.accident(seq)
    assert car.stored() == 5
    assert len(car.taken) == 5 * 6, "and nothing of the others, their evidence neither"
    first = car.notices[0]
    assert first.code == NoticeCode.EMERGENCY_CAP
    assert dict(first.detail)["held_back_events"] == "1", "at once when it begins"
    car.sink.finish()
    told = dict(car.notices[-1].detail)
    assert told["kind"] == "crash"
    assert told["held_back_events"] == "95"
    assert told["held_back_records"] == str(95 * 5), "what came up to its end"
    assert (told["first_t_us"], told["last_t_us"]) == ("6000", "100000")
    assert (told["worst_level"], told["worst_dv_kmh"]) == ("2", "30.0")
    assert car.sink.held == 95


def test_false_alarms_that_are_taken_back_count_too() -> None:
    """Suspicions without a confirmation are accidents to the flash as well."""
    car = Car()
    for seq in range(1, 101):
        car.t_us += 1_000_000
        car.accident(seq, end=Phase.CANCELLED)
    assert len({each.t_us for each in car.taken}) == 5


@pytest.mark.parametrize(
    "real",
    [
        {"level": 3},
        {"dv_kmh": 45.0},
        {"evidence": REAL},
        {"evidence": FALSE | CrashEvidence.AIRBAG},
        {"evidence": FALSE | CrashEvidence.SILENCE},
        {"flags": EventFlag.ROLLOVER},
    ],
)
def test_an_accident_that_differs_passes_whole(real: dict[str, object]) -> None:
    """After a hundred false ones: more severe, or with another witness. All of it, in order, from the suspicion on."""
    car = Car()
    for seq in range(1, 101):
        car.t_us += 1_000_000
        car.accident(seq)
    before = len(car.taken)
    car.t_us += 1_000_000
    car.accident(101, **real)  # type: ignore[arg-type]
    passed = car.taken[before:]
    assert [each.lane for each in passed] == [
        Lane.EMERGENCY, Lane.BULK, Lane.EMERGENCY, Lane.BULK, Lane.EMERGENCY, Lane.BULK,
    ]  # fmt: skip
    car.t_us += 1_000_000
    car.accident(102, **real)  # type: ignore[arg-type]
    assert len(car.taken) == before + 6, "the same once more is no news"


def test_another_kind_has_its_own_day() -> None:
    """A parked car that is hit on the day of a broken crash sensor."""
    car = Car()
    for seq in range(1, 50):
        car.accident(seq)
    before = len(car.taken)
    car.give(Lane.EMERGENCY, event(60, kind=EventKind.PARKED_IMPACT))
    assert len(car.taken) == before + 1


def test_one_of_each_day_comes_back() -> None:
    """The bucket fills up over a day: whatever a sensor does, one in a while still passes."""
    car = Car()
    for seq in range(1, 20):
        car.accident(seq)
    assert car.stored() == 5
    car.t_us += DAY_US // 5
    car.accident(20)
    assert car.stored() == 6
    car.t_us += DAY_US
    for seq in range(21, 40):
        car.accident(seq)
    assert car.stored() == 11


def test_noise_makes_no_flood_of_differences() -> None:
    """Evidence at random all day long: bounded, beside what is more severe each time."""
    cap = EmergencyCap(CapOptions(5))
    bits = [bit for bit in CrashEvidence if bit in WITNESSES]
    passed = 0
    for seq in range(5000):
        evidence = CrashEvidence(sum(int(bit) for n, bit in enumerate(bits) if seq >> n & 1))
        passed += cap.begins(event(seq, evidence=evidence), now_us=0)
    assert passed <= 5 + MAX_DIFFERENT + 1


def test_it_is_told_each_hour_and_after_a_day() -> None:
    """Not more often, and counting begins anew with a new day."""
    car = Car()
    for minute in range(26 * 60):
        car.t_us = minute * 60_000_000
        car.accident(minute + 1)
    about = [dict(notice.detail)["told"].split()[1] for notice in car.notices]
    assert about[0] == "begin"
    assert about.count("day") == 1
    assert 22 <= about.count("hour") <= 26
    assert all(one.detail[0] != other.detail[0] for one, other in pairwise(car.notices)), "none looks like a repetition"


def test_what_is_undecided_goes_through_when_the_supply_fails() -> None:
    """A suspicion on such a day that nobody can confirm any more may have been true."""
    car = Car()
    for seq in range(1, 20):
        car.accident(seq)
    before = len(car.taken)
    car.give(Lane.EMERGENCY, event(50, Phase.SUSPECT, CrashEvidence(0), 1, None))
    car.chunk(50)
    assert len(car.taken) == before
    car.sink.release()
    car.chunk(50)
    assert [each.lane for each in car.taken[before:]] == [Lane.EMERGENCY, Lane.BULK, Lane.BULK]


def test_evidence_that_waits_is_bounded() -> None:
    """The newest and the events stay; an accident that passes then lacks the oldest of its evidence."""
    car = Car()
    for seq in range(1, 20):
        car.accident(seq)
    before = len(car.taken)
    car.give(Lane.EMERGENCY, event(50, Phase.SUSPECT, CrashEvidence(0), 1, None))
    for _ in range(WAITING_BYTES // 8000 + 50):
        car.chunk(50, 8000)
    car.give(Lane.EMERGENCY, event(50, level=3))
    passed = car.taken[before:]
    assert passed[0].lane is Lane.EMERGENCY
    assert passed[-1].lane is Lane.EMERGENCY
    assert WAITING_BYTES - 20_000 < sum(len(each.body) for each in passed) <= WAITING_BYTES + 20_000


def test_a_restart_forgets_nothing() -> None:
    """What was stored today, and what is still to be told, is there after a power cut."""
    car = Car()
    for seq in range(1, 20):
        car.accident(seq)
    car.sink.save()
    again = Car(MemoryStorage(car.storage.files()), boot_id=8)
    for seq in range(1, 10):
        again.accident(seq)
    assert again.stored() == 0
    again.sink.finish()
    assert dict(again.notices[-1].detail)["held_back_events"] == str(14 + 9)
    assert dict(again.notices[-1].detail)["first_boot_id"] == "00000007"


def restarted(first_utc_us: int | None, second_utc_us: list[int]) -> int:
    """Accidents stored after a restart; the first run ended at ``first_utc_us``, the second believes these times."""
    car = Car()
    car.t_us = 10
    if first_utc_us is not None:
        car.clock(first_utc_us)
    for seq in range(1, 20):
        car.accident(seq)
    car.sink.save()
    again = Car(MemoryStorage(car.storage.files()), boot_id=8)
    for utc_us in second_utc_us:
        again.clock(utc_us)
    for seq in range(1, 100):
        again.accident(seq)
    return again.stored()


NOW = 1_800_000_000_000_000


@pytest.mark.parametrize(
    ("first", "second", "stored"),
    [
        (NOW, [NOW + DAY_US], 5),
        (NOW, [NOW + DAY_US // 5], 1),
        (NOW, [NOW], 0),
        (NOW, [0], 0),
        (NOW, [NOW - HOUR_US], 0),
        (NOW, [0, NOW + DAY_US], 5),
        (NOW, [NOW + 400 * DAY_US], 5),
        (NOW, [NOW + 400 * DAY_US, NOW, NOW + 400 * DAY_US], 5),
        (0, [NOW], 5),
        (None, [NOW], 0),
        (NOW, [], 0),
    ],
)
def test_clocks_may_be_wrong(first: int | None, second: list[int], stored: int) -> None:
    """1970, an hour back, a year ahead: a jump gives a day's worth at most, and takes nothing."""
    assert restarted(first, second) == stored


def test_a_clock_that_stays_wrong_locks_nothing_for_ever() -> None:
    """Without any UTC the bucket still fills up while the terminal runs."""
    time = PoweredTime()
    for boot in range(1, 11):
        time.note(boot, 5_000_000)
        time.note_utc(5_000_000, 0)
        time.note(boot, 5_000_000 + HOUR_US)
        time.note(boot, 5_000_000)
    assert time.at_us == 10 * HOUR_US


@pytest.mark.parametrize("content", [b"", b"{", b'{"buckets": 5}', b'{"version": 1, "buckets": {"crash": {}}}'])
def test_a_state_that_is_none_begins_anew(content: bytes) -> None:
    """Nothing that lies in the file keeps the daemon from its start."""
    car = Car()
    assert car.sink._file is not None
    car.sink._file.write(content)
    again = Car(MemoryStorage(car.storage.files()))
    again.accident(1)
    assert again.stored() == 1


def test_a_disk_that_refuses_the_state_costs_the_state_alone() -> None:
    """The cap holds; saving is tried again."""
    car = Car()

    def fail(op: Operation) -> None:
        if op.kind == "sync":
            raise refusal(5, "Input/output error")

    for seq in range(1, 20):
        car.accident(seq)
    car.storage.fail = fail
    with pytest.raises(JournalError):
        car.sink.save()
    car.storage.fail = None
    car.sink.save()
    assert car.stored() == 5
    broken = MemoryStorage()
    broken.fail = fail
    assert FILE_NAME not in broken.files()
    other = Car(broken)
    other.sink.save()
    for seq in range(1, 20):
        other.accident(seq)
    assert other.stored() == 5


def test_the_status_says_what_is_left() -> None:
    """For people: by kind."""
    car = Car()
    for seq in range(1, 8):
        car.accident(seq)
    assert car.sink.status() == {"held_back": 2, "kinds": {"crash": {"left": 0, "held_back": 2}}}
