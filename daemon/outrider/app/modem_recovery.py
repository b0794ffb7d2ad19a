"""Puts the ladder to work: judges the modem, takes the step that is due, tells of it in notices, remembers it.

``turn`` on one thread. A step, which may take minutes, is carried out on a thread of its own meanwhile: which network
carries us must be known at once, also then.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from outrider.errors import LinkError
from outrider.model.notice import Notice, NoticeCode, NoticeLevel
from outrider.network.ladder import DAY_US, HOUR_US, Ladder, LadderOptions, Lost, Move, Recovered, Step
from outrider.network.memory_io import ModemMemory
from outrider.network.modem import Modem
from outrider.network.names import ModemState
from outrider.network.trouble import Condition, Diagnosis, Facts, Judge, Rung
from outrider.ports import Clock

DONE: Final = "done"
MAX_TEXT: Final = 500

log = logging.getLogger(__name__)


class Recovery:
    """``carry_out``: does a rung to the modem (None: there is none); LinkError says what went wrong. ``on_done``: a
    step is over, told on its thread. ``options`` None: looks and tells, and takes no step."""

    def __init__(
        self,
        options: LadderOptions | None,
        memory: ModemMemory,
        carry_out: Callable[[Rung, Modem | None], None],
        on_notice: Callable[[Notice], None],
        clock: Clock,
        *,
        on_done: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_done = on_done
        self._working: threading.Thread | None = None
        self._result = DONE
        self._memory = memory
        self._carry_out = carry_out
        self._on_notice = on_notice
        self._clock = clock
        self._acts = options is not None
        self._judge = Judge()
        history = memory.history()
        self._ladder = Ladder(options or LadderOptions(available=frozenset()), history)
        # a step that a daemon before this one did not live to end may have left the modem off
        self._is_left_off = any(clock.boottime_us() - at < HOUR_US and rung >= Rung.TOGGLE for at, rung in history)
        self._diagnosis = Diagnosis(Condition.STARTING, "nothing is known yet")
        self._since_us = clock.boottime_us()
        self._steps: Counter[str] = Counter()
        self._last_step: dict[str, Any] | None = None
        self._number = 0

    @property
    def at_work(self) -> bool:
        """A step was taken, perhaps by the daemon before, and the modem is not proved well yet."""
        return self._ladder.at_work or self._is_left_off

    def turn(self, facts: Facts) -> None:
        """One look, and the step that it asks for."""
        before, self._diagnosis = self._diagnosis, self._judge.judge(facts)
        if self._diagnosis.condition is not before.condition:
            self._since_us = facts.now_us
            log.info("modem: %s: %s", self._diagnosis.condition, self._diagnosis.reason)
        self._note_identity(facts.modem)
        if self._is_working(facts.now_us):
            return
        move = self._ladder.turn(facts.now_us, self._diagnosis)
        if move is not None:
            self._make(move, facts.modem)

    def stop(self, timeout_s: float) -> None:
        """Waits for a step that is being carried out; whoever carries it out must have been told to end."""
        if self._working is not None:
            self._working.join(timeout_s)

    def _is_working(self, now_us: int) -> bool:
        if self._working is None:
            return False
        if self._working.is_alive():
            return True
        self._working = None
        if self._result != DONE:
            self._ladder.failed(now_us)
        return False

    def _note_identity(self, modem: Modem | None) -> None:
        if modem is None:
            return
        self._memory.note_modem()
        if modem.state >= ModemState.ENABLED:
            self._is_left_off = False
        if modem.sim is None or modem.sim.iccid is None:
            return
        change = self._memory.note_sim(modem.sim.iccid)
        if change is not None:
            detail = (("sim", change[1]), ("before", change[0]), ("operator_code", modem.sim.operator_code or ""))
            self._on_notice(Notice(NoticeCode.SIM_CHANGED, NoticeLevel.WARNING, detail))

    def _make(self, move: Move, modem: Modem | None) -> None:
        if isinstance(move, Step):
            self._step(move, modem)
        elif isinstance(move, Recovered):
            detail = (("step", move.rung.word), ("trouble", move.kind.value), ("steps", str(move.steps)))
            self._tell(NoticeCode.MODEM_RECOVERED, NoticeLevel.INFO, *detail, ("after_s", str(move.after_s)))
        else:
            self._lost(move)

    def _step(self, step: Step, modem: Modem | None) -> None:
        """Remembered before it is taken: a step that takes the terminal down with it counts too."""
        self._number += 1
        self._steps[step.rung.word] += 1
        self._memory.note_step(step.rung)
        log.warning("modem: %s because: %s", step.rung.word, step.trouble.reason)
        self._working = threading.Thread(
            target=self._work, args=(step, modem, self._number), name="modem step", daemon=True
        )
        self._working.start()

    def _work(self, step: Step, modem: Modem | None, number: int) -> None:
        result = DONE
        try:
            self._carry_out(step.rung, modem)
        except LinkError as err:
            result = str(err)[:MAX_TEXT]
            self._steps["failed"] += 1
        except Exception as err:  # a fault of ours: told like any other, the care goes on
            log.exception("modem: %s", step.rung.word)
            result = f"internal fault: {type(err).__name__}"
            self._steps["failed"] += 1
        self._result = result
        self._last_step = {"step": step.rung.word, "why": step.trouble.reason, "result": result}
        self._tell(
            NoticeCode.MODEM_STEP,
            NoticeLevel.WARNING,
            ("number", str(number)),  # first, so that no step is held back as a repeat
            ("step", step.rung.word),
            ("trouble", step.trouble.kind.value),
            ("why", step.trouble.reason),
            ("result", result),
            ("after", step.after.word if step.after else ""),
        )
        self._on_done()

    def _lost(self, lost: Lost) -> None:
        next_try = "" if lost.next_try_s is None else str(lost.next_try_s)
        detail = (("trouble", lost.trouble.kind.value), ("why", lost.trouble.reason), ("steps", str(lost.steps)))
        self._tell(NoticeCode.MODEM_LOST, NoticeLevel.ERROR, *detail, ("next_try_s", next_try))

    def _tell(self, code: NoticeCode, level: NoticeLevel, *detail: tuple[str, str]) -> None:
        self._on_notice(Notice(code, level, tuple((name, value[:MAX_TEXT]) for name, value in detail)))

    def status(self) -> dict[str, Any]:
        """Any thread."""
        now, diagnosis, trouble = self._clock.boottime_us(), self._diagnosis, self._diagnosis.trouble
        taken = [rung.word for at, rung in tuple(self._ladder.history) if now - at < DAY_US]
        return {
            "condition": diagnosis.condition.value,
            "reason": diagnosis.reason,
            "since_s": round((now - self._since_us) / 1e6, 1),
            "trouble": None if trouble is None else trouble.kind.value,
            "recovery": {
                "on": self._acts,
                "at_work": self._ladder.at_work,
                "waits_for": self._ladder.waits_for,
                "next_s": self._ladder.due_s(now),
                "steps_last_day": dict(Counter(taken)),
                "steps": dict(self._steps),
                "last": self._last_step,
            },
        }
