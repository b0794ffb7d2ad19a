"""Carrying a search out on a fake link: listen-only at every moment, and the link left well."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from outrider.errors import LinkError
from outrider.link.detect import Candidate, Detection, Outcome, Tally, Trial
from outrider.link.detect_io import FoundBitrates, Search
from outrider.link.listen_io import SocketListener, add
from outrider.link.set_io import IpLinkSetter
from outrider.link.state_io import IpLinkState
from tests.support.can_feed import CAN_ERR, classic, fd_frame
from tests.support.links import FakeIp


@pytest.fixture
def ip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeIp:
    fake = FakeIp(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(fake.folder))
    return fake


class Ears:
    """Hears frames at one rate and errors at others; checks that the link only listens whenever it is heard."""

    def __init__(self, ip: FakeIp, bitrate: int | None) -> None:
        self._ip = ip
        self._bitrate = bitrate
        self.windows: list[float] = []

    def listen(self, device: str, seconds: float) -> Tally:
        self.windows.append(seconds)
        data = self._ip.read()[device]["linkinfo"]["info_data"]
        assert "LISTEN-ONLY" in data["ctrlmode"]
        assert "BERR-REPORTING" in data["ctrlmode"]
        if self._bitrate is None:
            return Tally()
        return Tally(frames=9) if data["bittiming"]["bitrate"] == self._bitrate else Tally(errors=20)


def search(ip: FakeIp, ears: Ears) -> tuple[Detection, list[Trial]]:
    state = IpLinkState()
    report = state.read("can0")
    assert report is not None
    detection, trials = Detection(report), []
    Search("can0", state, IpLinkSetter(state), ears, 0.5).run(detection, trials.append)
    return detection, trials


def test_found_and_left_listening(ip: FakeIp) -> None:
    """Each trial is told; at the end the link is up, listening, at the rate."""
    ip.add("sja1000_active", ifname="can0")
    detection, trials = search(ip, Ears(ip, 125_000))
    assert detection.outcome is Outcome.FOUND
    assert [trial.candidate.bitrate for trial in trials] == [500_000, 250_000, 125_000]
    after = IpLinkState().read("can0")
    assert after is not None
    assert (after.up, after.mode, after.bitrate) == (True, "listen-only", 125_000)


@pytest.mark.parametrize("bitrate", [None, 800_000])
def test_not_found_and_left_down(ip: FakeIp, bitrate: int | None) -> None:
    """A link at a rate that is known to be wrong does not stay up."""
    ip.add("sja1000_fresh")
    ears = Ears(ip, bitrate)
    detection, trials = search(ip, ears)
    assert detection.outcome is (Outcome.ASLEEP if bitrate is None else Outcome.FAILED)
    assert ears.windows == [0.5] * len(trials)
    after = IpLinkState().read("can0")
    assert after is not None
    assert not after.up


def test_a_link_that_does_not_listen_only_ends_the_search_at_once(ip: FakeIp) -> None:
    """Before anything is heard at it; the link is taken down."""
    ip.add("sja1000_fresh", stays_active=True)
    ears = Ears(ip, 500_000)
    with pytest.raises(LinkError, match="does not stay listen-only"):
        search(ip, ears)
    assert ears.windows == []
    after = IpLinkState().read("can0")
    assert after is not None
    assert not after.up


def test_an_interface_that_is_pulled_out(ip: FakeIp) -> None:
    """The search ends with the reason."""
    ip.add("sja1000_fresh")

    class Pulled(Ears):
        def listen(self, device: str, seconds: float) -> Tally:
            ip.write({})
            return Tally()

    with pytest.raises(LinkError, match="no interface can0"):
        search(ip, Pulled(ip, None))


def test_counting() -> None:
    """Good frames, FD ones among them, error frames; a restart is no error of the bus."""
    tally = Tally()
    for datagram in (
        classic(0x123, b"\1"),
        fd_frame(0x123, bytes(12), 4),
        classic(CAN_ERR | 0x88, bytes(8)),
        classic(CAN_ERR | 0x100, bytes(8)),
        struct.pack("=IB3x8s", 0x9FFF_FFFF, 8, bytes(8)),
    ):
        tally = add(tally, datagram)
    assert tally == Tally(frames=3, fd_frames=1, errors=1)


def test_a_bus_that_cannot_be_heard() -> None:
    """No CAN in the kernel, or no such interface: an error that names it."""
    with pytest.raises(LinkError, match="nocan0 cannot be listened to"):
        SocketListener().listen("nocan0", 0.1)


def test_found_rates_are_kept(tmp_path: Path) -> None:
    """By interface; whatever else stands in the file is as good as nothing."""
    file = tmp_path / "state" / "bitrates.json"
    known = FoundBitrates(file)
    assert known.get("can0") is None
    known.put("can0", Candidate(500_000))
    known.put("can1", Candidate(500_000, 2_000_000))
    assert (known.get("can0"), known.get("can1")) == (Candidate(500_000), Candidate(500_000, 2_000_000))
    assert [p.name for p in file.parent.iterdir()] == ["bitrates.json"]
    for damage in ("", "[]", '{"can0": 5}', '{"can0": {"bitrate": true}}', '{"can0": {"bitrate": 1e9}}', "[" * 99_999):
        file.write_text(damage, encoding="ascii")
        assert known.get("can0") is None
    known.put("can0", Candidate(250_000))
    assert known.get("can0") == Candidate(250_000)
