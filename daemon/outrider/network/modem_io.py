"""The thread that talks D-Bus: follows ModemManager, asks NetworkManager what is metered, carries out steps.

``ModemThread`` owns an event loop and one connection, which it makes again when it is lost (``RETRY_S`` doubling to
``LONGEST_RETRY_S``). Everything it answers to others it answers at once, from what it knows.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError as FutureCancelled
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from typing import Any, Final

from outrider.errors import LinkError
from outrider.network.bus_io import Bus
from outrider.network.manager import ManagerView
from outrider.network.manager_io import ManagerFollower
from outrider.network.metered_io import MeteredFollower
from outrider.network.steps_io import StepRunner
from outrider.network.trouble import Rung

RETRY_S: Final = 1.0
LONGEST_RETRY_S: Final = 60.0
STOP_S: Final = 10.0
STEP_S: Final = 240.0

log = logging.getLogger(__name__)


class ModemThread:
    """``address``: of a bus, None for the system's. ``on_change`` is called on the thread and must not block."""

    def __init__(self, address: str | None, rate_s: int, apn: str | None, on_change: Callable[[], None]) -> None:
        self._address = address
        self._rate_s = rate_s
        self._apn = apn
        self._on_change = on_change
        self._view = ManagerView()
        self._interface: str | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._follower: ManagerFollower | None = None
        self._metered: MeteredFollower | None = None
        self._steps: StepRunner | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="modem", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """Ends and joins. Allowed more than once."""
        loop, main = self._loop, self._main
        if loop is None or main is None:
            return
        if self._thread.is_alive():
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(main.cancel)
            self._thread.join(STOP_S)

    # -- answers -----------------------------------------------------------------------------------------------

    def view(self) -> ManagerView:
        return self._view

    def metered(self, interface: str | None) -> bool | None:
        """What NetworkManager says of an interface; None while it is not known. Asking makes it known soon."""
        if interface != self._interface:
            self._interface = interface
            if self._loop is not None and self._thread.is_alive():
                with suppress(RuntimeError):  # as above
                    self._loop.call_soon_threadsafe(self._ask_metered)
        metered = self._metered
        return None if metered is None else metered.of(interface)

    def carry_out(self, rung: Rung, path: str, timeout_s: float = STEP_S) -> None:
        """RECONNECT, TOGGLE or RESET of the modem at a path. Waits; LinkError says what went wrong."""
        self._do(lambda steps: steps.carry_out(rung, path), timeout_s)

    def measure(self, path: str, rate_s: int) -> None:
        """Asks a modem to measure its signal so often; 0 ends that. Waits; LinkError as ``carry_out``."""
        self._do(lambda steps: steps.measure(path, rate_s), STEP_S)

    def _do(self, work: Callable[[StepRunner], Coroutine[Any, Any, None]], timeout_s: float) -> None:
        steps, loop = self._steps, self._loop
        if steps is None or loop is None or not self._thread.is_alive():
            raise LinkError(self._view.bus_error or "there is no connection to D-Bus")
        future = asyncio.run_coroutine_threadsafe(work(steps), loop)
        try:
            future.result(timeout_s)
        except FutureTimeout:
            future.cancel()
            raise LinkError(f"not done within {timeout_s:.0f} s") from None
        except FutureCancelled:
            raise LinkError("the connection to D-Bus was closed meanwhile") from None

    # -- the thread --------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                self._loop = runner.get_loop()
                with suppress(asyncio.CancelledError):
                    runner.run(self._keep())
        except OSError as err:  # no handles left, say: the terminal goes on without
            log.warning("modem: %s", err)
            self._tell(ManagerView(bus_error=f"no event loop: {err.strerror or err}", settled=True))
        finally:
            self._ready.set()  # whoever starts must not wait for ever

    async def _keep(self) -> None:
        """One connection after the other."""
        self._main = asyncio.current_task()
        self._ready.set()
        wait_s = RETRY_S
        while True:
            try:
                connected = await self._session()
                error = "the connection to D-Bus was lost"
            except LinkError as err:
                connected, error = False, str(err)
            except Exception as err:  # a fault of ours, or of the library: told, and tried again
                log.exception("modem")
                connected, error = False, f"internal fault: {type(err).__name__}: {err}"
            self._follower = self._metered = self._steps = None
            self._tell(ManagerView(bus_error=error, settled=True))
            wait_s = RETRY_S if connected else min(LONGEST_RETRY_S, wait_s * 2)
            await asyncio.sleep(wait_s)

    async def _session(self) -> bool:
        """Until the connection is lost. LinkError when there is none."""
        bus = Bus(self._address, self._on_signal)
        await bus.open()
        follower = self._follower = ManagerFollower(bus, self._rate_s, self._follower_changed)
        metered = self._metered = MeteredFollower(bus, self._on_change)
        self._steps = StepRunner(bus, follower.view, self._apn)
        metered.want(self._interface)
        tasks = [asyncio.create_task(work) for work in (bus.wait_lost(), follower.run(), metered.run())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            bus.close()
        return True

    def _on_signal(self, sender: str, message: Any) -> None:
        if self._follower is not None:
            self._follower.on_signal(sender, message)
        if self._metered is not None:
            self._metered.on_signal(message)

    def _follower_changed(self) -> None:
        if self._follower is not None:
            self._tell(self._follower.view())

    def _ask_metered(self) -> None:
        if self._metered is not None:
            self._metered.want(self._interface)

    def _tell(self, view: ManagerView) -> None:
        if dataclasses.replace(view, counters={}) != dataclasses.replace(self._view, counters={}):
            self._view = view
            self._on_change()
        else:
            self._view = view
