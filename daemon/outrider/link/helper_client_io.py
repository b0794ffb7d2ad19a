"""Asking the helper: one connection a request, a bounded time."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

from outrider.errors import LinkError
from outrider.link.settings import MAX_REQUEST, LinkRequest, encode_request

TIMEOUT_S: Final = 30.0  # a link that is set anew runs `ip` four times
MAX_ANSWER: Final = 8 * MAX_REQUEST


class HelperClient:
    """A ``LinkSetter`` that has no rights of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def request(self, request: LinkRequest) -> None:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                sock.settimeout(TIMEOUT_S)
                sock.connect(str(self._path))
                with suppress(BrokenPipeError):  # refused and closed before it was asked: the reason is there to read
                    sock.sendall(encode_request(request))
                answer = _line(sock)
        except OSError as err:
            reason = err.strerror or str(err)
            raise LinkError(
                f"no bus helper answers at {self._path}: {reason}; is `outrider bus helper` running?"
            ) from None
        _check(self._path, answer)


def _line(sock: socket.socket) -> bytes:
    buffer = b""
    while not buffer.endswith(b"\n") and len(buffer) <= MAX_ANSWER:
        chunk = sock.recv(MAX_ANSWER)
        if not chunk:
            break
        buffer += chunk
    return buffer


def _check(path: Path, answer: bytes) -> None:
    """LinkError unless the answer says that it was done."""
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError):
        raise LinkError(f"bus helper at {path}: no answer that can be read") from None
    if not isinstance(document, dict) or document.get("ok") is not True:
        reason = document.get("error") if isinstance(document, dict) else None
        raise LinkError(f"bus helper: {reason or 'refused without a reason'}")
