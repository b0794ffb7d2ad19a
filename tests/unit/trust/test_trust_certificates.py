"""Keys, requests and certificates as values."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from outrider.errors import TrustError
from outrider.trust.authority import host_name, issue_client, issue_server, make_root, revocation_list
from outrider.trust.certificates import (
    certificates_pem,
    check_issued,
    check_roots,
    common_name,
    ends_s,
    is_root,
    issuer_of,
    key_pem,
    make_bundle,
    new_key,
    pin_of,
    read_bundle,
    read_certificates,
    read_key,
)
from tests.support.identity import NOW_S

ROOT = make_root("Root 1", NOW_S, 100)
KEY = new_key()
LEAF = issue_client(ROOT, KEY.public_key(), "bus-17", NOW_S, 30)


def test_keys_come_back_as_they_were() -> None:
    """PEM and back; a key of another kind, damage and nothing are refused without repeating what was read."""
    assert key_pem(read_key(key_pem(KEY))) == key_pem(KEY)
    other = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for wrong in (other, b"", b"\0" * 64, key_pem(KEY)[:90], certificates_pem([LEAF])):
        with pytest.raises(TrustError) as caught:
            read_key(wrong)
        assert "BEGIN" not in str(caught.value)


def test_bundles_come_back_as_they_were() -> None:
    """PKCS#7 in base64, and PEM; nothing, garbage and too many are refused."""
    several = [ROOT.certificate, LEAF]
    assert read_bundle(make_bundle(several)) == several
    assert read_certificates(certificates_pem(several)) == several
    for wrong in (b"", b"!", b"AAAA", make_bundle([LEAF] * 9)):
        with pytest.raises(TrustError):
            read_bundle(wrong)
    for wrong in (b"", b"x", certificates_pem([LEAF] * 9)):
        with pytest.raises(TrustError):
            read_certificates(wrong)


def test_a_certificate_is_taken_only_as_it_was_asked_for() -> None:
    """Another key, another name, another root (also one of the same name): refused."""
    check_issued(LEAF, KEY.public_key(), "bus-17", [ROOT.certificate])
    with pytest.raises(TrustError, match="another key"):
        check_issued(LEAF, new_key().public_key(), "bus-17", [ROOT.certificate])
    with pytest.raises(TrustError, match="names 'bus-17'"):
        check_issued(LEAF, KEY.public_key(), "bus-18", [ROOT.certificate])
    with pytest.raises(TrustError, match="none of the roots"):
        check_issued(LEAF, KEY.public_key(), "bus-17", [make_root("Root 1", NOW_S, 100).certificate])


def test_only_roots_are_roots() -> None:
    """Self-signed authorities; neither leaves nor self-signed leaves."""
    assert is_root(ROOT.certificate)
    assert not is_root(LEAF)
    check_roots([ROOT.certificate])
    with pytest.raises(TrustError, match="is no root"):
        check_roots([ROOT.certificate, LEAF])
    assert issuer_of(LEAF, [make_root("Root 1", NOW_S, 100).certificate, ROOT.certificate]) == ROOT.certificate
    assert pin_of(ROOT.certificate).startswith("sha256:")
    assert len(pin_of(ROOT.certificate)) == 71


def test_a_leaf_never_outlives_its_root() -> None:
    """A terminal's certificate that a root could not vouch for any more would be of no use."""
    late = NOW_S + 90 * 86_400
    assert ends_s(issue_client(ROOT, KEY.public_key(), "bus", late, 365)) == ends_s(ROOT.certificate)
    with pytest.raises(TrustError, match="root has expired"):
        issue_client(ROOT, KEY.public_key(), "bus", NOW_S + 101 * 86_400, 1)


def test_hosts_are_names_or_addresses() -> None:
    """What is neither does not get into a certificate."""
    for good in ("broker.example", "localhost", "10.0.0.1", "::1", "a", "*.example"):
        host_name(good)
    for wrong in ("", "a b", "-a", "http://x", "a/b", "x" * 254, "ü.example", "a\n"):
        with pytest.raises(TrustError):
            host_name(wrong)
    with pytest.raises(TrustError, match="at least one"):
        issue_server(ROOT, KEY.public_key(), [], NOW_S, 5)


def test_openssl_accepts_what_is_issued_strictly(tmp_path: Path) -> None:
    """RFC 5280 to the letter, purposes and revocation list included: newer Pythons verify so."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl: apt-get install openssl")
    server = issue_server(ROOT, KEY.public_key(), ["broker.example", "10.0.0.1"], NOW_S, 30)
    empty = revocation_list(ROOT, [], NOW_S, 10)
    full = revocation_list(ROOT, [(LEAF.serial_number, NOW_S)], NOW_S, 10)
    (tmp_path / "root.pem").write_bytes(certificates_pem([ROOT.certificate]))
    (tmp_path / "leaf.pem").write_bytes(certificates_pem([LEAF]))
    (tmp_path / "server.pem").write_bytes(certificates_pem([server]))
    (tmp_path / "crl.pem").write_bytes(empty.public_bytes(serialization.Encoding.PEM))

    def verify(name: str, purpose: str) -> bool:
        command = [openssl, "verify", "-x509_strict", "-crl_check", "-CRLfile", "crl.pem", "-CAfile", "root.pem"]
        done = subprocess.run([*command, "-purpose", purpose, name], cwd=tmp_path, check=False, capture_output=True)
        return done.returncode == 0

    assert verify("leaf.pem", "sslclient")
    assert verify("server.pem", "sslserver")
    assert not verify("leaf.pem", "sslserver")
    assert not verify("server.pem", "sslclient")
    (tmp_path / "crl.pem").write_bytes(full.public_bytes(serialization.Encoding.PEM))
    assert not verify("leaf.pem", "sslclient")


def test_exactly_one_name() -> None:
    """None and two are both nobody."""
    assert common_name(LEAF.subject) == "bus-17"
    with pytest.raises(TrustError):
        common_name(x509.Name([]))
