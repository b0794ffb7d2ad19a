"""Writes vectors of a terminal that is newer than today's receiver, as ``make.py`` does for today's.

A file that exists is never touched. Each file: ``what``, ``type`` newer, ``topic``, ``payload`` as hex and what becomes
of it: ``canonical`` bytes of the records that are stored and the ``acknowledged`` position, or the ``letter``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from outrider.model.record import Category, Gap, GapReason, Kind, Lane, Record, StoredRecord
from outrider.wire import outrider_pb2 as pb
from outrider.wire.bodies import encode_body
from outrider.wire.codec import encode_batch
from outrider.wire.framing import frame, unframe

DEVICE, EPOCH = "veh-000123", 0x8F00D1CE5EEDBA11
ADDED_FIELD = bytes((0xFA, 0x7F, 0x03)) + b"new"  # number 2047, three bytes


def record(seq: int, kind: Kind, body: bytes, category: Category = Category.SYSTEM, schema: int = 1) -> StoredRecord:
    return StoredRecord(EPOCH, seq, Record(Lane.EVENT, kind, category, 0xB007001D, 1_000_000 * seq, body, schema))


def put(name: str, what: str, payload: bytes, **told: object) -> None:
    path = Path(__file__).parent / f"{name}.json"
    if path.exists():
        print(f"{path.name} exists", file=sys.stderr)
        return
    document = {"what": what, "type": "newer", "topic": f"t/{DEVICE}/e", "payload": payload.hex(), **told}
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def records(name: str, what: str, *stored: StoredRecord) -> None:
    canonical = [s.canonical().hex() for s in stored]
    put(name, what, encode_batch(DEVICE, stored), canonical=canonical, acknowledged=stored[-1].seq)


def message(
    name: str, what: str, letter: str | None, change: object = None, *, tail: bytes = b"", head: int = 0
) -> None:
    """One record in a batch whose message is changed."""
    stored = record(1, Kind(200), b"x")
    batch = pb.Batch()
    batch.ParseFromString(unframe(encode_batch(DEVICE, (stored,))))
    if callable(change):
        change(batch)
    payload = frame(batch.SerializeToString(deterministic=True) + tail)
    payload = bytes((payload[0] + head,)) + payload[1:]
    if letter is None:
        put(name, what, payload, canonical=[stored.canonical().hex()], acknowledged=1)
    else:
        put(name, what, payload, letter=letter)


def seven(batch: pb.Batch) -> None:
    batch.lane = 7


def main() -> None:
    records(
        "newer-kind",
        "a kind, a category and a schema that are not known",
        record(1, Kind(231), b"\x01new", Category(99), 9),
    )
    gap = encode_body(Gap(EPOCH, 1, 4, GapReason(99)))
    records(
        "newer-gap-reason", "a gap for a reason that is not known", record(4, Kind.GAP, gap), record(5, Kind(200), b"x")
    )
    notice = bytes((0x08, 0xFA, 0x01)) + ADDED_FIELD  # code 250
    records("newer-notice", "a notice with a code and a field that are not known", record(1, Kind.NOTICE, notice))
    event = bytes((0x08, 0x63, 0x10, 0x09)) + ADDED_FIELD  # kind 99, phase 9
    records(
        "newer-event",
        "an event of a kind, in a phase and with a field that are not known",
        record(1, Kind.EVENT, event),
    )
    message("newer-batch-field", "a batch with a field that is not known", None, tail=ADDED_FIELD)
    message(
        "newer-lane",
        "a lane that is not known: not acknowledged, so the terminal keeps it",
        "lane 7 is not known",
        seven,
    )
    message(
        "newer-frame", "a format of payloads that is not known: the same", "not a format this version reads", head=0x10
    )


if __name__ == "__main__":
    main()
