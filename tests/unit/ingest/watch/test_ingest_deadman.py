"""The dead-man: who is missed, who is not, what is said about it, and that hostile input does no harm."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from outrider.ingest.watch.deadman import Cleared, CoverageMap, DeadMan, DeadManOptions, Vanished
from outrider.ingest.watch.deadman_place import METRES_A_DEGREE, distance_m
from outrider.model.beacon import Beacon
from outrider.model.event import EventKind, Phase
from tests.support.events import EVENT

T0 = 1_790_000_000.0
SPEED = 34.0
QUICK = 4.0  # decades: a threshold that a road taught by 120 cars reaches in 15 s
CRASH = replace(EVENT, kind=EventKind.CRASH, phase=Phase.SUSPECT)


def beacon(at_s: float, boot: int = 1, **known: object) -> Beacon:
    """Northwards at 122 km/h from 50 N, one place for each time, whatever the day."""
    lat = 50.0 + (at_s % 500.0) * SPEED / METRES_A_DEGREE
    plain = Beacon(boot, int(at_s * 1e6), int(at_s * 1e6), lat, 8.0, 3.0, SPEED, 0.0, None, 0.1, 5)
    return replace(plain, **known)  # type: ignore[arg-type]  # fields of a beacon


class Road:
    """A dead-man that a fleet has taught one road of 17 km, beacon by beacon."""

    def __init__(self, passes: int = 120) -> None:
        self.coverage = CoverageMap()
        self.man = DeadMan(DeadManOptions(threshold=QUICK), self.coverage)
        self.t = T0
        for number in range(passes):
            self.drive(f"fleet-{number}")
            self.t += 1000.0 - self.t % 500.0

    def drive(self, device: str, seconds: float = 495.0) -> None:
        """Beacons every 5 s from ``self.t`` on, with the clock ticking; nobody is missed meanwhile."""
        end = self.t + seconds
        while self.t < end:
            self.man.beacon(device, self.t, beacon(self.t))
            assert not self.tick(5)

    def tick(self, seconds: float) -> list[Vanished | Cleared]:
        """Second by second."""
        said: list[Vanished | Cleared] = []
        for _ in range(round(seconds)):
            self.t += 1.0
            said += self.man.tick(self.t)
        return said


@pytest.fixture(scope="module")
def taught() -> bytes:
    return Road().coverage.to_bytes()


@pytest.fixture
def road(taught: bytes) -> Road:
    """The taught road, a car on it that is about to vanish at 250 s."""
    made = Road(passes=0)
    made.coverage = CoverageMap.from_bytes(taught)
    made.man = DeadMan(DeadManOptions(threshold=QUICK), made.coverage)
    made.drive("car", 250.0)
    return made


def test_silence_on_known_ground_is_missed_within_15_seconds_with_place_and_reasons(road: Road) -> None:
    """The alarm names last fix, heading and why; the likely place is ahead of the last fix, its circle holds it."""
    (alarm,) = road.tick(15)
    assert isinstance(alarm, Vanished)
    assert alarm.device == "car"
    assert alarm.raised_utc_s - alarm.since_utc_s <= 15
    assert (alarm.heading_deg, alarm.speed_mps) == (0.0, SPEED)
    assert "without a silence" in " ".join(alarm.reasons)
    place, last = alarm.place(), (alarm.lat_deg, alarm.lon_deg)
    assert place is not None
    assert last == (beacon(alarm.since_utc_s).lat_deg, 8.0)
    true = (beacon(alarm.since_utc_s + 2.0).lat_deg or 0.0, 8.0)
    assert distance_m(place, true) < alarm.place_radius_m() < 300


def test_the_search_area_grows_with_time_and_speed(road: Road) -> None:
    """Radius by speed and age, the cone opens; nothing grows beyond reason."""
    (alarm,) = road.tick(15)
    assert isinstance(alarm, Vanished)
    at = alarm.fix_utc_s
    assert alarm.radius_m(at) == pytest.approx(6.0)
    assert alarm.radius_m(at + 60) == pytest.approx(6 + 60 * SPEED)
    near, far = alarm.cone(at + 10), alarm.cone(at + 600)
    assert near[0] < far[0]
    assert near[1] < far[1] <= 60
    assert alarm.radius_m(at + 1e9) <= 100_000
    assert replace(alarm, heading_deg=None).cone(at)[1] == 180


def test_nobody_is_missed_on_ground_the_fleet_does_not_know() -> None:
    """A car alone on a new road falls silent: that is no alarm, however long."""
    road = Road(passes=0)
    road.drive("car", 250)
    assert road.tick(3000) == []


def test_a_known_hole_is_waited_out(road: Road) -> None:
    """Where silences of a minute began before, a minute is nothing; much more than ever before is something."""
    spot = road.coverage.place
    here = beacon(road.t - 5)
    from outrider.ingest.watch.deadman_place import Spot

    road.coverage.add_hole(Spot(here.lat_deg or 0, 8.0, 0.0), 60.0, passes=100)
    assert spot(Spot(here.lat_deg or 0, 8.0, 0.0), 170.0).silences == 100
    assert road.tick(100) == []


def test_a_car_that_says_goodbye_is_not_missed(road: Road) -> None:
    """A beacon with interval 0 is the last one: slow, parked or switched off."""
    road.man.beacon("car", road.t, beacon(road.t, interval_s=0, speed_mps=12.0))
    assert road.tick(3000) == []


def test_a_crash_event_before_the_silence_raises_at_once() -> None:
    """Even on unknown ground: 5 s for the next beacon and a little patience, no more."""
    road = Road(passes=0)
    road.drive("car", 250)
    road.man.crash("car", road.t, CRASH)
    (alarm,) = road.tick(10)
    assert isinstance(alarm, Vanished)
    assert alarm.raised_utc_s - alarm.since_utc_s <= 7
    assert "crash" in alarm.reasons[0]


def test_a_withdrawn_crash_is_no_evidence() -> None:
    road = Road(passes=0)
    road.drive("car", 250)
    road.man.crash("car", road.t, CRASH)
    road.man.crash("car", road.t, replace(CRASH, phase=Phase.CANCELLED))
    assert road.tick(100) == []


def test_a_crash_counts_though_the_connection_was_made_anew_before() -> None:
    """A birth after a gap says that the car is no more at speed; a crash event says that it was."""
    road = Road(passes=0)
    road.drive("car", 250)
    assert road.tick(15) == []
    road.man.birth("car", road.t)
    road.man.crash("car", road.t + 1, CRASH)
    assert [type(said) for said in road.tick(12)] == [Vanished]


def test_hard_braking_before_the_silence_raises_sooner(road: Road) -> None:
    """On known ground within 7 s; told with the deceleration."""
    road.man.beacon("car", road.t, beacon(road.t, decel_mps2=6.2))
    (alarm,) = road.tick(8)
    assert isinstance(alarm, Vanished)
    assert "6.2" in alarm.reasons[0]


def test_a_connection_closed_at_once_speaks_for_a_restart(road: Road) -> None:
    """A will right after the last sign of life: the terminal's system lived to close it. Late, it says nothing."""
    road.man.will("car", road.t + 1)
    assert road.tick(15) == []


