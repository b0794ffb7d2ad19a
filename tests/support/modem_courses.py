"""A modem, its network and its uplink in simulated time, with the ways in which modems hang.

``ModemWorld.run`` drives the real judge and the real ladder with what they would see every few seconds, carries out
their steps on the simulated modem, and notes everything that was done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from outrider.network.ladder import Ladder, LadderOptions, Lost, Recovered, Step
from outrider.network.modem import Bearer, Modem, Signal, Sim
from outrider.network.names import FailedReason, Lock, ModemState, PowerState, Registration
from outrider.network.trouble import SECOND_US, Facts, Judge, Rung, Traffic, UplinkFacts

MINUTE, HOUR, DAY = 60, 3600, 86_400


class Hang(Enum):
    """How a modem hangs."""

    SESSION = "connected, nothing comes back"
    CONNECT_LOOP = "registered, every attempt to connect fails"
    DEAF = "hears a cell, never registers"
    IDLE = "does not search any more"
    STUCK = "a change of state never ends"
    FAILED = "says that it failed"
    SIM_LOST = "does not find its SIM any more"
    GONE = "vanished from the bus"


@dataclass
class ModemWorld:
    """``cure``: the lowest rung that ends the hang, None for none. ``covered`` and the like: by seconds since the
    start. ``enables``: whether somebody enables the modem after a reset. ``tick_s``: between two looks, below 60."""

    hang_at_s: int | None = None
    hang: Hang = Hang.SESSION
    cure: Rung | None = Rung.RECONNECT
    covered: Callable[[int], bool] = lambda _s: True
    moving: Callable[[int], bool] = lambda _s: True
    other_path: Callable[[int], bool] = lambda _s: False
    broker: Callable[[int], bool] = lambda _s: True
    denied: bool = False
    urgent: Callable[[int], bool] = lambda _s: False
    stale_dbm: int | None = None  # told while there is no coverage
    enables: bool = True
    options: LadderOptions = field(default_factory=LadderOptions)
    steps: list[tuple[int, Step]] = field(default_factory=list)
    recovered: list[tuple[int, Recovered]] = field(default_factory=list)
    lost: list[tuple[int, Lost]] = field(default_factory=list)
    tick_s: int = 2
    now_s: int = 0

    def __post_init__(self) -> None:
        self.judge, self.ladder = Judge(), Ladder(self.options)
        self.hung = False
        self.number, self.back_s, self.ready_s, self.connected_s = 0, 0, 0, 0
        self.disabled = False
        self.rx = self.tx = self.progress = 0

    def run(self, until_s: int) -> None:
        """On to ``until_s``."""
        while self.now_s < until_s:
            self._tick()
            self.now_s += self.tick_s

    def sleep(self, seconds: int) -> None:
        """The terminal is suspended: time passes, nobody looks."""
        self.now_s += seconds

    def _tick(self) -> None:
        if self.hang_at_s is not None and self.now_s >= self.hang_at_s:
            self.hung, self.hang_at_s = True, None
        modem = self.modem()
        carries = modem is not None and modem.state is ModemState.CONNECTED and not self._hangs(Hang.SESSION)
        through = carries and self.broker(self.now_s)
        if modem is not None and modem.state is ModemState.CONNECTED:
            self.tx += 1
            self.rx += carries
        self.progress += through or self.other_path(self.now_s)
        uplink = UplinkFacts(through, not through, self.urgent(self.now_s), self.progress)
        facts = Facts(
            now_us=self.now_s * SECOND_US,
            modem=modem,
            known=True,
            moving=self.moving(self.now_s),
            other_path=self.other_path(self.now_s),
            after_step=self.ladder.at_work,
            traffic=None if modem is None else Traffic("wwan0", self.rx, self.tx),
            uplink=uplink,
        )
        move = self.ladder.turn(facts.now_us, self.judge.judge(facts))
        if isinstance(move, Step):
            self.steps.append((self.now_s, move))
            self._carry_out(move.rung)
        elif isinstance(move, Recovered):
            self.recovered.append((self.now_s, move))
        elif isinstance(move, Lost):
            self.lost.append((self.now_s, move))

    def _hangs(self, hang: Hang) -> bool:
        return self.hung and self.hang is hang

    def _carry_out(self, rung: Rung) -> None:
        if self.cure is not None and rung >= self.cure:
            self.hung = False
        away_s, start_s = {Rung.RECONNECT: (0, 0), Rung.TOGGLE: (0, 15), Rung.RESET: (20, 20), Rung.POWER: (30, 30)}[
            rung
        ]
        if rung >= Rung.RESET:
            self.number += 1
            self.disabled = not self.enables
            self.rx = self.tx = 0
        elif rung is Rung.TOGGLE:
            self.disabled = False
        self.back_s = self.now_s + away_s
        self.ready_s = self.back_s + start_s
        self.connected_s = self.ready_s + 10

    def modem(self) -> Modem | None:
        """As ModemManager would tell of it now."""
        if self._hangs(Hang.GONE) or self.now_s < self.back_s:
            return None
        state, registration, dbm = self._state()
        failed = FailedReason.NONE
        if state is ModemState.FAILED:
            failed = FailedReason.SIM_MISSING if self._hangs(Hang.SIM_LOST) else FailedReason.UNKNOWN
        return Modem(
            path=f"/org/freedesktop/ModemManager1/Modem/{self.number}",
            state=state,
            failed_reason=failed,
            power=PowerState.ON,
            lock=Lock.NONE,
            technology="LTE",
            registration=registration,
            signal=Signal() if dbm is None else Signal(rsrp_dbm=float(dbm)),
            sim=None if self._hangs(Hang.SIM_LOST) else Sim("/sim"),
            bearers=(Bearer("/bearer", connected=state is ModemState.CONNECTED, interface="wwan0"),),
        )

    def _state(self) -> tuple[ModemState, Registration, int | None]:
        if self._hangs(Hang.FAILED) or self._hangs(Hang.SIM_LOST):
            return ModemState.FAILED, Registration.UNKNOWN, None
        if self._hangs(Hang.STUCK):
            return ModemState.DISABLING, Registration.UNKNOWN, -90
        if self.disabled:
            return ModemState.DISABLED, Registration.IDLE, None
        if self.denied:
            return ModemState.SEARCHING, Registration.DENIED, -80
        if not self.covered(self.now_s):
            return ModemState.SEARCHING, Registration.SEARCHING, self.stale_dbm
        if self._hangs(Hang.DEAF):
            return ModemState.SEARCHING, Registration.SEARCHING, -88
        if self._hangs(Hang.IDLE):
            return ModemState.ENABLED, Registration.IDLE, None
        if self.now_s < self.ready_s:
            return ModemState.SEARCHING, Registration.SEARCHING, -88
        if self._hangs(Hang.CONNECT_LOOP):
            connecting = self.now_s // 20 % 2 == 0
            return (ModemState.CONNECTING if connecting else ModemState.REGISTERED), Registration.HOME, -88
        if self.now_s < self.connected_s:
            return ModemState.CONNECTING, Registration.HOME, -88
        return ModemState.CONNECTED, Registration.HOME, -88
