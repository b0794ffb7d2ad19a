"""Epochs, fixes and the clock out of sentences."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import pytest

from outrider.model.fix import FixType
from outrider.model.record import ClockSource
from outrider.sources.fixes import CLOCK_PERIOD_US, FixAssembler, FixReport
from outrider.sources.gnss_time import RECORDING_FLOOR
from outrider.sources.nmea import NmeaFramer, seal
from outrider.sources.stats import NmeaStats

SECOND = 1_000_000


def utc_us(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp()) * SECOND  # type: ignore[misc, arg-type]  # year .. second


@dataclass
class Receiver:
    """Sentences into an assembler; every line arrives at ``now_us``."""

    learn: bool = False
    floor: date = RECORDING_FLOOR
    stats: NmeaStats = field(default_factory=NmeaStats)
    now_us: int = SECOND
    reports: list[FixReport] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.framer = NmeaFramer(self.stats)
        self.assembler = FixAssembler(self.stats, floor=self.floor, learn=self.learn)

    def says(self, *bodies: str) -> list[FixReport]:
        got: list[FixReport] = []
        for body in bodies:
            for sentence in self.framer.feed(seal(body), self.now_us):
                got += self.assembler.feed(sentence)
        self.reports += got
        return got

    def last(self) -> FixReport:
        self.reports += self.assembler.flush()
        return self.reports[-1]

    def epoch(self, tod: str, day: str = "100326", talker: str = "GN", **changes: str) -> list[FixReport]:
        lat = changes.get("lat", "3617.5613,N")
        lon = changes.get("lon", "09718.5057,W")
        status, mode = changes.get("status", "A"), changes.get("mode", "A")
        quality = changes.get("quality", "1")
        return self.says(
            f"{talker}RMC,{tod},{status},{lat},{lon},{changes.get('knots', '10.0')},231.1,{day},,,{mode}",
            f"{talker}GGA,{tod},{lat},{lon},{quality},08,{changes.get('hdop', '1.2')},320.2,M,-26.0,M,,",
            f"{talker}GSA,A,{changes.get('gsa', '3')},8,9,27,,,,,,,,,,2.0,1.2,1.6",
        )


@pytest.mark.parametrize("talker", ["GP", "GL", "GA", "GB", "BD", "GN", "QZ", "GI", "GQ"])
def test_one_fix_with_everything_known(talker: str) -> None:
    """All talkers; position in degrees WGS-84, speed in m/s, accuracy in metres, UTC."""
    receiver = Receiver()
    receiver.epoch("225651.00", talker=talker)
    fix = receiver.last().fix
    assert fix.fix_type is FixType.FIX_3D
    assert fix.lat_deg == pytest.approx(36 + 17.5613 / 60)
    assert fix.lon_deg == pytest.approx(-(97 + 18.5057 / 60))
    assert fix.speed_mps == pytest.approx(10 * 1852 / 3600)
    assert (fix.heading_deg, fix.alt_m, fix.hdop, fix.sats) == (231.1, 320.2, 1.2, 8)
    assert fix.hacc_m == pytest.approx(1.2 * 4.0)  # HDOP * UERE
    assert fix.utc_us == utc_us(2026, 3, 10, 22, 56, 51)
    assert fix.first


def test_accuracy_comes_from_gst_where_there_is_one() -> None:
    """The receiver's own estimate beats HDOP times an assumption."""
    receiver = Receiver()
    receiver.epoch("225651.00")
    receiver.says("GNGST,225651.00,0.0,13.9,3.6,143.0,3.0,4.0,1.0")
    assert receiver.last().fix.hacc_m == pytest.approx(5.0)


def test_gst_of_zeros_says_nothing() -> None:
    """Zero standard deviation means unknown, not perfect."""
    receiver = Receiver()
    receiver.epoch("225651.00")
    receiver.says("GNGST,225651.00,0.0,0.0,0.0,0.0,0.000,0.000,0.000")
    assert receiver.last().fix.hacc_m == pytest.approx(4.8)


