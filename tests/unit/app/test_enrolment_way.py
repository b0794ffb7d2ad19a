"""Enrolment through the proxy that leads to the broker."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from outrider.app.enrolment import est_client
from outrider.config import parse_config
from outrider.errors import LinkError, TrustError
from outrider.trust.enrol_io import enrol, renew
from outrider.trust.identity_io import DeviceIdentity
from tests.support.identity import Wall, enrolment
from tests.support.proxies import SmallProxy


@pytest.mark.parametrize("kind", ["http", "socks5"])
def test_enrolment_and_renewal_go_through_the_proxy_of_the_uplink(tmp_path: Path, kind: str) -> None:
    """Every exchange, and TLS still ends at the enrolment server."""
    with enrolment(tmp_path / "ca") as served, closing(SmallProxy(kind)) as proxy:
        config = parse_config(f"[identity]\n[uplink]\nproxy = '{kind}://127.0.0.1:{proxy.port}'\n", Path("x.toml"))
        identity = DeviceIdentity(tmp_path / "identity", Wall())
        client = est_client(config, tmp_path, served.url)
        enrol(identity, served.provisioning("bus-17"), client)
        assert set(proxy.asked) == {("localhost", served.port)}
        count = len(proxy.asked)
        renew(identity, client)
        assert len(proxy.asked) > count


def test_a_proxy_that_is_none_or_not_there_is_named(tmp_path: Path) -> None:
    """A link error with the proxy's address: tried again later. What poses as the server behind it is not believed."""
    with enrolment(tmp_path / "ca") as served, closing(SmallProxy("http")) as proxy:
        for port, mood, words in (
            (1, "good", r"127\.0\.0\.1:1"),
            (proxy.port, "babble", "proxy"),
            (proxy.port, "refuse", "proxy"),
        ):
            proxy.mood = mood
            config = parse_config(f"[identity]\n[uplink]\nproxy = 'http://127.0.0.1:{port}'\n", Path("x.toml"))
            with pytest.raises(LinkError, match=words):
                est_client(config, tmp_path, served.url).pinned_roots("sha256:" + "0" * 64)
        proxy.mood = "good"
        config = parse_config(f"[identity]\n[uplink]\nproxy = 'http://127.0.0.1:{proxy.port}'\n", Path("x.toml"))
        with pytest.raises(TrustError, match="not the one"):
            est_client(config, tmp_path, served.url).pinned_roots("sha256:" + "0" * 64)
