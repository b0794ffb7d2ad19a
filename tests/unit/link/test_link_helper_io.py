"""The privileged helper: who is heard, what may be asked, and that no client can end it."""

from __future__ import annotations

import logging
import os
import socket
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from outrider.errors import LinkError
from outrider.link import helper_client_io, helper_io
from outrider.link.helper_client_io import HelperClient
from outrider.link.helper_io import BusHelper, HelperOptions, Peer, allowed_names, peer_of
from outrider.link.set_io import RecordingLinkSetter
from outrider.link.settings import LinkDown, LinkRequest, LinkUp, RestartLink, SetLink, encode_request

SET = SetLink("can0", bitrate=500_000)


@contextmanager
def helper(path: Path, setter: RecordingLinkSetter | None = None) -> Iterator[RecordingLinkSetter]:
    """A helper for can0 and can1 on a thread."""
    noted = setter or RecordingLinkSetter()
    service = BusHelper(HelperOptions(path, frozenset({"can0", "can1"})), noted)
    service.open()
    stop, wake = threading.Event(), os.eventfd(0)
    thread = threading.Thread(target=service.serve, args=(stop, wake))
    thread.start()
    try:
        yield noted
    finally:
        stop.set()
        os.eventfd_write(wake, 1)
        thread.join(20)
        assert not thread.is_alive()
        service.close()
        os.close(wake)


def talk(path: Path, data: bytes) -> bytes:
    """What the helper says to these bytes."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(20)
        sock.connect(str(path))
        with suppress(OSError):  # who is refused unheard finds the other end closed
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
        return sock.recv(65536)


def test_requests_reach_the_setter(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each kind, in order, and each is logged with who asked."""
    caplog.set_level(logging.INFO)
    requests = [SET, LinkDown("can1"), LinkUp("can0"), RestartLink("can0")]
    with helper(tmp_path / "run" / "bus.sock") as noted:
        client = HelperClient(tmp_path / "run" / "bus.sock")
        for request in requests:
            client.request(request)
    assert noted.requests == requests
    assert sum(f"pid {os.getpid()}" in record.message for record in caplog.records) == len(requests)
    assert not (tmp_path / "run" / "bus.sock").exists()


def test_a_refusal_comes_back_in_words(tmp_path: Path) -> None:
    """The reason of the one who refused, and the helper goes on."""
    setter = RecordingLinkSetter()
    with helper(tmp_path / "s", setter):
        setter.error = "Device or resource busy"
        with pytest.raises(LinkError, match="Device or resource busy"):
            HelperClient(tmp_path / "s").request(SET)
        setter.error = None
        HelperClient(tmp_path / "s").request(SET)


def test_other_interfaces_are_refused(tmp_path: Path) -> None:
    """Only what was named at the start."""
    with helper(tmp_path / "s") as noted, pytest.raises(LinkError, match="not among the interfaces"):
        HelperClient(tmp_path / "s").request(SetLink("eth0", bitrate=500_000))
    assert noted.requests == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"up can0\n",
        b"{}\n",
        b"[" * 5000 + b"\n",
        b"\xff\xfe\n",
        b'{"op":"up","device":"can0"' * 400,
        bytes(99),
    ],
)
def test_no_client_ends_the_helper(tmp_path: Path, data: bytes) -> None:
    """Empty, malformed, nested, overlong: refused, and the next one is served."""
    with helper(tmp_path / "s") as noted:
        assert b'"ok": false' in talk(tmp_path / "s", data)
        HelperClient(tmp_path / "s").request(SET)
    assert noted.requests == [SET]


def test_a_silent_client_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds up the others for a bounded time only."""
    monkeypatch.setattr(helper_io, "CLIENT_TIMEOUT_S", 0.05)
    with helper(tmp_path / "s") as noted, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.connect(str(tmp_path / "s"))
        HelperClient(tmp_path / "s").request(SET)
    assert noted.requests == [SET]


def test_a_fault_of_the_setter_does_not_end_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Even one that nobody foresaw."""

    class Broken(RecordingLinkSetter):
        def request(self, request: object) -> None:
            raise RuntimeError("boom")

    with helper(tmp_path / "s", Broken()):
        for _again in range(2):
            with pytest.raises(LinkError, match="internal fault: RuntimeError"):
                HelperClient(tmp_path / "s").request(SET)
    assert "boom" in caplog.text


