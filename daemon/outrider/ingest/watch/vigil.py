"""``Vigil``: what the receiver hears, told to the dead-man; and the last few beacons of each terminal. Pure.

Every message that could be read is a sign of life. A crash record counts as evidence only if it belongs to the drive
that the last beacon told of: terminals deliver old records too. Not thread-safe: the receiver's thread alone uses it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from outrider.errors import WireError
from outrider.ingest.watch.deadman import Cleared, CoverageMap, DeadMan, DeadManOptions, Vanished
from outrider.model.beacon import Beacon
from outrider.model.event import Event
from outrider.model.record import Kind, Lane, SignalTable, StoredRecord, TelemetryRow
from outrider.wire.birth import Birth
from outrider.wire.bodies import decode_body
from outrider.wire.codec import Batch

KEPT_BEACONS: Final = 6
_CRASH_BEFORE_US: Final = 60_000_000
_LATITUDE, _LONGITUDE = "Vehicle.CurrentLocation.Latitude", "Vehicle.CurrentLocation.Longitude"

TableOf = Callable[[str, int], SignalTable | None]
Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class HeardBeacon:
    """received_utc_s: by the receiver's clock."""

    received_utc_s: float
    beacon: Beacon


class Vigil:
    """``table_of(device, table_id)``: names the columns of telemetry. standing: alarms from before a restart."""

    def __init__(
        self, options: DeadManOptions, coverage: CoverageMap, table_of: TableOf, standing: Iterable[Vanished] = ()
    ) -> None:
        self._deadman = DeadMan(options, coverage)
        self._table_of = table_of
        self._most = options.max_devices
        self._beacons: dict[str, deque[HeardBeacon]] = {}
        self._changed: set[str] = set()
        self._sessions: dict[str, int] = {}  # of the last birth
        self._missing: set[str] = set()  # devices with an alarm that stands
        for alarm in standing:
            self._deadman.restore(alarm)
            self._missing.add(alarm.device)

    # ---- what is heard ------------------------------------------------------------------------------

    def beacon(self, device: str, now_utc_s: float, beacon: Beacon) -> None:
        kept = self._beacons.pop(device, None)
        if kept is None:
            kept = deque(maxlen=KEPT_BEACONS)
            if len(self._beacons) >= self._most:
                del self._beacons[next(iter(self._beacons))]  # the one that has been quiet for longest
        kept.append(HeardBeacon(now_utc_s, beacon))
        self._beacons[device] = kept
        self._changed.add(device)
        self._deadman.beacon(device, now_utc_s, beacon)

    def birth(self, birth: Birth, now_utc_s: float) -> None:
        """A status document that is not an old, retained one."""
        if birth.online:
            if birth.device not in self._sessions and len(self._sessions) >= self._most:
                del self._sessions[next(iter(self._sessions))]
            self._sessions[birth.device] = birth.session_id
            self._deadman.birth(birth.device, now_utc_s)
        elif self._sessions.get(birth.device, birth.session_id) == birth.session_id:
            self._deadman.will(birth.device, now_utc_s)  # that of an older connection is late and says nothing

    def batch(self, batch: Batch, now_utc_s: float) -> None:
        place = self._place(batch) if batch.device in self._missing else None
        self._deadman.seen(batch.device, now_utc_s, place)
        if batch.lane is Lane.EMERGENCY:
            for stored in batch.records:
                event = _event(stored)
                if event is not None and self._is_of_this_drive(batch.device, stored):
                    self._deadman.crash(batch.device, now_utc_s, event)

    def sign(self, device: str, now_utc_s: float) -> None:
        """A message of the terminal that was not read: it is alive, and nobody looks for its place."""
        self._deadman.seen(device, now_utc_s, None)

    def wants_place(self, device: str) -> bool:
        """It is missing: what it sends now tells where it is."""
        return device in self._missing

    def link_up(self, now_utc_s: float) -> None:
        self._deadman.link_up(now_utc_s)

    def link_down(self, now_utc_s: float) -> None:
        self._deadman.link_down(now_utc_s)

    # ---- what is said -------------------------------------------------------------------------------

    def tick(self, now_utc_s: float) -> list[Vanished | Cleared]:
        """What became true. Call about once a second, when everything that arrived has been told."""
        news = self._deadman.tick(now_utc_s)
        for item in news:
            if isinstance(item, Vanished):
                self._missing.add(item.device)
            else:
                self._missing.discard(item.device)
        return news

    def beacons(self, device: str) -> tuple[HeardBeacon, ...]:
        """The last few, oldest first."""
        return tuple(self._beacons.get(device, ()))

    def take_changed(self) -> dict[str, HeardBeacon]:
        """The newest beacon of each terminal that sent one since the last call."""
        changed = {device: self._beacons[device][-1] for device in self._changed if device in self._beacons}
        self._changed.clear()
        return changed

    def counters(self) -> dict[str, int]:
        """``watched``: terminals that are expected to beacon; ``vanished``, ``returned``: alarms raised and cleared;
        ``held``: times one of many silent cars was passed over."""
        counts = self._deadman.counters()
        names = {"watched": "armed", "vanished": "raised", "returned": "cleared", "held": "held"}
        return {name: counts.get(theirs, 0) for name, theirs in names.items()}

    # ---- leaves -------------------------------------------------------------------------------------

    def _is_of_this_drive(self, device: str, stored: StoredRecord) -> bool:
        last = self._last_beacon(device)
        if last is None:
            return False
        return stored.record.boot_id == last.boot_id and stored.record.t_us >= last.t_us - _CRASH_BEFORE_US

    def _last_beacon(self, device: str) -> Beacon | None:
        kept = self._beacons.get(device)
        return kept[-1].beacon if kept else None

    def _place(self, batch: Batch) -> Place | None:
        """The newest place in a batch, of after the last beacon."""
        last = self._last_beacon(batch.device)
        for stored in sorted(batch.records, key=lambda s: s.record.t_us, reverse=True):
            if last is not None and stored.record.boot_id == last.boot_id and stored.record.t_us <= last.t_us:
                return None
            place = self._place_in(batch.device, stored)
            if place is not None:
                return place
        return None

    def _place_in(self, device: str, stored: StoredRecord) -> Place | None:
        event = _event(stored)
        if event is not None and event.lat_deg is not None and event.lon_deg is not None:
            return event.lat_deg, event.lon_deg
        row = _body(stored, Kind.TELEMETRY)
        if not isinstance(row, TelemetryRow):
            return None
        table, values = self._table_of(device, row.table_id), dict(row.values)
        if table is None:
            return None
        told = {s.path: values[s.id] * s.step + s.offset for s in table.signals if s.id in values}
        if _LATITUDE not in told or _LONGITUDE not in told:
            return None
        return told[_LATITUDE], told[_LONGITUDE]


def _event(stored: StoredRecord) -> Event | None:
    body = _body(stored, Kind.EVENT)
    return body if isinstance(body, Event) else None


def _body(stored: StoredRecord, kind: Kind) -> object:
    """None for another kind, and for what cannot be read: the store has kept it and said so."""
    if stored.record.kind != kind:
        return None
    try:
        return decode_body(kind, stored.record.body)
    except WireError:
        return None
