"""The receiver's plug, its line, and the wall clock. Promise: event times are engine time, which nothing moves; clock
records tell the truth, and the fleet resolves UTC with them; a bad line costs sentences, never a wrong position."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hil.conftest import MakeTerminal
from hil.rig.can import Vcan
from hil.rig.car import START, UTC_START, Car
from hil.rig.faults import AntennaOff, ClockStep, GnssUnplugged, during
from hil.rig.fleet import clocks, durable, missing, utc_of_records
from hil.rig.gnss import GnssPty
from hil.rig.resources import clock_missing, need
from hil.rig.terminal import Terminal
from hil.rig.unix_bus import UnixBus, any_bus, section
from outrider.app.boot_io import EARLIEST_UTC_US
from outrider.model.record import ClockSource, Kind
from outrider.sim.nmea import sentence
from tests.support.broker import Broker
from tests.support.terminal import ReceiverProcess

QUICK_UPLINK = {"batch_records": 5, "batch_age_s": 1.0, "keepalive_s": 5}
UTC_TOLERANCE_US = 2_000_000  # the serial line, and a guest that is busy
MAX_ROW_GAP_US = 10_000_000


@pytest.fixture
def bus(request: pytest.FixtureRequest, tmp_path: Path) -> Vcan | UnixBus:
    """Where the car's frames come from."""
    return any_bus(request, tmp_path)


@pytest.fixture
def car(bus: Vcan | UnixBus, gnss_pty: GnssPty) -> Iterator[Car]:
    """Not yet driving; with a receiver."""
    made = Car(bus, gnss_pty)
    yield made
    made.stop()


def gnss(box: Terminal) -> dict[str, Any]:
    """State and counters of the receiver's source."""
    return next(source for source in box.status()["sources"] if source["name"].startswith("gnss:"))


