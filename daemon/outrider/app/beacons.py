"""Beacons of the running daemon: from the engine's snapshots straight to the connection there is.

The one thing that does not go through the journal (docs/internals/uplink.md). Called on the owner thread; never waits.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Final, Protocol

from outrider.app.boot_io import system_clock_fix
from outrider.app.consent import Consent
from outrider.drive.beacons import BeaconMaker, BeaconOptions
from outrider.errors import WireError
from outrider.model.beacon import Beacon
from outrider.model.event import Event, Snapshot, Trip
from outrider.model.record import Category
from outrider.ports import Clock, SignalMeter
from outrider.wire.beacon import encode_beacon

log = logging.getLogger(__name__)

CATEGORY: Final = Category.LOCATION


class BeaconSender(Protocol):
    """The uplink. False: no connection, the beacon is gone."""

    def send_beacon(self, payload: bytes) -> bool: ...


class NoModem:
    """Stands for a modem where none is read."""

    def signal_dbm(self) -> int | None:
        return None


class Beacons:
    """Give it every output of the pipeline. Without a sender (no broker) nothing is made."""

    def __init__(
        self,
        options: BeaconOptions,
        boot_id: int,
        sender: BeaconSender | None,
        clock: Clock,
        *,
        consent: Consent | None = None,
        modem: SignalMeter | None = None,
    ) -> None:
        self._maker = BeaconMaker(options, boot_id)
        self._sender = sender
        self._clock = clock
        self._consent = consent or Consent()
        self._modem = modem or NoModem()
        self._counters: Counter[str] = Counter()

    def note(self, output: Event | Trip | Snapshot) -> None:
        """Sends what is due. Never raises for what the engine says."""
        if isinstance(output, Event):
            self._maker.note(output)
        elif isinstance(output, Snapshot) and self._sender is not None:
            self._send(self._maker.update(output, self._utc_us(output), self._modem.signal_dbm()))

    def supply_fails(self) -> None:
        """A stop that follows is none on purpose."""
        self._maker.note_supply_failure(self._clock.boottime_us())

    def stop(self) -> None:
        """The daemon ends in order: the receiver need not wait for the next beacon."""
        self._send(self._maker.farewell())

    def status(self) -> dict[str, int | bool]:
        """on: the receiver expects the next one. Counters: made; withheld: no consent; unfit: a number out of range."""
        return {"on": self._maker.is_on, **{name: self._counters[name] for name in ("made", "withheld", "unfit")}}

    def _send(self, beacon: Beacon | None) -> None:
        if beacon is None or self._sender is None:
            return
        if not self._consent.allows(CATEGORY):
            self._counters["withheld"] += 1
            return
        try:
            payload = encode_beacon(beacon)
        except WireError as err:
            self._counters["unfit"] += 1
            if self._counters["unfit"] == 1:
                log.warning("%s", err)
            return
        self._counters["made"] += 1
        self._sender.send_beacon(payload)

    def _utc_us(self, snapshot: Snapshot) -> int | None:
        """By the system clock, at the snapshot; None while that has not been set."""
        fix = system_clock_fix(self._clock)
        return None if fix is None else fix.utc_us - (self._clock.boottime_us() - snapshot.t_us)
