"""NMEA sentences parse elsewhere and tell where the car really was."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import msgspec
import pynmea2
import pytest

from outrider.sim import Drive, generate, load_scenario
from outrider.sim.gnss import Solution
from outrider.sim.nmea import epoch, sentence


def parsed(drive: Drive) -> list[tuple[int, pynmea2.NMEASentence]]:
    return [(t, pynmea2.parse(line.decode().strip(), check=True)) for t, line in drive.sentences()]


def metres(a: tuple[float, float], b: tuple[float, float]) -> float:
    north = math.radians(a[0] - b[0]) * 6_371_000.0
    east = math.radians(a[1] - b[1]) * 6_371_000.0 * math.cos(math.radians(a[0]))
    return math.hypot(north, east)


def true_place(drive: Drive, t: float) -> tuple[float, float]:
    profile = drive.truth()["profile"]
    i = min(int(t), len(profile["t_s"]) - 1)
    return profile["lat_deg"][i], profile["lon_deg"][i]


def test_every_sentence_parses_and_comes_after_its_instant(short: Drive) -> None:
    """Five sentences an epoch, checksums right, arrival later than the instant and in order."""
    items = parsed(short)
    kinds = [item.sentence_type for _t, item in items]
    assert kinds[:5] == ["RMC", "VTG", "GGA", "GSA", "GST"]
    assert len(items) == 5 * (int(short.duration_s) + 1)
    assert [t for t, _ in items] == sorted(t for t, _ in items)
    for t, item in items:
        if item.sentence_type == "RMC":
            at = datetime.combine(item.datestamp, item.timestamp.replace(tzinfo=UTC))
            assert 50_000 < t - at.timestamp() * 1e6 < 300_000


def test_places_and_speeds_are_true_within_the_stated_accuracy(city_crash: Drive) -> None:
    """Position error within 4 sigma of GST plus the drive's curvature; mean below 6 m; speed within 1 km/h mostly."""
    truth = city_crash.truth()["profile"]
    lat, lon, speed = truth["lat_deg"], truth["lon_deg"], truth["speed_kmh"]
    errors, speeds, sigma = [], [], 99.0
    pending: tuple[float, float] | None = None
    second = 0
    for t, item in parsed(city_crash):
        if item.sentence_type == "RMC":
            second = int((t - city_crash.start_us) / 1e6)
            pending = (item.latitude, item.longitude) if item.status == "A" else None
            if item.status == "A" and second < len(speed):
                speeds.append(abs(item.spd_over_grnd * 1.852 - speed[second]))
        elif item.sentence_type == "GST" and pending is not None and second < len(lat):
            sigma = float(item.std_dev_latitude)
            error = metres(pending, (lat[second], lon[second]))
            errors.append(error)
            assert error < 5.5 * sigma + 4.0
    assert len(errors) > 600
    assert 0.5 < sum(errors) / len(errors) < 6.0
    assert sorted(speeds)[int(0.9 * len(speeds))] < 1.0


def test_tunnel_takes_the_fix_and_gives_it_back(city_crash: Drive) -> None:
    """Inside no fix after a moment; outside a new one after the receiver's time, worse at first."""
    (tunnel,) = city_crash.truth()["tunnels"]
    assert 35.0 < tunnel["end_s"] - tunnel["begin_s"] < 48.0
    status, hdop = {}, {}
    for t, item in parsed(city_crash):
        second = int((t - city_crash.start_us) / 1e6)
        if item.sentence_type == "RMC":
            status[second] = item.status
        if item.sentence_type == "GGA" and item.gps_qual:
            hdop[second] = float(item.horizontal_dil)
    for second in range(int(tunnel["begin_s"]) + 3, int(tunnel["end_s"]) + 1):
        assert status[second] == "V"
    back = min(s for s in status if s > tunnel["end_s"] and status[s] == "A")
    assert 2.0 < back - tunnel["end_s"] < 6.0
    assert hdop[back] > 1.5 * hdop[back + 40]


def test_no_fix_before_the_first_one(short: Drive) -> None:
    """Until the first fix: status V, quality 0, empty fields."""
    for t, item in parsed(short):
        if (t - short.start_us) / 1e6 < 4.9:
            if item.sentence_type == "RMC":
                assert item.status == "V"
                assert item.lat == ""
            if item.sentence_type == "GGA":
                assert item.gps_qual == 0


def test_standing_car_has_no_course(short: Drive) -> None:
    """Course over ground is empty at standstill and within 10 degrees of the truth at speed."""
    c = short.track.columns
    compared = 0
    for t, item in parsed(short):
        if item.sentence_type != "RMC" or item.status != "A":
            continue
        row = short.track.row_at(int((t - short.start_us) / 1e6))
        if c["v"][row] == 0.0:
            assert item.true_course is None
        elif c["v"][row] > 6.0:
            wanted = (90.0 - math.degrees(c["course"][row])) % 360.0
            assert abs((item.true_course - wanted + 180.0) % 360.0 - 180.0) < 10.0
            compared += 1
    assert compared > 15


def test_five_hertz_receiver() -> None:
    """gnss.rate_hz = 5: epochs every 200 ms."""
    scenario = load_scenario("short")
    fast = msgspec.structs.replace(scenario, gnss=msgspec.structs.replace(scenario.gnss, rate_hz=5))
    times = [item.timestamp for _t, item in parsed(generate(fast, 1)) if item.sentence_type == "RMC"]
    assert [t.microsecond for t in times[:6]] == [0, 200_000, 400_000, 600_000, 800_000, 0]


def test_minutes_carry_into_degrees() -> None:
    """59.999999 minutes print as the next degree, not as 60 minutes."""
    solution = Solution(0.0, 3, lat_deg=47.99999999, lon_deg=-0.00000001, sats=(1, 2, 3, 4, 5), hdop=1.0)
    lines = epoch(solution, datetime(2026, 1, 1, tzinfo=UTC))
    assert b",4800.00000,N,00000.00000,W," in lines[0]


def test_checksum_by_hand() -> None:
    """'A' exclusive-or 'B' is 03."""
    assert sentence("AB") == b"$AB*03\r\n"


@pytest.mark.parametrize("name", ["lost-at-123"])
def test_receiver_falls_silent_with_everything_else(lost: Drive, name: str) -> None:
    """No epoch after the moment of silence."""
    (event,) = [e for e in lost.truth()["events"] if e["kind"] == "silence"]
    epochs = [item.timestamp for _t, item in parsed(lost) if item.sentence_type == "RMC"]
    assert len(epochs) == int(event["t0_s"]) + 1