def test_empty_fields_are_unknown_never_zero() -> None:
    """No speed, course, altitude or HDOP given: None."""
    receiver = Receiver()
    receiver.says("GPRMC,120000.00,A,5540.3252,N,01231.2946,E,,,100326,,,A")
    fix = receiver.last().fix
    assert fix.fix_type is FixType.FIX_2D
    assert (fix.speed_mps, fix.heading_deg, fix.alt_m, fix.hdop, fix.hacc_m, fix.sats) == (*[None] * 5, 0)


def test_vtg_fills_what_rmc_left_open() -> None:
    """Speed and course from VTG when RMC has none."""
    receiver = Receiver()
    receiver.says("GPRMC,120000.00,A,5540.3252,N,01231.2946,E,,,100326,,,A", "GPVTG,93.8,T,,M,1.4,N,36.0,K,A")
    fix = receiver.last().fix
    assert (fix.speed_mps, fix.heading_deg) == (pytest.approx(10.0), 93.8)


def test_an_epoch_ends_with_the_next_one() -> None:
    """Sentences of one time of day make one fix; ZDA's time of sending does not start another."""
    receiver = Receiver()
    receiver.epoch("225651.00")
    receiver.says("GPZDA,225651.03,10,03,2026,00,00")
    assert receiver.reports == []
    receiver.epoch("225652.00")
    assert len(receiver.reports) == 1
    assert receiver.last().fix.utc_us == utc_us(2026, 3, 10, 22, 56, 52)


def test_a_live_receiver_does_not_wait_for_the_next_epoch() -> None:
    """After two epochs with the same last sentence, that sentence hands the fix on at once."""
    receiver = Receiver(learn=True)
    receiver.epoch("225651.00")
    receiver.epoch("225652.00")
    assert len(receiver.reports) == 1
    receiver.epoch("225653.00")
    assert len(receiver.reports) == 3
    assert receiver.reports[-1].fix.utc_us == utc_us(2026, 3, 10, 22, 56, 53)


def test_a_change_of_habit_is_noticed() -> None:
    """A sentence that comes after its epoch was handed on is counted, and the end of epochs learned anew."""
    receiver = Receiver(learn=True)
    for second in range(51, 55):
        receiver.epoch(f"2256{second}.00")
    receiver.says("GNGST,225654.00,0.0,13.9,3.6,143.0,3.0,4.0,1.0")
    assert receiver.stats.late == 1
    for second in range(55, 59):
        receiver.epoch(f"2256{second}.00")
        receiver.says(f"GNGST,2256{second}.00,0.0,13.9,3.6,143.0,3.0,4.0,1.0")
    assert receiver.reports[-1].fix.hacc_m == pytest.approx(5.0)
    assert receiver.stats.epochs == len(receiver.reports) == 8
    assert receiver.stats.late == 1


def test_time_of_a_fix_is_the_first_byte_of_its_first_sentence() -> None:
    """Engine time is arrival, nothing subtracted."""
    receiver = Receiver()
    receiver.now_us = 7 * SECOND
    receiver.says("GPRMC,120000.00,A,5540.3252,N,01231.2946,E,1.0,2.0,100326,,,A")
    receiver.now_us = 8 * SECOND
    receiver.says("GPGGA,120000.00,5540.3252,N,01231.2946,E,1,08,1.0,36.1,M,41.5,M,,")
    assert receiver.last().fix.t_us == 7 * SECOND


@pytest.mark.parametrize(
    "changes",
    [{"status": "V"}, {"mode": "N"}, {"quality": "0"}, {"gsa": "1"}, {"lat": ",", "lon": ","}],
    ids=["void", "mode-n", "quality-0", "gsa-1", "empty"],
)
def test_no_fix_is_a_fix_of_type_none(changes: dict[str, str]) -> None:
    """Any sentence that says there is no position is believed; nothing of the position gets out."""
    receiver = Receiver()
    receiver.epoch("225651.00", **changes)
    fix = receiver.last().fix
    assert fix.fix_type is FixType.NONE
    assert (fix.lat_deg, fix.lon_deg, fix.speed_mps, fix.hacc_m) == (None, None, None, None)
    assert receiver.stats.no_fix == 1


