"""A replayed terminal and a receiver process behind a real broker, for tests of the whole chain."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from outrider.ingest.sinks.store_io import Store
from outrider.model.record import Lane

KEY = "07" * 32
ROOT = Path(__file__).parents[2]
Digests = dict[tuple[int, Lane], tuple[int, str]]


def data_file(*parts: str) -> Path:
    """A recording of the data folder (``OUTRIDER_DATA``, default ../shared/data); skips the test when it is missing."""
    folder = Path(os.environ.get("OUTRIDER_DATA", ROOT.parent / "shared" / "data"))
    path = folder.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs the recording {path}")
    return path


def outrider(*arguments: object) -> list[str]:
    """Command line of the program under test."""
    return [sys.executable, "-m", "outrider", *map(str, arguments)]


class ReceiverProcess:
    """``outrider ingest`` as a process that can be killed and started again on the same database."""

    def __init__(self, directory: Path, port: int, device: str, *more: object) -> None:
        """more: further options of the command."""
        self.database = directory / "received.sqlite"
        self._log = directory / "receiver.log"
        keys = directory / "keys.toml"
        keys.write_text(f'[devices]\n{device} = "{KEY}"\n', encoding="ascii")
        arguments = ("--broker", f"127.0.0.1:{port}", "--db", self.database, "--key-file", keys)
        self._command = outrider("ingest", "--json", *arguments, *more)
        self._device = device
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        assert self._process is None
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        self._process.terminate()
        code = self._process.wait(timeout=30)
        self._process = None
        return code

    def count(self) -> int:
        """Records committed so far."""
        if not self.database.exists():
            return 0
        with Store.open(self.database, read_only=True) as store:
            return sum(count for count, _digest in store.digest(self._device).values())

    def digests(self) -> Digests:
        with Store.open(self.database, read_only=True) as store:
            return store.digest(self._device)

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")


@contextmanager
def receiver_process(directory: Path, port: int, device: str, *more: object) -> Iterator[ReceiverProcess]:
    receiver = ReceiverProcess(directory, port, device, *more)
    try:
        yield receiver
    finally:
        receiver.kill()


def wait_until(what: str, condition: object, timeout_s: float = 60.0) -> None:
    """Poll a condition of another process; fails with ``what`` when it does not come true."""
    assert callable(condition)
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"timed out: {what}"
        time.sleep(0.05)  # other processes tell nobody
