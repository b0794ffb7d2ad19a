"""Power cuts: from the log of operations of a workload to every state a disk may be in afterwards.

The model of the disk: a write that was not followed by a sync of its file is, sector by sector (512 bytes), old, new or
garbage; creations, renames and removals since the last sync of the directory are lost or kept in order. A disk that
breaks its promise at a sync is not in the model.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from outrider.record.storage_memory import Operation

SECTOR = 512


@dataclass
class Disk:
    """What is on the medium for sure, and what was written since: ``apply`` operations, ``crash`` at any time."""

    durable: dict[int, bytearray] = field(default_factory=dict)
    written: dict[int, list[Operation]] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    moves: list[Operation] = field(default_factory=list)

    @classmethod
    def holding(cls, files: dict[str, bytes], nodes: dict[str, int]) -> Disk:
        """All of it durable."""
        return cls({nodes[name]: bytearray(data) for name, data in files.items()}, {}, dict(nodes))

    def apply(self, op: Operation) -> None:
        if op.kind == "write":
            self.written.setdefault(op.node, []).append(op)
        elif op.kind == "sync":
            self._settle(op.node)
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

    def crash(self, rng: random.Random) -> dict[str, bytes]:
        """One of the states in which the medium may be found."""
        names = dict(self.names)
        for move in self.moves[: rng.choice((0, len(self.moves), rng.randint(0, len(self.moves))))]:
            _move(names, move)
        chance = rng.choice(((1.0, 0.0), (0.0, 0.0), (0.5, 0.0), (0.4, 0.3), (0.8, 0.15), (0.1, 0.8)))
        return {name: bytes(self._torn(node, rng, *chance)) for name, node in names.items()}

    def _torn(self, node: int, rng: random.Random, new: float, garbage: float) -> bytearray:
        data = bytearray(self.durable.get(node, b""))
        size = len(data)
        for op in self.written.get(node, []):
            size = max(size, rng.choice((len(data), op.offset + len(op.data))))
            whole = rng.random() < 0.3 and garbage < 0.5
            fate = rng.random()
            for at in range(op.offset // SECTOR * SECTOR, op.offset + len(op.data), SECTOR):
                if not whole:
                    fate = rng.random()
                if fate < new:
                    start, stop = max(at, op.offset), min(at + SECTOR, op.offset + len(op.data))
                    _put(data, start, op.data[start - op.offset : stop - op.offset])
                elif fate < new + garbage:
                    _put(data, at, rng.randbytes(SECTOR))
        return data[: max(size, len(self.durable.get(node, b"")))]


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
