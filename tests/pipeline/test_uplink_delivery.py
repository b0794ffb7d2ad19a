"""Uplink and receiver over a real broker: what was written arrives, whatever is killed on the way."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from outrider.ingest.sinks.store_io import Store
from outrider.model.record import Lane
from outrider.uplink.options import AckMode, SendOptions, TlsOptions
from tests.support.broker import Broker
from tests.support.chaos_proxy import ChaosProxy
from tests.support.delivery import (
    DEVICE,
    ReceiverProcess,
    birth,
    fill,
    make_uplink,
    receiver,
    running,
    stored,
    uplink_options,
)
from tests.support.memory_log import MemoryLog, opaque, telemetry


@pytest.fixture
def proxy(broker: Broker) -> Iterator[ChaosProxy]:
    made = ChaosProxy(broker.port)
    yield made
    made.close()


def assert_in_order(database: Path) -> None:
    """Nothing is missing or in doubt; lanes of which nothing goes ahead were stored in the order of their sequence."""
    with Store.open(database, read_only=True) as store:
        assert store.dead_letters() == []
        assert store.gaps() == []
        query = "SELECT epoch, lane, seq, received_utc_us FROM records ORDER BY epoch, lane, seq"
        last: dict[tuple[int, int], tuple[int, int]] = {}
        for epoch, lane, seq, when in store.sql.rows(query):
            before = last.get((epoch, lane), (0, 0))
            assert seq == before[0] + 1
            assert lane in (Lane.EVENT, Lane.TELEMETRY) or when >= before[1]
            last[epoch, lane] = (seq, when)


def test_everything_arrives_with_equal_content(broker: Broker, tmp_path: Path) -> None:
    """All lanes, two epochs: the receiver holds exactly what was written, by hash of the canonical records."""
    log, rng, database = MemoryLog(), random.Random(1), tmp_path / "r.db"
    fill(log, rng, telemetry_rows=1000, events=20, bulk=10)
    log.new_epoch(0xFFFFFFFFFFFFFFFE)
    fill(log, rng, telemetry_rows=130, events=3)
    log.append(opaque(Lane.EMERGENCY, 1, 300, rng))
    log.append(opaque(Lane.LEDGER, 1, 300, rng))
    heard: list[tuple[int, Lane, int, int]] = []
    with receiver(broker.port, database) as received:
        uplink = make_uplink(log, broker.port, on_acknowledged=lambda *position: heard.append(position))
        with running(uplink):
            assert log.wait_acknowledged(60)
            status = uplink.status()
            assert status.protocol == "5.0"
            assert status.connected
            assert not any(status.backlog.values())
            assert status.received_bytes["link"] > 0
            classes = {k: v for k, v in status.sent_bytes.items() if k not in ("link", "segments")}
            assert status.sent_bytes["link"] > sum(classes.values()) > 0
        assert received.stats()["dead_letters"] == 0
    assert stored(database) == log.digest()
    assert (0xFFFFFFFFFFFFFFFE, Lane.EMERGENCY, 1) in {position[:3] for position in heard}
    assert_in_order(database)
    with Store.open(database, read_only=True) as store:
        assert store.devices()[0]["online"] is False  # it said goodbye


def test_broker_killed_ten_times(broker: Broker, tmp_path: Path) -> None:
    """SIGKILL takes with it what the broker confirmed: everything arrives all the same, in lane order."""
    log, rng, database = MemoryLog(), random.Random(2), tmp_path / "r.db"
    with receiver(broker.port, database), running(make_uplink(log, broker.port)) as uplink:
        for _ in range(10):
            fill(log, rng, telemetry_rows=120, events=4)
            broker.kill()
            broker.start()
            log.append(opaque(Lane.EMERGENCY, 1, 100, rng))
            assert log.wait_acknowledged(60, Lane.EMERGENCY)
        assert log.wait_acknowledged(60)
        assert uplink.status().counters["connects"] > 5
    assert stored(database) == log.digest()
    assert_in_order(database)


def test_receiver_killed_ten_times(broker: Broker, tmp_path: Path) -> None:
    """SIGKILL of the receiver in the middle: nothing lost, nothing twice, and it ends cleanly on SIGTERM."""
    log, rng = MemoryLog(), random.Random(3)
    process = ReceiverProcess(broker.port, tmp_path)
    with running(make_uplink(log, broker.port)):
        for _ in range(10):
            process.start()
            log.append(opaque(Lane.EMERGENCY, 1, 100, rng))
            fill(log, rng, telemetry_rows=120, events=4)
            assert log.wait_acknowledged(60, Lane.EMERGENCY), process.log()
            process.kill()
        process.start()
        log.append(opaque(Lane.EMERGENCY, 2, 100, rng))  # only this process can acknowledge it
        assert log.wait_acknowledged(60), process.log()
        assert process.terminate() == 0
    assert '"final":true' in process.log()
    assert stored(process.database) == log.digest()
    assert_in_order(process.database)


def test_broker_and_receiver_killed_in_turn(broker: Broker, tmp_path: Path) -> None:
    """Both die, also at the same time."""
    log, rng = MemoryLog(), random.Random(4)
    process = ReceiverProcess(broker.port, tmp_path)
    process.start()
    with running(make_uplink(log, broker.port)):
        for turn in range(6):
            fill(log, rng, telemetry_rows=100, events=3)
            if turn % 3 != 0:
                process.kill()
            if turn % 3 != 1:
                broker.kill()
                broker.start()
            if turn % 3 != 0:
                process.start()
            log.append(opaque(Lane.EMERGENCY, 1, 100, rng))
            assert log.wait_acknowledged(60, Lane.EMERGENCY), process.log()
        assert log.wait_acknowledged(60), process.log()
    process.terminate()
    assert stored(process.database) == log.digest()
    assert_in_order(process.database)


def test_links_that_cut_swallow_and_swallow_whole(broker: Broker, proxy: ChaosProxy, tmp_path: Path) -> None:
    """Cuts at any moment, PUBACKs lost before a cut, a black hole: all arrives, the window is never exceeded."""
    log, rng, database = MemoryLog(), random.Random(5), tmp_path / "r.db"
    send = SendOptions(batch_records=10, backfill_records=10, batch_age_s=0.2, ack_timeout_s=0.5, puback_timeout_s=1.0)
    with receiver(broker.port, database), running(make_uplink(log, proxy.port, send=send)) as uplink:
        for turn in range(12):
            proxy.swallow_pubacks = turn % 3 == 1
            proxy.black_hole = turn % 6 == 5
            fill(log, rng, telemetry_rows=150, events=3)
            seen = proxy.upstream_packets
            log.append(opaque(Lane.EMERGENCY, 1, 50, rng))
            if proxy.black_hole or proxy.swallow_pubacks:
                _wait_for(lambda seen=seen: proxy.upstream_packets > seen)  # type: ignore[misc]  # loop variable
            else:
                assert log.wait_acknowledged(60, Lane.EMERGENCY)
            proxy.cut()
        proxy.swallow_pubacks = proxy.black_hole = False
        proxy.cut()
        assert log.wait_acknowledged(60)
        assert uplink.status().counters["connects"] >= 8
    assert 1 < proxy.max_unacknowledged <= 8
    assert stored(database) == log.digest()
    assert_in_order(database)


def test_a_black_hole_is_noticed_by_itself(broker: Broker, proxy: ChaosProxy, tmp_path: Path) -> None:
    """No PUBACK within the time-out: the link is dropped and made anew, without anyone cutting it."""
    log, rng, database = MemoryLog(), random.Random(6), tmp_path / "r.db"
    send = SendOptions(batch_age_s=0.2, puback_timeout_s=0.5)
    with receiver(broker.port, database), running(make_uplink(log, proxy.port, send=send)) as uplink:
        log.append(opaque(Lane.EVENT, 1, 50, rng))
        assert log.wait_acknowledged(30)
        proxy.black_hole = True
        log.append(opaque(Lane.EVENT, 2, 50, rng))
        _wait_for(lambda: uplink.status().counters.get("puback_timeouts", 0) > 0)
        proxy.black_hole = False
        assert log.wait_acknowledged(30)
    assert stored(database) == log.digest()


def test_a_broker_of_the_older_version_that_just_hangs_up(broker: Broker, proxy: ChaosProxy, tmp_path: Path) -> None:
    """MQTT 5 is hung up on: the uplink goes on in 3.1.1, and stays with it."""
    proxy.refuse_v5 = True
    log, rng, database = MemoryLog(), random.Random(7), tmp_path / "r.db"
    with receiver(proxy.port, database), running(make_uplink(log, proxy.port)) as uplink:
        fill(log, rng, telemetry_rows=100, events=2)
        assert log.wait_acknowledged(60)
        assert uplink.status().protocol == "3.1.1"
        proxy.cut()
        log.append(opaque(Lane.EMERGENCY, 1, 50, rng))
        assert log.wait_acknowledged(60)
        assert uplink.status().protocol == "3.1.1"
    assert stored(database) == log.digest()


def test_an_emergency_overtakes_a_backlog(broker: Broker, tmp_path: Path) -> None:
    """With hundreds of telemetry and bulk records waiting, the emergency is stored before them."""
    log, rng, database = MemoryLog(), random.Random(8), tmp_path / "r.db"
    fill(log, rng, telemetry_rows=3000, events=10, bulk=60)
    log.append(opaque(Lane.EMERGENCY, 1, 300, rng))
    with receiver(broker.port, database), running(make_uplink(log, broker.port)):
        assert log.wait_acknowledged(60, Lane.EMERGENCY)
        log.append(opaque(Lane.EMERGENCY, 2, 300, rng))
        assert log.wait_acknowledged(60)
    with Store.open(database, read_only=True) as store:
        rows = store.sql.rows("SELECT lane, seq FROM records ORDER BY received_utc_us, lane")
    assert rows[0] == (Lane.EMERGENCY, 1)
    assert rows.index((Lane.EMERGENCY, 2)) < rows.index((Lane.BULK, 60))


def test_forged_and_absurd_acknowledgements_free_nothing(broker: Broker, tmp_path: Path) -> None:
    """A broker, or anyone on it, cannot make the terminal forget: refused, counted, and the data arrives."""
    from paho.mqtt import publish

    from outrider.wire.ack import Ack, LanePosition, sign_ack
    from outrider.wire.topics import Topics
    from tests.support.delivery import KEY

    log, rng, database = MemoryLog(), random.Random(9), tmp_path / "r.db"
    fill(log, rng, telemetry_rows=90)
    with running(make_uplink(log, broker.port)) as uplink:
        _wait_for(lambda: uplink.status().counters.get("pubacks", 0) >= 2)

        def say(payload: bytes) -> None:
            publish.single(Topics(DEVICE).ack, payload, qos=1, hostname="127.0.0.1", port=broker.port)

        everything = (LanePosition(log.epoch, Lane.TELEMETRY, 90),)
        say(sign_ack(Ack(DEVICE, 1, everything), b"x" * 32))
        say(b"no acknowledgement at all")
        say(sign_ack(Ack(DEVICE, 2, (LanePosition(log.epoch, Lane.TELEMETRY, 91),)), KEY))
        say(sign_ack(Ack(DEVICE, 3, (LanePosition(log.epoch + 1, Lane.TELEMETRY, 9),)), KEY))
        say(sign_ack(Ack(DEVICE, 1, everything), KEY))
        _wait_for(lambda: uplink.status().counters.get("acks_replayed", 0) == 1)
        counters = uplink.status().counters
        assert (counters["acks_forged"], counters["acks_absurd"]) == (2, 2)
        assert log.streams()[0].acknowledged == 0
        with receiver(broker.port, database):
            assert log.wait_acknowledged(60)
    assert stored(database) == log.digest()


def test_a_new_receiver_does_not_wait_for_what_was_freed(broker: Broker, tmp_path: Path) -> None:
    """A receiver with an empty database goes on where the terminal is, and names the range it never got."""
    log, rng = MemoryLog(), random.Random(10)
    with running(make_uplink(log, broker.port)):
        with receiver(broker.port, tmp_path / "old.db"):
            fill(log, rng, telemetry_rows=120)
            assert log.wait_acknowledged(60)
        with receiver(broker.port, tmp_path / "new.db", client_id="other"):
            fill(log, rng, telemetry_rows=60)
            assert log.wait_acknowledged(60)
    with Store.open(tmp_path / "new.db", read_only=True) as store:
        (gap,) = store.gaps()
        assert (gap.first_seq, gap.last_seq, gap.reason) == (1, 120, "released")
        assert list(store.positions().values()) == [180]


def test_broker_mode_takes_the_puback_as_final(broker: Broker) -> None:
    """Without a receiver of ours the PUBACK frees the log."""
    log, rng = MemoryLog(), random.Random(11)
    fill(log, rng, telemetry_rows=500, events=30, bulk=5)
    with running(make_uplink(log, broker.port, ack=AckMode.BROKER, ack_key=b"")):
        assert log.wait_acknowledged(60)


def test_stop_delivers_what_is_there(broker: Broker, tmp_path: Path) -> None:
    """A flush on stop sends partial batches and waits for their acknowledgement."""
    log, rng, database = MemoryLog(), random.Random(12), tmp_path / "r.db"
    slow = SendOptions(batch_age_s=3600)
    with receiver(broker.port, database):
        uplink = make_uplink(log, broker.port, send=slow)
        uplink.start()
        log.append(telemetry(1, rng))
        uplink.stop(flush_timeout_s=30)
    assert stored(database) == log.digest()


def test_tls_with_client_certificates(tmp_path: Path) -> None:
    """Mutual TLS works; an authority that did not sign the broker is refused."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl: apt-get install openssl")
    _make_certificates(openssl, tmp_path, "ca", "broker", "car")
    (tmp_path / "other").mkdir()
    _make_certificates(openssl, tmp_path / "other", "ca")
    broker = Broker(
        tmp_path,
        listener=f"cafile {tmp_path}/ca.pem\ncertfile {tmp_path}/broker.pem\nkeyfile {tmp_path}/broker.key\n"
        "require_certificate true",
    )
    try:
        log, rng, database = MemoryLog(), random.Random(13), tmp_path / "r.db"
        fill(log, rng, telemetry_rows=70, events=3, bulk=3)
        pem, key = tmp_path / "car.pem", tmp_path / "car.key"
        wrong = TlsOptions(ca_file=tmp_path / "other" / "ca.pem", certificate_file=pem, key_file=key)
        with running(make_uplink(log, broker.port, tls=wrong)) as uplink:
            _wait_for(lambda: "CERTIFICATE_VERIFY_FAILED" in (uplink.status().last_error or ""))
            assert "connects" not in uplink.status().counters
        right = TlsOptions(ca_file=tmp_path / "ca.pem", certificate_file=pem, key_file=key)
        files = {"ca_file": tmp_path / "ca.pem", "certificate_file": pem, "key_file": key}
        with receiver(broker.port, database, tls=True, **files), running(make_uplink(log, broker.port, tls=right)):
            assert log.wait_acknowledged(60)
        assert stored(database) == log.digest()
    finally:
        broker.kill()


