"""Enrolment and renewal, step by step; each leaves on flash what the next attempt needs: a power cut costs nothing.

::

    pending.key      the key exists; until all is done the same key is asked for, and gets the same certificate again
    candidate.pem    key and certificate belong together; also whose claim they came from
    roots, settings  fetched with the candidate: it has been seen to work, and so have the new roots
    current.pem      the candidate takes its place by one rename: enrolled (renewed); pending.key goes

A renewal makes a new key each time: a key that leaked unnoticed must renew as well to stay of use, which the audit of
the server shows. A token that was claimed is known again (its hash is in the file), so the same file does nothing
twice, and a new one replaces an identity that is of no use any more.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509

from outrider.errors import TrustError
from outrider.trust.certificates import (
    Key,
    certificates_pem,
    check_issued,
    key_pem,
    make_request,
    new_key,
    read_key,
)
from outrider.trust.client_io import EstClient
from outrider.trust.identity_io import DeviceIdentity, pinned_context
from outrider.trust.private_io import (
    PUBLIC,
    exclusive,
    make_private_directory,
    move,
    read_whole,
    remove,
    write_whole,
)
from outrider.trust.provisioning import Provisioning
from outrider.trust.requests import credentials_header, token_hash
from outrider.trust.settings import Settings, write_settings

Ask = Callable[[Key], x509.Certificate]
CLAIM: Final = b"claim: "  # first lines of the identity's file; what stands before a PEM block is passed over
CLAIMS: Final = 4  # so many are remembered, the newest first: an old file left lying about is known again


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. fingerprint: of the certificate now in use; fresh: False when nothing had to be done."""

    device: str
    fingerprint: str
    ends_s: int
    fresh: bool


@dataclass(frozen=True, slots=True)
class EstServer:
    """The server that is talked to, and what verifies it. floor_s: the time it is at least where the clock is wrong."""

    client: EstClient
    url: str
    roots: list[x509.Certificate]
    floor_s: float | None


def enrol(identity: DeviceIdentity, given: Provisioning, client: EstClient | None = None) -> Outcome:
    """Become ``given.device``. Nothing happens when that token has been claimed already. LinkError: try again later.
    client_io.Refused: later or never. TrustError: it is somebody else already, or the server is not to be believed."""
    if identity.enrolled and is_claimed(identity, given):
        return outcome(identity, fresh=False)
    make_private_directory(identity.directory, like_parent=True)
    with exclusive(identity.directory / "lock"):
        return _enrol(identity, given, client or EstClient(given.url))


def is_claimed(identity: DeviceIdentity, given: Provisioning) -> bool:
    """Whether the identity, or one before it, came from this token. TrustError when it is that of another device."""
    try:
        device = identity.device
    except TrustError:
        return False  # damaged: a new claim mends it
    if device != given.device:
        raise TrustError(
            f"this terminal is enrolled as {device!r}, the provisioning file is for {given.device!r}; "
            f"to make it another one, remove {identity.directory}"
        )
    return token_hash(given.token) in _claims_of(identity)


def _enrol(identity: DeviceIdentity, given: Provisioning, client: EstClient) -> Outcome:
    """Begins anew in time as well: a server that once was years ahead would else shut the terminal out for good."""
    roots = client.pinned_roots(given.ca_pin)
    now_s, clock_known = identity.own_now_s()
    floor_s = None if clock_known else now_s
    tls = pinned_context(roots, None, floor_s)

    def ask(key: Key) -> x509.Certificate:
        request = make_request(key, given.device)
        return client.enrol(tls, request, credentials_header(given.device, given.token))

    claims = [token_hash(given.token), *_claims_of(identity)]
    _make_candidate(identity, ask, given.device, roots, claims)
    learnt = _learn(identity, EstServer(client, given.url, roots, floor_s), given.device)
    identity.set_floor(learnt.utc_s)
    remove(identity.previous)  # whatever the device had before is revoked now
    _finish(identity)
    return outcome(identity, fresh=True)


