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
from outrider.uplink.brokers import Broker
from outrider.uplink.core import SendCore
from outrider.uplink.dial_io import Dial
from outrider.uplink.dialect import Version
from outrider.uplink.greeting import Greeting
from outrider.uplink.link_io import Link, LinkEvent
from outrider.uplink.log_view import LogView
from outrider.uplink.options import AckMode, UplinkOptions
from outrider.uplink.pump import Pump
from outrider.uplink.resolve_io import Resolver
from outrider.uplink.stall import Why
from outrider.uplink.tally import Tally
from outrider.uplink.traffic import TcpCount
from outrider.wire.birth import Birth
from outrider.wire.topics import Topics

POLL_S: Final = 1.0
_GOODBYE_US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Sender:
    """What outlives a connection. lock: held while core, pump or tally are used; wake: readable = look again.

    is_done: nothing more is to be sent, say goodbye. on_up: a broker has accepted. on_turn: once a turn, under the
    lock; its LinkError ends the connection.
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
    resolver: Resolver
    is_done: Callable[[], bool]
    on_up: Callable[[Broker], None]
    on_turn: Callable[[], None]


class Connection:
    """``run`` until it is done or the link is. is_up: CONNACK came and it has not ended."""

    def __init__(self, sender: Sender, birth: Birth, tls: ssl.SSLContext | None, broker: Broker) -> None:
        self.is_up = False
        self.broker = broker
        self._s = sender
        self._now = sender.clock.boottime_us
        self._greeting = Greeting(birth, sender.topics, sender.pump)
        dial = Dial(sender.resolver, sender.options.proxy, sender.options.connect_timeout_s)
        address = (broker.host, broker.port)
        self._link = Link(sender.options, address, dial, tls, self._greeting.will(), version=broker.dialect.version)
        self._trouble_before: Why | None = None
        self._birth_due = False
        self._birth_mid: int | None = None
        self._goodbye_mid: int | None = None

    def run(self) -> None:
        """LinkError when it fails or ends; returns when all is done and said."""
        self._trouble_before, self._s.tally.trouble = self._s.tally.trouble, Why.NO_CONNECTION
        self._link.open()
        self._await_connack()
        self._s.tally.counters["connects"] += 1
        while not self._step():
            pass

    def abort(self) -> None:
        """Break it, also while it is being made; from any thread."""
        self._link.abort()

    def counted(self) -> tuple[TcpCount, tuple[int, int]]:
        """TCP traffic; pings (sent, answered)."""
        return self._link.counted(), self._link.pings()

    def close(self) -> None:
        """The caller holds the lock. Whatever fails here, the books are closed."""
        tally, is_up = self._s.tally, self.is_up
        self.is_up = False
        try:
            self._link.close()
        finally:
            tally.ended(*self.counted())
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
            s.on_turn()
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
        s.answers.settle(self._now())
        timeouts = s.core.timeouts
        if s.core.tick(self._now()):
            s.tally.counters["puback_timeouts"] += 1
            s.tally.trouble = Why.NO_PUBACK
            raise LinkError("no PUBACK in time")
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
            case link_io.Connected() if self.is_up:
                raise LinkError("a second CONNACK")
            case link_io.Connected(receive_maximum, packet_maximum):
                self._s.pump.connected(packet_maximum, v5=self.broker.dialect.version is Version.V5)
                self._on_connected(receive_maximum)
            case link_io.Refused(reason, wrong_version):
                counters["refused"] += 1
                self._s.tally.trouble = Why.REFUSED
                if wrong_version:
                    self.broker.dialect.refused()
                raise LinkError(f"broker refused: {reason}")
            case link_io.Published(mid, reason):
                self._on_puback(mid, reason)
            case link_io.Subscribed(reason) if reason is not None:
                counters["refused"] += 1
                self._s.tally.trouble = Why.REFUSED
                raise LinkError(f"broker refused the subscription to {self._s.topics.ack}: {reason}")
            case link_io.Message(topic, payload) if topic == self._s.topics.ack:
                if self._s.answers.acknowledgement(topic, payload, self._now()):
                    self.broker.backoff.reset()
            case link_io.Message():
                counters["unasked"] += 1
            case link_io.Closed(reason):
                if not self.is_up:
                    counters["hang_ups"] += 1
                    self.broker.dialect.hung_up()
                raise LinkError(f"connection closed: {reason}")

    def _on_connected(self, receive_maximum: int) -> None:
        self.is_up = True
        self._s.beacons.open()
        self._birth_due = True
        self.broker.dialect.accepted()
        self._s.tally.trouble = self._trouble_before if self._trouble_before is Why.NO_PUBACK else None
        self._s.on_up(self.broker)
        self._s.core.connected(receive_maximum)
        if self._s.options.ack is AckMode.RECEIVER:
            self._link.subscribe(self._s.topics.ack)

    def _on_puback(self, mid: int, reason: str | None) -> None:
        self._s.answers.puback(mid, reason, self._now())
        if mid != self._birth_mid:  # a broker that takes the greeting and then kicks is no success
            self.broker.backoff.reset()
        if mid == self._goodbye_mid:
            self._goodbye_mid = None
