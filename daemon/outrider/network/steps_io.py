"""Carries out the steps of the ladder over D-Bus. Each raises LinkError with what ModemManager said.

Making the connection is NetworkManager's matter where it has the modem: it owns addresses and routes. Where it has not,
the bearer is connected again as it was, or with the APN of the configuration.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from dbus_fast import Variant

from outrider.errors import LinkError
from outrider.network.bus_io import PROPERTIES, Bus, CallError, Target
from outrider.network.manager import ManagerView
from outrider.network.manager_io import MANAGER
from outrider.network.metered_io import DEVICE, NETWORK, NETWORK_MANAGER
from outrider.network.modem import BEARER, MODEM, SIGNAL, SIMPLE, Modem
from outrider.network.names import ModemState
from outrider.network.trouble import Rung

ENABLE_S: Final = 90.0
DISCONNECT_S: Final = 60.0
CONNECT_S: Final = 120.0
RESET_S: Final = 60.0
BY_ITSELF_S: Final = 5.0  # NetworkManager connects again by itself


class StepRunner:
    """``view``: what is known of the modems."""

    def __init__(self, bus: Bus, view: Callable[[], ManagerView], apn: str | None) -> None:
        self._bus = bus
        self._view = view
        self._apn = apn

    async def carry_out(self, rung: Rung, path: str) -> None:
        modem = self._modem(path)
        if modem is None:
            raise LinkError("the modem is gone")
        if rung is Rung.RECONNECT:
            await self._reconnect(modem)
        elif rung is Rung.TOGGLE:
            await self._toggle(modem)
        elif rung is Rung.RESET:
            await self._bus.call(Target(MANAGER, path, MODEM), "Reset", timeout_s=RESET_S)
        else:
            raise LinkError("cutting the power is not done over D-Bus")

    async def measure(self, path: str, rate_s: int) -> None:
        """Extended signal every ``rate_s`` seconds, for all who listen; 0 ends it."""
        await self._bus.call(Target(MANAGER, path, SIGNAL), "Setup", "u", rate_s)

    def _modem(self, path: str) -> Modem | None:
        return next((modem for modem in self._view().modems if modem.path == path), None)

    async def _toggle(self, modem: Modem) -> None:
        """Off and on; on also where off is refused. One that is off is only switched on."""
        refusal: CallError | None = None
        if modem.state is not ModemState.DISABLED:
            try:
                await self._enable(modem, on=False)
            except CallError as err:
                refusal = err
        await self._enable(modem, on=True)
        if refusal is not None:
            raise refusal

    async def _enable(self, modem: Modem, *, on: bool) -> None:
        await self._bus.call(Target(MANAGER, modem.path, MODEM), "Enable", "b", on, timeout_s=ENABLE_S)

    async def _reconnect(self, modem: Modem) -> None:
        connected = [bearer.path for bearer in modem.bearers if bearer.connected]
        simple = Target(MANAGER, modem.path, SIMPLE)
        for path in connected:
            await self._bus.call(simple, "Disconnect", "o", path, timeout_s=DISCONNECT_S)
        device = await self._device(modem.path)
        if device is not None:
            await self._by_network_manager(modem, device)
        elif modem.bearers:
            again = connected or [modem.bearers[0].path]
            for path in again:
                await self._bus.call(Target(MANAGER, path, BEARER), "Connect", timeout_s=CONNECT_S)
        elif self._apn is not None:
            await self._connect_with_apn(modem, self._apn)
        else:
            raise LinkError("nothing to connect: NetworkManager has not this modem, no bearer, and no [modem] apn")

    async def _connect_with_apn(self, modem: Modem, apn: str) -> None:
        settings = {"apn": Variant("s", apn)}
        await self._bus.call(Target(MANAGER, modem.path, SIMPLE), "Connect", "a{sv}", settings, timeout_s=CONNECT_S)

    async def _by_network_manager(self, modem: Modem, device: str) -> None:
        """It connects again by itself where its profile says so; else it is asked to."""
        await asyncio.sleep(BY_ITSELF_S)
        now = self._modem(modem.path)
        if now is not None and now.state in {ModemState.CONNECTING, ModemState.CONNECTED}:
            return
        await self._bus.call(NETWORK, "ActivateConnection", "ooo", "/", device, "/", timeout_s=CONNECT_S)

    async def _device(self, modem_path: str) -> str | None:
        """NetworkManager's device of a modem: the one whose ``Udi`` is the modem's path. None: it has none, or is not
        there."""
        if await self._bus.owner(NETWORK_MANAGER) is None:
            return None
        devices: Any = await self._bus.call(NETWORK, "GetDevices")
        for device in devices if isinstance(devices, list) else ():
            udi = await self._bus.call(Target(NETWORK_MANAGER, device, PROPERTIES), "Get", "ss", DEVICE, "Udi")
            if udi == modem_path:
                return str(device)
        return None
