"""What is wrong with the modem, judged from what is known: pure, driven by ``Facts`` and their time.

The rule: no step without evidence that *the modem* is at fault. A cell that is out of reach, a subscription that is
refused, a locked SIM, a broker that is down or a modem that somebody switched off are told, not cured. The evidence:

========================  ===========================================================  ==========================
trouble                   evidence                                                     rungs that may help
========================  ===========================================================  ==========================
DEAD_SESSION              the uplink sends by it, nothing comes back to its interface  all
SILENT                    the same where the interface has no counters                 reconnect
NOT_CONNECTED             registered, nothing else carries us, no data connection      reconnect, toggle, reset
UNREGISTERED              was registered, hears a cell, does not register              toggle, reset, power
BLIND                     was registered, hears nothing though the car drives on       toggle, reset
STUCK                     a change of state that never ends                            reset, power
FAILED                    the modem itself says that it failed                         reset, power
VANISHED                  it is gone, ModemManager is there                            power
OFF_AFTER_STEP            a step of ours left it disabled                              toggle
========================  ===========================================================  ==========================

A parked car never gets a power cut for what might be want of coverage.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Final

from outrider.network.modem import Modem
from outrider.network.names import FailedReason, ModemState, Registration

SECOND_US: Final = 1_000_000
SUSPENDED_US: Final = 60 * SECOND_US  # nobody looked for so long: the terminal slept, no evidence spans that
HEARD_DBM: Final = -110  # a cell this strong can be registered with
HEARD_PERCENT: Final = 20
UNANSWERED_PACKETS: Final = 5  # retransmissions of one SYN and a name lookup
NOT_REGISTERED: Final = frozenset(
    {Registration.IDLE, Registration.SEARCHING, Registration.DENIED, Registration.EMERGENCY_ONLY}
)
UPLINK_FRESH_US: Final = 60 * SECOND_US


class Rung(IntEnum):
    """The steps of the ladder, each costs more than the one before."""

    RECONNECT = 1
    TOGGLE = 2
    RESET = 3
    POWER = 4

    @property
    def word(self) -> str:
        return self.name.lower()


class Condition(StrEnum):
    """What the modem is doing, for status, log and technician."""

    CONNECTED = "connected"
    REGISTERED = "registered"
    SEARCHING = "searching"
    NO_COVERAGE = "no coverage"
    CHANGING = "changing"
    DISABLED = "disabled"
    LOCKED = "locked"
    NO_SIM = "no SIM"
    DENIED = "denied"
    FAILED = "failed"
    NO_MODEM = "no modem"
    VANISHED = "vanished"
    NO_MANAGER = "no ModemManager"
    NO_BUS = "no D-Bus"
    DEAD = "dead session"
    STARTING = "starting"


class TroubleKind(StrEnum):
    DEAD_SESSION = "dead session"
    SILENT = "silent"
    NOT_CONNECTED = "not connected"
    UNREGISTERED = "unregistered"
    BLIND = "blind"
    STUCK = "stuck"
    FAILED = "failed"
    VANISHED = "vanished"
    OFF_AFTER_STEP = "off after a step"


ALL: Final = (Rung.RECONNECT, Rung.TOGGLE, Rung.RESET, Rung.POWER)
RUNGS: Final[dict[TroubleKind, tuple[Rung, ...]]] = {
    TroubleKind.DEAD_SESSION: ALL,
    TroubleKind.SILENT: (Rung.RECONNECT,),
    TroubleKind.NOT_CONNECTED: (Rung.RECONNECT, Rung.TOGGLE, Rung.RESET),
    TroubleKind.UNREGISTERED: (Rung.TOGGLE, Rung.RESET, Rung.POWER),
    TroubleKind.BLIND: (Rung.TOGGLE, Rung.RESET),
    TroubleKind.STUCK: (Rung.RESET, Rung.POWER),
    TroubleKind.FAILED: (Rung.RESET, Rung.POWER),
    TroubleKind.VANISHED: (Rung.POWER,),
    TroubleKind.OFF_AFTER_STEP: (Rung.TOGGLE,),
}
PATIENCE_S: Final[dict[TroubleKind, int]] = {
    TroubleKind.DEAD_SESSION: 120,
    TroubleKind.SILENT: 900,
    TroubleKind.NOT_CONNECTED: 300,
    TroubleKind.UNREGISTERED: 300,
    TroubleKind.BLIND: 1200,  # of driving, not of time
    TroubleKind.STUCK: 240,
    TroubleKind.FAILED: 60,
    TroubleKind.VANISHED: 90,
    TroubleKind.OFF_AFTER_STEP: 60,
}


@dataclass(frozen=True, slots=True)
class Traffic:
    """Packets of the modem's network interface, as the kernel counts them."""

    interface: str
    rx_packets: int
    tx_packets: int