def test_the_socket_is_set_up_and_can_be_broken(broker: Broker) -> None:
    """NODELAY and NOTSENT_LOWAT are on the socket paho uses; ``abort`` ends the connection."""
    import socket
    from collections import Counter

    from outrider.uplink.dial_io import Dial
    from outrider.uplink.link_io import Closed, Connected, Link
    from outrider.uplink.resolve_io import Resolver

    wake, _other = socket.socketpair()
    options = uplink_options(broker.port)
    dial = Dial(Resolver(Counter()), None, 5.0)
    link = Link(options, (options.host, options.port), dial, None, (f"t/{DEVICE}/s", b"gone"))
    try:
        link.open()
        sock = link._client.socket()
        assert isinstance(sock, socket.socket)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.IPPROTO_TCP, 25) == 4096
        while not link.events:
            link.step(1.0, wake, want_room=False)
        assert isinstance(link.events.popleft(), Connected)
        link.abort()
        while not link.events:
            link.step(1.0, wake, want_room=False)
        assert isinstance(link.events.popleft(), Closed)
    finally:
        link.close()
        wake.close()
        _other.close()


def test_the_will_and_the_birth_are_retained(broker: Broker, tmp_path: Path) -> None:
    """Whoever subscribes later learns that the terminal is there, and that it went without a word."""
    from paho.mqtt import subscribe

    from outrider.wire.birth import decode_birth

    proxy = ChaosProxy(broker.port)
    log = MemoryLog()

    def state() -> bool:
        message = subscribe.simple(f"t/{DEVICE}/s", hostname="127.0.0.1", port=broker.port)
        return decode_birth(message.payload).online

    try:
        with running(make_uplink(log, proxy.port, backoff_s=60.0, backoff_cap_s=60.0)) as uplink:
            _wait_for(lambda: uplink.status().counters.get("pubacks", 0) == 1)
            assert state() is True
            proxy.cut()
            _wait_for(lambda: state() is False)
        assert birth(log).online
    finally:
        proxy.close()


