"""What NetworkManager says of an interface: whether its bytes cost money. Where there is none, nothing is known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from dbus_fast import Message

from outrider.network.bus_io import DBUS, PROPERTIES, Bus, CallError, Target

NETWORK_MANAGER: Final = "org.freedesktop.NetworkManager"
NETWORK: Final = Target(NETWORK_MANAGER, "/org/freedesktop/NetworkManager", NETWORK_MANAGER)
DEVICE: Final = NETWORK_MANAGER + ".Device"
AGAIN_S: Final = 60.0
RULES: Final = (
    f"type='signal',sender='{DBUS}',interface='{DBUS}',member='NameOwnerChanged',arg0='{NETWORK_MANAGER}'",
    f"type='signal',sender='{NETWORK_MANAGER}',interface='{PROPERTIES}',member='PropertiesChanged',arg0='{DEVICE}'",
    f"type='signal',sender='{NETWORK_MANAGER}',interface='{PROPERTIES}',member='PropertiesChanged',"
    f"arg0='{NETWORK_MANAGER}'",
)
# NMMetered: unknown, yes, no, guess-yes, guess-no
_METERED: Final[dict[object, bool]] = {1: True, 2: False, 3: True, 4: False}


class MeteredFollower:
    """Asks again when NetworkManager tells of a change, and once a minute."""

    def __init__(self, bus: Bus, on_change: Callable[[], None]) -> None:
        self._bus = bus
        self._on_change = on_change
        self._wanted: str | None = None
        self._known: tuple[str | None, bool | None] = (None, None)
        self._wake = asyncio.Event()

    def of(self, interface: str | None) -> bool | None:
        name, metered = self._known
        return metered if name == interface else None

    def want(self, interface: str | None) -> None:
        self._wanted = interface
        self._wake.set()

    def on_signal(self, message: Message) -> None:
        """Only that something changed is taken from a signal; what, is asked."""
        if message.member == "NameOwnerChanged" and message.body[:1] == [NETWORK_MANAGER]:
            self._wake.set()
        elif message.member == "PropertiesChanged" and message.body[:1] in ([DEVICE], [NETWORK_MANAGER]):
            changed = message.body[1] if len(message.body) > 1 else None
            if isinstance(changed, dict) and changed.keys() & {"Metered", "Devices", "ActiveConnections"}:
                self._wake.set()

    async def run(self) -> None:
        for rule in RULES:
            await self._bus.watch(rule)
        while True:
            self._wake.clear()
            wanted = self._wanted
            known = (wanted, await self._ask(wanted) if wanted is not None else None)
            if known != self._known:
                self._known = known
                self._on_change()
            with suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_S):
                    await self._wake.wait()

    async def _ask(self, interface: str) -> bool | None:
        """None: no NetworkManager, not its interface, or it does not know."""
        try:
            if await self._bus.owner(NETWORK_MANAGER) is None:
                return None
            device: Any = await self._bus.call(NETWORK, "GetDeviceByIpIface", "s", interface)
            if not isinstance(device, str):
                return None
            told: Any = await self._bus.call(
                Target(NETWORK_MANAGER, device, PROPERTIES), "Get", "ss", DEVICE, "Metered"
            )
        except CallError:
            return None
        return _METERED.get(told) if isinstance(told, int) and not isinstance(told, bool) else None
