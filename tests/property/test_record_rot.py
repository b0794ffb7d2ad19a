"""Files damaged at random: the journal opens, goes on, invents nothing, and accounts for every number."""

from __future__ import annotations

import random
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.model.record import Category, Gap, Kind, Lane, Record
from outrider.record.format import BLOCK
from outrider.record.hole import first_number
from outrider.record.inspect import inspect
from outrider.record.journal import Journal
from outrider.record.storage_memory import MemoryStorage
from outrider.wire.bodies import decode_body
from tests.support.powercut_history import History
from tests.support.powercut_work import TIGHT, run_workload


@cache
def workload(seed: int) -> tuple[dict[str, bytes], History]:
    storage, history = run_workload(seed, 150, TIGHT)
    return storage.files(), history


def flip(data: bytearray, rng: random.Random) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def lose_blocks(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(max(1, len(data) // BLOCK)) * BLOCK
    size = rng.choice((512, BLOCK, 3 * BLOCK))
    fill = rng.choice((bytes(size), b"\xff" * size, rng.randbytes(size)))
    data[at : at + size] = fill[: max(0, len(data) - at)]


def cut_short(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data) + 1) :]


def damaged(files: dict[str, bytes], kinds: list[str], rng: random.Random) -> dict[str, bytes]:
    out = {name: bytearray(data) for name, data in files.items()}
    for kind in kinds:
        name, other = rng.choice(sorted(out)), rng.choice(sorted(out))
        if kind == "flip":
            flip(out[name], rng)
        elif kind == "blocks":
            lose_blocks(out[name], rng)
        elif kind == "short":
            cut_short(out[name], rng)
        elif kind == "swap":
            out[name], out[other] = out[other], out[name]
        elif kind == "copy":
            out[name] = bytearray(out[other])
        elif len(out) > 1:
            del out[name]
    return {name: bytes(data) for name, data in out.items()}


def check_streams(journal: Journal, history: History) -> None:
    """Everything that is told can be read to its end, without silent holes, and was once appended like that."""
    for stream in journal.streams():
        at = stream.acknowledged
        while at < stream.durable:
            batch = journal.read(stream.epoch, stream.lane, at + 1, 50, 1 << 20)
            for stored in batch:
                assert first_number(stored) <= at + 1 <= stored.seq
                at = stored.seq
                place = (stored.epoch, stream.lane, stored.seq)
                if stored.record.kind == Kind.GAP:
                    gap = decode_body(Kind.GAP, stored.record.body)
                    assert isinstance(gap, Gap)
                    assert gap.last_seq == stored.seq
                else:
                    assert stored.record in [record for _at, record in history.appended[place]]
        assert at == stream.durable


@given(
    seed=st.integers(0, 3),
    kinds=st.lists(st.sampled_from(["flip", "blocks", "short", "swap", "copy", "delete"]), min_size=1, max_size=6),
    rng=st.randoms(use_true_random=False),
)
@settings(max_examples=100, deadline=None)
def test_no_damage_stops_the_journal_or_invents_a_record(seed: int, kinds: list[str], rng: random.Random) -> None:
    """Flipped bits, lost blocks, files cut short, swapped, copied, deleted; and again on reopening."""
    files, history = workload(seed)
    rng = random.Random(rng.getrandbits(64))
    storage = MemoryStorage(damaged(files, kinds, rng))
    for stored in inspect(storage).records():
        assert stored.seq > 0
    journal = Journal.open(storage, TIGHT, boot_id=1, rng=rng)
    check_streams(journal, history)
    told = {(s.epoch, s.lane): s.durable for s in journal.streams()}
    for lane in Lane:
        record = Record(lane, Kind.EVENT, Category.DRIVING, 9, 1, rng.randbytes(100))
        seq = journal.append(record)
        assert seq > told.get((journal.epoch, lane), 0)
        assert journal.commit(lane) == seq
        assert journal.read(journal.epoch, lane, seq, 1, 1)[0].record == record
        history.appended[journal.epoch, lane, seq].append((0, record))
    journal.close()
    again = Journal.open(MemoryStorage(storage.files()), TIGHT, boot_id=2, rng=rng)
    assert again.epoch == journal.epoch
    assert sum(stats.unreadable for stats in again.stats().lanes.values()) == 0, "damage is told once"
    check_streams(again, history)
