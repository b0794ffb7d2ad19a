"""Uplink and receiver set up for tests: one device, one key, quick timers."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from outrider.clock import SystemClock
from outrider.ingest.keys import KeyRing
from outrider.ingest.options import BrokerOptions, ReceiverOptions
from outrider.ingest.receiver_io import Receiver
from outrider.ingest.sinks.store_io import Store
from outrider.model.record import Lane
from outrider.uplink import session_io
from outrider.uplink.answers import OnAcknowledged
from outrider.uplink.options import SendOptions, UplinkOptions
from outrider.uplink.session_io import Uplink
from outrider.wire.birth import Birth
from tests.support.memory_log import Digest, MemoryLog, opaque, telemetry

session_io._WATCH_S = 0.05  # an uplink of a test ends sooner

DEVICE = "car-1"
KEY = bytes(range(32))
QUICK = SendOptions(
    batch_age_s=0.2, ack_timeout_s=0.5, ack_timeout_cap_s=2.0, emergency_ack_timeout_s=0.5, puback_timeout_s=3.0
)


def birth(log: MemoryLog) -> Birth:
    return Birth(DEVICE, 99, "test", None, online=True, boot_id=7, epoch=log.epoch)


def uplink_options(port: int, **changes: object) -> UplinkOptions:
    values: dict[str, object] = {
        "host": "127.0.0.1", "port": port, "device": DEVICE, "ack_key": KEY, "send": QUICK,
        "backoff_s": 0.1, "backoff_cap_s": 0.5, "connect_timeout_s": 5.0,
    }  # fmt: skip
    return UplinkOptions(**(values | changes))  # type: ignore[arg-type]  # test convenience


def make_uplink(
    log: MemoryLog, port: int, *, on_acknowledged: OnAcknowledged | None = None, **changes: object
) -> Uplink:
    options = uplink_options(port, **changes)
    return Uplink(log, options, SystemClock(), lambda: birth(log), on_acknowledged=on_acknowledged)


@contextlib.contextmanager
def running(uplink: Uplink, flush_s: float = 0.5) -> Iterator[Uplink]:
    uplink.start()
    try:
        yield uplink
    finally:
        uplink.stop(flush_timeout_s=flush_s)


@contextlib.contextmanager
def receiver(port: int, database: Path, *, group_limit_s: float = 0.25, **changes: object) -> Iterator[Receiver]:
    """A receiver on a thread of this process, connected when the block begins."""
    broker = BrokerOptions(port=port, **changes)  # type: ignore[arg-type]  # test convenience
    options = ReceiverOptions(
        broker, database, keys=KeyRing({DEVICE: KEY}), backoff_cap_s=0.5, group_limit_s=group_limit_s
    )
    made = Receiver(options, SystemClock())
    stop = threading.Event()
    thread = threading.Thread(target=made.run, args=(stop,), daemon=True)
    thread.start()
    try:
        assert made.connected.wait(20)
        yield made
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()


class ReceiverProcess:
    """``outrider ingest`` as a process of its own, to be killed."""

    def __init__(self, port: int, directory: Path) -> None:
        self.database = directory / "receiver.db"
        self._log = directory / "receiver.log"
        keys = directory / "keys.toml"
        keys.write_text(f'[devices]\n{DEVICE} = "{KEY.hex()}"\n', encoding="ascii")
        self._command = [
            sys.executable, "-m", "outrider", "ingest", "--broker", f"127.0.0.1:{port}", "--db", str(self.database),
            "--key-file", str(keys), "--json",
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert self._process is None
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def terminate(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(30)
        self._process = None
        return code

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")


def fill(log: MemoryLog, rng: random.Random, telemetry_rows: int, events: int = 0, bulk: int = 0) -> None:
    """Records of several lanes, durable together at the end."""
    for index in range(telemetry_rows):
        log.append(telemetry(index, rng), durable=False)
    for index in range(events):
        log.append(opaque(Lane.EVENT, index, 120, rng), durable=False)
    for index in range(bulk):
        log.append(opaque(Lane.BULK, index, 4000, rng), durable=False)
    log.commit()


def stored(database: Path) -> Digest:
    with Store.open(database, read_only=True) as store:
        return store.digest(DEVICE)
