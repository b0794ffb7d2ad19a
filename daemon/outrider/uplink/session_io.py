"""``Uplink``: the thread that joins log, core and link, connection after connection.

Two threads: one owns core, pump and link and does everything; the other waits for the log's durable mark to move and
wakes the first. Hooks are called on the first and must only enqueue. A fault inside is logged, counted and answered
with a new connection, never with the end of sending.
"""

from __future__ import annotations

import dataclasses
import logging
import random
import socket
import threading
from collections import Counter
from collections.abc import Callable

from outrider.errors import LinkError, WireError
from outrider.model.record import Lane
from outrider.ports import Clock, RecordLog
from outrider.uplink import link_io
from outrider.uplink.acks import AckReader, ReplayedError
from outrider.uplink.beacon_io import BeaconSlot
from outrider.uplink.core import Position, SendCore
from outrider.uplink.dialect import Backoff, Dialect
from outrider.uplink.link_io import Link, LinkEvent, tls_context
from outrider.uplink.log_view import LogView
from outrider.uplink.options import AckMode, SendOptions, TlsOptions, UplinkOptions, UplinkStatus, age_s
from outrider.uplink.pump import Pump
from outrider.wire.birth import Birth, encode_birth
from outrider.wire.topics import Topics

__all__ = ["AckMode", "SendOptions", "TlsOptions", "Uplink", "UplinkOptions", "UplinkStatus"]

_log = logging.getLogger(__name__)
_POLL_S = 1.0
_WATCH_S = 0.5
_GOODBYE_US = 1_000_000


