"""When a signal is in its frame at all: multiplexing and validity bits as ``Condition``s, "no value" codes, ranges."""

from __future__ import annotations

from collections.abc import Mapping as TypingMapping
from typing import Final

from outrider.errors import ProfileError
from outrider.model.vehicle import BitField, Condition, Encoding
from outrider.profile.dbc_loader import MAX_FRAME_BYTES, last_byte, merge_ranges
from outrider.profile.dbc_model import DbcMessage, DbcSignal
from outrider.profile.overlay import Mapping, Selector, nearest

# SAE J1939-71: of a whole-byte value 0xFB.. is parameter specific or reserved, 0xFE.. an error, 0xFF.. not available.
_J1939_TOP: Final = {8: 0xFB, 16: 0xFB00, 32: 0xFB000000}


def fits_frame(field: BitField) -> bool:
    """The longest CAN FD frame holds it."""
    return last_byte(field) < MAX_FRAME_BYTES


def mux_conditions(signals: TypingMapping[str, DbcSignal], signal: DbcSignal) -> tuple[Condition, ...]:
    """The chain of switches above a signal, outermost first. signals: those of its message, by name."""
    chain: list[Condition] = []
    current: DbcSignal | None = signal
    seen: set[str] = set()
    while current is not None and current.mux is not None and current.name not in seen:
        seen.add(current.name)
        switch = signals.get(current.mux.switch)
        if switch is not None and fits_frame(switch.field):
            chain.append(Condition(switch.field, current.mux.ranges))
        current = switch
    return tuple(reversed(chain))


def selector_conditions(message: DbcMessage, mapping: Mapping) -> tuple[Condition, ...]:
    """Validity bits and kuksa multiplexers; ProfileError if they name nothing in this message."""
    return tuple(_selector_condition(message, mapping, selector) for selector in mapping.selectors)


def _selector_condition(message: DbcMessage, mapping: Mapping, selector: Selector) -> Condition:
    switch = message.signal(selector.signal)
    if switch is None or not fits_frame(switch.field):
        names = [s.name for s in message.signals]
        raise ProfileError(
            f"{mapping.path}: message {message.name} of {mapping.signal} has no signal {selector.signal}"
            + nearest(selector.signal, names), path=mapping.file, line=mapping.line,
        )  # fmt: skip
    ranges: list[tuple[int, int]] = []
    for low, high in selector.values:
        ranges += raw_span(switch, _raw(low, switch, mapping), _raw(high, switch, mapping), mapping)
    return Condition(switch.field, merge_ranges(ranges))


def _raw(value: int | str, switch: DbcSignal, mapping: Mapping) -> int:
    if isinstance(value, int):
        return value
    for raw, text in switch.choices:
        if text == value:
            return raw
    texts = [text for _raw_value, text in switch.choices]
    raise ProfileError(
        f"{mapping.path}: {switch.name} has no value text '{value}'{nearest(value, texts)}",
        path=mapping.file, line=mapping.line,
    )  # fmt: skip


def raw_span(signal: DbcSignal, low: int, high: int, mapping: Mapping) -> list[tuple[int, int]]:
    """Raw values as the unsigned view of the bits; a span of a signed value across zero becomes two."""
    size = 1 << signal.field.length
    if not -(size // 2) <= low <= high < size:
        raise ProfileError(
            f"{mapping.path}: {low}..{high} does not fit the {signal.field.length} bits of {signal.name}",
            path=mapping.file, line=mapping.line,
        )  # fmt: skip
    if low >= 0:
        return [(low, high)]
    if high < 0:
        return [(low + size, high + size)]
    return [(0, high), (low + size, size - 1)]


def not_available(signal: DbcSignal, mapping: Mapping, *, j1939: bool) -> tuple[tuple[int, int], ...]:
    """Raw codes that mean "no value": as the overlay says, else those of J1939 for a J1939 message."""
    if mapping.not_available is not None:
        spans: list[tuple[int, int]] = []
        for low, high in mapping.not_available:
            spans += raw_span(signal, low, high, mapping)
        return merge_ranges(spans)
    top = _J1939_TOP.get(signal.field.length)
    if not j1939 or top is None or signal.encoding != Encoding.UINT:
        return ()
    return ((top, (1 << signal.field.length) - 1),)


def physical_range(signal: DbcSignal) -> tuple[tuple[float, float] | None, str]:
    """The DBC's [min|max], half a step wider, if it says something; else None and why it was put aside ("" = nothing).

    A range that the bits cannot leave needs no check. One that contradicts the signal itself (backwards, out of reach
    of the bits, or against the signal's own value texts) would drop good values and is put aside.
    """
    if signal.minimum is None or signal.maximum is None or signal.encoding in (Encoding.FLOAT32, Encoding.FLOAT64):
        return _float_range(signal)
    low, high = signal.minimum, signal.maximum
    if not low < high:
        return None, f"the range [{low:g}|{high:g}] is empty"
    bits_low, bits_high = reach(signal)
    if low <= bits_low and bits_high <= high:
        return None, ""
    if high < bits_low or low > bits_high:
        return None, f"the range [{low:g}|{high:g}] is out of reach of its bits ({bits_low:g}..{bits_high:g})"
    texts = [raw * signal.factor + signal.offset for raw, _text in signal.choices]
    if signal.field.length <= 8 and any(low <= value <= high for value in texts) and not low <= max(texts) <= high:
        return None, f"the range [{low:g}|{high:g}] excludes some of its own value texts"
    half = abs(signal.factor) / 2
    return (low - half, high + half), ""


def _float_range(signal: DbcSignal) -> tuple[tuple[float, float] | None, str]:
    if signal.minimum is None or signal.maximum is None or not signal.minimum < signal.maximum:
        return None, ""
    return (signal.minimum, signal.maximum), ""


def reach(signal: DbcSignal) -> tuple[float, float]:
    """Smallest and largest physical value the bits can hold."""
    length = signal.field.length
    raw = (-(1 << (length - 1)), (1 << (length - 1)) - 1) if signal.encoding == Encoding.INT else (0, (1 << length) - 1)
    ends = [value * signal.factor + signal.offset for value in raw]
    return min(ends), max(ends)
