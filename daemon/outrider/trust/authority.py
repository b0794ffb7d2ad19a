"""The certificate authority as a function: roots, certificates for devices, servers and receivers, revocation lists.

Two levels, nothing in between: a root signs leaves. What a leaf may do is decided here, never by the request: only
its public key is taken over. X.509 v3 as RFC 5280 wants it, so that strict verifiers (Python 3.13) accept it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from outrider.errors import TrustError
from outrider.trust.certificates import Key, PublicKey, ends_s, new_key, subject, utc

BACKDATE_S: Final = 3600  # clocks of servers differ; a certificate must not be "not yet valid" when it arrives
DAY_S: Final = 86_400
GRACE_DAYS: Final = 180  # how long after its end a certificate still may be renewed: a car may have stood
_HOST: Final = re.compile(r"[A-Za-z0-9_*]([A-Za-z0-9_-]{0,62}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})?)*")


@dataclass(frozen=True, slots=True)
class Root:
    """A root with its key."""

    certificate: x509.Certificate
    key: Key


def make_root(name: str, now_s: float, days: int) -> Root:
    """A new self-signed root that may sign leaves and revocation lists only."""
    key = new_key()
    builder = _builder(subject(name), subject(name), key.public_key(), now_s, now_s + days * DAY_S)
    usage = _usage(signs=True)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(usage, critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return Root(builder.sign(key, hashes.SHA256()), key)


def issue_client(root: Root, key: PublicKey, name: str, now_s: float, days: int) -> x509.Certificate:
    """A certificate to be a TLS client with (a device, a receiver): CN = ``name``. Never outlives its root."""
    return _issue(root, key, _Purpose(name, ExtendedKeyUsageOID.CLIENT_AUTH), now_s, days)


def issue_server(root: Root, key: PublicKey, hosts: Sequence[str], now_s: float, days: int) -> x509.Certificate:
    """A certificate for a TLS server at ``hosts`` (names and addresses). TrustError for what is neither."""
    if not hosts:
        raise TrustError("a server's certificate needs at least one host name or address")
    names = tuple(host_name(host) for host in hosts)
    return _issue(root, key, _Purpose(hosts[0][:64], ExtendedKeyUsageOID.SERVER_AUTH, names), now_s, days)


def revocation_list(
    root: Root, revoked: Iterable[tuple[int, float]], now_s: float, days: int
) -> x509.CertificateRevocationList:
    """The list of (serial, when) under ``root``. Brokers refuse everybody when it is older than ``days``."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(root.certificate.subject)
    builder = builder.last_update(utc(now_s - BACKDATE_S)).next_update(utc(now_s) + timedelta(days=days))
    for serial, when_s in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(utc(when_s))
        builder = builder.add_revoked_certificate(entry.build())
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(root.key.public_key())
    builder = builder.add_extension(authority, critical=False)
    builder = builder.add_extension(x509.CRLNumber(int(now_s * 1000)), critical=False)
    return builder.sign(root.key, hashes.SHA256())


def host_name(text: str) -> x509.GeneralName:
    """A DNS name or an IP address of a server. TrustError for anything else."""
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        if not _HOST.fullmatch(text) or len(text) > 253:
            raise TrustError(f"{text[:80]!r} is neither a host name nor an address") from None
        return x509.DNSName(text)


@dataclass(frozen=True, slots=True)
class _Purpose:
    """What a leaf is for. name: its CN; hosts: of a server."""

    name: str
    usage: x509.ObjectIdentifier
    hosts: tuple[x509.GeneralName, ...] = ()


def _issue(root: Root, key: PublicKey, purpose: _Purpose, now_s: float, days: int) -> x509.Certificate:
    end_s = min(now_s + days * DAY_S, ends_s(root.certificate))
    if end_s <= now_s:
        raise TrustError("the root has expired; make a new one: outrider ca rotate DIR")
    builder = _builder(subject(purpose.name), root.certificate.subject, key, now_s, end_s)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([purpose.usage]), critical=False)
    if purpose.hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName(purpose.hosts), critical=False)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(root.key.public_key())
    builder = builder.add_extension(authority, critical=False)
    return builder.sign(root.key, hashes.SHA256())


def _builder(
    name: x509.Name, issuer: x509.Name, key: PublicKey, start_s: float, end_s: float
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(utc(start_s - BACKDATE_S)).not_valid_after(utc(end_s))


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )
