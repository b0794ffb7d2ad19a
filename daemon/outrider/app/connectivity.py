"""Which network carries us, and the modem's care: one thread that looks, one that talks D-Bus where there is a modem.

``Connectivity`` is both ``SignalMeter`` and ``NetworkMeter``; what it answers, it answers at once. Without ``[modem]``
it knows what the kernel knows: Ethernet, Wi-Fi or mobile network. The connection itself is made by NetworkManager.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, Final

from outrider.app.modem_recovery import Recovery
from outrider.config import Config
from outrider.errors import ConfigError, LinkError
from outrider.model.network import NetworkState, Path
from outrider.model.notice import Notice, NoticeCode, NoticeLevel
from outrider.network.ladder import LadderOptions
from outrider.network.manager import NOT_YET, ManagerView
from outrider.network.memory_io import FILE_NAME, ModemMemory
from outrider.network.modem import Modem, choose
from outrider.network.path_io import Interface, KernelNetwork, RouteWatch
from outrider.network.power_io import PowerOptions, PowerSwitch
from outrider.network.trouble import Facts, Rung, UplinkFacts
from outrider.network.view import modem_document
from outrider.ports import Clock
from outrider.uplink.options import UplinkStatus

LOOK_S: Final = 2.0
GAP_S: Final = 0.1  # routes may change, signals come by the hundred
STEADY_US: Final = 10_000_000  # a path that holds so long is told; the answer to ``network`` does not wait
STOP_S: Final = 60.0
WEAKEST_DBM: Final = -127  # docs/reference/mqtt.md, beacon
MODEM_RUNGS: Final = frozenset({Rung.RECONNECT, Rung.TOGGLE, Rung.RESET})

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModemOptions:
    """``[modem]`` of the configuration. bus: address of D-Bus, None for the system's. ladder: None = take no step."""

    bus: str | None = None
    port: str | None = None
    signal_s: int = 10
    apn: str | None = None
    ladder: LadderOptions | None = None
    power: PowerOptions = field(default_factory=PowerOptions)


@dataclass(frozen=True, slots=True)
class ConnectivityOptions:
    """modem: None where none is looked after. cellular: interfaces that are the mobile network and do not look so."""

    state_file: FilePath
    modem: ModemOptions | None = None
    cellular: tuple[str, ...] = ()


def connectivity_options(config: Config, base: FilePath) -> ConnectivityOptions:
    """ConfigError for what can never work."""
    state = base / config.terminal.data_directory / "state" / FILE_NAME
    section = config.modem
    if section is None:
        return ConnectivityOptions(state)
    if section.power_command and section.power_file is not None:
        raise ConfigError("[modem] power_command and power_file exclude each other; keep one")
    power = PowerOptions(
        command=section.power_command,
        file=None if section.power_file is None else FilePath(section.power_file),
        off=section.power_off,
        on=section.power_on,
        off_s=section.power_off_s,
    )
    ladder = LadderOptions(
        available=MODEM_RUNGS | ({Rung.POWER} if power.is_there else frozenset()),
        per_hour=section.steps_per_hour,
        per_day=section.steps_per_day,
        power_per_hour=section.power_per_hour,
        power_per_day=section.power_per_day,
    )
    modem = ModemOptions(
        bus=section.bus,
        port=section.port,
        signal_s=section.signal_s,
        apn=section.apn,
        ladder=ladder if section.recover else None,
        power=power,
    )
    return ConnectivityOptions(state, modem, section.interfaces)


def uplink_facts(status: UplinkStatus) -> UplinkFacts:
    """What the uplink's own status says to the judge of the modem."""
    counters = status.counters
    heard = sum(counters.get(name, 0) for name in ("connects", "pubacks", "acks")) + status.received_bytes.get(
        "link", 0
    )
    waiting = any(status.backlog.values())
    urgent, sent = status.backlog.get("emergency", 0) > 0, status.sent_bytes.get("link")
    return UplinkFacts(status.connected, waiting, urgent, heard, sent)


