"""Columns of integers <-> bytes: prediction, then the adaptive range coder.

One stream of bits. First the times of all records, then the signals over the telemetry rows::

    stream    column of times, number of columns, { id step, sparse flag, [presence flags], column }
    column    scale - 1, zigzag(first value), predictor, reference flag, [reference, zigzag(factor)],
              usual length - 1, residuals

1. Scale: x[i] = first + scale * y[i], so y[0] = 0; scale divides all differences.
2. Reference, if any: z[i] = y[i] - (factor * w[i] + 32768 >> 16), w being the y of an earlier column; both have a
   value in every row. Otherwise z = y.
3. Predictor: r[i] = z[i] - p[i] for i >= 1 (``predict.residuals``).
4. Residuals: zero flag (context: was the last one zero), sign (context: sign of the last one), length of |r| as a walk
   up or down from the usual length, the bit after the leading one (context: length), the other bits raw.

x is int64 and all arithmetic is that of a 64-bit ring; a writer uses predictors 3 and 4 only where nothing leaves 62
bits and references only below 31 bits, so that a reader needs no wider integers. docs/reference/mqtt.md says the same
for other languages, contexts included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from outrider.errors import WireError
from outrider.wire import predict, steps
from outrider.wire.rangecoder import Decoder, Encoder, Model
from outrider.wire.steps import number, take_number, take_tree, tree, unzigzag, zigzag

MAX_CELLS: Final = 1 << 16
MAX_COLUMNS: Final = 4096

_HALF_RING: Final = 1 << 63
_RING: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Column:
    """One signal over the rows of a batch; None where a row lacks it. Values are int64."""

    id: int
    values: Sequence[int | None]


def _ring(values: list[int]) -> list[int]:
    """The values as int64, going round where they must."""
    if not values or (min(values) >= -_HALF_RING and max(values) < _HALF_RING):
        return values
    return [(v + _HALF_RING & _RING) - _HALF_RING for v in values]


# ---- writing ---------------------------------------------------------------------------------


def encode_columns(times: Sequence[int], columns: Sequence[Column]) -> bytes:
    """times: at least one; columns: ascending ids, equally long, each with at least one value."""
    encoder, headers = Encoder(), Model(steps.HEADER_CONTEXTS)
    _put_column(encoder, headers, Model(steps.COLUMN_CONTEXTS), predict.plan(times))
    encoder.bits(headers, number(steps.N_COUNT, len(columns)))
    full: list[predict.Plan] = []
    last = -1
    for index, column in enumerate(columns):
        model = Model(steps.COLUMN_CONTEXTS)
        present = [v for v in column.values if v is not None]
        sparse = len(present) < len(column.values)
        encoder.bits(headers, [*number(steps.N_ID, column.id - last - 1), steps.SPARSE << 1 | sparse])
        last = column.id
        plan = predict.plan(present)
        if sparse:
            encoder.bits(model, _presence(column.values))
        else:
            predict.refer(plan, full)
            plan.index = index
            full.append(plan)
        _put_column(encoder, headers, model, plan)
    return encoder.finish()


def _put_column(encoder: Encoder, headers: Model, model: Model, plan: predict.Plan) -> None:
    head = number(steps.N_STEP, plan.step - 1) + number(steps.N_FIRST, zigzag(plan.first))
    head += tree(steps.PREDICTOR, plan.predictor, 3)
    head.append(steps.REFERENCED << 1 | (plan.reference >= 0))
    if plan.reference >= 0:
        head += number(steps.N_REFERENCE, plan.reference) + number(steps.N_FACTOR, zigzag(plan.factor))
    r = _ring(plan.r)
    usual = steps.usual_length(r)
    encoder.bits(headers, head + tree(steps.USUAL, usual - 1, 6))
    encoder.bits(model, steps.residual_steps(r, usual))


def _presence(values: Sequence[int | None]) -> list[int]:
    flags, context = [], 1
    for value in values:
        here = value is not None
        flags.append(steps.PRESENT + context << 1 | here)
        context = int(here)
    return flags


# ---- reading ---------------------------------------------------------------------------------


def decode_columns(data: bytes, count: int, rows: int) -> tuple[list[int], list[Column]]:
    """Times of ``count`` records and the columns over ``rows`` rows. WireError for anything not well-formed."""
    decoder, headers = Decoder(data), Model(steps.HEADER_CONTEXTS)
    times, _ = _take_column(decoder, headers, Model(steps.COLUMN_CONTEXTS), count, {})
    total = take_number(decoder, headers, steps.N_COUNT)
    if total > MAX_COLUMNS or total * rows > MAX_CELLS or (total and not rows):
        raise WireError(f"columns: {total} columns of {rows} rows are too many")
    columns: list[Column] = []
    full: dict[int, list[int]] = {}
    last = -1
    for index in range(total):
        last += take_number(decoder, headers, steps.N_ID) + 1
        model = Model(steps.COLUMN_CONTEXTS)
        if decoder.bit(headers, steps.SPARSE):
            present = _take_presence(decoder, model, rows)
            values, _ = _take_column(decoder, headers, model, sum(present), {})
            rest = iter(values)
            columns.append(Column(last, [next(rest) if here else None for here in present]))
        else:
            values, full[index] = _take_column(decoder, headers, model, rows, full)
            columns.append(Column(last, values))
    return times, columns


def _take_presence(decoder: Decoder, model: Model, rows: int) -> list[int]:
    flags, context = [], 1
    for _ in range(rows):
        context = decoder.bit(model, steps.PRESENT + context)
        flags.append(context)
    if not any(flags):
        raise WireError("columns: a column without values")
    return flags


def _take_column(
    decoder: Decoder, headers: Model, model: Model, count: int, full: dict[int, list[int]]
) -> tuple[list[int], list[int]]:
    """x and y of one column of ``count`` values. full: the y a reference may name, by index of their columns."""
    scale = take_number(decoder, headers, steps.N_STEP) + 1
    first = unzigzag(take_number(decoder, headers, steps.N_FIRST))
    predictor = take_tree(decoder, headers, steps.PREDICTOR, 3)
    if predictor >= predict.PREDICTORS:
        raise WireError(f"columns: predictor {predictor} is not known")
    reference: list[int] | None = None
    factor = 0
    if decoder.bit(headers, steps.REFERENCED):
        reference = full.get(take_number(decoder, headers, steps.N_REFERENCE))
        factor = unzigzag(take_number(decoder, headers, steps.N_FACTOR))
        if reference is None:
            raise WireError("columns: reference to a column that is not there")
    usual = take_tree(decoder, headers, steps.USUAL, 6) + 1
    y = predict.integrate(steps.take_residuals(decoder, model, count - 1, usual), predictor)
    if reference is not None:
        y = [v + predict.share(factor, w) for v, w in zip(y, reference, strict=True)]
    y = _ring(y)
    return _ring([first + scale * v for v in y]), y
