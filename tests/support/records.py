"""Records for tests of the journal."""

from __future__ import annotations

import random

from outrider.model.record import Category, Kind, Lane, Record
from outrider.ports import Storage
from outrider.record.journal import Journal
from outrider.record.options import JournalOptions, LaneOptions

SMALL = JournalOptions(lanes=dict.fromkeys(Lane, LaneOptions(16 * 1024)), reserve_segments=1, spare_segments=1)


def record(lane: Lane = Lane.EVENT, number: int = 0, size: int = 40) -> Record:
    body = number.to_bytes(8, "little") + bytes(size)
    return Record(lane, Kind.EVENT, Category.DRIVING, 7, number, body[:size])


def open_journal(storage: Storage, options: JournalOptions = SMALL, seed: int = 1) -> Journal:
    return Journal.open(storage, options, boot_id=7, rng=random.Random(seed))


def numbers(journal: Journal, lane: Lane, epoch: int | None = None, first: int = 1) -> list[int]:
    """The numbers that can be read, in order."""
    out: list[int] = []
    epoch = journal.epoch if epoch is None else epoch
    while batch := journal.read(epoch, lane, first, 1000, 1 << 30):
        out += [stored.seq for stored in batch]
        first = batch[-1].seq + 1
    return out
