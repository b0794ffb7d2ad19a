"""``outrider ingest`` as processes beside one another, to be killed; and the fleet that keeps them busy."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from outrider.app.fleet import Fleet
from outrider.app.fleet_options import FleetOptions, FleetResult
from outrider.ingest.keys import KeyRing
from outrider.ingest.options import BrokerOptions
from outrider.uplink.options import SendOptions

MASTER = bytes(range(32))
_QUICK = SendOptions(batch_age_s=0.5, ack_timeout_s=1.0, ack_timeout_cap_s=3.0, puback_timeout_s=2.0)


class Worker:
    """One process; ready when it says so to its service manager, which is us."""

    def __init__(self, directory: Path, name: str, *options: str) -> None:
        keys = directory / "keys.toml"
        keys.write_text(f'master = "{MASTER.hex()}"\n', encoding="ascii")
        self._log = directory / f"{name}.log"
        self._command = [sys.executable, "-m", "outrider", "ingest", "--json", "--key-file", str(keys), *options]
        self._process: subprocess.Popen[bytes] | None = None
        self._ready: socket.socket | None = None

    def start(self) -> None:
        """Returns at once; ``wait_ready`` waits."""
        assert self._process is None
        folder = tempfile.mkdtemp(prefix="notify-")  # short: a socket's path is
        path = Path(folder) / "s"
        self._ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ready.bind(str(path))
        self._ready.settimeout(60)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=os.environ | {"NOTIFY_SOCKET": str(path)}
            )

    def wait_ready(self) -> None:
        """Connected to its source and its sink."""
        assert self._ready is not None
        try:
            assert self._ready.recv(64) == b"READY=1"
        except TimeoutError:
            raise AssertionError(f"not ready: {self.log()}") from None

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None
        self._close()

    def terminate(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(60)
        self._process = None
        self._close()
        return code

    def end(self) -> None:
        """However it stands."""
        if self._process is not None:
            self.kill()

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def _close(self) -> None:
        if self._ready is not None:
            path = Path(self._ready.getsockname())
            self._ready.close()
            path.unlink()
            path.parent.rmdir()
            self._ready = None


class FleetRun:
    """A fleet driven on a thread of this process; ``result`` waits for its end."""

    def __init__(self, port: int, sink: str, **changes: object) -> None:
        values: dict[str, object] = {
            "terminals": 6, "minutes": 2.0, "speed": 30.0, "outages": 0.0, "reboots": 0.0, "storm": False, "sink": sink,
            "send": _QUICK,
        }  # fmt: skip
        options = FleetOptions(BrokerOptions(port=port), KeyRing(master=MASTER), **(values | changes))  # type: ignore[arg-type]  # test convenience
        self._fleet = Fleet(options)
        self._result: FleetResult | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._result = self._fleet.run()

    def result(self) -> FleetResult:
        self._thread.join(300)
        assert self._result is not None, "the fleet does not come to an end"
        return self._result
