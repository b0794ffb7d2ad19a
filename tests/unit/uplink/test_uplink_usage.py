"""Bytes by month, path and class: nothing lost, nothing twice, whatever the clock does."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.errors import JournalError
from outrider.model.network import Path
from outrider.uplink.usage import (
    CLASSES,
    HEADER_BYTES,
    Pair,
    Reading,
    Usage,
    month_bounds_us,
    month_name,
    projected_bytes,
)

EMPTY = Reading({}, {})


def us(*date: int) -> int:
    return round(datetime(*date, tzinfo=UTC).timestamp() * 1e6)  # type: ignore[misc, arg-type]  # a date's parts


NOVEMBER, DECEMBER = us(2026, 11, 22), us(2026, 12, 2)


def add(usage: Usage, count: int, utc_us: int | None, *, sure: bool = True, metered: bool = True) -> None:
    usage.add({"telemetry": (count, 0)}, Path.CELLULAR, metered=metered, utc_us=utc_us, sure=sure)


def test_every_byte_of_the_socket_is_in_one_class() -> None:
    """What no class explains is the rest; IP and TCP stand beside it as an estimate."""
    sent = {"telemetry": 560, "event": 40, "link": 900, "segments": 4}
    found = Reading(sent, {"ack": 90, "link": 200, "segments": 3}).since(EMPTY)
    assert found["telemetry"] == (560, 0)
    assert found["rest"] == (300, 110)
    assert found["ip"] == (4 * HEADER_BYTES, 3 * HEADER_BYTES)
    assert sum(sum(pair) for name, pair in found.items() if name != "ip") == 900 + 200
    assert set(found) <= set(CLASSES)


def test_only_what_is_new_is_added() -> None:
    """The uplink counts from its start; a counter that went back is that of a new one."""
    first = Reading({"telemetry": 100, "link": 150}, {})
    assert Reading({"telemetry": 130, "link": 190}, {}).since(first) == {"telemetry": (30, 0), "rest": (10, 0)}
    assert Reading({"telemetry": 20, "link": 25}, {}).since(first)["telemetry"] == (20, 0)
    assert first.since(first) == {}


def test_a_clock_that_runs_ahead_and_back_opens_no_month_twice() -> None:
    """What was counted in a month that never was belongs to the one there is; the limit is not new again."""
    usage = Usage()
    add(usage, 100, NOVEMBER)
    add(usage, 7, us(2045, 3, 1))
    assert usage.newest is not None
    assert usage.newest.name == "2045-03"
    add(usage, 1, NOVEMBER)
    assert [month.name for month in usage.months()] == ["2026-11"]
    assert usage.metered_bytes() == 108


def test_a_clock_that_nobody_vouches_for_does_not_go_back() -> None:
    """A battery that ran flat must not give an old month's allowance once more; nor a wild date a new one."""
    usage = Usage()
    add(usage, 100, NOVEMBER)
    add(usage, 5, us(2025, 1, 1), sure=False)
    assert usage.metered_bytes() == 105
    add(usage, 5, us(2065, 1, 1), sure=False)
    assert usage.held is not None
    assert usage.metered_bytes() == 110
    add(usage, 2, DECEMBER, sure=False)
    assert [month.name for month in usage.months()] == ["2026-12", "2026-11"]
    assert usage.metered_bytes() == 7  # what was held went to the first month that was known again


def test_bytes_before_the_time_is_known_are_held() -> None:
    """They count against the limit and go to the month when it is known."""
    usage = Usage()
    add(usage, 30, None)
    assert usage.newest is None
    assert usage.metered_bytes() == 30
    usage = Usage.decode(usage.encode(4000))  # also over a restart
    add(usage, 3, NOVEMBER)
    assert usage.held is None
    assert usage.newest is not None
    assert (usage.newest.name, usage.newest.total()) == ("2026-11", 33)


def test_only_metered_bytes_count_against_the_limit() -> None:
    usage = Usage()
    add(usage, 30, NOVEMBER, metered=False)
    add(usage, 4, NOVEMBER)
    assert usage.metered_bytes() == 4
    assert usage.months()[0].total("cellular") == 34


def test_the_end_of_a_month_is_told_once() -> None:
    usage = Usage()
    add(usage, 30, NOVEMBER)
    assert usage.to_close() is None
    add(usage, 1, DECEMBER)
    month = usage.to_close()
    assert month is not None
    assert month.name == "2026-11"
    usage.closed = month.name
    assert usage.to_close() is None
    add(usage, 1, NOVEMBER)  # back, and on again
    add(usage, 1, DECEMBER)
    assert usage.to_close() is None


@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(us(2025, 6, 1), us(2026, 6, 1)),
            st.booleans(),
            st.integers(0, 10**6),
            st.sampled_from(Path),
        ),
        max_size=40,
    ),
    st.integers(0, 40),
)
def test_no_byte_is_lost_or_counted_twice(steps: list[tuple[int | None, bool, int, Path]], restart: int) -> None:
    """Over any course of the clock within a year, and over a restart: the sums are what was added, each month is one
    entry, and a clock that is sure leaves nothing in a later month."""
    usage = Usage()
    for number, (utc_us, sure, count, path) in enumerate(steps):
        usage.add({"event": (count, 1)}, path, metered=True, utc_us=utc_us, sure=sure)
        if number == restart:
            usage = Usage.decode(usage.encode(1 << 20))
        if utc_us is not None and sure:
            assert usage.newest is not None
            assert usage.newest.name == month_name(utc_us)
    months = [*usage.months(), *([usage.held] if usage.held else [])]
    assert sum(month.total() for month in months) == sum(count + 1 for _u, _s, count, _p in steps)
    assert sum(month.metered for month in months) == sum(count + 1 for _u, _s, count, _p in steps)
    assert len({month.name for month in months}) == len(months) <= 13


def test_what_does_not_fit_is_the_oldest() -> None:
    """The file has an end; this month is never what goes."""
    usage = Usage()
    row: dict[str, Pair] = dict.fromkeys(CLASSES, (10**9, 10**9))
    for month in range(1, 13):
        for path in Path:
            usage.add(row, path, metered=True, utc_us=us(2026, month, 1), sure=True)
    data = usage.encode(4000)
    assert len(data) <= 4000
    kept = Usage.decode(data)
    assert kept.newest is not None
    assert kept.newest.name == "2026-12"
    assert 1 <= len(kept.months()) < 12
    assert kept.months()[0].document() == usage.months()[0].document()


@pytest.mark.parametrize(
    "data", [b"x", b"{}", b'{"version":2,"months":[]}', b'{"version":1,"months":[["2026-13",0,{}]]}', b"[" * 9999]
)
def test_a_damaged_state_is_said(data: bytes) -> None:
    """Never a traceback: the caller begins anew and says so."""
    with pytest.raises(JournalError):
        Usage.decode(data)


def test_projection() -> None:
    """So far, and the same pace for the rest of the month; nothing before a day was counted."""
    begin, end = month_bounds_us("2026-11")
    assert (month_name(begin), month_name(end - 1), month_name(end)) == ("2026-11", "2026-11", "2026-12")
    assert month_bounds_us("2026-12")[1] == us(2027, 1, 1)
    assert projected_bytes(100, "2026-11", begin + (end - begin) // 2) == 200
    assert projected_bytes(100, "2026-11", us(2026, 11, 29), us(2026, 11, 27)) == 200
    assert projected_bytes(100, "2026-11", us(2026, 11, 1, 12)) is None
    assert projected_bytes(100, "2026-11", us(2026, 12, 5)) is None
