"""``Meters``: the thread that counts what delivery and flash cost (``app/budget``, ``app/wear``).

A fault of one is logged and does not end the other; nothing waits for this thread.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from outrider.app.budget import DataKeeper
from outrider.app.control import Command
from outrider.app.delivery import Delivery
from outrider.app.wear import WearKeeper
from outrider.errors import InputError, JournalError
from outrider.model.event import Event, Snapshot, Trip
from outrider.model.notice import Notice
from outrider.model.record import Lane
from outrider.ports import Clock, NetworkMeter, Storage
from outrider.record.storage_io import DirectoryStorage
from outrider.uplink.session_io import Uplink
from outrider.uplink.usage import Reading

TURN_S: Final = 5.0
CLOSE_S: Final = 10.0
DIRECTORY: Final = "meters"

log = logging.getLogger(__name__)


class Meters:
    """``open`` when delivery runs; ``close`` when it has ended, so that its last bytes count. In between ``data`` (None
    without a broker) and ``wear``."""

    def __init__(self) -> None:
        self.data: DataKeeper | None = None
        self.wear: WearKeeper | None = None
        self._storage: Storage | None = None
        self._wake = threading.Event()
        self._stop = False
        self._thread = threading.Thread(target=self._run, name="meters", daemon=True)

    def open(
        self,
        data_directory: Path,
        delivery: Delivery,
        clock: Clock,
        boot_id: int,
        *,
        network: NetworkMeter | None = None,
        on_notice: Callable[[Notice], None] = lambda _notice: None,
    ) -> None:
        """Starts the thread. A disk that refuses costs the keeping only."""
        self._storage = _storage(data_directory / DIRECTORY)
        uplink, journal = delivery.uplink, delivery.journal
        if uplink is not None and delivery.budget is not None:
            self.data = DataKeeper(
                self._storage,
                delivery.budget,
                clock,
                lambda: reading_of(uplink),
                network=network,
                bulk_waits=lambda: any(stream.lane is Lane.BULK for stream in journal.streams()),
                on_notice=on_notice,
            )
        self.wear = WearKeeper(self._storage, delivery.directory, clock, boot_id, on_notice=on_notice)
        self._thread.start()

    def note(self, output: Event | Trip | Snapshot) -> None:
        """Every output of the pipeline, on the owner's thread; never blocks."""
        for part in self._parts():
            part.note(output)
        if self.data is not None and self.data.in_a_hurry:  # a crash: power may be gone before the next turn
            self._wake.set()

    def hurry(self) -> None:
        """The supply fails: what was counted is written now."""
        if self.data is not None:
            self.data.hurry()
        self._wake.set()

    def close(self) -> None:
        """Counts and writes once more, unless a disk that hangs holds the thread. Idempotent; also if never opened."""
        self._stop = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            log.warning("data usage and wear: the disk does not answer; what was counted last is not kept")
            return
        for part in self._parts():
            _safely(part.close)
        if self._storage is not None:
            self._storage.close()
            self._storage = None

    def status(self) -> dict[str, Any]:
        """For ``outrider status``: ``data`` (None without a broker) and ``wear``."""
        return {
            "data": None if self.data is None else self.data.status(),
            "wear": None if self.wear is None else self.wear.status(),
        }

    def commands(self) -> dict[str, Command]:
        """Of the control socket."""
        return {"data": self._tell_data, "watch": self._watch, "wear": self._tell_wear}

    def _tell_data(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._delivering().document(request)

    def _watch(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._delivering().watch(request)

    def _tell_wear(self, request: dict[str, Any]) -> dict[str, Any]:
        if self.wear is None:
            raise InputError("the daemon is still starting")
        return self.wear.status(request)

    def _delivering(self) -> DataKeeper:
        if self.data is None:
            raise InputError("no broker is configured ([uplink]), so nothing is sent")
        return self.data

    def _run(self) -> None:
        while not self._stop:
            self._wake.wait(TURN_S)
            self._wake.clear()
            for part in self._parts():
                _safely(part.turn)

    def _parts(self) -> list[DataKeeper | WearKeeper]:
        return [part for part in (self.data, self.wear) if part is not None]


def reading_of(uplink: Uplink) -> Reading:
    status = uplink.status()
    return Reading(status.sent_bytes, status.received_bytes)


def _storage(directory: Path) -> Storage | None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return DirectoryStorage(directory)
    except (OSError, JournalError) as err:
        log.warning("data usage and wear are not kept: %s", err)
        return None


def _safely(call: Callable[[], None]) -> None:
    try:
        call()
    except Exception:
        log.exception("meters")
