"""One connection to D-Bus: calls with a time limit and errors for people. dbus-fast does the protocol.

No introspection and no proxies: what a service says of itself is not trusted to be what it does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.errors import DBusFastError
from dbus_fast.unpack import unpack_variants

from outrider.errors import LinkError

CONNECT_S: Final = 15.0
CALL_S: Final = 20.0
DBUS: Final = "org.freedesktop.DBus"
DBUS_PATH: Final = "/org/freedesktop/DBus"
PROPERTIES: Final = "org.freedesktop.DBus.Properties"
OBJECT_MANAGER: Final = "org.freedesktop.DBus.ObjectManager"
NOT_THERE: Final = frozenset(
    {
        "org.freedesktop.DBus.Error.ServiceUnknown",
        "org.freedesktop.DBus.Error.NameHasNoOwner",
        "org.freedesktop.systemd1.NoSuchUnit",
        "org.freedesktop.systemd1.UnitMasked",
    }
)
REFUSED: Final = frozenset(
    {
        "org.freedesktop.DBus.Error.AccessDenied",
        "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
        "org.freedesktop.ModemManager1.Error.Core.Unauthorized",
        "org.freedesktop.NetworkManager.PermissionDenied",
    }
)


class Target(NamedTuple):
    """Who is called: a bus name, an object of it, an interface of that."""

    destination: str
    path: str
    interface: str


_BUS: Final = Target(DBUS, DBUS_PATH, DBUS)


class CallError(LinkError):
    """A call that was answered with an error, or not at all. ``name``: of the D-Bus error, empty for no answer."""

    def __init__(self, message: str, name: str = "") -> None:
        super().__init__(message)
        self.name = name

    @property
    def refused(self) -> bool:
        """Want of a right."""
        return self.name in REFUSED

    @property
    def not_there(self) -> bool:
        """Nobody has the name, and nobody can be started for it."""
        return self.name in NOT_THERE


class Bus:
    """``address``: None for the system bus. All on one event loop."""

    def __init__(self, address: str | None, on_signal: Callable[[str, Message], None]) -> None:
        self._address = address
        self._on_signal = on_signal
        self._bus: MessageBus | None = None

    async def open(self) -> None:
        """LinkError says why there is no bus."""
        try:
            bus = MessageBus(bus_address=self._address, bus_type=BusType.SYSTEM)
            async with asyncio.timeout(CONNECT_S):  # wait_for of Python 3.11 may swallow a cancellation
                await bus.connect()
        except TimeoutError:
            raise LinkError(f"D-Bus does not answer within {CONNECT_S:.0f} s") from None
        except (OSError, DBusFastError, EOFError, TypeError, ValueError) as err:
            text = getattr(err, "strerror", None) or str(err) or type(err).__name__
            raise LinkError(f"no connection to D-Bus ({self._address or 'system bus'}): {text}") from None
        bus.add_message_handler(self._on_message)
        self._bus = bus

    def close(self) -> None:
        if self._bus is not None:
            self._bus.disconnect()
            self._bus = None

    async def wait_lost(self) -> None:
        """Returns when the connection is gone, whatever for."""
        if self._bus is not None:
            try:
                await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # the library has no types here
            except (OSError, EOFError, DBusFastError):
                return

    async def watch(self, rule: str) -> None:
        """Asks the bus for signals."""
        await self.call(_BUS, "AddMatch", "s", rule)

    async def owner(self, name: str) -> str | None:
        """Unique name of who has a well-known one."""
        try:
            answer = await self.call(_BUS, "GetNameOwner", "s", name)
        except CallError as err:
            if err.not_there:
                return None
            raise
        return answer if isinstance(answer, str) else None

    async def call(
        self, target: Target, member: str, signature: str = "", *arguments: Any, timeout_s: float | None = None
    ) -> Any:
        """The first value of the answer (None for none), variants unpacked. CallError for an error or no answer."""
        if self._bus is None:
            raise CallError("the connection to D-Bus is lost")
        timeout_s = CALL_S if timeout_s is None else timeout_s
        what = f"{target.interface.rpartition('.')[2]}.{member}"
        try:
            message = Message(*target, member, signature=signature, body=list(arguments))
            async with asyncio.timeout(timeout_s):
                answer = await self._bus.call(message)
        except TimeoutError:
            raise CallError(f"{what}: no answer within {timeout_s:.0f} s") from None
        except (OSError, EOFError, DBusFastError) as err:
            raise CallError(f"{what}: {err or type(err).__name__}") from None
        if answer.message_type is MessageType.ERROR:
            raise _refusal(what, answer)
        return unpack_variants(answer.body[0]) if answer.body else None

    def _on_message(self, message: Message) -> None:
        if message.message_type is MessageType.SIGNAL and message.sender is not None:
            self._on_signal(message.sender, message)


def _refusal(what: str, answer: Message) -> CallError:
    name = str(answer.error_name or "")
    text = " ".join(answer.body[0].split())[:256] if answer.body and isinstance(answer.body[0], str) else ""
    error = CallError(f"{what}: {text or name}", name)
    if error.refused:
        return CallError(f"{what}: not allowed: {text or name}; see the polkit rule in docs/operate/cellular.md", name)
    return error