def test_a_will_that_ran_out_changes_nothing(road: Road) -> None:
    said = road.tick(10)
    road.man.will("car", road.t + 3)  # 18 s of silence: no close
    assert [type(one) for one in said + road.tick(10)] == [Vanished]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda man, t: man.beacon("car", t, beacon(t)), "drives on"),
        (lambda man, t: man.beacon("car", t, beacon(t, interval_s=0, speed_mps=0.0)), "stands or is slow"),
        (lambda man, t: man.crash("car", t, CRASH), "tells of a crash"),
        (lambda man, t: man.seen("car", t, (50.2, 8.0)), "heard again, "),
        (lambda man, t: man.birth("car", t), "heard again"),
    ],
    ids=["drives on", "stands", "crash", "telemetry", "birth"],
)
def test_a_return_clears_the_alarm_once_and_says_what_it_is(road: Road, answer: object, words: str) -> None:
    road.tick(15)
    answer(road.man, road.t)  # type: ignore[operator]  # as above
    (cleared,) = road.tick(6)
    assert isinstance(cleared, Cleared)
    assert words in cleared.reason
    assert list(road.man.vanished()) == []


def test_a_beacon_after_a_birth_gives_the_better_story(road: Road) -> None:
    """The birth comes first on a new connection; what the beacon says is waited for."""
    road.tick(15)
    road.man.birth("car", road.t)
    assert road.tick(2) == []
    road.man.beacon("car", road.t, beacon(road.t))
    (cleared,) = road.tick(6)
    assert isinstance(cleared, Cleared)
    assert "drives on" in cleared.reason