class Uplink:
    """Sends what is durable in ``log`` until it is acknowledged.

    birth: makes the retained status document, called at each connection; its session_id is chosen here.
    on_acknowledged(epoch, lane, up_to_seq, boottime_us): the log's cursor moved; only enqueue. ConfigError for
    certificates that cannot be used.
    """

    def __init__(
        self,
        log: RecordLog,
        options: UplinkOptions,
        clock: Clock,
        birth: Callable[[], Birth],
        *,
        on_acknowledged: Callable[[int, Lane, int, int], None] | None = None,
    ) -> None:
        self._log = log
        self._options = options
        self._clock = clock
        self._birth = birth
        self._on_acknowledged = on_acknowledged
        self._tls = None if options.tls is None else tls_context(options.tls)
        self._topics = Topics(options.device)
        self._counters: Counter[str] = Counter()
        self._sent: Counter[str] = Counter()
        self._received: Counter[str] = Counter()
        self._view = LogView(log, self._counters)
        self._beacons = BeaconSlot(self._topics.beacon)
        self._core = SendCore(options.send, broker_final=options.ack is AckMode.BROKER)
        self._pump = Pump(log, self._core, self._topics, self._counters, self._sent)
        self._acks = AckReader(options.device, options.ack_key)
        self._dialect = Dialect()
        self._backoff = Backoff(options.backoff_s, options.backoff_cap_s)
        self._lock = threading.Lock()
        self._wake_r, self._wake_w = socket.socketpair()
        self._wake_r.setblocking(False)
        self._wake_w.setblocking(False)
        self._threads: list[threading.Thread] = []
        self._stop_us: int | None = None  # set: finish, at the latest then
        self._ended = threading.Event()
        self._link: Link | None = None
        self._is_up = False
        self._birth_due = False
        self._birth_doc: Birth | None = None
        self._birth_mid: int | None = None
        self._goodbye_mid: int | None = None
        self._emergencies_seen = 0
        self._last_puback_us: int | None = None
        self._last_ack_us: int | None = None
        self._last_error: str | None = None

    # ---- for the house ----------------------------------------------------------------------------

    def start(self) -> None:
        self._threads = [
            threading.Thread(target=self._run, name="uplink", daemon=True),
            threading.Thread(target=self._watch, name="uplink-watch", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def flush(self) -> None:
        """Send partial telemetry batches from now on instead of waiting for company; returns at once."""
        self._core.flushing = True
        self._wake()

    def send_beacon(self, payload: bytes) -> bool:
        """Send at QoS 0 on the connection there is now; False: there is none, and the beacon is gone. Never blocks."""
        if not self._beacons.put(payload):
            return False
        self._wake()
        return True

    def stop(self, flush_timeout_s: float = 5.0) -> None:
        """Send what is there, say goodbye and end; at most about flush_timeout_s plus two seconds. Idempotent."""
        if self._threads:
            self._finish(flush_timeout_s)
        self._wake_r.close()
        self._wake_w.close()

    def status(self) -> UplinkStatus:
        """A consistent moment; from any thread."""
        now = self._clock.boottime_us()
        with self._lock:
            link = self._link.counted() if self._link is not None else (0, 0)
            core = self._core
            counters = dict(self._counters) | {"ack_timeouts": core.timeouts} | self._beacons.counters()
            own = {"link": self._sent["link"] + link[0], "beacon": self._beacons.sent_bytes()}
            return UplinkStatus(
                connected=self._is_up,
                protocol=self._dialect.version.text if self._is_up else None,
                last_puback_age_s=age_s(self._last_puback_us, now),
                last_ack_age_s=age_s(self._last_ack_us, now),
                backlog={lane.name.lower(): count for lane, count in core.backlog().items()},
                in_flight_messages=core.window.messages,
                in_flight_bytes=core.window.bytes,
                unacknowledged_bytes=core.unacknowledged_bytes,
                probing=core.probing,
                last_error=self._last_error,
                counters=counters,
                alive=bool(self._threads) and all(thread.is_alive() for thread in self._threads),
                sent_bytes=dict(self._sent) | own,
                received_bytes=dict(self._received) | {"link": self._received["link"] + link[1]},
            )

    # ---- threads ----------------------------------------------------------------------------------

    def _finish(self, flush_timeout_s: float) -> None:
        self._core.flushing = True
        self._stop_us = self._clock.boottime_us() + round(flush_timeout_s * 1e6)
        self._wake()
        sender, watcher = self._threads
        sender.join(flush_timeout_s + 1.5)
        link = self._link
        if sender.is_alive() and link is not None:
            link.abort()  # hangs in a connect
        sender.join(self._options.connect_timeout_s + 1.0)
        self._ended.set()
        watcher.join(_WATCH_S + 1.0)
        self._threads = []

    def _watch(self) -> None:
        while not self._ended.is_set():
            try:
                news = self._log.wait_durable(_WATCH_S)
            except Exception:  # noqa: BLE001  nobody else would wake the sender
                _log.exception("uplink: fault while waiting for the log")
                news = not self._ended.wait(_POLL_S)
            if news:
                self._wake()

    def _wake(self) -> None:
        try:
            self._wake_w.send(b"w")
        except OSError:
            return  # full: it will wake anyway; closed: nobody sleeps

    def _run(self) -> None:
        while not self._is_done():
            try:
                self._connection()
            except LinkError as err:
                self._fail(str(err))
            except Exception as err:  # noqa: BLE001  the sending thread must not end; log and status tell
                self._counters["faults"] += 1
                self._fail(f"{type(err).__name__}: {err}")
                _log.exception("uplink: fault")
            try:
                self._drop_link()
                self._pause()
            except Exception:  # noqa: BLE001  as above
                self._counters["faults"] += 1
                _log.exception("uplink: fault between connections")
                self._ended.wait(_POLL_S)

    def _is_done(self) -> bool:
        if self._stop_us is None:
            return False
        return self._clock.boottime_us() >= self._stop_us or not self._view.streams()

    def _fail(self, reason: str) -> None:
        self._last_error = reason
        _log.info("uplink: %s", reason)

    def _pause(self) -> None:
        """Wait before the next connection: less while an emergency waits, not at all for a new one or a flush."""
        start = self._clock.boottime_us()
        delay = self._backoff.next_s()
        flushing = self._core.flushing
        while not self._is_done() and self._core.flushing == flushing:
            with self._lock:
                self._core.refresh(self._view.streams(), self._clock.boottime_us())
            if self._view.emergencies() > self._emergencies_seen:
                return
            limit = min(delay, self._options.emergency_backoff_cap_s) if self._core.unsent(Lane.EMERGENCY) else delay
            rest = limit - (self._clock.boottime_us() - start) / 1e6
            if rest <= 0:
                return
            self._wake_r.settimeout(min(rest, _POLL_S))
            try:
                self._wake_r.recv(4096)
            except TimeoutError:
                continue
            finally:
                self._wake_r.setblocking(False)

    # ---- one connection ---------------------------------------------------------------------------

    def _connection(self) -> None:
        self._emergencies_seen = self._view.emergencies()
        self._birth_doc = dataclasses.replace(self._birth(), session_id=random.SystemRandom().getrandbits(64))
        will = encode_birth(dataclasses.replace(self._birth_doc, online=False, table=None))
        self._goodbye_mid = None
        link = Link(self._options, self._tls, self._dialect.version, (self._topics.status, will))
        self._link = link
        link.open()
        self._await_connack(link)
        self._counters["connects"] += 1
        while not self._step(link):
            pass

    def _await_connack(self, link: Link) -> None:
        deadline = self._clock.boottime_us() + round(self._options.connect_timeout_s * 1e6)
        while not self._is_up:
            if self._clock.boottime_us() >= deadline:
                raise LinkError("no CONNACK in time")
            link.step(0.5, self._wake_r, want_room=False)
            with self._lock:
                self._handle_events(link)

    def _step(self, link: Link) -> bool:
        """One turn: timers, sending, network. True when the uplink is done. LinkError when the link is."""
        now = self._clock.boottime_us
        with self._lock:
            self._core.refresh(self._view.streams(), now())
            timeouts = self._core.timeouts
            if self._core.tick(now()):
                self._counters["puback_timeouts"] += 1
                raise LinkError(f"no PUBACK for {self._options.send.puback_timeout_s:g} s")
            if self._core.timeouts != timeouts:
                self._acks.forget()
            if self._is_done():
                return self._say_goodbye(link)
            want_room = self._pump.run(link, now, urgent_only=True)
            self._beacons.send(link)
            if self._birth_due:
                self._send_birth(link)
            want_room = want_room or self._pump.run(link, now)
            want_room = want_room or self._beacons.is_waiting()
            wake_us = self._core.wake_us(now())
        timeout = _POLL_S if wake_us is None else min(_POLL_S, (wake_us - now()) / 1e6)
        link.step(timeout, self._wake_r, want_room=want_room)
        with self._lock:
            self._handle_events(link)
        return False

    def _status(self, *, online: bool) -> bytes:
        """Without the table where the broker takes no packet of that size: it comes as a record as well."""
        assert self._birth_doc is not None
        payload = encode_birth(dataclasses.replace(self._birth_doc, online=online))
        if self._pump.fits(self._topics.status, payload):
            return payload
        return encode_birth(dataclasses.replace(self._birth_doc, online=online, table=None))

    def _send_birth(self, link: Link) -> None:
        self._birth_mid = self._pump.send_status(link, self._status(online=True), self._clock.boottime_us())
        self._birth_due = self._birth_mid is None

    def _say_goodbye(self, link: Link) -> bool:
        """The last beacon, retained status offline, its PUBACK awaited for a second, then DISCONNECT."""
        self._beacons.send(link, anyway=True)
        self._goodbye_mid = self._pump.send_status(link, self._status(online=False), self._clock.boottime_us())
        deadline = self._clock.boottime_us() + _GOODBYE_US
        while self._goodbye_mid is not None and self._clock.boottime_us() < deadline:
            link.step(0.1, self._wake_r, want_room=False)
            self._handle_events(link)
        link.farewell()
        return True

    def _drop_link(self) -> None:
        with self._lock:
            link, self._link = self._link, None
            if link is not None:
                link.close()
                sent, received = link.counted()
                self._sent["link"] += sent
                self._received["link"] += received
            if self._is_up:
                self._counters["disconnects"] += 1
            self._is_up = False
            self._beacons.close()
            self._core.disconnected()
            self._acks.forget()

    # ---- what the link tells ----------------------------------------------------------------------

    def _handle_events(self, link: Link) -> None:
        while link.events:
            self._handle(link, link.events.popleft())

    def _handle(self, link: Link, event: LinkEvent) -> None:
        now = self._clock.boottime_us()
        match event:
            case link_io.Connected(receive_maximum, packet_maximum):
                self._pump.connected(packet_maximum)
                self._on_connected(link, receive_maximum)
            case link_io.Refused(reason, wrong_version):
                self._counters["refused"] += 1
                if wrong_version:
                    self._dialect.refused()
                raise LinkError(f"broker refused: {reason}")
            case link_io.Published(mid, reason):
                self._on_puback(mid, reason, now)
            case link_io.Subscribed(reason) if reason is not None:
                self._counters["refused"] += 1
                raise LinkError(f"broker refused the subscription to {self._topics.ack}: {reason}")
            case link_io.Message(_topic, payload):
                self._on_ack(payload, now)
            case link_io.Closed(reason):
                if not self._is_up:
                    self._counters["hang_ups"] += 1
                    self._dialect.hung_up()
                raise LinkError(f"connection closed: {reason}")

    def _on_connected(self, link: Link, receive_maximum: int) -> None:
        self._is_up = True
        self._beacons.open()
        self._birth_due = True
        self._dialect.accepted()
        self._core.connected(receive_maximum)
        if self._options.ack is AckMode.RECEIVER:
            link.subscribe(self._topics.ack)

    def _on_puback(self, mid: int, reason: str | None, now: int) -> None:
        if reason is not None:
            self._counters["puback_refused"] += 1
            raise LinkError(f"broker refused a message: {reason}")
        self._counters["pubacks"] += 1
        self._last_puback_us = now
        if mid != self._birth_mid:  # a broker that takes the greeting and then kicks is no success
            self._backoff.reset()
        if mid == self._goodbye_mid:
            self._goodbye_mid = None
        token = self._pump.token(mid)
        if token is not None and (position := self._core.puback(token, now)) is not None:
            self._advance(position, now)

    def _on_ack(self, payload: bytes, now: int) -> None:
        self._received["ack"] += len(payload)
        try:
            ack = self._acks.read(payload)
        except ReplayedError:
            self._counters["acks_replayed"] += 1
            return
        except WireError as err:
            self._counters["acks_forged"] += 1
            _log.warning("uplink: %s", err)
            return
        self._counters["acks"] += 1
        self._last_ack_us = now
        self._backoff.reset()
        for position in ack.positions:
            self._advance(Position(position.epoch, position.lane, position.up_to_seq), now)

    def _advance(self, position: Position, now: int) -> None:
        if position.up_to_seq == 0:
            return  # the receiver knows the stream and holds nothing of it yet
        if not self._log.acknowledge(position.epoch, position.lane, position.up_to_seq):
            self._counters["acks_absurd"] += 1
            _log.warning("uplink: absurd acknowledgement refused: %s", position)
            return
        if self._core.acknowledged(position.epoch, position.lane, position.up_to_seq, now) and self._on_acknowledged:
            self._on_acknowledged(position.epoch, position.lane, position.up_to_seq, now)
