"""Enrolment and renewal, step by step; each step leaves on flash what the next one needs, so a power cut costs nothing.

::

    pending.key      the key exists; from here on the same key is asked for, so the server sees the same terminal again
    candidate.pem    key and certificate belong together; pending.key goes
    roots, settings  fetched with the candidate: it has been seen to work, and so have the new roots
    current.pem      the candidate takes its place by one rename: enrolled (renewed)

A renewal makes a new key each time: a key that leaked unnoticed is worth something until the next renewal only.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from outrider.errors import TrustError
from outrider.trust.certificates import (
    Key,
    certificates_pem,
    check_issued,
    common_name,
    key_pem,
    make_request,
    new_key,
    read_certificates,
    read_key,
)
from outrider.trust.client_io import EstClient, Refused
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
from outrider.trust.requests import credentials_header
from outrider.trust.settings import write_settings

Ask = Callable[[Key], x509.Certificate]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. fingerprint: of the certificate now in use; fresh: False when nothing had to be done."""

    device: str
    fingerprint: str
    ends_s: int
    fresh: bool


def enrol(identity: DeviceIdentity, given: Provisioning, client: EstClient | None = None) -> Outcome:
    """Become ``given.device``. Nothing happens when the terminal is that already. LinkError and client_io.Refused:
    try again later, or never; TrustError: it is somebody else already, or the server is not to be believed."""
    if identity.enrolled:
        if identity.device != given.device:
            raise TrustError(
                f"this terminal is enrolled as {identity.device!r}, the provisioning file is for {given.device!r}; "
                f"to make it another one, remove {identity.directory}"
            )
        return outcome(identity, fresh=False)
    make_private_directory(identity.directory)
    with exclusive(identity.directory / "lock"):
        return _enrol(identity, given, client or EstClient(given.url))


def _enrol(identity: DeviceIdentity, given: Provisioning, client: EstClient) -> Outcome:
    _no_leftovers_of_others(identity, given.device)
    roots = client.pinned_roots(given.ca_pin)
    tls = pinned_context(roots, None, _floor(identity))

    def ask(key: Key) -> x509.Certificate:
        request = make_request(key, given.device)
        return client.enrol(tls, request, credentials_header(given.device, given.token))

    _candidate(identity, ask, given.device, roots)
    _complete(identity, client, given.device, roots, given.url)
    return outcome(identity, fresh=True)


def renew(identity: DeviceIdentity, client: EstClient | None = None) -> Outcome:
    """A new key and certificate, new roots, new settings. The certificate in use stays until all of it is there, and
    beside the new one until a broker has taken that."""
    device, roots, url = identity.device, identity.trusted(), enrolled_at(identity)
    est = client or EstClient(url)
    with exclusive(identity.directory / "lock"):
        tls = identity.context(identity.current)
        _candidate(identity, lambda key: est.enrol(tls, make_request(key, device)), device, est.roots(tls))
        _complete(identity, est, device, roots, url)
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


def _candidate(identity: DeviceIdentity, ask: Ask, device: str, roots: list[x509.Certificate]) -> None:
    """candidate.pem: one that an attempt before left behind, or a new one."""
    if identity.candidate.exists():
        return
    key = _pending_key(identity.pending)
    certificate = ask(key)
    check_issued(certificate, key.public_key(), device, roots)
    write_whole(identity.candidate, key_pem(key) + certificates_pem([certificate]))
    remove(identity.pending)


def _pending_key(path: Path) -> Key:
    content = read_whole(path)
    if content is not None:
        try:
            return read_key(content)
        except TrustError:
            remove(path)  # damaged flash: nothing is lost, no certificate belongs to it
    key = new_key()
    write_whole(path, key_pem(key))
    return key


def _complete(
    identity: DeviceIdentity, client: EstClient, device: str, roots: list[x509.Certificate], url: str
) -> None:
    """Roots and settings by means of the candidate, then the candidate becomes the current one."""
    floor_s = _floor(identity)
    renewed = client.roots(_with(identity, roots, floor_s))
    try:
        settings = client.settings(_with(identity, renewed, floor_s))
    except Refused as refused:
        if refused.for_good:
            remove(identity.candidate)  # the server knows it no more; the next attempt asks for another
        raise
    if settings.device != device:
        raise TrustError(f"the enrolment server takes this terminal for {settings.device!r}, not {device!r}")
    write_whole(identity.roots, certificates_pem(renewed), PUBLIC)
    write_whole(identity.settings_file, write_settings(settings))
    write_whole(_server_file(identity), url.encode("ascii") + b"\n", PUBLIC)
    identity.raise_floor(settings.utc_s)
    current = read_whole(identity.current)
    if current is not None and current != read_whole(identity.candidate):
        write_whole(identity.previous, current)
    move(identity.candidate, identity.current)


def _with(identity: DeviceIdentity, roots: list[x509.Certificate], floor_s: float | None) -> ssl.SSLContext:
    """A candidate that cannot be used (damaged flash) goes: the next attempt asks anew."""
    try:
        return pinned_context(roots, identity.candidate, floor_s)
    except TrustError:
        remove(identity.candidate)
        raise


def _floor(identity: DeviceIdentity) -> float | None:
    now_s, clock_known = identity.now_s()
    return None if clock_known else now_s


def _no_leftovers_of_others(identity: DeviceIdentity, device: str) -> None:
    """A candidate of an attempt under another name is of no use to this one."""
    content = read_whole(identity.candidate)
    if content is None:
        return
    try:
        same = common_name(read_certificates(content)[0].subject) == device
    except TrustError:
        same = False
    if not same:
        remove(identity.candidate)


def _server_file(identity: DeviceIdentity) -> Path:
    return identity.directory / "server"
