"""``Uplink``: the threads that keep sending, connection after connection.

Two threads: one owns core, pump and connection and does everything; the other waits for the log's durable mark to move
and wakes the first. Hooks are called on the first and must only enqueue. A fault inside is logged, counted and answered
with a new connection, never with the end of sending.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable

from outrider.errors import InputError, LinkError
from outrider.model.record import Lane
from outrider.ports import Clock, RecordLog
from outrider.uplink.acks import AckReader
from outrider.uplink.answers import Answers, OnAcknowledged
from outrider.uplink.beacon_io import BeaconSlot
from outrider.uplink.connection_io import POLL_S, Connection, Sender
from outrider.uplink.core import SendCore
from outrider.uplink.dialect import Backoff, Dialect
from outrider.uplink.link_io import tls_source
from outrider.uplink.log_view import LogView
from outrider.uplink.options import AckMode, SendOptions, TlsOptions, UplinkOptions, UplinkStatus, age_s
from outrider.uplink.pump import Pump
from outrider.uplink.tally import Tally
from outrider.wire.birth import Birth
from outrider.wire.topics import Topics

__all__ = ["AckMode", "SendOptions", "TlsOptions", "Uplink", "UplinkOptions", "UplinkStatus"]

_log = logging.getLogger(__name__)
_WATCH_S = 0.5


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
        on_acknowledged: OnAcknowledged | None = None,
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
        self._sender = self._make_sender(on_acknowledged)
        self._tally = self._sender.tally
        self._core = self._sender.core
        self._dialect = Dialect()
        self._backoff = Backoff(options.backoff_s, options.backoff_cap_s)
        self._threads: list[threading.Thread] = []
        self._stop_us: int | None = None  # set: finish, at the latest then
        self._ended = threading.Event()
        self._connection: Connection | None = None
        self._emergencies_seen = 0

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
            is_done=self._is_done,
        )

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
        with self._lock:
            connection, core, tally, beacons = self._connection, self._core, self._tally, self._sender.beacons
            is_up = connection is not None and connection.is_up
            link = connection.counted() if connection is not None else (0, 0)
            own = {"link": tally.sent["link"] + link[0], "beacon": beacons.sent_bytes()}
            return UplinkStatus(
                connected=is_up,
                protocol=self._dialect.version.text if is_up else None,
                last_puback_age_s=age_s(tally.last_puback_us, now),
                last_ack_age_s=age_s(tally.last_ack_us, now),
                backlog={lane.name.lower(): count for lane, count in core.backlog().items()},
                in_flight_messages=core.window.messages,
                in_flight_bytes=core.window.bytes,
                unacknowledged_bytes=core.unacknowledged_bytes,
                probing=core.probing,
                last_error=tally.last_error,
                counters=dict(tally.counters) | {"ack_timeouts": core.timeouts} | beacons.counters(),
                alive=bool(self._threads) and all(thread.is_alive() for thread in self._threads),
                sent_bytes=dict(tally.sent) | own,
                received_bytes=dict(tally.received) | {"link": tally.received["link"] + link[1]},
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

    def _wake(self) -> None:
        try:
            self._wake_w.send(b"w")
        except OSError:
            return  # full: it will wake anyway; closed: nobody sleeps

    def _run(self) -> None:
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
        self._emergencies_seen = self._sender.view.emergencies()
        try:
            tls = self._tls()
        except (InputError, OSError) as err:  # an identity that cannot be used now; it may be renewed meanwhile
            raise LinkError(f"TLS: {err}") from None
        connection = Connection(self._sender, self._birth(), tls, self._dialect, self._backoff)
        self._connection = connection
        connection.run()

    def _drop_connection(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def _pause(self) -> None:
        """Wait before the next connection: less while an emergency waits, not at all for a new one or a flush."""
        start = self._clock.boottime_us()
        delay = self._backoff.next_s()
        flushing = self._core.flushing
        while not self._is_done() and self._core.flushing == flushing:
            with self._lock:
                self._core.refresh(self._sender.view.streams(), self._clock.boottime_us())
            if self._sender.view.emergencies() > self._emergencies_seen:
                return
            limit = min(delay, self._options.emergency_backoff_cap_s) if self._core.unsent(Lane.EMERGENCY) else delay
            rest = limit - (self._clock.boottime_us() - start) / 1e6
            if rest <= 0:
                return
            self._wait_for_news(min(rest, POLL_S))

    def _wait_for_news(self, timeout_s: float) -> None:
        self._wake_r.settimeout(timeout_s)
        try:
            self._wake_r.recv(4096)
        except TimeoutError:
            return
        finally:
            self._wake_r.setblocking(False)
