"""Packing tables: what is refused and how it is named, and that a damaged blob never gets in."""

from __future__ import annotations

import dataclasses
import random
import struct

import pytest

from outrider.engine import pack_tables
from outrider.engine.native import aligned, crc32c, ffi, lib
from outrider.errors import ProfileError
from outrider.model.vehicle import (
    BitField,
    Condition,
    Encoding,
    MessageDef,
    SignalDef,
    Slot,
    Transform,
    VehicleTables,
)

SIGNAL = SignalDef("Speed", 0, BitField(8, 16))


def vehicle(signal: SignalDef = SIGNAL, **message: object) -> VehicleTables:
    base = MessageDef("Engine", 0x100, False, 8, (signal,))
    return VehicleTables("p", (dataclasses.replace(base, **message),), (Slot("A"),))  # type: ignore[arg-type]


def replaced(**fields: object) -> VehicleTables:
    return vehicle(dataclasses.replace(SIGNAL, **fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        (replaced(slot=1), "slot 1 does not exist"),
        (replaced(field=BitField(500, 16)), "do not fit 64 bytes"),
        (replaced(field=BitField(0, 65)), "do not fit 64 bytes"),
        (replaced(field=BitField(0, 0)), "do not fit 64 bytes"),
        (replaced(field=BitField(505, 16, True)), "do not fit 64 bytes"),
        (replaced(encoding=Encoding.FLOAT32), "a float of 16 bits"),
        (replaced(factor=float("inf")), "finite"),
        (replaced(minimum=float("nan")), "NaN"),
        (replaced(not_available=((5, 4),)), "5..4 is no range"),
        (replaced(conditions=(Condition(BitField(600, 1), ((0, 0),)),)), "do not fit 64 bytes"),
        (replaced(transform=Transform(program=("x", "+"))), "lacks an operand"),
        (replaced(transform=Transform(program=("x", "x"))), "leaves 2 values"),
        (replaced(transform=Transform(program=("x", "pow"))), "unknown operator 'pow'"),
        (replaced(transform=Transform(program=("x",) * 17)), "nests deeper"),
        (replaced(transform=Transform(table=((1.0, float("inf")),))), "not finite"),
        (vehicle(frame_id=0x800), "identifier 800 out of range"),
        (vehicle(j1939=True), "29-bit"),
        (vehicle(bus=255), "bus 255"),
    ],
)
def test_what_cannot_be_packed_names_message_and_signal(tables: VehicleTables, said: str) -> None:
    """A bad profile is one clear error that says where."""
    with pytest.raises(ProfileError, match=said) as caught:
        pack_tables(tables)
    assert "message Engine" in str(caught.value)


def test_equal_tables_pack_to_equal_bytes() -> None:
    """The blob is canonical: its hash names the tables in a tape."""
    assert pack_tables(vehicle()) == pack_tables(vehicle())
    assert pack_tables(vehicle()) != pack_tables(replaced(factor=2.0))


def native_init(blob: bytes) -> int:
    size = lib.otr_tables_size(blob, len(blob))
    owner, memory = aligned(size or 4096)
    assert owner is not None
    out = ffi.new("const otr_tables **")
    return int(lib.otr_tables_init(memory, size or 4096, blob, len(blob), out))


def test_a_damaged_blob_is_refused() -> None:
    """Every single damaged byte and every truncation is noticed before anything is built."""
    blob = pack_tables(replaced(not_available=((1, 2),), conditions=(Condition(BitField(0, 4), ((1, 3),)),)))
    assert native_init(blob) == 0
    for i in range(len(blob)):
        if 44 <= i < 56 or i in (6, 7) or 36 <= i < 40:  # reserved, not looked at
            continue
        assert native_init(blob[:i] + bytes([blob[i] ^ 0x55]) + blob[i + 1 :]) < 0, i
        assert native_init(blob[:i]) < 0, i


def test_a_hostile_blob_with_a_right_checksum_never_escapes_its_memory() -> None:
    """Random values in a well-formed frame are refused or harmless (the sanitizer build runs this test too)."""
    blob = pack_tables(replaced(not_available=((1, 2),), transform=Transform(program=("x", 2.0, "*"))))
    rng = random.Random(3)
    outcomes = set()
    for _ in range(3000):
        body = bytearray(blob[56:])
        for _ in range(rng.randint(1, 3)):
            body[rng.randrange(len(body))] = rng.choice((0, 1, 0x7F, 0xFF, rng.randrange(256)))
        forged = blob[:40] + struct.pack("<I", crc32c(body)) + blob[44:56] + bytes(body)
        outcomes.add(native_init(forged))
    assert outcomes == {0, lib.OTR_ERR_INVAL}


def test_too_little_memory_is_refused() -> None:
    """The caller's memory is never overrun."""
    blob = pack_tables(vehicle())
    _owner, memory = aligned(4096)
    out = ffi.new("const otr_tables **")
    assert lib.otr_tables_init(memory, 64, blob, len(blob), out) == lib.OTR_ERR_NOMEM