def test_our_own_loss_of_the_broker_raises_nothing(road: Road) -> None:
    """After link_down and link_up each car counts from its next beacon."""
    road.man.link_down(road.t)
    assert road.tick(60) == []
    road.man.link_up(road.t)
    assert road.tick(600) == []
    road.drive("car", 100)
    assert [type(said) for said in road.tick(15)] == [Vanished]


def test_our_own_sleep_raises_nothing(road: Road) -> None:
    """A receiver that stood still for a minute (or a clock set forward) blames nobody."""
    road.t += 60
    assert road.tick(60) == []


def test_a_clock_set_back_stops_nothing(road: Road) -> None:
    """An hour back: silence goes on to be counted."""
    road.t -= 3600
    said = road.tick(16)
    assert [type(one) for one in said] == [Vanished]


def test_many_cars_silent_together_are_a_fault_of_the_network(taught: bytes) -> None:
    """Nobody is missed while a fifth of the fleet is silent with it; who stays silent when the others return is."""
    road = Road(passes=0)
    road.man = DeadMan(DeadManOptions(threshold=QUICK), CoverageMap.from_bytes(taught))
    names = [f"car-{i}" for i in range(10)]

    def all_drive(who: list[str], seconds: int) -> list[Vanished | Cleared]:
        said = []
        for _ in range(seconds // 5):
            for name in who:
                road.man.beacon(name, road.t, beacon(road.t))
            said += road.tick(5)
        return said

    assert all_drive(names, 100) == []
    assert all_drive(names[5:], 60) == []
    assert road.man.counters()["held"] > 0
    said = all_drive(names[1:], 20)
    assert [(type(one), one.device) for one in said] == [(Vanished, "car-0")]


def test_an_old_beacon_is_a_sign_of_life_and_no_place(road: Road) -> None:
    """A beacon that was under way for long does not move the car back."""
    old = beacon(road.t - 60)
    road.man.beacon("car", road.t, old)
    (alarm,) = road.tick(16)
    assert isinstance(alarm, Vanished)
    assert alarm.lat_deg == beacon(road.t - 21).lat_deg
    assert road.man.counters()["old_beacons"] == 1


@pytest.mark.parametrize(
    "odd",
    [
        {"lat_deg": math.nan}, {"lat_deg": 91.0}, {"lon_deg": math.inf}, {"speed_mps": math.nan},
        {"speed_mps": -1e30}, {"heading_deg": math.nan}, {"heading_deg": 1e12}, {"hacc_m": -1.0},
        {"signal_dbm": 10**9}, {"decel_mps2": math.nan}, {"interval_s": -5}, {"interval_s": 10**9},
        {"t_us": -(2**62)}, {"t_us": 2**62}, {"utc_us": 0}, {"utc_us": 2**62},
    ],
    ids=str,
)  # fmt: skip
def test_hostile_beacons_do_no_harm(road: Road, odd: dict[str, object]) -> None:
    """Whatever one terminal sends, another is missed and told as if nothing had been."""
    hostile = replace(beacon(road.t), **odd)  # type: ignore[arg-type]  # fields of a beacon
    for second in range(5):
        road.man.beacon("bad", road.t + second, replace(hostile, boot_id=second))
    said = [one for one in road.tick(20) if one.device == "car"]
    assert [type(one) for one in said] == [Vanished]
    for one in road.man.vanished():
        assert one.radius_m(road.t + 100) >= 0
        assert one.place() is None or all(math.isfinite(x) for x in one.place() or ())


@pytest.mark.parametrize("when", [math.nan, math.inf, -math.inf, -1e18])
def test_times_that_are_none_are_passed_over(road: Road, when: float) -> None:
    road.man.seen("other", when)
    road.man.tick(when)
    assert [type(one) for one in road.tick(16)] == [Vanished]


@pytest.mark.parametrize("when", [0.0, T0 + 1e9])
def test_a_clock_that_jumps_and_returns_blames_nobody(road: Road, when: float) -> None:
    """One wrong time and the right one again look like our own sleep: each car counts from its next beacon."""
    road.man.tick(when)
    assert road.tick(60) == []
    road.drive("car", 100)
    assert [type(one) for one in road.tick(16)] == [Vanished]


def test_memory_is_bounded() -> None:
    """Devices and cells beyond the bounds are forgotten, idle ones and clean ones first."""
    man = DeadMan(DeadManOptions(max_devices=50), CoverageMap(max_cells=200))
    for number in range(500):
        for step in range(3):
            at = T0 + 10 * number + step * 5
            lat = (number * 0.37) % 80
            man.beacon(f"car-{number}", at, beacon(at, lat_deg=lat + step * 0.001, interval_s=5 if step < 2 else 0))
            man.tick(at)
    counters = man.counters()
    assert counters["cars"] == 50
    assert counters["evicted"] == 450
    assert counters["cells"] <= 200


def test_an_alarm_from_before_a_restart_is_cleared_by_the_return(road: Road) -> None:
    (alarm,) = road.tick(15)
    assert isinstance(alarm, Vanished)
    man = DeadMan(DeadManOptions(threshold=QUICK), CoverageMap())
    man.restore(alarm)
    assert list(man.vanished()) == [alarm]
    man.beacon("car", road.t, beacon(road.t))
    (cleared,) = man.tick(road.t + 1)
    assert isinstance(cleared, Cleared)


def test_judging_and_branching_change_nothing(road: Road) -> None:
    """What a silence would give is asked without effect; a branch lives its own life."""
    road.tick(3)
    for _ in range(3):
        assert road.man.judgement("car", road.t + 5) is not None
    branch = road.man.branch("car")
    assert [type(one) for one in branch.tick(road.t + 10)] == [Vanished]
    assert list(road.man.vanished()) == []
    assert [type(one) for one in road.tick(12)] == [Vanished]


def test_a_network_that_fails_under_many_cars_costs_little(taught: bytes) -> None:
    """Each tick walks through the cars once, not once for each silent one: counted in looks at a car."""
    looks = 0

    class Counting(dict[str, object]):
        def values(self):  # type: ignore[no-untyped-def, override]  # counts, then as ever
            nonlocal looks
            looks += len(self)
            return super().values()

    man = DeadMan(DeadManOptions(threshold=QUICK), CoverageMap.from_bytes(taught))
    man._cars = Counting()  # type: ignore[assignment]  # the only way to see what is walked through
    for number in range(300):
        man.beacon(f"car-{number}", T0, beacon(T0))
    for second in range(1, 60):
        assert man.tick(T0 + second) == []
    assert man._counts["held"] > 1000  # counters() would walk through them
    assert looks <= 300 * 60


@pytest.mark.parametrize("delay_s", [1.1, 1.3, 0.7])
def test_rounded_times_never_stop_the_clock(delay_s: float) -> None:
    """A moment that rounds to now is put off: a tick always ends, and the alarm comes."""
    man = DeadMan(DeadManOptions(threshold=0.1, delay_s=delay_s, first_silence_s=0.0), CoverageMap())
    for step in range(40):
        at = T0 + step * 0.1
        man.beacon("car", at, beacon(at, decel_mps2=5.0))
    said = [one for step in range(300) for one in man.tick(T0 + 4 + step * 0.05)]
    assert [type(one) for one in said] == [Vanished]