class Connectivity:
    """``start`` and ``stop`` once; ``follow`` the uplink when there is one. ``on_notice`` must not block."""

    def __init__(
        self,
        options: ConnectivityOptions,
        clock: Clock,
        on_notice: Callable[[Notice], None],
        kernel: KernelNetwork | None = None,
    ) -> None:
        self._options = options
        self._clock = clock
        self._on_notice = on_notice
        self._uplink: Callable[[], UplinkStatus] | None = None
        self._kernel = kernel or KernelNetwork(options.cellular)
        self._state = NetworkState()
        self._signal_dbm: int | None = None
        self._since_us = clock.boottime_us()
        self._told: tuple[Path, str | None, bool | None] | None = None
        self._changes = 0
        self._faults = 0
        self._moving = False
        self._stop = threading.Event()
        self._watch: RouteWatch | None = None
        self._thread = threading.Thread(target=self._run, name="connectivity", daemon=True)
        self._modem: _ModemCare | None = None
        if options.modem is not None:
            memory = ModemMemory(options.state_file, clock)
            self._modem = _ModemCare(options.modem, memory, clock, on_notice, self._wake)

    # -- answers, from any thread ------------------------------------------------------------------------------

    def network(self) -> NetworkState:
        return self._state

    def signal_dbm(self) -> int | None:
        """Of the modem, whether it carries us now or not. What is weaker than a beacon can say is told as the weakest
        that it can: a beacon at the edge of coverage is the one that matters."""
        return None if self._signal_dbm is None else max(WEAKEST_DBM, self._signal_dbm)

    def follow(self, uplink: Callable[[], UplinkStatus]) -> None:
        """The uplink's own word on whether anything gets through."""
        self._uplink = uplink

    def set_moving(self, moving: bool) -> None:
        """Whether the car drives: want of coverage means something else then."""
        self._moving = moving

    def status(self) -> dict[str, Any]:
        """``network`` and ``modem`` of the status document (docs/reference/cli.md)."""
        return {
            "network": {
                **network_document(self._state),
                "since_s": round((self._clock.boottime_us() - self._since_us) / 1e6, 1),
                "changes": self._changes,
                "faults": self._faults,
            },
            "modem": None if self._modem is None else self._modem.status(),
        }

    # -- the thread --------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._watch = RouteWatch()
        if self._modem is not None:
            self._modem.start()
        self._thread.start()

    def stop(self) -> None:
        """Ends and joins; a step that is being taken is given up. Also when it was never started."""
        self._stop.set()
        if self._watch is None:
            return
        self._watch.wake()
        if self._modem is not None:
            self._modem.stop()
        self._thread.join(STOP_S)
        if not self._thread.is_alive():
            watch, self._watch = self._watch, None
            watch.close()

    def _wake(self) -> None:
        """On the thread that talks D-Bus, which ends before the watch does."""
        if self._watch is not None:
            self._watch.wake()

    def _run(self) -> None:
        assert self._watch is not None
        while not self._stop.is_set():
            try:
                self.turn()
            except Exception:  # a fault of ours must not leave the terminal without its modem
                self._faults += 1
                if self._faults == 1:
                    log.exception("connectivity; further faults are only counted")
            self._watch.wait(LOOK_S)
            self._stop.wait(GAP_S)

    def turn(self) -> None:
        """One look at the routes and the modem, and what follows from it. For the thread, and for tests."""
        now = self._clock.boottime_us()
        care, uplink = self._modem, self._uplink
        modem = None if care is None else care.modem()
        default = self._kernel.default(() if modem is None else modem.interfaces)
        metered = None if care is None else care.metered(default.name)
        self._signal_dbm = None if modem is None else modem.signal.dbm
        self._note(now, network_state(default, metered, modem))
        if care is not None:
            interface = _modem_interface(default, modem)
            facts = Facts(
                now_us=now,
                moving=self._moving,
                other_path=default.path in {Path.ETHERNET, Path.WIFI},
                traffic=None if interface is None else self._kernel.traffic(interface),
                uplink=None if uplink is None else uplink_facts(uplink()),
            )
            care.turn(facts, modem)

    def _note(self, now: int, state: NetworkState) -> None:
        """Takes the new state; tells of it once it has held for a while."""
        before, self._state = self._state, state
        if _place(before) != _place(state):
            self._since_us = now
            self._changes += 1
        if _place(state) == self._told or now - self._since_us < STEADY_US:
            return
        first, self._told = self._told is None, _place(state)
        if not first:
            level = NoticeLevel.WARNING if state.path is Path.NONE else NoticeLevel.INFO
            self._on_notice(Notice(NoticeCode.NETWORK_CHANGED, level, _detail(state)))


