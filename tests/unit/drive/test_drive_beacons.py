"""When a car beacons, and above all when it says that it will not any more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from outrider.drive.beacons import HOLD_US, BeaconMaker, BeaconOptions
from outrider.model.beacon import Beacon
from outrider.model.event import EventKind, Phase, Snapshot
from tests.support.events import EVENT
from tests.support.snapshots import QUIET, S, drive

FAST, SLOW = 123 / 3.6, 30 / 3.6
HERE: dict[str, object] = {"lat_deg": 31.2, "lon_deg": 121.5, "heading_deg": 93.5, "hacc_m": 2.0}


def maker(interval_s: int = 5) -> BeaconMaker:
    return BeaconMaker(BeaconOptions(60.0, interval_s), 7)


def run(beaconer: BeaconMaker, snapshots: Iterable[Snapshot]) -> list[Beacon]:
    return [beacon for snapshot in snapshots if (beacon := beaconer.update(snapshot)) is not None]


def test_a_slow_car_says_nothing() -> None:
    """City driving costs no byte."""
    assert run(maker(), drive((60, SLOW, {}), (60, 0.0, {}))) == []


def test_a_fast_car_beacons_at_once_and_then_every_interval() -> None:
    """The first at the first fast second, then one in five, each announcing the next."""
    beacons = run(maker(), drive((10, SLOW, {}), (21, FAST, {})))
    assert [b.t_us // S for b in beacons] == [21, 26, 31, 36, 41]
    assert {b.interval_s for b in beacons} == {5}
    assert {b.boot_id for b in beacons} == {7}


def test_an_interval_of_zero_turns_them_off() -> None:
    """``beacon_s = 0``."""
    assert run(maker(0), drive((60, FAST, {}))) == []


def test_slowing_down_in_order_ends_with_a_goodbye() -> None:
    """Five seconds below the speed: a last beacon says that silence is meant, says it again, and there is silence."""
    beaconer = maker()
    beacons = run(beaconer, drive((6, 64 / 3.6, {}), (120, 55 / 3.6, {})))
    assert [b.interval_s for b in beacons] == [5, 5, 0, 0]
    assert [b.t_us - 16 * S for b in beacons[-2:]] == [5 * S, 7 * S]
    assert not beaconer.is_on


def test_a_goodbye_is_not_said_again_by_a_car_that_is_fast_again_or_hit() -> None:
    """The second one would tell the receiver not to worry, just when it should."""
    fast_again = run(maker(), drive((6, FAST, {}), (6, SLOW, {}), (10, FAST, {})))
    assert [b.interval_s for b in fast_again].count(0) == 1
    beaconer = maker()
    snapshots = list(drive((6, FAST, {}), (20, SLOW, {})))
    beacons = []
    for snapshot in snapshots:
        beacon = beaconer.update(snapshot)
        if beacon is not None:
            beacons.append(beacon)
            if beacon.interval_s == 0:
                beaconer.note(replace(EVENT, kind=EventKind.CRASH, phase=Phase.SUSPECT, t_detect_us=snapshot.t_us))
    assert [b.interval_s for b in beacons].count(0) == 1


def test_around_the_speed_it_does_not_flicker() -> None:
    """A car that keeps falling below the speed for some seconds never says goodbye."""
    beacons = run(maker(), drive(*[(4, FAST, {}), (4, SLOW, {})] * 10))
    assert 0 not in {b.interval_s for b in beacons}


def test_a_car_that_stops_dead_and_is_gone_has_not_said_goodbye() -> None:
    """The very case it is for: 123 km/h, a second of standstill, then nothing more."""
    beaconer = maker()
    beacons = run(beaconer, drive((10, FAST, {}), (3, 0.0, {})))
    assert {b.interval_s for b in beacons} == {5}
    assert beaconer.is_on


def test_switched_off_while_slow_says_goodbye_at_once() -> None:
    """Ignition off means to stop; at speed it may be the crash that cut it."""
    slow = run(maker(), drive((10, FAST, {}), (1, SLOW, {"ignition": False})))
    assert slow[-1].interval_s == 0
    fast = run(maker(), drive((10, FAST, {}), (3, FAST, {"ignition": False})))
    assert {b.interval_s for b in fast} == {5}


@pytest.mark.parametrize("kind", [EventKind.CRASH, EventKind.POWER_LOST_MOVING, EventKind.BUS_LOST_MOVING])
def test_after_a_sign_of_a_crash_nobody_says_goodbye(kind: EventKind) -> None:
    """For a minute beacons go on, standing; then the goodbye of a terminal that lives."""
    beaconer = maker()
    moving, standing = list(drive((10, FAST, {}))), list(drive((10, FAST, {}), (80, 0.0, {})))[10:]
    run(beaconer, moving)
    at = moving[-1].t_us
    beaconer.note(replace(EVENT, kind=kind, phase=Phase.SUSPECT, t_detect_us=at))
    beacons = run(beaconer, standing)
    assert {b.interval_s for b in beacons if b.t_us < at + HOLD_US} == {5}
    assert beacons[-1].interval_s == 0
    assert beacons[-1].t_us >= at + HOLD_US


def test_a_shutdown_says_goodbye_but_not_after_a_sign_of_a_crash() -> None:
    """A system that goes down with the last energy of a wreck must not look like one that was parked."""
    beaconer = maker()
    assert beaconer.farewell() is None
    run(beaconer, drive((10, FAST, {})))
    beacon = beaconer.farewell()
    assert beacon is not None
    assert beacon.interval_s == 0
    assert beaconer.farewell() is None

    beaconer = maker()
    run(beaconer, drive((10, FAST, {})))
    beaconer.note(replace(EVENT, kind=EventKind.POWER_LOST_MOVING, t_detect_us=20 * S))
    assert beaconer.farewell() is None


def test_without_any_speed_it_goes_on_for_a_minute() -> None:
    """The bus fell silent: the terminal lives and says so, with the last speed it knew."""
    beacons = run(maker(), drive((10, FAST, {}), (90, None, {})))
    assert beacons[-2].interval_s == 0
    assert beacons[-2].t_us - 20 * S == 60 * S
    assert {round(b.speed_mps * 3.6) for b in beacons} == {123}


def test_braking_is_told() -> None:
    """Mean deceleration of the last second; unknown when there is no speed a second before."""
    first, last = run(maker(), drive((1, 40.0, {}), (4, 40.0, {}), (1, 32.0, {})))
    assert first.decel_mps2 is None
    assert last.decel_mps2 == pytest.approx(8.0)


def test_hard_braking_is_told_out_of_turn() -> None:
    """At the first second of it, and once in five seconds however often the foot comes back; the next beacon in turn
    follows an interval later."""
    stab = [(1, 30.0, {}), (1, 36.0, {})]
    legs = [(3, 36.0, {}), *stab, *stab, (20, 36.0, {})]
    beacons = run(maker(), drive(*legs))  # type: ignore[arg-type]  # legs of one kind
    first, braking, after = beacons[:3]
    assert (first.t_us // S, braking.t_us // S, after.t_us // S) == (11, 14, 19)
    assert braking.decel_mps2 == pytest.approx(6.0)
    assert braking.interval_s == 5


def test_an_old_fix_is_no_place() -> None:
    """In a tunnel the place is unknown, and with it what came from the same fix; its UTC still counts on."""
    fixed = [replace(s, fix_t_us=11 * S, fix_utc_us=10**15) for s in drive((6, FAST, HERE))]
    here, tunnel = run(maker(), fixed)
    assert (here.lat_deg, here.lon_deg, here.heading_deg, here.hacc_m) == (31.2, 121.5, 93.5, 2.0)
    assert (tunnel.lat_deg, tunnel.lon_deg, tunnel.heading_deg, tunnel.hacc_m) == (None, None, None, None)
    assert (here.utc_us, tunnel.utc_us) == (10**15, 10**15 + 5 * S)


def test_without_gnss_time_another_clock_is_asked() -> None:
    """And without any, UTC is unknown."""
    snapshot = replace(QUIET, t_us=10 * S, speed_mps=FAST)
    told = maker().update(snapshot, 42, -87)
    assert told is not None
    assert (told.utc_us, told.signal_dbm) == (42, -87)
    untold = maker().update(snapshot)
    assert untold is not None
    assert (untold.utc_us, untold.signal_dbm) == (None, None)
