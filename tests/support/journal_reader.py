"""A second reader of journals, written from docs/reference/journal-format.md alone: no line of Outrider's own code.

``read_journal`` takes a directory's files and gives what each stream says, number by number. Kept apart on purpose:
when the page and the product disagree, a test fails.
"""

from __future__ import annotations

import itertools
import re
import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

BLOCK = 4096
NAME = re.compile(r"([0-4])-([0-9a-f]{16})-([0-9]{8,})\.seg")
CORRUPT = 3
GAP = 7


def _table() -> list[int]:
    rows = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)  # noqa: PLW2901  a register, shifted
        rows.append(value)
    return rows


_CRC = _table()


def crc(data: bytes, before: int = 0) -> int:
    value = before ^ 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _CRC[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


@dataclass(frozen=True)
class Entry:
    """One number of a stream that is told: a record, or a gap, which names ``first`` to ``seq``."""

    seq: int
    kind: int
    category: int
    schema: int
    boot_id: int
    t_us: int
    body: bytes


@dataclass(frozen=True)
class Gap:
    first: int
    last: int
    reason: int


Told = Entry | Gap
Stream = tuple[int, int]  # epoch, lane


@dataclass
class Commit:
    first: int
    last: int
    whole: bool
    records: list[Entry]


@dataclass
class File:
    first: int
    form: int
    own_header: bool
    commits: list[Commit]


@dataclass
class Position:
    acknowledged: int = 0
    durable: int = 0
    holes: list[Gap] = field(default_factory=list)


def read_journal(files: dict[str, bytes]) -> dict[Stream, list[Told]]:
    """Everything that is told, by (epoch, lane)."""
    positions = read_cursor(files.get("cursor.state", b""))
    streams: dict[Stream, list[tuple[int, bytes]]] = defaultdict(list)
    for name, data in files.items():
        match = NAME.fullmatch(name)
        if match:
            streams[int(match[2], 16), int(match[1])].append((int(match[3]), data))
    out = {}
    for stream in {*streams, *positions}:
        loaded = [read_segment(stream, number, data) for number, data in sorted(streams[stream])]
        told = list(read_stream(stream, [file for file in loaded if file], positions.get(stream, Position())))
        if told:
            out[stream] = told
    return out


def read_cursor(data: bytes) -> dict[Stream, Position]:
    slots = []
    for at in (0, 16384):
        slot = data[at : at + 16384]
        if len(slot) >= 20 and slot[:4] == b"OTRS":
            length, counter, check = struct.unpack_from("<IQI", slot, 4)
            payload = slot[20 : 20 + length]
            if len(payload) == length and crc(slot[4:16] + payload) == check:
                slots.append((counter, payload))
    if not slots:
        return {}
    payload = max(slots)[1]
    version, streams, holes, _zero, _epoch = struct.unpack_from("<HHHHQ", payload)
    if version != 1:
        return {}
    out: dict[Stream, Position] = {}
    at = 16
    for _ in range(streams):
        epoch, lane, acknowledged, durable, _next = struct.unpack_from("<QBQQQ", payload, at)
        out[epoch, lane] = Position(acknowledged, durable)
        at += 33
    for _ in range(holes):
        epoch, lane, reason, first, last, _boot, _time = struct.unpack_from("<QBBQQIq", payload, at)
        out.setdefault((epoch, lane), Position()).holes.append(Gap(first, last, reason))
        at += 38
    return out


def read_segment(stream: Stream, number: int, data: bytes) -> File | None:
    epoch, lane = stream
    holds = len(data) >= 48 and struct.unpack_from("<I", data, 44)[0] == crc(data[:44])
    magic, version, own_lane, form, _boot, own_epoch, own_number, first, _blocks = struct.unpack_from(
        "<8sHBBIQQQI", data.ljust(48, b"\0")
    )
    holds = (
        holds and magic == b"OTRSEG\0\1" and version == 1 and (own_lane, own_epoch, own_number) == (lane, epoch, number)
    )
    commits = list(read_commits(stream, number, data))
    if holds:
        return File(first, form, True, commits)
    proved = next((commit.first for commit in commits if commit.records), None)
    return None if proved is None else File(proved, 0, False, commits)


def read_commits(stream: Stream, number: int, data: bytes) -> Iterator[Commit]:
    epoch, lane = stream
    block = 1
    while block * BLOCK < len(data):
        place = crc(struct.pack("<QBQI", epoch, lane, number, block))
        at = block * BLOCK
        head = data[at : at + 36]
        if head[:4] != b"OTRC" or len(head) < 36 or struct.unpack_from("<I", head, 32)[0] != crc(head[:32], place):
            block += 1
            continue
        nonce, first, last, count, size = struct.unpack_from("<IQQII", head, 4)
        seed = crc(struct.pack("<I", nonce), place)
        records = list(read_records(data[at + 36 : at + 36 + size], seed, first, last, count))
        whole = len(records) == count
        yield Commit(first, last, whole, records)
        block += -(-(36 + size) // BLOCK) if whole else 1


def read_records(data: bytes, seed: int, first: int, last: int, count: int) -> Iterator[Entry]:
    at = found = 0
    while at + 32 <= len(data) and found < count:
        check, length, seq, kind, category, schema, _zero, boot_id, t_us = struct.unpack_from("<IIQBBBBIq", data, at)
        end = at + 32 + length
        if first <= seq <= last and end <= len(data) and crc(data[at + 4 : end], seed) == check:
            yield Entry(seq, kind, category, schema, boot_id, t_us, data[at + 32 : end])
            at, first, found = end, seq + 1, found + 1
        else:
            at += 1


def read_stream(stream: Stream, files: list[File], position: Position) -> Iterator[Told]:
    files = without_superseded(files)
    for file, behind in itertools.pairwise(files):
        file.commits = [commit for commit in file.commits if commit.first < behind.first]
    if files:
        kept = files[-1].commits
        while kept and not kept[-1].whole and kept[-1].first > position.durable:
            kept.pop()
    records = sorted((entry for file in files for c in file.commits for entry in c.records), key=lambda e: e.seq)
    end = max([0, *(commit.last for file in files for commit in file.commits)])
    holes = sorted(position.holes, key=lambda hole: hole.first)
    end = max([end, position.acknowledged, *(file.first - 1 for file in files)])
    for hole in holes:
        end = max(end, hole.last) if hole.first <= end + 1 else end
    end = max(end, position.durable)
    starts = [file.first for file in files[:1]] + [hole.first for hole in holes[:1]]
    at = min([position.acknowledged + 1, *starts])
    position.holes = holes
    yield from tell(stream[0], records, position, at, end)


def without_superseded(files: list[File]) -> list[File]:
    kept: list[File] = []
    floor = None
    for file in reversed(files):
        if file.own_header and floor is not None and file.first >= floor:
            continue
        if file.own_header and file.form:
            floor = file.first
        kept.insert(0, file)
    return kept


def tell(epoch: int, records: list[Entry], position: Position, at: int, end: int) -> Iterator[Told]:
    holes, acknowledged = position.holes, position.acknowledged
    waiting = iter(records)
    upcoming = next(waiting, None)
    while at <= end:
        hole = next((hole for hole in holes if hole.first <= at <= hole.last), None)
        if hole is not None:
            yield hole
            at = hole.last + 1
            continue
        while upcoming is not None and upcoming.seq < at:
            upcoming = next(waiting, None)
        start = end + 1 if upcoming is None else first_of(epoch, upcoming)
        following = min([start, *(hole.first for hole in holes if hole.first > at)])
        if upcoming is not None and start <= at:
            yield upcoming if upcoming.kind != GAP else gap_of(upcoming, epoch)
            at = upcoming.seq + 1
        elif at <= acknowledged:
            at = min(following, acknowledged + 1)
        else:
            yield Gap(at, following - 1, CORRUPT)
            at = following


def first_of(epoch: int, entry: Entry) -> int:
    return gap_of(entry, epoch).first if entry.kind == GAP else entry.seq


def gap_of(entry: Entry, epoch: int) -> Gap:
    """A GAP record, from its protobuf body."""
    fields = {1: 0, 2: 0, 3: 0, 4: 0}
    at = 0
    while at < len(entry.body):
        key = entry.body[at]
        at += 1
        if key & 7 == 1:
            fields[key >> 3] = int.from_bytes(entry.body[at : at + 8], "little")
            at += 8
            continue
        value = shift = 0
        while True:
            byte = entry.body[at]
            value |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80:
                break
        fields[key >> 3] = value
    own = fields[1] == epoch and fields[3] == entry.seq
    return Gap(min(fields[2], entry.seq) if own else entry.seq, entry.seq, fields[4])
