"""Hypothesis: random vehicle tables and frames that exercise them."""

from __future__ import annotations

from hypothesis import strategies as st

from outrider.model.frame import EFF, ERR, FD, RTR, FrameBatch
from outrider.model.vehicle import (
    BitField,
    Condition,
    Encoding,
    MessageDef,
    Role,
    SignalDef,
    Slot,
    Transform,
    VehicleTables,
)

FRAME_LENGTHS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 8, 12, 16, 20, 24, 32, 48, 64)
STANDARD_IDS = (0x000, 0x123, 0x7E8, 0x7FF)
EXTENDED_IDS = (0x123, 0x18FEF100, 0x0CF00400, 0x18EA0021, 0x1FFFFFFF)
numbers = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 3))


@st.composite
def fields(draw: st.DrawFn, length: int | None = None, size: int = 64) -> BitField:
    """A field somewhere within ``size`` bytes, mostly near the start, where frames are."""
    bits = size * 8
    wanted = length or draw(
        st.one_of(st.integers(1, 16), st.sampled_from((32, 52, 53, 54, 63, 64)), st.integers(1, 64))
    )
    wanted = min(wanted, bits)
    first = draw(st.integers(0, bits - wanted))
    if draw(st.booleans()):
        return BitField(first, wanted, False)
    return BitField(first // 8 * 8 + 7 - first % 8, wanted, True)


def raw_ranges(length: int) -> st.SearchStrategy[tuple[tuple[int, int], ...]]:
    top = 2**length - 1
    pair = st.tuples(st.integers(0, top), st.integers(0, top)).map(lambda p: (min(p), max(p)))
    return st.lists(st.one_of(pair, st.just((top, top)), st.just((0, top // 2))), min_size=1, max_size=3).map(tuple)


@st.composite
def conditions(draw: st.DrawFn, size: int) -> Condition:
    field = draw(fields(size=size))
    return Condition(field, draw(raw_ranges(field.length)))


@st.composite
def programs(draw: st.DrawFn) -> Transform:
    tokens: list[str | float] = ["x"]
    for _ in range(draw(st.integers(1, 6))):
        if draw(st.booleans()):
            tokens.append(draw(st.sampled_from(("neg", "abs", "floor", "ceil", "round", "sqrt"))))
        else:
            operand = draw(st.one_of(st.just("x"), numbers, st.sampled_from((0.0, 0.5, 2.0, 10.0))))
            tokens += [operand, draw(st.sampled_from(("+", "-", "*", "/", "%", "min", "max")))]
    return Transform(program=tuple(tokens))


value_maps = st.lists(st.tuples(st.integers(-3, 12).map(float), numbers), min_size=1, max_size=8).map(
    lambda pairs: Transform(table=tuple(pairs))
)


@st.composite
def signals(draw: st.DrawFn, slots: int, size: int) -> SignalDef:
    choices = [e for e, need in ((Encoding.FLOAT32, 4), (Encoding.FLOAT64, 8)) if size >= need]
    encoding = draw(st.sampled_from([Encoding.UINT, Encoding.UINT, Encoding.INT, Encoding.INT, *choices]))
    field = draw(fields({Encoding.FLOAT32: 32, Encoding.FLOAT64: 64}.get(encoding), size=size))
    fancy = draw(st.booleans())
    low, high = sorted((draw(numbers), draw(numbers)))
    return SignalDef(
        "s",
        draw(st.integers(0, slots - 1)),
        field,
        encoding,
        draw(st.one_of(st.just(1.0), st.sampled_from((0.1, 0.01, -1.0, 2.5, 1 / 3)), numbers)),
        draw(st.one_of(st.just(0.0), numbers)),
        minimum=low if draw(st.booleans()) and draw(st.booleans()) else None,
        maximum=high if draw(st.booleans()) and draw(st.booleans()) else None,
        not_available=draw(raw_ranges(field.length)) if fancy and draw(st.booleans()) else (),
        conditions=tuple(draw(st.lists(conditions(size), max_size=2))) if fancy else (),
        transform=draw(st.one_of(st.none(), programs(), value_maps)) if fancy else None,
    )


@st.composite
def messages(draw: st.DrawFn, slots: int) -> MessageDef:
    extended = draw(st.booleans())
    size = draw(st.sampled_from((2, 8, 8, 8, 12, 64)))
    return MessageDef(
        "m",
        draw(st.sampled_from(EXTENDED_IDS if extended else STANDARD_IDS)),
        extended,
        size,
        tuple(draw(st.lists(signals(slots, size), max_size=9))),
        j1939=extended and draw(st.booleans()),
        bus=draw(st.one_of(st.none(), st.integers(0, 1))),
        obd=draw(st.booleans()),
    )


@st.composite
def vehicles(draw: st.DrawFn, roles: tuple[Role, ...] = (Role.NONE,)) -> VehicleTables:
    slots = draw(st.integers(1, 6))
    return VehicleTables(
        "random",
        tuple(draw(st.lists(messages(slots), min_size=1, max_size=5))),
        tuple(Slot(f"S{i}", role=draw(st.sampled_from(roles)), telemetry=draw(st.booleans())) for i in range(slots)),
    )


@st.composite
def frame_batches(draw: st.DrawFn) -> FrameBatch:
    """Frames of the identifiers above, of other lengths than announced, with other priorities and sources."""
    batch = FrameBatch()
    for i in range(draw(st.integers(0, 12))):
        extended = draw(st.booleans())
        frame_id = draw(st.sampled_from(EXTENDED_IDS if extended else STANDARD_IDS))
        if extended and draw(st.booleans()):
            frame_id = (frame_id & ~0x1C0000FF) | draw(st.integers(0, 7)) << 26 | draw(st.integers(0, 255))
        length = draw(st.sampled_from(FRAME_LENGTHS))
        fill = draw(st.sampled_from((None, 0x00, 0xFF)))
        data = draw(st.binary(min_size=length, max_size=length)) if fill is None else bytes([fill]) * length
        flags = (EFF if extended else 0) | (FD if length > 8 else 0)
        flags |= draw(st.sampled_from((0, 0, 0, 0, 0, 0, RTR, ERR)))
        batch.append(i * 1000, frame_id, data, flags, draw(st.integers(0, 2)))
    return batch
