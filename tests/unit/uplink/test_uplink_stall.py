"""An upload that stops is told, with the reason, and so is that it goes on; what is no stall is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from outrider.model.network import Path
from outrider.model.notice import NoticeCode, NoticeLevel
from outrider.uplink.stall import Situation, StallWatch, Why

S = 1_000_000
FINE = Situation(now_us=0, backlog=0, progress_us=None, connected=True, trouble=None)


def watch() -> StallWatch:
    return StallWatch(900.0, least=120)


def run(made: StallWatch, situation: Situation, seconds: int, start: int = 0) -> list[tuple[int, NoticeCode, str]]:
    """Look once a second; (when, what, why)."""
    told = []
    for at in range(start, start + seconds):
        notice = made.look(replace(situation, now_us=at * S))
        if notice is not None:
            told.append((at, notice.code, dict(notice.detail)["why"]))
    return told


@pytest.mark.parametrize(
    ("connected", "trouble", "why"),
    [
        (False, None, Why.NO_CONNECTION),
        (False, Why.NO_CONNECTION, Why.NO_CONNECTION),
        (False, Why.REFUSED, Why.REFUSED),
        (False, Why.NO_PUBACK, Why.NO_PUBACK),
        (True, Why.NO_PUBACK, Why.NO_PUBACK),
        (True, None, Why.NO_ACKS),
    ],
)
def test_after_a_quarter_of_an_hour_it_is_told_why(connected: bool, trouble: Why | None, why: Why) -> None:
    """Once, however long it lasts."""
    made = watch()
    stuck = replace(FINE, backlog=5, connected=connected, trouble=trouble)
    assert run(made, stuck, 3600) == [(900, NoticeCode.UPLOAD_STALLED, why.value)]
    assert made.why is why


def test_it_counts_from_the_last_progress_and_ends_with_the_next() -> None:
    made = watch()
    stuck = replace(FINE, backlog=5, progress_us=100 * S)
    assert run(made, stuck, 1200) == [(1000, NoticeCode.UPLOAD_STALLED, "no_acks")]
    assert run(made, replace(stuck, progress_us=1300 * S), 10, 1300) == [(1300, NoticeCode.UPLOAD_RESUMED, "no_acks")]
    assert made.why is None


def test_a_long_drain_is_no_stall() -> None:
    """A month of backlog, acknowledged bit by bit."""
    made = watch()
    for at in range(0, 7200, 10):
        assert made.look(Situation(at * S, 1_000_000 - 100 * at, at * S, True, None)) is None


def test_nothing_to_send_is_no_stall() -> None:
    assert run(watch(), replace(FINE, connected=False), 5000) == []


def test_without_a_network_it_is_no_stall_and_the_clock_starts_when_there_is_one() -> None:
    """An underground garage is no fault of anybody's."""
    made = watch()
    garage = replace(FINE, backlog=9, connected=False, path=Path.NONE)
    assert run(made, garage, 100_000) == []
    outside = replace(garage, path=Path.CELLULAR)
    assert run(made, outside, 1000, 100_000) == [(100_900, NoticeCode.UPLOAD_STALLED, "no_connection")]


def test_more_made_than_goes_through() -> None:
    """Acknowledged all the time, and yet growing for three quarters of an hour; it ends when it shrinks."""
    made, told = watch(), []
    for at in range(0, 4000, 10):
        notice = made.look(Situation(at * S, 1000 + at, at * S, True, None))
        told += [] if notice is None else [(at, notice)]
    ((at, notice),) = told
    assert (at, dict(notice.detail)["why"], notice.level) == (2700, "too_slow", NoticeLevel.WARNING)
    ended = made.look(Situation(4000 * S, 900, 4000 * S, True, None))
    assert ended is not None
    assert ended.code is NoticeCode.UPLOAD_RESUMED
