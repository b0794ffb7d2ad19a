"""A year of a commuter's car, accelerated: truth on one side, the receiver's store on the other.

``Year(seed, days).run()`` drives, loses coverage, power and flash, and at the end lets everything be delivered;
``check`` demands that the store holds the truth less the gaps that were declared, by hash.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from outrider.model.event import CrashEvidence, Event
from outrider.model.notice import Notice
from outrider.model.record import Gap, GapReason, Kind, Lane
from outrider.record.emergency_cap import CapOptions
from outrider.record.options import JournalOptions
from outrider.wire.bodies import decode_body
from tests.support.year_car import DAY_S, SECOND_US, Car, Outing, outings
from tests.support.year_link import DEVICE, Link, Station
from tests.support.year_terminal import PowerCutError, Terminal

NEW_YEAR_UTC_US: Final = 1_798_761_600_000_000
LINK_EVERY_S: Final = 5
AFTER_RUN_S: Final = 300  # the terminal stays on so long for what is still to be sent
KIB: Final = 1024
NOTHING: Final = CrashEvidence(0)
Digest = dict[tuple[int, Lane], tuple[int, str]]
SMALL: Final = JournalOptions.sized(
    telemetry_segment_bytes=64 * KIB, quota_bytes=6 * KIB * KIB, evidence_reserve_bytes=256 * KIB
)


@dataclass(frozen=True, slots=True)
class Misfortune:
    """What goes wrong on a day: no link at all, a receiver that is down, a disk that others have filled."""

    no_link: bool = False
    receiver_down: bool = False
    disk_full: bool = False


def misfortunes(day: int) -> Misfortune:
    """Weeks without a link (a SIM card that is not paid, a holiday abroad), receivers down for days, a full disk."""
    return Misfortune(
        no_link=35 <= day < 56 or 210 <= day < 240 or day % 50 == 20,
        receiver_down=day % 61 in (30, 31) or 300 <= day < 304,
        disk_full=120 <= day < 124 or day % 97 == 6,
    )


@dataclass
class Verdict:
    """What the comparison found. wrong: sentences, none when all is as it must be."""

    truth: Digest
    store: Digest
    gaps: Counter[str] = field(default_factory=Counter)
    stored: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


class Year:
    """database: where the receiver stores. shortened: trips last this share of their time."""

    def __init__(
        self,
        seed: int,
        database: Path,
        *,
        first_day: int = 0,
        days: int = 365,
        shortened: float = 1.0,
        options: JournalOptions = SMALL,
        misfortunes: Callable[[int], Misfortune] = misfortunes,
    ) -> None:
        self._rng = Random(seed)
        self._plan = list(outings(Random(f"{seed}/plan"), first_day, days, shortened))
        self._misfortunes = misfortunes
        self.days = days
        self.station = Station(database)
        self.terminal = Terminal(options, CapOptions(), self._rng)
        self.counters: Counter[str] = Counter()
        self._link: Link | None = None

    # -- driving -------------------------------------------------------------------------------------

    def run(self, on_day: Callable[[int], None] = lambda _day: None) -> None:
        day = -1
        for outing in self._plan:
            if outing.day != day:
                day = outing.day
                self._dawn(day)
                on_day(day)
            self._drive(outing)
        self._deliver_all()

    def _dawn(self, day: int) -> None:
        today = self._misfortunes(day)
        self.station.up = not today.receiver_down
        if self._rng.random() < 0.02:
            self.station.kill_broker()
            self.counters["brokers killed"] += 1
        used = sum(len(data) for data in self.terminal.storage.files().values())
        self.terminal.storage.capacity = used + 96 * KIB if today.disk_full else None
        for what, happens in (
            ("days without a link", today.no_link),
            ("days with the receiver down", today.receiver_down),
            ("days with a full disk", today.disk_full),
        ):
            self.counters[what] += happens

    def _drive(self, outing: Outing) -> None:
        utc_us = NEW_YEAR_UTC_US + (outing.day * DAY_S + outing.start_s) * SECOND_US
        car = Car(Random(self._rng.getrandbits(64)), outing, utc_us)
        cut_s = self._rng.randrange(1, outing.seconds) if self._rng.random() < 0.15 else None
        self.counters["trips"] += 1
        self.counters["seconds driven"] += outing.seconds
        self.counters["accidents"] += outing.crash_s is not None
        self.counters["starts with a wrong clock"] += outing.clock_error_s != 0.0
        try:
            self._start(car)
            for second in range(outing.seconds):
                if second == cut_s:
                    self.terminal.storage.cut_after = self._rng.randrange(6)
                self._second(car, outing, second, utc_us)
            self.terminal.give(car.ends())
            self._after_run(car, outing, utc_us)
            self.terminal.off()
        except PowerCutError:
            self.terminal.cut()

    def _start(self, car: Car) -> None:
        while True:
            try:
                self.terminal.on(car.boot_id)
                break
            except PowerCutError:
                self.terminal.cut()
        self._link = Link(self.terminal.journal, self.station, Random(self._rng.getrandbits(64)))
        self.terminal.give(car.starts())

    def _second(self, car: Car, outing: Outing, second: int, utc_us: int) -> None:
        self.terminal.give(car.second())
        self.terminal.second(moving=True)
        if second % LINK_EVERY_S == 0:
            self._exchange(car.t_us, utc_us + second * SECOND_US, covered=self._covered(outing, second))

    def _covered(self, outing: Outing, second: int) -> bool:
        """Not in the underground car park at either end of a trip to work, nor in dead spots along the way."""
        if self._misfortunes(outing.day).no_link:
            return False
        parked = outing.day % 7 < 5 and (second < 60 if outing.start_s > 12 * 3600 else second > outing.seconds - 90)
        return not parked and (second // 120 + outing.day) % 11 != 0

    def _exchange(self, t_us: int, utc_us: int, *, covered: bool) -> bool:
        assert self._link is not None
        if not covered:
            self._link.lose()
            return False
        return self._link.turn(t_us, utc_us)

    def _after_run(self, car: Car, outing: Outing, utc_us: int) -> None:
        covered = self._covered(outing, outing.seconds)
        for extra in range(0, AFTER_RUN_S, LINK_EVERY_S):
            t_us = car.t_us + extra * SECOND_US
            moved = self._exchange(t_us, utc_us + (outing.seconds + extra) * SECOND_US, covered=covered)
            self.terminal.second(moving=False)
            if not moved:
                break
        assert self._link is not None
        self.counters.update(self._link.counters)

    def _deliver_all(self) -> None:
        """The year is over: a last start with coverage and a receiver that runs, until nothing waits."""
        self.station.up = True
        self.terminal.storage.capacity = None
        day = (self._plan[-1].day if self._plan else 0) + 1
        outing = Outing(day, 0, 1)
        car = Car(Random(self._rng.getrandbits(64)), outing, NEW_YEAR_UTC_US + day * DAY_S * SECOND_US)
        self._start(car)
        assert self._link is not None
        for turn in range(1_000_000):
            self.terminal.second(moving=True)
            t_us = car.t_us + turn * 20 * SECOND_US
            self._link.turn(t_us, NEW_YEAR_UTC_US + day * DAY_S * SECOND_US + t_us)
            if not self.terminal.journal.streams():
                break
        self.counters.update(self._link.counters)
        self.terminal.off()

    # -- the comparison ------------------------------------------------------------------------------

    def check(self) -> Verdict:
        declared = _declared(self.station)
        promised = self.terminal.account.promised
        verdict = Verdict({}, {})
        held = _held(self.station, verdict)
        for stream in sorted({*promised, *held}):
            truth, stored = promised.get(stream, {}), held.get(stream, {})
            gone = _numbers(declared.get(stream, []), truth)
            absent = gone.keys() - stored.keys()
            verdict.truth[stream] = _digest(each for each in sorted(truth.items()) if each[0] not in absent)
            verdict.store[stream] = _digest(sorted(stored.items()))
            for reason in gone.values():
                verdict.gaps[reason] += 1
            if verdict.truth[stream] != verdict.store[stream]:
                verdict.wrong.append(_difference(stream, truth, stored, gone))
            if stream[1] in (Lane.EMERGENCY, Lane.LEDGER) and len(stored) != len(truth):
                verdict.wrong.append(f"{stream[1].name}: {len(stored)} of {len(truth)} arrived")
        for reason in verdict.gaps:
            if reason not in ("quota", "thinned", "full"):
                verdict.wrong.append(f"a gap for reason {reason}, which nothing here can cause")
        self._check_counts(verdict)
        return verdict

    def _check_counts(self, verdict: Verdict) -> None:
        if self.station.counters["conflicts"] or self.station.store.letter_count():
            verdict.wrong.append("the receiver found conflicts or dead letters")
        counters = self.terminal.counters
        for what in ("quarantined", "epochs_ended"):
            if counters[what]:
                verdict.wrong.append(f"{what}: {counters[what]}, though a power cut damages nothing")
        told = _told(self.terminal.account.notices)
        if not counters["held_back_and_stopped"] <= told <= counters["held_back"]:
            verdict.wrong.append(f"{counters['held_back']} emergencies held back, {told} told")

    def table(self, verdict: Verdict) -> str:
        """For a person."""
        account, terminal, station = self.terminal.account, self.terminal.counters, self.station.counters
        rows = [
            ("days", self.days),
            *self.counters.items(),
            ("power cuts", terminal["power cuts"]),
            ("records made", sum(account.made.values())),
            ("  held back by the cap (emergencies)", terminal["held_back"]),
            ("  in memory when the power went", sum(account.cut_off.values())),
            ("  durable, and so promised", sum(map(len, account.promised.values()))),
            *((f"  declared as gaps: {reason}", n) for reason, n in sorted(verdict.gaps.items())),
            ("records in the receiver's store", sum(verdict.stored.values())),
            *((f"  lane {lane}", n) for lane, n in sorted(verdict.stored.items())),
            ("messages stored", station["messages"]),
            ("duplicates refused", station["duplicates"]),
            ("conflicts", station["conflicts"]),
            ("messages lost in killed brokers", station["messages_lost_in_broker"]),
            ("segments packed or thinned", terminal["segments_rewritten"]),
            ("bytes written to flash", self.terminal.storage.written),
        ]
        width = max(len(name) for name, _n in rows)
        lines = [f"{name.ljust(width)}  {n:>14,}" for name, n in rows]
        seal = hashlib.sha256(repr(sorted(verdict.store.items())).encode()).hexdigest()[:16]
        answer = "no" if verdict.wrong else "yes"
        lines.append(f"{'store = truth less declared gaps'.ljust(width)}  {answer:>14}  SHA-256 {seal}")
        return "\n".join(lines + verdict.wrong)


def _declared(station: Station) -> dict[tuple[int, Lane], list[tuple[int, int, str]]]:
    out: dict[tuple[int, Lane], list[tuple[int, int, str]]] = {}
    for gap in station.store.gaps(DEVICE):
        out.setdefault((gap.stream.epoch, gap.stream.lane), []).append((gap.first_seq, gap.last_seq, gap.reason))
    return out


def _held(station: Station, verdict: Verdict) -> dict[tuple[int, Lane], dict[int, bytes]]:
    """Digests of what the receiver stored, but for the GAP records of the journal's own making."""
    held: dict[tuple[int, Lane], dict[int, bytes]] = {}
    for stored in station.store.records(DEVICE):
        if stored.record.kind == Kind.GAP and isinstance(decode_body(Kind.GAP, stored.record.body), Gap):
            continue
        held.setdefault((stored.epoch, stored.record.lane), {})[stored.seq] = stored.digest()
        verdict.stored[stored.record.lane.name.lower()] += 1
    return held


