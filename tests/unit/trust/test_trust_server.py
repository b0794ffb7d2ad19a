"""The enrolment server among strangers: garbage, slowness, wrong names, guessing; and what it writes about it."""

from __future__ import annotations

import base64
import http.client
import logging
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

from outrider.trust import desk_io, server_io
from outrider.trust.authority import issue_client, make_root
from outrider.trust.certificates import make_request, new_key, subject
from outrider.trust.client_io import EST
from outrider.trust.desk_io import Peer
from outrider.trust.limits import FailureLimit
from outrider.trust.requests import MAX_REQUEST_BYTES, Request, credentials_header
from outrider.trust.settings import PATH
from tests.support.identity import NOW_S, Enrolment, enrolment, pair, pem_file

ENROL = EST + "simpleenroll"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Enrolment]:
    with enrolment(tmp_path / "ca") as found:
        yield found


def ask(
    served: Enrolment, method: str, path: str, body: bytes | None = None, pem: Path | None = None, **headers: str
) -> tuple[int, bytes]:
    context = ssl.create_default_context(cafile=served.authority.directory / "roots.pem")
    if pem is not None:
        context.load_cert_chain(pem)
    connection = http.client.HTTPSConnection("localhost", served.port, timeout=60, context=context)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def claim(served: Enrolment, body: bytes, device: str = "bus-17") -> tuple[int, bytes]:
    """Enrol with a token that is good, and whatever body."""
    given = served.provisioning(device)
    return ask(served, "POST", ENROL, body, Authorization=credentials_header(device, given.token))


def csr(key: CertificateIssuerPrivateKeyTypes, *names: str, algorithm: hashes.HashAlgorithm | None = None) -> bytes:
    attributes = [attribute for name in names for attribute in subject(name)]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))
    signed = builder.sign(key, algorithm or hashes.SHA256())
    return base64.b64encode(signed.public_bytes(serialization.Encoding.DER))


def test_a_good_request_is_granted(served: Enrolment) -> None:
    """The measure of all refusals below."""
    status, body = claim(served, csr(new_key(), "bus-17"))
    assert status == 200
    assert base64.b64decode(body)


def test_requests_that_are_none_are_refused(served: Enrolment) -> None:
    """Garbage, other keys than P-256, wrong signatures, other names: 400 or 403; the token stays good."""
    signed = bytearray(base64.b64decode(csr(new_key(), "bus-17")))
    signed[-1] ^= 1
    pem = x509.CertificateSigningRequestBuilder().subject_name(subject("bus-17")).sign(new_key(), hashes.SHA256())
    wrong = {
        "empty": (b"", 400),
        "text": (b"hello", 400),
        "zeros": (base64.b64encode(b"\0" * 500), 400),
        "PEM": (pem.public_bytes(serialization.Encoding.PEM), 400),
        "not its own signature": (base64.b64encode(signed), 400),
        "RSA": (csr(rsa.generate_private_key(65537, 2048), "bus-17"), 400),
        "P-384": (csr(ec.generate_private_key(ec.SECP384R1()), "bus-17"), 400),
        "no name": (csr(new_key()), 400),
        "two names": (csr(new_key(), "bus-17", "bus-18"), 400),
        "no device": (csr(new_key(), "../bus"), 400),
        "a receiver": (csr(new_key(), "receiver.outrider"), 400),
        "another device": (csr(new_key(), "bus-18"), 403),
    }
    served.desk.limit = FailureLimit(per_address=100)
    for what, (body, expected) in wrong.items():
        assert claim(served, body)[0] == expected, what
    assert not [one for one in served.registry.all_issued() if one.purpose == "device"]
    assert served.desk.counts.refused == len(wrong)
    given = served.provisioning("bus-17")
    header = credentials_header("bus-17", given.token)
    assert ask(served, "POST", ENROL, b"hello", Authorization=header)[0] == 400
    assert ask(served, "POST", ENROL, csr(new_key(), "bus-17"), Authorization=header)[0] == 200


