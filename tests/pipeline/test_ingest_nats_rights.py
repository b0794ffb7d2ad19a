"""Who may say what at a NATS server: the rights that docs/operate/fleet.md shows, with our authority's certificates."""

from __future__ import annotations

import random
import ssl
import threading
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from outrider.clock import SystemClock
from outrider.ingest.keys import KeyRing
from outrider.ingest.options import NatsOptions, ReceiverOptions
from outrider.ingest.receiver_io import Receiver
from outrider.uplink.options import TlsOptions
from tests.support.delivery import DEVICE, KEY, fill, make_uplink, running, stored
from tests.support.identity import authority, pair
from tests.support.memory_log import MemoryLog
from tests.support.nats_cluster import NatsCluster
from tests.support.terminal import wait_until

TLS = 'tls { cert_file: "CA/server.pem", key_file: "CA/server.key", ca_file: "CA/roots.pem", verify_and_map: true }'
RIGHTS = """
authorization { users = [
  { user: "CN=receiver.outrider", permissions: {
      publish: ["t.*.a", "$JS.API.>", "$JS.ACK.>"], subscribe: ["_INBOX.>", "t.>"] } }
  { user: "CN=car-1", allowed_connection_types: ["MQTT"], permissions: {
      publish: ["t.car-1.d", "t.car-1.e", "t.car-1.s", "t.car-1.b"], subscribe: ["t.car-1.a"] } }
  { user: "CN=thief", allowed_connection_types: ["MQTT"], permissions: {
      publish: ["t.thief.d", "t.thief.e", "t.thief.s", "t.thief.b"], subscribe: ["t.thief.a"] } }
] }
"""
FORGED = 'publish: ["t.thief.d", "t.thief.e", "t.thief.s", "t.thief.b"]'


def say(port: int, roots: Path, certificate: Path, messages: list[tuple[str, bytes]]) -> None:
    """An MQTT client with this certificate says all of it, one after the other, as far as it is let."""
    client = Client(CallbackAPIVersion.VERSION2, client_id="thief", protocol=MQTTProtocolVersion.MQTTv311)
    context = ssl.create_default_context(cafile=roots)
    context.load_cert_chain(certificate)
    client.tls_set_context(context)
    client.connect("localhost", port)
    client.loop_start()
    try:
        wait_until("connected", client.is_connected)
        for topic, payload in messages:
            client.publish(topic, payload, qos=1)
        wait_until("said", lambda: not client.want_write())
        client.publish(messages[-1][0], b"end", qos=1).wait_for_publish(60)
    finally:
        client.disconnect()
        client.loop_stop()


@pytest.mark.parametrize("guarded", [True, False], ids=["with rights", "without"])
def test_a_terminal_speaks_under_its_own_name_only(tmp_path: Path, *, guarded: bool) -> None:
    """Records of a terminal with its certificate arrive over TLS; what another publishes in its name does not, and does
    without the rights (they are what keeps it out)."""
    ca = tmp_path / "ca"
    made = authority(ca)
    own, thief = pair(made, tmp_path, DEVICE), pair(made, tmp_path, "thief")
    rights = RIGHTS.replace("CA/", f"{ca}/")
    if not guarded:
        rights = rights.replace(FORGED, 'publish: ["t.>"]')
    tls = TLS.replace("CA/", f"{ca}/")
    cluster = NatsCluster(tmp_path, 1, f"{tls}\n{rights}", tls)
    options = ReceiverOptions(
        database=tmp_path / "r.db",
        keys=KeyRing({DEVICE: KEY}),
        deadman=None,
        nats=NatsOptions(
            (f"tls://localhost:{cluster.ports[0]}",),
            ca_file=ca / "roots.pem",
            certificate_file=ca / "receiver.pem",
            key_file=ca / "receiver.key",
            replicas=1,
        ),
    )
    receiver, stop = Receiver(options, SystemClock()), threading.Event()
    thread = threading.Thread(target=receiver.run, args=(stop,), daemon=True)
    log = MemoryLog()
    fill(log, random.Random(1), telemetry_rows=60, events=3)
    try:
        cluster.wait_up()
        thread.start()
        assert receiver.connected.wait(60), cluster.log(0)
        options_tls = TlsOptions(ca / "roots.pem", own)
        with running(make_uplink(log, cluster.mqtt_ports[0], host="localhost", tls=options_tls)):
            assert log.wait_acknowledged(60), cluster.log(0)
        garbage = [(f"t/{DEVICE}/d", b"\xff forged"), ("t/thief/d", b"\xff own")]
        say(cluster.mqtt_ports[0], ca / "roots.pem", thief, garbage)
        wait_until("heard", lambda: receiver.stats()["dead_letters"] == (2 if guarded else 3))
    finally:
        stop.set()
        if thread.ident is not None:
            thread.join(60)
        cluster.close()
    assert stored(tmp_path / "r.db") == log.digest()
