"""How far a stream is complete."""

from __future__ import annotations

from outrider.ingest.progress import Progress


def test_the_position_waits_at_a_hole_and_jumps_when_it_is_filled() -> None:
    progress = Progress()
    progress.add(1, 10)
    progress.add(21, 30)
    progress.add(41, 50)
    assert progress.position == 10
    assert progress.missing_below(60) == [(11, 20), (31, 40), (51, 59)]
    progress.add(11, 20)
    assert progress.position == 30
    progress.add(31, 40)
    assert (progress.position, progress.ahead) == (50, ())


def test_old_ranges_change_nothing() -> None:
    progress = Progress(100, [(150, 160)])
    progress.add(1, 100)
    assert (progress.position, progress.ahead) == (100, ((150, 160),))


def test_nothing_is_missing_below_the_position() -> None:
    assert Progress(10).missing_below(11) == []
