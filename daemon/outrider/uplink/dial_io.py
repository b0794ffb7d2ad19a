"""``Dial``: a TCP connection to a broker, straight or through a proxy (HTTP CONNECT, SOCKS5), that can be broken off.

Everything has a time: names (``resolve_io``), each address, the talk with the proxy. The name of the broker is given to
the proxy as it is; behind one there is often no other name service.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from outrider.errors import LinkError
from outrider.uplink.options import Proxy
from outrider.uplink.resolve_io import Resolver

_LEAST_S: Final = 1.0


class Dial:
    """``open`` once; ``abort`` from any thread at any time."""

    def __init__(self, resolver: Resolver, proxy: Proxy | None, timeout_s: float) -> None:
        self._resolver = resolver
        self._proxy = proxy
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._handle: socket.socket | None = None  # of our own, to break it with
        self._is_aborted = False

    def open(self, host: str, port: int) -> socket.socket:
        """A connected socket with the time-out set. OSError or LinkError with the reason."""
        deadline = time.monotonic() + self._timeout_s
        proxy = self._proxy
        if proxy is None:
            return self._connect(host, port, deadline, _straight)
        talk = partial(_through_http if proxy.kind == "http" else _through_socks, proxy, (host, port))
        try:
            return self._connect(proxy.host, proxy.port, deadline, talk)
        except (OSError, LinkError) as err:
            raise LinkError(f"proxy {proxy.host}:{proxy.port}: {err}") from None

    def abort(self) -> None:
        with self._lock:
            self._is_aborted = True
            if self._handle is not None:
                with contextlib.suppress(OSError):
                    self._handle.shutdown(socket.SHUT_RDWR)

    def release(self) -> socket.socket | None:
        """The handle, for who takes over; after this ``abort`` does nothing to it."""
        with self._lock:
            handle, self._handle = self._handle, None
            return handle

    # ---- leaves -----------------------------------------------------------------------------------

    def _connect(self, host: str, port: int, deadline: float, talk: _Talk) -> socket.socket:
        """``talk`` connects a fresh socket to an address; each address of the host gets its share of the time."""
        names_s = max(_LEAST_S, (deadline - time.monotonic()) / 2)  # the other half is for what was known before
        addresses = self._resolver.resolve(host, names_s, lambda: self._is_aborted)
        error: OSError = OSError("no address")
        for index, (family, address) in enumerate(addresses):
            share = (deadline - time.monotonic()) / (len(addresses) - index)
            sock = socket.socket(socket.AddressFamily(family), socket.SOCK_STREAM)
            try:
                self._note(sock)
                sock.settimeout(max(_LEAST_S, share))
                made = talk(sock, (address, port))
                made.settimeout(max(_LEAST_S, deadline - time.monotonic()))
                return made
            except OSError as err:
                sock.close()
                error = err
        raise error

    def _note(self, sock: socket.socket) -> None:
        with self._lock:
            if self._handle is not None:
                self._handle.close()
            self._handle = sock.dup()
            if self._is_aborted:
                raise ConnectionAbortedError("broken off")


_Talk = Callable[[socket.socket, tuple[str, int]], socket.socket]


def _straight(sock: socket.socket, address: tuple[str, int]) -> socket.socket:
    sock.connect(address)
    return sock


class _Tunnel(http.client.HTTPConnection):
    """The standard library's CONNECT on a socket that is connected already."""

    def __init__(self, made: socket.socket, address: tuple[str, int]) -> None:
        super().__init__(*address)
        self._create_connection: Any = lambda *_a, **_k: made


def _through_http(
    proxy: Proxy, target: tuple[str, int], sock: socket.socket, address: tuple[str, int]
) -> socket.socket:
    sock.connect(address)
    tunnel = _Tunnel(sock, address)
    headers = {}
    if proxy.username is not None:
        pair = f"{proxy.username}:{proxy.password or ''}".encode()
        headers["Proxy-Authorization"] = "Basic " + b64encode(pair).decode("ascii")
    tunnel.set_tunnel(*target, headers)
    try:
        tunnel.connect()
    except http.client.HTTPException as err:
        raise OSError(f"that is no HTTP proxy ({type(err).__name__})") from None
    tunnel.sock = None  # ours again
    return sock


def _through_socks(
    proxy: Proxy, target: tuple[str, int], sock: socket.socket, address: tuple[str, int]
) -> socket.socket:
    import socks  # type: ignore[import-untyped]  # PySocks has no types; only where there is such a proxy

    timeout = sock.gettimeout()
    talker = socks.socksocket(sock.family, sock.type, sock.proto, fileno=sock.detach())
    try:
        talker.set_proxy(socks.SOCKS5, *address, rdns=True, username=proxy.username, password=proxy.password)
        talker.settimeout(timeout)
        talker.connect(target)
        return socket.socket(fileno=talker.detach())
    finally:
        talker.close()
