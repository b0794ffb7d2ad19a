"""The whole way: authority, enrolment server, broker, receiver, and a daemon that knows only a provisioning file."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from outrider.app.control import ask
from outrider.errors import LinkError
from outrider.ingest.sinks.store_io import Store
from outrider.trust.identity_io import DeviceIdentity
from tests.support.broker import free_port, mosquitto_path
from tests.support.terminal import outrider, wait_until

CONFIG = """
[terminal]
data_directory = "data"
control_socket = "{socket}"
[vehicle]
profiles = ["simcar"]
[journal]
event_commit_s = 0.1
telemetry_commit_s = 0.2
telemetry_segment_kib = 64
[uplink]
batch_age_s = 0.5
[identity]
provisioning = "bus-17.toml"
"""


def command(*arguments: object) -> Any:
    """What a command prints with --json; it must end well."""
    done = subprocess.run(outrider(*arguments, "--json"), check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout else None


class Fleet:
    """Everything beside the terminal, as processes."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.directory = directory
        self.ca = directory / "ca"
        self.ports = free_port(), free_port(), free_port()
        broker, receivers, enrol = self.ports
        command("ca", "init", self.ca, "--port", broker, "--address", "127.0.0.1", "--receiver-port", receivers)
        self._stack = stack
        self.start("mosquitto", [mosquitto_path(), "-c", str(self.ca / "mosquitto.conf")])
        self.serve = outrider(
            "enrol", "serve", self.ca, "--listen", f"127.0.0.1:{enrol}", "--broker", f"localhost:{broker}"
        )
        files = ("--ca-file", "roots.pem", "--cert-file", "receiver.pem", "--cert-key-file", "receiver.key")
        options = [
            self.ca / text if not text.startswith("--") else text for text in (*files, "--key-file", "ack-keys.toml")
        ]
        place = ("--broker", f"localhost:{receivers}", "--db", directory / "fleet.db")
        self.start("ingest", outrider("ingest", *place, *options))

    def start(self, name: str, arguments: list[str]) -> subprocess.Popen[bytes]:
        log = self._stack.enter_context((self.directory / f"{name}.log").open("ab"))
        process = subprocess.Popen(arguments, stdout=log, stderr=log)
        self._stack.callback(end, process)
        return process

    def token(self, path: Path) -> None:
        url = f"https://localhost:{self.ports[2]}"
        command("enrol", "token", self.ca, "bus-17", "--url", url, "-o", path)

    def stored(self) -> int:
        if not (self.directory / "fleet.db").exists():
            return 0
        with Store.open(self.directory / "fleet.db", read_only=True) as store:
            return sum(1 for _ in store.records("bus-17"))

    def log(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text(encoding="utf-8", errors="replace")


def end(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout=60)


@contextmanager
def fleet(directory: Path) -> Iterator[Fleet]:
    with ExitStack() as stack:
        yield Fleet(directory, stack)


def status(socket: Path) -> dict[str, Any]:
    try:
        return ask(socket, "status")
    except LinkError:
        return {}


@pytest.mark.slow
def test_a_terminal_with_a_provisioning_file_delivers_by_itself(tmp_path: Path) -> None:
    """It starts without a network, enrols when there is one, delivers under its name, renews on demand, and says so."""
    terminal = tmp_path / "terminal"
    terminal.mkdir()
    socket = terminal / "control.sock"
    (terminal / "outrider.toml").write_text(CONFIG.format(socket=socket), encoding="utf-8")
    with fleet(tmp_path) as there:
        there.token(terminal / "bus-17.toml")
        daemon = there.start("daemon", outrider("run", "--config", terminal / "outrider.toml"))
        wait_until("it says why it is not enrolled", lambda: (status(socket).get("identity") or {}).get("last_error"))
        assert status(socket)["uplink"] is None
        end(daemon)

        there.start("enrol", there.serve)
        wait_until("enrolment listens", lambda: "listens" in there.log("enrol"))
        daemon = there.start("daemon", outrider("run", "--config", terminal / "outrider.toml"))
        wait_until("it is enrolled and connected", lambda: (status(socket).get("uplink") or {}).get("connected"))
        wait_until("its records arrive", lambda: there.stored() > 0)
        wait_until("they are acknowledged", lambda: not any(status(socket)["uplink"]["backlog"].values()))

        before = status(socket)["identity"]["fingerprint"]
        done = command("identity", "renew", "--config", terminal / "outrider.toml")
        assert done["fingerprint"] != before
        shown = command("identity", "show", "--config", terminal / "outrider.toml")
        assert shown["device"] == "bus-17"
        assert shown["unconfirmed"]
        identity = DeviceIdentity(terminal / "data" / "identity")
        assert end(daemon) == 0
        stored = there.stored()
        daemon = there.start("daemon", outrider("run", "--config", terminal / "outrider.toml"))
        wait_until("the renewed certificate has connected", lambda: not identity.previous.exists())
        wait_until("more records arrive", lambda: there.stored() > stored)
        assert status(socket)["device"] == "bus-17"
        assert end(daemon) == 0
        audit = subprocess.run(outrider("enrol", "audit", there.ca), check=True, capture_output=True, text=True).stdout
        token = (terminal / "bus-17.toml").read_text(encoding="ascii").split('token = "')[1].split('"')[0]
        for text in (audit, there.log("enrol"), there.log("daemon"), there.log("ingest")):
            assert token not in text
            assert identity.settings().ack_key not in text
        assert "enrol-granted" in audit
        assert "renewed" in audit
        assert time.time() < shown_end(shown)


def shown_end(shown: dict[str, Any]) -> float:
    return time.mktime(time.strptime(shown["ends"], "%Y-%m-%d"))
