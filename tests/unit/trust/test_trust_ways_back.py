"""Nothing shuts a terminal out for good: wrong clocks, strangers, servers that hang, disks that were full."""

from __future__ import annotations

import dataclasses
import socket
import sqlite3
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from outrider.errors import ConfigError, LinkError, TrustError
from outrider.trust import registry_io
from outrider.trust.certificates import key_pem, new_key
from outrider.trust.client_io import EstClient, Refused
from outrider.trust.enrol_io import enrol, renew
from outrider.trust.identity_io import DeviceIdentity
from outrider.trust.registry_io import Registry
from outrider.trust.server_io import server_context
from outrider.uplink.options import Proxy, UplinkOptions, parse_proxy
from tests.support.identity import NOW_S, Enrolment, Wall, authority, enrolment, pair

DAY_S = 86_400
DRIP_S = 0.1
DRIPS = 400


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def served(tmp_path: Path, wall: Wall) -> Iterator[Enrolment]:
    with enrolment(tmp_path / "ca", wall) as found:
        yield found


@pytest.fixture
def identity(tmp_path: Path, wall: Wall) -> DeviceIdentity:
    return DeviceIdentity(tmp_path / "identity", wall)


def test_a_server_that_was_years_ahead_once_does_not_shut_a_terminal_out_for_good(
    served: Enrolment, identity: DeviceIdentity, wall: Wall
) -> None:
    """What it said then is a floor under the terminal's time; a new token begins anew."""
    real = wall.now_s
    enrol(identity, served.provisioning("bus-17"))
    identity.raise_floor(int(real) + 5 * 365 * DAY_S)
    with pytest.raises(TrustError, match="expired"):
        renew(identity)
    assert enrol(identity, served.provisioning("bus-17")).fresh
    assert identity.now_s() == (real, True)
    renew(identity)


def test_lists_that_were_not_written_are_written_when_the_terminal_asks_again(
    served: Enrolment, identity: DeviceIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk was full when a new token revoked the older certificate: the repeated question mends the list."""
    enrol(identity, served.provisioning("bus-17"))
    older = identity.held().certificate.serial_number
    given = served.provisioning("bus-17")
    with monkeypatch.context() as patch:
        patch.setattr(served.authority, "refresh", lambda: (_ for _ in ()).throw(OSError(28, "full")))
        with pytest.raises(Refused, match="503"):
            enrol(identity, given)
    assert enrol(identity, given).fresh
    lists = x509.load_pem_x509_crl((served.authority.directory / "crl.pem").read_bytes())
    assert lists.get_revoked_certificate_by_serial_number(older) is not None


def test_strangers_do_not_shut_terminals_out(served: Enrolment, identity: DeviceIdentity, wall: Wall) -> None:
    """Guessing from the same address, or from everywhere: who shows a certificate still renews."""
    enrol(identity, served.provisioning("bus-17"))
    for number in range(400):
        served.desk.limit.fail("127.0.0.1" if number % 2 else f"10.0.{number}.1", wall())
    assert renew(identity).fresh


def test_an_answer_that_drips_ends_with_the_time_of_the_exchange(tmp_path: Path) -> None:
    """A byte now and then, on a connection that was to be closed after the answer: it is broken off. With the time
    taken from http.client's own socket, which is gone by then, all of it was waited for."""
    ca = authority(tmp_path / "ca")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca.directory / "server.pem", ca.directory / "server.key")
    mine, theirs = socket.socketpair()
    over = threading.Event()

    def serve() -> None:
        try:
            with context.wrap_socket(theirs, server_side=True) as stream:
                stream.recv(4096)
                stream.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % DRIPS)
                for _number in range(DRIPS):
                    stream.sendall(b"x")
                    over.wait(DRIP_S)
        except OSError:
            return  # broken off

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with pytest.raises(LinkError):
            EstClient("https://localhost:1", 2.0, lambda _host, _port: mine).pinned_roots("sha256:" + "0" * 64)
    finally:
        over.set()
        thread.join(60)


