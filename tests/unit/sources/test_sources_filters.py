"""The list of kernel filters: its form, its limit, its bytes."""

from __future__ import annotations

import struct

from outrider.model.vehicle import BitField, MessageDef, SignalDef, Slot, VehicleTables
from outrider.profile.load_io import load_profile
from outrider.sources.filters import (
    DIAGNOSTIC_ANSWERS,
    MAX_FILTERS,
    FrameFilter,
    pack_filters,
    profile_filters,
)


def message(frame_id: int, *, extended: bool = False, j1939: bool = False, bus: int | None = None) -> MessageDef:
    return MessageDef("m", frame_id, extended, 8, (SignalDef("s", 0, BitField(0, 8)),), j1939=j1939, bus=bus)


def of(*messages: MessageDef, bus: int = 0) -> set[FrameFilter] | None:
    filters = profile_filters(VehicleTables("p", messages, (Slot("A"),)), bus)
    if filters is None:
        return None
    assert len(filters) == len(set(filters))
    return set(filters) - set(DIAGNOSTIC_ANSWERS)


def test_single_identifiers_have_the_masks_that_the_kernel_finds_at_once() -> None:
    """CAN_SFF_MASK or CAN_EFF_MASK with both flags: af_can.c puts these, and only these, into its O(1) lists."""
    assert of(message(0x123)) == {FrameFilter(0x123, 0xC00007FF)}
    assert of(message(0x123, extended=True)) == {FrameFilter(0x80000123, 0xDFFFFFFF)}


def test_parameter_groups_of_j1939_match_any_source() -> None:
    """PDU2: group of two bytes; PDU1: the second byte is the destination. Any priority; data page kept."""
    assert of(message(0x18FEF100, extended=True, j1939=True)) == {FrameFilter(0x80FEF100, 0xC3FFFF00)}
    assert of(message(0x19EF2155, extended=True, j1939=True)) == {FrameFilter(0x81EF0000, 0xC3FF0000)}


def test_each_bus_gets_its_own_messages() -> None:
    """A message without a bus is wanted on all."""
    both = (message(0x100), message(0x101, bus=0), message(0x102, bus=1))
    assert {f.can_id for f in of(*both, bus=0) or ()} == {0x100, 0x101}
    assert {f.can_id for f in of(*both, bus=1) or ()} == {0x100, 0x102}
    assert {f.can_id for f in of(*both, bus=2) or ()} == {0x100}


def test_a_profile_without_anything_still_hears_ecus_answer() -> None:
    """No filter at all would mean "nothing" to the kernel; the list is never empty."""
    assert profile_filters(VehicleTables("p", (), ()), 0) == DIAGNOSTIC_ANSWERS


def test_more_than_the_kernel_takes_is_none() -> None:
    """Exactly 512 are taken, 513 are not."""
    room = MAX_FILTERS - len(DIAGNOSTIC_ANSWERS)
    fits = of(*(message(n) for n in range(room)))
    assert fits is not None
    assert len(fits) == room
    assert of(*(message(n) for n in range(room + 1))) is None
    assert of(*(message(n) for n in range(room)), message(5)) == fits, "a message told twice is one filter"


def test_the_bytes_are_struct_can_filter() -> None:
    """Two native words each."""
    packed = pack_filters((FrameFilter(1, 0xC00007FF), FrameFilter(0x80000002, 0xDFFFFFFF)))
    assert struct.unpack("=4I", packed) == (1, 0xC00007FF, 0x80000002, 0xDFFFFFFF)


def test_the_bundled_profiles_fit() -> None:
    """OBD-II answers are all there; the simulated car has a handful of its own."""
    simcar = profile_filters(load_profile(["simcar", "obd2"]).tables, 0)
    assert simcar is not None
    assert {f.can_id for f in simcar} >= set(range(0x7E8, 0x7F0))
    assert len(DIAGNOSTIC_ANSWERS) < len(simcar) < 60
