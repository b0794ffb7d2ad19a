"""Helper and daemon as processes: a link is set and restarted for a daemon without rights, with a fake `ip` on PATH."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from outrider.app.control import ask
from outrider.errors import LinkError
from outrider.link.helper_client_io import HelperClient
from outrider.link.settings import LinkUp, SetLink
from tests.support.links import FakeIp
from tests.support.terminal import ROOT, outrider, wait_until

SCHEMA = json.loads((ROOT / "docs" / "reference" / "cli-schema.json").read_text(encoding="utf-8"))

CONFIG = """
[terminal]
data_directory = "data"
control_socket = "{socket}"
[bus]
helper_socket = "bus.sock"
[engine]
recorder_kib = 64
[[can]]
channel = "can0"
link = "helper"
bitrate = 250000
"""


class Processes:
    """Started in one folder with the fake first on PATH; logs beside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ip = FakeIp(folder / "bin")
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, log: str, *arguments: object) -> subprocess.Popen[bytes]:
        environment = os.environ | {"PATH": f"{self.ip.folder}:{os.environ['PATH']}"}
        with (self.folder / log).open("ab") as output:
            process = subprocess.Popen(outrider(*arguments), stdout=output, stderr=output, env=environment)
        self._running.append(process)
        return process

    def helper(self, *more: object) -> subprocess.Popen[bytes]:
        process = self.start(
            "helper.log", "bus", "helper", "--allow", "can0", "--socket", self.folder / "bus.sock", *more
        )
        wait_until("the helper listens", (self.folder / "bus.sock").exists)
        return process

    def log(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")

    def close(self) -> None:
        for process in self._running:
            process.kill()
            process.wait()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    made = Processes(tmp_path)
    yield made
    made.close()


def test_the_helper_as_a_process(processes: Processes) -> None:
    """Sets what it may, refuses what it may not, logs both with the asker; SIGTERM ends it and its socket."""
    processes.ip.add("sja1000_fresh")
    process = processes.helper()
    client = HelperClient(processes.folder / "bus.sock")
    client.request(SetLink("can0", bitrate=500_000))
    for request in (SetLink("can0", bitrate=500_000, listen_only=False), LinkUp("can1")):
        with pytest.raises(LinkError):
            client.request(request)
    data = processes.ip.read()["can0"]["linkinfo"]["info_data"]
    assert "LISTEN-ONLY" in data["ctrlmode"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert not (processes.folder / "bus.sock").exists()
    log = processes.log("helper.log")
    assert log.count(f"pid {os.getpid()}") == 3
    assert "Traceback" not in log


def test_active_mode_is_allowed_by_the_command_line_alone(processes: Processes) -> None:
    """No request can ask for it."""
    processes.ip.add("sja1000_fresh")
    processes.helper("--allow-active")
    HelperClient(processes.folder / "bus.sock").request(SetLink("can0", bitrate=500_000, listen_only=False))
    assert "LISTEN-ONLY" not in processes.ip.read()["can0"]["linkinfo"]["info_data"]["ctrlmode"]


def test_a_second_helper_is_refused(processes: Processes) -> None:
    """One line, an exit code, and the first goes on."""
    processes.ip.add("sja1000_fresh")
    processes.helper()
    second = processes.start(
        "second.log", "bus", "helper", "--allow", "can0", "--socket", processes.folder / "bus.sock"
    )
    assert second.wait(60) == 69
    assert "another helper listens" in processes.log("second.log")
    HelperClient(processes.folder / "bus.sock").request(SetLink("can0", bitrate=500_000))


def test_a_daemon_has_its_link_set(processes: Processes) -> None:
    """A fresh interface is set as the configuration says; taken down it is brought up again; the status tells.

    There is no CAN behind the fake: that frames then arrive is shown on the rig.
    """
    processes.ip.add("sja1000_fresh")
    socket = processes.folder / "control.sock"
    (processes.folder / "outrider.toml").write_text(CONFIG.format(socket=socket), encoding="utf-8")
    processes.helper()
    daemon = processes.start("daemon.log", "run", "--config", processes.folder / "outrider.toml")

    def bus() -> dict[str, object]:
        try:
            (found,) = ask(socket, "status")["buses"]
        except (LinkError, ValueError):
            return {"link": None}
        return dict(found)

    def listens() -> bool:
        link = bus()["link"]
        return isinstance(link, dict) and link["up"] and (link["bitrate"], link["mode"]) == (250_000, "listen-only")

    wait_until("the link is set", listens)
    processes.ip.add("sja1000_set_down")
    wait_until("and set again", lambda: len(processes.ip.changes()) >= 6 and listens())
    (document,) = ask(socket, "status")["buses"]
    jsonschema.validate(document, {"$ref": "#/$defs/bus-condition", "$defs": SCHEMA["$defs"]})
    shown = subprocess.run(outrider("status", "--socket", socket), capture_output=True, text=True, check=True)
    assert "250000 bit/s listen-only" in shown.stdout
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(60) == 0
    assert "Traceback" not in processes.log("daemon.log")
    assert "configure: done by the helper" in processes.log("daemon.log")


def test_json_of_the_command_line(processes: Processes) -> None:
    """The program itself, from its arguments to its exit code."""
    processes.ip.add("sja1000_listen_only")
    environment = os.environ | {"PATH": str(processes.ip.folder)}
    done = subprocess.run(outrider("bus", "status", "--json"), capture_output=True, check=True, env=environment)
    assert [document["name"] for document in json.loads(done.stdout)] == ["can0"]
    missing = subprocess.run(
        outrider("bus", "status", "can9"), capture_output=True, text=True, check=False, env=environment
    )
    assert missing.returncode == 69
    assert missing.stderr.startswith("error: there is no interface can9")
