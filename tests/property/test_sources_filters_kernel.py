"""Kernel filters against what decides in the end: the native decoder."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.engine import Decoder
from outrider.model.frame import EFF, FrameBatch
from outrider.model.vehicle import BitField, MessageDef, SignalDef, Slot, VehicleTables
from outrider.sources.filters import EFF_FLAG, RTR_FLAG, FrameFilter, profile_filters

SIGNAL = SignalDef("s", 0, BitField(0, 8))
# Identifiers close to each other and to the borders of the kinds of numbers that CAN knows.
STANDARD = st.one_of(st.integers(0, 0x7FF), st.sampled_from((0, 0x100, 0x7DF, 0x7E7, 0x7E8, 0x7EF, 0x7F0, 0x7FF)))
EXTENDED = st.one_of(
    st.integers(0, 0x1FFFFFFF),
    st.sampled_from((0x100, 0x7E8, 0x18FEF100, 0x18FEF221, 0x0CFEF100, 0x18EF1234, 0x18EFF134, 0x18DAF110, 0x18DAF210)),
)


def kernel_passes(filters: tuple[FrameFilter, ...], word: int) -> bool:
    """net/can/af_can.c, as its documentation has it: any filter, ``id & mask == can_id & mask``."""
    return any(word & f.mask == f.can_id & f.mask for f in filters)


def is_diagnostic_answer(can_id: int, *, extended: bool) -> bool:
    return can_id >> 8 == 0x18DAF1 if extended else 0x7E8 <= can_id <= 0x7EF


@st.composite
def vehicles(draw: st.DrawFn) -> VehicleTables:
    found = []
    for _ in range(draw(st.integers(0, 8))):
        extended = draw(st.booleans())
        found.append(
            MessageDef(
                "m",
                draw(EXTENDED if extended else STANDARD),
                extended,
                8,
                (SIGNAL,) if draw(st.integers(0, 4)) else (),
                j1939=extended and draw(st.booleans()),
                bus=draw(st.sampled_from((None, None, 0, 1))),
            )
        )
    return VehicleTables("p", tuple(found), (Slot("A"),))


@settings(max_examples=300, deadline=None)
@given(vehicles(), st.data(), st.integers(0, 1))
def test_a_frame_passes_exactly_when_the_profile_decodes_it(
    tables: VehicleTables, data: st.DataObject, bus: int
) -> None:
    """Identifiers at random, those of the profile, and their neighbours: passed = decoded or an ECU's answer."""
    filters = profile_filters(tables, bus)
    assert filters is not None
    decodable = replace(tables, messages=tuple(m for m in tables.messages if m.signals))
    known = [(m.frame_id, m.extended) for m in tables.messages] or [(0, False)]
    for _ in range(20):
        can_id, extended = data.draw(st.sampled_from(known))
        if data.draw(st.booleans()):
            extended = data.draw(st.booleans())
            can_id = data.draw(EXTENDED if extended else STANDARD)
        can_id = (can_id ^ data.draw(st.sampled_from((0, 0, 1, 0x80, 0x100, 0x10000, 0x1000000, 0x10000000)))) & (
            0x1FFFFFFF if extended else 0x7FF
        )
        batch, decoder = FrameBatch(), Decoder(decodable)
        batch.append(0, can_id, bytes(8), EFF if extended else 0, bus)
        decoder.decode(batch)
        wanted = decoder.stats().matched == 1 or is_diagnostic_answer(can_id, extended=extended)
        word = can_id | (EFF_FLAG if extended else 0)
        assert kernel_passes(filters, word) == wanted, f"{can_id:X} extended={extended}"
        assert not kernel_passes(filters, word | RTR_FLAG), "remote frames carry nothing"
