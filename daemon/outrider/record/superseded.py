"""Which segments another one has taken the place of.

Packing and thinning make one file of the segments a..b (``rewrite``). It is durable before it gets the name of b, and
begins with the first number of a; only then a and the others go. Power may fail in between: then both are there, and
the rewritten file holds.
"""

from __future__ import annotations

from collections.abc import Sequence

from outrider.errors import JournalError
from outrider.ports import Storage
from outrider.record.format import BLOCK, PLAIN, SegmentHeader, parse_segment_header
from outrider.record.salvage import open_around, read_around
from outrider.record.segment import parse_segment_name


def superseded(storage: Storage, names: Sequence[tuple[int, str]]) -> list[str]:
    """Those of one stream's files, given ascending as (segment number, name), that a later one stands for."""
    void: list[str] = []
    floor: int | None = None
    for _number, name in reversed(names):
        header = _header(storage, name)
        if header is None:
            continue
        if floor is not None and header.first_seq >= floor:
            void.append(name)
        elif header.form != PLAIN:
            floor = header.first_seq
    return void


def _header(storage: Storage, name: str) -> SegmentHeader | None:
    """None: unreadable, or of another file: left to ``recovery``."""
    try:
        file = open_around(storage, name)
    except JournalError as err:
        if isinstance(err.__cause__, FileNotFoundError):
            return None  # a running daemon has released it
        raise
    if file is None:
        return None
    try:
        header = parse_segment_header(read_around(file, BLOCK, 0)[0])
    finally:
        file.close()
    if header is None or (header.lane, header.epoch, header.segment) != parse_segment_name(name):
        return None
    return header