def _make_certificates(openssl: str, directory: Path, *names: str) -> None:
    """A throw-away authority ``ca`` and certificates signed by it, for 127.0.0.1.

    With the extensions that Python 3.13 insists on (``VERIFY_X509_STRICT``): what the authority's key is for, and
    whose key signed.
    """

    def run(*args: str) -> None:
        subprocess.run([openssl, *args], cwd=directory, check=True, capture_output=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    authority = ("-subj", "/CN=test authority", "-days", "2", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    run("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", *authority)
    extensions = "subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n"
    (directory / "leaf.cnf").write_text(extensions, encoding="ascii")
    for name in names[1:]:
        run("req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signer = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "leaf.cnf")
        run("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signer)


def _wait_for(condition: object, turns: int = 3000) -> None:
    """Poll a state that nobody announces."""
    import time

    assert callable(condition)
    for _ in range(turns):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen")


def test_an_emergency_does_not_wait_for_the_next_connection(broker: Broker, tmp_path: Path) -> None:
    """The broker was away and the uplink would wait for ten minutes: a new emergency makes it try at once."""
    log, rng, database = MemoryLog(), random.Random(14), tmp_path / "r.db"
    uplink = make_uplink(log, broker.port)
    uplink._brokers.first.backoff.next_s = lambda: 600.0  # type: ignore[method-assign]  # the longest wait, for certain
    with receiver(broker.port, database), running(uplink):
        log.append(opaque(Lane.EVENT, 1, 50, rng))
        assert log.wait_acknowledged(30)
        broker.kill()
        _wait_for(lambda: not uplink.status().connected)
        broker.start()
        log.append(opaque(Lane.EMERGENCY, 1, 50, rng))
        assert log.wait_acknowledged(60)
    assert stored(database) == log.digest()
