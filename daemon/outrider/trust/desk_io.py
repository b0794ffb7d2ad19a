"""The enrolment server's decisions: who gets a certificate, who gets settings, who is refused and audited.

No HTTP here: a question with what the connection proved comes in, an ``Answer`` goes out. Blocking (signing, SQLite);
the caller runs it on one thread. Nothing here logs or stores a token or a key.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509

from outrider.errors import OutriderError, TrustError
from outrider.trust.authority import DAY_S, GRACE_DAYS
from outrider.trust.authority_io import Authority
from outrider.trust.certificates import make_bundle
from outrider.trust.limits import FailureLimit
from outrider.trust.registry_io import Claim, Issued, Registry, root_id
from outrider.trust.requests import Request, read_credentials, read_request, token_hash
from outrider.trust.settings import Broker, Settings, write_settings

BUNDLE: Final = "application/pkcs7-mime; smime-type=certs-only"
TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"

log = logging.getLogger(__name__)

_REFUSED: Final = {
    Claim.UNKNOWN: "the claim token is not known here",
    Claim.EXPIRED: "the claim token has expired; ask for a new one",
    Claim.USED: "the claim token was used before; ask for a new one",
    Claim.OTHER_DEVICE: "the claim token is for another device",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """HTTP status, content type, body. retry_s: of 429."""

    status: int
    kind: str
    body: bytes
    retry_s: int | None = None


@dataclass(frozen=True, slots=True)
class Peer:
    """Who asks: address, and the certificate that TLS has verified up to a trusted root (DER), but not in time."""

    remote: str
    certificate: bytes | None = None

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.certificate or b"").hexdigest()


class _No(Exception):  # noqa: N818  an answer on its way out, not an error
    def __init__(self, status: int, what: str, reason: str, device: str | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.what = what
        self.device = device


@dataclass(slots=True)
class Counts:
    """Since the start."""

    enrolled: int = 0
    repeated: int = 0
    renewed: int = 0
    refused: int = 0
    limited: int = 0
    faults: int = 0


@dataclass
class EnrolmentDesk:
    """See the module."""

    authority: Authority
    registry: Registry
    brokers: tuple[Broker, ...]
    grace_days: int = GRACE_DAYS
    wall_s: Callable[[], float] = time.time
    limit: FailureLimit = field(default_factory=FailureLimit)  # of strangers, by address
    holders: FailureLimit = field(default_factory=FailureLimit)  # by certificate: strangers must not shut these out
    counts: Counts = field(default_factory=Counts)

    def cacerts(self, _peer: Peer) -> Answer:
        try:
            return Answer(200, BUNDLE, make_bundle(self.authority.roots()))
        except (OutriderError, OSError, ValueError) as err:
            return self._fault(err)

    def simple_enrol(self, peer: Peer, authorization: str | None, body: bytes) -> Answer:
        """A certificate for a claim token."""
        return self._guarded(peer, lambda: self._enrol(peer, authorization, body))

    def simple_reenrol(self, peer: Peer, body: bytes) -> Answer:
        """A new certificate for one that is not revoked, and not longer past its end than ``grace_days``."""
        return self._guarded(peer, lambda: self._reenrol(peer, body))

    def terminal(self, peer: Peer) -> Answer:
        """Settings, for a certificate that is valid now."""
        return self._guarded(peer, lambda: self._settings(peer))

    # ---- decisions --------------------------------------------------------------------------------

    def _enrol(self, peer: Peer, authorization: str | None, body: bytes) -> Answer:
        credentials = read_credentials(authorization)
        if credentials is None:
            raise _No(401, "enrol-no-token", "a device id and a claim token are needed (HTTP Basic)")
        device, token = credentials
        request = self._request(body, device, "enrol")
        claim, certificate = self.registry.claim(
            token_hash(token),
            device,
            request.key,
            self.wall_s(),
            lambda: self.authority.sign_device(request.key, device),
        )
        if certificate is None:
            raise _No(401, f"enrol-token-{claim.value}", _REFUSED[claim], device)
        if claim is Claim.GRANTED:
            self.counts.enrolled += 1
        else:
            self.counts.repeated += 1
        if len(self.registry.all_issued(device)) > 1:  # the others are revoked; repeated: the list may not say so yet
            self.authority.refresh()
            self.authority.tell_broker()
        self._note(f"enrol-{claim.value}", device, peer, f"serial {certificate.serial_number:x}")
        return Answer(200, BUNDLE, make_bundle([certificate]))

    def _reenrol(self, peer: Peer, body: bytes) -> Answer:
        held = self._holder(peer, "renew", self.grace_days * DAY_S)
        request = self._request(body, held.name, "renew")
        known = self.registry.issued_for_key(held.name, request.key)
        if known is not None and known.serial != held.serial and self._is_of_use(known):
            self.counts.repeated += 1  # the answer was lost on its way, or power was
            what, certificate = "renewal-repeated", known.certificate
        else:
            newest = self.registry.all_issued(held.name)[0].serial == held.serial
            what = "renewed" if newest else "renewed-from-older"
            certificate = self.authority.sign_device(request.key, held.name)
            self.registry.remember("device", held.name, certificate)
            self.counts.renewed += 1
        self._note(what, held.name, peer, f"serial {certificate.serial_number:x} for {held.serial}")
        return Answer(200, BUNDLE, make_bundle([certificate]))

    def _is_of_use(self, known: Issued) -> bool:
        """Not ended meanwhile, and of the root that will stay."""
        return known.ends_s > self.wall_s() and known.issuer == root_id(self.authority.root().certificate)

    def _settings(self, peer: Peer) -> Answer:
        held = self._holder(peer, "settings", 0)
        key = self.authority.keys().key(held.name)
        if key is None:
            raise _No(503, "settings-no-key", "no acknowledgement key for this device; see ack-keys.toml", held.name)
        settings = Settings(device=held.name, ack_key=key.hex(), brokers=self.brokers, utc_s=int(self.wall_s()))
        return Answer(200, JSON, write_settings(settings))

    def _holder(self, peer: Peer, what: str, grace_s: int) -> Issued:
        """The device whose certificate the connection has proved. Only what the registry knows counts."""
        if peer.certificate is None:
            raise _No(401, f"{what}-no-certificate", "a device's certificate is needed (mutual TLS)")
        presented = x509.load_der_x509_certificate(peer.certificate)
        held = self.registry.issued(f"{presented.serial_number:x}")
        if held is None or held.certificate != presented or held.purpose != "device":
            raise _No(403, f"{what}-unknown-certificate", "this certificate was not issued here to a device")
        if held.revoked_s is not None:
            raise _No(403, f"{what}-revoked", f"the certificate is revoked ({held.reason})", held.name)
        if held.issuer not in {root_id(root) for root in self.authority.roots()}:  # TLS knows it until the next start
            raise _No(403, f"{what}-retired-root", "its root is trusted no more; enrol with a new token", held.name)
        now_s = self.wall_s()
        if now_s > held.ends_s + grace_s:
            raise _No(403, f"{what}-expired", "the certificate has expired; enrol again with a new token", held.name)
        return held

    def _request(self, body: bytes, device: str, what: str) -> Request:
        try:
            request = read_request(body)
        except TrustError as err:
            raise _No(400, f"{what}-bad-request", str(err), device) from None
        if request.device != device:
            raise _No(403, f"{what}-wrong-name", f"the request names {request.device!r}, not {device!r}", device)
        return request

    # ---- leaves -----------------------------------------------------------------------------------

    def _guarded(self, peer: Peer, decide: Callable[[], Answer]) -> Answer:
        """Failures are counted, limited and audited; a fault of ours is no success of theirs."""
        limit, who = (self.limit, peer.remote) if peer.certificate is None else (self.holders, peer.fingerprint)
        wait_s = limit.wait_s(who, self.wall_s())
        if wait_s > 0:
            self.counts.limited += 1
            return _text(429, "too many failures; wait", int(wait_s) + 1)
        try:
            return decide()
        except _No as no:
            limit.fail(who, self.wall_s())
            self.counts.refused += 1
            try:
                self._note(no.what, no.device, peer, str(no))
            except OSError as err:  # no audit: the answer stays no
                return self._fault(err)
            return _text(no.status, str(no))
        except (OutriderError, OSError, ValueError) as err:
            return self._fault(err)

    def _fault(self, err: Exception) -> Answer:
        self.counts.faults += 1
        log.warning("enrolment: %s", err)
        return _text(503, "the enrolment server cannot answer now; its log says why")

    def _note(self, what: str, device: str | None, peer: Peer, detail: str) -> None:
        log.info("%s %s from %s: %s", what, device or "-", peer.remote, detail)
        self.registry.note(self.wall_s(), what, device, peer.remote, detail)


def _text(status: int, reason: str, retry_s: int | None = None) -> Answer:
    return Answer(status, TEXT, f"{reason}\n".encode(), retry_s)
