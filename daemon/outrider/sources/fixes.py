"""Sentences to fixes: one ``Fix`` per epoch with everything the receiver said about it. Pure; never raises.

Owns what an epoch is, which sentence is believed for what, and when the clock is told.

* RMC, GGA, GNS and GST name the time of day an epoch is valid for; GSA, VTG and ZDA belong to the epoch they stand in
  (ZDA carries the time of sending, which may differ by tens of milliseconds).
* ``Fix.t_us`` is the arrival of the first byte of the epoch's first sentence. The receiver's own delay (tens to
  hundreds of milliseconds) is not subtracted: it is unknown, and never later than now is worth more than a guess.
* Datum WGS-84: what NMEA 0183 receivers give unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import pynmea2

from outrider.model.fix import Fix, FixType
from outrider.model.record import ClockFix, ClockSource
from outrider.sources.gnss_time import LIVE_FLOOR, GnssCalendar
from outrider.sources.nmea import Sentence
from outrider.sources.nmea_fields import (
    DAY_US,
    KNOT_MPS,
    date_of_rmc,
    heading,
    number,
    place,
    positive,
    raw,
    time_of_day_us,
)
from outrider.sources.stats import NmeaStats

SAME_EPOCH_US: Final = 40_000  # sentences of one epoch may differ by this much; 20 Hz receivers step by 50 ms
FIRST_AFTER_US: Final = 5_000_000  # silence after which the next fix counts as a first one
CLOCK_PERIOD_US: Final = 60_000_000
CLOCK_CHANGE_US: Final = 50_000
CLOCK_UNCERTAINTY_US: Final = 300_000  # 1 sigma: a sentence leaves the receiver up to some 0.5 s after its instant
# User-equivalent range error, 1 sigma [m], by GGA quality; hacc = HDOP * UERE where the receiver gives no GST.
# 4.0 m: GPS SPS performance standard (2020), 95 % user range error of 7.8 m halved; the others are typical.
UERE_M: Final = {1: 4.0, 2: 1.5, 3: 4.0, 4: 0.05, 5: 0.4}
MAX_SPEED_MPS: Final = 515.0  # 1,000 knots: what civil receivers are allowed to report
_WANTED: Final = frozenset({"RMC", "GGA", "GNS", "GSA", "VTG", "ZDA", "GST"})
_ONCE: Final = frozenset({"RMC", "GGA", "VTG", "ZDA", "GST"})

Stamp = Callable[[int, int | None], int]


@dataclass(frozen=True, slots=True)
class FixReport:
    """What an epoch gave. ``epoch_utc_us``: its time as the receiver named it, even while it had no fix."""

    fix: Fix
    clock: tuple[int, ClockFix] | None
    epoch_utc_us: int | None


@dataclass(slots=True)
class _Epoch:
    """Sentences of one instant; ``seen`` counts them by kind."""

    t_us: int
    tod_us: int | None = None
    day: date | None = None
    zda_tod_us: int | None = None
    status: str = ""  # RMC: A, V
    mode: str = ""  # RMC or VTG: A D E F M N P R S
    quality: int | None = None  # GGA
    gsa_mode: int = 0
    gsa_sats: int = 0
    gga_place: tuple[float, float] | None = None
    rmc_place: tuple[float, float] | None = None
    alt_m: float | None = None
    speed_mps: float | None = None
    heading_deg: float | None = None
    hdop: float | None = None
    sats: int | None = None
    sigma_m: float | None = None
    seen: dict[str, int] = field(default_factory=dict)
    order: tuple[str, int] = ("", 0)  # kind and number of the last sentence


class FixAssembler:
    """Feed it sentences in order of arrival; it returns the epochs they complete.

    ``learn``: hand an epoch on with the sentence that ended the two before it, instead of waiting for the next one
    (live; a recording can wait). ``stamp``: engine time of an epoch from (arrival, UTC or None); arrival by default.
    """

    def __init__(
        self,
        stats: NmeaStats,
        *,
        floor: date = LIVE_FLOOR,
        learn: bool = True,
        stamp: Stamp | None = None,
        clock_uncertainty_us: int = CLOCK_UNCERTAINTY_US,
    ) -> None:
        self._stats = stats
        self._calendar = GnssCalendar(stats, floor)
        self._learn = learn
        self._stamp: Stamp = stamp or (lambda arrival_us, _utc_us: arrival_us)
        self._clock_uncertainty_us = clock_uncertainty_us
        self._epoch: _Epoch | None = None
        self._done_tod_us: int | None = None
        self._enders: list[tuple[str, int]] = []
        self._had_fix_us: int | None = None
        self._time_trusted = False
        self._clock: tuple[int, int] | None = None

    def feed(self, sentence: Sentence) -> list[FixReport]:
        """Epochs that this sentence ends: none or one, in a rare change of habit two."""
        if sentence.kind not in _WANTED:
            self._stats.ignored += 1
            return []
        try:
            message = pynmea2.NMEASentence.parse(sentence.text)
            tod = time_of_day_us(raw(message, "timestamp")) if "timestamp" in message.name_to_idx else None
        except (pynmea2.ParseError, ValueError):
            self._stats.malformed += 1
            return []
        reports = self._turn(sentence, tod)
        if sentence.kind != "ZDA" and tod is not None and self._is_late(tod):
            self._stats.late += 1
            self._enders.clear()
            return reports
        epoch = self._epoch = self._epoch or _Epoch(sentence.t_us)
        self._read(epoch, sentence.kind, message, tod)
        count = epoch.seen[sentence.kind] = epoch.seen.get(sentence.kind, 0) + 1
        epoch.order = (sentence.kind, count)
        if self._ends(epoch):
            reports += self.flush()
        return reports

    def flush(self) -> list[FixReport]:
        """End the current epoch: the receiver fell silent, or the file ends."""
        epoch, self._epoch = self._epoch, None
        if epoch is None or not ({"RMC", "GGA", "GNS"} & epoch.seen.keys()):
            return []
        self._done_tod_us = epoch.tod_us
        self._enders = [*self._enders[-1:], epoch.order]
        return [self._report(epoch)]

    # -- epochs ------------------------------------------------------------------------------------

    def _turn(self, sentence: Sentence, tod: int | None) -> list[FixReport]:
        """Ends the current epoch when ``sentence`` cannot belong to it."""
        epoch = self._epoch
        if epoch is None:
            return []
        if sentence.kind == "ZDA" or tod is None or epoch.tod_us is None:
            new = sentence.kind in _ONCE and sentence.kind in epoch.seen
        else:
            new = _apart(tod, epoch.tod_us)
        return self.flush() if new else []

    def _is_late(self, tod: int) -> bool:
        return self._epoch is None and self._done_tod_us is not None and not _apart(tod, self._done_tod_us)

    def _ends(self, epoch: _Epoch) -> bool:
        return self._learn and self._enders == [epoch.order, epoch.order] and epoch.tod_us is not None

    # -- reading -----------------------------------------------------------------------------------

    def _read(self, epoch: _Epoch, kind: str, message: Any, tod: int | None) -> None:
        if tod is not None and kind != "ZDA" and epoch.tod_us is None:
            epoch.tod_us = tod
        try:
            _READERS[kind](self, epoch, message, tod)
        except ValueError:
            self._stats.malformed += 1

    def _place(self, message: Any) -> tuple[float, float] | None:
        try:
            where = place(message)
        except ValueError:
            self._stats.bad_position += 1
            return None
        if where is not None and abs(where[0]) < 1e-7 and abs(where[1]) < 1e-7:
            self._stats.zero_position += 1
            return None
        return where

    def _read_rmc(self, epoch: _Epoch, message: Any, _tod: int | None) -> None:
        epoch.status = raw(message, "status")
        epoch.mode = raw(message, "mode_indicator") or epoch.mode
        epoch.rmc_place = self._place(message)
        epoch.day = self._day(lambda: date_of_rmc(raw(message, "datestamp"))) or epoch.day
        knots = number(raw(message, "spd_over_grnd"))
        if knots is not None:
            epoch.speed_mps = _speed(knots * KNOT_MPS)
        course = heading(raw(message, "true_course"))
        epoch.heading_deg = epoch.heading_deg if course is None else course

    def _read_gga(self, epoch: _Epoch, message: Any, _tod: int | None) -> None:
        epoch.gga_place = self._place(message)
        quality = number(raw(message, "gps_qual"))
        epoch.quality = 0 if quality is None else int(quality)
        epoch.hdop = positive(raw(message, "horizontal_dil")) or epoch.hdop
        sats = number(raw(message, "num_sats"))
        epoch.sats = None if sats is None else max(0, min(int(sats), 255))
        epoch.alt_m = number(raw(message, "altitude"))

    def _read_gns(self, epoch: _Epoch, message: Any, _tod: int | None) -> None:
        """GNS repeats GGA per constellation; it only fills what GGA left open."""
        if raw(message, "lat"):
            epoch.gga_place = epoch.gga_place or self._place(message)
            epoch.hdop = epoch.hdop or positive(raw(message, "hdop"))
            epoch.alt_m = number(raw(message, "altitude")) if epoch.alt_m is None else epoch.alt_m

    def _read_gsa(self, epoch: _Epoch, message: Any, _tod: int | None) -> None:
        epoch.gsa_mode = max(epoch.gsa_mode, int(number(raw(message, "mode_fix_type")) or 0))
        epoch.gsa_sats += sum(1 for n in range(1, 13) if raw(message, f"sv_id{n:02d}"))
        epoch.hdop = epoch.hdop or positive(raw(message, "hdop"))

    def _read_vtg(self, epoch: _Epoch, message: Any, _tod: int | None) -> None:
        epoch.mode = epoch.mode or raw(message, "faa_mode")
        kmh = number(raw(message, "spd_over_grnd_kmph"))
        if epoch.speed_mps is None and kmh is not None:
            epoch.speed_mps = _speed(kmh / 3.6)
        if epoch.heading_deg is None:
            epoch.heading_deg = heading(raw(message, "true_track"))

    def _read_zda(self, epoch: _Epoch, message: Any, tod: int | None) -> None:
        day, month, year = (raw(message, name) for name in ("day", "month", "year"))
        epoch.zda_tod_us = tod
        if year:
            epoch.day = epoch.day or self._day(lambda: date(int(year), int(month), int(day)))

    def _read_gst(self, epoch: _Epoch, message: Any, _tod: int | None) -> None:
        lat = number(raw(message, "std_dev_latitude"))
        lon = number(raw(message, "std_dev_longitude"))
        if lat and lon:
            epoch.sigma_m = (lat * lat + lon * lon) ** 0.5

    def _day(self, parse: Callable[[], date | None]) -> date | None:
        try:
            day = parse()
        except (ValueError, OverflowError):
            day = date.min
        if day is not None and not 1980 <= day.year < 2200:
            self._stats.bad_time += 1
            return None
        return day

    # -- reporting ---------------------------------------------------------------------------------

    def _report(self, epoch: _Epoch) -> FixReport:
        self._stats.epochs += 1
        tod = epoch.zda_tod_us if epoch.tod_us is None else epoch.tod_us
        if tod is not None and tod % 60_000_000 < 1_000_000 and tod >= DAY_US:
            self._stats.leap_seconds += 1
        epoch_utc = self._calendar.utc_us(tod, epoch.day)
        t_us = self._stamp(epoch.t_us, epoch_utc)
        where = epoch.rmc_place if epoch.gga_place is None else epoch.gga_place
        fix_type = self._fix_type(epoch) if where is not None else FixType.NONE
        self._time_trusted = self._time_trusted or fix_type >= FixType.FIX_2D
        utc = epoch_utc if self._time_trusted else None
        if fix_type is FixType.NONE or where is None:
            self._stats.no_fix += 1
            self._had_fix_us = None
            return FixReport(Fix(t_us, FixType.NONE, utc, sats=epoch.sats or 0), self._tell(t_us, None), epoch_utc)
        self._stats.fixes += 1
        first = self._had_fix_us is None or t_us - self._had_fix_us > FIRST_AFTER_US
        self._had_fix_us = t_us
        fix = Fix(
            t_us,
            fix_type,
            utc,
            where[0],
            where[1],
            epoch.alt_m,
            epoch.speed_mps,
            epoch.heading_deg,
            _accuracy_m(epoch),
            epoch.hdop,
            epoch.gsa_sats if epoch.sats is None else epoch.sats,
            first,
        )
        return FixReport(fix, self._tell(t_us, utc if fix_type >= FixType.FIX_2D else None), epoch_utc)

    def _fix_type(self, epoch: _Epoch) -> FixType:
        if epoch.status == "V" or epoch.mode == "N" or epoch.quality == 0 or epoch.gsa_mode == 1:
            return FixType.NONE
        if epoch.mode in {"M", "S"} or epoch.quality in {7, 8}:
            self._stats.simulated += 1
            return FixType.NONE
        if epoch.mode == "E" or epoch.quality == 6:
            self._stats.estimated += 1
            return FixType.DEAD_RECKONING
        if epoch.gsa_mode in {2, 3}:
            return FixType(epoch.gsa_mode)
        return FixType.FIX_3D if epoch.alt_m is not None and (epoch.sats or 0) >= 4 else FixType.FIX_2D

    def _tell(self, t_us: int, utc_us: int | None) -> tuple[int, ClockFix] | None:
        """The clock, at the first valid time and date, then once a minute or when it moved."""
        if utc_us is None:
            return None
        if self._clock is not None:
            elapsed = t_us - self._clock[0]
            if elapsed < CLOCK_PERIOD_US and abs(utc_us - self._clock[1] - elapsed) <= CLOCK_CHANGE_US:
                return None
        self._clock = (t_us, utc_us)
        return t_us, ClockFix(utc_us, self._clock_uncertainty_us, ClockSource.GNSS)


_READERS: Final[dict[str, Callable[[FixAssembler, _Epoch, Any, int | None], None]]] = {
    "RMC": FixAssembler._read_rmc,
    "GGA": FixAssembler._read_gga,
    "GNS": FixAssembler._read_gns,
    "GSA": FixAssembler._read_gsa,
    "VTG": FixAssembler._read_vtg,
    "ZDA": FixAssembler._read_zda,
    "GST": FixAssembler._read_gst,
}


def _apart(a_us: int, b_us: int) -> bool:
    distance = abs(a_us - b_us)
    if max(a_us, b_us) >= DAY_US:  # the leap second is not the midnight that follows it
        return distance > SAME_EPOCH_US
    return min(distance, abs(distance - DAY_US)) > SAME_EPOCH_US


def _speed(mps: float) -> float | None:
    return mps if 0 <= mps <= MAX_SPEED_MPS else None


def _accuracy_m(epoch: _Epoch) -> float | None:
    """1 sigma horizontal (distance root mean square): from GST, else HDOP * UERE of the fix quality."""
    if epoch.sigma_m is not None:
        return epoch.sigma_m
    uere = UERE_M.get(1 if epoch.quality is None else epoch.quality)
    return None if uere is None or epoch.hdop is None else epoch.hdop * uere