def test_without_the_check_of_names_one_token_would_buy_any_name(
    served: Enrolment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The defence removed: a reader that takes the name from the request. The attack then succeeds."""
    monkeypatch.setattr(desk_io.EnrolmentDesk, "_request", lambda _s, body, _d, _w: desk_io.read_request(body))
    monkeypatch.setattr(desk_io.EnrolmentDesk, "_enrol", _trusting)
    assert claim(served, csr(new_key(), "bus-18"))[0] == 200
    assert [one.name for one in served.registry.all_issued() if one.purpose == "device"] == ["bus-18"]


def _trusting(desk: desk_io.EnrolmentDesk, _peer: Peer, _authorization: str | None, body: bytes) -> desk_io.Answer:
    request: Request = desk_io.read_request(body)
    certificate = desk.authority.sign_device(request.key, request.device)
    desk.registry.remember("device", request.device, certificate)
    return desk_io.Answer(200, desk_io.BUNDLE, b"")


def test_huge_bodies_are_cut_off(served: Enrolment) -> None:
    """More than a request can have is not read; also when no length is announced."""
    assert claim(served, b"A" * (MAX_REQUEST_BYTES + 1))[0] == 413
    given = served.provisioning("bus-17")
    context = ssl.create_default_context(cafile=served.authority.directory / "roots.pem")
    connection = http.client.HTTPSConnection("localhost", served.port, timeout=60, context=context)
    try:
        header = {"Authorization": credentials_header("bus-17", given.token)}
        try:
            connection.request("POST", ENROL, (b"A" * 4096 for _ in range(4096)), header, encode_chunked=True)
            assert connection.getresponse().status == 413
        except OSError:
            pass  # hung up on before all was sent
    finally:
        connection.close()
    assert ask(served, "GET", EST + "cacerts")[0] == 200


def test_slow_senders_are_hung_up_on(tmp_path: Path) -> None:
    """Bodies, headers and first words that never come hold a connection for seconds, not for ever."""
    heads = (b"POST " + ENROL.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nA", b"GET / HT", b"")
    with enrolment(tmp_path / "ca", life_s=1.0, look_s=0.05) as served, ExitStack() as stack:
        context = ssl.create_default_context(cafile=served.authority.directory / "roots.pem")
        held = []
        for head in heads:
            raw = stack.enter_context(socket.create_connection(("localhost", served.port), timeout=60))
            held.append(stack.enter_context(context.wrap_socket(raw, server_hostname="localhost")))
            held[-1].sendall(head)
        for one in held:
            assert wait_closed(one)
        assert served.server.closed_late >= 3


def wait_closed(sock: ssl.SSLSocket) -> bool:
    """Whether the other side hangs up; TimeoutError after a minute when it does not."""
    try:
        while sock.recv(4096):
            pass
    except TimeoutError:
        raise
    except OSError:
        return True
    return True


def test_too_many_connections_are_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound on what strangers may hold open; who comes later is served again."""
    monkeypatch.setattr(server_io, "MAX_CONNECTIONS", 4)
    with enrolment(tmp_path / "ca", life_s=60.0, look_s=0.05) as served:
        context = ssl.create_default_context(cafile=served.authority.directory / "roots.pem")
        held = []
        for _number in range(8):
            raw = socket.create_connection(("localhost", served.port), timeout=60)
            held.append(context.wrap_socket(raw, server_hostname="localhost"))
        deadline = time.monotonic() + 60
        while served.server.closed_late < 4:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        for one in held:
            one.close()


def test_guessing_is_slowed_down(served: Enrolment) -> None:
    """After ten failures an address waits; nothing is looked up for it meanwhile, not even a good token."""
    for _number in range(10):
        header = credentials_header("bus-17", "guess" * 4)
        assert ask(served, "POST", ENROL, csr(new_key(), "bus-17"), Authorization=header)[0] == 401
    assert claim(served, csr(new_key(), "bus-17"))[0] == 429
    assert len(served.audit()) == 10
    served.wall.now_s += 60
    assert claim(served, csr(new_key(), "bus-17"))[0] == 200


def test_what_needs_a_certificate_is_refused_without_one(served: Enrolment, tmp_path: Path) -> None:
    """No certificate, one that is not in the registry (though well signed), a receiver's, a revoked one."""
    ca = served.authority
    body = csr(new_key(), "bus-17")
    key = new_key()
    unlisted = pem_file(tmp_path / "unlisted.pem", key, issue_client(ca.root(), key.public_key(), "bus-17", NOW_S, 5))
    receiver = tmp_path / "receiver.pem"
    receiver.write_bytes((ca.directory / "receiver.key").read_bytes() + (ca.directory / "receiver.pem").read_bytes())
    revoked = pair(ca, tmp_path, "bus-17")
    ca.revoke("bus-17", "stolen")
    good = pair(ca, tmp_path, "bus-17")
    served.desk.limit = FailureLimit(per_address=100)
    for path, method in ((PATH, "GET"), (EST + "simplereenroll", "POST")):
        payload = body if method == "POST" else None
        assert ask(served, method, path, payload)[0] == 401
        for pem in (unlisted, receiver, revoked):
            assert ask(served, method, path, payload, pem)[0] == 403, pem.name
        assert ask(served, method, path, payload, good)[0] == 200
    assert ask(served, "POST", EST + "simplereenroll", csr(new_key(), "bus-18"), good)[0] == 403


def test_a_foreign_certificate_does_not_get_through_tls(served: Enrolment, tmp_path: Path) -> None:
    """Another authority of the same name: the handshake ends."""
    other, key = make_root("Test CA 1", NOW_S, 10), new_key()
    pem = pem_file(tmp_path / "x.pem", key, issue_client(other, key.public_key(), "bus-17", NOW_S, 5))
    with pytest.raises((OSError, http.client.HTTPException)):
        ask(served, "GET", PATH, None, pem)


def test_the_same_question_gets_the_same_answer(served: Enrolment) -> None:
    """An answer that was lost is asked for again: same token, same key, same certificate; another key is refused."""
    given, key = served.provisioning("bus-17"), new_key()
    header = credentials_header("bus-17", given.token)
    body = base64.b64encode(make_request(key, "bus-17"))
    first = ask(served, "POST", ENROL, body, Authorization=header)
    assert ask(served, "POST", ENROL, body, Authorization=header) == first
    assert ask(served, "POST", ENROL, csr(new_key(), "bus-17"), Authorization=header)[0] == 401
    assert served.audit() == ["enrol-granted", "enrol-repeated", "enrol-token-used"]


def test_nothing_secret_is_logged_or_stored(served: Enrolment, caplog: pytest.LogCaptureFixture) -> None:
    """Neither log nor registry hold a token or an acknowledgement key."""
    caplog.set_level(logging.DEBUG)
    given = served.provisioning("bus-17")
    header = credentials_header("bus-17", given.token)
    assert ask(served, "POST", ENROL, csr(new_key(), "bus-17"), Authorization=header)[0] == 200
    assert ask(served, "POST", ENROL, csr(new_key(), "bus-17"), Authorization=header)[0] == 401
    assert ask(served, "POST", ENROL, csr(new_key(), "bus-17"), Authorization="Basic x" + given.token)[0] == 401
    stored = (served.authority.directory / "registry.db").read_bytes()
    assert "bus-17" in caplog.text
    for text in (caplog.text.encode(), stored):
        assert given.token.encode() not in text
        assert base64.b64encode(given.token.encode())[:-4] not in text
    assert given.token not in repr(given)


def test_other_paths_and_methods_are_not_there(served: Enrolment) -> None:
    """404 and 405, nothing else."""
    assert ask(served, "GET", "/")[0] == 404
    assert ask(served, "GET", ENROL)[0] == 405
    assert ask(served, "POST", EST + "cacerts", b"")[0] == 405
    assert ask(served, "GET", EST + "../../etc/passwd")[0] == 404


def test_a_new_server_certificate_is_used_without_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of the authority are looked at again; a damaged one leaves the server as it was."""
    monkeypatch.setattr(server_io, "RELOAD_S", 0.02)
    with enrolment(tmp_path / "ca") as served:
        directory = served.authority.directory
        before = ssl.get_server_certificate(("localhost", served.port))
        kept = (directory / "server.pem").read_bytes()
        (directory / "server.pem").write_bytes(b"nothing")
        served.run(_turns())
        assert ssl.get_server_certificate(("localhost", served.port)) == before
        (directory / "server.pem").write_bytes(kept)
        served.authority.issue_server()
        deadline = time.monotonic() + 60
        while ssl.get_server_certificate(("localhost", served.port)) == before:
            assert time.monotonic() < deadline


async def _turns() -> None:
    import asyncio

    for _number in range(5):
        await asyncio.sleep(0.02)
