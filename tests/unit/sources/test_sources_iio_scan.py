"""Scans of IIO buffers: types, layout, values."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.errors import InputError
from outrider.sources.iio_scan import ScanElement, ScanLayout, ScanType, parse_type


def element(name: str, index: int, text: str) -> ScanElement:
    return ScanElement(name, index, parse_type(text))


def test_the_layout_of_the_kernels_own_example() -> None:
    """Three axes of 16 bits, then a stamp of 64: two bytes of padding before it (iio_devbuf.rst)."""
    layout = ScanLayout(
        [
            element("timestamp", 3, "le:s64/64>>0"),
            element("accel_z", 2, "le:s12/16>>4"),
            element("accel_x", 0, "le:s12/16>>4"),
            element("accel_y", 1, "be:u12/16>>0"),
        ]
    )
    scan = struct.pack("<h", -5 << 4) + struct.pack(">H", 0xF123) + struct.pack("<h", 2047 << 4) + b"\xff\xff"
    scan += struct.pack("<q", -(2**40))
    assert layout.size == 16
    assert [e.name for e in layout.elements] == ["accel_x", "accel_y", "accel_z", "timestamp"]
    assert layout.decode(scan * 2 + scan[:9]) == [(-5, 0x123, 2047, -(2**40))] * 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "le:s16/16",
        "xe:s16/16>>0",
        "le:s16/24>>0",
        "le:s17/16>>0",
        "le:s12/16>>5",
        "le:s0/16>>0",
        "le:s8/8X0>>0",
        "\xff",
    ],
)
def test_types_that_are_none(text: str) -> None:
    """Said, with the text; never a wrong number."""
    with pytest.raises(InputError, match=r"scan element|do not fit"):
        parse_type(text)


def test_layouts_that_are_none() -> None:
    """No channel, or two in one place."""
    with pytest.raises(InputError, match="no channel"):
        ScanLayout([])
    with pytest.raises(InputError, match="same index"):
        ScanLayout([element("a", 1, "le:s16/16>>0"), element("b", 1, "le:s16/16>>0")])


@st.composite
def types(draw: st.DrawFn) -> ScanType:
    storage = draw(st.sampled_from([8, 16, 32, 64]))
    bits = draw(st.integers(1, storage))
    return ScanType(
        draw(st.booleans()), draw(st.booleans()), bits, storage, draw(st.integers(1, 4)),
        draw(st.integers(0, storage - bits)),
    )  # fmt: skip


@given(st.lists(types(), min_size=1, max_size=8), st.data())
def test_what_is_written_is_read(kinds: list[ScanType], data: st.DataObject) -> None:
    """Any mixture of types, with any bits around the values; each value lies aligned to its own size."""
    layout = ScanLayout([ScanElement(f"c{i}", i, kind) for i, kind in enumerate(kinds)])
    scan = bytearray(data.draw(st.binary(min_size=layout.size, max_size=layout.size)))
    values, place = [], 0
    for kind in kinds:
        value = data.draw(st.integers(*kind.limits))
        place = -(-place // kind.size) * kind.size
        size = kind.storage_bits // 8
        order = "big" if kind.big_endian else "little"
        mask = (1 << kind.bits) - 1 << kind.shift
        raw = int.from_bytes(scan[place : place + size], order) & ~mask | (value << kind.shift & mask)
        scan[place : place + size] = raw.to_bytes(size, order)
        place += kind.size
        values.append(value)
    assert layout.decode(bytes(scan)) == [tuple(values)]
    assert layout.size % max(kind.size for kind in kinds) == 0
    assert 0 <= layout.size - place < max(kind.size for kind in kinds)


@given(st.text(max_size=30))
def test_any_text_is_a_type_or_a_clear_error(text: str) -> None:
    """Sysfs is the outside."""
    try:
        low, high = parse_type(text).limits
    except InputError:
        return
    assert low < high
