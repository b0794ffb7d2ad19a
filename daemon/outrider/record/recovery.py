"""What a directory holds after whatever happened to it: streams, holes, damage. Reads only; ``journal`` repairs.

Rules:
- a commit that is not whole and that nothing durable follows never happened (power went while it was written);
- a damaged commit that was durable (a later one exists, or the cursor says so) gives up its readable records, and the
  missing numbers become a hole;
- commits from the first number of the next segment on are void: that segment was begun to write them anew;
- so is a whole segment whose numbers a later, rewritten one begins with (``superseded``);
- numbers the cursor knows as durable that no file can show any more are a hole, and end the epoch;
- a file gives what its CRCs prove: one that is cut short gives what is left, one without header is read by its name,
  since that says the place that all CRCs start from.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from dataclasses import dataclass, field

from outrider.errors import JournalError
from outrider.model.record import GapReason, Lane, StoredRecord
from outrider.ports import Storage
from outrider.record.cursor import FILE_NAME, SLOT_BYTES, CursorState, Position, StreamKey, decode_cursor
from outrider.record.format import BLOCK, SegmentHeader, blocks_for, parse_segment_header
from outrider.record.hole import first_number
from outrider.record.salvage import open_around, read_around
from outrider.record.segment import FoundCommit, Segment, find_commits, parse_segment_name
from outrider.record.state import read_newest
from outrider.record.stream import LogStream
from outrider.record.superseded import superseded


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that cannot be read. name: the file. Numbers first..last are gone (0, 0: none known)."""

    name: str
    what: str
    epoch: int = 0
    lane: Lane | None = None
    first: int = 0
    last: int = 0


@dataclass(slots=True)
class Survey:
    """cursor: None when there is none that can be read. unusable: files that prove nothing. mendable: files whose
    header or end is missing, by name, with the header they should have. tail_lost: streams whose end is not proved.
    superseded: files that a rewritten one stands for."""

    cursor: CursorState | None
    streams: dict[StreamKey, LogStream] = field(default_factory=dict)
    damage: list[Damage] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)
    mendable: dict[str, SegmentHeader] = field(default_factory=dict)
    tail_lost: set[StreamKey] = field(default_factory=set)
    superseded: list[str] = field(default_factory=list)


def survey(storage: Storage) -> Survey:
    """Everything in the directory, as readers would see it. JournalError when the disk refuses."""
    names = storage.names()
    found = Survey(read_cursor(storage, names))
    files: dict[StreamKey, list[tuple[int, str]]] = defaultdict(list)
    for name in names:
        parts = parse_segment_name(name)
        if parts is not None:
            files[parts[1], parts[0]].append((parts[2], name))
    positions = found.cursor.positions if found.cursor else {}
    for key in dict.fromkeys([*positions, *sorted(files)]):
        stream = LogStream(*key)
        found.streams[key] = stream
        _place(stream, found.cursor)
        own = sorted(files.get(key, []))
        void = superseded(storage, own)
        found.superseded += void
        standing = [each for each in own if each[1] not in void]
        _Chain(storage, stream, positions.get(key, Position()), found).follow(standing)
    return found


def read_cursor(storage: Storage, names: list[str]) -> CursorState | None:
    if FILE_NAME not in names:
        return None
    file = storage.open(FILE_NAME)
    try:
        newest = read_newest(file, SLOT_BYTES)
    finally:
        file.close()
    return None if newest is None else decode_cursor(newest[1])


def _place(stream: LogStream, cursor: CursorState | None) -> None:
    if cursor is None:
        return
    position = cursor.positions.get((stream.epoch, stream.lane), Position())
    stream.acknowledged, stream.next_segment = position.acknowledged, position.next_segment
    holes = [h for epoch, lane, h in cursor.holes if (epoch, lane) == (stream.epoch, stream.lane)]
    stream.holes = sorted(holes, key=lambda hole: hole.first)


@dataclass(slots=True)
class _File:
    """unsound: something of it is not there, so that it proves no end."""

    name: str
    header: SegmentHeader
    commits: list[FoundCommit]
    unsound: bool


