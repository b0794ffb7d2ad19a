"""What may be sent now and in what portions: plan, month, roaming, Wi-Fi. Pure: asked with a time, answers at once.

``SendCore`` asks ``rules`` before it chooses a batch. Emergencies always go; what else goes depends, in this order, on
the month's limit (soft steps), roaming, and whether bulk waits for Wi-Fi. Evidence of a confirmed crash goes like an
emergency unless the owner decided otherwise: a wreck does not come home to its Wi-Fi. Whoever knows something (bytes of
the month, a parked car, a crash) tells it by a method, from any thread: each sets one value, which needs no lock.
Nothing is counted here (``usage``) and nothing is dropped: what may not go waits in the journal.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from outrider.errors import ConfigError
from outrider.model.network import NetworkState, Path
from outrider.model.record import Lane

SETTLE_US: Final = 10_000_000
LAST_WORD_US: Final = 300_000_000
_ALL: Final = frozenset(Lane)
_EVENTS: Final = frozenset({Lane.EMERGENCY, Lane.LEDGER, Lane.EVENT})
_EMERGENCY: Final = frozenset({Lane.EMERGENCY})


class Plan(StrEnum):
    """How long telemetry waits for company: the one thing that decides what a drive costs."""

    MOVING = "moving"
    WATCHED = "watched"  # somebody looks at the car now
    LOW = "low"


class Reach(StrEnum):
    """What goes while roaming; emergencies in any case."""

    ALL = "all"
    EVENTS = "events"  # and trips
    EMERGENCY = "emergency"

    @property
    def lanes(self) -> frozenset[Lane]:
        return {Reach.ALL: _ALL, Reach.EVENTS: _EVENTS, Reach.EMERGENCY: _EMERGENCY}[self]


class Hold(StrEnum):
    """Why something waits."""

    LIMIT_100 = "limit_100"
    LIMIT_95 = "limit_95"
    ROAMING = "roaming"
    BULK_WIFI = "bulk_wifi"


class Why(StrEnum):
    """Why this plan."""

    CONFIGURED = "configured"
    WATCHED = "watched"  # asked for, until it runs out
    PARKED = "parked"
    LIMIT_80 = "limit_80"


@dataclass(frozen=True, slots=True)
class Portion:
    """A batch of telemetry is sent when it has so many records or its oldest is so old."""

    records: int
    age_s: float


@dataclass(frozen=True, slots=True)
class BudgetOptions:
    """``[uplink.budget]`` and ``[uplink]`` batch_records, batch_age_s. ConfigError for portions that never go.

    monthly_bytes: on metered paths, both ways, IP and TCP headers included; None: no limit.
    bulk_wifi: bulk waits for a path that is not metered. evidence_always: that of a confirmed crash does not.
    watch_s: a watched plan ends so long after it began.
    """

    plan: Plan = Plan.MOVING
    moving: Portion = Portion(60, 60.0)
    watched: Portion = Portion(10, 10.0)
    low: Portion = Portion(300, 300.0)
    parked_s: float = 900.0
    watch_s: float = 3600.0
    monthly_bytes: int | None = None
    roaming: Reach = Reach.ALL
    bulk_wifi: bool = False
    evidence_always: bool = True

    def __post_init__(self) -> None:
        for portion in (self.moving, self.watched, self.low):
            if portion.records < 1 or not portion.age_s > 0:
                raise ConfigError("uplink.budget: a batch needs at least one record and some time")
        if self.monthly_bytes is not None and self.monthly_bytes < 1:
            raise ConfigError("uplink.budget: a monthly limit must be above 0; leave it out for none")


@dataclass(frozen=True, slots=True)
class SendRules:
    """What may go now. pause_reason: a ``Hold``, None when every lane may go. step_percent: the share of the month's
    limit that was passed (0, 80, 95, 100)."""

    batch_age_s: float
    batch_records: int
    lanes: frozenset[Lane]
    pause_reason: str | None = None
    plan: Plan = Plan.MOVING
    why: Why = Why.CONFIGURED
    step_percent: int = 0
    metered: bool = True

    def document(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "plan": self.plan.value,
            "why": self.why.value,
            "batch_age_s": self.batch_age_s,
            "batch_records": self.batch_records,
            "lanes": [lane.name.lower() for lane in sorted(self.lanes)],
            "held": self.pause_reason,
            "limit_step_percent": self.step_percent,
            "metered": self.metered,
        }


def is_metered(network: NetworkState) -> bool:
    """Does a byte cost money? What is said of the path counts (a phone's hotspot is Wi-Fi and metered); else cellular
    does, cable and Wi-Fi do not, and what is not known is taken to."""
    if network.metered is not None:
        return network.metered
    return network.path not in {Path.ETHERNET, Path.WIFI}


def limit_step(used_bytes: int, monthly_bytes: int | None) -> int:
    """80, 95 or 100 when so many percent of the limit are used, else 0."""
    if monthly_bytes is None:
        return 0
    return max((step for step in (80, 95, 100) if used_bytes * 100 >= monthly_bytes * step), default=0)


class Budget:
    """``rules`` from the sending thread, the rest from any. Times are boottime, us."""

    def __init__(self, options: BudgetOptions | None = None) -> None:
        self.options = options or BudgetOptions()
        self.used_bytes = 0  # this month, on metered paths
        self._watched_until_us = 0
        self._parked_since_us: int | None = None
        self._evidence_due = False
        self._last_word_until_us = 0
        self._configured_watch_ends_us: int | None = None

    # ---- what others know -------------------------------------------------------------------------

    def watch(self, until_us: int) -> None:
        """Somebody looks: small batches until then. 0: nobody does any more."""
        self._watched_until_us = until_us

    def watched_until_us(self) -> int:
        return self._watched_until_us

    def set_parked(self, parked: bool, now_us: int) -> None:
        """Parked: the bus sleeps and nothing moves."""
        if parked != (self._parked_since_us is not None):
            self._parked_since_us = now_us if parked else None

    def set_evidence_due(self, due: bool) -> None:
        """Evidence of a confirmed crash waits in the bulk lane."""
        self._evidence_due = due

    def last_word(self, now_us: int) -> None:
        """The limit was reached: for a few minutes events still go, so that the one that says so arrives."""
        self._last_word_until_us = now_us + LAST_WORD_US

    # ---- what may go ------------------------------------------------------------------------------

    def rules(self, now_us: int, network: NetworkState) -> SendRules:
        """What may go at this moment over this network."""
        metered = is_metered(network)
        step = limit_step(self.used_bytes, self.options.monthly_bytes) if metered else 0
        plan, why = self._plan(now_us, step)
        portion = {Plan.MOVING: self.options.moving, Plan.WATCHED: self.options.watched, Plan.LOW: self.options.low}[
            plan
        ]
        age_s = portion.age_s
        if plan is not Plan.WATCHED and self._is_parked(now_us, age_s):
            age_s, why = max(age_s, self.options.parked_s), Why.PARKED
        lanes, hold = self._lanes(now_us, network, metered=metered, step=step)
        return SendRules(age_s, portion.records, lanes, hold, plan, why, step, metered)

    def _plan(self, now_us: int, step: int) -> tuple[Plan, Why]:
        if step:
            return Plan.LOW, Why.LIMIT_80
        if now_us < self._watched_until_us:
            return Plan.WATCHED, Why.WATCHED
        if self.options.plan is Plan.WATCHED:
            if self._configured_watch_ends_us is None:
                self._configured_watch_ends_us = now_us + round(self.options.watch_s * 1e6)
            if now_us >= self._configured_watch_ends_us:
                return Plan.MOVING, Why.CONFIGURED
        return self.options.plan, Why.CONFIGURED

    def _is_parked(self, now_us: int, age_s: float) -> bool:
        """Not before the last rows of the drive have gone at the pace of the drive: they say where the car stands."""
        since = self._parked_since_us
        return since is not None and now_us - since > age_s * 1e6 + SETTLE_US

    def _lanes(
        self, now_us: int, network: NetworkState, *, metered: bool, step: int
    ) -> tuple[frozenset[Lane], str | None]:
        held: list[tuple[Hold, frozenset[Lane]]] = []
        if step >= 100:
            held.append((Hold.LIMIT_100, _EVENTS if now_us < self._last_word_until_us else _EMERGENCY))
        elif step >= 95:
            held.append((Hold.LIMIT_95, _EVENTS))
        if metered and network.roaming and self.options.roaming is not Reach.ALL:
            held.append((Hold.ROAMING, self.options.roaming.lanes))
        if metered and self.options.bulk_wifi:
            held.append((Hold.BULK_WIFI, _ALL - {Lane.BULK}))
        free = _EMERGENCY
        if self._evidence_due and self.options.evidence_always:
            free |= {Lane.BULK}
        lanes = _ALL
        for _hold, allowed in held:
            lanes &= allowed
        lanes |= free
        return lanes, next((hold.value for hold, allowed in held if allowed | free != _ALL), None)
