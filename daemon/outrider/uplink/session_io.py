"""``Uplink``: the threads that keep sending, connection after connection.

Two threads: one owns core, pump and connection and does everything; the other waits for the log's durable mark to move
and wakes the first. Hooks are called on the first and must only enqueue. A fault inside is logged, counted and answered
with a new connection, never with the end of sending; each thread starts the other again should it have ended, and a
connection that hangs is broken off.
"""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Callable

from outrider.errors import LinkError, OutriderError
from outrider.model.notice import Notice
from outrider.model.record import Lane
from outrider.ports import Clock, NetworkMeter, RecordLog
from outrider.uplink.acks import AckReader
from outrider.uplink.answers import Answers, OnAcknowledged
from outrider.uplink.beacon_io import BeaconSlot
from outrider.uplink.brokers import Broker, Brokers
from outrider.uplink.budget import Budget
from outrider.uplink.connection_io import POLL_S, Connection, Sender
from outrider.uplink.core import SendCore
from outrider.uplink.link_io import tls_source
from outrider.uplink.log_view import LogView
from outrider.uplink.options import AckMode, SendOptions, TlsOptions, UplinkOptions, UplinkStatus, age_s
from outrider.uplink.pump import Pump
from outrider.uplink.resolve_io import Resolver
from outrider.uplink.scout_io import DialScout
from outrider.uplink.steering import Steering
from outrider.uplink.tally import Tally
from outrider.uplink.traffic import TcpCount
from outrider.wire.birth import Birth
from outrider.wire.topics import Topics

__all__ = ["AckMode", "SendOptions", "TlsOptions", "Uplink", "UplinkOptions", "UplinkStatus"]

_log = logging.getLogger(__name__)
_WATCH_S = 0.5
_HANGS_S = 30.0
_AWAKE_US = 5_000_000


