"""What the receiver hears, as signs of life and as evidence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from outrider.ingest.watch.deadman import Cleared, CoverageMap, DeadManOptions, Vanished
from outrider.ingest.watch.vigil import KEPT_BEACONS, Vigil
from outrider.model.beacon import Beacon
from outrider.model.event import EventKind, Phase
from outrider.model.record import Category, Kind, Lane, Record, SignalSpec, SignalTable, StoredRecord, TelemetryRow
from outrider.wire.birth import Birth
from outrider.wire.bodies import encode_body, table_id
from outrider.wire.codec import Batch
from tests.support.events import EVENT

S = 1_000_000
T0 = 1_790_000_000.0
FAST = Beacon(7, 100 * S, None, 48.0, 11.0, 2.0, 34.0, 90.0, -80, 0.0, 5)
TABLE = SignalTable(
    (
        SignalSpec(1, "Vehicle.CurrentLocation.Latitude", "deg", 1e-7),
        SignalSpec(2, "Vehicle.CurrentLocation.Longitude", "deg", 1e-7),
    )
)
EAGER = DeadManOptions(threshold=0.3)


def vigil(*, threshold: float = 0.3, standing: tuple[Vanished, ...] = ()) -> Vigil:
    options = replace(EAGER, threshold=threshold)
    return Vigil(options, CoverageMap(), lambda _device, number: TABLE if number == table_id(TABLE) else None, standing)


def batch(*records: Record) -> Batch:
    stored = tuple(StoredRecord(5, 1 + n, record) for n, record in enumerate(records))
    return Batch("car", 5, records[0].lane, stored, 0)


def crash(t_us: int, boot: int = 7, kind: EventKind = EventKind.CRASH) -> Batch:
    event = replace(EVENT, kind=kind, phase=Phase.SUSPECT, t0_us=t_us, t_detect_us=t_us)
    return batch(Record(Lane.EMERGENCY, Kind.EVENT, Category.EMERGENCY, boot, t_us, encode_body(event)))


def row(t_us: int, lat: float, lon: float, boot: int = 7) -> Record:
    body = encode_body(TelemetryRow(table_id(TABLE), ((1, round(lat * 1e7)), (2, round(lon * 1e7)))))
    return Record(Lane.TELEMETRY, Kind.TELEMETRY, Category.LOCATION, boot, t_us, body)


def wait(watched: Vigil, until_s: float, start_s: float = T0) -> list[Vanished | Cleared]:
    """Ticks once a second."""
    news: list[Vanished | Cleared] = []
    t = start_s
    while t < until_s:
        t += 1.0
        news += watched.tick(t)
    return news


def test_silence_after_beacons_is_told_once() -> None:
    """With the last place and within 15 s; it is counted."""
    watched = vigil()
    watched.beacon("car", T0, FAST)
    assert watched.counters() == {"watched": 1, "vanished": 0, "returned": 0, "held": 0}
    [alarm] = wait(watched, T0 + 15)
    assert isinstance(alarm, Vanished)
    assert (alarm.device, alarm.lat_deg, alarm.lon_deg) == ("car", 48.0, 11.0)
    assert watched.counters() == {"watched": 0, "vanished": 1, "returned": 0, "held": 0}
    assert wait(watched, T0 + 60, T0 + 15) == []


def test_a_last_beacon_makes_silence_ordinary() -> None:
    """``interval_s`` 0."""
    watched = vigil()
    watched.beacon("car", T0, FAST)
    watched.beacon("car", T0 + 5, replace(FAST, t_us=105 * S, interval_s=0))
    assert wait(watched, T0 + 200, T0 + 5) == []


def strict() -> Vigil:
    """Silence alone is not enough within the first 15 s, a crash is."""
    return vigil(threshold=4.5)


def test_a_crash_of_this_drive_makes_silence_telling() -> None:
    """The same silence without one says nothing yet."""
    watched = strict()
    watched.beacon("car", T0, FAST)
    assert wait(watched, T0 + 15) == []
    watched = strict()
    watched.beacon("car", T0, FAST)
    watched.batch(crash(101 * S), T0 + 1)
    [alarm] = wait(watched, T0 + 15, T0 + 1)
    assert isinstance(alarm, Vanished)


@pytest.mark.parametrize(
    "old",
    [crash(20 * S), crash(101 * S, boot=6), crash(101 * S, kind=EventKind.HARSH_BRAKE)],
    ids=["an hour ago", "another boot", "harsh driving"],
)
def test_old_records_are_no_evidence(old: Batch) -> None:
    """Terminals deliver what they could not send before; that says nothing of this silence."""
    watched = strict()
    watched.beacon("car", T0, FAST)
    watched.batch(old, T0 + 1)
    assert wait(watched, T0 + 15, T0 + 1) == []


def test_any_message_is_a_sign_of_life() -> None:
    """Telemetry, a birth: the alarm of a car that is heard is cleared after a moment."""
    for heard in (
        lambda v, t: v.batch(batch(row(200 * S, 48.0, 11.05)), t),
        lambda v, t: v.birth(Birth("car", 1, "1", None, online=True, boot_id=8, epoch=5), t),
    ):
        watched = vigil()
        watched.beacon("car", T0, FAST)
        assert len(wait(watched, T0 + 15)) == 1
        heard(watched, T0 + 20)
        [cleared] = wait(watched, T0 + 40, T0 + 20)
        assert isinstance(cleared, Cleared)
        assert watched.counters()["returned"] == 1


def test_the_place_of_the_return_is_the_newest_of_after_the_silence() -> None:
    """What the terminal had stored before it fell silent comes first, and is no return."""
    watched = vigil()
    watched.beacon("car", T0, FAST)
    wait(watched, T0 + 15)
    watched.batch(batch(row(90 * S, 10.0, 10.0), row(150 * S, 48.0, 11.1), row(120 * S, 48.0, 11.05)), T0 + 20)
    [cleared] = wait(watched, T0 + 40, T0 + 20)
    assert isinstance(cleared, Cleared)
    assert "7.4 km" in cleared.reason
    watched = vigil()
    watched.beacon("car", T0, FAST)
    wait(watched, T0 + 15)
    watched.batch(batch(row(90 * S, 10.0, 10.0)), T0 + 20)
    [cleared] = wait(watched, T0 + 40, T0 + 20)
    assert isinstance(cleared, Cleared)
    assert " km" not in cleared.reason


def test_alarms_from_before_a_restart_stand_until_the_car_is_heard() -> None:
    """Restored, not raised anew."""
    watched = vigil()
    watched.beacon("car", T0, FAST)
    [alarm] = wait(watched, T0 + 15)
    assert isinstance(alarm, Vanished)
    again = vigil(standing=(alarm,))
    assert wait(again, T0 + 100) == []
    again.beacon("car", T0 + 100, replace(FAST, boot_id=8))
    [cleared] = wait(again, T0 + 105, T0 + 100)
    assert isinstance(cleared, Cleared)


def test_beacons_are_kept_within_bounds() -> None:
    """The last few of each terminal, and of no more terminals than the dead-man knows: the quietest goes."""
    watched = Vigil(replace(EAGER, max_devices=2), CoverageMap(), lambda _d, _n: None)
    for n in range(10):
        watched.beacon("a", T0 + n, replace(FAST, t_us=FAST.t_us + n * S))
    watched.beacon("b", T0 + 10, FAST)
    assert [h.beacon.t_us // S for h in watched.beacons("a")] == [104, 105, 106, 107, 108, 109]
    assert len(watched.beacons("a")) == KEPT_BEACONS
    watched.beacon("a", T0 + 11, replace(FAST, t_us=120 * S))
    watched.beacon("c", T0 + 12, FAST)
    assert watched.beacons("b") == ()
    changed = watched.take_changed()
    assert set(changed) == {"a", "c"}
    assert changed["a"].received_utc_s == T0 + 11
    assert watched.take_changed() == {}


def test_a_damaged_record_is_a_sign_of_life_and_no_more() -> None:
    """The store keeps it and says so; here nothing is raised."""
    watched = vigil()
    watched.beacon("car", T0, FAST)
    wait(watched, T0 + 15)
    bad = [Record(lane, kind, Category.DRIVING, 7, 200 * S, b"\xff\xff") for lane, kind in
           ((Lane.EMERGENCY, Kind.EVENT), (Lane.EMERGENCY, Kind.TELEMETRY))]  # fmt: skip
    watched.batch(batch(*bad), T0 + 20)
    assert len(wait(watched, T0 + 40, T0 + 20)) == 1


@pytest.mark.parametrize(("session", "counts"), [(1, False), (2, True)])
def test_a_late_will_says_nothing_of_the_connection_there_is(session: int, counts: bool) -> None:
    """That this connection was closed at once makes a silence ordinary; that the one before it was does not."""
    watched = strict()
    birth = Birth("car", 2, "1", None, online=True, boot_id=7, epoch=5)
    watched.birth(birth, T0)
    watched.beacon("car", T0 + 1, FAST)
    watched.batch(crash(100 * S), T0 + 1)
    watched.birth(replace(birth, session_id=session, online=False), T0 + 2)
    [alarm] = wait(watched, T0 + 60)
    assert isinstance(alarm, Vanished)
    assert ("closed at once" in " ".join(alarm.reasons)) is counts


def test_held_alarms_are_counted() -> None:
    """Ten cars fall silent at once: nobody is told, and the counter says why."""
    watched = vigil()
    for n in range(10):
        watched.beacon(f"car-{n}", T0, FAST)
    assert wait(watched, T0 + 30) == []
    assert watched.counters()["held"] > 0