class _Chain:
    """Follows the segments of one stream and accounts for each number from the acknowledged one on."""

    def __init__(self, storage: Storage, stream: LogStream, position: Position, found: Survey) -> None:
        self._storage = storage
        self._stream = stream
        self._position = position
        self._found = found
        self._at = stream.acknowledged

    def follow(self, names: list[tuple[int, str]]) -> None:
        """One file and its successor in memory at a time."""
        held: _File | None = None
        for _number, name in names:
            file = self._load(name)
            if file is not None:
                self._adopt(held, file)
                held = file
        self._adopt(held, None)
        newest = max([self._position.next_segment - 1, *(number for number, _name in names)])
        if held is not None and held.unsound and held.header.segment == newest:
            # What is missing may have been the newest commit, whose numbers must not be used again.
            self._found.tail_lost.add((self._stream.epoch, self._stream.lane))
        self._finish(newest_gone=(held.header.segment if held else -1) < newest)

    def _load(self, name: str) -> _File | None:
        whole = read_whole(self._storage, name)
        if whole is None:
            return None
        data, bad = whole
        own = parse_segment_header(data)
        header = own
        if own is None or (own.lane, own.epoch, own.segment) != parse_segment_name(name):
            header = header_from_name(name, data)
        if header is None:
            self._unusable(name, own, given=not bad or any(data))
            return None
        short = header.blocks * BLOCK - len(data)
        if bad:
            self._damaged(name, f"{bad} blocks of 4 KiB that the medium does not give")
        if header is not own:
            self._damaged(name, "header unreadable")
        if short > 0:
            self._damaged(name, f"{len(data)} of {header.blocks * BLOCK} bytes")
        if header is not own or short > 0:
            self._found.mendable[name] = header
        return _File(name, header, find_commits(header, data), bad > 0 or header is not own or short > 0)

    def _unusable(self, name: str, own: SegmentHeader | None, *, given: bool) -> None:
        if not given:
            self._damaged(name, "the medium gives nothing of it")  # left where it is: it may come back
            return
        self._found.unusable.append(name)
        self._damaged(name, "header belongs to another file" if own else "no header, and no commit of this name")

    def _damaged(self, name: str, what: str) -> None:
        self._found.damage.append(Damage(name, what, self._stream.epoch, self._stream.lane))

    def _keep(self, file: _File, following: _File | None) -> None:
        """Leave out void commits: written anew in the next segment, or torn at the end of the last one."""
        if following is not None:
            file.commits = [c for c in file.commits if c.header.first_seq < following.header.first_seq]
            return
        while file.commits and not file.commits[-1].complete:
            if file.commits[-1].header.first_seq <= self._position.durable:
                break
            file.commits.pop()

    def _adopt(self, file: _File | None, following: _File | None) -> None:
        if file is None:
            return
        self._keep(file, following)
        segment = Segment(self._storage, file.name, file.header)
        self._missing(file.header.first_seq - 1, self._in_front_of(file), None)
        for commit in file.commits:
            for stored in commit.good:
                self._missing(first_number(stored) - 1, file.name, stored)
                self._at = max(self._at, stored.seq)
            self._missing(commit.header.last_seq, file.name, commit.good[-1] if commit.good else None)
            segment.adopt(commit.header, len(commit.good), commit.good[-1].record if commit.good else None)
            segment.note_evidence(stored.record for stored in commit.good)
        self._stream.segments.append(segment)
        self._stream.next_segment = max(self._stream.next_segment, file.header.segment + 1)

    def _in_front_of(self, file: _File) -> str:
        """The file that held the numbers up to this one's first: the one before, if it is there."""
        before = self._stream.segments[-1] if self._stream.segments else None
        adjacent = before is not None and before.header.segment + 1 == file.header.segment
        return before.name if before is not None and adjacent else f"in front of {file.name}"

    def _missing(self, up_to: int, name: str, near: StoredRecord | None) -> None:
        """Numbers after the last accounted one, up to here, are nowhere."""
        first, self._at = self._at + 1, max(self._at, up_to)
        boot_id, t_us = (near.record.boot_id, near.record.t_us) if near else (0, 0)
        if first <= up_to and self._stream.add_holes(first, up_to, GapReason.CORRUPT, boot_id, t_us):
            damage = Damage(name, "records unreadable", self._stream.epoch, self._stream.lane, first, up_to)
            self._found.damage.append(damage)

    def _finish(self, *, newest_gone: bool) -> None:
        stream, position = self._stream, self._position
        for hole in stream.holes:
            if hole.first <= self._at + 1:
                self._at = max(self._at, hole.last)
        if self._at < position.durable or (newest_gone and self._is_current()):
            self._found.tail_lost.add((stream.epoch, stream.lane))
            self._missing(position.durable, "the end of the log", None)
        stream.durable = self._at

    def _is_current(self) -> bool:
        cursor = self._found.cursor
        return cursor is not None and cursor.epoch == self._stream.epoch


def header_from_name(name: str, data: bytes) -> SegmentHeader | None:
    """What the header said, as far as the commits prove it. None: there is no commit of this place in the file."""
    parts = parse_segment_name(name)
    if parts is None:
        return None
    lane, epoch, segment = parts
    header = SegmentHeader(lane, 0, epoch, segment, 0, max(1, blocks_for(len(data))))
    proved = next((commit for commit in find_commits(header, data) if commit.good), None)
    return None if proved is None else dataclasses.replace(header, first_seq=proved.header.first_seq)


def read_whole(storage: Storage, name: str) -> tuple[bytes, int] | None:
    """Its bytes, and how many blocks came as zeros. None when the file is gone: a running daemon may have released
    it. A file that the medium does not even open is one lost block."""
    try:
        file = open_around(storage, name)
    except JournalError as err:
        if isinstance(err.__cause__, FileNotFoundError):
            return None
        raise
    if file is None:
        return b"", 1
    try:
        return read_around(file, file.size(), 0)
    finally:
        file.close()
