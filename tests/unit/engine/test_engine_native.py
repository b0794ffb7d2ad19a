"""The border: constants, struct layouts, CRC."""

from __future__ import annotations

import random

import pytest

from outrider.engine import convert, crc32c
from outrider.engine.native import check, ffi, lib
from outrider.errors import EngineError
from outrider.model import frame
from outrider.model.event import CrashEvidence, DataQuality, EventFlag, EventKind, Phase
from outrider.model.vehicle import Encoding, Role

RENAMED = {"POSITION": "POS", "POSITION_STALE": "POS_STALE"}


@pytest.mark.parametrize(
    ("kind", "prefix"),
    [
        (EventKind, "OTR_EV_"),
        (Phase, "OTR_PH_"),
        (EventFlag, "OTR_EVF_"),
        (DataQuality, "OTR_DQ_"),
        (CrashEvidence, "OTR_EW_"),
        (Role, "OTR_ROLE_"),
        (Encoding, "OTR_ENC_"),
    ],
)
def test_enumerations_equal_the_header(kind: type, prefix: str) -> None:
    """Each name of a model enumeration has the value types.h gives it, and none is missing."""
    ours = {RENAMED.get(member.name, member.name): int(member) for member in kind}
    names = {n.removeprefix(prefix) for n in dir(lib) if n.startswith(prefix)} - {"COUNT", "TERMS"}
    assert ours == {name: getattr(lib, prefix + name) for name in names}


def test_frame_flags_equal_the_header() -> None:
    """The frame flags of model.frame are those of types.h."""
    names = ("EFF", "RTR", "ERR", "FD", "BRS", "ESI", "TX")
    assert [getattr(frame, n) for n in names] == [getattr(lib, f"OTR_FRAME_{n}") for n in names]


@pytest.mark.parametrize(
    ("layout", "name"),
    [(convert.FIX, "otr_fix"), (convert.SAMPLE, "otr_sample"), (frame.FRAME, "otr_frame")],
)
def test_layouts_have_the_size_of_the_struct(layout: object, name: str) -> None:
    """What Python packs is exactly one C struct."""
    assert layout.size == ffi.sizeof(name)  # type: ignore[attr-defined]


def test_output_layouts_fill_their_cells() -> None:
    """Event and vehicle have the sizes asserted in types.h."""
    assert (convert.EVENT.size, convert.VEHICLE.size) == (144, 104)


def bitwise_crc32c(data: bytes, seed: int = 0) -> int:
    crc = seed ^ 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_crc32c_known_answers() -> None:
    """RFC 3720 B.4 and the usual check value."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c(b"") == 0


def test_crc32c_equals_the_bitwise_definition_at_every_length_and_cut() -> None:
    """Sliced and byte-wise parts agree with the polynomial, and a CRC may be continued with seed."""
    data = random.Random(7).randbytes(2100)
    for length in [*range(40), 255, 256, 257, 2100]:
        assert crc32c(data[:length]) == bitwise_crc32c(data[:length])
    for cut in range(30):
        assert crc32c(data[cut:64], crc32c(data[:cut])) == crc32c(data[:64])
    assert crc32c(memoryview(data)[3:50]) == crc32c(bytearray(data[3:50]))


def test_a_negative_result_is_an_engine_error_with_its_code() -> None:
    """check() maps codes to exceptions and passes counts through."""
    assert check(5) == 5
    with pytest.raises(EngineError, match="too small") as caught:
        check(lib.OTR_ERR_NOMEM, "test")
    assert caught.value.code == -2
