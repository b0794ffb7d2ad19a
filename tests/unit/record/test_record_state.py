"""Two-slot files, the cursor in one, and the black-box page."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from outrider.engine import crc32c
from outrider.errors import JournalError
from outrider.model.record import GapReason, Lane
from outrider.record.blackbox_io import PAGE_BYTES, BlackBoxFile
from outrider.record.cursor import (
    MAX_HOLES,
    MAX_STREAMS,
    SLOT_BYTES,
    CursorState,
    Position,
    decode_cursor,
    encode_cursor,
)
from outrider.record.hole import Hole
from outrider.record.state import HEADER_BYTES, TwoSlotFile
from outrider.record.storage_io import DirectoryFile
from outrider.record.storage_memory import MemoryStorage, refusal
from tests.support.powercut import Disk


def test_the_last_write_is_read() -> None:
    """Also after reopening; before the first write there is nothing."""
    storage = MemoryStorage()
    state = TwoSlotFile.open(storage, "x.state")
    assert state.read() is None
    for n in range(5):
        state.write(b"state %d" % n)
        assert TwoSlotFile.open(storage, "x.state").read() == b"state %d" % n


def test_any_cut_leaves_the_last_finished_write_or_the_next() -> None:
    """Whatever a torn write leaves, a state that was written whole is read."""
    storage = MemoryStorage()
    finished: list[tuple[int, bytes]] = []
    state = TwoSlotFile.open(storage, "x.state", 8192)
    for n in range(6):
        state.write(bytes([n]) * 5000)
        finished.append((len(storage.log), bytes([n]) * 5000))
    disk = Disk()
    for done in range(len(storage.log) + 1):
        for variant in range(20):
            files = disk.crash(random.Random(f"{done}/{variant}"))
            got = TwoSlotFile.open(MemoryStorage(files), "x.state", 8192).read()
            last = [content for at, content in finished if at <= done]
            following = [content for at, content in finished if at > done][:1]
            assert got in [last[-1] if last else None, *following]
        if done < len(storage.log):
            disk.apply(storage.log[done])


def test_too_large_a_state_is_refused() -> None:
    """JournalError, and the state before stays."""
    state = TwoSlotFile.open(MemoryStorage(), "x.state")
    state.write(bytes(state.capacity))
    with pytest.raises(JournalError, match="room for 4076"):
        state.write(bytes(state.capacity + 1))
    assert state.read() == bytes(state.capacity)


def test_the_cursor_reads_back() -> None:
    """Positions and holes survive; another version is no cursor."""
    state = CursorState(99)
    state.positions[5, Lane.EVENT] = Position(1, 2, 3)
    state.positions[99, Lane.BULK] = Position(10, 20, 30)
    state.holes.append((99, Lane.BULK, Hole(11, 15, GapReason.QUOTA, 7, -5)))
    data = encode_cursor(state)
    assert decode_cursor(data) == state
    assert decode_cursor(b"\x09" + data[1:]) is None
    assert decode_cursor(data[:-1]) is None
    assert decode_cursor(b"") is None


def test_the_fullest_cursor_fits_its_slot() -> None:
    """The limits of the cursor are those of its file; holes of retention go before those that can be found again."""
    state = CursorState(1)
    for n in range(200):
        state.positions[n, Lane.EVENT] = Position(n, n, n)
    state.holes = [
        (1, Lane.BULK, Hole(n, n, GapReason.CORRUPT if n % 2 else GapReason.QUOTA, 7, 0)) for n in range(300)
    ]
    data = encode_cursor(state)
    assert len(data) <= SLOT_BYTES - HEADER_BYTES
    back = decode_cursor(data)
    assert back is not None
    assert len(back.positions) == MAX_STREAMS
    assert (199, Lane.EVENT) in back.positions
    assert len(back.holes) == MAX_HOLES
    assert sum(hole.reason == GapReason.QUOTA for _e, _l, hole in back.holes) == 150


def page(counter: int) -> bytes:
    body = (b"OTRB" + struct.pack("<HHQ", 1, 0, counter)).ljust(PAGE_BYTES - 4, b"\x00")
    return body + struct.pack("<I", crc32c(body))


def test_the_newest_whole_page_is_found(tmp_path: Path) -> None:
    """Pages alternate; a damaged newest page leaves the one before; a new run goes on in the older slot."""
    with BlackBoxFile(tmp_path) as box:
        assert box.read() is None
        for counter in (1, 2, 3):
            box.write(page(counter))
        assert box.read() == page(3)
        assert (box.writes, box.faults) == (3, 0)
    path = tmp_path / "blackbox.page"
    data = bytearray(path.read_bytes())
    at = data.index(page(3)[:16])
    data[at + 100] ^= 1
    path.write_bytes(data)
    with BlackBoxFile(tmp_path) as box:
        assert box.read() == page(2)
        box.write(page(4))
        assert box.read() == page(4)
        with pytest.raises(ValueError, match="4096"):
            box.write(b"short")
    assert path.stat().st_size == 2 * PAGE_BYTES
    with BlackBoxFile(tmp_path) as box:
        box.write(page(5))
    assert sorted(struct.unpack_from("<Q", path.read_bytes(), 8 + slot * PAGE_BYTES)[0] for slot in (0, 1)) == [4, 5]


def test_a_disk_that_refuses_the_page_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No room for the file, or a directory that is gone: counted, said once, tried again with each page."""
    home = tmp_path / "journal"
    with BlackBoxFile(home) as box:
        assert box.read() is None
        box.write(page(1))
        assert (box.writes, box.faults) == (0, 2)
        home.mkdir()
        box.write(page(2))
        assert (box.writes, box.faults) == (1, 2)
        assert box.read() == page(2)
    assert len(caplog.records) == 1


def test_a_slot_that_cannot_be_read_costs_that_slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad sector under the older page."""
    with BlackBoxFile(tmp_path) as box:
        for counter in (1, 2):
            box.write(page(counter))
    pread = DirectoryFile.pread

    def refuse(file: DirectoryFile, size: int, offset: int) -> bytes:
        if offset == 0:
            raise refusal(5, "blackbox.page: Input/output error")
        return pread(file, size, offset)

    monkeypatch.setattr(DirectoryFile, "pread", refuse)
    with BlackBoxFile(tmp_path) as box:
        assert box.read() in (page(1), page(2))
        assert box.newest in (1, 2)
        box.write(page(3))
        assert box.writes == 1