def renew(identity: DeviceIdentity, client: EstClient | None = None) -> Outcome:
    """A new key and certificate, new roots, new settings. The certificate in use stays until all of it is there, and
    beside the new one until a broker has taken that."""
    device, roots, url = identity.device, identity.trusted(), enrolled_at(identity)
    est = client or EstClient(url)
    with exclusive(identity.directory / "lock"):
        tls = identity.context(identity.current)
        known = est.roots(tls)
        _make_candidate(
            identity, lambda key: est.enrol(tls, make_request(key, device)), device, known, _claims_of(identity)
        )
        learnt = _learn(identity, EstServer(est, url, roots, _floor(identity)), device)
        identity.raise_floor(learnt.utc_s)
        _keep_current(identity)
        _finish(identity)
    return outcome(identity, fresh=True)


def outcome(identity: DeviceIdentity, *, fresh: bool) -> Outcome:
    held = identity.held().lifetime
    return Outcome(identity.device, held.fingerprint, held.ends_s, fresh)


def enrolled_at(identity: DeviceIdentity) -> str:
    """URL of the enrolment server. TrustError when it is not known."""
    content = read_whole(_server_file(identity))
    if content is None:
        raise TrustError("is missing: where to renew is not known; enrol again", path=_server_file(identity))
    return content.decode("ascii", errors="replace").strip()


# ---- steps ------------------------------------------------------------------------------------------


def _make_candidate(
    identity: DeviceIdentity, ask: Ask, device: str, roots: list[x509.Certificate], claims: list[str]
) -> None:
    key = _pending_key(identity)
    certificate = ask(key)
    check_issued(certificate, key.public_key(), device, roots)
    head = b"".join(CLAIM + claim.encode("ascii") + b"\n" for claim in claims[:CLAIMS])
    write_whole(identity.candidate, head + key_pem(key) + certificates_pem([certificate]))


def _pending_key(identity: DeviceIdentity) -> Key:
    """The key that an attempt before left behind, or a new one."""
    content = read_whole(identity.pending)
    if content is not None:
        try:
            key = read_key(content)
        except TrustError:
            pass  # damaged flash: nothing is lost, no certificate belongs to it
        else:
            if not _is_current(identity, key):
                return key
    key = new_key()
    write_whole(identity.pending, key_pem(key))
    return key


def _is_current(identity: DeviceIdentity, key: Key) -> bool:
    """A cut between the last two steps leaves the key that is in use already."""
    try:
        return identity.enrolled and identity.held().certificate.public_key() == key.public_key()
    except TrustError:
        return False


def _learn(identity: DeviceIdentity, server: EstServer, device: str) -> Settings:
    """Roots and settings by means of the candidate: the roots it was given verify the server that gives them."""
    client, floor_s = server.client, server.floor_s
    renewed = client.roots(pinned_context(server.roots, identity.candidate, floor_s))
    settings = client.settings(pinned_context(renewed, identity.candidate, floor_s))
    if settings.device != device:
        raise TrustError(f"the enrolment server takes this terminal for {settings.device!r}, not {device!r}")
    write_whole(identity.roots, certificates_pem(renewed), PUBLIC)
    write_whole(identity.settings_file, write_settings(settings))
    write_whole(_server_file(identity), server.url.encode("ascii") + b"\n", PUBLIC)
    return settings


def _keep_current(identity: DeviceIdentity) -> None:
    """The last one that a broker has taken: one that none has seen yet does not push it out."""
    with suppress(TrustError):  # damaged: of no use
        if identity.previous.exists() and identity.former().lifetime.ends_s > identity.now_s()[0]:
            return
    content = read_whole(identity.current)
    if content is not None:
        write_whole(identity.previous, content)


def _finish(identity: DeviceIdentity) -> None:
    move(identity.candidate, identity.current)
    remove(identity.pending)


def _claims_of(identity: DeviceIdentity) -> list[str]:
    """Hashes of the tokens that the identity in use came from, the newest first."""
    content = read_whole(identity.current) or b""
    found = []
    for line in content.split(b"\n", CLAIMS)[:CLAIMS]:
        if not line.startswith(CLAIM):
            break
        found.append(line.removeprefix(CLAIM).decode("ascii", errors="ignore"))
    return found


def _floor(identity: DeviceIdentity) -> float | None:
    now_s, clock_known = identity.now_s()
    return None if clock_known else now_s


def _server_file(identity: DeviceIdentity) -> Path:
    return identity.directory / "server"
