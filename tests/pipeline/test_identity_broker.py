"""mosquitto with the configuration of ``outrider ca init``: who may connect, and who may say what.

Each attack is first seen to succeed with the line of the configuration removed that stands against it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from outrider.trust.authority import issue_client, make_root
from outrider.trust.certificates import new_key
from tests.support.identity import Mqtt, MqttRefused, SecureBroker, pair, pem_file, secure_broker

CRL = "crlfile {}/crl.pem"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    """One broker for all that changes nothing."""
    with secure_broker(tmp_path_factory.mktemp("ca")) as found:
        yield found


def device(broker: SecureBroker, name: str, client_id: str | None = None, pem: Path | None = None) -> Mqtt:
    directory = broker.authority.directory
    file = pem or pair(broker.authority, directory, name)
    return Mqtt(directory / "roots.pem", broker.port, file, client_id or name)


def receiver(broker: SecureBroker, client_id: str = "ingest-1") -> Mqtt:
    directory = broker.authority.directory
    return Mqtt(
        directory / "roots.pem", broker.receiver_port, directory / "receiver.pem", client_id, directory / "receiver.key"
    )


def test_a_terminal_and_a_receiver_talk(broker: SecureBroker) -> None:
    """Records go up under the terminal's own name, acknowledgements come down; receivers may share a certificate."""
    with receiver(broker) as ingest, receiver(broker, "ingest-2") as second, device(broker, "bus-1") as bus:
        for topic in ("t/+/e", "t/+/d", "t/+/s", "t/+/b"):
            assert ingest.subscribe(topic)
        bus.subscribe("t/bus-1/a")
        for leaf in "edsb":
            assert bus.publish(f"t/bus-1/{leaf}")
            ingest.wait_topic(f"t/bus-1/{leaf}")
        assert second.publish("t/bus-1/a")
        bus.wait_topic("t/bus-1/a")
        assert ingest.connected


def speaks_as_another(broker: SecureBroker) -> bool:
    with receiver(broker) as ingest:
        ingest.subscribe("t/+/e")
        with device(broker, "eve") as eve:
            taken = eve.publish("t/bus-1/e")
        with device(broker, "eve") as eve:
            assert eve.publish("t/eve/e")
        ingest.wait_topic("t/eve/e")  # what came before it would be there by now
        return taken or "t/bus-1/e" in ingest.topics


def hears_another(broker: SecureBroker) -> bool:
    with receiver(broker) as ingest, device(broker, "eve") as eve:
        for topic in ("t/bus-1/a", "t/+/a", "#", "t/eve/a"):
            eve.subscribe(topic)
        ingest.publish("t/bus-1/a")
        ingest.publish("t/eve/a")
        eve.wait_topic("t/eve/a")
        return "t/bus-1/a" in eve.topics


def forges_an_acknowledgement(broker: SecureBroker) -> bool:
    with device(broker, "bus-1") as bus, device(broker, "eve") as eve:
        return eve.publish("t/bus-1/a") or bus.publish("t/bus-1/a")


def test_a_terminal_speaks_and_hears_under_its_own_name_only(broker: SecureBroker) -> None:
    """Not as another, not what is for another, no acknowledgements of its own making."""
    assert not speaks_as_another(broker)
    assert not hears_another(broker)
    assert not forges_an_acknowledgement(broker)


def takes_a_session(broker: SecureBroker) -> bool:
    """Connect under another's client id: MQTT ends the older session of that id."""
    with device(broker, "bus-1") as bus, device(broker, "eve", client_id="bus-1") as eve:
        assert eve.connected
        return not bus.publish("t/bus-1/e")


def test_the_client_id_is_the_name_in_the_certificate(broker: SecureBroker) -> None:
    """Nobody ends another's session by asking for its client id."""
    assert not takes_a_session(broker)