def test_epochs_without_any_time_are_told_apart() -> None:
    """A cold receiver says neither time nor place: the repeated sentence ends the epoch."""
    receiver = Receiver()
    for _ in range(3):
        receiver.says("GPGGA,,,,,,0,,,,M,,M,,", "GPRMC,,V,,,,,,,,,,N")
    receiver.last()
    assert len(receiver.reports) == 3
    assert {r.fix.fix_type for r in receiver.reports} == {FixType.NONE}
    assert receiver.reports[0].clock is None


def test_the_first_fix_after_a_gap_is_marked() -> None:
    """Speed and place may jump after a tunnel: one mark, then none."""
    receiver = Receiver()
    receiver.epoch("120000.00")
    receiver.epoch("120001.00")
    receiver.epoch("120002.00", status="V")
    receiver.epoch("120003.00")
    receiver.epoch("120004.00")
    receiver.last()
    assert [r.fix.first for r in receiver.reports] == [True, False, False, True, False]


def test_a_fix_after_seconds_of_silence_is_marked_too() -> None:
    """A receiver that was unplugged gives no 'no fix' in between."""
    receiver = Receiver()
    receiver.epoch("120000.00")
    receiver.now_us += 60 * SECOND
    receiver.epoch("120100.00")
    assert receiver.last().fix.first


@pytest.mark.parametrize(("mode", "quality"), [("E", "1"), ("A", "6")])
def test_dead_reckoning_says_so(mode: str, quality: str) -> None:
    """Estimated positions are usable but marked, and never set the clock."""
    receiver = Receiver()
    receiver.epoch("120000.00", mode=mode, quality=quality)
    report = receiver.last()
    assert report.fix.fix_type is FixType.DEAD_RECKONING
    assert report.clock is None
    assert receiver.stats.estimated == 1


@pytest.mark.parametrize(("mode", "quality"), [("S", "1"), ("M", "1"), ("A", "8"), ("A", "7")])
def test_a_simulated_position_is_no_position(mode: str, quality: str) -> None:
    """Simulator and manual mode must not become a place where a car was."""
    receiver = Receiver()
    receiver.epoch("120000.00", mode=mode, quality=quality)
    assert receiver.last().fix.fix_type is FixType.NONE
    assert receiver.stats.simulated == 1


@pytest.mark.parametrize("lat", ["9100.0,N", "3660.0,N", "-100.0,N", "3617.5,X", "abc,N", "3617.5,"])
def test_impossible_coordinates_are_dropped_and_counted(lat: str) -> None:
    """Out of range, 60 minutes, foreign hemisphere, no number."""
    receiver = Receiver()
    receiver.epoch("120000.00", lat=lat)
    assert receiver.last().fix.fix_type is FixType.NONE
    assert receiver.stats.bad_position == 2  # RMC and GGA


def test_zero_zero_is_suspicious() -> None:
    """Exactly 0/0 is what broken receivers say, not where cars are."""
    receiver = Receiver()
    receiver.epoch("120000.00", lat="0000.0000,N", lon="00000.0000,E")
    assert receiver.last().fix.fix_type is FixType.NONE
    assert receiver.stats.zero_position == 2


def test_a_lost_week_counter_is_put_right() -> None:
    """A live receiver that names 2006 has lost 1024 weeks: the date is moved up and counted."""
    receiver = Receiver(floor=date(2026, 1, 1))
    receiver.epoch("120000.00", day="270706")  # 2026-03-12 less 1024 weeks
    assert receiver.last().fix.utc_us == utc_us(2026, 3, 12, 12, 0, 0)
    assert receiver.stats.week_rollover == 1


def test_an_old_recording_is_left_alone() -> None:
    """2012 is a fine year for a recording."""
    receiver = Receiver()
    receiver.epoch("120000.00", day="041112")
    assert receiver.last().fix.utc_us == utc_us(2012, 11, 4, 12, 0, 0)
    assert receiver.stats.week_rollover == 0


