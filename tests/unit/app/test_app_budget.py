"""What was sent is counted, kept over restarts, and holds back what it should."""

from __future__ import annotations

import math
import threading
from dataclasses import replace

import pytest

from outrider.app import budget as module
from outrider.app.budget import SAVE_BYTES, DataKeeper, read_usage
from outrider.app.meters import Meters
from outrider.clock import ManualClock
from outrider.errors import InputError, JournalError
from outrider.model.event import Event, EventFlag, EventKind, Phase
from outrider.model.network import NetworkState, Path
from outrider.model.notice import Notice, NoticeCode, NoticeLevel
from outrider.model.record import ClockFix, ClockSource, Lane
from outrider.record.storage_memory import MemoryStorage
from outrider.uplink.budget import Budget, BudgetOptions, Plan
from outrider.uplink.usage import Reading
from tests.support.snapshots import QUIET

NOVEMBER = 1_795_000_000_000_000  # 2026-11-18
DAY = 86_400.0


class Meter:
    def __init__(self) -> None:
        self.state = NetworkState(Path.CELLULAR)

    def network(self) -> NetworkState:
        return self.state


class World:
    """A keeper beside an uplink that is two numbers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, options: BudgetOptions | None = None) -> None:
        self.clock = ManualClock(boottime_us=10**9, utc_us=NOVEMBER)
        self.source: ClockSource | None = ClockSource.NTP
        monkeypatch.setattr(module, "system_clock_fix", self._fix)
        self.storage: MemoryStorage | None = MemoryStorage()
        self.options = options or BudgetOptions()
        self.meter, self.notices = Meter(), list[Notice]()
        self.sent, self.bulk_waits = 0, False
        self.start()

    def _fix(self, clock: ManualClock) -> ClockFix | None:
        return None if self.source is None else ClockFix(clock.utc_us(), 1, self.source)

    def start(self) -> None:
        self.budget, self.sent = Budget(self.options), 0
        self.keeper = DataKeeper(
            self.storage,
            self.budget,
            self.clock,
            lambda: Reading({"telemetry": self.sent, "link": self.sent}, {}),
            network=self.meter,
            bulk_waits=lambda: self.bulk_waits,
            on_notice=self.notices.append,
        )

    def send(self, count: int, seconds: float = 5.0) -> None:
        self.sent += count
        self.clock.advance(seconds)
        self.keeper.turn()

    def used(self) -> int:
        return int(self.keeper.status()["used_bytes"])


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def crash(phase: Phase = Phase.CONFIRMED) -> Event:
    return Event(
        1, EventKind.CRASH, phase, 1, EventFlag(0), 0, 1, 1, 1, 0, None, None, None, None, 12, 1, 0.9, 30.0, None, None,
        None, None, None, None, None, None, None, None, None, None,
    )  # fmt: skip


def test_the_month_goes_on_after_a_restart(world: World) -> None:
    """In order, and after a power cut: at most two minutes of counting are missing, never the sums."""
    world.send(5000)
    world.keeper.close()
    world.start()
    assert world.used() == 5000
    world.send(1000, seconds=121.0)
    world.send(70)  # not written yet
    world.start()  # as after a power cut
    assert world.used() == 6000
    world.send(SAVE_BYTES)  # much at once is written at once
    world.start()
    assert world.used() == 6000 + SAVE_BYTES


def test_the_last_bytes_of_delivery_count(world: World) -> None:
    """What was sent while the daemon ended is in the sums, also when the journal is closed by then."""
    world.send(10)
    world.sent += 300

    def closed() -> bool:
        raise JournalError("the journal is closed")

    world.keeper._bulk_waits = closed
    world.keeper.close()
    world.start()
    assert world.used() == 310


def test_a_failing_supply_writes_at_once(world: World) -> None:
    world.send(10)
    world.keeper.hurry()
    world.send(5)
    world.start()
    assert world.used() == 15


def test_without_a_clock_bytes_wait_for_their_month(world: World) -> None:
    """Also over a restart; the first fix of a satellite is enough to say which month it is."""
    world.source = None
    world.send(40)
    assert world.keeper.status()["month"] is None
    world.keeper.close()
    world.start()
    world.send(2)
    now = world.clock.boottime_us()
    world.keeper.note(replace(QUIET, t_us=now, fix_t_us=now, fix_utc_us=NOVEMBER))
    world.send(3)
    status = world.keeper.status()
    assert (status["month"], status["used_bytes"]) == ("2026-11", 45)
    assert world.keeper.document()["held"] is None


@pytest.mark.parametrize("utc_us", [1_180_000_000_000_000, 4_200_000_000_000_000, 10**19])
def test_a_receiver_of_the_wrong_year_is_not_believed(world: World, utc_us: int) -> None:
    """Its weeks have rolled over (2007), or its numbers are none: the system's clock decides."""
    now = world.clock.boottime_us()
    world.keeper.note(replace(QUIET, t_us=now, fix_t_us=now, fix_utc_us=utc_us))
    world.send(3)
    assert world.keeper.status()["month"] == "2026-11"


