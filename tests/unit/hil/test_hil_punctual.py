"""hil/rig/punctual.py: which parts of a drive a busy machine has spoiled."""

from __future__ import annotations

import pytest

from hil.rig.punctual import Watch
from outrider.model.frame import FrameBatch
from outrider.sources.drive_io import Drive


def drive(*seconds: float) -> Drive:
    batch = FrameBatch()
    for t_s in seconds:
        batch.append(round(t_s * 1e6), 0x100, b"")
    return Drive("d", bytes(batch.buffer), (), 0, round(seconds[-1] * 1e6))


TENTHS = drive(*(n / 10 for n in range(100)))


@pytest.mark.parametrize(
    ("looks", "spans"),
    [
        ([(3, 0.25), (5, 0.5), (8, 0.75)], []),
        ([(3, 0.25), (3, 0.5), (8, 0.75)], []),  # 0.2 s late: less than half of a silence
        ([(3, 0.25), (3, 0.6), (8, 0.75)], [(0.3, 0.6)]),  # the frame of 0.3 s was not sent at 0.6 s
        ([(3, 0.25), (3, 0.6), (4, 0.85), (20, 2.0)], [(0.3, 2.0)]),  # and it goes on; then nobody looked
        ([(3, 0.25), (20, 2.0)], [(0.25, 2.0)]),  # nobody looked
        ([(100, 0.3), (100, 20.0)], []),  # all sent: nothing can be late
    ],
)
def test_what_is_late_is_told(looks: list[tuple[int, float]], spans: list[tuple[float, float]]) -> None:
    """Frames sent too late, and times at which nobody could look, are spans; a sender in time gives none."""
    watch = Watch(TENTHS, 10)
    for sent, now_s in looks:
        watch.look(sent, now_s)
    assert [(round(begin, 6), round(end, 6)) for begin, end in watch.disturbed] == spans


def test_a_quiet_drive_is_not_a_late_one() -> None:
    """Where the drive itself has a gap nothing is due."""
    watch = Watch(drive(0.0, 0.1, 9.0), 10)
    for sent, now_s in ((2, 0.2), (2, 5.0), (2, 8.9)):
        watch.look(sent, now_s)
    assert not watch.disturbed
