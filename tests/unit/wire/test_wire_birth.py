"""Birth documents and wills."""

from __future__ import annotations

import dataclasses

import pytest

from outrider.errors import WireError
from outrider.model.record import SignalSpec, SignalTable
from outrider.wire import outrider_pb2 as pb
from outrider.wire.birth import Birth, decode_birth, encode_birth
from outrider.wire.framing import frame

TABLE = SignalTable(tuple(SignalSpec(i, f"Vehicle.Signal{i}", "km/h", 0.1) for i in range(40)))
BIRTH = Birth("car-1", (1 << 64) - 1, "1.0 测试", TABLE, True, 0xFFFFFFFF, 1 << 63)


@pytest.mark.parametrize(
    "birth",
    [BIRTH, dataclasses.replace(BIRTH, online=False, table=None), Birth("d", 0, "", SignalTable(()), False, 0, 0)],
)
def test_round_trip(birth: Birth) -> None:
    """Also without a table, and with an empty one (which is not the same)."""
    assert decode_birth(encode_birth(birth)) == birth


def test_a_table_of_forty_signals_is_compressed() -> None:
    """The retained document stays small."""
    assert len(encode_birth(BIRTH)) < 600


@pytest.mark.parametrize(
    "bad", [{"session_id": -1}, {"boot_id": 1 << 32}, {"epoch": 1 << 64}, {"device": "a/b"}, {"software": "\ud800"}]
)
def test_numbers_out_of_range_are_refused(bad: dict[str, object]) -> None:
    """Said when writing, as a WireError."""
    with pytest.raises(WireError):
        encode_birth(dataclasses.replace(BIRTH, **bad))  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("payload", [b"", b"\x10\xff", b"\x10", frame(pb.Birth(device="a/b").SerializeToString())])
def test_garbage_is_a_wire_error(payload: bytes) -> None:
    """A birth without a proper device id included."""
    with pytest.raises(WireError):
        decode_birth(payload)
