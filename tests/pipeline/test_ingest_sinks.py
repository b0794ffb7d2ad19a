"""The whole receiver on a shelf: killed in the middle, nothing that was acknowledged is missing."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from outrider.ingest.sinks.sinks_io import open_store
from tests.support.broker import Broker
from tests.support.delivery import DEVICE, KEY, fill, make_uplink, running
from tests.support.memory_log import MemoryLog


class Receiver:
    """``outrider ingest --sink URL`` as a process."""

    def __init__(self, directory: Path, port: int, sink: str) -> None:
        keys = directory / "keys.toml"
        keys.write_text(f'[devices]\n{DEVICE} = "{KEY.hex()}"\n', encoding="ascii")
        self._log = directory / "receiver.log"
        self._command = [
            sys.executable, "-m", "outrider", "ingest", "--broker", f"127.0.0.1:{port}", "--sink", sink,
            "--key-file", str(keys), "--vanished-score", "0", "--json",
        ]  # fmt: skip
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(self._command, stdout=log, stderr=log)

    def kill_and_start(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process = self._start()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(60)


def test_a_receiver_that_is_killed_loses_nothing(broker: Broker, tmp_path: Path) -> None:
    """SIGKILL again and again while records come and are moved to files: what the terminal was told to forget is there,
    once, and the gap proof agrees. (``test_ingest_tiers`` ends a move at each of its steps.)"""
    pytest.importorskip("duckdb")
    url = f"parquet:{tmp_path / 'shelf'}?every_s=0"
    log, rng = MemoryLog(), random.Random(5)
    receiver = Receiver(tmp_path, broker.port, url)
    try:
        with running(make_uplink(log, broker.port)):
            for _ in range(2):
                fill(log, rng, telemetry_rows=200, events=15)
                assert log.wait_acknowledged(120)
                fill(log, rng, telemetry_rows=200)
                receiver.kill_and_start()
            assert log.wait_acknowledged(120)
        assert receiver.stop() == 0
    finally:
        receiver.process.kill()
        receiver.process.wait()
    with open_store(url, read_only=True) as store:
        assert store.digest(DEVICE) == log.digest()
        assert not list(store.letters())
    command = [sys.executable, "-m", "outrider", "ingest", "gaps", DEVICE, "--sink", url]
    assert subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode == 0
