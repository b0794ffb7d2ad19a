"""When a drive was not heard as it was recorded, because the machine did not let the sender send in time. Pure.

A frame that is late by 50 ms at ten times the speed is late by half a second of the drive: a silence that is an event
of its own; a tenth of that may cut a turn in two. The tape that the terminal left tells when each frame was heard.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

LATE_US: Final = 30_000  # of the drive: with the pause before it, four samples of a sensor at 100 Hz are missing
Span = tuple[float, float]  # seconds of the drive


def late_spans(buses: Iterable[tuple[Sequence[int], Sequence[int]]], zero_us: int) -> list[Span]:
    """Spans of the drive in which frames came late. Of each bus: times as recorded, and as heard, of the same frames.

    ``zero_us``: the drive's zero on the time line of what was heard. A span goes from when a frame was due to when it
    was heard. ValueError when a bus has not as many frames heard as recorded.
    """
    late = sorted(
        (due / 1e6, (heard - zero_us) / 1e6)
        for recorded, told in buses
        for due, heard in zip(recorded, told, strict=True)
        if heard - zero_us - due > LATE_US
    )
    spans: list[Span] = []
    for begin, end in late:
        if spans and begin <= spans[-1][1]:
            spans[-1] = spans[-1][0], max(end, spans[-1][1])
        else:
            spans.append((begin, end))
    return spans
