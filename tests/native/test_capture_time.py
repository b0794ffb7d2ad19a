"""Stamps of the kernel and of adapters to engine time, without a clock."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.engine.native import ffi, lib

MS, S = 1_000, 1_000_000
REAL = 1_700_000_000 * S  # CLOCK_REALTIME at boot
SLACK = 20 * MS


class Bus:
    """The stamps of one bus whose socket was empty at ``drained_us``."""

    def __init__(self, drained_us: int = 0) -> None:
        self.raw: Any = ffi.new("otr_bus_clock *", {"drained_us": drained_us, "last_us": drained_us})

    def batch(self, stamps: list[int], boot_us: int, hardware: list[int] | None = None, real: int = REAL) -> list[int]:
        both = [
            {"software_us": s, "hardware_us": h} for s, h in zip(stamps, hardware or [0] * len(stamps), strict=True)
        ]
        out = ffi.new("int64_t[]", max(1, len(stamps)))
        lib.otr_stamp_batch(self.raw, ffi.new("otr_stamp[]", both), len(both), boot_us, -real, out)
        return list(out)[: len(stamps)]


def test_software_stamps_move_by_the_difference_of_the_clocks() -> None:
    """CLOCK_REALTIME becomes CLOCK_BOOTTIME, to the microsecond."""
    bus = Bus()
    assert bus.batch([REAL + 10, REAL + 25, REAL + 26], 1_000) == [10, 25, 26]
    assert bus.raw.restamped == 0


@pytest.mark.parametrize("shift", [3600 * S, -3600 * S, 30 * MS, -300 * MS])
def test_stamps_of_another_time_are_placed_by_arrival(shift: int) -> None:
    """The last frame now, the others at their distance to it."""
    bus = Bus(drained_us=10 * S)
    stamps = [REAL + 10 * S + shift + n * MS for n in (1, 2, 5)]
    assert bus.batch(stamps, 10 * S + 6 * MS) == [10 * S + n * MS for n in (2, 3, 6)]
    assert bus.raw.restamped == 3


def test_a_doubtful_batch_stays_behind_the_moment_the_socket_was_empty() -> None:
    """The clock was set within the batch: no frame is moved to before the last read."""
    bus = Bus(drained_us=10 * S)
    bus.raw.doubtful = 1
    stamps = [REAL + 10 * S + MS, REAL + 11 * S]  # set forward by a second between the two
    assert bus.batch(stamps, 10 * S + 4 * MS) == [10 * S, 10 * S + 4 * MS]


def test_frames_without_a_stamp_arrived_now() -> None:
    """A socket that stamps nothing gives times all the same."""
    assert Bus().batch([0, 0], 5 * S) == [5 * S, 5 * S]


def test_hardware_stamps_take_the_jitter_out() -> None:
    """A frame whose interrupt came late gets the time its adapter saw."""
    bus = Bus()
    late = [0, 0, 400, 0, 900, 0]
    software = [REAL + n * MS + extra for n, extra in enumerate(late)]
    hardware = [77 * S + n * MS for n in range(6)]
    times = bus.batch(software, 20 * MS, hardware)
    assert all(abs(t - n * MS) <= 10 for n, t in enumerate(times)), times
    assert bus.raw.hardware == 5


@pytest.mark.parametrize("broken", [[5 * S, 0, 0], [5 * S, 4 * S, 4 * S + MS], [5 * S, 60 * S, 60 * S + MS]])
def test_hardware_stamps_that_cannot_be_are_refused(broken: list[int]) -> None:
    """Zero, falling or leaping: the software stamp holds, and the refusal is counted."""
    bus = Bus()
    times = bus.batch([REAL + MS, REAL + 2 * MS, REAL + 3 * MS], 10 * MS, broken)
    assert times[:2] == [MS, 2 * MS]
    assert abs(times[2] - 3 * MS) <= 1
    assert bus.raw.hardware_refused >= 1


def test_steps_of_the_wall_clock_are_noticed_and_slewing_is_not() -> None:
    """1 ms beyond 500 ppm is a step, in either direction; a slow reading is none."""
    watch = ffi.new("otr_clock_watch *")
    assert not lib.otr_clock_note(watch, 0, REAL, 0)
    assert not lib.otr_clock_note(watch, 100 * S, REAL + 100 * S + 50_000, 0)
    assert lib.otr_clock_note(watch, 100 * S, REAL + 100 * S + 50_000 - 1_500, 0)
    assert lib.otr_clock_note(watch, 101 * S, REAL + 3600 * S, 0)
    assert not lib.otr_clock_note(watch, 102 * S, REAL + 3601 * S + 3_000, 3_000)
    assert watch.steps == 2


STAMPS = st.one_of(st.integers(REAL - S, REAL + 20 * S), st.sampled_from([0, -1, 2**61, 2**63 - 1, -(2**63)]))


@settings(max_examples=100)
@given(st.lists(st.lists(st.tuples(STAMPS, STAMPS), max_size=8), max_size=6), st.booleans())
def test_times_never_fall_and_are_never_ahead(batches: list[list[tuple[int, int]]], doubtful: bool) -> None:
    """Whatever the stamps are."""
    bus, now, last = Bus(drained_us=0), S, 0
    bus.raw.doubtful = doubtful
    for batch in batches:
        times = bus.batch([s for s, _ in batch], now, [h for _, h in batch])
        for t in times:
            assert last <= t <= now
            last = t
        now += S
