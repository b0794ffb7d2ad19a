"""Descriptions of bodies: JSON-ready, names instead of numbers, never an exception for bad content."""

from __future__ import annotations

import json

import pytest

from outrider.model.record import Gap, GapReason, Kind, SignalSpec, SignalTable, TelemetryRow
from outrider.wire import outrider_pb2 as pb
from outrider.wire.bodies import encode_body, table_id
from outrider.wire.describe import describe

TABLE = SignalTable(
    (
        SignalSpec(0, "Vehicle.Speed", "km/h", 0.1),
        SignalSpec(1, "Vehicle.Gear", "", 1.0, -1.0, labels=((2, "first"),)),
    )
)


def test_telemetry_with_its_table_has_paths_and_physical_values() -> None:
    """value = integer * step + offset without the noise of binary fractions; labels beside the number."""
    row = TelemetryRow(table_id(TABLE), ((0, 3), (1, 2), (7, -4)))
    assert describe(Kind.TELEMETRY, encode_body(row), TABLE) == {
        "type": "telemetry",
        "table_id": f"{table_id(TABLE):08x}",
        "signals": {"Vehicle.Speed": 0.3, "Vehicle.Gear": 1.0},
        "labels": {"Vehicle.Gear": "first"},
        "values": {"7": -4},
    }


def test_telemetry_of_another_table_is_not_scaled_with_this_one() -> None:
    """A wrong table would give wrong numbers: the integers are shown instead."""
    row = TelemetryRow(1, ((0, 3),))
    out = describe(Kind.TELEMETRY, encode_body(row), TABLE)
    assert out == {"type": "telemetry", "table_id": "00000001", "values": {"0": 3}}
    assert describe(Kind.TELEMETRY, encode_body(row)) == out


def test_numbers_with_names_are_shown_by_name_and_epochs_as_hex() -> None:
    """64-bit epochs do not fit a JSON number everywhere."""
    out = describe(Kind.GAP, encode_body(Gap((1 << 64) - 1, 2, 3, GapReason.WITHHELD)))
    assert out == {"type": "gap", "epoch": "f" * 16, "first_seq": 2, "last_seq": 3, "reason": "withheld"}
    event = pb.Event(seq=1, kind=1, phase=3, flags=0x22, hacc_m=0.1)
    shown = describe(Kind.EVENT, event.SerializeToString())
    assert (shown["kind"], shown["phase"], shown["flags"]) == ("crash", "suspect", ["aligned", "position"])
    assert shown["hacc_m"] == pytest.approx(0.1)
    assert shown["lat_deg"] is None


def test_what_newer_versions_added_is_said() -> None:
    """Unknown kinds, enumerators and fields are visible, not an error."""
    assert describe(Kind(99), b"\xab") == {"type": "kind_99", "opaque": "ab"}
    shown = describe(Kind.EVENT, pb.Event(kind=77, phase=1).SerializeToString() + b"\xf8\x3f\x05")
    assert shown["kind"] == 77
    assert shown["unknown"] == [1023]


def test_signal_tables_carry_their_id() -> None:
    """The id that rows name is shown with the table."""
    shown = describe(Kind.SIGNAL_TABLE, encode_body(TABLE))
    assert shown["table_id"] == f"{table_id(TABLE):08x}"
    assert shown["signals"][1]["labels"] == [{"value": 2, "text": "first"}]


@pytest.mark.parametrize("kind", list(Kind))
def test_damage_is_described_not_raised(kind: Kind) -> None:
    """Every listing goes on over a broken body; what is shown is valid JSON."""
    shown = describe(kind, b"\x0a\x05abc")
    assert shown["type"] == kind.name.lower()
    assert "error" in shown
    assert shown["opaque"] == "0a05616263"
    json.dumps(shown, allow_nan=False)


def test_non_finite_numbers_from_outside_become_null() -> None:
    """JSON has no NaN."""
    shown = describe(Kind.EVENT, pb.Event(conf=float("nan"), dv_kmh=float("inf")).SerializeToString())
    assert shown["conf"] is None
    assert shown["dv_kmh"] is None
