"""How often somebody may be wrong: a bucket of failures for each address and one for all. Pure; bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

ADDRESSES: Final = 4096


@dataclass(slots=True)
class _Bucket:
    left: float
    at_s: float


class FailureLimit:
    """``per_address`` failures at once, refilled within ``window_s``; ``total`` likewise for all addresses together.

    Only failures cost: a fleet that enrols behind one address is not slowed down.
    """

    def __init__(self, per_address: int = 10, total: int = 300, window_s: float = 60.0) -> None:
        self._per_address = per_address
        self._total = total
        self._window_s = window_s
        self._all = _Bucket(total, 0.0)
        self._known: OrderedDict[str, _Bucket] = OrderedDict()

    def wait_s(self, address: str, now_s: float) -> float:
        """0: go on. Else seconds until the address may try again."""
        one = self._refill(self._known.get(address), self._per_address, now_s)
        if address in self._known:
            self._known[address] = one  # also its time: a clock that stepped back must not stop the refilling
        self._all = self._refill(self._all, self._total, now_s)
        return max(self._missing(one, self._per_address), self._missing(self._all, self._total))

    def fail(self, address: str, now_s: float) -> None:
        one = self._refill(self._known.pop(address, None), self._per_address, now_s)
        one.left = max(0.0, one.left - 1)
        self._known[address] = one
        self._all = self._refill(self._all, self._total, now_s)
        self._all.left = max(0.0, self._all.left - 1)
        while len(self._known) > ADDRESSES:
            self._known.popitem(last=False)  # the one that failed the longest ago; the total still holds

    def _refill(self, bucket: _Bucket | None, full: int, now_s: float) -> _Bucket:
        if bucket is None:
            return _Bucket(full, now_s)
        gained = max(0.0, now_s - bucket.at_s) * full / self._window_s
        return _Bucket(min(float(full), bucket.left + gained), now_s)

    def _missing(self, bucket: _Bucket, full: int) -> float:
        return 0.0 if bucket.left >= 1 else (1 - bucket.left) * self._window_s / full