class _ModemCare:
    """The modem of one terminal: what is known of it, and what is done about it."""

    def __init__(
        self,
        options: ModemOptions,
        memory: ModemMemory,
        clock: Clock,
        on_notice: Callable[[Notice], None],
        wake: Callable[[], None],
    ) -> None:  # fmt: skip
        from outrider.network.modem_io import ModemThread  # D-Bus is needed only where there is a modem

        self._options = options
        self._memory = memory
        self._stop = threading.Event()
        self._thread = ModemThread(options.bus, options.signal_s, options.apn, wake)
        self._power = PowerSwitch(options.power, self._stop)
        self._recovery = Recovery(options.ladder, memory, self._carry_out, on_notice, clock, on_done=wake)

    def start(self) -> None:
        self._thread.start()
        if any(rung is Rung.POWER for _, rung in self._memory.history()):
            threading.Thread(target=self._restore, name="modem power", daemon=True).start()

    def _restore(self) -> None:
        """A daemon that was killed between off and on has left the modem without power."""
        try:
            self._power.restore()
        except LinkError as err:
            log.warning("modem: %s", err)

    def stop(self) -> None:
        self._stop.set()
        self._thread.stop()
        self._recovery.stop(STOP_S)

    def modem(self) -> Modem | None:
        return choose(self._thread.view().modems, self._options.port)

    def metered(self, interface: str | None) -> bool | None:
        return self._thread.metered(interface)

    def turn(self, facts: Facts, modem: Modem | None) -> None:
        view = self._thread.view()
        if view.bus_error == NOT_YET:
            return
        self._recovery.turn(
            dataclasses.replace(
                facts,
                modem=modem,
                known=self._memory.has_modem,
                manager=view.manager,
                manager_error=view.manager_error,
                bus_error=view.bus_error,
                after_step=self._recovery.at_work,
            )
        )

    def _carry_out(self, rung: Rung, modem: Modem | None) -> None:
        if rung is Rung.POWER:
            self._power.cycle()
        elif modem is None:
            raise LinkError("the modem is gone")
        else:
            self._thread.carry_out(rung, modem.path)

    def status(self) -> dict[str, Any]:
        view, modem = self._thread.view(), self.modem()
        return {
            **self._recovery.status(),
            "manager": manager_document(view),
            "modem": None if modem is None else modem_document(modem),
            "apn_differs": apn_differs(modem, self._options.apn),
        }


def manager_document(view: ManagerView) -> dict[str, Any]:
    """How ModemManager is reached."""
    return {
        "answers": view.manager,
        "version": view.version,
        "error": view.bus_error or view.manager_error,
        "signal_error": view.setup_error,
        "counters": dict(view.counters),
    }


def apn_differs(modem: Modem | None, expected: str | None) -> bool | None:
    """Whether the connection uses another APN than the configuration expects; None: nothing to compare."""
    apn = modem.bearer.apn if modem is not None and modem.bearer is not None else None
    return None if expected is None or apn is None else apn.lower() != expected.lower()


def network_state(default: Interface, metered: bool | None, modem: Modem | None) -> NetworkState:
    """metered: as NetworkManager says. What it does not say: the mobile network costs money, of others nothing is
    known. What the modem says is told unless something else is known to carry us."""
    cellular = default.path is Path.CELLULAR
    modem = None if default.path in {Path.ETHERNET, Path.WIFI} else modem
    return NetworkState(
        path=default.path,
        metered=True if cellular and metered is None else metered,
        roaming=None if modem is None else modem.roaming,
        interface=default.name,
        operator=None if modem is None else modem.operator_name or modem.operator_code,
        technology=None if modem is None else modem.technology,
        signal_dbm=None if modem is None else modem.signal.dbm,
    )


def network_document(state: NetworkState) -> dict[str, Any]:
    """JSON-ready."""
    return {
        "path": state.path.name.lower(),
        "interface": state.interface,
        "metered": state.metered,
        "roaming": state.roaming,
        "operator": state.operator,
        "technology": state.technology,
        "signal_dbm": state.signal_dbm,
    }


def _modem_interface(default: Interface, modem: Modem | None) -> str | None:
    """Whose packets count: that of the default route where it is the modem's, else the connected bearer's."""
    if default.path is Path.CELLULAR or modem is None:
        return default.name if default.path is Path.CELLULAR else None
    named = modem.bearer.interface if modem.bearer is not None else None
    return named or next(iter(modem.interfaces), None)


def _place(state: NetworkState) -> tuple[Path, str | None, bool | None]:
    """What makes it another network."""
    return state.path, state.interface, state.roaming


def _detail(state: NetworkState) -> tuple[tuple[str, str], ...]:
    told = network_document(state)
    named = ((name, told[name]) for name in ("path", "interface", "metered", "roaming", "technology", "signal_dbm"))
    return tuple(
        (name, str(value).lower() if isinstance(value, bool) else str(value))
        for name, value in named
        if value is not None
    )
