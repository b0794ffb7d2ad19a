"""Numbers as steps of the range coder: raw bits, bit trees, numbers of a header, residuals of a column.

A writer turns a number into steps for ``Encoder.bits``; the reader beside it (``take_...``) asks the decoder for the
same bits in the same contexts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

from outrider.wire.rangecoder import Decoder, Model

# Contexts of the model of one column: zero flag, sign, walk up and down from the usual length, second bit, presence.
_ZERO, _SIGN, _LONGER, _SHORTER, _SECOND, PRESENT, COLUMN_CONTEXTS = 0, 2, 5, 70, 135, 200, 202

# Contexts shared by all headers of a batch: two flags, two bit trees of which node 1 is the root, and for each number
# of a header one for "is it 0" and a tree of 64 for its length.
SPARSE, REFERENCED, PREDICTOR, USUAL, _NUMBER = 0, 1, 2, 10, 74
N_COUNT, N_ID, N_STEP, N_FIRST, N_REFERENCE, N_FACTOR, _NUMBERS = range(7)
HEADER_CONTEXTS: Final = _NUMBER + _NUMBERS * 64


def zigzag(value: int) -> int:
    return value << 1 if value >= 0 else ~(value << 1)


def unzigzag(number: int) -> int:
    return number >> 1 if not number & 1 else ~(number >> 1)


def tree(base: int, value: int, size: int) -> list[int]:
    """Steps for a number of ``size`` bits, each bit in the context of those before it."""
    steps, node = [], 1
    for shift in range(size - 1, -1, -1):
        bit = value >> shift & 1
        steps.append(base + node << 1 | bit)
        node = node << 1 | bit
    return steps


def take_tree(decoder: Decoder, model: Model, base: int, size: int) -> int:
    node = 1
    for _ in range(size):
        node = node << 1 | decoder.bit(model, base + node)
    return node - (1 << size)


def number(which: int, value: int) -> list[int]:
    """Steps for an unsigned number below 2^64: is it 0, length - 1 as a tree, the bits after the leading one."""
    base = _NUMBER + which * 64
    length = value.bit_length()
    if not length:
        return [base << 1]
    return [base << 1 | 1, *tree(base, length - 1, 6), *raw_steps(value, length - 1)]


def raw_steps(value: int, size: int) -> list[int]:
    """The low ``size`` bits of value, most significant first, as raw steps of at most 16 bits."""
    steps = []
    while size > 0:
        take = min(16, size)
        size -= take
        steps.append(~((value >> size & (1 << take) - 1) << 5 | take))
    return steps


def take_raw(decoder: Decoder, size: int) -> int:
    value = 0
    while size > 0:
        take = min(16, size)
        value = value << take | decoder.raw(take)
        size -= take
    return value


def take_number(decoder: Decoder, model: Model, which: int) -> int:
    base = _NUMBER + which * 64
    if not decoder.bit(model, base):
        return 0
    length = take_tree(decoder, model, base, 6)
    return 1 << length | take_raw(decoder, length)


# ---- residuals ---------------------------------------------------------------------------------


@cache
def _walks(usual: int) -> tuple[tuple[int, ...], ...]:
    """Steps that lead from the usual length to each length 0..64 (0 does not occur)."""
    table: list[tuple[int, ...]] = [()]
    for length in range(1, 65):
        longer = [_LONGER + at << 1 | (at < length) for at in range(usual, min(length + 1, 64))]
        shorter = [_SHORTER + at << 1 | (at > length) for at in range(usual, max(length - 1, 1), -1)]
        table.append(tuple(longer if length > usual else ([_LONGER + usual << 1] if usual < 64 else []) + shorter))
    return tuple(table)


def usual_length(r: Sequence[int]) -> int:
    """The median length of the residuals that are not 0."""
    lengths = sorted(map(int.bit_length, filter(None, r)))
    return lengths[len(lengths) // 2] if lengths else 1


def residual_steps(r: Sequence[int], usual: int) -> list[int]:
    """Steps for the residuals of a column, each within int64."""
    steps: list[int] = []
    append = steps.append
    walks = _walks(usual)
    zero, sign = _ZERO << 1, _SIGN << 1
    for value in r:
        if not value:
            append(zero)
            zero, sign = _ZERO << 1, _SIGN << 1
            continue
        append(zero | 1)
        zero = _ZERO + 1 << 1
        if value < 0:
            append(sign | 1)
            sign = _SIGN + 2 << 1
        else:
            append(sign)
            sign = _SIGN + 1 << 1
        length = value.bit_length()
        steps += walks[length]
        if length > 1:
            size = abs(value)
            length -= 2
            append(_SECOND + length << 1 | size >> length & 1)
            if length > 16:
                steps += raw_steps(size, length)
            elif length:
                append(~((size & (1 << length) - 1) << 5 | length))
    return steps


def take_residuals(decoder: Decoder, model: Model, count: int, usual: int) -> list[int]:
    """What ``residual_steps`` wrote."""
    bit = decoder.bit
    out: list[int] = []
    zero, sign = _ZERO, _SIGN
    for _ in range(count):
        if not bit(model, zero):
            out.append(0)
            zero, sign = _ZERO, _SIGN
            continue
        zero = _ZERO + 1
        negative = bit(model, sign)
        sign = _SIGN + 1 + negative
        length = usual
        while length < 64 and bit(model, _LONGER + length):
            length += 1
        if length == usual:
            while length > 1 and bit(model, _SHORTER + length):
                length -= 1
        value = 1
        if length > 1:
            value = 2 | bit(model, _SECOND + length - 2)
            if length > 2:
                value = value << length - 2 | take_raw(decoder, length - 2)
        out.append(-value if negative else value)
    return out
