"""``Steering``: what makes the sender do otherwise than send on: rules, another network, a stall, a better broker.

Asked once a turn while connected (``turn``; its LinkError ends the connection) and once a second between connections
(``idle``). Pure but for the seams it is given.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, Protocol

from outrider.errors import LinkError
from outrider.model.network import NetworkState, Path
from outrider.model.notice import Notice, NoticeCode
from outrider.model.record import Lane
from outrider.ports import NetworkMeter
from outrider.uplink.brokers import Broker, Brokers
from outrider.uplink.budget import Budget, SendRules
from outrider.uplink.core import SendCore
from outrider.uplink.options import UplinkOptions
from outrider.uplink.stall import Situation, StallWatch, Why
from outrider.uplink.tally import Tally

_log = logging.getLogger(__name__)
_SETTLE_US: Final = 2_000_000  # another network must be there so long: a hand-over has moments of none
_LOOK_US: Final = 1_000_000


class Scout(Protocol):
    """Finds out on the side whether a broker can be reached."""

    def start(self, broker: Broker) -> None: ...

    def found(self) -> Broker | None:
        """Once: the one that can be."""
        ...


class Steering:
    """on_notice: from the sending thread, must not block. Meters may be given later (``attach``)."""

    def __init__(
        self,
        options: UplinkOptions,
        core: SendCore,
        tally: Tally,
        brokers: Brokers,
        scout: Scout,
        *,
        budget: Budget | None = None,
        network: NetworkMeter | None = None,
        on_notice: Callable[[Notice], None] | None = None,
    ) -> None:
        self.rules: SendRules | None = None
        self._core = core
        self._tally = tally
        self._brokers = brokers
        self._scout = scout
        self._budget = budget
        self._network = network
        self._on_notice = on_notice
        self._stall = StallWatch(options.stall_s, 2 * options.send.batch_records)
        self._state = NetworkState()
        self._other_us: int | None = None  # since when another network is seen
        self._looked_us: int | None = None
        self._up_us = 0
        self._stall_us = round(options.stall_s * 1e6)

    def attach(self, network: NetworkMeter | None = None, on_notice: Callable[[Notice], None] | None = None) -> None:
        """What is not there yet when the uplink is made. From any thread."""
        self._network = network or self._network
        self._on_notice = on_notice or self._on_notice

    @property
    def stalled(self) -> Why | None:
        return self._stall.why

    def turn(self, now_us: int) -> None:
        """While connected. LinkError: end this connection."""
        self._obey(now_us)
        if self._state.path in (Path.NONE, Path.UNKNOWN):  # the meter came later than the connection
            self._state = self._now_network()
        if self._has_moved(now_us):
            self._brokers.hurry(now_us)
            raise LinkError("another network carries us now")
        if not self._is_time(now_us):
            return
        self._look(now_us, connected=True)
        since = max(self._up_us, self._tally.progress_us or 0)
        if self.stalled is not None and len(self._brokers.list) > 1 and now_us - since >= self._stall_us:
            raise LinkError("no acknowledgements come through this broker")
        self._look_back(now_us)

    def idle(self, now_us: int) -> None:
        """Between connections."""
        self._obey(now_us)
        if self._has_moved(now_us):
            self._brokers.hurry(now_us)
        if self._is_time(now_us):
            self._look(now_us, connected=False)

    def accepted(self, broker: Broker, now_us: int) -> None:
        """CONNACK."""
        before = self._brokers.accepted(broker, now_us)
        self._up_us = now_us
        self._state = self._now_network()
        self._other_us = None
        if before is not None:
            self._tell(Notice(NoticeCode.BROKER_SWITCHED, detail=(("broker", broker.name), ("before", before.name))))

    # ---- leaves -----------------------------------------------------------------------------------

    def _obey(self, now_us: int) -> None:
        if self._budget is not None:
            self.rules = self._budget.rules(now_us, self._now_network())
            self._core.obey(self.rules)

    def _now_network(self) -> NetworkState:
        return NetworkState() if self._network is None else self._network.network()

    def _has_moved(self, now_us: int) -> bool:
        """Once, when another network than that of the connection has been there for a moment. None is no other."""
        state = self._now_network()
        same = (state.path, state.interface) == (self._state.path, self._state.interface)
        if same or state.path in (Path.NONE, Path.UNKNOWN):
            self._other_us = None
            return False
        if self._other_us is None:
            self._other_us = now_us
        if now_us - self._other_us < _SETTLE_US:
            return False
        self._state, self._other_us = state, None
        return True

    def _is_time(self, now_us: int) -> bool:
        if self._looked_us is not None and now_us - self._looked_us < _LOOK_US:
            return False
        self._looked_us = now_us
        return True

    def _look(self, now_us: int, *, connected: bool) -> None:
        """Does the upload get on?"""
        lanes = frozenset(Lane) if self.rules is None else self.rules.lanes | {Lane.EMERGENCY}
        waiting = {lane: count for lane, count in self._core.backlog().items() if count and lane in lanes}
        situation = Situation(
            now_us,
            sum(waiting.values()),
            self._tally.progress_us,
            connected,
            self._tally.trouble,
            self._now_network().path,
            company_s=self._core.company_s(waiting),
        )
        notice = self._stall.look(situation)
        if notice is not None:
            self._tell(notice)

    def _look_back(self, now_us: int) -> None:
        """From another broker to the first: once it can be reached, and not while an emergency is on its way."""
        if self._brokers.may_return(now_us):
            self._scout.start(self._brokers.first)
        if not self._core.backlog()[Lane.EMERGENCY] and self._scout.found() is not None:
            self._brokers.hurry(now_us)
            raise LinkError(f"back to {self._brokers.first.name}")

    def _tell(self, notice: Notice) -> None:
        words = " ".join(f"{name}={value}" for name, value in notice.detail)
        _log.info("uplink: %s %s", notice.code.name.lower(), words)
        if self._on_notice is not None:
            self._on_notice(notice)
