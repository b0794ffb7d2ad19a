"""Readers of trust/ against bytes that anybody may send: a value or a TrustError, nothing else."""

from __future__ import annotations

import base64
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import example, given
from hypothesis import strategies as st

from outrider.errors import TrustError
from outrider.trust.authority import issue_client, make_root
from outrider.trust.certificates import (
    check_issued,
    check_roots,
    key_pem,
    make_bundle,
    make_request,
    new_key,
    read_bundle,
    read_certificates,
    read_key,
)
from outrider.trust.provisioning import parse_provisioning
from outrider.trust.requests import credentials_header, read_credentials, read_request, request_of_pem
from outrider.trust.settings import Broker, Settings, read_settings, write_settings
from tests.support.identity import NOW_S

KEY = new_key()
ROOT = make_root("Root", NOW_S, 10)
REQUEST = make_request(KEY, "bus-17")
LEAF = issue_client(ROOT, KEY.public_key(), "bus-17", NOW_S, 5)
SETTINGS = write_settings(Settings(device="bus-17", ack_key="ab" * 32, brokers=(Broker(host="b"),), utc_s=1))


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """``whole`` with bytes changed, taken out, put in, or its end missing."""
    data = bytearray(whole)
    for _number in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.integers(0, 3)):
            case 0 if data:
                data[place] ^= draw(st.integers(1, 255))
            case 1:
                del data[place:]
            case 2:
                data[place:place] = draw(st.binary(min_size=1, max_size=8))
            case _:
                del data[place : place + draw(st.integers(1, 40))]
    return bytes(data)


@given(st.one_of(damaged(REQUEST), st.binary(max_size=400)))
@example(b"")
def test_requests(der: bytes) -> None:
    """A request that is read was signed by its own key; a damaged one is none."""
    try:
        found = read_request(base64.b64encode(der))
    except TrustError:
        return
    assert x509.load_der_x509_csr(der).is_signature_valid
    assert found.key == x509.load_der_x509_csr(der).public_key()


@given(st.one_of(damaged(base64.b64encode(REQUEST)), st.binary(max_size=400)))
def test_bodies(body: bytes) -> None:
    """Base64 that is none, and what is in it."""
    try:
        read_request(body)
    except TrustError:
        return


@given(st.one_of(damaged(make_bundle([ROOT.certificate, LEAF])), st.binary(max_size=400)))
def test_bundles(body: bytes) -> None:
    """What an enrolment server may answer."""
    try:
        found = read_bundle(body)
        assert 1 <= len(found) <= 8
        check_issued(found[-1], KEY.public_key(), "bus-17", found)
        check_roots(found)
    except TrustError:
        return


PEM = LEAF.public_bytes(Encoding.PEM)


@given(st.one_of(damaged(PEM + key_pem(KEY)), st.binary(max_size=400)))
def test_files(content: bytes) -> None:
    """Certificate, key and request files."""
    for reader in (read_certificates, read_key, request_of_pem):
        try:
            reader(content)
        except TrustError as err:
            assert "PRIVATE" not in str(err)  # noqa: PT017  any of them may refuse


@given(st.one_of(damaged(SETTINGS), st.binary(max_size=200)))
def test_settings(body: bytes) -> None:
    """What is read can be used as it is; a refusal does not repeat the key."""
    try:
        found = read_settings(body)
    except TrustError as err:
        assert "abab" not in str(err)  # noqa: PT017  both outcomes are right
        return
    assert len(bytes.fromhex(found.ack_key)) >= 16
    assert found.brokers[0].port
    assert found.ack_key not in repr(found)


@given(
    st.one_of(
        st.none(), st.text(max_size=700), st.binary(max_size=60).map(lambda b: "Basic " + base64.b64encode(b).decode())
    )
)
def test_credentials(header: str | None) -> None:
    """A device id and a token, or nobody."""
    found = read_credentials(header)
    if found is not None:
        assert read_credentials(credentials_header(*found)) == found


@given(st.text(max_size=300))
def test_provisioning(text: str) -> None:
    """Any text is a file that can be used, or a named mistake."""
    try:
        parse_provisioning(text, Path("x.toml"))
    except TrustError as err:
        assert "x.toml" in str(err)  # noqa: PT017  hardly any text is a file