def test_a_reader_that_stays_does_not_end_the_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that is refused (a backup reads the file) leaves nothing open: the next one goes through."""
    monkeypatch.setattr(registry_io, "BUSY_S", 0.05)
    path = tmp_path / "registry.db"
    with Registry(path) as registry:
        registry.note(NOW_S, "first", None, None)
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM audit").fetchall()
        with pytest.raises(OSError, match="locked"):
            registry.note(NOW_S, "second", None, None)
        reader.execute("COMMIT")
        reader.close()
        registry.note(NOW_S, "third", None, None)
        assert [entry.what for entry in registry.audit()] == ["third", "first"]


def test_a_car_in_a_garage_is_not_cut_off_by_a_rotation(tmp_path: Path) -> None:
    """Its certificate has ended, but it may still renew: servers must not show a root that it does not know."""
    wall = Wall()
    ca = authority(tmp_path / "ca", wall)
    pair(ca, tmp_path, "bus-1", days=30, now_s=wall())
    ca.rotate()
    wall.now_s += 60 * DAY_S
    assert ca.unaware() == ["bus-1"]
    wall.now_s += 180 * DAY_S
    assert ca.unaware() == []


def test_a_rotation_that_was_cut_short_is_mended_by_the_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new root was decided upon, roots.pem not written: a broker would show what nobody trusts."""
    ca = authority(tmp_path / "ca")
    with monkeypatch.context() as patch:
        patch.setattr(ca, "refresh", lambda: (_ for _ in ()).throw(OSError(28, "full")))
        with pytest.raises(OSError, match="full"):
            ca.rotate()
    assert (ca.directory / "roots.pem").read_bytes().count(b"BEGIN") == 1
    ca.serve_newest()
    assert (ca.directory / "roots.pem").read_bytes().count(b"BEGIN") == 2


def test_a_retired_root_buys_nothing_from_a_server_that_still_runs(served: Enrolment, identity: DeviceIdentity) -> None:
    """TLS goes on knowing the old root until the server is started again; the desk does not."""
    enrol(identity, served.provisioning("bus-17"))
    served.authority.rotate()
    served.reload()
    identity.roots.write_bytes((served.authority.directory / "roots.pem").read_bytes())
    served.authority.serve_newest()
    served.authority.retire()
    served.reload()
    with pytest.raises(Refused, match="trusted no more"):
        renew(identity)
    assert served.audit()[-1] == "renew-retired-root"


def test_a_certificate_without_its_key_says_what_to_do(tmp_path: Path) -> None:
    """Power was lost between the two files of the server."""
    ca = authority(tmp_path / "ca")
    (ca.directory / "server.key").write_bytes(key_pem(new_key()))
    with pytest.raises(TrustError, match=r"server\.pem: .*not of server\.key.*ca issue .* --server"):
        server_context(ca)
    ca.issue_server()
    server_context(ca)


def test_secrets_are_in_no_text_of_the_options() -> None:
    """What is logged or raised with them shows no acknowledgement key and no password."""
    options = UplinkOptions(
        "b", 1, "bus-17", ack_key=b"secret" * 4, password="secret", proxy=Proxy("http", "p", 1, "u", "secret")
    )
    assert "secret" not in repr(options)
    for url in ("http://me:secret@proxy:nonsense", "me:secret@proxy:8080"):
        with pytest.raises(ConfigError) as refused:
            parse_proxy(url)
        assert "secret" not in str(refused.value)


def test_a_full_disk_is_no_traceback(served: Enrolment, identity: DeviceIdentity) -> None:
    """A refusal that cannot be audited, roots that cannot be read: 503 and a line in the log; tried again later."""
    served.registry.note = lambda *_line: (_ for _ in ()).throw(OSError(28, "full"))  # type: ignore[method-assign]
    with pytest.raises(Refused, match="503"):
        enrol(identity, dataclasses.replace(served.provisioning("bus-17"), device="bus-18"))
    (served.authority.directory / "root-1.pem").write_bytes(b"")
    with pytest.raises(Refused, match="503"):
        EstClient(served.url).pinned_roots("sha256:" + "0" * 64)
    assert served.desk.counts.faults == 2


def test_renewing_twice_keeps_the_certificate_that_the_broker_knows(
    served: Enrolment, identity: DeviceIdentity
) -> None:
    """By hand, again and again, while the broker is away: what it has taken before stays; damaged, it makes way."""
    enrol(identity, served.provisioning("bus-17"))
    known = identity.fingerprint
    for _time in range(2):
        renew(identity)
        assert identity.former().lifetime.fingerprint == known
    newest = identity.fingerprint
    identity.previous.write_bytes(b"damaged")
    renew(identity)
    assert identity.former().lifetime.fingerprint == newest
