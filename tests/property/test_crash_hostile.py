"""Records of a crash as an enemy or a dying flash chip would leave them: always a document, never a traceback."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.crash.collect import collect, document
from outrider.crash.document_json import decode_document, encode_document
from outrider.crash.package_data import package_content
from outrider.crash.reanalyse import reanalyse
from outrider.errors import InputError
from outrider.model.record import Kind, StoredRecord
from outrider.wire.bodies import parse_message
from tests.support.crash_records import blow, driven, pulsed

EXTREMES: dict[int, list[Any]] = {
    FieldDescriptor.CPPTYPE_FLOAT: [float("nan"), float("inf"), -1e30, 1e30, 0.0, -1.0, 400.0],
    FieldDescriptor.CPPTYPE_DOUBLE: [float("nan"), -float("inf"), -1e30, 1e30, 0.0, 99999.0],
    FieldDescriptor.CPPTYPE_INT64: [0, -1, 2**63 - 1, -(2**63), 10**12],
    FieldDescriptor.CPPTYPE_UINT64: [0, 1, 2**64 - 1],
    FieldDescriptor.CPPTYPE_UINT32: [0, 1, 7, 255, 2**32 - 1],
    FieldDescriptor.CPPTYPE_INT32: [0, 1, -1, 2**31 - 1],
    FieldDescriptor.CPPTYPE_STRING: ["", "=cmd()", "<script>", "\u202e" + "x" * 3000, 'a,b\n"c'],
}
TWISTED = {Kind.EVENT, Kind.CRASH, Kind.CLOCK, Kind.BOOT}


def twist(message: Message, rng: random.Random) -> None:
    """Some fields of a message at the ends of what they can hold."""
    for field in message.DESCRIPTOR.fields:
        if rng.random() > 0.12:
            continue
        value = getattr(message, field.name)
        if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
            for part in value if field.is_repeated else [value]:
                twist(part, rng)
        elif field.cpp_type in EXTREMES and field.is_repeated:
            del value[:]
            value.extend(rng.choice(EXTREMES[field.cpp_type]) for _ in range(rng.choice([0, 1, 31, 2000])))
        elif field.cpp_type in EXTREMES:
            setattr(message, field.name, rng.choice(EXTREMES[field.cpp_type]))


def twisted(stored: StoredRecord, rng: random.Random) -> StoredRecord:
    """The record with extreme fields, or with damaged bytes."""
    record = stored.record
    body = bytearray(record.body)
    message = parse_message(record.kind, record.body) if record.kind in TWISTED and rng.random() < 0.5 else None
    if message is not None:
        twist(message, rng)
        body = bytearray(message.SerializeToString())
    elif body and rng.random() < 0.2:
        at = rng.randrange(len(body))
        body[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
    return replace(stored, record=replace(record, body=bytes(body)))


@cache
def sources() -> dict[str, tuple[StoredRecord, ...]]:
    return {"bus": driven(), "sensor": pulsed(*blow(-40.0, 10.0))}


@pytest.mark.parametrize("source", ["bus", "sensor"])
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_no_record_breaks_a_crash(source: str, seed: int) -> None:
    """What is left is collected, documented, packed and judged; the document is finite and comes back as it was."""
    rng = random.Random(seed)
    for bundle in collect([twisted(stored, rng) for stored in sources()[source] if rng.random() > 0.03], "car-1"):
        told = document(bundle)
        assert decode_document(encode_document(told)) == told
        assert package_content(bundle).files
        with suppress(InputError):  # one clear error is an answer
            reanalyse(bundle, None)
