"""The adaptive range coder: what goes in comes out, and the ends are safe."""

from __future__ import annotations

import random

import pytest

from outrider.errors import WireError
from outrider.wire import rangecoder
from outrider.wire.rangecoder import Decoder, Encoder, Model


def code(steps: list[int], contexts: int) -> bytes:
    encoder = Encoder()
    encoder.bits(Model(contexts), steps)
    return encoder.finish()


def read(data: bytes, steps: list[int], contexts: int) -> list[int]:
    """The same steps again, values from the data."""
    decoder, model, out = Decoder(data), Model(contexts), []
    for step in steps:
        if step >= 0:
            out.append(step >> 1 << 1 | decoder.bit(model, step >> 1))
        else:
            size = ~step & 31
            out.append(~(decoder.raw(size) << 5 | size))
    return out


def read_on(decoder: Decoder) -> None:
    for _ in range(64):
        decoder.raw(16)


@pytest.mark.parametrize("seed", range(20))
def test_round_trip_of_skewed_bits_and_raw_bits(seed: int) -> None:
    """Any mixture, from all zeros to coin flips; skewed bits need less than one bit each."""
    rng = random.Random(seed)
    skew = rng.random() ** 3
    steps = []
    for _ in range(3000):
        if rng.random() < 0.1:
            size = rng.randint(1, 16)
            steps.append(~(rng.getrandbits(size) << 5 | size))
        else:
            steps.append(rng.randrange(8) << 1 | (rng.random() < skew))
    assert read(code(steps, 8), steps, 8) == steps


@pytest.mark.parametrize("bits", [[], [0], [1], [1] * 500, [0] * 500, [1, 0] * 200])
def test_carries_and_short_inputs(bits: list[int]) -> None:
    """Long runs drive low to its edges, where a carry goes back through bytes already written."""
    assert read(code(bits, 1), bits, 1) == bits


def test_carry_through_a_run_of_ff(monkeypatch: pytest.MonkeyPatch) -> None:
    """A carry that passes a finished byte FF: searched for, and met."""
    seen = []
    carry = rangecoder._carry

    def spy(out: bytearray) -> None:
        seen.append(bytes(out[-2:]))
        carry(out)

    monkeypatch.setattr(rangecoder, "_carry", spy)
    for seed in range(300):
        rng = random.Random(seed)
        steps = [rng.randrange(2) for _ in range(400)]
        assert read(code(steps, 1), steps, 1) == steps
    assert any(tail[-1:] != b"\xff" for tail in seen)
    assert any(tail[-1:] == b"\xff" for tail in seen)


def test_a_run_of_one_symbol_costs_next_to_nothing() -> None:
    """10,000 equal bits in at most a few bytes: constant signals are free."""
    assert len(code([0] * 10_000, 1)) <= 5


def test_reading_past_the_end_is_an_error() -> None:
    """A decoder takes at most four bytes that are not there, then refuses: no endless stream from a short payload."""
    decoder = Decoder(b"")
    assert decoder.raw(7) == 0
    with pytest.raises(WireError, match="too early"):
        read_on(decoder)
