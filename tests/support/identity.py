"""An authority, its enrolment server and the broker it configures, on loopback; and MQTT clients that try things."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography import x509
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from outrider.trust.authority import issue_client
from outrider.trust.authority_io import Authority, Plan
from outrider.trust.certificates import Key, certificates_pem, key_pem, new_key, pin_of
from outrider.trust.desk_io import EnrolmentDesk
from outrider.trust.mosquitto import Listeners
from outrider.trust.provisioning import Provisioning
from outrider.trust.requests import make_token, token_hash
from outrider.trust.server_io import EnrolmentServer, load_files
from outrider.trust.settings import Broker
from tests.support.broker import free_port, mosquitto_path

WAIT_S = 60.0
NOW_S = float(int(time.time()))  # OpenSSL goes by the real clock


class Wall:
    """A wall clock that stands where it is told to."""

    def __init__(self, now_s: float = NOW_S) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


def authority(directory: Path, wall: Wall | None = None, listeners: Listeners | None = None) -> Authority:
    return Authority.create(directory, Plan(name="Test CA"), listeners, wall or Wall())


class Enrolment:
    """A served desk. ``provisioning`` makes tokens; ``reload`` after the authority's files have changed."""

    def __init__(self, ca: Authority, wall: Wall, **options: Any) -> None:
        self.authority = ca
        self.wall = wall
        self.registry = ca.registry()
        self.desk = EnrolmentDesk(ca, self.registry, (Broker(host="localhost", port=8883),), wall_s=wall)
        self.server = EnrolmentServer(self.desk, "127.0.0.1", 0, **options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="enrolment-test")
        self._thread.start()
        self.port = self.run(self.server.start())

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(WAIT_S)

    def provisioning(self, device: str, *, days: float = 1) -> Provisioning:
        token = make_token(os.urandom(20))
        self.registry.add_token(token_hash(token), device, self.wall(), self.wall() + days * 86_400)
        return Provisioning(self.url, device, token, pin_of(self.authority.root().certificate))

    def reload(self) -> None:
        load_files(self.server._context, self.authority)

    def audit(self) -> list[str]:
        """What happened, oldest first."""
        return [entry.what for entry in reversed(self.registry.audit())]

    def close(self) -> None:
        self.run(self.server.stop())
        self.run(asyncio.sleep(0.05))  # transports that were closed tell so in later turns of the loop
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_S)
        self._loop.close()
        self.registry.__exit__(None, None, None)


@contextmanager
def enrolment(directory: Path, wall: Wall | None = None, **options: Any) -> Iterator[Enrolment]:
    """A new authority in ``directory``, served."""
    clock = wall or Wall()
    served = Enrolment(authority(directory, clock), clock, **options)
    try:
        yield served
    finally:
        served.close()


def pair(ca: Authority, directory: Path, name: str, *, days: int = 30, now_s: float | None = None) -> Path:
    """Key and certificate in one file, signed by the authority and in its registry, as if enrolled."""
    key = new_key()
    certificate = issue_client(ca.root(), key.public_key(), name, time.time() if now_s is None else now_s, days)
    with ca.registry() as registry:
        registry.remember("device", name, certificate)
    return pem_file(directory / f"{name}-{certificate.serial_number:x}.pem", key, certificate)


def pem_file(path: Path, key: Key, certificate: x509.Certificate) -> Path:
    path.write_bytes(key_pem(key) + certificates_pem([certificate]))
    return path


