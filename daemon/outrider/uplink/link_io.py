"""One connection to the broker: a fresh paho client and its socket, driven by the thread that calls ``step``.

paho is the transport only: its queue holds at most what the window admits, its resending never runs (a new client has
nothing to resend), its callbacks only put what happened into ``events``. Nothing here retries.
"""

from __future__ import annotations

import select
import selectors
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import paho.mqtt.client
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from outrider.errors import ConfigError, LinkError
from outrider.uplink.dial_io import Dial
from outrider.uplink.dialect import Version
from outrider.uplink.options import TlsOptions, UplinkOptions
from outrider.uplink.pump import NO_LIMIT
from outrider.uplink.traffic import TcpCount, publish_bytes

_ALIAS_BYTES: Final = 3
_NOTSENT_LOWAT: Final = 25  # TCP_NOTSENT_LOWAT of linux/tcp.h; the socket module of 3.11 does not have it
_NOTSENT_BYTES: Final = 4096
_THIN_LINEAR_TIMEOUTS: Final = 16  # TCP_THIN_LINEAR_TIMEOUTS, likewise
# of linux/tcp.h: tcpi_bytes_received, tcpi_segs_out, tcpi_segs_in, tcpi_bytes_sent
_TCP_INFO: Final = struct.Struct("=128xQII56xQ")
_MAX_INCOMING: Final = 131_072  # bytes of a packet; an acknowledgement has at most 64 KiB
_MAX_UNFINISHED: Final = 8  # QoS 2 messages begun by the broker; nobody asked for any
_UNSUPPORTED_VERSION: Final = ("Unsupported protocol version",)


@dataclass(frozen=True, slots=True)
class Connected:
    """CONNACK: success. receive_maximum: 65535 when the broker named none. packet_maximum: bytes, likewise."""

    receive_maximum: int
    packet_maximum: int = NO_LIMIT


@dataclass(frozen=True, slots=True)
class Refused:
    """CONNACK: refused. wrong_version: because of the MQTT version."""

    reason: str
    wrong_version: bool


@dataclass(frozen=True, slots=True)
class Published:
    """PUBACK. reason: None, or why the broker did not take the message (MQTT 5)."""

    mid: int
    reason: str | None


@dataclass(frozen=True, slots=True)
class Subscribed:
    """SUBACK. reason: None, or why not."""

    reason: str | None


