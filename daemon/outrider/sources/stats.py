"""Counters of a source: what came in, what was set right, what was dropped and why.

Rule: nothing is dropped or changed without one of these moving. Meanings and normal values: docs/reference/sources.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields


@dataclass(slots=True)
class NmeaStats:
    """Counters of the NMEA framer and of the fix assembler."""

    sentences: int = 0  # whole sentences, checksum checked
    garbage_bytes: int = 0  # bytes that belong to no sentence
    half_lines: int = 0  # sentences cut off by the next '$' or by a control byte
    overlong: int = 0
    checksum_errors: int = 0
    no_checksum: int = 0
    malformed: int = 0  # checksum right, content unreadable
    proprietary: int = 0
    ignored: int = 0  # types that carry nothing the terminal uses
    late: int = 0  # sentences of an epoch that was already handed on
    epochs: int = 0
    fixes: int = 0  # epochs with a position
    no_fix: int = 0
    bad_position: int = 0  # out of range or unreadable
    zero_position: int = 0  # exactly 0/0
    simulated: int = 0  # simulator or manual input mode
    estimated: int = 0  # dead reckoning
    bad_time: int = 0
    time_back: int = 0
    week_rollover: int = 0
    leap_seconds: int = 0


@dataclass(slots=True)
class SourceStats:
    """Counters of one source. ``first_bad_line`` is 1-based, 0 = none; ``last_error`` is a text for people."""

    items: int = 0
    frames: int = 0
    fixes: int = 0
    samples: int = 0  # of an inertial sensor
    unpaired: int = 0  # accelerations for which the gyro had no rate in time
    error_frames: int = 0
    echoes: int = 0
    malformed: int = 0  # lines or frames that could not be read, skipped
    first_bad_line: int = 0
    reordered: int = 0  # put back into order of time
    clamped: int = 0  # older than what was handed on: given its time
    wild_stamps: int = 0  # time stamps that cannot be, dropped
    late_items: int = 0  # a source broke its own watermark (merge)
    truncated: int = 0  # 1 = the file ends in the middle of an item
    dropped: int = 0  # queue full
    delivery_errors: int = 0
    opened: int = 0
    failures: int = 0  # opening or reading failed
    clock_steps: int = 0  # the wall clock was set: on the terminal, or in a recording set back
    restamped: int = 0  # stamps that were no CLOCK_REALTIME, placed by arrival
    bus_off: int = 0
    silences: int = 0
    last_error: str = ""
    nmea: NmeaStats = field(default_factory=NmeaStats)

    def counters(self) -> dict[str, int]:
        """All counters by name, those of NMEA with ``nmea_`` before them."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in {"last_error", "nmea"}}
        return own | {f"nmea_{f.name}": getattr(self.nmea, f.name) for f in fields(self.nmea)}