def _numbers(declared: list[tuple[int, int, str]], truth: dict[int, bytes]) -> dict[int, str]:
    """Number -> why it is gone; of several reasons the mildest, which came first."""
    gone: dict[int, str] = {}
    thinned = GapReason.THINNED.name.lower()
    for kind in sorted({reason for _first, _last, reason in declared}, key=lambda reason: reason == thinned):
        at = 0
        for first, last, reason in sorted(declared):
            if reason == kind:
                gone.update((seq, kind) for seq in range(max(first, at), last + 1) if seq in truth)
                at = max(at, last + 1)
    return gone


def _digest(items: Iterator[tuple[int, bytes]] | list[tuple[int, bytes]]) -> tuple[int, str]:
    total, count = hashlib.sha256(), 0
    for seq, digest in items:
        total.update(seq.to_bytes(8, "big") + digest)
        count += 1
    return count, total.hexdigest()


def _difference(
    stream: tuple[int, Lane], truth: dict[int, bytes], stored: dict[int, bytes], gone: dict[int, str]
) -> str:
    lost = [seq for seq in truth if seq not in stored and seq not in gone]
    strange = [seq for seq, digest in stored.items() if truth.get(seq) != digest]
    missing = f"missing and not declared {lost[:5]} ({len(lost)})"
    return f"{stream[1].name}: {missing}, never made {strange[:5]} ({len(strange)})"


def _told(notices: list[Notice]) -> int:
    """Emergencies held back, as the notices tell: each tells those since its first."""
    most: dict[tuple[str, ...], int] = {}
    for notice in notices:
        detail = dict(notice.detail)
        key = (detail["kind"], detail["first_boot_id"], detail["first_t_us"])
        most[key] = max(most.get(key, 0), int(detail["held_back_events"]))
    return sum(most.values())


def emergencies(station: Station, evidence: CrashEvidence = NOTHING) -> set[tuple[int, int]]:
    """(boot id, number) of the accidents of which something was stored, with this evidence among others."""
    found = set()
    for stored in station.store.records(DEVICE, lane=Lane.EMERGENCY):
        body = decode_body(stored.record.kind, stored.record.body)
        if isinstance(body, Event) and evidence in body.evidence:
            found.add((stored.record.boot_id, body.seq))
    return found
