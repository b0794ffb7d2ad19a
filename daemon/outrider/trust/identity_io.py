"""``DeviceIdentity``: the terminal's key, certificate, roots and settings on flash, and TLS contexts made of them.

::

    identity/                    0700
      current.pem    0600        private key and certificate (and which claim) in one file: replaced by one rename
      previous.pem   0600        the one before, until the broker has taken the new one
      candidate.pem  0600        a new one that is not in use yet     | left over from an enrolment or a renewal
      pending.key    0600        a key whose certificate is asked for | that was cut short; ``enrol_io`` goes on there
      roots.pem      0644        the only authorities that are trusted; two generations while one takes over
      settings.json  0600        device, brokers, acknowledgement key
      floor          0644        seconds since 1970 that have passed for certain
      server         0644        URL of the enrolment server
      lock           0600        held by the process that enrols or renews

Trust: only ``roots.pem``, never the system's store. While the clock is wrong (behind what is known for certain),
validity in time is judged by that floor instead, so that a terminal without a battery-backed clock still connects.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography import x509

from outrider.errors import TrustError
from outrider.trust.certificates import (
    check_roots,
    common_name,
    ends_s,
    fingerprint,
    read_certificates,
    read_key,
    starts_s,
)
from outrider.trust.private_io import PUBLIC, is_private, read_whole, remove, write_whole
from outrider.trust.renewal import Lifetime, believable_s
from outrider.trust.settings import Settings, read_settings

NO_CHECK_TIME: Final = 0x200000  # X509_V_FLAG_NO_CHECK_TIME of openssl/x509_vfy.h; the ssl module has no name for it
PREVIOUS_EVERY: Final = (
    3  # while the new certificate has not connected yet, each third attempt is made with the old one
)


@dataclass(frozen=True, slots=True)
class Held:
    """One certificate with the file that holds it and its key."""

    path: Path
    certificate: x509.Certificate

    @property
    def lifetime(self) -> Lifetime:
        return Lifetime(starts_s(self.certificate), ends_s(self.certificate), fingerprint(self.certificate))


class DeviceIdentity:
    """See the module. Thread-safe; what is on flash is read when it is asked for. wall_s: seconds since 1970."""

    def __init__(self, directory: Path, wall_s: Callable[[], float] = time.time) -> None:
        self.directory = directory
        self.current = directory / "current.pem"
        self.previous = directory / "previous.pem"
        self.candidate = directory / "candidate.pem"
        self.pending = directory / "pending.key"
        self.roots = directory / "roots.pem"
        self.settings_file = directory / "settings.json"
        self.floor = directory / "floor"
        self._wall_s = wall_s
        self._lock = threading.Lock()
        self._handed_out: str | None = None  # fingerprint of the certificate in the newest context
        self._attempts = 0  # with a certificate that has not connected yet

    # ---- what there is ----------------------------------------------------------------------------

    @property
    def enrolled(self) -> bool:
        """Also where it can not be looked at (another user's directory): who reads it then is told why."""
        try:
            return self.current.exists()
        except OSError:
            return True

    def held(self) -> Held:
        """The certificate in use. TrustError when there is none, or it cannot be read."""
        return self._held(self.current)

    def former(self) -> Held:
        """The one before, while no broker has taken the one in use. TrustError as ``held``."""
        return self._held(self.previous)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate in use, hex."""
        return self.held().lifetime.fingerprint

    @property
    def device(self) -> str:
        return common_name(self.held().certificate.subject)

    @property
    def expires_utc_us(self) -> int:
        return self.held().lifetime.ends_s * 1_000_000

    def settings(self) -> Settings:
        """TrustError when they are missing or damaged."""
        content = read_whole(self.settings_file)
        if content is None:
            raise TrustError("is missing; enrol again", path=self.settings_file)
        with _naming(self.settings_file):
            return read_settings(content)

    def trusted(self) -> list[x509.Certificate]:
        """The roots. TrustError when there are none, or a certificate is no root."""
        content = read_whole(self.roots)
        if content is None:
            raise TrustError("is missing; enrol again", path=self.roots)
        with _naming(self.roots):
            roots = read_certificates(content)
            check_roots(roots)
        return roots

    def private(self) -> bool:
        """Whether nobody but the owner may read the key."""
        return is_private(self.current)

    # ---- time -------------------------------------------------------------------------------------

    def now_s(self) -> tuple[float, bool]:
        """(seconds since 1970, whether the clock gave them)."""
        floors = [self._floor_s()]
        if self.enrolled:
            with suppress(TrustError):  # damaged: the other floors stand
                floors.append(float(starts_s(self.held().certificate)))
        return believable_s(self._wall_s(), tuple(floors))

    def own_now_s(self) -> tuple[float, bool]:
        """As ``now_s``, without what servers ever said: one whose clock was years ahead must not count for ever."""
        return believable_s(self._wall_s(), ())

    def set_floor(self, utc_s: int) -> None:
        """It is ``utc_s``, whatever was believed before."""
        write_whole(self.floor, b"%d\n" % utc_s, PUBLIC)

    def raise_floor(self, utc_s: int) -> None:
        """It was ``utc_s`` for certain (an authenticated server said so). Written when it is a day on: flash wears."""
        if utc_s - self._floor_s() >= 86_400:
            self.set_floor(utc_s)

    def _floor_s(self) -> float:
        content = (read_whole(self.floor) or b"").strip()
        return float(content) if content.isdigit() and len(content) <= 12 else 0.0

    # ---- TLS --------------------------------------------------------------------------------------

    def tls(self) -> ssl.SSLContext:
        """For the next connection: own certificate, pinned roots. TrustError when the identity cannot be used."""
        with self._lock:
            chosen = self._choose()
            self._handed_out = chosen.lifetime.fingerprint
        return self.context(chosen.path)

    def changed(self) -> bool:
        """Whether the certificate on flash is another than that of the newest context."""
        with self._lock:
            return self.enrolled and self._handed_out not in {None, self.fingerprint}

    def connected(self) -> bool:
        """The broker has taken the newest context: the previous certificate goes. True when that happened now."""
        with self._lock:
            if not self.previous.exists() or self._handed_out != self.fingerprint:
                return False
            self._attempts = 0
        remove(self.previous)
        return True

    def context(self, file: Path | None) -> ssl.SSLContext:
        """A verifying context of the pinned roots, as client with the certificate of ``file`` (None: without)."""
        now_s, clock_known = self.now_s()
        return pinned_context(self.trusted(), file, None if clock_known else now_s)

    def _choose(self) -> Held:
        """The new certificate; each third time the previous one, until the new one has connected."""
        if not self.previous.exists():
            return self._held(self.current)
        self._attempts += 1
        return self._held(self.current if self._attempts % PREVIOUS_EVERY else self.previous)

    def _held(self, path: Path) -> Held:
        content = read_whole(path)
        if content is None:
            raise TrustError("this terminal is not enrolled; run: outrider identity enrol --from FILE", path=path)
        with _naming(path):
            key = read_key(content)
            certificate = read_certificates(content)[0]
        if certificate.public_key() != key.public_key():
            raise TrustError("key and certificate do not belong together", path=path)
        return Held(path, certificate)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Whatever is wrong with the content is said of ``path``."""
    try:
        yield
    except TrustError as err:
        raise TrustError(str(err), path=path) from None


def pinned_context(roots: list[x509.Certificate], file: Path | None, floor_s: float | None = None) -> ssl.SSLContext:
    """TLS 1.2 or newer, server verified against ``roots`` alone. floor_s: the clock is wrong, it is later."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    usable = [root for root in roots if floor_s is None or ends_s(root) > floor_s]
    if not usable:
        raise TrustError("all pinned roots have expired; enrol again with a new provisioning file")
    context.load_verify_locations(cadata="".join(_pem(root) for root in usable))
    if floor_s is not None:
        context.verify_flags |= NO_CHECK_TIME
        context.sslsocket_class = _by_floor(floor_s)
    if file is not None:
        try:
            context.load_cert_chain(file)
        except (OSError, ssl.SSLError) as err:
            raise TrustError(f"certificate and key cannot be used: {err}", path=file) from None
    return context


def _by_floor(floor_s: float) -> type[ssl.SSLSocket]:
    """Sockets that refuse a server whose certificate ended before ``floor_s``; OpenSSL does not look at times then."""

    class FloorSocket(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:
            super().do_handshake(block)
            peer: dict[str, Any] | None = self.getpeercert()
            end = str(peer["notAfter"]) if peer else ""
            if not end or ssl.cert_time_to_seconds(end) <= floor_s:
                raise ssl.SSLCertVerificationError(1, "the server's certificate has expired")

    return FloorSocket


def _pem(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM).decode("ascii")