class Uplink:
    """Sends what is durable in ``log`` until it is acknowledged.

    birth: makes the retained status document, called at each connection; its session_id is chosen here.
    on_acknowledged(epoch, lane, up_to_seq, boottime_us): the log's cursor moved; only enqueue. budget: what may be sent
    and in what portions; None: everything. network: its changes are followed at once. ConfigError for certificates
    that cannot be used.
    """

    def __init__(
        self,
        log: RecordLog,
        options: UplinkOptions,
        clock: Clock,
        birth: Callable[[], Birth],
        *,
        on_acknowledged: OnAcknowledged | None = None,
        budget: Budget | None = None,
        network: NetworkMeter | None = None,
        on_notice: Callable[[Notice], None] | None = None,
    ) -> None:
        self._log = log
        self._options = options
        self._clock = clock
        self._birth = birth
        self._tls = tls_source(options.tls)
        self._wake_r, self._wake_w = socket.socketpair()
        self._wake_r.setblocking(False)
        self._wake_w.setblocking(False)
        self._lock = threading.Lock()
        self._brokers = Brokers(
            ((options.host, options.port), *options.others),
            backoff_s=options.backoff_s,
            cap_s=options.backoff_cap_s,
            prefer_s=options.prefer_s,
        )
        self._sender = self._make_sender(on_acknowledged)
        self._tally = self._sender.tally
        self._core = self._sender.core
        scout = DialScout(options, Resolver(self._tally.counters))
        self._steering = Steering(
            options,
            self._core,
            self._tally,
            self._brokers,
            scout,
            budget=budget,
            network=network,
            on_notice=on_notice,
        )
        self._threads: list[threading.Thread] = []
        self._stop_us: int | None = None  # set: finish, at the latest then
        self._ended = threading.Event()
        self._connection: Connection | None = None
        self._emergencies_seen: dict[int, int] = {}  # by epoch
        self._beat_us = 0  # when the sending thread last went round
        self._late_us: int | None = None  # since when that is too long ago

    def _make_sender(self, on_acknowledged: OnAcknowledged | None) -> Sender:
        options, tally, topics = self._options, Tally(), Topics(self._options.device)
        core = SendCore(options.send, broker_final=options.ack is AckMode.BROKER)
        pump = Pump(self._log, core, topics, tally.counters, tally.sent)
        acks = AckReader(options.device, options.ack_key)
        return Sender(
            options=options,
            clock=self._clock,
            topics=topics,
            tally=tally,
            view=LogView(self._log, tally.counters),
            beacons=BeaconSlot(topics.beacon),
            core=core,
            pump=pump,
            answers=Answers(
                log=self._log, core=core, pump=pump, acks=acks, tally=tally, on_acknowledged=on_acknowledged
            ),
            lock=self._lock,
            wake=self._wake_r,
            resolver=Resolver(tally.counters),
            is_done=self._is_done,
            on_up=self._on_up,
            on_turn=self._on_turn,
        )

    # ---- for the house ----------------------------------------------------------------------------

    def start(self) -> None:
        self._beat_us = self._clock.boottime_us()
        self._threads = [_started("uplink", self._run), _started("uplink-watch", self._watch)]

    def attach(self, network: NetworkMeter | None = None, on_notice: Callable[[Notice], None] | None = None) -> None:
        """What is not there yet when the uplink is made. From any thread."""
        self._steering.attach(network, on_notice)

    def flush(self) -> None:
        """Send partial telemetry batches from now on instead of waiting for company; returns at once."""
        self._core.flushing = True
        self._wake()

    def send_beacon(self, payload: bytes) -> bool:
        """Send at QoS 0 on the connection there is now; False: there is none, and the beacon is gone. Never blocks."""
        if not self._sender.beacons.put(payload):
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
        oldest = self._sender.view.oldest(self._birth().boot_id, now)
        with self._lock:
            connection, core, tally, beacons = self._connection, self._core, self._tally, self._sender.beacons
            is_up = connection is not None and connection.is_up
            sent, received = tally.traffic(*(connection.counted() if connection is not None else (TcpCount(), (0, 0))))
            broker = self._brokers.choose(now) if connection is None else connection.broker
            rules = self._steering.rules
            return UplinkStatus(
                connected=is_up,
                protocol=broker.dialect.version.text if is_up else None,
                broker=broker.name,
                last_puback_age_s=age_s(tally.last_puback_us, now),
                last_ack_age_s=age_s(tally.last_ack_us, now),
                backlog={lane.name.lower(): count for lane, count in core.backlog().items()},
                oldest_age_s=oldest,
                stalled=self._steering.stalled,
                paused=None if rules is None else rules.pause_reason,
                in_flight_messages=core.window.messages,
                in_flight_bytes=core.window.bytes,
                unacknowledged_bytes=core.unacknowledged_bytes,
                probing=core.probing,
                last_error=tally.last_error,
                counters=dict(tally.counters) | {"ack_timeouts": core.timeouts} | beacons.counters(),
                alive=bool(self._threads) and all(thread.is_alive() for thread in self._threads),
                sent_bytes=sent | {"beacon": beacons.sent_bytes()},
                received_bytes=received,
            )

    # ---- threads ----------------------------------------------------------------------------------

    def _finish(self, flush_timeout_s: float) -> None:
        self._core.flushing = True
        self._stop_us = self._clock.boottime_us() + round(flush_timeout_s * 1e6)
        self._wake()
        sender, watcher = self._threads
        sender.join(flush_timeout_s + 1.5)
        connection = self._connection
        if sender.is_alive() and connection is not None:
            connection.abort()  # hangs in a connect
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
                news = not self._ended.wait(POLL_S)
            if news:
                self._wake()
            self._see_to_sender()

    def _see_to_sender(self) -> None:
        """A sender that has ended is started again; what it hangs in is broken off."""
        if self._stop_us is not None or len(self._threads) < 2:
            return
        if not self._threads[0].is_alive():
            self._tally.counters["restarts"] += 1
            _log.error("uplink: the sending thread had ended; it is started again")
            self._threads[0] = _started("uplink", self._run)
        limit_us = round((_HANGS_S + 2 * self._options.connect_timeout_s) * 1e6)
        now = self._clock.boottime_us()
        if now - self._beat_us <= limit_us:
            self._late_us = None
        elif self._late_us is None:
            self._late_us = now  # the system may just have slept: one turn is all the sender needs
        elif now - self._late_us > _AWAKE_US:
            self._beat_us, self._late_us = now, None
            self._tally.counters["hangs"] += 1
            connection = self._connection
            if connection is not None:
                connection.abort()

    def _wake(self) -> None:
        try:
            self._wake_w.send(b"w")
        except OSError:
            return  # full: it will wake anyway; closed: nobody sleeps

    def _run(self) -> None:
        self._drop_connection()  # of a thread that ended before
        while not self._is_done():
            try:
                self._connect()
            except LinkError as err:
                self._fail(str(err))
            except Exception as err:  # noqa: BLE001  the sending thread must not end; log and status tell
                self._tally.counters["faults"] += 1
                self._fail(f"{type(err).__name__}: {err}")
                _log.exception("uplink: fault")
            try:
                self._drop_connection()
                self._pause()
            except Exception:  # noqa: BLE001  as above
                self._tally.counters["faults"] += 1
                _log.exception("uplink: fault between connections")
                self._ended.wait(POLL_S)

    def _is_done(self) -> bool:
        if self._stop_us is None:
            return False
        return self._clock.boottime_us() >= self._stop_us or not self._sender.view.streams()

    def _fail(self, reason: str) -> None:
        self._tally.last_error = reason
        _log.info("uplink: %s", reason)

    # ---- connections ------------------------------------------------------------------------------

    def _connect(self) -> None:
        self._beat_us = self._clock.boottime_us()
        self._emergencies_seen = self._sender.view.emergencies()
        broker = self._brokers.choose(self._beat_us)
        try:
            connection = Connection(self._sender, self._birth(), self._tls_now(), broker)
            self._connection = connection
            connection.run()
        finally:  # also after a fault of ours: it must not come again at once, and again
            self._brokers.failed(broker, self._clock.boottime_us())

    def _tls_now(self) -> ssl.SSLContext | None:
        try:
            return self._tls()
        except (OutriderError, OSError) as err:  # an identity that cannot be used now; it may be renewed meanwhile
            raise LinkError(f"TLS: {err}") from None

    def _on_up(self, broker: Broker) -> None:
        self._steering.accepted(broker, self._clock.boottime_us())

    def _on_turn(self) -> None:
        """Under the lock, on the sending thread."""
        self._beat_us = self._clock.boottime_us()
        if len(self._threads) > 1 and not self._threads[1].is_alive() and not self._ended.is_set():
            self._tally.counters["restarts"] += 1
            self._threads[1] = _started("uplink-watch", self._watch)
        self._steering.turn(self._beat_us)

    def _drop_connection(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def _pause(self) -> None:
        """Wait before the next connection: less while an emergency waits, not at all for a new one or a flush."""
        start = self._clock.boottime_us()
        flushing = self._core.flushing
        while not self._is_done() and self._core.flushing == flushing:
            now = self._beat_us = self._clock.boottime_us()
            with self._lock:
                self._core.refresh(self._sender.view.streams(), now)
                self._steering.idle(now)
            if self._is_new_emergency():
                self._brokers.hurry(now)
                return
            rest = self._brokers.rest_s(now)
            if self._core.unsent(Lane.EMERGENCY):
                rest = min(rest, self._options.emergency_backoff_cap_s - (now - start) / 1e6)
            if rest <= 0:
                return
            self._wait_for_news(min(rest, POLL_S))

    def _is_new_emergency(self) -> bool:
        """Since the last attempt; an epoch that is all acknowledged is gone from the view."""
        seen = self._emergencies_seen
        return any(newest > seen.get(epoch, 0) for epoch, newest in self._sender.view.emergencies().items())

    def _wait_for_news(self, timeout_s: float) -> None:
        self._wake_r.settimeout(timeout_s)
        try:
            self._wake_r.recv(4096)
        except TimeoutError:
            return
        finally:
            self._wake_r.setblocking(False)


def _started(name: str, target: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=target, name=name, daemon=True)
    thread.start()
    return thread
