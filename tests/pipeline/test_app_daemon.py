"""The daemon as a process: live CAN over loopback multicast, GNSS on a pseudo-terminal, status, kill and restart."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import can
import pytest

from outrider.app.control import ask
from outrider.errors import LinkError
from outrider.sim.write_io import Written
from tests.support.terminal import outrider, wait_until

GROUP = "239.74.163.77"
CONFIG = """
[terminal]
device = "T7"
data_directory = "data"
control_socket = "{socket}"
[vehicle]
profiles = ["simcar"]
[[can]]
interface = "udp_multicast"
channel = "{group}"
fd = true
options = {{ port = {port} }}
[gnss]
device = "{tty}"
[engine]
recorder_kib = 1024
[journal]
telemetry_commit_s = 0.2
event_commit_s = 0.1
telemetry_segment_kib = 64
"""


class Terminal:
    """A daemon with its bus and its receiver's serial line."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.socket = directory / "control.sock"
        self.port = random.Random(str(directory)).randrange(30_000, 60_000)
        self.tty_master, self._slave = os.openpty()
        self.config = directory / "outrider.toml"
        text = CONFIG.format(socket=self.socket, group=GROUP, port=self.port, tty=os.ttyname(self._slave))
        self.config.write_text(text, encoding="utf-8")
        self.process: subprocess.Popen[bytes] | None = None
        try:
            self.bus = can.Bus(interface="udp_multicast", channel=GROUP, port=self.port, fd=True, hop_limit=0)
        except (OSError, can.CanError) as err:
            pytest.skip(f"needs multicast on loopback: {err}")

    def start(self) -> None:
        with (self.directory / "daemon.log").open("ab") as log:
            self.process = subprocess.Popen(outrider("run", "--config", self.config), stdout=log, stderr=log)

    def wait_up(self) -> None:
        def up() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.log()
            try:
                return all(source["state"] == "up" for source in self.status()["sources"])
            except LinkError:
                return False

        wait_until("daemon is up", up)

    def status(self) -> dict:  # type: ignore[type-arg]
        return ask(self.socket, "status")

    def end(self, number: int) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(timeout=30)
        self.process = None
        return code

    def log(self) -> str:
        return (self.directory / "daemon.log").read_text(encoding="utf-8", errors="replace")

    def records(self) -> list[dict]:  # type: ignore[type-arg]
        done = subprocess.run(
            outrider("journal", "export", self.directory / "data" / "journal"), capture_output=True, check=True
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.bus.shutdown()
        for fd in (self.tty_master, self._slave):
            with suppress(OSError):
                os.close(fd)


@contextmanager
def terminal(directory: Path) -> Iterator[Terminal]:
    box = Terminal(directory)
    try:
        yield box
    finally:
        box.close()


def play(box: Terminal, drive: Written, seconds: float, speed: float = 10.0) -> int:
    """Send the beginning of a drive on bus and serial line; returns the number of frames."""
    sentences = drive.nmea.read_bytes().splitlines(keepends=True)
    per_second = len(sentences) / 60
    begin, count, first, told = time.monotonic(), 0, None, 0
    with can.LogReader(str(drive.can)) as reader:
        for message in reader:
            first = message.timestamp if first is None else first
            at = message.timestamp - first
            if at > seconds:
                break
            while at / speed > time.monotonic() - begin:
                time.sleep(0.001)  # the pace of the drive
            box.bus.send(message)
            count += 1
            if int(at * per_second) > told:
                os.write(box.tty_master, b"".join(sentences[told : int(at * per_second)]))
                told = int(at * per_second)
    return count


def test_a_live_drive(tmp_path: Path, short_drive: Written) -> None:
    """Frames and fixes come in, the status tells, SIGTERM commits everything, the journal verifies."""
    with terminal(tmp_path) as box:
        box.start()
        box.wait_up()
        sent = play(box, short_drive, 20.0)
        wait_until("all frames are counted", lambda: box.status()["engine"].get("frames", 0) >= sent * 0.99, 20)
        status = box.status()
        assert status["vehicle"]["speed_mps"] is not None or status["vehicle"]["distance_m"] > 0
        assert box.end(signal.SIGTERM) == 0
        assert "Traceback" not in box.log()
        kinds = {record["kind"] for record in box.records()}
        assert {"boot", "signal_table", "telemetry"} <= kinds
        journal = tmp_path / "data" / "journal"
        assert subprocess.run(outrider("journal", "verify", journal), check=False, stdout=sys.stderr).returncode == 0


def test_the_second_daemon_is_refused(tmp_path: Path) -> None:
    """Two daemons on one journal: the second says the pid of the first and exits with 75."""
    with terminal(tmp_path) as box:
        box.start()
        box.wait_up()
        assert box.process is not None
        second = subprocess.run(outrider("run", "--config", box.config), capture_output=True, check=False, timeout=60)
        assert second.returncode == 75
        assert str(box.process.pid) in second.stderr.decode()
        assert b"Traceback" not in second.stderr
        assert box.status()["device"] == "T7"


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path: Path, short_drive: Written) -> None:
    """SIGKILL at random moments, 50 in all: what was durable is there for ever, no number is used twice."""
    dice = random.Random(5)
    seen: dict[tuple[str, str, int], str] = {}
    with terminal(tmp_path) as box:
        for _turn in range(50):
            box.start()
            box.wait_up()
            play(box, short_drive, dice.uniform(0.5, 4.0), speed=4.0)
            promised = {lane: state["durable"] for lane, state in box.status()["journal"]["lanes"].items()}
            box.end(signal.SIGKILL)
            now = {(r["epoch"], r["lane"], r["seq"]): json.dumps(r, sort_keys=True) for r in box.records()}
            lost = {key for key in seen if key not in now}
            assert not lost
            changed = {key for key, text in seen.items() if now[key] != text}
            assert not changed
            kept = Counter(lane for _epoch, lane, _seq in now)
            assert all(kept[lane] >= count for lane, count in promised.items()), (promised, kept)
            seen = now
    assert len(seen) > 50
