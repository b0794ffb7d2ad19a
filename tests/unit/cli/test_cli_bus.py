"""``outrider bus``: what it prints for people and programs, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

from outrider.app.control import ControlServer
from outrider.cli import bus as bus_module
from outrider.cli.bus import cli
from outrider.errors import LinkError
from outrider.link.detect import Tally
from outrider.link.listen_io import SocketListener
from tests.support.links import FakeIp

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "reference" / "cli-schema.json").read_text(encoding="utf-8"))


def check(document: object, name: str) -> None:
    jsonschema.validate(document, {"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]})


@pytest.fixture
def ip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeIp:
    fake = FakeIp(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(fake.folder))
    monkeypatch.setattr("outrider.link.helper_io.may_set_links", lambda: True)
    return fake


def run(*arguments: object, tmp_path: Path) -> Result:
    socket = ("--socket", tmp_path / "none") if arguments[0] in {"status", "detect"} else ()
    return CliRunner().invoke(cli, [*map(str, arguments), *map(str, socket)])


def test_list(ip: FakeIp, tmp_path: Path) -> None:
    """One line an interface; JSON as described; a word where there is none."""
    assert "no CAN interface" in run("list", tmp_path=tmp_path).stderr
    ip.add("sja1000_listen_only")
    ip.add("vcan_up")
    lines = run("list", tmp_path=tmp_path).stdout.splitlines()
    assert lines[0].split() == ["can0", "can", "up", "ERROR-ACTIVE", "500000", "listen-only"]
    assert lines[1].split() == ["vcan0", "vcan", "up", "-", "virtual"]
    for document in json.loads(run("list", "--json", tmp_path=tmp_path).stdout):
        check(document, "bus")


@pytest.mark.parametrize(
    "recording", ["sja1000_fresh", "sja1000_listen_only", "slcan_bus_off", "slcan_250k", "vcan_up"]
)
def test_status_in_every_state(ip: FakeIp, tmp_path: Path, recording: str) -> None:
    """Fresh, listening, bus-off, virtual: printed for both, without a daemon."""
    ip.add(recording, ifname="bus0")
    done = run("status", "bus0", tmp_path=tmp_path)
    assert done.exit_code == 0
    assert done.stdout.startswith("bus0 ")
    assert "no daemon runs" in done.stderr
    (document,) = json.loads(run("status", "bus0", "--json", tmp_path=tmp_path).stdout)
    check(document, "bus")
    assert document["daemon"] is None


def test_status_beside_a_daemon(ip: FakeIp, tmp_path: Path) -> None:
    """What the daemon knows is shown: condition, losses in three places, error classes."""
    ip.add("sja1000_listen_only")
    bus: dict[str, Any] = {
        "name": "can0", "condition": "listening", "reason": "frames arrive", "action": "", "since_s": 1.0, "changes": 1,
        "link": None, "frames_per_s": 12.5, "load_percent": 3.1, "lost": {"controller": 1, "socket": 2, "queue": 3},
        "held": 0, "requests": {}, "helper_refusal": "",
    }  # fmt: skip
    check(bus, "bus-condition")
    answer = {"buses": [bus], "sources": [{"name": "socketcan:can0", "state": "up", "bus_off": 4, "error_protocol": 5}]}
    control = ControlServer(tmp_path / "c.sock", lambda: answer)
    control.start()
    try:
        arguments = ["status", "can0", "--socket", str(tmp_path / "c.sock")]
        text = CliRunner().invoke(cli, arguments).stdout
        (document,) = json.loads(CliRunner().invoke(cli, [*arguments, "--json"]).stdout)
    finally:
        control.stop()
    check(document, "bus")
    assert document["daemon"]["errors"] == {"bus_off": 4, "error_protocol": 5}
    assert "controller 1, socket 2, queue 3" in text
    assert "listening: frames arrive" in text


def test_an_interface_that_is_not_there(ip: FakeIp, tmp_path: Path) -> None:
    """Every command names it, and ends with an error of the link."""
    for arguments in (["status", "can9"], ["detect", "can9"], ["set", "can9", "--bitrate", "500000"], ["up", "can9"]):
        done = run(*arguments, tmp_path=tmp_path)
        assert isinstance(done.exception, LinkError), arguments
        assert "can9" in str(done.exception)


def test_detect(ip: FakeIp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row for each rate and the verdict; the second time what was found is tried first."""
    ip.add("sja1000_fresh")

    def listen(_self: SocketListener, device: str, _seconds: float) -> Tally:
        rate = ip.read()[device]["linkinfo"]["info_data"]["bittiming"]["bitrate"]
        return Tally(frames=30) if rate == 125_000 else Tally(errors=20)

    monkeypatch.setattr(SocketListener, "listen", listen)
    found = tmp_path / "state" / "found.json"
    done = run("detect", "can0", "--found", found, tmp_path=tmp_path)
    assert done.exit_code == 0, done.output
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["500000", "250000", "125000", "can0:"]
    again = run("detect", "can0", "--found", found, "--json", tmp_path=tmp_path)
    document = json.loads(again.stdout)
    check(document, "bus-detection")
    assert [trial["bitrate"] for trial in document["trials"]] == [125_000]


