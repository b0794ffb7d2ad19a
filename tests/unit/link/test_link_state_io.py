"""Reading links through a program `ip` that is missing, fails, hangs, floods or answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from outrider.errors import LinkError
from outrider.link import state_io
from outrider.link.state_io import IpLinkState, RecordedLinkState
from tests.support.links import RECORDED, FakeIp, recorded


@pytest.fixture
def ip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeIp:
    fake = FakeIp(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(fake.folder))
    return fake


def script(folder: Path, body: str) -> None:
    (folder / "ip").write_text(f"#!/bin/sh\n{body}\n", encoding="ascii")
    (folder / "ip").chmod(0o755)


def test_reads_one_and_all(ip: FakeIp) -> None:
    """By name, and every CAN interface, other links left out."""
    ip.add("sja1000_listen_only")
    ip.add("vcan_up")
    ip.add("loopback")
    one = IpLinkState().read("can0")
    assert one is not None
    assert one.bitrate == 500_000
    assert [report.name for report in IpLinkState().read_all()] == ["can0", "vcan0"]
    assert IpLinkState().read("can9") is None


def test_the_recorded_word_for_a_missing_interface(ip: FakeIp) -> None:
    """What the real program says on stderr is understood as: not there."""
    words = (RECORDED / "missing.stderr").read_text(encoding="ascii").strip()
    script(ip.folder, f"echo '{words}' >&2; exit 1")
    assert IpLinkState().read("can7") is None


@pytest.mark.parametrize("name", ["", "-h", "can0;reboot", "a" * 16, "can 0", "../x", "can0\n"])
def test_names_that_cannot_be_never_reach_a_command_line(ip: FakeIp, name: str) -> None:
    """Options, shell words, paths and overlong names are refused."""
    with pytest.raises(LinkError, match="cannot be the name"):
        IpLinkState().read(name)


def test_a_failing_program_is_quoted(ip: FakeIp) -> None:
    """Its own words, in one line."""
    script(ip.folder, "echo 'RTNETLINK answers:' >&2; echo 'Operation not permitted' >&2; exit 2")
    with pytest.raises(LinkError, match="can0: `ip` failed: RTNETLINK answers: Operation not permitted"):
        IpLinkState().read("can0")
    with pytest.raises(LinkError, match="Operation not permitted"):
        IpLinkState().read_all()


def test_a_hanging_program_is_given_up(ip: FakeIp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading takes a bounded time."""
    script(ip.folder, "exec sleep 60")
    monkeypatch.setenv("PATH", f"{ip.folder}:/bin:/usr/bin")
    monkeypatch.setattr(state_io, "IP_TIMEOUT_S", 0.1)
    with pytest.raises(LinkError, match="no answer within"):
        IpLinkState().read("can0")


def test_a_flood_is_refused(ip: FakeIp, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endless answer is an error."""
    monkeypatch.setattr(state_io, "MAX_OUTPUT", 10)
    ip.add("vcan_up")
    with pytest.raises(LinkError, match="longer than 10 bytes"):
        IpLinkState().read("vcan0")


def test_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(state_io, "_SBIN", ())
    with pytest.raises(LinkError, match="install iproute2"):
        IpLinkState().read("can0")


def test_the_fake_plays_answers_in_order() -> None:
    """The last one stays."""
    fake = RecordedLinkState({"can0": [None, LinkError("no"), recorded("sja1000_active").replace(b"can1", b"can0")]})
    assert fake.read("can0") is None
    with pytest.raises(LinkError):
        fake.read("can0")
    for _again in range(2):
        report = fake.read("can0")
        assert report is not None
        assert report.bitrate == 500_000
    assert [report.name for report in fake.read_all()] == ["can0"]
    assert fake.read("can9") is None
