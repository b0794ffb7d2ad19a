"""MQTT as a source: one connection at a time, a fresh paho client driven by the thread that calls ``poll``.

QoS 1 with manual PUBACK: the broker keeps a message until ``confirm``. Version 5 first; where that is refused or hung
up on, the caller tries 3.1.1 (``version``).

Several receivers share the work with ``BrokerOptions.shared``: the broker gives each message of ``$share/GROUP/...`` to
one of them. What one that dies had in hand comes again when its session is resumed (same client id, persistent), or
else from the terminals, whose acknowledgement did not come.

Whether a silence is the broker's own is told by ``is_answered``: when nothing came for ``probe_s`` it is asked
something that it must answer and that changes nothing (to end a subscription that there is none of).
"""

from __future__ import annotations

import logging
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from outrider.errors import ConfigError, LinkError
from outrider.ingest.options import BrokerOptions
from outrider.ingest.sources.source import Incoming

_log = logging.getLogger(__name__)
_ANSWER_S = 1.5  # an answer takes no longer on a link that is any good
_MAX_PACKET = 4 << 20  # what is larger the broker does not even send; from 1 MiB on it is refused and told
_NOTHING = "t/+/none"  # nobody subscribes to it

V5 = MQTTProtocolVersion.MQTTv5
V311 = MQTTProtocolVersion.MQTTv311


class NotSpokenError(LinkError):
    """The broker refused or hung up before a CONNACK: maybe it does not speak this MQTT version."""


def make_tls(options: BrokerOptions) -> ssl.SSLContext | None:
    """Verifying context, or None without TLS. ConfigError names the file that cannot be used."""
    if not options.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=options.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if options.certificate_file is not None:
            context.load_cert_chain(options.certificate_file, options.key_file)
    except (OSError, ssl.SSLError) as err:
        raise ConfigError(f"TLS files cannot be used ({options.ca_file}, {options.certificate_file}): {err}") from None
    return context


