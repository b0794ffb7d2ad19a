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

    def emergencies(self) -> int:
        """Number of the newest emergency record, over all epochs: grows with each new one."""
        return sum(s.durable for s in self.streams() if s.lane is Lane.EMERGENCY)
