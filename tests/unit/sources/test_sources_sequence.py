"""Order of time within a recording, and its cutting into items."""

from __future__ import annotations

from itertools import pairwise

import pytest

from outrider.model.frame import FRAME, FRAME_SIZE
from outrider.ports import SourceItem
from outrider.sources.sequence import MAX_ITEM_FRAMES, MAX_ITEM_SPAN_US, WILD_JUMP_US, WINDOW, items_of, times_of
from outrider.sources.stats import SourceStats


def raw(times: list[int]) -> bytes:
    """Frames whose identifier is their place in the file."""
    return b"".join(FRAME.pack(t, n, 0, 0, 0, 0, b"") for n, t in enumerate(times))


def frames(items: list[SourceItem]) -> list[tuple[int, int]]:
    """(time, identifier) of all frames."""
    return [(f[0], f[1]) for i in items if i.frames is not None for f in FRAME.iter_unpack(i.frames.buffer)]


def test_frames_in_order_pass_untouched_but_for_the_offset() -> None:
    """The common case: nothing counted, engine time = file time + offset."""
    stats = SourceStats()
    times = list(range(5_000_000, 5_000_000 + 3000 * 250, 250))
    items = list(items_of([raw(times)], stats, offset_us=-4_000_000))
    assert frames(items) == [(t - 4_000_000, n) for n, t in enumerate(times)]
    assert (stats.frames, stats.reordered, stats.clamped) == (3000, 0, 0)


def test_items_are_bounded_in_frames_and_in_time() -> None:
    """At most 1024 frames and a tick's worth of time each; the watermark is the last frame's."""
    stats = SourceStats()
    dense, sparse = [0] * 3000, [1_000_000 * n for n in range(1, 50)]
    items = list(items_of([raw(dense + sparse)], stats))
    for item in items:
        assert item.frames is not None
        assert len(item.frames) <= MAX_ITEM_FRAMES
        assert item.frames.last_t_us() - item.frames.t_us_at(0) <= MAX_ITEM_SPAN_US
        assert item.watermark_us == item.frames.last_t_us()
    assert stats.items == len(items)
    assert len(frames(items)) == 3049


def test_disorder_within_the_window_is_put_right() -> None:
    """Two buses written one after the other by a logger: sorted and counted."""
    stats = SourceStats()
    times = [n * 10 for n in range(1000)]
    times[500:510] = reversed(times[500:510])
    items = list(items_of([raw(times)], stats))
    assert [t for t, _ in frames(items)] == [n * 10 for n in range(1000)]
    assert (stats.reordered, stats.clamped) == (9, 0)


def test_equal_stamps_keep_the_order_of_the_file() -> None:
    """Sorting is stable: what was written first comes first."""
    items = list(items_of([raw([5, 9, 5, 5, 9])], SourceStats()))
    assert frames(items) == [(5, 0), (5, 2), (5, 3), (9, 1), (9, 4)]


def test_disorder_beyond_the_window_is_clamped_and_counted() -> None:
    """A frame that comes far too late takes the time reached; it is not lost."""
    stats = SourceStats()
    items = list(items_of([raw([*range(1000, 1000 + 2 * WINDOW), 5])], stats))
    got = frames(items)
    assert len(got) == 2 * WINDOW + 1
    assert [t for t, _ in got] == sorted(t for t, _ in got)
    assert (stats.clamped, stats.frames) == (1, 2 * WINDOW + 1)


def test_the_floor_holds() -> None:
    """Nothing is older than the beginning of the time line."""
    stats = SourceStats()
    items = list(items_of([raw([50, 100])], stats, floor_us=80))
    assert [t for t, _ in frames(items)] == [80, 100]
    assert stats.clamped == 1


def test_a_wild_stamp_does_not_carry_the_recording_into_the_future() -> None:
    """One frame stamped years ahead in the middle of a file is dropped and counted; all others keep their times."""
    stats = SourceStats()
    times = [n * 1000 for n in range(2000)]
    times[700] = times[700] + 40 * WILD_JUMP_US
    got = frames(list(items_of([raw(times)], stats)))
    assert [t for t, _ in got] == [n * 1000 for n in range(2000) if n != 700]
    assert (stats.wild_stamps, stats.clamped) == (1, 0)


def test_times_of_reads_the_first_word_of_each_frame() -> None:
    """The stamps of raw frames, whatever holds them."""
    data = raw([1, -5, 2**61])
    assert times_of(data) == times_of(bytearray(data)) == times_of(memoryview(data)) == [1, -5, 2**61]
    assert len(data) == 3 * FRAME_SIZE


def test_a_clock_set_back_does_not_fold_the_drive_onto_one_instant() -> None:
    """The logger's clock lost an hour in the middle: nothing is lost and the second half keeps its length."""
    stats = SourceStats()
    hour = 3_600_000_000
    times = [10 * hour + n * 1000 for n in range(3000)] + [9 * hour + n * 1000 for n in range(3000, 6000)]
    got = frames(list(items_of([raw(times[:4100]), raw(times[4100:])], stats)))
    assert len(got) == 6000
    assert [t for t, _ in got] == sorted(t for t, _ in got)
    assert stats.clock_steps == 1
    assert stats.clamped < 100
    assert got[-1][0] - got[0][0] == pytest.approx(6_000_000, abs=200_000)
    steps = {b[0] - a[0] for a, b in pairwise(got[-2000:])}
    assert steps == {1000}


def test_strays_far_back_are_no_step_of_the_clock() -> None:
    """A few frames stamped zero are clamped and counted; the others keep their times."""
    stats = SourceStats()
    times = [hour := 3_600_000_000, *(hour + n * 1000 for n in range(1, 3000))]
    for n in (800, 801, 1900):
        times[n] = 0
    got = frames(list(items_of([raw(times)], stats)))
    assert (stats.clock_steps, stats.clamped, len(got)) == (0, 3, 3000)
    assert [t for t, n in got if times[n]] == [t for t in times if t]