class Subscriber:
    """Connect with ``open``, then ``poll``. Not thread-safe. LinkError when the connection is gone.

    optional: topics that a broker may refuse; the others are received then.
    """

    def __init__(
        self,
        options: BrokerOptions,
        topics: tuple[str, ...],
        version: MQTTProtocolVersion,
        *,
        optional: tuple[str, ...] = (),
    ) -> None:
        self._options = options
        self._topics = topics
        self._optional = optional
        self._incoming: deque[Incoming] = deque()
        self._error: str | None = None
        self._is_up = False
        self._publishing = 0
        self._heard_s = self._probed_s = time.monotonic()
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=options.client_id,
            clean_session=None if version is V5 else not options.persistent,
            protocol=version,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        self._version = version
        self._client.connect_timeout = options.connect_timeout_s
        self._client.max_inflight_messages_set(0)
        tls = make_tls(options)
        if tls is not None:
            self._client.tls_set_context(tls)
        if options.username is not None:
            self._client.username_pw_set(options.username, options.password)
        self._hook()

    @property
    def publishing(self) -> int:
        """Messages published and not yet confirmed by the broker."""
        return self._publishing

    def backlog(self) -> None:
        """MQTT has no word for it."""
        return

    def is_answered(self) -> bool:
        """The broker has been heard lately; false while an answer is overdue."""
        return time.monotonic() - self._heard_s < self._options.probe_s + _ANSWER_S

    def open(self) -> None:
        """Connect and subscribe. NotSpokenError: try the other version; LinkError otherwise."""
        o = self._options
        extra: dict[str, Any] = {}
        if self._version is V5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho
            properties.ReceiveMaximum = o.receive_maximum
            properties.MaximumPacketSize = _MAX_PACKET
            if o.persistent:
                properties.SessionExpiryInterval = o.session_expiry_s
            extra = {"clean_start": not o.persistent, "properties": properties}
        try:
            self._client.connect(o.host, o.port, keepalive=o.keepalive_s, **extra)
        except (OSError, ValueError) as err:
            raise LinkError(f"{o.host}:{o.port}: {err}") from None
        sock: Any = self._client.socket()
        if sock is not None:  # PUBACK and acknowledgement follow each other: Nagle would hold the second for 40 ms
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        waited = 0.0
        while not self._is_up:
            self._turn(0.25)
            waited += 0.25
            if self._error is not None:
                raise NotSpokenError(f"{o.host}:{o.port}: {self._error}")
            if waited > 4 * o.connect_timeout_s:
                raise LinkError(f"{o.host}:{o.port}: no CONNACK")
        rc, _mid = self._client.subscribe([(topic, o.qos) for topic in self._topics])
        if rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise LinkError(f"subscribe: {rc.name}")

    def poll(self, timeout_s: float) -> list[Incoming]:
        """Messages that came, after waiting at most timeout_s for the first. LinkError when the link is gone."""
        self._probe()
        if not self._incoming:
            self._turn(timeout_s)
        while not self._error and self._has_more():
            self._turn(0.0)
        got = list(self._incoming)
        self._incoming.clear()
        if not got and self._error is not None:
            raise LinkError(self._error)
        return got

    def confirm(self, messages: Iterable[Incoming]) -> None:
        """PUBACK: the broker may forget them."""
        for message in messages:
            mid, qos = message.token
            if qos:
                self._client.ack(mid, qos)

    def publish(self, topic: str, payload: bytes) -> bool:
        """QoS 1; False when the connection is gone."""
        if self._client.publish(topic, payload, qos=1).rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return False
        self._publishing += 1
        return True

    def close(self) -> None:
        """Send DISCONNECT when possible and close. Idempotent."""
        self._client.disconnect()
        sock: Any = self._client.socket()
        if sock is not None:
            sock.close()

    # ---- leaves -----------------------------------------------------------------------------------

    def _probe(self) -> None:
        now = time.monotonic()
        if now - max(self._heard_s, self._probed_s) >= self._options.probe_s:
            self._probed_s = now
            self._client.unsubscribe(_NOTHING)

    def _has_more(self) -> bool:
        sock: Any = self._client.socket()
        if sock is None or len(self._incoming) >= self._options.receive_maximum:
            return False
        return bool(_pending(sock) or select.select([sock], [], [], 0)[0])

    def _turn(self, timeout_s: float) -> None:
        sock: Any = self._client.socket()
        if sock is None:
            self._error = self._error or "connection closed"
            return
        write = [sock] if self._client.want_write() else []
        readable, writable, _ = select.select([sock], write, [], 0.0 if _pending(sock) else timeout_s)
        rc = MQTTErrorCode.MQTT_ERR_SUCCESS
        try:
            if readable or _pending(sock):
                rc = self._client.loop_read()
                self._heard_s = time.monotonic()
            if not rc and writable:
                rc = self._client.loop_write()
            rc = rc or self._client.loop_misc()
        except Exception as err:  # noqa: BLE001  what a broken broker sends may trip paho anywhere in its parser
            self._error = f"{type(err).__name__}: {err}"
            return
        if rc or self._client.socket() is None:
            self._error = self._error or MQTTErrorCode(rc).name

    def _hook(self) -> None:
        def on_connect(_c: Client, _u: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
            if code.is_failure:
                self._error = f"broker refused: {code}"
            else:
                self._is_up = True

        def on_disconnect(_c: Client, _u: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
            self._error = self._error or f"connection closed: {code}"

        def on_subscribe(_c: Client, _u: Any, _mid: int, codes: list[ReasonCode], _properties: Any) -> None:
            for topic, code in zip(self._topics, codes, strict=False):
                if code.is_failure and topic in self._optional:
                    _log.warning("broker refused the subscription of %s (%s): nothing comes from there", topic, code)
                elif code.is_failure:
                    self._error = f"broker refused the subscription of {topic}: {code}"

        def on_message(_c: Client, _u: Any, m: MQTTMessage) -> None:
            self._incoming.append(Incoming(m.topic, bytes(m.payload), m.retain, (m.mid, m.qos)))

        def on_publish(_c: Client, _u: Any, _mid: int, _code: ReasonCode, _properties: Any) -> None:
            self._publishing -= 1

        self._client.on_connect = on_connect
        self._client.on_disconnect = on_disconnect
        self._client.on_subscribe = on_subscribe
        self._client.on_message = on_message
        self._client.on_publish = on_publish


def _pending(sock: Any) -> int:
    """Bytes TLS has decrypted already, which select does not see."""
    pending = getattr(sock, "pending", None)
    return 0 if pending is None else int(pending())


class MqttConnector:
    """Connections to one broker; speaks version 5 until that is refused, then the other in turn."""

    def __init__(self, options: BrokerOptions) -> None:
        self._options = options
        self._version = V5
        make_tls(options)  # a wrong file is an error now, not a link fault for ever

    def connect(self, topics: tuple[str, ...]) -> Subscriber:
        """See ``source.Connector``. A broker may refuse the beacons; all else is received then."""
        group = self._options.shared
        wanted = topics if group is None else tuple(f"$share/{group}/{topic}" for topic in topics)
        optional = tuple(topic for topic in wanted if topic.endswith("/b"))
        subscriber = Subscriber(self._options, wanted, self._version, optional=optional)
        try:
            subscriber.open()
        except LinkError as err:
            subscriber.close()
            if isinstance(err, NotSpokenError):
                self._version = V311 if self._version is V5 else V5
            raise
        return subscriber
