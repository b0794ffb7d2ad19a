"""How long a drive a journal holds without a link: as committed, packed, thinned: ``bench_retention.py``.

A drive at 1 Hz with 26 signals and a commit a second, as while the car moves, into a journal of 4 MiB in memory until
each stage is over; prints one JSON document: bytes for a second of driving, and hours in 1 GiB at that rate.
"""

from __future__ import annotations

import json
import random
import sys
import time

from outrider.model.record import Category, Kind, Lane, Record, TelemetryRow
from outrider.record.journal import Journal
from outrider.record.options import JournalOptions
from outrider.record.storage_memory import MemoryStorage, Operation
from outrider.wire.bodies import encode_body

QUOTA = 4 << 20
SIGNALS = 26


class Silent(MemoryStorage):
    """Without a diary of its operations; counts what is written."""

    written = 0

    def note(self, operation: Operation) -> None:
        self.written += len(operation.data)


class Drive:
    """Records a second apart, committed each second; ``tidy`` does the work ahead of need."""

    def __init__(self, *, tidy: bool) -> None:
        self.storage = Silent()
        options = JournalOptions.sized(telemetry_segment_bytes=64 * 1024, quota_bytes=QUOTA)
        self.journal = Journal.open(self.storage, options, boot_id=1, rng=random.Random(1))
        self.storage.written = 0
        self.seconds = 0
        self._tidy = tidy
        self._rng = random.Random(2)
        self._values = [self._rng.randrange(20_000) for _ in range(SIGNALS)]

    def second(self) -> None:
        self._values = [value + self._rng.randrange(-9, 10) for value in self._values]
        body = encode_body(TelemetryRow(5, tuple(enumerate(self._values, 1))))
        t_us = self.seconds * 1_000_000
        self.journal.append(Record(Lane.TELEMETRY, Kind.TELEMETRY, Category.DRIVING, 1, t_us, body))
        self.journal.commit(Lane.TELEMETRY)
        while self._tidy and self.journal.tidy():
            pass
        self.seconds += 1

    def until(self, counter: str) -> int:
        """Seconds driven when something first was given up in this way."""
        while getattr(self.journal.stats().lanes[Lane.TELEMETRY], counter) == 0:
            for _ in range(100):
                self.second()
        return self.seconds


def stage(seconds: int) -> dict[str, float]:
    per_second = QUOTA / seconds
    return {"bytes_per_second": round(per_second, 1), "hours_in_1_gib": round((1 << 30) / per_second / 3600)}


def main() -> int:
    begun = time.monotonic()
    plain = stage(Drive(tidy=False).until("evicted"))
    drive = Drive(tidy=True)
    packed = stage(drive.until("thinned"))
    written_until_then = drive.storage.written / drive.seconds
    thinned = stage(drive.until("evicted"))
    document = {
        "as committed, until the oldest goes": plain,
        "packed, until the first is thinned": packed,
        "thinned, until the oldest goes": thinned,
        "bytes written for a second, packing included": round(written_until_then),
        "seconds it took": round(time.monotonic() - begun, 1),
    }
    print(json.dumps(document, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
