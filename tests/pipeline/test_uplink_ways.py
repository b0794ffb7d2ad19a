"""Ways to a broker: through proxies, to the second of two, over another network, and back."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from outrider.errors import ConfigError
from outrider.model.network import NetworkState
from outrider.model.network import Path as NetPath
from outrider.model.notice import Notice, NoticeCode
from outrider.model.record import Lane
from outrider.uplink.connection_io import Connection
from outrider.uplink.options import Proxy, SendOptions, TlsOptions, parse_proxy
from outrider.uplink.session_io import Uplink
from tests.support.broker import Broker, free_port
from tests.support.chaos_proxy import ChaosProxy
from tests.support.delivery import fill, make_uplink, receiver, running, stored
from tests.support.memory_log import MemoryLog, opaque
from tests.support.proxies import SmallProxy


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Poll a state that nobody announces."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


@pytest.fixture
def at_the_end() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("user", [None, ("car", "s3cret pass")])
@pytest.mark.parametrize("kind", ["http", "socks5"])
def test_everything_arrives_through_a_proxy(
    broker: Broker, tmp_path: Path, at_the_end: ExitStack, kind: str, user: tuple[str, str] | None
) -> None:
    """The broker's name is the proxy's to resolve: ours does not know it."""
    proxy = SmallProxy(kind, user, {"broker.behind": "127.0.0.1"})
    at_the_end.callback(proxy.close)
    proxy.mood = "slow header"
    log, rng, database = MemoryLog(), random.Random(1), tmp_path / "r.db"
    fill(log, rng, telemetry_rows=200, events=3)
    name, password = user or (None, None)
    way = Proxy(kind, "127.0.0.1", proxy.port, name, password)
    with receiver(broker.port, database), running(make_uplink(log, broker.port, host="broker.behind", proxy=way)):
        assert log.wait_acknowledged(60)
    assert proxy.asked == [("broker.behind", broker.port)]
    assert stored(database) == log.digest()


@pytest.mark.parametrize("kind", ["http", "socks5"])
@pytest.mark.parametrize("mood", ["refuse", "babble", "mute", "wrong user"])
def test_a_proxy_that_does_not_lead_there_is_named(at_the_end: ExitStack, kind: str, mood: str) -> None:
    """Whatever it says or does not say: within the time, with its address, and the thread goes on."""
    proxy = SmallProxy(kind, ("car", "right") if mood == "wrong user" else None)
    at_the_end.callback(proxy.close)
    proxy.mood = mood
    way = Proxy(kind, "127.0.0.1", proxy.port, "car", "wrong")
    with running(make_uplink(MemoryLog(), free_port(), proxy=way, connect_timeout_s=0.4), 0.02) as uplink:
        wait_for(lambda: f"proxy 127.0.0.1:{proxy.port}" in (uplink.status().last_error or ""))
        assert uplink.status().alive


@pytest.mark.parametrize(
    "text",
    ["", "host:3128", "ftp://h:1", "http://h", "socks5://:1080", "http://h:99999", "http://u:p@h:1", "http://h:1/x", "http://[::1:1"],
)  # fmt: skip
def test_a_proxy_that_is_no_address_is_refused(text: str) -> None:
    """With what to write; and a password in it is not repeated."""
    with pytest.raises(ConfigError) as told:
        parse_proxy(text)
    assert "p@" not in str(told.value)


def test_a_proxy_address() -> None:
    assert parse_proxy("socks5://[::1]:1080", "u", "p") == Proxy("socks5", "::1", 1080, "u", "p")


class Two:
    """Two brokers, each behind a proxy that can be shut; a receiver listens at both, into one database each."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.proxies: list[ChaosProxy] = []
        for name in ("a", "b"):
            (folder / name).mkdir()
            broker = Broker(folder / name)
            stack.callback(broker.kill)
            proxy = ChaosProxy(broker.port)
            stack.callback(proxy.close)
            stack.enter_context(receiver(broker.port, folder / name / "r.db"))
            self.proxies.append(proxy)
        self.log, self.notices = MemoryLog(), list[Notice]()

    def uplink(self, **changes: Any) -> Uplink:
        first, second = (proxy.port for proxy in self.proxies)
        uplink = make_uplink(self.log, first, others=(("127.0.0.1", second),), **changes)
        uplink.attach(on_notice=self.notices.append)
        return uplink

    def switches(self) -> list[str]:
        return [dict(n.detail)["broker"] for n in self.notices if n.code is NoticeCode.BROKER_SWITCHED]