def test_detect_on_a_sleeping_bus(ip: FakeIp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1, and words that do not blame the rate."""
    ip.add("sja1000_fresh")
    monkeypatch.setattr(SocketListener, "listen", lambda _self, _device, _seconds: Tally())
    done = run("detect", "can0", "--found", tmp_path / "f", tmp_path=tmp_path)
    assert done.exit_code == 1
    assert "sleeps" in done.stdout
    assert not (tmp_path / "f").exists()


def test_a_found_rate_that_cannot_be_kept_is_found_all_the_same(
    ip: FakeIp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A note, and exit code 0."""
    ip.add("sja1000_fresh")
    monkeypatch.setattr(SocketListener, "listen", lambda _self, _device, _seconds: Tally(frames=9))
    done = run("detect", "can0", "--found", "/proc/nowhere/f", tmp_path=tmp_path)
    assert done.exit_code == 0
    assert "not kept" in done.stderr


def test_detect_refuses_a_bus_that_the_daemon_reads(ip: FakeIp, tmp_path: Path) -> None:
    """It would lose the bus with every rate."""
    ip.add("sja1000_fresh")
    control = ControlServer(tmp_path / "c.sock", lambda: {"buses": [{"name": "can0"}], "sources": []})
    control.start()
    try:
        done = CliRunner().invoke(cli, ["detect", "can0", "--socket", str(tmp_path / "c.sock")])
    finally:
        control.stop()
    assert isinstance(done.exception, LinkError)
    assert "stop it first" in str(done.exception)
    assert ip.changes() == []


def test_set_up_down_restart(ip: FakeIp, tmp_path: Path) -> None:
    """Each does what it says; active mode needs two words."""
    ip.add("sja1000_fresh")
    assert run("set", "can0", "--bitrate", 250_000, tmp_path=tmp_path).exit_code == 0
    assert "listen-only on" in ip.changes()[1]
    assert run("down", "can0", tmp_path=tmp_path).exit_code == 0
    assert run("up", "can0", tmp_path=tmp_path).exit_code == 0
    ip.state("can0", "BUS-OFF")
    assert run("restart", "can0", tmp_path=tmp_path).exit_code == 0
    before = len(ip.changes())
    assert run("set", "can0", "--bitrate", 250_000, "--active", tmp_path=tmp_path).exit_code == 2
    assert len(ip.changes()) == before
    assert run("set", "can0", "--bitrate", 250_000, "--active", "--yes", tmp_path=tmp_path).exit_code == 0
    assert "listen-only off" in ip.changes()[-2]
    assert isinstance(run("restart", "can0", tmp_path=tmp_path).exception, LinkError)


@pytest.mark.parametrize("bitrate", ["0", "-5", "2000000", "99999999999999999999"])
def test_rates_that_cannot_be(ip: FakeIp, tmp_path: Path, bitrate: str) -> None:
    """The limits of the helper hold for the command line."""
    ip.add("sja1000_fresh")
    assert isinstance(run("set", "can0", "--bitrate", bitrate, tmp_path=tmp_path).exception, LinkError)
    assert ip.changes() == []


def test_without_rights_and_without_a_helper(ip: FakeIp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what either needs."""
    ip.add("sja1000_fresh")
    monkeypatch.setattr("outrider.link.helper_io.may_set_links", lambda: False)
    monkeypatch.setattr(bus_module, "Bus", lambda: type("B", (), {"helper_socket": str(tmp_path / "none.sock")}))
    done = run("up", "can0", tmp_path=tmp_path)
    assert isinstance(done.exception, LinkError)
    assert "outrider bus helper" in str(done.exception)
