"""A NATS cluster as a source: the JetStream stream in which NATS keeps what terminals publish over MQTT.

Terminals speak MQTT to any server of the cluster. NATS answers PUBACK when a majority of the stream's replicas has the
message. Workers are pull consumers of one durable consumer: each message is handed to one of them, and to another one
when it is not confirmed in time. Acknowledgements go out as plain NATS messages on the terminal's subject, which MQTT
clients subscribed to the topic get (QoS 0: nothing is stored for them, and a lost one heals like any other).

    topic  t/bus-17/d     subject  t.bus-17.d     kept in the stream as  $MQTT.msgs.t.bus-17.d

nats-py runs on an event loop in a thread of its own; ``poll`` takes what it has fetched, at most ``hand_out`` messages.
Beacons (QoS 0) are in no stream: who watches for vanished cars listens (``NatsOptions.listen_only``): plain
subscriptions that hear everything and take nothing away.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from typing import Any, Final, TypeVar

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StorageType, StreamConfig
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from outrider.errors import LinkError
from outrider.ingest.options import BrokerOptions, NatsOptions
from outrider.ingest.sources.source import Incoming
from outrider.ingest.sources.subscriber_io import make_tls

_log = logging.getLogger(__name__)
_PULL_S: Final = 2.0  # one request for messages; a lost request costs no more than this
_PING_S: Final = 5  # twice without an answer: the connection is gone
_CLOSE_S: Final = 3.0
_FEW: Final = 64  # messages asked for at once
_MAX_HEARD: Final = 10_000
_T = TypeVar("_T")


class JetStreamConnector:
    """See ``source.Connector``. ConfigError for TLS files that cannot be used."""

    def __init__(self, options: NatsOptions) -> None:
        self._options = options
        files = (options.ca_file, options.certificate_file)
        wants_tls = options.tls or any(files) or any(server.startswith("tls://") for server in options.servers)
        self._tls = make_tls(
            BrokerOptions(
                tls=wants_tls,
                ca_file=options.ca_file,
                certificate_file=options.certificate_file,
                key_file=options.key_file,
            )
        )

    def connect(self, topics: tuple[str, ...]) -> JetStreamSource:
        source = JetStreamSource(self._options, self._tls, topics)
        try:
            source.open()
        except LinkError:
            source.close()
            raise
        return source


class JetStreamSource:
    """See ``source.Source``. The loop's thread and the receiver's meet in ``_changed``."""

    def __init__(self, options: NatsOptions, tls: Any, topics: tuple[str, ...]) -> None:
        self._options = options
        self._tls = tls
        self._topics = topics
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="nats", daemon=True)
        self._client = Client()
        self._changed = threading.Condition()
        self._waiting: deque[Incoming] = deque()
        self._held: dict[str, Msg] = {}  # handed out or waiting, not confirmed
        self._room = asyncio.Event()
        self._error: str | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._closed = False
        self._pending: int | None = None
        self._missed = 0

    # ---- for the receiver -------------------------------------------------------------------------

    @property
    def publishing(self) -> int:
        return 0  # plain NATS messages: nobody confirms them

    def backlog(self) -> int | None:
        """In the stream and handed to no worker, by the word of the newest message; of who listens: what waits here."""
        return len(self._waiting) if self._options.listen_only else self._pending

    def open(self) -> None:
        """Connect, find or make stream and consumer, begin to fetch. LinkError."""
        self._thread.start()
        try:
            self._call(self._open(), self._options.connect_timeout_s * 3)
        except (NatsError, OSError, TimeoutError) as err:
            raise LinkError(f"{', '.join(self._options.servers)}: {_text(err)}") from None

    def poll(self, timeout_s: float) -> list[Incoming]:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._error, timeout_s)
            if not self._waiting and self._error is not None:
                raise LinkError(self._error)
            got = list(self._waiting)
            self._waiting.clear()
        return got

    def confirm(self, messages: Iterable[Incoming]) -> None:
        if tokens := [message.token for message in messages if message.token is not None]:
            self._soon(self._confirm(tokens))

    def publish(self, topic: str, payload: bytes) -> bool:
        if self._error is not None or not self._client.is_connected:
            return False
        self._soon(self._client.publish(topic.replace("/", "."), payload))
        return True

    def is_answered(self) -> bool:
        return self._error is None and self._client.is_connected

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._thread.is_alive():
            with suppress(Exception):  # it is gone then, and gives back what we hold by itself
                self._call(self._close(), _CLOSE_S)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_CLOSE_S)
        if not self._thread.is_alive():
            self._loop.close()

    # ---- on the loop ------------------------------------------------------------------------------

    async def _open(self) -> None:
        o = self._options
        await self._client.connect(
            list(o.servers),
            error_cb=self._on_error,
            disconnected_cb=self._on_gone,
            closed_cb=self._on_gone,
            connect_timeout=max(1, round(o.connect_timeout_s)),
            allow_reconnect=False,
            max_reconnect_attempts=0,
            name="outrider-ingest",
            ping_interval=_PING_S,
            tls=self._tls,
            user=o.username,
            password=o.password,
            user_credentials=None if o.credentials_file is None else str(o.credentials_file),
            pending_size=16 << 20,
        )
        for topic in self._topics if o.listen_only else ():
            await self._client.subscribe(topic.replace("/", ".").replace("+", "*"), cb=self._on_heard)
        if not o.listen_only:
            js = self._client.jetstream(timeout=o.connect_timeout_s)
            await self._make_stream(js)
            await self._make_consumer(js)
            subscription = await js.pull_subscribe_bind(
                o.durable, stream=o.stream, pending_msgs_limit=-1, pending_bytes_limit=-1
            )
            self._fetching = asyncio.create_task(self._guard(self._fetch(subscription)))

    async def _make_stream(self, js: JetStreamContext) -> None:
        """As the server itself makes it when the first MQTT client connects; whoever comes first."""
        o = self._options
        try:
            await js.stream_info(o.stream)
        except NotFoundError:
            config = StreamConfig(
                name=o.stream,
                subjects=[f"{o.prefix}>"],
                retention=RetentionPolicy.INTEREST,
                storage=StorageType.FILE,
                num_replicas=o.replicas,
            )
            await js.add_stream(config)

    async def _make_consumer(self, js: JetStreamContext) -> None:
        """Before it exists nothing is kept for it (and terminals get no acknowledgements and send again)."""
        o = self._options
        try:
            await js.consumer_info(o.stream, o.durable)
        except NotFoundError:
            config = ConsumerConfig(
                durable_name=o.durable,
                filter_subject=f"{o.prefix}t.>",
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=o.ack_wait_s,
                max_ack_pending=o.max_ack_pending,
            )
            await js.add_consumer(o.stream, config)

    async def _fetch(self, subscription: JetStreamContext.PullSubscription) -> None:
        """Keep at most ``hand_out`` messages here; the stream has the rest."""
        while self._error is None:
            room = self._options.hand_out - len(self._held)
            if room <= 0:
                self._room.clear()
                await self._room.wait()
                continue
            try:
                messages = await subscription.fetch(min(room, _FEW), timeout=_PULL_S)
            except TimeoutError:
                continue  # nothing came
            except (NatsError, OSError) as err:
                self._fail(_text(err))
                return
            self._take(messages)

    def _take(self, messages: list[Msg]) -> None:
        incoming = [self._incoming(message) for message in messages]
        if messages:
            self._pending = messages[-1].metadata.num_pending
        self._held.update({message.reply: message for message in messages})
        with self._changed:
            self._waiting.extend(incoming)
            self._changed.notify_all()

    def _incoming(self, message: Msg) -> Incoming:
        return Incoming(
            message.subject.removeprefix(self._options.prefix).replace(".", "/"), message.data, False, message
        )

    async def _on_heard(self, message: Msg) -> None:
        with self._changed:
            if len(self._waiting) >= _MAX_HEARD:
                self._missed += 1
                if self._missed == 1:
                    _log.warning("receiver: the watch is too slow for this fleet: messages pass unheard")
            else:
                self._waiting.append(Incoming(message.subject.replace(".", "/"), message.data))
                self._changed.notify_all()

    async def _confirm(self, tokens: list[Msg]) -> None:
        try:
            for message in tokens:
                self._held.pop(message.reply, None)
                await message.ack()
        except (NatsError, OSError) as err:  # they come again, and are known then
            self._fail(_text(err))
        self._room.set()

    async def _close(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
        try:
            while self._held and self._client.is_connected:  # another worker may have them at once
                _reply, message = self._held.popitem()
                await message.nak()
            if self._client.is_connected:
                await self._client.flush(1)
        finally:
            self._error = self._error or "closed"
            await self._client.close()

    async def _on_error(self, err: Exception) -> None:
        _log.debug("nats: %s", _text(err))

    async def _on_gone(self) -> None:
        self._fail("connection closed")

    # ---- leaves -----------------------------------------------------------------------------------

    def _fail(self, reason: str) -> None:
        with self._changed:
            self._error = self._error or f"nats: {reason}"
            self._changed.notify_all()

    def _soon(self, work: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(self._guard(work), self._loop)

    async def _guard(self, work: Coroutine[Any, Any, Any]) -> None:
        try:
            await work
        except Exception as err:  # noqa: BLE001  nobody waits for it; the connection is made anew
            self._fail(_text(err))

    def _call(self, work: Coroutine[Any, Any, _T], timeout_s: float) -> _T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout_s)
        except TimeoutError:
            future.cancel()
            raise


def _text(err: BaseException) -> str:
    return f"{type(err).__name__}: {err}" if str(err) else type(err).__name__
