"""Columns: every predictor, scale, reference and presence, exact at the edges of int64."""

from __future__ import annotations

import random

import pytest

from outrider.errors import WireError
from outrider.wire import predict
from outrider.wire.columns import MAX_CELLS, MAX_COLUMNS, Column, decode_columns, encode_columns
from outrider.wire.rangecoder import Encoder, Model
from outrider.wire.steps import HEADER_CONTEXTS, N_COUNT, N_FIRST, N_STEP, PREDICTOR, REFERENCED, USUAL, number, tree

LOW, HIGH = -(1 << 63), (1 << 63) - 1


def there_and_back(times: list[int], columns: list[Column]) -> int:
    """Asserts the round trip, returns the size."""
    data = encode_columns(times, columns)
    rows = len(columns[0].values) if columns else 0
    back, out = decode_columns(data, len(times), rows)
    assert back == times
    assert [(c.id, list(c.values)) for c in out] == [(c.id, list(c.values)) for c in columns]
    return len(data)


def noise(seed: int, size: int, spread: int) -> list[int]:
    rng = random.Random(seed)
    return [rng.randint(-spread, spread) for _ in range(size)]


SHAPES = {
    "constant": [7] * 60,
    "ramp": [5 * i for i in range(60)],
    "parabola": [i * i for i in range(60)],
    "noise": noise(1, 60, 1000),
    "walk": [sum(noise(2, i, 10)) for i in range(60)],
    "edges": [LOW, HIGH, LOW, 0, HIGH, HIGH, LOW, -1, 1, HIGH] * 6,
    "large steps": [LOW + i * (1 << 57) for i in range(60)],
    "wide noise": noise(3, 60, HIGH),
    "one": [LOW],
    "two": [HIGH, LOW],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_exact_as_time_and_as_signal(shape: str) -> None:
    """Also where differences leave int64."""
    values = SHAPES[shape]
    there_and_back(values, [])
    there_and_back(values, [Column(0, values), Column(4_000_000_000, values)])


@pytest.mark.parametrize("predictor", range(predict.PREDICTORS))
def test_each_predictor_is_inverted(predictor: int) -> None:
    """integrate undoes residuals from the second value on, for any length."""
    for size in (1, 2, 3, 50):
        z = [0, *noise(size, size, 1 << 40)][:size]
        assert predict.integrate(predict.residuals(z, predictor), predictor) == z


def sloped(now: float, before: float) -> list[int]:
    """A series whose slope is a share of its last two slopes, and noise."""
    z, d = [0], [0, 0]
    for kick in noise(5, 400, 1000):
        d.append(int(now * d[-1] + before * d[-2]) + kick)
        z.append(z[-1] + d[-1])
    return z


@pytest.mark.parametrize(
    ("predictor", "values"),
    [
        (0, noise(5, 400, 1000)),
        (1, sloped(0, 0)),
        (2, sloped(1, 0)),
        (3, sloped(0.5, 0)),
        (4, sloped(0.5, 0.5)),
    ],
)
def test_each_predictor_is_chosen_where_it_fits(predictor: int, values: list[int]) -> None:
    """None of them is dead."""
    assert predict.plan(values).predictor == predictor


def test_numbers_that_could_go_round_use_linear_predictors_only() -> None:
    """A halved slope is wrong once it has gone round the 64-bit ring, so predictors 3 and 4 stay below 62 bits."""
    for now, before in ((0.5, 0), (0.5, 0.5)):
        huge = [v * (1 << 46) + n for v, n in zip(sloped(now, before), noise(14, 401, 9), strict=True)]
        assert max(map(abs, huge)) > 1 << 60
        assert predict.plan(huge).predictor in (0, 1, 2)


def test_references_stay_where_their_product_fits_64_bits() -> None:
    """A reader with int64 must be able to multiply."""
    walk = SHAPES["walk"]
    for size, referred in ((1, True), (1 << 40, False)):
        first = predict.plan([v * size + n for v, n in zip(walk, noise(15, 60, 2), strict=True)])
        second = predict.plan([3 * v * size + n for v, n in zip(walk, noise(16, 60, 2), strict=True)])
        first.index = 0
        predict.refer(second, [first])
        assert (second.reference == 0) is referred


def test_residuals_go_round_the_ring() -> None:
    """From the smallest int64 to the largest is a step of -1: what is coded stays within int64."""
    values = [LOW + i * 7919 % 13 if i % 2 else HIGH - i * 31 % 11 for i in range(60)]
    assert there_and_back(values, []) < 100


def test_a_common_divisor_of_all_differences_is_free() -> None:
    """Milliseconds kept as microseconds cost no more than milliseconds."""
    fine = noise(10, 300, 1000)
    assert there_and_back([1000 * v + 7 for v in fine], []) <= there_and_back(fine, []) + 3


def test_a_column_that_follows_another_is_cheap() -> None:
    """Wheel speeds and vehicle speed tell the same story: the second costs far less than the first."""
    speed = [v + 5000 for v in SHAPES["walk"] * 3]
    scaled = [round(v * 0.36) for v in speed]
    alone = there_and_back(speed, [Column(0, speed)])
    both = there_and_back(speed, [Column(0, speed), Column(1, scaled)])
    stranger = there_and_back(speed, [Column(0, speed), Column(1, noise(11, len(speed), 2000))])
    assert both - alone < 30
    assert stranger - alone > 150


def test_absent_values() -> None:
    """A signal missing from some rows, from all but one, or only at the ends."""
    values = noise(12, 60, 100)
    for mask in (0x5555555555555555, 1, 1 << 59, (1 << 60) - 2, 0x00FFFF0000FFFF0):
        holes = [v if mask >> i & 1 else None for i, v in enumerate(values)]
        there_and_back(values, [Column(1, values), Column(2, holes), Column(3, values)])


def test_more_cells_than_allowed_are_refused_before_work_is_done() -> None:
    """A few bytes cannot ask for millions of values."""
    rows = 100
    with pytest.raises(WireError, match="too many"):
        decode_columns(_with_count(MAX_CELLS // rows + 1), 1, rows)
    with pytest.raises(WireError, match="too many"):
        decode_columns(_with_count(1), 1, 0)
    with pytest.raises(WireError, match="too many"):
        decode_columns(_with_count(MAX_COLUMNS + 1), 1, 1)


def _with_count(count: int) -> bytes:
    """A stream of one time, 0, and a number of columns."""
    encoder, headers = Encoder(), Model(HEADER_CONTEXTS)
    encoder.bits(headers, [*number(N_STEP, 0), *number(N_FIRST, 0), *tree(PREDICTOR, 1, 3)])
    encoder.bits(headers, [REFERENCED << 1, *tree(USUAL, 0, 6), *number(N_COUNT, count)])
    return encoder.finish()


def test_truncated_columns_are_refused() -> None:
    """Cut anywhere before the last four bytes: an error, never values out of nothing."""
    values = noise(13, 60, HIGH)
    data = encode_columns(values, [Column(0, values)])
    for end in range(0, len(data) - 4, 7):
        with pytest.raises(WireError):
            decode_columns(data[:end], 60, 60)
