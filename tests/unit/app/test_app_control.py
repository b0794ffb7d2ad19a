"""The control socket, over a real Unix socket."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from outrider.app import control
from outrider.app.control import MAX_REQUEST, ControlServer, ask
from outrider.errors import ConfigError, InputError, LinkError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "control.sock"


@pytest.fixture
def server(path: Path) -> Iterator[ControlServer]:
    server = ControlServer(path, lambda: {"device": "T1"})
    server.start()
    yield server
    server.stop()
    assert not path.exists()


def talk(path: Path, data: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(10)
        sock.connect(str(path))
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := sock.recv(65536):
            answer += chunk
        return answer


def test_status(server: ControlServer, path: Path) -> None:
    """One request, one answer; the socket is not for everybody."""
    assert ask(path, "status") == {"device": "T1"}
    assert path.stat().st_mode & 0o777 == 0o660


def test_bad_requests_get_an_answer(server: ControlServer, path: Path) -> None:
    """Garbage, deep nesting, unknown commands and endless lines neither hang nor end the server."""
    assert b"not JSON" in talk(path, b"\x00\xff{\n")
    assert b"not JSON" in talk(path, b"[" * 4000 + b"\n")
    assert b"unknown command" in talk(path, b'{"cmd": "reboot"}\n')
    assert b"unknown command" in talk(path, b"[1]\n")
    assert b"too long" in talk(path, b"x" * (MAX_REQUEST + 10))
    assert talk(path, b'{"cmd": "status"}\n{"cmd": "status"}\n').count(b"T1") == 2
    assert ask(path, "status") == {"device": "T1"}


def test_a_part_of_the_daemon_answers_its_own_commands(path: Path) -> None:
    """The request reaches it whole; what it refuses, and what nobody knows, is an error that says so."""

    def double(request: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(request.get("number"), int):
            raise InputError("number is missing")
        return {"twice": 2 * request["number"]}

    server = ControlServer(path, dict, {"double": double})
    server.start()
    try:
        assert ask(path, "double", number=4) == {"twice": 8}
        with pytest.raises(LinkError, match=": number is missing"):
            ask(path, "double")
        with pytest.raises(LinkError, match="known: status, double"):
            ask(path, "halve")
    finally:
        server.stop()


def test_nobody_there(path: Path) -> None:
    """No daemon: one clear error."""
    with pytest.raises(LinkError, match="outrider run"):
        ask(path, "status")


def test_a_stale_socket_is_replaced(path: Path) -> None:
    """A killed daemon leaves its socket behind; the next one starts all the same."""
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stale:
        stale.bind(str(path))
    server = ControlServer(path, dict)
    server.start()
    assert ask(path, "status") == {}
    server.stop()


def test_a_living_daemon_keeps_its_socket(server: ControlServer, path: Path) -> None:
    """A second daemon with the same socket is refused, and the first can be asked as before."""
    second = ControlServer(path, lambda: {"device": "T2"})
    with pytest.raises(LinkError, match="another daemon answers there"):
        second.start()
    assert ask(path, "status") == {"device": "T1"}


def test_what_is_no_socket_stays(path: Path) -> None:
    """A file in the place of the socket is somebody's: it is named, not removed."""
    path.parent.mkdir()
    path.write_text("mine")
    with pytest.raises(ConfigError, match="no socket"):
        ControlServer(path, dict).start()
    assert path.read_text() == "mine"


def test_another_s_socket_is_not_taken_away(path: Path) -> None:
    """Who stops removes only the socket it made."""
    first = ControlServer(path, lambda: {"device": "T1"})
    first.start()
    path.unlink()
    second = ControlServer(path, lambda: {"device": "T2"})
    second.start()
    first.stop()
    assert ask(path, "status") == {"device": "T2"}
    second.stop()


def test_a_number_that_json_has_not_does_not_end_the_telling(path: Path) -> None:
    """It is an answer too, and the next one is given."""
    server = ControlServer(path, lambda: {"speed": float("nan")})
    server.start()
    try:
        for _ in range(2):
            with pytest.raises(LinkError, match="status failed"):
                ask(path, "status")
    finally:
        server.stop()


def test_a_fault_in_telling_does_not_end_the_telling(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A status that fails is an error answer, and the next question is answered again."""
    answers = iter([ZeroDivisionError("oops"), None])

    def status() -> dict[str, object]:
        fault = next(answers)
        if fault:
            raise fault
        return {"fine": True}

    server = ControlServer(path, status)
    server.start()
    with pytest.raises(LinkError, match="oops"):
        ask(path, "status")
    assert ask(path, "status") == {"fine": True}
    server.stop()


def test_a_trouble_that_is_told_beside_the_answer_is_no_refusal(path: Path) -> None:
    """``outrider data`` and ``wear`` on a disk that refuses: the sums are there, and why they are not kept."""
    server = ControlServer(path, dict, {"data": lambda _request: {"total_bytes": 5, "error": "disk full"}})
    server.start()
    try:
        assert ask(path, "data") == {"total_bytes": 5, "error": "disk full"}
    finally:
        server.stop()


def _is_cut_off(sock: socket.socket) -> bool:
    try:
        sock.sendall(b" ")
        return sock.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def test_a_client_that_never_ends_is_cut_off(
    server: ControlServer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drop by drop, each in time: others want to ask too."""
    monkeypatch.setattr(control, "CLIENT_TIMEOUT_S", 0.5)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(0.1)
        sock.connect(str(path))
        assert any(_is_cut_off(sock) for _ in range(1200))
    monkeypatch.undo()
    assert ask(path, "status") == {"device": "T1"}


def test_no_free_descriptor_does_not_end_the_telling(
    server: ControlServer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """accept() fails while the process has too many files open; afterwards it is asked as before."""
    monkeypatch.setattr(control, "FAULT_S", 0.01)

    class Scarce:
        """The listening socket, which twice has no descriptor to give."""

        def __init__(self, real: socket.socket) -> None:
            self._real, self.faults = real, 2

        def accept(self) -> Any:
            if self.faults:
                self.faults -= 1
                raise OSError(errno.EMFILE, "Too many open files")
            return self._real.accept()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

    scarce = Scarce(server._socket)
    monkeypatch.setattr(server, "_socket", scarce)
    for _ in range(3):
        assert ask(path, "status") == {"device": "T1"}
    assert scarce.faults == 0
