"""``Sql``: one connection to a database that holds the receiver's register, as the register uses it.

Statements are written once for SQLite and PostgreSQL: ``?`` for values, ``ON CONFLICT``, ``RETURNING``. Epochs and
session ids are unsigned 64 bits kept as the signed number of the same bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Protocol

FOR_UPDATE: Final = "/*+lock*/"  # where a query is to lock its rows; databases with one writer need none


class Sql(Protocol):
    """Every refusal is a JournalError."""

    @property
    def in_transaction(self) -> bool: ...

    def begin(self) -> None:
        """Open a transaction unless one is open."""
        ...

    def commit(self) -> None:
        """Durable when it returns; no effect without a transaction."""
        ...

    def rollback(self) -> None:
        """Never raises."""
        ...

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]: ...

    def stream(self, query: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """As ``rows``, without holding all of them."""
        ...

    def many(self, query: str, rows: Iterable[Sequence[object]]) -> None:
        """The statement once for each row."""
        ...

    def elect(self) -> bool:
        """Whether this connection is the one of all workers that does what only one may; it stays so until it ends."""
        ...

    def put_records(self, rows: Sequence[Sequence[object]]) -> None:
        """Rows of ``records``: new ones, or such that replace a gap; a record that is there with another content
        stays."""
        ...

    def close(self) -> None: ...


def signed(n: int) -> int:
    return n - (1 << 64) if n >= 1 << 63 else n


def unsigned(n: int) -> int:
    return n & ((1 << 64) - 1)