@dataclass(frozen=True, slots=True)
class UplinkFacts:
    """What the uplink says. progress: any number that changes when the other side was heard. sent: bytes that it gave
    to its connection; None: not known."""

    connected: bool = False
    waiting: bool = False  # there is something to send
    urgent: bool = False  # a crash is among it
    progress: int = 0
    sent: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """One look. now_us: CLOCK_BOOTTIME. known: this terminal has had a modem before. other_path: Ethernet or Wi-Fi
    carries us. after_step: the ladder is at work. bus_error, manager, manager_error: the way to ModemManager."""

    now_us: int
    modem: Modem | None = None
    known: bool = False
    manager: bool = True
    manager_error: str | None = None
    bus_error: str | None = None
    moving: bool = False
    other_path: bool = False
    after_step: bool = False
    traffic: Traffic | None = None
    uplink: UplinkFacts | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """Evidence that was there long enough. since_us: since when. rungs: what may help, cheapest first."""

    kind: TroubleKind
    reason: str
    since_us: int
    rungs: tuple[Rung, ...]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """reason: what is seen. healthy: the modem carries, or would. heard_us: when the uplink last heard the other side.
    hold: why no step may be taken now."""

    condition: Condition
    reason: str
    healthy: bool = False
    heard_us: int | None = None
    trouble: Trouble | None = None
    hold: str | None = None


@dataclass(slots=True)
class _Suspicions:
    """Since when each trouble has been seen (for BLIND: for how much driving). A change of state on the way, such as
    connecting again and again, does not end a suspicion; neither does a cell heard now and then."""

    since_us: dict[TroubleKind, int] = field(default_factory=dict)
    driven_us: int = 0

    def note(self, kind: TroubleKind | None, began_us: int) -> None:
        if kind is not TroubleKind.STUCK:
            kept = {kind, TroubleKind.BLIND} if kind is TroubleKind.UNREGISTERED else {kind}
            self.since_us = {known: at for known, at in self.since_us.items() if known in kept}
        if kind is not None:
            self.since_us.setdefault(kind, began_us)
        if TroubleKind.BLIND not in self.since_us:
            self.driven_us = 0

    def lasted_us(self, kind: TroubleKind, now_us: int) -> int:
        return self.driven_us if kind is TroubleKind.BLIND else now_us - self.since_us[kind]


@dataclass(slots=True)
class _Heard:
    """When the other side was last heard, and what was sent to it since."""

    interface: str = ""
    rx: int = -1
    tx: int = 0  # when the last packet came, or the uplink heard something
    progress: int | None = None
    sent: int | None = None  # by the uplink until then
    quiet_us: int = 0  # the last time when nothing waited for an answer
    progress_us: int | None = None  # None: the uplink heard nothing yet

    def note(self, facts: Facts) -> None:
        traffic, uplink = facts.traffic, facts.uplink
        heard = traffic is None or traffic.interface != self.interface or traffic.rx_packets != self.rx
        if uplink is not None and uplink.progress != self.progress:
            if self.progress is not None:
                self.progress_us, heard = facts.now_us, True
            self.progress = uplink.progress
        if heard:
            self.sent = None if uplink is None else uplink.sent
        if traffic is not None and (heard or traffic.tx_packets < self.tx):
            self.interface, self.rx, self.tx = traffic.interface, traffic.rx_packets, traffic.tx_packets
        if self.unanswered(facts) == 0:
            self.quiet_us = facts.now_us

    def unanswered(self, facts: Facts) -> int:
        """Packets sent since anything came back; 0 while the uplink is connected and sent nothing: what others send
        (mDNS, router solicitations) asks nobody for an answer."""
        uplink = facts.uplink
        idle = uplink is not None and uplink.connected and uplink.sent is not None and uplink.sent == self.sent
        return 0 if idle or facts.traffic is None else facts.traffic.tx_packets - self.tx

    def forget(self) -> None:
        self.interface = ""


