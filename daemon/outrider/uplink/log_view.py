"""``LogView``: the log's streams as the sender wants them, also while the log cannot tell."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

from outrider.model.record import Lane
from outrider.ports import RecordLog, Stream

_log = logging.getLogger(__name__)


class LogView:
    """counters: ``log_faults``."""

    def __init__(self, log: RecordLog, counters: Counter[str]) -> None:
        self._log = log
        self._counters = counters

    def streams(self) -> Sequence[Stream]:
        """The log's streams; none while it cannot tell."""
        try:
            return self._log.streams()
        except Exception as err:  # noqa: BLE001  a fault of the log must not end the sending thread
            self._counters["log_faults"] += 1
            _log.warning("uplink: %s", err)
            return ()

    def emergencies(self) -> dict[int, int]:
        """Number of the newest emergency record of each epoch that holds any."""
        return {s.epoch: s.durable for s in self.streams() if s.lane is Lane.EMERGENCY}

    def oldest(self, boot_id: int, now_us: int) -> dict[str, float]:
        """Age in seconds of the oldest unacknowledged record, by lane name; of an earlier boot: at least so old."""
        ages: dict[str, float] = {}
        for stream in self.streams():
            try:
                records = self._log.read(stream.epoch, stream.lane, stream.acknowledged + 1, 1, 1)
            except Exception:  # noqa: BLE001  as above; the sender meets it too, and tells
                continue
            for stored in records[:1]:
                since = stored.record.t_us if stored.record.boot_id == boot_id else 0
                name = stream.lane.name.lower()
                ages[name] = max(ages.get(name, 0.0), (now_us - since) / 1e6)
        return ages
