"""``Connection``: one connection from CONNECT to its end, on the sending thread.

Owns what lives as long as the connection: link, greeting, what is due on it. What outlives it comes in ``Sender``.
Everything that ends it is a LinkError with the reason; nothing here retries.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from outrider.errors import LinkError
from outrider.ports import Clock
from outrider.uplink import link_io
from outrider.uplink.answers import Answers
from outrider.uplink.beacon_io import BeaconSlot
from outrider.uplink.core import SendCore
from outrider.uplink.dialect import Backoff, Dialect
from outrider.uplink.greeting import Greeting
from outrider.uplink.link_io import Link, LinkEvent
from outrider.uplink.log_view import LogView
from outrider.uplink.options import AckMode, UplinkOptions
from outrider.uplink.pump import Pump
from outrider.uplink.tally import Tally
from outrider.wire.birth import Birth
from outrider.wire.topics import Topics

POLL_S: Final = 1.0
_GOODBYE_US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Sender:
    """What outlives a connection. lock: held while core, pump or tally are used; wake: readable = look again.

    is_done: nothing more is to be sent, say goodbye.
    """

    options: UplinkOptions
    clock: Clock
    topics: Topics
    tally: Tally
    view: LogView
    beacons: BeaconSlot
    core: SendCore
    pump: Pump
    answers: Answers
    lock: threading.Lock
    wake: socket.socket
    is_done: Callable[[], bool]


class Connection:
    """``run`` until it is done or the link is. is_up: CONNACK came and it has not ended."""

    def __init__(
        self, sender: Sender, birth: Birth, tls: ssl.SSLContext | None, dialect: Dialect, backoff: Backoff
    ) -> None:
        self.is_up = False
        self._s = sender
        self._dialect = dialect
        self._backoff = backoff
        self._now = sender.clock.boottime_us
        self._greeting = Greeting(birth, sender.topics, sender.pump)
        self._link = Link(sender.options, tls, dialect.version, self._greeting.will())
        self._birth_due = False
        self._birth_mid: int | None = None
        self._goodbye_mid: int | None = None

    def run(self) -> None:
        """LinkError when it fails or ends; returns when all is done and said."""
        self._link.open()
        self._await_connack()
        self._s.tally.counters["connects"] += 1
        while not self._step():
            pass

    def abort(self) -> None:
        """Break it, also while it is being made; from any thread."""
        self._link.abort()

    def counted(self) -> tuple[int, int]:
        """TCP bytes (sent, received)."""
        return self._link.counted()

    def close(self) -> None:
        """The caller holds the lock. Whatever fails here, the books are closed."""
        tally, is_up = self._s.tally, self.is_up
        self.is_up = False
        try:
            self._link.close()
        finally:
            sent, received = self._link.counted()
            tally.sent["link"] += sent
            tally.received["link"] += received
            tally.counters["disconnects"] += is_up
            self._s.beacons.close()
            self._s.core.disconnected()
            self._s.answers.forget()

    # ---- one turn ---------------------------------------------------------------------------------

    def _await_connack(self) -> None:
        deadline = self._now() + round(self._s.options.connect_timeout_s * 1e6)
        while not self.is_up:
            if self._now() >= deadline:
                raise LinkError("no CONNACK in time")
            self._link.step(0.5, self._s.wake, want_room=False)
            with self._s.lock:
                self._handle_events()

    def _step(self) -> bool:
        """One turn: timers, sending, network. True when the uplink is done. LinkError when the link is."""
        s, link, now = self._s, self._link, self._now
        with s.lock:
            self._run_timers()
            if s.is_done():
                return self._say_goodbye()
            want_room = s.pump.run(link, now, urgent_only=True)
            s.beacons.send(link)
            if self._birth_due:
                self._birth_mid = self._greeting.send(link, now(), online=True)
                self._birth_due = self._birth_mid is None
            want_room = want_room or s.pump.run(link, now)
            want_room = want_room or s.beacons.is_waiting()
            wake_us = s.core.wake_us(now())
        timeout = POLL_S if wake_us is None else min(POLL_S, (wake_us - now()) / 1e6)
        link.step(timeout, s.wake, want_room=want_room)
        with s.lock:
            self._handle_events()
        return False

    def _run_timers(self) -> None:
        s = self._s
        s.core.refresh(s.view.streams(), self._now())
        timeouts = s.core.timeouts
        if s.core.tick(self._now()):
            s.tally.counters["puback_timeouts"] += 1
            raise LinkError(f"no PUBACK for {s.options.send.puback_timeout_s:g} s")
        if s.core.timeouts != timeouts:
            s.answers.forget()

    def _say_goodbye(self) -> bool:
        """The last beacon, retained status offline, its PUBACK awaited for a second, then DISCONNECT."""
        self._s.beacons.send(self._link, anyway=True)
        self._goodbye_mid = self._greeting.send(self._link, self._now(), online=False)
        deadline = self._now() + _GOODBYE_US
        while self._goodbye_mid is not None and self._now() < deadline:
            self._link.step(0.1, self._s.wake, want_room=False)
            self._handle_events()
        self._link.farewell()
        return True

    # ---- what the link tells ----------------------------------------------------------------------

    def _handle_events(self) -> None:
        while self._link.events:
            self._handle(self._link.events.popleft())

    def _handle(self, event: LinkEvent) -> None:
        counters = self._s.tally.counters
        match event:
            case link_io.Connected(receive_maximum, packet_maximum):
                self._s.pump.connected(packet_maximum)
                self._on_connected(receive_maximum)
            case link_io.Refused(reason, wrong_version):
                counters["refused"] += 1
                if wrong_version:
                    self._dialect.refused()
                raise LinkError(f"broker refused: {reason}")
            case link_io.Published(mid, reason):
                self._on_puback(mid, reason)
            case link_io.Subscribed(reason) if reason is not None:
                counters["refused"] += 1
                raise LinkError(f"broker refused the subscription to {self._s.topics.ack}: {reason}")
            case link_io.Message(_topic, payload):
                if self._s.answers.acknowledgement(payload, self._now()):
                    self._backoff.reset()
            case link_io.Closed(reason):
                if not self.is_up:
                    counters["hang_ups"] += 1
                    self._dialect.hung_up()
                raise LinkError(f"connection closed: {reason}")

    def _on_connected(self, receive_maximum: int) -> None:
        self.is_up = True
        self._s.beacons.open()
        self._birth_due = True
        self._dialect.accepted()
        self._s.core.connected(receive_maximum)
        if self._s.options.ack is AckMode.RECEIVER:
            self._link.subscribe(self._s.topics.ack)

    def _on_puback(self, mid: int, reason: str | None) -> None:
        self._s.answers.puback(mid, reason, self._now())
        if mid != self._birth_mid:  # a broker that takes the greeting and then kicks is no success
            self._backoff.reset()
        if mid == self._goodbye_mid:
            self._goodbye_mid = None
