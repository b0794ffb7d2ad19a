"""From the engine's snapshots to the uplink: consent, clock, and numbers that cannot be sent."""

from __future__ import annotations

from dataclasses import replace

from outrider.app.beacons import Beacons
from outrider.app.consent import Consent
from outrider.drive.beacons import BeaconOptions
from outrider.model.beacon import Beacon
from outrider.model.record import Category
from outrider.wire.beacon import decode_beacon
from tests.support.snapshots import QUIET, S

FAST = replace(QUIET, t_us=100 * S, speed_mps=34.0, fix_t_us=100 * S, lat_deg=31.2, lon_deg=121.5)
NOW_US = 100 * S + 300_000
UTC_US = 1_790_000_000_000_000


class Clock:
    def boottime_us(self) -> int:
        return NOW_US

    def utc_us(self) -> int:
        return UTC_US

    def sleep(self, seconds: float) -> None: ...


class Uplink:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.sent: list[Beacon] = []

    def send_beacon(self, payload: bytes) -> bool:
        self.sent.append(decode_beacon(payload))
        return True


class Modem:
    def signal_dbm(self) -> int | None:
        return -101


def test_a_snapshot_becomes_a_beacon_dated_by_the_system_clock() -> None:
    """UTC of the snapshot, not of the sending; the modem's word goes along."""
    uplink = Uplink()
    Beacons(BeaconOptions(), 7, uplink, Clock(), modem=Modem()).note(FAST)
    (beacon,) = uplink.sent
    assert (beacon.lat_deg, beacon.lon_deg, beacon.signal_dbm) == (31.2, 121.5, -101)
    assert beacon.utc_us == UTC_US - 300_000
    assert beacon.boot_id == 7


def test_consent_decides_by_the_category_of_places() -> None:
    """Withheld is counted and not sent; other categories have no say."""
    uplink = Uplink()
    beacons = Beacons(BeaconOptions(), 7, uplink, Clock(), consent=Consent(frozenset({Category.LOCATION})))
    beacons.note(FAST)
    assert uplink.sent == []
    assert beacons.status() == {"on": True, "made": 0, "withheld": 1, "unfit": 0}
    other = Beacons(BeaconOptions(), 7, uplink, Clock(), consent=Consent(frozenset({Category.DRIVING})))
    other.note(FAST)
    assert len(uplink.sent) == 1


def test_emergencies_and_health_are_not_asked_for() -> None:
    """Consent withholds what is the owner's to withhold."""
    nothing = Consent(frozenset(Category))
    assert [c for c in Category if nothing.allows(c)] == [Category.SYSTEM, Category.EMERGENCY]
    assert all(Consent().allows(c) for c in Category)


def test_a_number_that_does_not_fit_costs_a_beacon_and_not_the_daemon() -> None:
    """A receiver that claims a latitude of 91 degrees."""
    uplink = Uplink()
    beacons = Beacons(BeaconOptions(), 7, uplink, Clock())
    beacons.note(replace(FAST, lat_deg=91.0))
    beacons.note(replace(FAST, t_us=105 * S, fix_t_us=105 * S))
    assert len(uplink.sent) == 1
    assert beacons.status() == {"on": True, "made": 1, "withheld": 0, "unfit": 1}


def test_stopping_says_goodbye_once() -> None:
    """An orderly end at speed; without a broker nothing is made at all."""
    uplink = Uplink()
    beacons = Beacons(BeaconOptions(), 7, uplink, Clock())
    beacons.note(FAST)
    beacons.stop()
    beacons.stop()
    assert [b.interval_s for b in uplink.sent] == [5, 0]
    alone = Beacons(BeaconOptions(), 7, None, Clock())
    alone.note(FAST)
    alone.stop()
    assert alone.status() == {"on": False, "made": 0, "withheld": 0, "unfit": 0}


def test_a_shutdown_after_the_supply_failed_is_no_goodbye() -> None:
    """The system goes down in order with its last energy: the receiver must miss this car."""
    uplink = Uplink()
    beacons = Beacons(BeaconOptions(), 7, uplink, Clock())
    beacons.note(FAST)
    beacons.supply_fails()
    beacons.stop()
    assert [b.interval_s for b in uplink.sent] == [5]
