"""Real nats-servers on loopback, alone or as a cluster, each with an MQTT listener; killed and started on demand."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import nats
import pytest

from tests.support.broker import free_port


def nats_path() -> str:
    """Path of the server; skips the test when there is none."""
    found = shutil.which("nats-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip("needs nats-server: apt-get install nats-server")
    return found


class NatsCluster:
    """``size`` servers, started in the constructor. ``kill`` is SIGKILL; ``start`` brings one back with its disk."""

    def __init__(self, directory: Path, size: int = 3, extra: str = "", mqtt: str = "") -> None:
        self._path = nats_path()
        self._directory = directory
        self._processes: list[subprocess.Popen[bytes] | None] = [None] * size
        self.ports = [free_port() for _ in range(size)]
        self.mqtt_ports = [free_port() for _ in range(size)]
        routes = [free_port() for _ in range(size)]
        for index in range(size):
            self._config(index).write_text(self._text(index, routes, extra, mqtt), encoding="ascii")
            self.start(index)

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(f"nats://127.0.0.1:{port}" for port in self.ports)

    def start(self, index: int) -> None:
        with (self._directory / f"nats-{index}.log").open("ab") as log:
            command = [self._path, "-c", str(self._config(index))]
            self._processes[index] = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self, index: int) -> None:
        """SIGKILL, and wait until it is gone."""
        process = self._processes[index]
        if process is not None:
            process.kill()
            process.wait()
            self._processes[index] = None

    def wait_up(self, timeout_s: float = 60.0) -> None:
        """Until all MQTT listeners take connections."""
        deadline = time.monotonic() + timeout_s
        for index, port in enumerate(self.mqtt_ports):
            while not _listens(port):
                process = self._processes[index]
                if process is None or process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"nats-server {index} does not listen: {self.log(index)}")
                time.sleep(0.02)  # polling the start of a process that tells nobody

    def leads(self, consumer: str) -> list[int]:
        """How many of the streams behind MQTT, and of their workers' consumer, each server leads."""
        return asyncio.run(self._leads(consumer))

    async def _leads(self, consumer: str) -> list[int]:
        client = await nats.connect(list(self.urls))
        try:
            js = client.jetstream(timeout=60)
            clusters = [info.cluster for info in await js.streams_info()]
            clusters.append((await js.consumer_info("$MQTT_msgs", consumer)).cluster)
        finally:
            await client.close()
        leaders = [cluster.leader for cluster in clusters if cluster is not None]
        return [leaders.count(f"n{index}") for index in range(len(self.ports))]

    def close(self) -> None:
        for index in range(len(self._processes)):
            self.kill(index)

    def log(self, index: int) -> str:
        return (self._directory / f"nats-{index}.log").read_text(encoding="utf-8", errors="replace")

    def _config(self, index: int) -> Path:
        return self._directory / f"nats-{index}.conf"

    def _text(self, index: int, routes: list[int], extra: str, mqtt: str) -> str:
        size = len(routes)
        lines = [
            f'server_name: "n{index}"',
            f"listen: 127.0.0.1:{self.ports[index]}",
            f'jetstream {{ store_dir: "{self._directory / f"js-{index}"}", max_file_store: 256M, max_mem: 16M }}',
            f"mqtt {{ listen: 127.0.0.1:{self.mqtt_ports[index]}, stream_replicas: {size}, {mqtt} }}",
            extra,
        ]
        if size > 1:
            others = ", ".join(f'"nats://127.0.0.1:{port}"' for i, port in enumerate(routes) if i != index)
            lines.append(f"cluster {{ name: fleet, listen: 127.0.0.1:{routes[index]}, routes: [{others}] }}")
        return "\n".join(lines) + "\n"


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        sock.settimeout(1)
        return sock.connect_ex(("127.0.0.1", port)) == 0