@dataclass(slots=True)
class Judge:
    """Give it ``Facts`` every few seconds; it remembers how long what has been seen."""

    had_sim: bool = False
    was_registered: bool = False
    _last_us: int | None = None
    _suspicions: _Suspicions = field(default_factory=_Suspicions)
    _heard: _Heard = field(default_factory=_Heard)
    _path: str | None = None

    def judge(self, facts: Facts) -> Diagnosis:
        since_us = 0 if self._last_us is None else facts.now_us - self._last_us
        self._last_us = facts.now_us
        if since_us > SUSPENDED_US or self._is_another(facts):
            self._suspicions = _Suspicions()
            self._heard.forget()
            since_us = 0
        self._heard.note(facts)
        self._remember(facts.modem)
        condition, reason, kind = self._look(facts)
        return Diagnosis(
            condition=condition,
            reason=reason,
            healthy=kind is None and condition is Condition.CONNECTED,
            heard_us=self._heard.progress_us,
            trouble=self._trouble(facts, kind, reason, since_us),
            hold=self._hold(facts),
        )

    # -- what was seen before ----------------------------------------------------------------------------------

    def _is_another(self, facts: Facts) -> bool:
        """The modem was plugged in again, or is another one: nothing that was seen before counts."""
        path = facts.modem.path if facts.modem is not None else None
        changed = path is not None and path != self._path
        self._path = path or self._path
        return changed

    def _remember(self, modem: Modem | None) -> None:
        if modem is None:
            return
        self.had_sim = self.had_sim or modem.sim is not None
        self.was_registered = self.was_registered or modem.is_registered

    # -- what is seen now --------------------------------------------------------------------------------------

    def _look(self, facts: Facts) -> tuple[Condition, str, TroubleKind | None]:
        if facts.bus_error is not None:
            return Condition.NO_BUS, facts.bus_error, None
        if not facts.manager:
            return Condition.NO_MANAGER, facts.manager_error or "ModemManager does not answer", None
        modem = facts.modem
        if modem is None:
            return _absent(facts)
        if modem.state is ModemState.FAILED:
            return self._failed(modem)
        if modem.is_locked:
            return Condition.LOCKED, f"the SIM asks for {modem.lock.word}", None
        if modem.is_changing:
            return Condition.CHANGING, f"the modem is {modem.state.word}", TroubleKind.STUCK
        if modem.state is ModemState.DISABLED:
            kind = TroubleKind.OFF_AFTER_STEP if facts.after_step else None
            return Condition.DISABLED, "the modem is disabled", kind
        if modem.state is ModemState.CONNECTED:
            return self._connected(facts)
        if modem.state is ModemState.UNKNOWN:
            return Condition.STARTING, "the modem has not told its state yet", None
        return self._not_connected(facts, modem)

    def _failed(self, modem: Modem) -> tuple[Condition, str, TroubleKind | None]:
        reason = modem.failed_reason
        if reason is FailedReason.ESIM_WITHOUT_PROFILES:
            return Condition.NO_SIM, "the eSIM has no profile", None
        if reason in {FailedReason.SIM_MISSING, FailedReason.SIM_ERROR}:
            kind = TroubleKind.FAILED if self.had_sim else None
            gone = " any more" if self.had_sim else ""
            return Condition.NO_SIM, f"the modem finds no SIM{gone} ({reason.word})", kind
        return Condition.FAILED, f"the modem says that it failed ({reason.word})", TroubleKind.FAILED

    def _connected(self, facts: Facts) -> tuple[Condition, str, TroubleKind | None]:
        """Only what the uplink sends asks for an answer; what a kernel sends of itself does not."""
        uplink = facts.uplink
        up = (Condition.CONNECTED, "a data connection is up", None)
        if uplink is None or facts.other_path or (uplink.connected and not uplink.waiting):
            return up
        unanswered = self._heard.unanswered(facts)
        if unanswered >= UNANSWERED_PACKETS:
            if facts.modem is not None and facts.modem.registration in NOT_REGISTERED:
                return self._not_connected(facts, facts.modem)  # a bearer outlives its cell, in a garage say
            silent_s = (facts.now_us - self._heard.quiet_us) // SECOND_US
            dead = silent_s >= PATIENCE_S[TroubleKind.DEAD_SESSION]
            text = f"connected, but {unanswered} packets got no answer for {silent_s} s"
            return (Condition.DEAD if dead else Condition.CONNECTED), text, TroubleKind.DEAD_SESSION
        if facts.traffic is None and not uplink.connected:
            return Condition.CONNECTED, "connected, but the uplink gets nothing through", TroubleKind.SILENT
        return up

    def _not_connected(self, facts: Facts, modem: Modem) -> tuple[Condition, str, TroubleKind | None]:
        if modem.registration is Registration.DENIED:
            return Condition.DENIED, "the network refuses this SIM (registration denied)", None
        if modem.is_registered:
            error = modem.bearer.error if modem.bearer is not None else None
            text = "registered, without a data connection" + (f": {error}" if error else "")
            return Condition.REGISTERED, text, None if facts.other_path else TroubleKind.NOT_CONNECTED
        known = self.was_registered
        if modem.registration is Registration.IDLE:
            text = "not registered, and the modem does not search"
            return Condition.SEARCHING, text, TroubleKind.UNREGISTERED if known else None
        if modem.registration is Registration.EMERGENCY_ONLY:
            text = "only other operators' cells are heard (emergency calls only)"
            return Condition.NO_COVERAGE, text, TroubleKind.BLIND if known else None
        if hears(modem):
            text = "not registered though a cell is heard"
            return Condition.SEARCHING, text, TroubleKind.UNREGISTERED if known else None
        return Condition.NO_COVERAGE, "no cell is heard", TroubleKind.BLIND if known else None

    # -- how long ----------------------------------------------------------------------------------------------

    def _trouble(self, facts: Facts, kind: TroubleKind | None, reason: str, since_us: int) -> Trouble | None:
        suspicions = self._suspicions
        began_us = self._heard.quiet_us if kind is TroubleKind.DEAD_SESSION else facts.now_us
        suspicions.note(kind, began_us)
        if kind is TroubleKind.BLIND and facts.moving:
            suspicions.driven_us += since_us
        if kind is None or suspicions.lasted_us(kind, facts.now_us) < PATIENCE_S[kind] * SECOND_US:
            return None
        return Trouble(kind, reason, suspicions.since_us[kind], _rungs(kind, facts))

    def _hold(self, facts: Facts) -> str | None:
        uplink, heard_us = facts.uplink, self._heard.progress_us
        if uplink is None or not uplink.urgent or heard_us is None or facts.now_us - heard_us > UPLINK_FRESH_US:
            return None
        return "a crash is being uploaded and makes progress"


