"""``Brokers``: which broker to connect to next, and when. Pure.

The first of the list is preferred. Each has its own back-off and its own dialect. Where one fails the next that may be
tried is tried at once; on one that is not the first, the sender asks from time to time (``may_return``) whether to go
back, at a random moment of an interval that doubles: a primary that comes back is not stormed by all cars at once.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from outrider.uplink.dialect import Backoff, Dialect

_RETURN_CAP: Final = 8  # the interval doubles to so many times the first


@dataclass(slots=True, eq=False)
class Broker:
    """One address with what is known of it. ready_us: not to be tried before."""

    host: str
    port: int
    dialect: Dialect
    backoff: Backoff
    ready_us: int = 0

    @property
    def name(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Brokers:
    """addresses: (host, port), preferred first. backoff_s, cap_s: of each. prefer_s: the first time to look back."""

    def __init__(
        self,
        addresses: tuple[tuple[str, int], ...],
        *,
        backoff_s: float,
        cap_s: float,
        prefer_s: float,
        rng: random.Random | None = None,
    ) -> None:
        self.list = [Broker(host, port, Dialect(), Backoff(backoff_s, cap_s)) for host, port in addresses]
        self.last: Broker | None = None  # the one that accepted a connection last
        self._prefer_s = prefer_s
        self._rng = rng or random.Random()
        self._looks = 0
        self._return_us: int | None = None

    @property
    def first(self) -> Broker:
        return self.list[0]

    def choose(self, now_us: int) -> Broker:
        """The best that may be tried now; else the one that may be tried soonest."""
        ready = [broker for broker in self.list if broker.ready_us <= now_us]
        return ready[0] if ready else min(self.list, key=lambda broker: broker.ready_us)

    def rest_s(self, now_us: int) -> float:
        """Seconds until one may be tried."""
        return max(0.0, (self.choose(now_us).ready_us - now_us) / 1e6)

    def failed(self, broker: Broker, now_us: int) -> None:
        """Its connection could not be made, or ended."""
        broker.ready_us = now_us + round(broker.backoff.next_s() * 1e6)

    def hurry(self, now_us: int) -> None:
        """Another network, or an emergency: all may be tried now."""
        for broker in self.list:
            broker.ready_us = min(broker.ready_us, now_us)

    def accepted(self, broker: Broker, now_us: int) -> Broker | None:
        """CONNACK. The one before, when it was another."""
        before, self.last = self.last, broker
        if broker is self.first:
            self._return_us = None
            self._looks = 0
        elif self._return_us is None or broker is not before:
            self._plan_return(now_us)
        return before if before is not broker else None

    def may_return(self, now_us: int) -> bool:
        """Time to look whether the first is there again. True once; then after the next, longer interval."""
        if self._return_us is None or now_us < self._return_us:
            return False
        self._plan_return(now_us)
        return True

    def _plan_return(self, now_us: int) -> None:
        interval = self._prefer_s * min(2**self._looks, _RETURN_CAP)
        self._looks += 1
        self._return_us = now_us + round(self._rng.uniform(0.5, 1.5) * interval * 1e6)
