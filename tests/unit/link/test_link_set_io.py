"""Setting links through `ip`: the order of calls, what happens when one fails, drivers that cannot restart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from outrider.errors import LinkError
from outrider.link.set_io import IpLinkSetter
from outrider.link.settings import LinkDown, LinkUp, RestartLink, SetLink
from outrider.link.state_io import IpLinkState
from tests.support.links import FakeIp


@pytest.fixture
def ip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeIp:
    fake = FakeIp(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(fake.folder))
    return fake


def test_down_set_up(ip: FakeIp) -> None:
    """A running link is taken down first; afterwards it listens at the new rate."""
    ip.add("sja1000_active", ifname="can0")
    IpLinkSetter().request(SetLink("can0", bitrate=125_000))
    assert [line.split()[4] for line in ip.changes()] == ["down", "type", "up"]
    after = IpLinkState().read("can0")
    assert after is not None
    assert (after.up, after.mode, after.bitrate) == (True, "listen-only", 125_000)


def test_refused_before_anything_is_touched(ip: FakeIp) -> None:
    """Active mode without leave, interfaces without a controller, ones that are not there."""
    ip.add("sja1000_active", ifname="can0")
    ip.add("vcan_up")
    for request, words in (
        (SetLink("can0", bitrate=500_000, listen_only=False), "acknowledge"),
        (LinkUp("can0"), "acknowledge"),
        (SetLink("vcan0", bitrate=500_000), "no controller"),
        (LinkUp("can9"), "no interface can9"),
    ):
        with pytest.raises(LinkError, match=words):
            IpLinkSetter().request(request)
    assert ip.changes() == []
    IpLinkSetter(allow_active=True).request(LinkUp("can0"))
    assert ip.changes() == ["link set dev can0 up"]


def test_what_cannot_be_set_leaves_the_link_down_and_says_so(ip: FakeIp) -> None:
    """A controller that refuses the rate."""
    ip.add("sja1000_active", ifname="can0")
    program = ip.folder / "ip"
    text = program.read_text(encoding="utf-8")
    program.write_text(
        text.replace("options = dict", 'fail("RTNETLINK answers: Invalid argument")\n    options = dict')
    )
    with pytest.raises(LinkError, match="Invalid argument; can0 is left down"):
        IpLinkSetter().request(SetLink("can0", bitrate=125_000))
    after = IpLinkState().read("can0")
    assert after is not None
    assert not after.up


@pytest.mark.parametrize("no_restart", [False, True])
def test_restart_as_the_driver_can(ip: FakeIp, no_restart: bool) -> None:
    """On demand where that is known, else down and up (the real slcan driver says that it cannot)."""
    ip.add("sja1000_listen_only", no_restart=no_restart)
    links = ip.read()
    links["can0"]["linkinfo"]["info_data"]["restart_ms"] = 0
    ip.write(links)
    with pytest.raises(LinkError, match="not bus-off"):
        IpLinkSetter().request(RestartLink("can0"))
    ip.state("can0", "BUS-OFF")
    IpLinkSetter().request(RestartLink("can0"))
    after = IpLinkState().read("can0")
    assert after is not None
    assert (after.state, after.carrier) == ("ERROR-ACTIVE", True)
    assert len(ip.changes()) == (3 if no_restart else 1)


def test_no_restart_where_the_kernel_does_it(ip: FakeIp) -> None:
    """restart-ms is set."""
    ip.add("sja1000_listen_only")
    ip.state("can0", "BUS-OFF")
    with pytest.raises(LinkError, match="restarts it after 100 ms"):
        IpLinkSetter().request(RestartLink("can0"))
    assert ip.changes() == []


def test_down_is_always_allowed(ip: FakeIp) -> None:
    """Also for a link that acknowledges."""
    ip.add("sja1000_active", ifname="can0")
    IpLinkSetter().request(LinkDown("can0"))
    assert json.loads((ip.folder / "links.json").read_text())["can0"]["operstate"] == "DOWN"