def test_a_system_clock_beyond_reason_is_none(world: World) -> None:
    """Its bytes are held; nothing raises."""
    world.clock._utc = 10**19
    world.send(3)
    assert world.keeper.status()["month"] is None
    assert world.used() == 3


def test_each_step_of_the_limit_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """80, 95, 100 %, each one time a month, also over a restart; and the uplink's rules follow."""
    world = World(monkeypatch, BudgetOptions(monthly_bytes=1000))
    world.send(790)
    assert world.notices == []
    for count, percent, level in ((10, "80", NoticeLevel.INFO), (150, "95", NoticeLevel.WARNING)):
        world.send(count)
        world.send(1)
        (notice,) = world.notices
        assert (notice.code, notice.level) == (NoticeCode.DATA_BUDGET, level)
        assert dict(notice.detail)["limit_percent"] == percent
        world.notices.clear()
    assert world.budget.rules(0, world.meter.state).pause_reason == "limit_95"
    world.start()
    world.send(60)
    assert [dict(notice.detail)["limit_percent"] for notice in world.notices] == ["100"]
    now = world.clock.boottime_us()
    assert Lane.EVENT in world.budget.rules(now, world.meter.state).lanes  # the one that says so is one
    assert world.budget.rules(now + 10**9, world.meter.state).lanes == {Lane.EMERGENCY}
    world.start()
    world.send(1)
    assert len(world.notices) == 1


def test_a_clock_that_jumps_and_comes_back_tells_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps of a month are told once in its life."""
    world = World(monkeypatch, BudgetOptions(monthly_bytes=1000))
    world.send(850)
    world.source, world.clock._utc = ClockSource.RTC, NOVEMBER + round(40 * DAY * 1e6)
    world.send(1)
    world.source, world.clock._utc = ClockSource.NTP, NOVEMBER
    world.send(1)
    assert world.used() == 852
    assert [dict(notice.detail).get("limit_percent") for notice in world.notices] == ["80", None]


def test_a_new_month_is_a_new_allowance(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the old one's sums are told, once."""
    world = World(monkeypatch, BudgetOptions(monthly_bytes=1000))
    world.send(1000)
    world.notices.clear()
    world.send(7, seconds=20 * DAY)
    (notice,) = world.notices
    assert dict(notice.detail)["closed_month"] == "2026-11"
    assert dict(notice.detail)["metered_bytes"] == "1000"
    assert world.used() == 7
    assert world.budget.rules(0, world.meter.state).step_percent == 0
    world.start()
    world.send(1)
    assert len(world.notices) == 1


def test_wifi_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, BudgetOptions(monthly_bytes=1000))
    world.meter.state = NetworkState(Path.WIFI)
    world.send(10**6)
    assert (world.used(), world.notices) == (0, [])
    assert world.keeper.document()["months"][0]["paths"]["wifi"]["telemetry"]["sent_bytes"] == 10**6


