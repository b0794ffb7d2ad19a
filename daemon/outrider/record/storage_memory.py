"""Storage in memory, for tests and simulations: logs each operation, and can be full or broken on request."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

from outrider.errors import JournalError
from outrider.ports import Guard, StorageFile


@dataclass(frozen=True, slots=True)
class Operation:
    """kind: create, write, sync, rename, unlink, sync_dir. node: the file behind the name, stable through renames."""

    kind: str
    node: int = 0
    offset: int = 0
    data: bytes = b""
    name: str = ""
    new: str = ""


class NoThreads:
    """The guard where there is one thread: nothing to wait for."""

    def __enter__(self) -> bool:
        return True

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None, /
    ) -> None:
        return None

    def notify_all(self) -> None:
        return None

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        return predicate()


@dataclass(slots=True)
class _Node:
    number: int
    data: bytearray = field(default_factory=bytearray)


class MemoryFile:
    def __init__(self, storage: MemoryStorage, node: _Node) -> None:
        self._storage = storage
        self._node = node

    def pread(self, size: int, offset: int) -> bytes:
        return bytes(self._node.data[offset : offset + size])

    def pwrite(self, data: bytes | bytearray | memoryview, offset: int) -> int:
        self._storage.spend(max(0, offset + len(data) - len(self._node.data)))
        self._storage.note(Operation("write", self._node.number, offset, bytes(data)))
        held = self._node.data
        if len(held) < offset:
            held.extend(bytes(offset - len(held)))
        held[offset : offset + len(data)] = data
        return len(data)

    def sync(self) -> None:
        self._storage.note(Operation("sync", self._node.number))

    def size(self) -> int:
        return len(self._node.data)

    def close(self) -> None:
        return None


class MemoryStorage:
    """capacity: bytes of all files together, None = endless. fail: called with each operation, may raise."""

    def __init__(
        self,
        files: dict[str, bytes] | None = None,
        *,
        capacity: int | None = None,
        fail: Callable[[Operation], None] | None = None,
    ) -> None:
        self.log: list[Operation] = []
        self.capacity = capacity
        self.fail = fail
        self._nodes = 0
        self._guard = NoThreads()
        self._files: dict[str, _Node] = {}
        for name, data in (files or {}).items():
            self._files[name] = self._node(data)

    def _node(self, data: bytes = b"") -> _Node:
        self._nodes += 1
        return _Node(self._nodes, bytearray(data))

    def note(self, operation: Operation) -> None:
        if self.fail is not None:
            self.fail(operation)
        self.log.append(operation)

    def spend(self, grow: int) -> None:
        if grow and self.free_bytes() < grow:
            raise refusal(errno.ENOSPC, "No space left on device")

    def files(self) -> dict[str, bytes]:
        return {name: bytes(node.data) for name, node in self._files.items()}

    def nodes(self) -> dict[str, int]:
        """Name -> number of the file behind it, as in the log."""
        return {name: node.number for name, node in self._files.items()}

    def open(self, name: str, *, create: bool = False) -> StorageFile:
        if create:
            node = self._node()
            self.note(Operation("create", node.number, name=name))
            self._files[name] = node
        elif name not in self._files:
            raise refusal(errno.ENOENT, f"{name}: No such file") from FileNotFoundError(name)
        return MemoryFile(self, self._files[name])

    def rename(self, old: str, new: str) -> None:
        self._known(old)
        self.note(Operation("rename", name=old, new=new))
        self._files[new] = self._files.pop(old)

    def unlink(self, name: str) -> None:
        self._known(name)
        self.note(Operation("unlink", name=name))
        del self._files[name]

    def _known(self, name: str) -> None:
        if name not in self._files:
            raise refusal(errno.ENOENT, f"{name}: No such file") from FileNotFoundError(name)

    def sync_dir(self) -> None:
        self.note(Operation("sync_dir"))

    def names(self) -> list[str]:
        return sorted(self._files)

    def free_bytes(self) -> int:
        if self.capacity is None:
            return 1 << 40
        return self.capacity - sum(len(node.data) for node in self._files.values())

    def guard(self) -> Guard:
        return self._guard

    def close(self) -> None:
        return None


def refusal(code: int, message: str) -> JournalError:
    err = JournalError(message)
    err.errno = code
    return err
