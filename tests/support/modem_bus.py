"""A private D-Bus with a ModemManager on it: a real dbus-daemon, python-dbusmock as the service."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

TEMPLATE = Path(__file__).with_name("modem_template.py")
MANAGER = "org.freedesktop.ModemManager1"
ROOT = "/org/freedesktop/ModemManager1"
MOCK = "org.freedesktop.DBus.Mock"
CONNECTED, REGISTERED, SEARCHING, ENABLED, DISABLED = 11, 8, 7, 6, 3
WAIT_S = 60.0

CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
  </policy>
</busconfig>
"""


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float = WAIT_S) -> Any:
    """The first true value; fails with ``what`` after the deadline."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"not within {timeout_s} s: {what}")


class PrivateBus:
    """One dbus-daemon. ``address`` is for clients."""

    def __init__(self, directory: Path) -> None:
        self._socket = directory / "bus"
        self._config = directory / "bus.conf"
        self._config.write_text(CONFIG.format(path=self._socket), encoding="ascii")
        self.address = f"unix:path={self._socket}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            ["dbus-daemon", f"--config-file={self._config}", "--nofork", "--nopidfile"], stderr=subprocess.DEVNULL
        )
        wait_for(self._takes_connections, "the bus is there")

    @property
    def runs(self) -> bool:
        return self._process is not None

    def _takes_connections(self) -> bool:
        """It listens; the name is there a little earlier."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(self._socket))
            except OSError:
                return False
        return True

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._socket.unlink(missing_ok=True)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)


class MockService:
    """One mocked service on a bus, controlled over the same bus."""

    def __init__(self, bus: PrivateBus, name: str, path: str, interface: str, template: str) -> None:
        self._bus = bus
        self._names = (name, path, interface)
        self._template = template
        self.process: subprocess.Popen[bytes] | None = None
        self._connection: Any = None

    def start(self) -> None:
        import dbus

        name, path, _interface = self._names
        environment = {**os.environ, "DBUS_SESSION_BUS_ADDRESS": self._bus.address}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dbusmock", "--session", *self._names], env=environment, stdout=subprocess.DEVNULL
        )
        self._connection = dbus.bus.BusConnection(self._bus.address)
        wait_for(lambda: self._connection.name_has_owner(name), f"{name} is there")
        empty = dbus.Dictionary({}, signature="sv")
        self.call(path, "AddTemplate", self._template, empty)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None
        if self._connection is not None:
            with suppress(Exception):  # the bus may be gone
                self._connection.close()
            self._connection = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It has its name and answers nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def call(self, path: str, method: str, *arguments: Any, interface: str = MOCK) -> Any:
        proxy = self._connection.get_object(self._names[0], path, introspect=False)
        return getattr(proxy, method)(*arguments, dbus_interface=interface)

    def calls(self, path: str, method: str) -> int:
        """How often a method of an object was called."""
        return len(self.call(path, "GetMethodCalls", method))


class MockModemManager(MockService):
    """ModemManager with the modems that a test plugs in."""

    def __init__(self, bus: PrivateBus) -> None:
        super().__init__(bus, MANAGER, ROOT, MANAGER, str(TEMPLATE))

    def plug(self, number: int = 0, state: int = CONNECTED) -> str:
        import dbus

        return str(self.call(ROOT, "AddCarModem", dbus.UInt32(number), dbus.Int32(state)))

    def unplug(self, number: int = 0) -> None:
        import dbus

        self.call(ROOT, "Unplug", dbus.UInt32(number))

    def unplug_all(self) -> None:
        """As it was at the start; starts it where a test ended it."""
        if self.process is None:
            self.start()
        self.call(ROOT, "UnplugAll")

    def refuse(self, number: int, method: str, error: str) -> None:
        import dbus

        self.call(ROOT, "Refuse", dbus.UInt32(number), method, error)

    def comes_back(self, number: int, replug: bool) -> None:
        import dbus

        self.call(ROOT, "ComesBack", dbus.UInt32(number), replug)

    def tell(self, number: int, **values: Any) -> None:
        """Only the signal that properties of Modem changed; for types that the mock cannot keep."""
        import dbus

        changed = dbus.Dictionary(values, signature="sv")
        arguments = dbus.Array([f"{MANAGER}.Modem", changed, dbus.Array([], signature="s")], signature="v")
        properties = "org.freedesktop.DBus.Properties"
        self.call(f"{ROOT}/Modems/{number}", "EmitSignal", properties, "PropertiesChanged", "sa{sv}as", arguments)

    def set(self, number: int, interface: str, **values: Any) -> None:
        """Properties of a modem change; ``interface`` without the prefix, "" for Modem itself."""
        import dbus

        name = f"{MANAGER}.Modem{'.' + interface if interface else ''}"
        self.call(f"{ROOT}/Modems/{number}", "UpdateProperties", name, dbus.Dictionary(values, signature="sv"))


@contextmanager
def modem_bus(directory: Path) -> Iterator[tuple[PrivateBus, MockModemManager]]:
    """A bus with a ModemManager that has no modem yet. Skips where the tools are not installed."""
    pytest.importorskip("dbusmock", reason="python-dbusmock is not installed (pip install python-dbusmock)")
    bus = PrivateBus(directory)
    manager = MockModemManager(bus)
    try:
        bus.start()
    except FileNotFoundError:
        pytest.skip("dbus-daemon is not installed (Debian: dbus-daemon)")
    try:
        manager.start()
        yield bus, manager
    finally:
        manager.stop()
        bus.stop()


class MockNetworkManager(MockService):
    """python-dbusmock's NetworkManager, with devices as a test adds them."""

    PATH = "/org/freedesktop/NetworkManager"
    NAME = "org.freedesktop.NetworkManager"
    DEVICE = "org.freedesktop.NetworkManager.Device"

    def __init__(self, bus: PrivateBus) -> None:
        super().__init__(bus, self.NAME, "/org/freedesktop", "org.freedesktop.DBus.ObjectManager", "networkmanager")

    def takes_any_connection(self) -> None:
        """``ActivateConnection`` with "/" picks the device's best, as the real one does; the template cannot."""
        self.call(self.PATH, "AddMethod", self.NAME, "ActivateConnection", "ooo", "o", "ret = dbus.ObjectPath('/')")

    def add_device(self, interface: str, *, metered: int = 0, udi: str = "") -> str:
        """An Ethernet device of the template, which then says what the test wants."""
        import dbus

        device = str(self.call("/org/freedesktop", "AddEthernetDevice", interface.replace("-", "_"), interface, 100))
        for name, value in {"Metered": dbus.UInt32(metered), "Udi": udi}.items():
            self.call(device, "AddProperty", self.DEVICE, name, value)
        self.call(device, "UpdateProperties", self.DEVICE, {"Metered": dbus.UInt32(metered)})
        return device