@dataclass(frozen=True, slots=True)
class Message:
    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection is gone."""

    reason: str


LinkEvent = Connected | Refused | Published | Subscribed | Message | Closed


def tls_context(options: TlsOptions) -> ssl.SSLContext:
    """Verifying context, TLS 1.2 or newer. ConfigError names the file that cannot be used."""
    try:
        context = ssl.create_default_context(cafile=options.ca_file)
    except (OSError, ssl.SSLError) as err:
        raise ConfigError(f"cannot be used as list of trusted authorities: {err}", path=options.ca_file) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if options.certificate_file is not None:
        try:
            context.load_cert_chain(options.certificate_file, options.key_file)
        except (OSError, ssl.SSLError) as err:
            raise ConfigError(f"certificate and key cannot be used: {err}", path=options.certificate_file) from None
    return context


def tls_source(
    tls: TlsOptions | Callable[[], ssl.SSLContext] | None,
) -> Callable[[], ssl.SSLContext | None]:
    """The context of the next connection: one for all (ConfigError now), or whatever the identity gives then."""
    if tls is None or isinstance(tls, TlsOptions):
        context = None if tls is None else tls_context(tls)
        return lambda: context
    return tls


class _Client(Client):
    """paho's client on a socket of our making: options set before TLS, closed when the handshake fails, and ``raw``,
    a handle to break the connection with while it is still being made."""

    dial: Dial
    raw: socket.socket | None = None
    context: ssl.SSLContext | None = None
    pings = 0
    pongs = 0

    def _create_socket(self) -> Any:  # overrides paho's; the tests of this module notice if paho renames it
        sock = self.dial.open(self.host, self.port)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, _NOTSENT_BYTES)
        # after a gap in radio coverage the next attempt comes within a retransmission's time, not up to the gap's own
        sock.setsockopt(socket.IPPROTO_TCP, _THIN_LINEAR_TIMEOUTS, 1)
        self.raw = self.dial.release()
        if self.context is None:
            return sock
        secure = self.context.wrap_socket(sock, server_hostname=self.host, do_handshake_on_connect=False)
        try:
            secure.do_handshake()
        except (OSError, ValueError):
            secure.close()
            raise
        return secure

    def is_flooded(self) -> bool:
        """paho would take a packet of 256 MB, and keep as many QoS 2 messages as there are numbers for."""
        return self._in_packet["remaining_length"] > _MAX_INCOMING or len(self._in_messages) > _MAX_UNFINISHED

    def _packet_write(self) -> MQTTErrorCode:  # as above
        """paho 2.2 notes when it last sent only when a packet is left over, and so pings in the middle of traffic."""
        waiting = len(self._out_packet)
        done = super()._packet_write()
        if len(self._out_packet) < waiting:
            self._last_msg_out = paho.mqtt.client.time_func()
        return done

    def _send_pingreq(self) -> MQTTErrorCode:  # as above
        self.pings += 1
        return super()._send_pingreq()

    def _handle_pingresp(self) -> MQTTErrorCode:  # as above
        self.pongs += 1
        return super()._handle_pingresp()


class Link:
    """See the module. Not thread-safe, but for ``abort``. address: (host, port) of the broker."""

    def __init__(
        self,
        options: UplinkOptions,
        address: tuple[str, int],
        dial: Dial,
        tls: ssl.SSLContext | None,
        will: tuple[str, bytes],
        *,
        version: Version = Version.V5,
    ) -> None:
        self.events: deque[LinkEvent] = deque()
        self.version = version
        self._options = options
        self._host, self._port = address
        clean = None if version is Version.V5 else True
        self._takes_alias = False
        self._aliased: str | None = None  # what the broker knows by a number
        self._client = _Client(
            CallbackAPIVersion.VERSION2,
            client_id=options.device,
            clean_session=clean,
            protocol=MQTTProtocolVersion(int(version)),
            reconnect_on_failure=False,
        )
        self._client.dial = dial
        self._client.context = tls
        self._client.max_inflight_messages_set(0)
        self._client.will_set(will[0], will[1], qos=1, retain=True)
        if options.username is not None:
            self._client.username_pw_set(options.username, options.password)
        self._selector = selectors.DefaultSelector()
        self._registered: tuple[int, int] | None = None
        self._count = TcpCount()
        self._awaited: set[int] = set()  # message ids that want a PUBACK; paho tells of QoS 0 as well
        self._hook()

    def open(self) -> None:
        """Connect TCP and TLS and send CONNECT; LinkError with the reason. Bounded by connect_timeout_s."""
        watchdog = threading.Timer(self._options.connect_timeout_s, self.abort)
        watchdog.daemon = True
        watchdog.start()
        name = f"{self._host}:{self._port}"
        try:
            self._client.connect(self._host, self._port, keepalive=self._options.keepalive_s)
        except (LinkError, OSError, ValueError) as err:  # ValueError: host name that no certificate can be for
            self.close()
            raise LinkError(f"{name}: {err}") from None
        finally:
            watchdog.cancel()
        if self._client.socket() is None:
            raise LinkError(f"{name}: connection closed")

    def abort(self) -> None:
        """Break the connection, also while it is being made; from any thread."""
        self._client.dial.abort()
        raw = self._client.raw
        if raw is not None:
            try:
                raw.shutdown(socket.SHUT_RDWR)
            except OSError:
                return

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """Hand over one QoS 1 message; its message id. LinkError when the connection is gone."""
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise LinkError(f"publish: {info.rc.name}")
        self._awaited.add(info.mid)
        return info.mid

    def publish_once(self, topic: str, payload: bytes) -> int:
        """Hand over one QoS 0 message: nothing will tell of it any more. Bytes of its packet; LinkError when the
        connection is gone.

        A broker that allows it is told the topic once and knows it by a number then. Not for QoS 1: paho would send
        such a message again with neither.
        """
        properties, name = None, topic
        if self._takes_alias:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's own
            properties.TopicAlias = 1
            name, self._aliased = ("" if self._aliased == topic else topic), topic
        info = self._client.publish(name, payload, qos=0, properties=properties)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise LinkError(f"publish: {info.rc.name}")
        alias = _ALIAS_BYTES if properties is not None else 0
        return publish_bytes(name, len(payload) + alias, qos=0, v5=self.version is Version.V5)

    def subscribe(self, topic: str) -> None:
        """At QoS 0: the session ends with the connection, and what is lost with it is acknowledged again."""
        rc, _mid = self._client.subscribe(topic, qos=0)
        if rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise LinkError(f"subscribe: {rc.name}")

    def is_writable(self) -> bool:
        """Nothing waits in the process, and less than 4 KiB unsent in the kernel."""
        sock = self._client.socket()
        if sock is None or self._client.want_write():
            return False
        poll = select.poll()
        poll.register(sock, select.POLLOUT)
        return bool(poll.poll(0))

    def step(self, timeout_s: float, wake: socket.socket, *, want_room: bool) -> None:
        """Wait for the network or ``wake`` and do what paho has to do. want_room: also return when writable."""
        sock = self._client.socket()
        if sock is None:
            self._closed("connection closed")
            return
        if getattr(sock, "pending", lambda: 0)():
            timeout_s = 0.0
        self._selector.register(wake, selectors.EVENT_READ)
        write = self._client.want_write() or want_room
        self._selector.register(sock, selectors.EVENT_READ | (selectors.EVENT_WRITE if write else 0))
        try:
            ready = {key.fileobj: mask for key, mask in self._selector.select(max(0.0, timeout_s))}
        finally:
            self._selector.unregister(wake)
            self._selector.unregister(sock)
        if wake in ready:
            wake.recv(4096)
        self._serve(ready.get(sock, 0), bool(getattr(sock, "pending", lambda: 0)()))
        self._count_bytes()

    def counted(self) -> TcpCount:
        """Since the connection was made."""
        return self._count

    def pings(self) -> tuple[int, int]:
        """Sent, answered."""
        return self._client.pings, self._client.pongs

    def farewell(self) -> None:
        """Send DISCONNECT: the broker drops the will."""
        self._client.disconnect()

    def close(self) -> None:
        """Close at once; without ``farewell`` before, the broker publishes the will. Idempotent."""
        self._count_bytes()
        self.abort()
        handle = self._client.dial.release()
        if handle is not None:
            handle.close()
        raw, self._client.raw = self._client.raw, None
        if raw is not None:
            raw.close()
        sock = self._client.socket()
        if sock is not None:
            sock.close()
        self._selector.close()

    # ---- leaves -----------------------------------------------------------------------------------

    def _serve(self, mask: int, pending: bool) -> None:
        try:
            rc = MQTTErrorCode.MQTT_ERR_SUCCESS
            if mask & selectors.EVENT_READ or pending:
                rc = self._client.loop_read()
            if not rc and mask & selectors.EVENT_WRITE and self._client.want_write():
                rc = self._client.loop_write()
            rc = rc or self._client.loop_misc()
        except Exception as err:  # noqa: BLE001  what a broken broker sends may trip paho anywhere in its parser
            self._closed(f"{type(err).__name__}: {err}")
            return
        if self._client.is_flooded():
            self._closed("the broker sends more than was asked for")
            return
        if rc or self._client.socket() is None:
            self._closed(MQTTErrorCode(rc).name)
            return
        self._answer_late()

    def _answer_late(self) -> None:
        """A receipt and the acknowledgement that follows it are confirmed together (TCP, 40 ms at most): a packet less
        for each batch. The kernel forgets it again and again."""
        if self._client.raw is not None:
            with suppress(OSError):
                self._client.raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)

    def _closed(self, reason: str) -> None:
        if not any(isinstance(event, Closed) for event in self.events):
            self.events.append(Closed(reason))

    def _count_bytes(self) -> None:
        raw = self._client.raw
        if raw is None:
            return
        try:
            received, segments_out, segments_in, sent = _TCP_INFO.unpack(
                raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
            )
            self._count = TcpCount(sent, received, segments_out, segments_in)
        except (OSError, struct.error):
            return  # not a TCP socket, an old kernel, or closed meanwhile: the last count stands

    def _hook(self) -> None:
        put = self.events.append

        def on_connect(_c: Client, _u: Any, _flags: Any, code: ReasonCode, properties: Any) -> None:
            if code.is_failure:
                put(Refused(str(code), str(code) in _UNSUPPORTED_VERSION))
            else:
                limits = (
                    getattr(properties, "ReceiveMaximum", 65535),
                    getattr(properties, "MaximumPacketSize", NO_LIMIT),
                )
                self._takes_alias = getattr(properties, "TopicAliasMaximum", 0) > 0
                put(Connected(*limits))

        def on_publish(_c: Client, _u: Any, mid: int, code: ReasonCode, _properties: Any) -> None:
            if mid in self._awaited:
                self._awaited.discard(mid)
                put(Published(mid, str(code) if code.is_failure else None))

        def on_subscribe(_c: Client, _u: Any, _mid: int, codes: list[ReasonCode], _properties: Any) -> None:
            refused = [str(code) for code in codes if code.is_failure]
            put(Subscribed(refused[0] if refused else None))

        def on_message(_c: Client, _u: Any, message: MQTTMessage) -> None:
            put(Message(message.topic, bytes(message.payload)))

        def on_disconnect(_c: Client, _u: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
            put(Closed(str(code)))

        self._client.on_connect = on_connect
        self._client.on_publish = on_publish
        self._client.on_subscribe = on_subscribe
        self._client.on_message = on_message
        self._client.on_disconnect = on_disconnect