def test_to_the_second_broker_and_back(tmp_path: Path, at_the_end: ExitStack) -> None:
    """The first is gone: the second takes over at once, and is left for the first when that can be reached again."""
    two, rng = Two(tmp_path, at_the_end), random.Random(3)
    first, second = (f"127.0.0.1:{proxy.port}" for proxy in two.proxies)
    with running(two.uplink(prefer_s=0.5)) as uplink:
        two.log.append(opaque(Lane.EVENT, 1, 50, rng))
        assert two.log.wait_acknowledged(60)
        assert uplink.status().broker == first
        two.proxies[0].shut()
        two.log.append(opaque(Lane.EVENT, 2, 50, rng))
        assert two.log.wait_acknowledged(60)
        assert uplink.status().broker == second
        two.proxies[0].reopen()
        wait_for(lambda: uplink.status().connected and uplink.status().broker == first)
        two.log.append(opaque(Lane.EVENT, 3, 50, rng))
        assert two.log.wait_acknowledged(60)
    assert two.switches()[:2] == [second, first]


def test_a_working_second_is_not_left_for_a_first_that_is_gone(tmp_path: Path, at_the_end: ExitStack) -> None:
    """It looks before it leaves: the connection stays while the first cannot be reached."""
    two, rng = Two(tmp_path, at_the_end), random.Random(4)
    two.proxies[0].shut()
    with running(two.uplink(prefer_s=0.05)) as uplink:
        for turn in range(20):
            two.log.append(opaque(Lane.EMERGENCY, turn, 50, rng))
            assert two.log.wait_acknowledged(60)
            time.sleep(0.05)
        assert uplink.status().counters["connects"] < 5, "not at each look"


def test_a_broker_without_a_receiver_is_left(tmp_path: Path, at_the_end: ExitStack) -> None:
    """It confirms, and nothing is acknowledged: after the time of a stall the other one is tried, and it is told."""
    two, rng = Two(tmp_path, at_the_end), random.Random(5)
    two.proxies[0].lie = True
    with running(two.uplink(stall_s=1.0)) as uplink:
        two.log.append(opaque(Lane.EVENT, 1, 50, rng))
        assert two.log.wait_acknowledged(60)
        wait_for(lambda: uplink.status().stalled is None)
    codes = [n.code for n in two.notices]
    assert codes[:3] == [NoticeCode.UPLOAD_STALLED, NoticeCode.BROKER_SWITCHED, NoticeCode.UPLOAD_RESUMED]
    assert dict(two.notices[0].detail)["why"] in {"no_acks", "no_connection"}, "the latter on a very slow machine"


class Net:
    def __init__(self) -> None:
        self.state = NetworkState(NetPath.WIFI, interface="wlan0")

    def network(self) -> NetworkState:
        return self.state


@pytest.fixture
def quick_to_settle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outrider.uplink.steering._SETTLE_US", 50_000)


@pytest.mark.usefixtures("quick_to_settle")
def test_another_network_is_followed_at_once(broker: Broker, tmp_path: Path) -> None:
    """Home's Wi-Fi is left: the connection over it is dead and says nothing. Seconds, not the minutes of a time-out."""
    net, log, rng = Net(), MemoryLog(), random.Random(6)
    patient = SendOptions(puback_timeout_s=3600.0, emergency_puback_timeout_s=3600.0)
    proxy = ChaosProxy(broker.port)
    try:
        uplink = make_uplink(log, proxy.port, send=patient)
        uplink.attach(network=net)
        with receiver(broker.port, tmp_path / "r.db"), running(uplink):
            log.append(opaque(Lane.EVENT, 1, 50, rng))
            assert log.wait_acknowledged(60)
            proxy.black_hole = True
            log.append(opaque(Lane.EVENT, 2, 50, rng))
            net.state = NetworkState(NetPath.NONE)
            wait_for(lambda: uplink.status().in_flight_messages == 1)
            proxy.calm()
            for pair in proxy.pairs():
                pair.broker.close()  # what went into the hole stays there
            net.state = NetworkState(NetPath.CELLULAR, interface="wwan0")
            assert log.wait_acknowledged(60)
            assert "another network" in (uplink.status().last_error or "")
    finally:
        proxy.close()


