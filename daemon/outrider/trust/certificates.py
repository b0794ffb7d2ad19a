"""Keys, certificate requests and certificates as values: made, read and checked. No files, no clock.

Keys are ECDSA P-256 throughout: 2.8 kB less per TLS connection than RSA-2048, and every TPM and secure element has it.
Whatever cannot be trusted is a TrustError that says why.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID

from outrider.errors import TrustError

Key = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey

MAX_CERTIFICATES: Final = 8  # in one bundle: two generations of roots and room
PIN_PREFIX: Final = "sha256:"


def new_key() -> Key:
    """A P-256 key from the system's random source."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: Key) -> bytes:
    """PKCS#8, not encrypted: who can read it is the file's matter."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def read_key(pem: bytes) -> Key:
    """The P-256 key of a PEM. TrustError for damage and other kinds; the message never holds any of the content."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        raise TrustError("holds no readable private key") from None
    except Exception:  # noqa: BLE001  cryptography: UnsupportedAlgorithm and whatever else a parser may find
        raise TrustError("holds a private key of a kind that is not known here") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise TrustError("the private key is not a P-256 one")
    return key


def make_request(key: Key, device: str) -> bytes:
    """PKCS#10 in DER for the subject CN = ``device``, signed by ``key``: proof that the sender holds it."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject(device))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def common_name(name: x509.Name) -> str:
    """The one CN of a subject. TrustError when there is none, or more than one."""
    found = [str(attribute.value) for attribute in name.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if len(found) != 1:
        raise TrustError(f"the subject names {len(found)} common names; exactly one is needed")
    return found[0]


def read_certificates(pem: bytes) -> list[x509.Certificate]:
    """The certificates of a PEM bundle, at least one. TrustError for damage and for more than MAX_CERTIFICATES."""
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise TrustError("holds no readable certificate (PEM)") from None
    return _bounded(found)


def certificates_pem(certificates: Sequence[x509.Certificate]) -> bytes:
    return b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in certificates)


def read_bundle(body: bytes) -> list[x509.Certificate]:
    """The answer of an EST server: certs-only PKCS#7 in base64 (RFC 7030, 4.1.3). TrustError when it is none."""
    try:
        found = pkcs7.load_der_pkcs7_certificates(base64.b64decode(body.translate(None, b"\r\n\t "), validate=True))
    except (ValueError, binascii.Error):
        raise TrustError("the server's answer holds no certificates (PKCS#7 in base64)") from None
    except Exception:  # noqa: BLE001  cryptography: UnsupportedAlgorithm for a PKCS#7 of another type
        raise TrustError("the server's answer is a PKCS#7 of another kind than certificates only") from None
    return _bounded(found)


def make_bundle(certificates: Sequence[x509.Certificate]) -> bytes:
    """What ``read_bundle`` reads."""
    der = pkcs7.serialize_certificates(list(certificates), serialization.Encoding.DER)
    return base64.encodebytes(der)


def _bounded(found: list[x509.Certificate]) -> list[x509.Certificate]:
    if not 1 <= len(found) <= MAX_CERTIFICATES:
        raise TrustError(f"{len(found)} certificates; 1 to {MAX_CERTIFICATES} are expected")
    return found


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the DER, 64 hex digits."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def key_fingerprint(key: PublicKey) -> str:
    """SHA-256 of the public key (SubjectPublicKeyInfo), 64 hex digits."""
    info = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(info).hexdigest()


def pin_of(certificate: x509.Certificate) -> str:
    """How a provisioning file names a root: ``sha256:`` and its fingerprint."""
    return PIN_PREFIX + fingerprint(certificate)


def is_root(certificate: x509.Certificate) -> bool:
    """Whether it is a self-signed authority whose signature is right."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        certificate.verify_directly_issued_by(certificate)
    except Exception:  # noqa: BLE001  a stranger's certificate: cryptography has an error of its own for each oddity
        return False
    return constraints.ca


def check_roots(found: Sequence[x509.Certificate]) -> None:
    """TrustError unless each is a root."""
    for certificate in found:
        if not is_root(certificate):
            raise TrustError(f"{certificate.subject.rfc4514_string()} is no root (self-signed authority)")


def issuer_of(certificate: x509.Certificate, roots: Sequence[x509.Certificate]) -> x509.Certificate | None:
    """The root that signed it directly, or None."""
    for root in roots:
        try:
            certificate.verify_directly_issued_by(root)
        except Exception:  # noqa: BLE001  as above
            continue
        return root
    return None


def check_issued(certificate: x509.Certificate, key: PublicKey, device: str, roots: Sequence[x509.Certificate]) -> None:
    """TrustError unless ``certificate`` is what was asked for: this key, this device, by one of the roots."""
    if certificate.public_key() != key:
        raise TrustError("the certificate is for another key than the one that was made here")
    if common_name(certificate.subject) != device:
        raise TrustError(f"the certificate names {common_name(certificate.subject)!r}, not {device!r}")
    if issuer_of(certificate, roots) is None:
        raise TrustError("the certificate was signed by none of the roots that the server named")
    if certificate.not_valid_before_utc >= certificate.not_valid_after_utc:
        raise TrustError("the certificate is valid at no time")


def utc(seconds: float) -> datetime:
    """UTC of seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)


def starts_s(certificate: x509.Certificate) -> int:
    """not-before, seconds since 1970."""
    return int(certificate.not_valid_before_utc.timestamp())


def ends_s(certificate: x509.Certificate) -> int:
    """not-after, seconds since 1970."""
    return int(certificate.not_valid_after_utc.timestamp())
