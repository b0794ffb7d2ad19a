"""The privileged helper: the one process that may change links, and only as its caller's rights and its lists allow.

A Unix stream socket, mode 0660, of a group. One JSON request a line (settings.py), one answer a line. Rules:

- Only root, the helper's own user and members of the group are heard (SO_PEERCRED, SO_PEERGROUPS), whatever the file's
  mode has become.
- Only interfaces named at the start, only the requests of the list, listen-only unless the start said otherwise.
- Every request is logged with who asked and what came of it.
- One client at a time, each for a bounded time; nothing a client does ends the helper.
"""

from __future__ import annotations

import errno
import grp
import json
import logging
import os
import selectors
import socket
import struct
import threading
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from outrider.errors import LinkError, OutriderError
from outrider.link.names import checked_name
from outrider.link.set_io import LinkSetter
from outrider.link.settings import MAX_REQUEST, decode_request

CLIENT_TIMEOUT_S: Final = 5.0
_SO_PEERGROUPS: Final = 59  # linux/socket.h; Python has no name for it

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end, as the kernel says."""

    pid: int
    uid: int
    groups: frozenset[int]


@dataclass(frozen=True, slots=True)
class HelperOptions:
    """path: the socket. allow: interfaces. group: whose members are heard; None: root and the helper's own user."""

    path: Path
    allow: frozenset[str]
    group: str | None = None


class BusHelper:
    """Listens from ``open`` on; ``serve`` runs until ``stop`` is set."""

    def __init__(self, options: HelperOptions, setter: LinkSetter) -> None:
        for name in options.allow:
            checked_name(name)
        self._options = options
        self._setter = setter
        self._gid = _gid(options.group)
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """LinkError when another helper has the socket, OSError when the place cannot be written."""
        path = self._options.path
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)  # nobody else gets in between bind and chown
        try:
            sock.bind(str(path))
        except OSError as err:
            sock.close()
            raise OSError(err.errno, err.strerror, str(path)) from None
        finally:
            os.umask(mask)
        if self._gid is not None:
            os.chown(path, -1, self._gid)
            path.chmod(0o660)
        sock.listen(8)
        sock.setblocking(False)
        self._socket = sock

    def serve(self, stop: threading.Event, wake_fd: int) -> None:
        """Until ``stop`` is set and ``wake_fd`` readable."""
        assert self._socket is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            selector.register(wake_fd, selectors.EVENT_READ)
            while not stop.is_set():
                selector.select()
                if not stop.is_set():
                    self._accept()

    def close(self) -> None:
        """Allowed more than once."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            with suppress(FileNotFoundError):
                self._options.path.unlink()

    # -- one client ----------------------------------------------------------------------------------------

    def _accept(self) -> None:
        assert self._socket is not None
        try:
            client, _address = self._socket.accept()
        except OSError:  # gone again, or out of descriptors: there will be others
            return
        with client, suppress(OSError):
            client.settimeout(CLIENT_TIMEOUT_S)
            client.sendall(self._talk(client))

    def _talk(self, client: socket.socket) -> bytes:
        peer = peer_of(client)
        if not self._heard(peer):
            log.warning("refused: uid %d (pid %d) may not ask", peer.uid, peer.pid)
            return _answer("you may not ask; root and members of the helper's group may")
        line = _read_line(client)
        try:
            request = decode_request(line)
            if request.device not in self._options.allow:
                raise LinkError(f"{request.device} is not among the interfaces of this helper (--allow)")
            self._setter.request(request)
        except OutriderError as err:
            log.warning("uid %d (pid %d) asked %r: refused: %s", peer.uid, peer.pid, line[:200], err)
            return _answer(str(err))
        except Exception as err:  # a fault of ours must not end the helper
            log.exception("request %r", line[:200])
            return _answer(f"internal fault: {type(err).__name__}")
        log.info("uid %d (pid %d) asked %s: done", peer.uid, peer.pid, request)
        return _answer(None)

    def _heard(self, peer: Peer) -> bool:
        return peer.uid in {0, os.geteuid()} or (self._gid is not None and self._gid in peer.groups)


def may_set_links() -> bool:
    """Whether this process has CAP_NET_ADMIN."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("CapEff:"):
                return bool(int(line.split()[1], 16) >> 12 & 1)
    return False


def peer_of(client: socket.socket) -> Peer:
    """The other end's process, user and all its groups."""
    raw = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, gid = struct.unpack("3i", raw)
    groups = {gid}
    with suppress(OSError):  # before Linux 4.13
        more = client.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 1024)
        groups |= set(struct.unpack(f"{len(more) // 4}I", more))
    return Peer(pid, uid, frozenset(groups))


def allowed_names(text: str) -> Collection[str]:
    """``can0,can1``. LinkError for an empty list or a name that cannot be."""
    names = [checked_name(part.strip()) for part in text.split(",") if part.strip()]
    if not names:
        raise LinkError("no interface is named: --allow can0,can1")
    return names


def _gid(group: str | None) -> int | None:
    if group is None:
        return None
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise LinkError(f"there is no group {group!r}; `addgroup --system {group}` makes it") from None


def _remove_stale(path: Path) -> None:
    """A socket nobody listens on any more goes away. LinkError when somebody does, or when it is something else."""
    if not path.exists():
        return
    if not path.is_socket():
        raise LinkError(f"{path} is there and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError as err:
            if err.errno == errno.ECONNREFUSED:
                path.unlink()
                return
    raise LinkError(f"another helper listens at {path}")


def _read_line(client: socket.socket) -> bytes:
    buffer = b""
    while b"\n" not in buffer and len(buffer) <= MAX_REQUEST:
        chunk = client.recv(MAX_REQUEST + 1)
        if not chunk:
            break
        buffer += chunk
    return buffer.split(b"\n", 1)[0] if len(buffer) <= MAX_REQUEST else b""


def _answer(error: str | None) -> bytes:
    return json.dumps({"ok": True} if error is None else {"ok": False, "error": error}).encode() + b"\n"
