"""Follows ModemManager on D-Bus: which modems there are and what they say, by signals instead of asking.

``ManagerFollower`` lives on an event loop (``modem_io.py`` gives it one). Objects come and go, ModemManager is
restarted, calls get no answer: all of it ends in a ``ManagerView`` that says so. Signals are believed only from the
connection that owns ModemManager's name. While objects are read, signals wait: nothing old overwrites something new.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from dbus_fast import Message
from dbus_fast.unpack import unpack_variants

from outrider.network.bus_io import DBUS, OBJECT_MANAGER, PROPERTIES, Bus, CallError, Target
from outrider.network.manager import ManagerView
from outrider.network.modem import BEARER, MODEM, SIGNAL, SIM, Modem, modems, wanted_objects
from outrider.network.names import ModemState
from outrider.network.properties import ObjectTree

MANAGER: Final = "org.freedesktop.ModemManager1"
MANAGER_PATH: Final = "/org/freedesktop/ModemManager1"
RELOAD_S: Final = 600.0  # a safety net; the signals tell
RETRY_S: Final = 15.0
SETUP_RETRY_S: Final = 60.0
MAX_HELD: Final = 4096
RULES: Final = (
    f"type='signal',sender='{DBUS}',interface='{DBUS}',member='NameOwnerChanged',arg0='{MANAGER}'",
    f"type='signal',sender='{MANAGER}',interface='{OBJECT_MANAGER}'",
    f"type='signal',sender='{MANAGER}',interface='{PROPERTIES}',member='PropertiesChanged'",
)


class ManagerFollower:
    """``rate_s``: how often modems measure the extended signal; 0 leaves that to others. ``on_change``: a new view."""

    def __init__(self, bus: Bus, rate_s: int, on_change: Callable[[], None]) -> None:
        self._bus = bus
        self._rate_s = rate_s
        self._on_change = on_change
        self._tree = ObjectTree()
        self._owner: str | None = None
        self._answers = False
        self._error: str | None = None
        self._setup_error: str | None = None
        self._setup_due: dict[str, float] = {}
        self._version: str | None = None
        self._held: list[Message] | None = None
        self._stale = True  # everything must be read again
        self._follow: set[str] = set()  # modems whose SIM and bearers must be read
        self._wake = asyncio.Event()
        self._counters: Counter[str] = Counter()

    def view(self) -> ManagerView:
        """Also called after the connection was lost: what is known then is nothing."""
        return ManagerView(
            modems=modems(self._tree),
            version=self._version,
            bus_error=None,
            manager=self._answers,
            manager_error=self._error,
            setup_error=self._setup_error,
            settled=self._error is not None or (self._answers and self._held is None and not self._follow),
            counters={**self._counters, "objects_refused": self._tree.refused},
        )

    async def run(self) -> None:
        """Until the connection is lost or the task is cancelled."""
        for rule in RULES:
            await self._bus.watch(rule)
        while True:
            self._wake.clear()
            wait_s = await self._catch_up()
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                self._stale = self._stale or not self._answers or wait_s >= RELOAD_S

    # -- signals (never waits) ---------------------------------------------------------------------------------

    def on_signal(self, sender: str, message: Message) -> None:
        """Any signal that the connection gets."""
        if sender == DBUS and message.member == "NameOwnerChanged":
            self._owner_changed(message)
        elif sender == self._owner and message.interface in {OBJECT_MANAGER, PROPERTIES}:
            self._hold_or_take(message)
        elif message.interface in {OBJECT_MANAGER, PROPERTIES} and (message.path or "").startswith(MANAGER_PATH):
            self._counters["strange_signals"] += 1
            if self._counters["strange_signals"].bit_count() == 1:  # told now and then: a flood must not cost much
                self._on_change()

    def _owner_changed(self, message: Message) -> None:
        name, _, owner = (*message.body, "", "", "")[:3]
        if name != MANAGER:
            return
        self._counters["manager_changes"] += 1
        self._forget()
        self._owner = owner if isinstance(owner, str) and owner else None
        self._error = None if self._owner else "ModemManager has ended"
        self._stale = True
        self._changed()

    def _forget(self) -> None:
        self._tree.clear()
        self._follow.clear()
        self._setup_due.clear()
        self._answers, self._version = False, None

    def _hold_or_take(self, message: Message) -> None:
        if self._held is None:
            self._take(message)
        elif len(self._held) < MAX_HELD:
            self._held.append(message)
        else:
            self._stale = True

    def _take(self, message: Message) -> None:
        self._counters["signals"] += 1
        body = [unpack_variants(item) for item in message.body]
        if message.member == "PropertiesChanged" and len(body) == 3:
            self._properties_changed(message.path, *body)
        elif message.member == "InterfacesAdded" and len(body) == 2:
            if self._tree.put(body[0], body[1]):
                self._follow.add(body[0])
        elif message.member == "InterfacesRemoved" and len(body) == 2:
            self._tree.drop(body[0], body[1] if isinstance(body[1], list) else ())
        else:
            self._counters["odd_signals"] += 1
        self._changed()

    def _properties_changed(self, path: Any, interface: Any, values: Any, invalidated: Any) -> None:
        if not self._tree.change(path, interface, values, invalidated):
            return
        if interface == MODEM and isinstance(values, dict) and values.keys() & {"Sim", "Bearers", "State"}:
            self._follow.add(path)
        if invalidated:
            self._stale = True

    def _changed(self) -> None:
        self._wake.set()
        self._on_change()

    # -- reading -----------------------------------------------------------------------------------------------

    async def _catch_up(self) -> float:
        """Reads what must be read. Returns seconds until there is a reason to look again without a signal."""
        try:
            if self._stale:
                await self._read_all()
            while self._follow:
                await self._read_referred(self._follow.pop())
        except CallError as err:
            self._failed(err)
            return RETRY_S
        waits = [await self._setup_signal(modem) for modem in modems(self._tree)]
        return min([RELOAD_S, *waits])

    def _failed(self, err: CallError) -> None:
        """ModemManager does not answer: what it said before may be wrong by now."""
        self._counters["failures"] += 1
        self._forget()
        self._stale = True
        self._error = "ModemManager does not run" if err.not_there else str(err)
        self._on_change()

    async def _read_all(self) -> None:
        self._stale = False
        self._owner = await self._bus.owner(MANAGER)
        self._held = []
        try:
            objects = await self._bus.call(Target(MANAGER, MANAGER_PATH, OBJECT_MANAGER), "GetManagedObjects")
            self._owner = self._owner or await self._bus.owner(MANAGER)  # the call started it
            self._tree.clear()
            for path, interfaces in objects.items() if isinstance(objects, dict) else ():
                self._tree.put(path, interfaces)
            self._follow = set(self._tree.with_interface(MODEM))
            self._answers, self._error = True, None
        finally:
            self._replay()
        self._version = await self._read_version()
        self._on_change()

    async def _read_version(self) -> str | None:
        try:
            told = await self._bus.call(Target(MANAGER, MANAGER_PATH, PROPERTIES), "Get", "ss", MANAGER, "Version")
        except CallError as err:
            if not err.name:
                raise
            return None
        return told[:64] if isinstance(told, str) else None

    async def _read_referred(self, path: str) -> None:
        """SIM and bearers of a modem. One that vanishes meanwhile is no error."""
        wanted = wanted_objects(self._tree, path)
        self._drop_others(wanted)
        for name, interface in wanted:
            self._held = []
            try:
                values = await self._bus.call(Target(MANAGER, name, PROPERTIES), "GetAll", "s", interface)
                self._tree.put(name, {interface: values})
            except CallError as err:
                if not err.name:  # no answer at all
                    raise
                self._counters["vanished"] += 1
                self._tree.drop(name)
            finally:
                self._replay()
        self._on_change()

    def _drop_others(self, wanted: tuple[tuple[str, str], ...]) -> None:
        """Bearers and SIMs that no modem names any more."""
        named = {name for path in self._tree.with_interface(MODEM) for name, _ in wanted_objects(self._tree, path)}
        named |= {name for name, _ in wanted}
        for interface in (SIM, BEARER):
            for name in self._tree.with_interface(interface):
                if name not in named:
                    self._tree.drop(name)

    def _replay(self) -> None:
        held, self._held = self._held or [], None
        for message in held:
            self._take(message)

    # -- extended signal ---------------------------------------------------------------------------------------

    async def _setup_signal(self, modem: Modem) -> float:
        """Asks a modem to measure. Returns seconds until it should be asked again."""
        wanted = self._rate_s and ModemState.ENABLED <= modem.state <= ModemState.CONNECTED
        if not wanted or self._tree.of(modem.path, SIGNAL) is None or modem.signal_rate_s == self._rate_s:
            return RELOAD_S
        now = asyncio.get_running_loop().time()
        due = self._setup_due.get(modem.path, now)
        if now < due:
            return due - now
        self._setup_due[modem.path] = now + SETUP_RETRY_S
        try:
            await self._bus.call(Target(MANAGER, modem.path, SIGNAL), "Setup", "u", self._rate_s)
        except CallError as err:
            self._setup_error = str(err)
            self._on_change()
            return SETUP_RETRY_S
        self._setup_error = None
        return SETUP_RETRY_S
