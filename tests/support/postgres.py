"""A PostgreSQL server of our own on a Unix socket, for a test session; a database's schema for each test."""

from __future__ import annotations

import os
import pwd
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


class PostgresServer:
    """Started on construction; ``kill`` is SIGKILL of the whole server, ``start`` begins again on its data."""

    def __init__(self, directory: Path, *, fsync: bool = False) -> None:
        self._directory = directory
        self._fsync = "on" if fsync else "off"
        self._user = "postgres" if os.geteuid() == 0 else None  # PostgreSQL does not run as root
        if self._user:
            entry = pwd.getpwnam(self._user)
            os.chown(directory, entry.pw_uid, entry.pw_gid)
        self._data = directory / "data"
        self._run(binary("initdb"), "-D", self._data, "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8")
        self.start()

    def url(self, schema: str) -> str:
        return f"postgresql:///postgres?host={self._directory}&user=postgres&schema={schema}"

    def start(self) -> None:
        """As a test server: without fsync, unless told, since only processes are killed, not the machine."""
        options = f"-c listen_addresses='' -c unix_socket_directories={self._directory} -c fsync={self._fsync}"
        options += " -c shared_buffers=16MB -c max_connections=40 -c autovacuum=off"
        options += " -c synchronous_commit=off -c wal_writer_delay=10s"  # who wants durable commits has to say so
        log = self._directory / "log"
        self._run(binary("pg_ctl"), "-D", self._data, "-w", "-t", "120", "-l", log, "-o", options, "start")

    @property
    def pid(self) -> int:
        return int((self._data / "postmaster.pid").read_text(encoding="ascii").split()[0])

    def kill(self) -> None:
        """SIGKILL to all processes of the server; returns when they are gone."""
        main = self.pid
        children = Path(f"/proc/{main}/task/{main}/children").read_text(encoding="ascii").split()
        for pid in (main, *map(int, children)):
            _end(pid)
        (self._data / "postmaster.pid").unlink(missing_ok=True)  # where nobody reaps, a zombie still has its pid
        for lock in self._directory.glob(".s.PGSQL.*"):
            lock.unlink()

    def stop(self) -> None:
        if (self._data / "postmaster.pid").exists():
            self._run(binary("pg_ctl"), "-D", self._data, "-m", "immediate", "-w", "stop")

    def _run(self, *command: object) -> None:
        with (self._directory / "out").open("ab") as out:
            done = subprocess.run(
                [*map(str, command)],
                user=self._user,
                group=None if self._user is None else pwd.getpwnam(self._user).pw_gid,
                extra_groups=None if self._user is None else [],
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                check=False,
            )
        assert not done.returncode, (self._directory / "out").read_text(encoding="utf-8", errors="replace")[-2000:]


def _end(pid: int) -> None:
    """SIGKILL, and wait until the process is gone."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        assert select.select([handle], [], [], 60)[0], f"process {pid} does not end"
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)


def binary(name: str) -> Path:
    """Of the newest version that is installed; skips the test when there is none."""
    found = shutil.which(name)
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda p: int(p.parts[4].split(".")[0]))
    if places:
        return places[-1]
    if found is None:
        pytest.skip("needs PostgreSQL: apt-get install postgresql")
    return Path(found)


def make_server(*, fsync: bool = False) -> Iterator[PostgresServer]:
    """For fixtures. The directory is short: a socket's path is."""
    binary("initdb")
    directory = Path(tempfile.mkdtemp(prefix="pg-"))
    directory.chmod(0o755)
    server: PostgresServer | None = None
    try:
        server = PostgresServer(directory, fsync=fsync)
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    yield from make_server()