def hears(modem: Modem) -> bool:
    """Whether there is a cell that could be registered with."""
    if modem.signal.dbm is not None:
        return modem.signal.dbm >= HEARD_DBM
    return modem.quality_percent is not None and modem.quality_percent >= HEARD_PERCENT


def is_weak(modem: Modem) -> bool:
    """A signal was measured, and it is less than a cell that could be registered with."""
    return (modem.signal.dbm is not None or modem.quality_percent is not None) and not hears(modem)


def _absent(facts: Facts) -> tuple[Condition, str, TroubleKind | None]:
    if facts.known:
        return Condition.VANISHED, "the modem is gone", TroubleKind.VANISHED
    return Condition.NO_MODEM, "ModemManager knows of no modem", None


def _rungs(kind: TroubleKind, facts: Facts) -> tuple[Rung, ...]:
    """Standing, what looks like want of coverage is taken for it: the cell that is heard may be another operator's."""
    if kind is TroubleKind.DEAD_SESSION and not facts.moving and facts.modem is not None and is_weak(facts.modem):
        return (Rung.RECONNECT, Rung.TOGGLE)
    searches = facts.modem is not None and facts.modem.registration is not Registration.IDLE
    if kind is TroubleKind.UNREGISTERED and searches and not facts.moving:
        return (Rung.TOGGLE,)
    return () if kind is TroubleKind.BLIND and not facts.moving else RUNGS[kind]
