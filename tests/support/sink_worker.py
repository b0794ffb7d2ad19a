"""Workers that store into a sink, as processes of their own: ``python -m tests.support.sink_worker MODE URL …``.

``feed``: one stream, batch after batch, for ever; prints the position after each commit. ``lazy``: the same without
waiting for the disk, as a mutant. ``crowd SEED``: every batch of every device (``crowd_batches``) in an order of its
own, in groups; prints what it would acknowledge: device, counter, lane, position.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Iterator

from outrider.errors import JournalError
from outrider.ingest.core import StreamKey
from outrider.ingest.sinks.sinks_io import open_store
from outrider.ingest.sinks.store_io import Store
from outrider.model.record import Category, Gap, GapReason, Kind, Lane, Record, StoredRecord
from outrider.wire.bodies import encode_body
from outrider.wire.codec import Batch

EPOCH = 0xFEDCBA9876543210
DEVICES = ("a", "b", "c")
LANES = (Lane.EVENT, Lane.TELEMETRY)
NEWEST = 120
NOW = 1_790_000_000_000_000


def record(device: str, lane: Lane, seq: int) -> StoredRecord:
    if seq % 40 == 0:  # what was before it was given up
        kind, body = Kind.GAP, encode_body(Gap(EPOCH, seq - 4, seq, GapReason.QUOTA))
    else:
        kind, body = Kind(200), f"{device} {lane} {seq}".encode()
    return StoredRecord(EPOCH, seq, Record(lane, kind, Category.DRIVING, 7, seq, body))


def crowd_batches() -> list[Batch]:
    """Overlapping batches of all streams; 36 to 39, 76 to 79, ... never come."""
    batches = []
    for device in DEVICES:
        for lane in LANES:
            for block in range(1, NEWEST, 40):
                for first, last in ((block, block + 14), (block + 10, block + 34), (block + 39, block + 39)):
                    records = tuple(record(device, lane, seq) for seq in range(first, last + 1))
                    batches.append(Batch(device, EPOCH, lane, records, behind=first - 1))
    return batches


def crowd(store: Store, seed: int) -> Iterator[object]:
    rng = random.Random(seed)
    batches = crowd_batches()
    rng.shuffle(batches)
    while batches:
        group, batches = batches[:7], batches[7:]
        while True:
            try:
                store.reserve(group)
                touched = set()
                for batch in group:
                    touched |= store.accept(batch, NOW).touched
                acks = [
                    (s.device, store.next_ack_counter(s.device, 0), int(s.lane), store.position(s))
                    for s in sorted(touched, key=lambda s: (s.device, s.lane))
                ]
                store.commit()
                break
            except JournalError as err:
                store.rollback()
                yield {"refused": str(err)}
        yield {"acks": acks}


def feed(store: Store) -> Iterator[object]:
    stream = StreamKey("a", EPOCH, Lane.EVENT)
    last = 0
    while True:
        records = tuple(record("a", Lane.EVENT, seq) for seq in range(last + 1, last + 6))
        try:
            store.accept(Batch("a", EPOCH, Lane.EVENT, records, behind=last), NOW)
            position = store.position(stream)
            store.commit()
        except JournalError as err:
            store.rollback()
            yield {"refused": str(err)}
            time.sleep(0.02)  # the server is away
            continue
        last = position
        yield {"position": position}


def main() -> None:
    mode, url, *more = sys.argv[1:]
    with open_store(url) as store:
        if mode == "lazy":
            store.sql.rows("SET synchronous_commit = off")
        for told in crowd(store, int(more[0])) if mode == "crowd" else feed(store):
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