def test_evidence_of_a_confirmed_crash_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until all of it has been acknowledged, also over the power cut that crashes bring; a suspicion opens nothing."""
    world = World(monkeypatch, BudgetOptions(bulk_wifi=True))
    world.keeper.note(crash(Phase.SUSPECT))
    world.send(1)
    assert Lane.BULK not in world.budget.rules(0, world.meter.state).lanes
    world.bulk_waits = True
    world.keeper.note(crash())
    assert Lane.BULK in world.budget.rules(0, world.meter.state).lanes
    world.send(1)
    world.start()
    assert Lane.BULK in world.budget.rules(0, world.meter.state).lanes
    world.send(1, seconds=1000.0)
    assert Lane.BULK in world.budget.rules(0, world.meter.state).lanes
    world.bulk_waits = False
    world.send(1)
    assert Lane.BULK not in world.budget.rules(0, world.meter.state).lanes
    world.start()
    assert Lane.BULK not in world.budget.rules(0, world.meter.state).lanes


def test_a_crash_is_noted_on_flash_at_once(world: World) -> None:
    """Power goes with the crash: that its evidence is due may not wait for the next turn of the meters."""
    meters = Meters()
    meters.data = world.keeper
    meters.note(QUIET)
    assert not meters._wake.is_set()
    meters.note(crash())
    assert meters._wake.is_set()


def test_a_disk_that_hangs_does_not_hold_the_end_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The meters' thread is in a write that never returns: the daemon ends all the same."""
    monkeypatch.setattr("outrider.app.meters.CLOSE_S", 0.05)
    begun, answers, closed = threading.Event(), threading.Event(), list[bool]()

    def hang() -> None:
        begun.set()
        answers.wait(120)

    monkeypatch.setattr(world.keeper, "turn", hang)
    monkeypatch.setattr(world.keeper, "close", lambda: closed.append(True))
    meters = Meters()
    meters.data = world.keeper
    meters._thread.start()
    meters.hurry()
    assert begun.wait(60)
    meters.close()
    assert closed == []
    answers.set()
    meters._thread.join(60)
    meters.close()
    assert closed == [True]


def test_a_crash_in_the_moment_of_looking_counts(world: World) -> None:
    """The owner's thread tells of one while the meters' thread is about to say that no evidence is due."""
    told: list[threading.Thread] = []
    set_due = world.budget.set_evidence_due

    def set_slowly(due: bool) -> None:
        if not due and not told:
            told.append(threading.Thread(target=world.keeper.note, args=(crash(),)))
            told[0].start()
            told[0].join(0.2)  # without the lock it has been told by now
        set_due(due)

    world.budget.set_evidence_due = set_slowly  # type: ignore[method-assign]  # a moment, made long
    world.keeper.turn()
    told[0].join(60)
    assert world.budget._evidence_due
    world.keeper.turn()
    assert world.budget._evidence_due


def test_a_parked_car_sends_less_often(world: World) -> None:
    world.keeper.note(replace(QUIET, t_us=10, bus_alive=True))
    later = world.clock.boottime_us() + 10**9
    assert world.budget.rules(later, world.meter.state).batch_age_s == 60.0
    world.keeper.note(replace(QUIET, t_us=20))
    assert world.budget.rules(later, world.meter.state).batch_age_s == 900.0


def test_watching_is_bounded(world: World) -> None:
    """A command for so many seconds; what is no number, or too long, is refused."""
    assert world.keeper.watch({"seconds": 60})["rules"]["plan"] == Plan.WATCHED
    assert world.keeper.status()["watched_for_s"] == 60
    assert world.keeper.watch({"seconds": 0})["rules"]["plan"] == Plan.MOVING
    for seconds in (None, "60", -1, 14_401, math.inf, math.nan, True):
        with pytest.raises(InputError, match="0 to 14400"):
            world.keeper.watch({"seconds": seconds})


def test_a_disk_that_refuses_costs_the_keeping_only(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting and limits go on, and the status says that nothing is kept."""
    assert world.keeper._file is not None

    def refuse(_data: bytes) -> None:
        raise JournalError("disk full")

    monkeypatch.setattr(world.keeper._file, "write", refuse)
    world.send(10, seconds=300.0)
    assert world.used() == 10
    assert world.keeper.status()["error"] == "disk full"
    world.storage = None
    world.start()
    world.send(10, seconds=300.0)
    world.keeper.close()
    assert world.used() == 10


def test_a_damaged_state_begins_anew(world: World) -> None:
    """Said in the log and the status; a daemon does not stay down for it."""
    assert world.keeper._file is not None
    world.keeper._file.write(b"\x00nonsense")
    world.start()
    assert "no data usage" in world.keeper.status()["error"]
    world.send(10, seconds=300.0)
    assert "error" not in world.keeper.status()
    world.start()
    assert world.used() == 10


def test_other_programs_may_look(world: World) -> None:
    """What is on flash can be read beside the daemon; none yet is an empty usage."""
    world.send(10, seconds=300.0)
    assert world.storage is not None
    newest = read_usage(world.storage).newest
    assert newest is not None
    assert newest.total() == 10
    assert read_usage(MemoryStorage()).newest is None


def test_a_projection_needs_a_day(world: World) -> None:
    """At the pace since counting began, to the month's end."""
    world.send(100)
    assert world.keeper.status()["projected_used_bytes"] is None
    world.send(100, seconds=DAY)
    assert world.keeper.status()["projected_used_bytes"] == pytest.approx(200 * (1 + 11.1), rel=0.1)