def test_who_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root, the helper's own user, members of the group; nobody else, though the file let him in."""
    gid = os.getgid()
    monkeypatch.setattr(helper_io, "_gid", lambda _group: gid)
    service = BusHelper(HelperOptions(tmp_path / "s", frozenset({"can0"}), "outrider"), RecordingLinkSetter())
    stranger = max(os.geteuid(), 0) + 4321
    assert service._heard(Peer(1, 0, frozenset()))
    assert service._heard(Peer(1, os.geteuid(), frozenset()))
    assert service._heard(Peer(1, stranger, frozenset({gid, 77})))
    assert not service._heard(Peer(1, stranger, frozenset({gid + 1})))


def test_a_stranger_is_told_and_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's word on who it is decides."""
    monkeypatch.setattr(helper_io, "peer_of", lambda _client: Peer(42, 4321, frozenset({4321})))
    with helper(tmp_path / "s") as noted:
        assert b"you may not ask" in talk(tmp_path / "s", b'{"op":"up","device":"can0"}\n')
        with pytest.raises(LinkError, match="you may not ask"):
            HelperClient(tmp_path / "s").request(LinkUp("can0"))
    assert noted.requests == []


def test_refused_before_it_was_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other end is closed already when the request goes out: its reason is still told."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server, ThreadPoolExecutor(1) as pool:
        server.bind(str(tmp_path / "s"))
        server.listen(1)
        closed = threading.Event()

        def refuse() -> None:
            client, _address = server.accept()
            with client:
                client.sendall(b'{"ok": false, "error": "not you"}\n')
            closed.set()

        def encode_late(request: LinkRequest) -> bytes:
            assert closed.wait(20)
            return encode_request(request)

        refused = pool.submit(refuse)
        monkeypatch.setattr(helper_client_io, "encode_request", encode_late)
        with pytest.raises(LinkError, match="not you"):
            HelperClient(tmp_path / "s").request(LinkUp("can0"))
        refused.result(20)


def test_the_kernel_names_the_peer() -> None:
    """Process, user and groups of the other end."""
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        peer = peer_of(one)
    assert (peer.pid, peer.uid) == (os.getpid(), os.getuid())
    assert frozenset(os.getgroups()) <= peer.groups


def test_the_socket_is_the_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mode 0660 with a group, 0600 without."""
    for group, mode in ((None, 0o600), ("g", 0o660)):
        monkeypatch.setattr(helper_io, "_gid", lambda group: None if group is None else os.getgid())
        service = BusHelper(HelperOptions(tmp_path / "s", frozenset({"can0"}), group), RecordingLinkSetter())
        service.open()
        assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == mode
        service.close()


def test_places_that_are_taken(tmp_path: Path) -> None:
    """A dead helper's socket goes away; a living one's, and anything else, is left alone."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(tmp_path / "s"))
    with helper(tmp_path / "s"), pytest.raises(LinkError, match="another helper listens"):
        BusHelper(HelperOptions(tmp_path / "s", frozenset({"can0"})), RecordingLinkSetter()).open()
    (tmp_path / "f").write_text("kept", encoding="ascii")
    with pytest.raises(LinkError, match="no socket"):
        BusHelper(HelperOptions(tmp_path / "f", frozenset({"can0"})), RecordingLinkSetter()).open()
    assert (tmp_path / "f").read_text(encoding="ascii") == "kept"


def test_options_that_cannot_be(tmp_path: Path) -> None:
    """Groups nobody has, lists without names, names that are options."""
    with pytest.raises(LinkError, match="addgroup"):
        BusHelper(HelperOptions(tmp_path / "s", frozenset({"can0"}), "no-such-group"), RecordingLinkSetter())
    for text in ("", " , ", "--help", "can0;x"):
        with pytest.raises(LinkError):
            allowed_names(text)
    assert list(allowed_names("can0, can1,")) == ["can0", "can1"]


@pytest.mark.parametrize("answer", [b"", b"nonsense\n", b"[]\n", b'{"ok": "yes"}\n', b'{"ok": false}\n', b"x" * 99_999])
def test_a_helper_that_answers_nonsense(tmp_path: Path, answer: bytes) -> None:
    """The client raises one error and no other."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()

        def serve() -> None:
            client, _address = listener.accept()
            with client, suppress(ConnectionError):  # who has read enough hangs up
                client.recv(4096)
                client.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(LinkError):
            HelperClient(tmp_path / "s").request(SET)
        thread.join(20)


def test_no_helper(tmp_path: Path) -> None:
    """The error says what to start."""
    with pytest.raises(LinkError, match="outrider bus helper"):
        HelperClient(tmp_path / "none").request(SET)
