"""Dead letters read again: what a newer version makes of them. Pure but for the store it is handed."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from outrider.ingest.core import DeadLetter, read_message
from outrider.ingest.sinks.sink import Letter
from outrider.ingest.sinks.store_io import Store
from outrider.model.record import Category, Kind, Lane, Record, StoredRecord
from outrider.wire.birth import Birth
from outrider.wire.codec import Batch

_CANONICAL: Final = struct.Struct("<QBQBBBIq")  # StoredRecord.canonical, before the body


@dataclass(frozen=True, slots=True)
class Replayed:
    """letters: of use now, and dropped from the list; still: of no use as before; cut: kept in part only, so that they
    cannot be read again. records: new in the store."""

    letters: int = 0
    records: int = 0
    still: int = 0
    cut: int = 0


def replay(store: Store, letters: Iterable[Letter], *, max_bytes: int = 1 << 20) -> Replayed:
    """Read each again; what is of use now is stored and its letter dropped, in one transaction each. JournalError."""
    done = records = still = cut = 0
    for letter in letters:
        if not letter.is_whole:
            cut += 1
            continue
        new = _take(store, letter, max_bytes)
        if new is None:
            store.rollback()
            still += 1
            continue
        store.drop_letters((letter,))
        store.commit()
        done += 1
        records += new
    return Replayed(done, records, still, cut)


def _take(store: Store, letter: Letter, max_bytes: int) -> int | None:
    """Records that are new; None: it is of no use."""
    if letter.topic.count("/") == 1:  # a record, not a message
        record = _record_of(letter.payload)
        told = record is not None and store.learn_again(letter.topic[2:], record, letter.received_utc_us)
        return 0 if told else None
    if letter.reason.startswith("conflict: "):  # the first content stays, whatever the version
        return None
    content = read_message(letter.topic, letter.payload, max_bytes=max_bytes)
    match content:
        case Batch():
            return store.accept_again(content, letter.received_utc_us).new
        case Birth():
            if store.device(content.device, letter.received_utc_us).seen_utc_us <= letter.received_utc_us:
                store.accept_birth(content, letter.received_utc_us)  # else the terminal has told newer things since
            return 0
        case DeadLetter():
            return None
    return None


def _record_of(payload: bytes) -> StoredRecord | None:
    if len(payload) < _CANONICAL.size:
        return None
    epoch, lane, seq, kind, category, schema, boot_id, t_us = _CANONICAL.unpack_from(payload)
    if lane not in Lane.__members__.values():
        return None
    body = payload[_CANONICAL.size :]
    return StoredRecord(epoch, seq, Record(Lane(lane), Kind(kind), Category(category), boot_id, t_us, body, schema))
