"""Power cuts: from the log of operations of a workload to every state a disk may be in afterwards.

The model of the disk: of a write that no sync of its file has confirmed each sector (512 bytes or 4 KiB) is old, new or
garbage, whatever the order of the writes was; a file that grew has grown or not; creations, renames and removals that
no sync of the directory has confirmed are lost, kept, kept up to one of them, or kept for some files and not for
others. A sync that fails drops what it should have written: some of it is on the medium, the rest never will be. A disk
that breaks its promise at a sync that succeeds is not in the model.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from outrider.record.storage_memory import Operation

SECTOR: Final = 512
FAILED_SYNC: Final = "sync_failed"  # an operation of the log that a storage under test adds


class Sectors(Enum):
    """What became of the sectors that were under way: chance of new, chance of garbage, else old."""

    OLD = (0.0, 0.0)
    NEW = (1.0, 0.0)
    TORN = (0.5, 0.0)
    GARBAGE = (0.1, 0.8)
    ALL_SORTS = (0.4, 0.3)


class Entries(Enum):
    """Which of the unconfirmed changes of the directory are there."""

    NONE = 0
    ALL = 1
    FIRST = 2  # up to one of them: a file system that keeps their order
    SOME = 3  # each file for itself: one that does not


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of state. sector: what the medium writes whole or not at all."""

    sectors: Sectors
    entries: Entries
    sector: int = SECTOR

    def __str__(self) -> str:
        return f"sectors of {self.sector} {self.sectors.name.lower()}, directory {self.entries.name.lower()}"


SHAPES: Final = tuple(
    Shape(sectors, entries, sector) for sectors, entries, sector in itertools.product(Sectors, Entries, (SECTOR, 4096))
)


@dataclass
class Disk:
    """What is on the medium for sure, and what was written since: ``apply`` operations, ``crash`` at any time."""

    durable: dict[int, bytearray] = field(default_factory=dict)
    written: dict[int, list[Operation]] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    moves: list[Operation] = field(default_factory=list)
    failed: int = 0

    @classmethod
    def holding(cls, files: dict[str, bytes], nodes: dict[str, int]) -> Disk:
        """All of it durable."""
        return cls({nodes[name]: bytearray(data) for name, data in files.items()}, {}, dict(nodes))

    def apply(self, op: Operation) -> None:
        if op.kind == "write":
            self.written.setdefault(op.node, []).append(op)
        elif op.kind == "sync":
            self._settle(op.node)
        elif op.kind == FAILED_SYNC:
            self._lose(op.node)
        elif op.kind == "sync_dir":
            for move in self.moves:
                _move(self.names, move)
            self.moves.clear()
        else:
            self.moves.append(op)

    def _settle(self, node: int) -> None:
        data = self.durable.setdefault(node, bytearray())
        for op in self.written.pop(node, []):
            _put(data, op.offset, op.data)

    def _lose(self, node: int) -> None:
        """The kernel calls the pages clean and forgets them: what did not reach the medium never will."""
        self.failed += 1
        self.durable[node] = self._torn(node, random.Random(self.failed), Shape(Sectors.TORN, Entries.NONE))
        self.written.pop(node, None)

    def crash(self, rng: random.Random, shape: Shape | None = None) -> dict[str, bytes]:
        """One of the states in which the medium may be found, of this shape or of any."""
        shape = shape or rng.choice(SHAPES)
        names = self._entries(rng, shape.entries)
        return {name: bytes(self._torn(node, rng, shape)) for name, node in names.items()}

    def _entries(self, rng: random.Random, entries: Entries) -> dict[str, int]:
        names = dict(self.names)
        if entries is Entries.SOME:
            return _some(names, self.moves, rng)
        kept = {Entries.NONE: 0, Entries.ALL: len(self.moves), Entries.FIRST: rng.randint(0, len(self.moves))}[entries]
        for move in self.moves[:kept]:
            _move(names, move)
        return names

    def _torn(self, node: int, rng: random.Random, shape: Shape) -> bytearray:
        data = bytearray(self.durable.get(node, b""))
        size = len(data)
        new, garbage = shape.sectors.value
        for op in self.written.get(node, []):
            size = max(size, rng.choice((len(data), op.offset + len(op.data))))
            whole = rng.random() < 0.3 and garbage < 0.5  # this write is all there or not at all: order is not kept
            fate = rng.random()
            for at in range(op.offset // shape.sector * shape.sector, op.offset + len(op.data), shape.sector):
                if not whole:
                    fate = rng.random()
                if fate < new:
                    start, stop = max(at, op.offset), min(at + shape.sector, op.offset + len(op.data))
                    _put(data, start, op.data[start - op.offset : stop - op.offset])
                elif fate < new + garbage:
                    _put(data, at, rng.randbytes(shape.sector))
        return data[: max(size, len(self.durable.get(node, b"")))]


def _some(names: dict[str, int], moves: list[Operation], rng: random.Random) -> dict[str, int]:
    """Of each file's own changes those up to one. Who took a name that another had before him has it alone."""
    own: dict[int, list[tuple[int, Operation]]] = {}
    holder = dict(names)
    for when, move in enumerate(moves):
        node = move.node if move.kind == "create" else holder[move.name]
        own.setdefault(node, []).append((when, move))
        _move(holder, move)
    kept = {node: rng.randint(0, len(changes)) for node, changes in own.items()}
    while True:
        found = {node: (-1, name) for name, node in names.items()}
        for node, changes in own.items():
            for when, move in changes[: kept[node]]:
                _follow(found, node, when, move)
        loser = _displaced(found)
        if loser is None:
            return {name: node for node, (_when, name) in found.items()}
        if kept.get(loser, 0) < len(own.get(loser, ())):
            kept[loser] += 1  # its name could be taken only after it had gone on
        else:
            own[loser] = [(-1, Operation("unlink"))]  # it was overwritten
            kept[loser] = 1


def _follow(found: dict[int, tuple[int, str]], node: int, when: int, move: Operation) -> None:
    if move.kind == "unlink":
        found.pop(node, None)
    else:
        found[node] = when, move.new if move.kind == "rename" else move.name


def _displaced(found: dict[int, tuple[int, str]]) -> int | None:
    """A file whose name somebody took later."""
    newest: dict[str, tuple[int, int]] = {}
    for node, (when, name) in found.items():
        other = newest.get(name)
        if other is not None:
            return node if when < other[0] else other[1]
        newest[name] = when, node
    return None


def _put(data: bytearray, offset: int, piece: bytes) -> None:
    if len(data) < offset:
        data.extend(bytes(offset - len(data)))
    data[offset : offset + len(piece)] = piece


def _move(names: dict[str, int], op: Operation) -> None:
    if op.kind == "create":
        names[op.name] = op.node
    elif op.kind == "rename":
        if op.name in names:
            names[op.new] = names.pop(op.name)
    elif op.kind == "unlink":
        names.pop(op.name, None)
