"""One look at the modem for a technician: straight from ModemManager, with what a running daemon knows besides."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, Final

from outrider.app.connectivity import apn_differs, manager_document, network_document, network_state
from outrider.app.control import ask
from outrider.errors import LinkError
from outrider.network.manager import ManagerView
from outrider.network.modem import Modem, choose
from outrider.network.modem_io import ModemThread
from outrider.network.names import ModemState
from outrider.network.path_io import KernelNetwork
from outrider.network.trouble import Condition, Diagnosis, Facts, Judge
from outrider.network.view import modem_document
from outrider.ports import Clock

SETTLE_S: Final = 25.0
MEASURE_S: Final = 6.0
MEASURE_RATE_S: Final = 2
WELL: Final = frozenset({Condition.CONNECTED, Condition.REGISTERED})
NOTHING_THERE: Final = frozenset({Condition.NO_BUS, Condition.NO_MANAGER, Condition.NO_MODEM})


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen. daemon: its status document, None where none answers."""

    view: ManagerView
    modem: Modem | None
    diagnosis: Diagnosis
    network: dict[str, Any]
    daemon: dict[str, Any] | None
    signal_error: str | None = None


class ModemWindow:
    """A connection to D-Bus for as long as somebody looks. Changes nothing but, for a while, that the signal is
    measured where nobody else has it measured."""

    def __init__(self, bus: str | None, port: str | None, control: FilePath, clock: Clock) -> None:
        self._news = threading.Event()
        self._port = port
        self._control = control
        self._clock = clock
        self._judge = Judge()
        self._kernel = KernelNetwork()
        self._signal_error: str | None = None
        self.thread = ModemThread(bus, 0, None, self._news.set)

    def look(self, *, known: bool = False) -> Look:
        """What is there now. known: there was a modem before."""
        view = self.thread.view()
        modem = choose(view.modems, self._port)
        facts = Facts(
            self._clock.boottime_us(),
            modem,
            known=known,
            manager=view.manager,
            manager_error=view.manager_error,
            bus_error=view.bus_error,
        )
        default = self._kernel.default(() if modem is None else modem.interfaces)
        state = network_state(default, self.thread.metered(default.name), modem)
        daemon: dict[str, Any] | None = None
        with suppress(LinkError):
            daemon = ask(self._control, "status")
        return Look(view, modem, self._judge.judge(facts), network_document(state), daemon, self._signal_error)

    def wait(self, timeout_s: float) -> None:
        """Until something changed."""
        self._news.wait(timeout_s)
        self._news.clear()

    def settle(self) -> None:
        """Until all that can be read at once was read."""
        deadline = time.monotonic() + SETTLE_S
        while not self.thread.view().settled and (left := deadline - time.monotonic()) > 0:
            self.wait(left)

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """The signal is measured within, also where no daemon asked for it."""
        modem = choose(self.thread.view().modems, self._port)
        asked = modem is not None and modem.signal_rate_s == 0 and self._ask(modem)
        try:
            yield
        finally:
            if modem is not None and asked:
                with suppress(LinkError):
                    self.thread.measure(modem.path, 0)

    def _ask(self, modem: Modem) -> bool:
        if not ModemState.ENABLED <= modem.state <= ModemState.CONNECTED:
            return False
        try:
            self.thread.measure(modem.path, MEASURE_RATE_S)
        except LinkError as err:
            self._signal_error = str(err)
            return False
        deadline = time.monotonic() + MEASURE_S
        while (left := deadline - time.monotonic()) > 0:
            now = choose(self.thread.view().modems, self._port)
            if now is None or now.signal.dbm is not None:
                break
            self.wait(left)
        return True


@contextmanager
def modem_window(bus: str | None, port: str | None, control: FilePath, clock: Clock) -> Iterator[ModemWindow]:
    """Open, settled."""
    window = ModemWindow(bus, port, control, clock)
    window.thread.start()
    try:
        window.settle()
        yield window
    finally:
        window.thread.stop()


def look_document(look: Look, apn: str | None, *, show_ids: bool) -> dict[str, Any]:
    """``modem_page`` of docs/reference/cli-schema.json."""
    daemon = look.daemon
    return {
        "condition": look.diagnosis.condition.value,
        "reason": look.diagnosis.reason,
        "manager": {**manager_document(look.view), "signal_error": look.signal_error},
        "modem": None if look.modem is None else modem_document(look.modem, show_ids=show_ids),
        "modems": len(look.view.modems),
        "apn_differs": apn_differs(look.modem, apn),
        "network": look.network,
        "daemon": None if daemon is None else {name: daemon.get(name) for name in ("network", "modem")},
    }


def exit_code(look: Look) -> int:
    """0 well, 1 there is a modem that does not carry, 69 there is none to be asked."""
    if look.diagnosis.condition in NOTHING_THERE:
        return LinkError.exit_code
    return 0 if look.diagnosis.condition in WELL else 1