def positions(records: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """Latitude and longitude of the telemetry rows that have them."""
    found = []
    for record in records:
        signals = record["content"].get("signals", {}) if record["kind"] == "telemetry" else {}
        lat = signals.get("Vehicle.CurrentLocation.Latitude")
        lon = signals.get("Vehicle.CurrentLocation.Longitude")
        if lat is not None and lon is not None:
            found.append((lat, lon))
    return found


def test_unplugged_and_back(gnss_pty: GnssPty, terminal: MakeTerminal, bus: Vcan | UnixBus, car: Car) -> None:
    """Pulled out in mid-drive: named at once, the rest of the drive goes on; plugged in, positions come back."""
    box = terminal(can=[section(bus)], gnss=gnss_pty.device)
    box.expect_log(r"WARNING outrider\.sources\.live_io: gnss:")
    car.start()
    box.wait("fixes", lambda: gnss(box).get("fixes", 0) >= 3)
    with during(GnssUnplugged(gnss_pty)):
        box.wait("it is down", lambda: gnss(box)["state"] == "down")
        assert gnss(box)["error"]
        rows = durable(box.status()).get("telemetry", 0)
        box.wait("the drive goes on", lambda: durable(box.status()).get("telemetry", 0) >= rows + 3)
        seen = gnss(box)["fixes"]
    box.wait("fixes again", lambda: gnss(box).get("fixes", 0) >= seen + 3, 60.0)
    assert gnss(box)["state"] == "up"


def test_no_sky(gnss_pty: GnssPty, terminal: MakeTerminal, bus: Vcan | UnixBus, car: Car) -> None:
    """A tunnel: the receiver is up, epochs come without a position, the drive goes on, positions come back."""
    box = terminal(can=[section(bus)], gnss=gnss_pty.device)
    car.start()
    box.wait("fixes", lambda: gnss(box).get("fixes", 0) >= 2)
    with during(AntennaOff(car)):
        box.wait("epochs without a position", lambda: gnss(box).get("nmea_no_fix", 0) >= 3)
        fixes, state = gnss(box)["fixes"], gnss(box)["state"]
        assert state == "up"
    box.wait("fixes again", lambda: gnss(box)["fixes"] >= fixes + 2)


def test_a_bad_line(terminal: MakeTerminal, bus: Vcan | UnixBus, gnss_pty: GnssPty, car: Car) -> None:
    """Noise at 115200, sentences cut, wrong checksums, foreign positions damaged: counted, never believed."""
    box = terminal(can=[section(bus)], gnss=gnss_pty.device)
    box.tolerate("malformed")
    car.start()
    box.wait("fixes", lambda: gnss(box).get("fixes", 0) >= 2)
    rng = random.Random(3)
    elsewhere = sentence("GNGGA,063000.00,0101.00000,N,00202.00000,E,1,08,0.90,10.0,M,47.2,M,,")
    wrong = [
        rng.randbytes(3000),  # noise, with dollar signs and line ends in it
        elsewhere[:30] + b"\r\n",  # cut off
        elsewhere.replace(b"0101", b"0102", 1),  # damaged: the checksum says so
        elsewhere[:20],  # cut off by what comes next
        b"$" + b"G" * 400 + b"\r\n",  # endless
        sentence("GNGGA,063000.00,9999.00000,N,99999.00000,E,1,08,0.90,10.0,M,47.2,M,,"),  # whole, and impossible
    ]
    for data in wrong * 3:
        gnss_pty.says(data)
    before = gnss(box)["fixes"]
    box.wait("fixes go on", lambda: gnss(box)["fixes"] >= before + 3)
    state = gnss(box)
    for counter in ("nmea_garbage_bytes", "nmea_checksum_errors", "nmea_half_lines", "nmea_overlong"):
        assert state.get(counter, 0) > 0, (counter, state)
    assert state["state"] == "up"
    assert box.stop() == 0
    places = positions(box.records())
    assert places
    for lat, lon in places:
        assert START[0] - 0.001 < lat < START[0] + 0.05, (lat, lon)
        assert abs(lon - START[1]) < 0.001, (lat, lon)


def boottime_us() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def drive_through_steps(box: Terminal, car: Car) -> int:
    """From 1970 to now, an hour on, an hour back, each in mid-drive. Boot time at which the car's second 0 was."""
    with during(ClockStep("1970, as on a board without a clock", 86_400.0)):
        box.start()
        began = boottime_us()
        car.start()
        box.wait("it drives in 1970", lambda: durable(box.status()).get("telemetry", 0) >= 3)
    for step in (3600.0, -3600.0):
        rows = durable(box.status())["telemetry"]
        with during(ClockStep.by(step)):
            box.wait("it drives on", lambda: durable(box.status())["telemetry"] >= rows + 3)  # noqa: B023  waited here
    car.bags()
    box.wait("the crash is on flash", lambda: durable(box.status()).get("emergency", 0) >= 1)
    return began


def test_the_wall_clock_is_set(  # noqa: PLR0917  fixtures
    gnss_pty: GnssPty, terminal: MakeTerminal, bus: Vcan | UnixBus, car: Car, broker: Broker, receiver: ReceiverProcess
) -> None:
    """1970 to now, +1 h, -1 h: no record moves, none is stamped 1970, and the fleet has the true time of each."""
    need(clock_missing())
    box = terminal(
        start=False, can=[section(bus)], gnss=gnss_pty.device, broker_port=broker.port, config={"uplink": QUICK_UPLINK}
    )
    started = boottime_us()
    began = drive_through_steps(box, car)
    status = box.status()
    box.wait("everything is with the fleet", lambda: not missing(status, receiver), 60.0)
    assert sum(source.get("clock_steps", 0) for source in status["sources"]) >= 3, status["sources"]
    ended = boottime_us()
    true_utc_us = round(UTC_START.timestamp() * 1e6) - began  # UTC by the satellites = boot time + this
    resolved = utc_of_records(receiver)
    assert {kind for kind, *_rest in resolved} >= {Kind.TELEMETRY, Kind.EVENT}
    assert all(started <= t_us <= ended for _kind, t_us, *_rest in resolved)
    check_rows([t_us for kind, t_us, *_rest in resolved if kind == Kind.TELEMETRY])
    check_clocks(clocks(receiver), true_utc_us)
    for kind, t_us, utc_us, _sigma in resolved:
        assert abs(utc_us - (t_us + true_utc_us)) < UTC_TOLERANCE_US, (Kind(kind).name, t_us, utc_us)


def check_rows(times: list[int]) -> None:
    """One after the other, without a leap of an hour."""
    assert len(times) >= 9
    assert all(0 < later - earlier < MAX_ROW_GAP_US for earlier, later in pairwise(times)), times


def check_clocks(found: list[tuple[int, int, int]], true_utc_us: int) -> None:
    """What the satellites said is right; what an unset system clock says is never told."""
    by_gnss = [(t_us, utc_us) for t_us, utc_us, source in found if source == ClockSource.GNSS]
    assert by_gnss, found
    for t_us, utc_us in by_gnss:
        assert abs(utc_us - (t_us + true_utc_us)) < UTC_TOLERANCE_US, (t_us, utc_us)
    assert all(utc_us > EARLIEST_UTC_US for _t_us, utc_us, _source in found), found
