"""Where a receiver takes messages from: what its options come to, and what does not go together."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from outrider.cli.ingest_source import with_source
from outrider.errors import ConfigError
from outrider.ingest.notify_io import notify
from outrider.ingest.options import BrokerOptions, ReceiverOptions
from outrider.ingest.sources.jetstream_io import JetStreamConnector

NOTHING: dict[str, Any] = {
    "shared": None, "nats": None, "nats_durable": "outrider-ingest", "nats_replicas": 3, "nats_credentials": None,
    "watch_only": False, "tls": False, "ca_file": None, "cert_file": None, "cert_key_file": None, "username": None,
    "password_file": None,
}  # fmt: skip


def made(client_id: str | None = None, **given: object) -> ReceiverOptions:
    return with_source(ReceiverOptions(broker=BrokerOptions()), NOTHING | given, client_id)


def test_a_receiver_alone_watches_and_keeps_its_session() -> None:
    """As it always was."""
    options = made()
    assert options.deadman is not None
    assert options.broker == BrokerOptions()
    assert made("mine").broker.client_id == "mine"


def test_one_of_a_group_does_not_watch() -> None:
    """It hears a part of the fleet: a car that another one hears would seem to have vanished."""
    assert made(shared="fleet").deadman is None
    assert made(nats="nats://a:4222").deadman is None


def test_a_session_is_kept_for_an_id_that_comes_back_only() -> None:
    """Nobody would ever empty the session of an id made up for this process; two processes have two ids."""
    named, unnamed = made("worker-1", shared="fleet").broker, made(shared="fleet").broker
    assert named.persistent
    assert named.session_expiry_s == 300
    assert not unnamed.persistent
    assert socket.gethostname() in unnamed.client_id
    assert unnamed.shared == "fleet"


def test_the_watch_takes_nothing_away() -> None:
    """QoS 0 and no session at a broker; plain subscriptions at NATS."""
    at_broker, at_nats = made(watch_only=True), made(watch_only=True, nats="nats://a:4222")
    assert at_broker.watch_only
    assert at_broker.deadman is not None
    assert not at_broker.broker.persistent
    assert at_broker.broker.qos == 0
    assert at_nats.deadman is not None
    assert at_nats.nats is not None
    assert at_nats.nats.listen_only


def test_servers_of_a_cluster_are_listed_with_commas() -> None:
    """With or without spaces."""
    nats = made(nats="tls://a:4222, tls://b:4222").nats
    assert nats is not None
    assert nats.servers == ("tls://a:4222", "tls://b:4222")


def test_tls_is_for_nats_too() -> None:
    """Asked for with --tls, a name and a password do not travel in the clear because the address says nats://."""
    for wanted in (True, False):
        nats = made(nats="nats://a:4222", tls=wanted).nats
        assert nats is not None
        assert (JetStreamConnector(nats)._tls is not None) == wanted


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"shared": "g", "nats": "nats://a:1"}, "share them anyway"),
        ({"shared": "g", "watch_only": True}, "hears everything"),
        ({"shared": "a/b"}, "without /"),
        ({"shared": ""}, "without /"),
        ({"nats": "a:4222"}, "nats://HOST:PORT"),
        ({"nats": "mqtt://a:4222"}, "nats://HOST:PORT"),
        ({"nats": ","}, "nats://HOST:PORT"),
    ],
)
def test_what_does_not_go_together_is_said(given: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        made(**given)


def test_the_service_manager_hears_when_we_are_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a socket of the file system or an abstract one; without a service manager nothing happens."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    for address, name in ((str(tmp_path / "s"), str(tmp_path / "s")), (f"@{tmp_path}", f"\0{tmp_path}")):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(name)
            manager.settimeout(60)
            monkeypatch.setenv("NOTIFY_SOCKET", address)
            notify("READY=1")
            assert manager.recv(64) == b"READY=1"
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notify("READY=1")
