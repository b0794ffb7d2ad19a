"""Small real proxies on loopback: HTTP CONNECT and SOCKS5, with or without a user. They can also misbehave."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading


class SmallProxy:
    """kind: "http" or "socks5". user: (name, password) that is asked for. mood: "good"; "slow header": the header of
    its answer comes in pieces; "refuse": no such way; "babble": no proxy at all; "mute": never answers.

    asked: (host, port) as the client gave them. names: host names it knows beside the system's.
    """

    def __init__(self, kind: str, user: tuple[str, str] | None = None, names: dict[str, str] | None = None) -> None:
        self.kind = kind
        self.mood = "good"
        self.asked: list[tuple[str, int]] = []
        self._user = user
        self._names = names or {}
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for sock in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _address = self._listener.accept()
            except OSError:
                return
            self._sockets.append(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError, IndexError), sock:
            if self.mood == "mute":
                sock.recv(1 << 20)
                sock.recv(1 << 20)
                return
            if self.mood == "babble":
                sock.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
                return
            target = self._http(sock) if self.kind == "http" else self._socks(sock)
            if target is None:
                return
            with target:
                self._sockets.append(target)
                back = threading.Thread(target=_pass, args=(target, sock), daemon=True)
                back.start()
                _pass(sock, target)

    def _connect(self, host: str, port: int) -> socket.socket | None:
        self.asked.append((host, port))
        if self.mood == "refuse":
            return None
        return socket.create_connection((self._names.get(host, host), port), timeout=5)

    def _http(self, sock: socket.socket) -> socket.socket | None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(4096)
        line, *fields = head.decode("ascii").split("\r\n")
        host, _colon, port = line.split(" ")[1].rpartition(":")
        if self._user is not None:
            wanted = "Basic " + base64.b64encode(":".join(self._user).encode()).decode("ascii")
            if f"Proxy-Authorization: {wanted}" not in fields:
                sock.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return None
        target = self._connect(host.strip("[]"), int(port))
        if target is None:
            sock.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return None
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in (b"HTTP/1.1 200 Connection established\r\n", b"Via: 1.1 test\r\nX: ", b"y" * 3000, b"\r\n\r\n"):
            sock.sendall(piece)
            if self.mood == "slow header":
                threading.Event().wait(0.02)
        return target

    def _socks(self, sock: socket.socket) -> socket.socket | None:
        stream = sock.makefile("rb", buffering=0)
        methods = stream.read(stream.read(2)[1])
        if self._user is not None:
            if 2 not in methods:
                sock.sendall(b"\x05\xff")
                return None
            sock.sendall(b"\x05\x02")
            name = stream.read(stream.read(2)[1])
            password = stream.read(stream.read(1)[0])
            good = (name.decode(), password.decode()) == self._user
            sock.sendall(b"\x01\x00" if good else b"\x01\x01")
            if not good:
                return None
        else:
            sock.sendall(b"\x05\x00")
        kind = stream.read(4)[3]
        if kind == 3:
            host = stream.read(stream.read(1)[0]).decode()
        else:
            host = socket.inet_ntop(
                socket.AF_INET if kind == 1 else socket.AF_INET6, stream.read(4 if kind == 1 else 16)
            )
        port = int.from_bytes(stream.read(2), "big")
        target = self._connect(host, port)
        sock.sendall(b"\x05" + (b"\x05" if target is None else b"\x00") + b"\x00\x01" + bytes(6))
        return target


def _pass(source: socket.socket, drain: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            drain.sendall(data)
    for sock in (source, drain):
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