def test_midnight_without_a_date() -> None:
    """GGA alone names no date: after 23:59:59 comes the next day."""
    receiver = Receiver()
    receiver.epoch("235959.00", day="311226")
    receiver.says("GNGGA,000000.00,3617.5613,N,09718.5057,W,1,08,1.2,320.2,M,-26.0,M,,")
    assert receiver.last().fix.utc_us == utc_us(2027, 1, 1, 0, 0, 0)
    assert receiver.stats.time_back == 0


def test_the_leap_second_is_counted_and_is_midnight() -> None:
    """23:59:60 is told as the midnight that follows, since 1970-time has no leap seconds; it stays its own epoch."""
    receiver = Receiver()
    receiver.epoch("235959.00", day="311226")
    receiver.epoch("235960.00", day="311226")
    receiver.epoch("000000.00", day="010127")
    receiver.last()
    midnight = utc_us(2027, 1, 1, 0, 0, 0)
    assert [r.fix.utc_us for r in receiver.reports] == [midnight - SECOND, midnight, midnight]
    assert (receiver.stats.leap_seconds, receiver.stats.time_back) == (1, 0)


def test_time_going_back_is_counted() -> None:
    """The receiver corrected itself: believed, and counted."""
    receiver = Receiver()
    receiver.epoch("120100.00")
    receiver.epoch("120000.00")
    receiver.last()
    assert receiver.stats.time_back == 1


def test_the_clock_is_told_once_a_minute() -> None:
    """At the first valid time and date, then every 60 s, with source and uncertainty."""
    receiver = Receiver()
    for n in range(0, 150, 10):
        receiver.now_us = SECOND + n * SECOND
        receiver.epoch(f"12{n // 60:02d}{n % 60:02d}.00")
    receiver.last()
    clocks = [r.clock for r in receiver.reports if r.clock]
    assert [t_us for t_us, _ in clocks] == [SECOND, SECOND + CLOCK_PERIOD_US, SECOND + 2 * CLOCK_PERIOD_US]
    first = clocks[0][1]
    assert first.utc_us == utc_us(2026, 3, 10, 12, 0, 0)
    assert first.source is ClockSource.GNSS
    assert 0 < first.uncertainty_us <= SECOND


def test_the_clock_is_told_at_once_when_it_moved() -> None:
    """More than 50 ms off the line: a new clock fact."""
    receiver = Receiver()
    for n, tod in enumerate(["120000.00", "120001.00", "120002.04", "120003.20"]):
        receiver.now_us = SECOND + n * SECOND
        receiver.epoch(tod)
    receiver.last()
    assert [bool(r.clock) for r in receiver.reports] == [True, False, False, True]


def test_a_battery_backed_clock_is_not_believed() -> None:
    """Before the first fix, the receiver's time is neither in the fix nor told as the clock."""
    receiver = Receiver()
    receiver.epoch("120000.00", status="V")
    report = receiver.last()
    assert (report.fix.utc_us, report.clock) == (None, None)
    assert report.epoch_utc_us == utc_us(2026, 3, 10, 12, 0, 0)


def test_unreadable_content_with_a_right_checksum_is_counted() -> None:
    """A sentence of another shape is malformed, not fatal."""
    receiver = Receiver()
    receiver.says("GPRMC,99xx", "GPGGA,256199.00,,,,,,", "GPRMC", "GPGSV,1,1,01", "GPXYZ,1")
    assert receiver.stats.malformed >= 2
    assert receiver.stats.ignored == 2


def test_several_gsa_of_one_epoch_take_the_best() -> None:
    """One GSA per constellation: the best mode counts, satellites add up where GGA is missing."""
    receiver = Receiver()
    receiver.says(
        "GNRMC,120000.00,A,5540.3252,N,01231.2946,E,1.0,2.0,100326,,,A",
        "GNGSA,A,2,01,02,,,,,,,,,,,2.0,1.5,1.6,1",
        "GNGSA,A,3,70,71,72,,,,,,,,,,2.0,1.1,1.6,2",
    )
    fix = receiver.last().fix
    assert (fix.fix_type, fix.sats, fix.hdop) == (FixType.FIX_3D, 5, 1.5)