def refused(broker: SecureBroker, pem: Path | None) -> bool:
    directory = broker.authority.directory
    try:
        with Mqtt(directory / "roots.pem", broker.port, pem, "bus-1"):
            return False
    except MqttRefused:
        return True


def strangers(broker: SecureBroker) -> dict[str, Path]:
    """Certificates that must not open the door, by what is wrong with them."""
    directory, now_s = broker.authority.directory, time.time()
    foreign, own_key = make_root("Test CA 1", now_s, 10), new_key()
    return {
        "expired": pair(broker.authority, directory, "bus-1", days=1, now_s=now_s - 3 * 86_400),
        "of an authority of the same name": pem_file(
            directory / "foreign.pem", own_key, issue_client(foreign, own_key.public_key(), "bus-1", now_s, 5)
        ),
        "self-signed": pem_file(directory / "self.pem", foreign.key, foreign.certificate),
        "of a server": _server_pair(broker),
    }


def _server_pair(broker: SecureBroker) -> Path:
    directory = broker.authority.directory
    both = (directory / "server.key").read_bytes() + (directory / "server.pem").read_bytes()
    path = directory / "server-as-client.pem"
    path.write_bytes(both)
    return path


def test_only_valid_certificates_of_the_authority_open_the_door(broker: SecureBroker) -> None:
    """Expired, foreign (also under the same name), self-signed, of another purpose, none at all: refused."""
    for what, pem in strangers(broker).items():
        assert refused(broker, pem), what
    assert refused(broker, None)
    assert not refused(broker, pair(broker.authority, broker.authority.directory, "bus-1"))


def test_a_revoked_terminal_is_refused_without_a_restart(tmp_path: Path) -> None:
    """ca revoke writes the list and tells mosquitto; the other terminals stay connected."""
    with secure_broker(tmp_path / "ca") as broker:
        stolen = pair(broker.authority, tmp_path, "bus-1")
        with device(broker, "bus-2") as other, device(broker, "bus-1", pem=stolen) as open_before:
            assert broker.authority.revoke("bus-1", "stolen") == 1
            broker.wait_reloaded()
            assert refused(broker, stolen)
            assert other.connected
            assert other.publish("t/bus-2/e")
            assert open_before.publish("t/bus-1/e")  # docs/operate/identity.md: what is open stays open


def test_each_attack_succeeds_without_its_defence(tmp_path: Path) -> None:
    """Lines of the configuration are what stops them: the access list, the name as client id, the revocation list."""
    directory = tmp_path / "ca"
    lines = (
        f"acl_file {directory}/acl",
        "use_username_as_clientid true",
        CRL.format(directory),
    )
    with secure_broker(directory, *lines) as broker:
        assert speaks_as_another(broker)
        assert hears_another(broker)
        assert forges_an_acknowledgement(broker)
        assert takes_a_session(broker)
        stolen = pair(broker.authority, tmp_path, "bus-1")
        broker.authority.revoke("bus-1", "stolen")
        broker.wait_reloaded()
        assert not refused(broker, stolen)


def test_without_the_duty_to_show_a_certificate_anybody_comes_in(tmp_path: Path) -> None:
    """``require_certificate`` is what keeps out those who have none."""
    lines = ("require_certificate true", "use_identity_as_username true", "use_username_as_clientid true")
    with secure_broker(tmp_path / "ca", *lines, more="allow_anonymous true") as broker:
        assert not refused(broker, None)


def test_a_new_root_and_then_new_servers_cut_nobody_off(tmp_path: Path) -> None:
    """Rotation with the broker running: terminals of both generations connect, before and after the servers change."""
    with secure_broker(tmp_path / "ca") as broker:
        ca = broker.authority
        old = pair(ca, tmp_path, "bus-1")
        ca.rotate()
        broker.wait_reloaded()
        new = pair(ca, tmp_path, "bus-2")
        assert not refused(broker, old)
        assert not refused(broker, new)
        ca.serve_newest()
        assert not refused(broker, old)
        assert not refused(broker, new)
