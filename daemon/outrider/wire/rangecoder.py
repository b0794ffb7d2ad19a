"""An adaptive binary range coder: bits in, bytes out, with a probability per context that follows what it sees.

The coder is that of LZMA (Martin 1979; 32-bit range, carry into bytes already written), with 16-bit probabilities and
an adaptation rate that starts at 1/3 and slows down to 1/64, so that sixty values are enough to learn from. Integer
arithmetic only: the same on every machine. Nothing here knows what the bits mean.

Coding bit b in context c, with range r in [2^24, 2^32)::

    bound = (r >> 16) * p[c]              p[c]: probability of a 0 in 1/65536, at first 32768
    b = 0:  r = bound                     p[c] += (65536 - p[c]) * RATE[n[c]] >> 16
    b = 1:  low += bound, r -= bound      p[c] -= p[c] * RATE[n[c]] >> 16
    n[c] = min(n[c] + 1, 61)              RATE[n] = 65536 / (n + 3), rounded down
    while r < 2^24: write the top byte of low, shift low and r left by 8

k raw bits (at most 16 at once): ``r >>= k; low += r * value``. The end is cut as short as a reader that continues with
zero bytes allows, so a reader takes at most 4 bytes more than there are; asking for more is an error.
"""

from __future__ import annotations

from typing import Final

from outrider.errors import WireError

RATE: Final = tuple(65536 // (n + 3) for n in range(62))
_SLOWEST: Final = len(RATE) - 1
_HALF: Final = 32768
_TOP: Final = 1 << 24
_MASK: Final = 0xFFFFFFFF


class Model:
    """The probabilities of ``size`` contexts; encoder and decoder keep equal ones."""

    __slots__ = ("count", "p")

    def __init__(self, size: int) -> None:
        self.p = [_HALF] * size
        self.count = [0] * size


class Encoder:
    __slots__ = ("_low", "_out", "_range")

    def __init__(self) -> None:
        self._low = 0
        self._range = _MASK
        self._out = bytearray()

    def bits(self, model: Model, steps: list[int]) -> None:
        """Code steps: each is ``context << 1 | bit``, or for raw bits ``~(value << 5 | count)``, count 1..16."""
        low, rng, out = self._low, self._range, self._out
        p, count, rate = model.p, model.count, RATE
        top, mask, slowest = _TOP, _MASK, _SLOWEST
        for step in steps:
            if step >= 0:
                context = step >> 1
                chance = p[context]
                bound = (rng >> 16) * chance
                n = count[context]
                if step & 1:
                    low += bound
                    rng -= bound
                    p[context] = chance - (chance * rate[n] >> 16)
                else:
                    rng = bound
                    p[context] = chance + ((65536 - chance) * rate[n] >> 16)
                if n < slowest:
                    count[context] = n + 1
            else:
                raw = ~step
                rng >>= raw & 31
                low += rng * (raw >> 5)
            while rng < top:
                if low > mask:
                    _carry(out)
                    low &= mask
                out.append(low >> 24)
                low = low << 8 & mask
                rng <<= 8
        self._low, self._range = low, rng

    def finish(self) -> bytes:
        """All bytes; the encoder must not be used any more."""
        low, out = self._low, self._out
        for size in range(5):
            tail = (1 << 32 - 8 * size) - 1
            value = (low + tail) & ~tail
            if value < low + self._range:
                if value > _MASK:
                    _carry(out)
                out += (value & _MASK).to_bytes(4, "big")[:size]
                break
        return bytes(out)


def _carry(out: bytearray) -> None:
    """Add one to the number that is already written."""
    at = len(out) - 1
    while out[at] == 0xFF:
        out[at] = 0
        at -= 1
    out[at] += 1


class Decoder:
    """Reads what ``Encoder`` wrote; never reads more than 4 bytes beyond the end (WireError)."""

    __slots__ = ("_code", "_data", "_pos", "_range")

    def __init__(self, data: bytes) -> None:
        self._data = data + bytes(4)
        self._pos = 4
        self._code = int.from_bytes(self._data[:4], "big")
        self._range = _MASK

    def bit(self, model: Model, context: int) -> int:
        p = model.p
        chance = p[context]
        rng = self._range
        bound = (rng >> 16) * chance
        n = model.count[context]
        if self._code < bound:
            rng = bound
            p[context] = chance + ((65536 - chance) * RATE[n] >> 16)
            bit = 0
        else:
            self._code -= bound
            rng -= bound
            p[context] = chance - (chance * RATE[n] >> 16)
            bit = 1
        if n < _SLOWEST:
            model.count[context] = n + 1
        if rng < _TOP:
            rng = self._refill(rng)
        self._range = rng
        return bit

    def raw(self, size: int) -> int:
        """size (0..16) bits that were coded without a model."""
        if not size:
            return 0
        rng = self._range >> size
        value = self._code // rng
        if value >> size:
            raise WireError("columns: damaged")
        self._code -= value * rng
        self._range = self._refill(rng) if rng < _TOP else rng
        return value

    def _refill(self, rng: int) -> int:
        while rng < _TOP:
            if self._pos >= len(self._data):
                raise WireError("columns end too early")
            self._code = self._code << 8 & _MASK | self._data[self._pos]
            self._pos += 1
            rng <<= 8
        return rng
