"""The recovery ladder: which step to take against a trouble, and when. Pure; the caller carries the steps out.

An *episode* begins with the first step against a trouble and ends when the modem is proved well: the uplink heard
something since the last step, or nothing was wrong for ``PROVED_US``. (A new session always looks well at first.) In
it each step is the next higher rung that may help; after the highest comes a pause that doubles (``pause_s`` to
``longest_pause_s``), then the lowest again. Limits by the hour and the day hold across episodes and restarts (the
history is the caller's to keep). So a modem that nothing helps costs a few steps a day, one that is well costs none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from outrider.network.trouble import SECOND_US, Diagnosis, Rung, Trouble, TroubleKind

HOUR_US: Final = 3600 * SECOND_US
DAY_US: Final = 24 * HOUR_US
SETTLE_S: Final = {Rung.RECONNECT: 60, Rung.TOGGLE: 120, Rung.RESET: 180, Rung.POWER: 240}
FAILED_S: Final = 10
STEADY_US: Final = 600 * SECOND_US  # so long healthy, and the pauses begin with the shortest again
PROVED_US: Final = 420 * SECOND_US  # healthy so long counts as recovered where the uplink has nothing to say
OVER_US: Final = 1800 * SECOND_US  # no trouble for so long, though not healthy either: this episode is over
KEPT: Final = 256


@dataclass(frozen=True, slots=True)
class LadderOptions:
    """available: rungs that can be carried out here. Limits count steps of any rung, and power cuts apart."""

    available: frozenset[Rung] = frozenset({Rung.RECONNECT, Rung.TOGGLE, Rung.RESET})
    per_hour: int = 4
    per_day: int = 12
    power_per_hour: int = 1
    power_per_day: int = 3
    pause_s: int = 600
    longest_pause_s: int = 6 * 3600


@dataclass(frozen=True, slots=True)
class Step:
    """Do this now. number: of this episode, from 1. after: the rung before it in the episode."""

    rung: Rung
    number: int
    trouble: Trouble
    after: Rung | None


@dataclass(frozen=True, slots=True)
class Recovered:
    """The episode is over. rung: the last step. after_s: since the trouble began."""

    rung: Rung
    steps: int
    kind: TroubleKind
    after_s: int


@dataclass(frozen=True, slots=True)
class Lost:
    """The modem is gone, or all that may be done was done. Told once an episode."""

    trouble: Trouble
    steps: int
    next_try_s: int | None  # None: nothing can be done from here


Move = Step | Recovered | Lost


@dataclass(slots=True)
class _Episode:
    kind: TroubleKind
    since_us: int
    steps: int = 0
    rung: Rung | None = None  # the last one since the last pause
    last: Rung | None = None
    due_us: int = 0
    stepped_us: int = 0
    seen_us: int = 0
    told_lost: bool = False


@dataclass(slots=True)
class Ladder:
    """``history``: (time, rung) of earlier steps in the clock of ``turn``; times may be negative (before the start)."""

    options: LadderOptions = field(default_factory=LadderOptions)
    history: list[tuple[int, Rung]] = field(default_factory=list)
    _episode: _Episode | None = None
    _pauses: int = 0
    _healthy_us: int | None = None
    _limited: str | None = None

    @property
    def at_work(self) -> bool:
        return self._episode is not None and self._episode.steps > 0

    @property
    def waits_for(self) -> str | None:
        """Why the last trouble got no step: a limit, a hold, a pause; None when nothing waits."""
        return self._limited

    def due_s(self, now_us: int) -> int | None:
        """Until the next step may be taken; None: no episode."""
        return None if self._episode is None else max(0, (self._episode.due_us - now_us) // SECOND_US)

    def turn(self, now_us: int, diagnosis: Diagnosis) -> Move | None:
        """At most one move. A ``Step`` counts as taken."""
        self._limited = None
        self._note_health(now_us, healthy=diagnosis.healthy)
        if diagnosis.healthy:
            return self._end(now_us) if self._proved(now_us, diagnosis) else None
        if diagnosis.trouble is None:
            self._fade(now_us)
            return None
        return self._against(now_us, diagnosis.trouble, diagnosis.hold)

    def failed(self, now_us: int) -> None:
        """The last step could not be carried out: there is nothing to wait for, the next one may follow soon."""
        if self._episode is not None:
            self._episode.due_us = min(self._episode.due_us, now_us + FAILED_S * SECOND_US)

    def _note_health(self, now_us: int, *, healthy: bool) -> None:
        if not healthy:
            self._healthy_us = None
            return
        self._healthy_us = now_us if self._healthy_us is None else self._healthy_us
        if now_us - self._healthy_us >= STEADY_US:
            self._pauses = 0

    def _proved(self, now_us: int, diagnosis: Diagnosis) -> bool:
        if self._episode is None or self._healthy_us is None:
            return True
        heard = diagnosis.heard_us is not None and diagnosis.heard_us > self._episode.stepped_us
        return heard or now_us - self._healthy_us >= PROVED_US

    def _fade(self, now_us: int) -> None:
        """The trouble made way for something that no step cures, such as want of coverage."""
        if self._episode is not None and now_us - self._episode.seen_us >= OVER_US:
            self._episode = None

    def _end(self, now_us: int) -> Move | None:
        episode, self._episode = self._episode, None
        if episode is None or episode.last is None:
            return None
        return Recovered(episode.last, episode.steps, episode.kind, (now_us - episode.since_us) // SECOND_US)

    def _against(self, now_us: int, trouble: Trouble, hold: str | None) -> Move | None:
        if self._episode is None:
            self._episode = _Episode(trouble.kind, trouble.since_us)
        episode = self._episode
        episode.kind, episode.seen_us = trouble.kind, now_us
        rungs = [rung for rung in trouble.rungs if rung in self.options.available]
        if not rungs:
            return self._lost(episode, trouble, None)
        if now_us < episode.due_us:
            self._limited = f"the last step works for another {self.due_s(now_us)} s"
            return None
        undoes = trouble.kind is TroubleKind.OFF_AFTER_STEP
        higher = [rung for rung in rungs if undoes or episode.rung is None or rung > episode.rung]
        if not higher:
            return self._pause(now_us, episode, trouble)
        return self._step(now_us, episode, trouble, higher[0], hold)

    def _step(self, now_us: int, episode: _Episode, trouble: Trouble, rung: Rung, hold: str | None) -> Step | None:
        self._limited = hold or self._limit(now_us, rung)
        if self._limited is not None:
            return None
        before = episode.last
        episode.rung, episode.last = max(rung, episode.rung or rung), rung
        episode.steps += 1
        episode.stepped_us = now_us
        episode.due_us = now_us + SETTLE_S[rung] * SECOND_US
        self.history.append((now_us, rung))
        del self.history[:-KEPT]
        return Step(rung, episode.steps, trouble, before)

    def _pause(self, now_us: int, episode: _Episode, trouble: Trouble) -> Lost | None:
        """All rungs were tried: wait, then from the lowest again."""
        pause_s = min(self.options.longest_pause_s, self.options.pause_s << min(self._pauses, 20))
        self._pauses += 1
        episode.rung = None
        episode.due_us = now_us + pause_s * SECOND_US
        return self._lost(episode, trouble, pause_s)

    def _lost(self, episode: _Episode, trouble: Trouble, next_try_s: int | None) -> Lost | None:
        """Nothing more to do for now. A trouble that never allowed a step is only told when the modem is gone."""
        told = episode.told_lost or (next_try_s is None and trouble.kind is not TroubleKind.VANISHED)
        if told:
            return None
        episode.told_lost = True
        return Lost(trouble, episode.steps, next_try_s)

    def _limit(self, now_us: int, rung: Rung) -> str | None:
        options = self.options
        if rung is Rung.POWER:
            limits = ((HOUR_US, options.power_per_hour, "hour"), (DAY_US, options.power_per_day, "day"))
            if (
                text := _over(now_us, (at for at, done in self.history if done is rung), limits, "power cuts")
            ) is not None:
                return text
        limits = ((HOUR_US, options.per_hour, "hour"), (DAY_US, options.per_day, "day"))
        return _over(now_us, (at for at, _ in self.history), limits, "steps")


def _over(now_us: int, times: Iterable[int], limits: Iterable[tuple[int, int, str]], what: str) -> str | None:
    taken = list(times)
    for span_us, most, name in limits:
        if sum(now_us - at < span_us for at in taken) >= most:
            return f"{most} {what} were taken within the {name}"
    return None