class SecureBroker:
    """mosquitto, run with the configuration that the authority made; ``without`` removes lines of it (defences)."""

    def __init__(self, directory: Path, *without: str, more: str = "") -> None:
        self.port, self.receiver_port = free_port(), free_port()
        listeners = Listeners(self.port, "127.0.0.1", self.receiver_port, "127.0.0.1")
        self.authority = authority(directory, Wall(time.time()), listeners)
        config = directory / "mosquitto.conf"
        text = config.read_text(encoding="utf-8")
        for line in without:
            assert f"{line}\n" in text, line
            text = text.replace(f"{line}\n", "")
        config.write_text(f"{text}{more}\n", encoding="utf-8")
        self._log = (directory / "mosquitto.log").open("ab")
        self._command = [mosquitto_path(), "-v", "-c", str(config)]
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        before = self.log().count(" running")
        self._process = subprocess.Popen(self._command, stdout=self._log, stderr=self._log)
        self._wait_for(" running", before + 1)
        return self._process

    def restart(self) -> None:
        self._process.terminate()
        self._process.wait(WAIT_S)
        self._process = self._start()

    def log(self) -> str:
        return Path(self._log.name).read_text(encoding="utf-8", errors="replace")

    def _wait_for(self, words: str, times: int = 1) -> None:
        deadline = time.monotonic() + WAIT_S
        while self.log().count(words) < times:
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def wait_reloaded(self) -> None:
        self._wait_for("Reloading config")

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(WAIT_S)
        self._log.close()


@contextmanager
def secure_broker(directory: Path, *without: str, more: str = "") -> Iterator[SecureBroker]:
    broker = SecureBroker(directory, *without, more=more)
    try:
        yield broker
    finally:
        broker.close()


class MqttRefused(Exception):  # noqa: N818  an answer, not a fault
    """Not connected, and why."""


class Mqtt:
    """An MQTT 5 client with a certificate of the test's choice. Connected when the constructor returns."""

    def __init__(self, roots: Path, port: int, pem: Path | None, client_id: str, key: Path | None = None) -> None:
        self.topics: list[str] = []
        self._changed = threading.Condition()
        self._connected: bool | None = None
        self._reason = ""
        self._acked: dict[int, ReasonCode] = {}
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        context = ssl.create_default_context(cafile=roots)
        if pem is not None:
            context.load_cert_chain(pem, key)
        self._client.tls_set_context(context)
        self._client.on_connect = lambda _c, _u, _f, code, _p: self._set(not code.is_failure, str(code))
        self._client.on_disconnect = lambda _c, _u, _f, code, _p: self._set(False, str(code))
        self._client.on_message = self._message
        self._client.on_publish = lambda _c, _u, mid, code, _p: self._answer(mid, code)
        self._client.on_subscribe = lambda _c, _u, mid, codes, _p: self._answer(mid, codes[0])
        try:
            self._client.connect("localhost", port)
        except OSError as err:
            raise MqttRefused(str(err)) from None
        self._client.loop_start()
        self._wait(lambda: self._connected is not None)
        if not self._connected:
            self._client.loop_stop()
            raise MqttRefused(self._reason)

    def __enter__(self) -> Mqtt:
        return self

    def __exit__(self, *_error: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def connected(self) -> bool:
        return bool(self._connected)

    def publish(self, topic: str) -> bool:
        """Whether the broker took it; some versions of mosquitto hang up after a refusal."""
        return self._answered(self._client.publish(topic, b"x", qos=1).mid)

    def subscribe(self, topic: str) -> bool:
        mid = self._client.subscribe(topic, qos=1)[1]
        assert mid is not None
        return self._answered(mid)

    def wait_topic(self, topic: str) -> None:
        self._wait(lambda: topic in self.topics)

    def wait_gone(self) -> None:
        self._wait(lambda: not self._connected)

    def _answered(self, mid: int) -> bool:
        self._wait(lambda: mid in self._acked or not self._connected)
        return mid in self._acked and not self._acked[mid].is_failure

    def _wait(self, done: Any) -> None:
        with self._changed:
            assert self._changed.wait_for(done, WAIT_S), "nothing came"

    def _set(self, connected: bool, reason: str) -> None:
        with self._changed:
            self._connected, self._reason = connected, reason
            self._changed.notify_all()

    def _answer(self, mid: int, code: ReasonCode) -> None:
        with self._changed:
            self._acked[mid] = code
            self._changed.notify_all()

    def _message(self, _client: Client, _user: Any, message: MQTTMessage) -> None:
        with self._changed:
            self.topics.append(message.topic)
            self._changed.notify_all()