@pytest.mark.usefixtures("quick_to_settle")
def test_another_network_ends_the_waiting(broker: Broker, tmp_path: Path) -> None:
    """Ten minutes of back-off, and the way is there again: it is tried at once."""
    net, log, rng, database = Net(), MemoryLog(), random.Random(7), tmp_path / "r.db"
    proxy = ChaosProxy(broker.port)
    try:
        uplink = make_uplink(log, proxy.port)
        uplink._brokers.first.backoff.next_s = lambda: 600.0  # type: ignore[method-assign]  # for certain
        uplink.attach(network=net)
        proxy.shut()
        with receiver(broker.port, database), running(uplink):
            wait_for(lambda: uplink.status().last_error is not None)
            proxy.reopen()
            log.append(opaque(Lane.EVENT, 1, 50, rng))
            net.state = NetworkState(NetPath.CELLULAR, interface="wwan0")
            assert log.wait_acknowledged(60)
    finally:
        proxy.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # that is what the test does
def test_a_thread_that_ends_is_started_again(broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ends it (here: an exit that no handler catches), sending goes on."""
    run = Connection.run
    left = [2]

    def dying(self: Connection) -> None:
        if left[0]:
            left[0] -= 1
            raise SystemExit
        run(self)

    monkeypatch.setattr(Connection, "run", dying)
    log, rng, database = MemoryLog(), random.Random(8), tmp_path / "r.db"
    log.append(opaque(Lane.EVENT, 1, 50, rng))
    with receiver(broker.port, database), running(make_uplink(log, broker.port)) as uplink:
        assert log.wait_acknowledged(60)
        assert uplink.status().counters["restarts"] == 2
        assert uplink.status().alive
    assert stored(database) == log.digest()


def test_a_name_that_hangs_does_not_hold_the_end_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """getaddrinfo has no time-out of its own: the connection attempt ends all the same, and so does ``stop``."""
    release = threading.Event()

    def hanging(*_args: object, **_kwargs: object) -> list[Any]:
        release.wait(60)
        return []

    monkeypatch.setattr("outrider.uplink.resolve_io.socket.getaddrinfo", hanging)
    uplink = make_uplink(MemoryLog(), 1, host="b.example", connect_timeout_s=0.2)
    try:
        with running(uplink):
            wait_for(lambda: uplink.status().counters.get("dns_timeouts", 0) >= 2)
            assert "b.example" in (uplink.status().last_error or "")
            assert sum(thread.name == "uplink-resolve" for thread in threading.enumerate()) == 1
        assert not any(thread.name == "uplink" for thread in threading.enumerate())
    finally:
        release.set()


def test_a_handshake_that_hangs_is_broken_off(tmp_path: Path, at_the_end: ExitStack) -> None:
    """TCP is accepted and TLS is never answered: the time of connecting ends it, again and again, and so does ``stop``.

    A peer that sends a byte now and then would keep a time-out of each read alive for ever: the time is that of all.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    at_the_end.callback(listener.close)
    ended = threading.Event()
    at_the_end.callback(ended.set)

    def drip() -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _address = listener.accept()
                threading.Thread(target=trickle, args=(sock,), daemon=True).start()

    def trickle(sock: socket.socket) -> None:
        with contextlib.suppress(OSError), sock:
            for byte in b"\x16\x03\x03\x40\x00" + bytes(10_000):
                sock.sendall(bytes([byte]))
                if ended.wait(0.05):
                    return

    threading.Thread(target=drip, daemon=True).start()
    port = listener.getsockname()[1]
    with running(make_uplink(MemoryLog(), port, tls=TlsOptions(), connect_timeout_s=0.5), 0.02) as uplink:
        first = f"127.0.0.1:{port}"
        wait_for(lambda: first in (uplink.status().last_error or ""))
        assert uplink.status().alive
    listener.shutdown(socket.SHUT_RDWR)
