"""The terminal's side of EST (RFC 7030): one request, one bounded answer, over TLS that is pinned.

The first question, for the authority's certificates, goes to a server that cannot be verified yet: nothing is told it,
and its answer is worth what the pin says (RFC 7030, 4.1.1). Everything else needs a verified server.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import http.client
import socket
import ssl
import threading
import urllib.parse
from collections.abc import Callable
from typing import Final

from cryptography import x509

from outrider.errors import LinkError, TrustError
from outrider.trust.certificates import check_roots, pin_of, read_bundle
from outrider.trust.settings import PATH, Settings, read_settings

TIMEOUT_S: Final = 30.0  # for a whole exchange; mobile links are slow, hanging ones are slower
MAX_ANSWER_BYTES: Final = 64 * 1024
EST: Final = "/.well-known/est/"
Connect = Callable[[str, int], socket.socket]


class Refused(TrustError):  # noqa: N818  an answer of theirs, named as such
    """The server answered, and said no. status: of HTTP; reason: its own words, one line."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"the enrolment server refused ({status}): {reason}")
        self.status = status

    @property
    def for_good(self) -> bool:
        """Whether asking the same again is of no use."""
        return self.status in {400, 401, 403, 404}


class _Connection(http.client.HTTPSConnection):
    """HTTPS over a TCP connection that somebody else may have made. ``handle``: to break it with; ``sock`` is none for
    that, it changes with TLS and is let go before an answer has been read."""

    opener: Connect | None = None
    handle: socket.socket | None = None

    def connect(self) -> None:
        where = (self.host, self.port)
        raw = socket.create_connection(where, self.timeout) if self.opener is None else self.opener(*where)
        raw.settimeout(self.timeout)
        self.handle = raw.dup()
        self.sock = raw  # closed with the connection, also when the handshake fails
        self.sock = self._context.wrap_socket(raw, server_hostname=self.host)  # type: ignore[attr-defined]  # stdlib's


class EstClient:
    """One enrolment server. LinkError: not reached. Refused: it said no. TrustError: it is not to be believed."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S, connect: Connect | None = None) -> None:
        """connect: makes the TCP connection (through a proxy, say); straight unless given."""
        parts = urllib.parse.urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or 443
        self._timeout_s = timeout_s
        self._connect = connect

    def pinned_roots(self, pin: str) -> list[x509.Certificate]:
        """The authority's certificates, from a server that is not verified. TrustError unless the pin is among them."""
        blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        blind.check_hostname = False
        blind.verify_mode = ssl.CERT_NONE
        found = self.roots(blind)
        pinned = [root for root in found if hmac.compare_digest(pin_of(root), pin)]
        if not pinned:
            raise TrustError("the server's authority is not the one that the provisioning file pins")
        return pinned

    def roots(self, tls: ssl.SSLContext) -> list[x509.Certificate]:
        found = read_bundle(self._ask(tls, EST + "cacerts", "application/pkcs7-mime"))
        check_roots(found)
        return found

    def enrol(self, tls: ssl.SSLContext, request: bytes, authorization: str | None = None) -> x509.Certificate:
        """``simpleenroll`` with ``authorization``; without it ``simplereenroll``, by the certificate of ``tls``."""
        path = EST + ("simpleenroll" if authorization else "simplereenroll")
        headers = {"Content-Type": "application/pkcs10", "Content-Transfer-Encoding": "base64"}
        if authorization:
            headers["Authorization"] = authorization
        body = base64.encodebytes(request)
        return read_bundle(self._ask(tls, path, "application/pkcs7-mime", (body, headers)))[0]

    def settings(self, tls: ssl.SSLContext) -> Settings:
        return read_settings(self._ask(tls, PATH, "application/json"))

    def _ask(
        self, tls: ssl.SSLContext, path: str, expected: str, sent: tuple[bytes, dict[str, str]] | None = None
    ) -> bytes:
        """The body of the answer, of type ``expected``. GET, or POST when a body and headers are ``sent``."""
        connection = _Connection(self._host, self._port, timeout=self._timeout_s, context=tls)
        connection.opener = self._connect
        watchdog = threading.Timer(self._timeout_s, _break, (connection,))
        watchdog.daemon = True
        watchdog.start()
        try:
            if sent is None:
                connection.request("GET", path)
            else:
                connection.request("POST", path, *sent)
            response = connection.getresponse()
            answer = response.read(MAX_ANSWER_BYTES + 1)
            if response.length and len(answer) <= MAX_ANSWER_BYTES:  # ``read`` with a limit does not tell
                raise http.client.IncompleteRead(b"", response.length)
        except ssl.SSLCertVerificationError as err:
            reason = err.verify_message if hasattr(err, "verify_message") else str(err)
            raise TrustError(f"{self._host}:{self._port} is not to be trusted: {reason}") from None
        except (OSError, http.client.HTTPException, ValueError) as err:
            raise LinkError(f"{self._host}:{self._port}: {err or type(err).__name__}") from None
        finally:
            watchdog.cancel()
            connection.close()
            if connection.handle is not None:
                connection.handle.close()
        if len(answer) > MAX_ANSWER_BYTES:
            raise TrustError(f"the enrolment server's answer has more than {MAX_ANSWER_BYTES} bytes")
        if response.status != 200:
            raise Refused(response.status, _one_line(answer))
        if not (response.getheader("Content-Type") or "").startswith(expected):
            raise TrustError(f"{self._host}:{self._port} is no enrolment server: {path} is not {expected}")
        return answer


def _break(connection: _Connection) -> None:
    """End an exchange that takes too long as a whole; each single wait has its own limit."""
    handle = connection.handle
    if handle is not None:
        with contextlib.suppress(OSError):
            handle.shutdown(socket.SHUT_RDWR)


def _one_line(answer: bytes) -> str:
    text = answer[:200].decode("utf-8", errors="replace")
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split()) or "no reason given"
