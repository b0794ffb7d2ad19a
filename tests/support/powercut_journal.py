"""The journal under power cuts: the demands on any state of the disk after any cut of a workload.

Demands: the journal opens; each committed record is there with its content unless it was acknowledged or given up for
space; nothing is there that was never appended; every number is a record or named by a gap that has a reason; no file
is set aside and no epoch ends, since a power cut alone damages nothing that was promised; the small states beside it
hold what was written last; it can append and commit again, under numbers that mean nothing else; and all of that again
after further cuts, in the recovery too.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field

from outrider.model.record import Category, Gap, GapReason, Kind, Lane, Record, StoredRecord
from outrider.ports import Storage
from outrider.record.blackbox_io import BlackBoxFile
from outrider.record.hole import first_number
from outrider.record.journal import Journal, JournalOptions
from outrider.record.mounting import KeptMounting, MountingFile
from outrider.record.storage_memory import MemoryStorage
from outrider.wire.bodies import decode_body
from tests.support.powercut import SHAPES, Disk, Shape
from tests.support.powercut_history import History, Place, StreamKey
from tests.support.powercut_work import any_mounting, any_page, given_up


class ViolationError(AssertionError):
    """A demand was not met: what, and after which cut."""


def demand(truth: bool, what: str) -> None:
    if not truth:
        raise ViolationError(what)


@dataclass
class Promises:
    """What must be true at a moment. epoch: None = a new one may have begun. given_up, lost: numbers up to which
    retention took records, and up to which nothing tells any more what became of them, by stream. thinned:
    telemetry may have been."""

    epoch: int | None
    due: dict[Place, Record]
    known: dict[Place, list[Record]]
    acknowledged: Mapping[StreamKey, int]
    given_up: dict[StreamKey, int]
    lost: dict[StreamKey, int] = field(default_factory=dict)
    thinned: bool = False
    mountings: list[KeptMounting | None] = field(default_factory=lambda: [None])
    pages: list[bytes | None] = field(default_factory=lambda: [None])


def promised(history: History, done: int) -> Promises:
    """After the first ``done`` operations."""
    known: dict[Place, list[Record]] = defaultdict(list)
    for place, records in history.appended.items():
        known[place] = [record for at, record in records if at <= done]
    acknowledged: Counter[StreamKey] = Counter()
    for at, epoch, lane, up_to in history.acknowledged:
        if at <= done:
            acknowledged[epoch, lane] = max(acknowledged[epoch, lane], up_to)
    given: Counter[StreamKey] = Counter()
    for begun, key, last in history.evicted:
        if begun <= done:
            given[key] = max(given[key], last)
    due = {place: record for at, place, record in history.committed if at <= done}
    promises = Promises(_epoch(history, done, due), due, known, acknowledged, dict(given))
    if any(at < done for at in history.cursor_lost):
        promises.lost = {key: max(acknowledged[key], given[key]) for key in {*acknowledged, *given}}
    promises.thinned = any(at < done for at in history.tidied)
    promises.mountings = history.mountings.allowed(done)
    promises.pages = history.pages.allowed(done)
    return promises


def _epoch(history: History, done: int, due: dict[Place, Record]) -> int | None:
    opened = [(at, epoch) for at, epoch in history.epochs if at <= done]
    if any(at < done and (not opened or at >= opened[-1][0]) for at in history.cursor_lost):
        return None
    return opened[-1][1] if opened else next((place[0] for place in due), None)


# -- the demands -----------------------------------------------------------------------------------------


def check_journal(journal: Journal, promises: Promises) -> None:
    """On an opened journal."""
    demand(journal.stats().quarantined == 0, "a file was set aside")
    demand(promises.epoch in (None, journal.epoch), "the epoch ended")
    for key in {(place[0], place[1]) for place in promises.due}:
        stream = journal._streams.get(key)
        acknowledged = promises.acknowledged.get(key, 0)
        due = {place: record for place, record in promises.due.items() if place[:2] == key}
        if stream is None:
            told = max(acknowledged, promises.lost.get(key, 0))  # of what was given up, only the lost cursor told
            demand(all(place[2] <= told for place in due), f"nothing is left of {key}: {max(due)}, {promises.lost}")
            continue
        at = stream.acknowledged
        demand(at <= acknowledged, f"{key[1].name}: acknowledged {at}, never was")
        held = _everything(journal, key, at, stream.durable)
        gone, thinned = _check_numbers(held, key, at, stream.durable, promises)
        _check_content(held, promises, due)
        for place, record in due.items():
            there = place[2] <= max(at, gone) or place[2] in held or (place[2] in thinned and is_row(record))
            demand(there, f"{key[1].name} {place[2]} was committed and is gone")


def _everything(journal: Journal, key: StreamKey, after: int, durable: int) -> dict[int, StoredRecord]:
    held = {}
    at = after + 1
    while at <= durable:
        batch = journal.read(*key, at, 1000, 1 << 30)
        demand(bool(batch), f"{key[1].name}: nothing to read from {at}, durable {durable}")
        held.update({stored.seq: stored for stored in batch})
        at = batch[-1].seq + 1
    return held


def _check_numbers(
    held: dict[int, StoredRecord], key: StreamKey, acked: int, durable: int, promises: Promises
) -> tuple[int, set[int]]:
    """Every number is accounted for, and only what may be missing is: the last number given up, and those thinned."""
    lane, at, gone = key[1].name, acked, acked
    thinned: set[int] = set()
    for seq in sorted(held):
        demand(first_number(held[seq]) <= at + 1, f"{lane}: {at + 1}..{seq - 1} unaccounted for")
        at = seq
        gap = gap_of(held[seq].record)
        if gap is None or gap.reason == GapReason.OVERRUN:
            continue  # promised as it is, see _check_content
        if gap.reason == GapReason.THINNED:
            demand(promises.thinned and key[1] is Lane.TELEMETRY, f"{lane}: {gap}")
            thinned |= set(range(gap.first_seq, gap.last_seq + 1))
            continue
        allowed = promises.given_up if gap.reason == GapReason.QUOTA else promises.lost
        demand(gap.reason in (GapReason.QUOTA, GapReason.CORRUPT) and seq <= allowed.get(key, 0), f"{lane}: {gap}")
        gone = seq
    demand(at == durable, f"{lane}: durable {durable}, readable to {at}")
    return gone, thinned


def is_row(record: Record) -> bool:
    return record.kind == Kind.TELEMETRY


def gap_of(record: Record) -> Gap | None:
    body = decode_body(Kind.GAP, record.body) if record.kind == Kind.GAP else None
    return body if isinstance(body, Gap) else None


def _check_content(held: dict[int, StoredRecord], promises: Promises, due: dict[Place, Record]) -> None:
    for stored in held.values():
        gap = gap_of(stored.record)
        if gap is not None and gap.reason != GapReason.OVERRUN:
            continue
        place = (stored.epoch, stored.record.lane, stored.seq)
        demand(stored.record in promises.known.get(place, ()), f"{place} was never appended like that")
        if place in due:
            demand(stored.record == due[place], f"{place} is not what was committed")


def _tidy(journal: Journal, promises: Promises, rng: random.Random) -> None:
    for _ in range(rng.choice((0, 0, 2, 40))):
        promises.thinned = True
        if not journal.tidy():
            return


def check_states(storage: Storage, promises: Promises) -> None:
    """The two-slot files and the page beside the journal."""
    with MountingFile(storage) as mounting:
        demand(mounting.read() in promises.mountings, "the mounting is not what was written last")
    with BlackBoxFile(storage) as black_box:
        demand(black_box.read() in promises.pages, "the black-box page is not what was written last")


def go_on(journal: Journal, promises: Promises, rng: random.Random) -> dict[Place, Record]:
    """The journal takes more records and shows them: what was appended, and is known from now on."""
    after = {}
    for lane in Lane:
        record = Record(
            lane, Kind.EVENT, Category.DRIVING, 9, rng.getrandbits(40), rng.randbytes(rng.choice((30, 3000)))
        )
        place = (journal.epoch, lane, journal.append(record))
        demand(place not in promises.due, f"{place} is used for a second record")
        after[place] = record
        promises.known.setdefault(place, []).append(record)
    try:
        journal.commit()
    except Exception as err:
        raise ViolationError(f"does not commit: {type(err).__name__}: {err}") from err
    for place, record in after.items():
        got = journal.read(*place, 1, 1)
        demand(bool(got) and got[0].record == record, f"{place} is not there right after its commit")
    return after


# -- the hunt --------------------------------------------------------------------------------------------


@dataclass
class Hunt:
    """States that were checked, by shape; ``again``: those after a further cut, in a recovery or right behind it."""

    shapes: Counter[Shape] = field(default_factory=Counter)
    again: int = 0

    @property
    def cuts(self) -> int:
        return self.shapes.total() + self.again


def hunt(
    storage: MemoryStorage,
    history: History,
    options: JournalOptions,
    seed: int,
    variants: int,
    *,
    within: Container[int] | None = None,
    shapes: Sequence[Shape] = SHAPES,
) -> Hunt:
    """Cut at every operation of the log, ``variants`` states each. ViolationError tells seed, operation and variant.

    within: only at these operations.
    """
    tally = Hunt()
    disk = Disk()
    for done in range(len(storage.log) + 1):
        for variant in range(variants if within is None or done in within else 0):
            rng = random.Random(f"{seed}/{done}/{variant}")
            shape = shapes[(7 * done + variant) % len(shapes)]
            try:
                files = disk.crash(rng, shape)
                tally.again += check_state(files, promised(history, done), options, rng)
                tally.shapes[shape] += 1
            except ViolationError as err:
                where = f"seed {seed}, cut after operation {done}, variant {variant} ({shape})"
                raise ViolationError(f"{where}: {err}") from None
        if done < len(storage.log):
            disk.apply(storage.log[done])
    return tally


def check_state(files: dict[str, bytes], promises: Promises, options: JournalOptions, rng: random.Random) -> int:
    """Open, demand, go on; cut that and do it again, once to three times. How often again."""
    again = rng.choice((1, 1, 1, 2, 3))
    for _ in range(again):
        files = _live_and_die(files, promises, options, rng)
    storage = MemoryStorage(files)
    journal = _opened(storage, options, rng)
    check_journal(journal, promises)
    check_states(storage, promises)
    go_on(journal, promises, rng)
    return again


def _live_and_die(
    files: dict[str, bytes], promises: Promises, options: JournalOptions, rng: random.Random
) -> dict[str, bytes]:
    """A life of the terminal on these files, cut at any moment; ``promises`` grow by what it promised until then."""
    storage = MemoryStorage(files)
    disk = Disk.holding(storage.files(), storage.nodes())
    journal = _opened(storage, options, rng)
    check_journal(journal, promises)
    opened_at = len(storage.log)
    after = go_on(journal, promises, rng)
    committed_at = len(storage.log)
    _tidy(journal, promises, rng)
    check_states(storage, promises)
    moments = _write_states(storage, promises, rng)
    cut = rng.randint(0, len(storage.log))
    for op in storage.log[:cut]:
        disk.apply(op)
    if cut >= opened_at:
        promises.epoch = journal.epoch
    if cut >= committed_at:
        promises.due |= after
    for key, last in given_up(journal).items():
        promises.given_up[key] = max(last, promises.given_up.get(key, 0))
    _settle_states(promises, moments, cut)
    return disk.crash(rng)


def _opened(storage: MemoryStorage, options: JournalOptions, rng: random.Random) -> Journal:
    try:
        return Journal.open(storage, options, boot_id=rng.getrandbits(32), rng=rng)
    except Exception as err:
        raise ViolationError(f"does not open: {type(err).__name__}: {err}") from err


@dataclass
class _Moments:
    mounting: KeptMounting
    page: bytes
    begun: int
    between: int
    ended: int


def _write_states(storage: MemoryStorage, promises: Promises, rng: random.Random) -> _Moments:
    mounting = any_mounting(rng)
    newest = max((int.from_bytes(page[8:16], "little") for page in promises.pages if page), default=0)
    page = any_page(newest + 1, rng)
    begun = len(storage.log)
    with MountingFile(storage) as file:
        file.write(mounting)
    between = len(storage.log)
    with BlackBoxFile(storage) as black_box:
        black_box.write(page)
    return _Moments(mounting, page, begun, between, len(storage.log))


def _settle_states(promises: Promises, moments: _Moments, cut: int) -> None:
    if cut >= moments.between:
        promises.mountings = [moments.mounting]
    elif cut > moments.begun:
        promises.mountings.append(moments.mounting)
    if cut >= moments.ended:
        promises.pages = [moments.page]
    elif cut > moments.between:
        promises.pages.append(moments.page)
