"""What a terminal asks the enrolment server, read from bytes that anybody may have sent. Pure; bounded.

EST (RFC 7030): the body of ``simpleenroll`` and ``simplereenroll`` is a PKCS#10 request in base64; the claim token
comes as the password of HTTP Basic, the device id as the user name.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from outrider.errors import TrustError
from outrider.trust.certificates import PublicKey, common_name
from outrider.wire.topics import DEVICE_ID

MAX_REQUEST_BYTES: Final = 8192
MAX_AUTHORIZATION_BYTES: Final = 512
TOKEN_BYTES: Final = 20
_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks (the CN), and the P-256 key whose possession the signature has proved."""

    device: str
    key: PublicKey


def read_request(body: bytes) -> Request:
    """The request of an EST body. TrustError for damage, a wrong signature, another kind of key, a bad name."""
    if len(body) > MAX_REQUEST_BYTES:
        raise TrustError(f"the request has more than {MAX_REQUEST_BYTES} bytes")
    try:
        der = base64.b64decode(body.translate(None, b"\r\n\t "), validate=True)
        request = x509.load_der_x509_csr(der)
        key = request.public_key()
        name = request.subject
    except (ValueError, binascii.Error):
        raise TrustError("the body is no certificate request (PKCS#10 in base64)") from None
    except Exception:  # noqa: BLE001  cryptography raises its own kinds for algorithms it does not know
        raise TrustError("the certificate request is of a kind that is not known here") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise TrustError("the key of the request is not a P-256 one")
    return Request(_checked_name(name), _proved(request, key))


def request_of_pem(pem: bytes) -> Request:
    """The same from a PEM, as other tools write it (``openssl req -new``)."""
    lines = [line.strip() for line in pem.splitlines()]
    bounds = [
        number for number, line in enumerate(lines) if line.startswith(b"-----") and b"CERTIFICATE REQUEST" in line
    ]
    if len(bounds) != 2:
        raise TrustError("holds no certificate request (PEM)")
    return read_request(b"".join(lines[bounds[0] + 1 : bounds[1]]))


def _proved(request: x509.CertificateSigningRequest, key: PublicKey) -> PublicKey:
    """The key, if the request is signed with it. A request without that could name a key that others hold."""
    try:
        strong = isinstance(request.signature_hash_algorithm, _HASHES)
        valid = request.is_signature_valid
    except Exception:  # noqa: BLE001  an algorithm that cryptography does not know
        strong = valid = False
    if not (strong and valid):
        raise TrustError("the certificate request is not signed by its own key")
    return key


def _checked_name(name: x509.Name) -> str:
    try:
        device = common_name(name)
    except ValueError as err:  # TrustError too: damaged text in the subject is the same to the sender
        raise TrustError(str(err)) from None
    if not DEVICE_ID.fullmatch(device):
        raise TrustError(f"the request names {device[:80]!r}: use 1 to 64 of A-Z a-z 0-9 _ -")
    return device


def read_credentials(header: str | None) -> tuple[str, str] | None:
    """(device, token) of an ``Authorization: Basic`` header; None when it is missing or anything else."""
    if header is None or len(header) > MAX_AUTHORIZATION_BYTES:
        return None
    scheme, _space, rest = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        device, colon, token = base64.b64decode(rest.strip(), validate=True).decode("ascii").partition(":")
    except (ValueError, binascii.Error):
        return None
    return (device, token) if colon and DEVICE_ID.fullmatch(device) and token else None


def credentials_header(device: str, token: str) -> str:
    """What ``read_credentials`` reads."""
    return "Basic " + base64.b64encode(f"{device}:{token}".encode("ascii")).decode("ascii")


def make_token(random: bytes) -> str:
    """A claim token of TOKEN_BYTES random bytes: base32 in lower case, 32 signs, which a person can type."""
    return base64.b32encode(random).decode("ascii").rstrip("=").lower()


def token_hash(token: str) -> str:
    """What is kept of a token. 160 random bits need no salt and no stretching: there is nothing to guess."""
    return hashlib.sha256(b"outrider claim 1\0" + token.strip().lower().encode("utf-8")).hexdigest()
