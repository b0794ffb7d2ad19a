"""A modem that speaks AT commands, and the real ModemManager that drives it.

ModemManager's own test interface (``--test-enable``) opens an abstract Unix socket in place of a serial port.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.modem_bus import MANAGER, ROOT, PrivateBus, wait_for

_FIXED = {
    "AT+CGMI": "QUALCOMM INCORPORATED",
    "AT+CGMM": "SIM7600G",
    "AT+CGMR": "LE20B04SIM7600G22",
    "AT+CGSN": "867698041234567",
    "AT+GCAP": "+GCAP: +CGSM,+FCLASS",
    "AT+CIMI": "460001234567890",
    "AT+CRSM=176,12258,0,0,10": '+CRSM: 144,0,"98680021436587092143"',
    "AT+CNUM": '+CNUM: "","+8613800138000",145',
    "AT+CSQ": "+CSQ: 20,99",
    "AT+CESQ=?": "+CESQ: (0-63,99),(0-7,99),(0-96,255),(0-49,255),(0-34,255),(0-97,255)",
    "AT+CSCS=?": '+CSCS: ("IRA","UCS2","GSM")',
    "AT+CSCS?": '+CSCS: "IRA"',
    "AT+WS46=?": "+WS46: (12,22,25,28,29)",
    "AT+CFUN?": "+CFUN: 1",
    "AT+CGDCONT=?": '+CGDCONT: (1-16),"IP",,,(0-2),(0-4)',
    "AT+CGDCONT?": '+CGDCONT: 1,"IP","cmiot","",0,0',
    "AT+CREG=?": "+CREG: (0-2)",
    "AT+CGREG=?": "+CGREG: (0-2)",
    "AT+CEREG=?": "+CEREG: (0-2)",
    "AT+CLCK=?": '+CLCK: ("SC","FD")',
}


class AtModem:
    """``name``: of the abstract socket. The test changes ``rsrp_dbm`` (27.007 coding) and ``pin``, and moves it."""

    def __init__(self, name: str) -> None:
        self.rsrp_dbm, self.pin, self._format = -97, "READY", 0
        self._registered = True
        self.commands: Counter[str] = Counter()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(f"\0{name}")
        self._listener.listen(4)
        self._lines: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def lose_cell(self) -> None:
        """Registered no more, and says so unasked."""
        self._registered = False
        for name in ("CREG", "CGREG", "CEREG"):
            self._say(f"+{name}: 2")

    def unplug(self) -> None:
        """The port is gone."""
        self._listener.close()
        for line in self._lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            self._lines.append(line)
            threading.Thread(target=self._talk, args=(line,), daemon=True).start()

    def _talk(self, line: socket.socket) -> None:
        buffer = b""
        with suppress(OSError):
            while chunk := line.recv(4096):
                buffer += chunk
                while b"\r" in buffer:
                    command, buffer = buffer.split(b"\r", 1)
                    line.sendall(self._answer(command.decode("latin-1").strip()).encode("latin-1"))

    def _say(self, text: str) -> None:
        for line in self._lines:
            with suppress(OSError):  # ModemManager opens and closes the port as it likes
                line.sendall(f"\r\n{text}\r\n".encode())

    def _answer(self, command: str) -> str:
        if not command:
            return ""
        self.commands[command] += 1
        text = self._text(command)
        if text is None:
            return "\r\nERROR\r\n"
        return (f"\r\n{text}\r\n" if text else "") + "\r\nOK\r\n"

    def _text(self, command: str) -> str | None:
        """What stands before OK; None for ERROR. Settings are taken without a word."""
        if command in _FIXED:
            return _FIXED[command]
        if command in {"AT+CREG?", "AT+CGREG?", "AT+CEREG?"}:
            place = ',1,"1A2B","01234567",7' if self._registered else ",2"
            return f"+{command[3:-1]}: 2{place}"
        if command == "AT+CPIN?":
            return f"+CPIN: {self.pin}"
        if command.startswith("AT+COPS=3,"):
            self._format = int(command[-1])
            return ""
        if command == "AT+COPS?":
            return f'+COPS: 0,{self._format},"{"46000" if self._format == 2 else "CHINA MOBILE"}",7'
        if command == "AT+CESQ":
            return f"+CESQ: 99,99,255,255,20,{self.rsrp_dbm + 141}"
        return (
            None
            if "?" in command or command.startswith("AT+CRSM")
            else ""
            if "=" in command or len(command) < 6
            else None
        )


class RealModemManager:
    """The installed ModemManager on a private bus. Skips where it is not installed."""

    def __init__(self, bus: PrivateBus, directory: Path) -> None:
        program = shutil.which("ModemManager", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if program is None:
            pytest.skip("ModemManager is not installed (Debian: modemmanager)")
        import dbus

        arguments = ("session", "enable", "no-udev", "no-suspend-resume", "no-qrtr")
        environment = {**os.environ, "DBUS_SESSION_BUS_ADDRESS": bus.address}
        self.log = directory / "modemmanager.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [program, "--no-auto-scan", *(f"--test-{name}" for name in arguments)],
                env=environment,
                stdout=log,
                stderr=log,
            )
        self._connection: Any = dbus.bus.BusConnection(bus.address)
        wait_for(lambda: self._connection.name_has_owner(MANAGER), "ModemManager is there")

    def plug(self, port: str) -> None:
        """Drives the modem at an abstract socket ``port`` (``abstract:NAME``) with the generic plugin."""
        import dbus

        main = self._connection.get_object(MANAGER, ROOT, introspect=False)
        ports = dbus.Array([port], signature="s")
        main.SetProfile("car", "generic", ports, dbus_interface=f"{MANAGER}.Test")

    def stop(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._connection.close()
