"""The rig's reading of a log of dm-log-writes, and the states it makes of it."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.rig.disk_log import (
    DISCARD,
    END,
    FLUSH,
    FUA,
    MAGIC,
    MARK,
    SECTOR,
    Cut,
    Entry,
    LogError,
    Medium,
    choose_cuts,
    read_log,
)

DISK_SECTORS = 8


def write(sector: int, fill: int, sectors: int = 1, flags: int = 0) -> Entry:
    return Entry(flags, sector * SECTOR, sectors * SECTOR, bytes([fill]) * SECTOR * sectors)


def log_of(entries: Sequence[Entry], sector: int = SECTOR) -> bytes:
    """As the kernel writes it (drivers/md/dm-log-writes.c)."""
    out = bytearray(struct.pack("<QQQI", MAGIC, 1, len(entries), sector).ljust(sector, b"\0"))
    for entry in entries:
        mark = entry.mark.encode() + b"\0" if entry.mark else b""
        head = struct.pack("<4Q", entry.offset // sector, entry.size // sector, entry.flags, len(mark)) + mark
        out += head.ljust(sector, b"\0") + entry.data
    return bytes(out)


THE_END = Entry(MARK, mark=END)


def test_what_the_kernel_writes_is_read() -> None:
    """Writes with data, flushes and marks without, discards with a size only; the closing mark is not told."""
    entries = [
        write(3, 7, 2),
        Entry(FLUSH),
        write(0, 1, 1, FUA),
        Entry(MARK, mark="d:1:2:ff"),
        Entry(DISCARD, 512, 512),
    ]
    assert read_log(log_of([*entries, THE_END])) == entries
    assert read_log(log_of([write(8, 7, 8), THE_END], sector=4096)) == [write(8, 7, 8)]


def test_a_log_that_is_not_whole_is_refused() -> None:
    """Another file, a log device that was full, a log cut off: a lost promise must not look like a kept one."""
    with pytest.raises(LogError, match="no log"):
        read_log(bytes(512))
    with pytest.raises(LogError, match="closing mark"):
        read_log(log_of([write(0, 1)]))
    whole = log_of([write(0, 1), THE_END])
    with pytest.raises(LogError, match="behind the end"):
        read_log(whole[:-1])
    with pytest.raises(LogError, match="behind the end"):
        read_log(log_of([write(0, 1, 4), THE_END])[: 3 * SECTOR])


entries_of_a_disk = st.lists(
    st.one_of(
        st.builds(write, st.integers(0, DISK_SECTORS - 3), st.integers(1, 255), st.integers(1, 3)),
        st.builds(write, st.integers(0, DISK_SECTORS - 2), st.integers(1, 255), st.just(1), st.just(FUA)),
        st.just(Entry(FLUSH)),
        st.just(Entry(DISCARD, 0, SECTOR)),
        st.just(Entry(MARK, mark="m")),
    ),
    max_size=30,
)


def possible(entries: Sequence[Entry], done: int, sector: int) -> set[int]:
    """What the sector may hold after a cut, told slowly: the last settled value, or any written since then."""
    last_barrier = max((n for n in range(done) if entries[n].barrier), default=-1)
    values = {0}
    for number, entry in enumerate(entries[: done + 1]):
        under_way = number == done and not entry.flags & FUA
        if under_way or not entry.offset <= sector * SECTOR < entry.offset + entry.size:
            continue
        value = entry.data[0] if entry.data else 0
        values = {value} if number <= last_barrier else values | {value}
    return values


@given(entries_of_a_disk, st.integers(0, 1 << 30))
def test_every_state_keeps_the_promises_of_the_disk(entries: list[Entry], seed: int) -> None:
    """What was flushed is there; of the rest each sector is old or new; nothing from after the cut is there."""
    medium = Medium(bytes(DISK_SECTORS * SECTOR), entries)
    for done in range(len(entries) + 1):
        image = medium.cut(Cut(done, f"{seed}/{done}"))
        for sector in range(DISK_SECTORS):
            held = image[sector * SECTOR : (sector + 1) * SECTOR]
            assert len(set(held)) == 1, "a sector is whole"
            assert held[0] in possible(entries, done, sector)


@given(entries_of_a_disk)
def test_without_a_seed_nothing_is_lost(entries: list[Entry]) -> None:
    """A cut without loss is the disk as it was written so far."""
    medium = Medium(bytes(DISK_SECTORS * SECTOR), entries)
    expected = bytearray(DISK_SECTORS * SECTOR)
    for done in range(len(entries) + 1):
        assert medium.cut(Cut(done)) == expected
        if done < len(entries) and entries[done].changes:
            entry = entries[done]
            expected[entry.offset : entry.offset + entry.size] = entry.data or bytes(entry.size)


def test_loss_happens() -> None:
    """Over a few seeds an unflushed write is lost, kept and torn: a test that only sees whole disks proves little."""
    entries = [write(0, 9, 4)]
    seen = {bytes(Medium(bytes(4 * SECTOR), entries).cut(Cut(1, str(seed)))) for seed in range(60)}
    assert bytes(4 * SECTOR) in seen
    assert bytes([9]) * 4 * SECTOR in seen
    assert len(seen) > 4


def test_cuts_are_spread_and_the_same_for_a_seed() -> None:
    """Half after promises, half amid unflushed writes, all over the log; fewer places than asked for: all of them."""
    rng = random.Random(1)
    entries: list[Entry] = []
    for _ in range(200):
        entries += [write(rng.randrange(5), 1), write(rng.randrange(5), 2), Entry(FLUSH), Entry(MARK, mark="m")]
    cuts = choose_cuts(entries, 40, 3)
    assert cuts == choose_cuts(entries, 40, 3)
    assert 36 <= len(cuts) <= 40
    assert sum(cut.seed is None for cut in cuts) == 20
    assert [cut.done for cut in cuts] == sorted(cut.done for cut in cuts)
    assert cuts[0].done < 80
    assert cuts[-1].done > 720
    assert len(choose_cuts(entries[:4], 40, 3)) == 4
