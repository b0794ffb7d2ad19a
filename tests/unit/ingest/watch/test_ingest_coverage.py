"""What the fleet teaches about holes: counted by place and heading, kept across a restart, hostile blobs refused."""

from __future__ import annotations

from itertools import pairwise

import pytest

from outrider.errors import WireError
from outrider.ingest.watch.deadman_coverage import EXCESS_S, CoverageMap, is_falling, signal_class
from outrider.ingest.watch.deadman_place import Spot, block_of, cell_of, is_cell, region_of, sector_of, sectors_near

NORTH = Spot(50.0, 8.0, 0.0)


def taught(passes: int, silences: int = 0, seconds: float = 20.0) -> CoverageMap:
    made = CoverageMap()
    for _ in range(silences):
        made.fell_silent(NORTH, 0, seconds, 170.0)
    for _ in range(passes):
        made.passed(NORTH, 0)
    return made


def test_the_rate_of_a_place_falls_with_passes_and_rises_with_silences() -> None:
    """No pass, many passes, a hole: in this order."""
    new, clean, hole = (m.place(NORTH, 170.0).rate for m in (CoverageMap(), taught(300), taught(300, 100)))
    assert clean < new / 20 < new < hole


def test_the_other_direction_is_another_place() -> None:
    """A tunnel entered northwards says little of southwards, where it is left."""
    made = taught(0, 50)
    assert made.place(NORTH, 100.0).silences == 50
    assert made.place(Spot(50.0, 8.0, 180.0), 100.0).silences == 0


def test_a_hole_ahead_counts_before_it_is_reached() -> None:
    """Silences that began 150 m further on belong to the stretch to the next beacon."""
    made = CoverageMap()
    for _ in range(10):
        made.fell_silent(Spot(50.0 + 150 / 111_195, 8.0, 0.0), 0, 30.0, 170.0)
    assert made.place(NORTH, 170.0).silences == 10
    assert made.place(NORTH, 170.0).longest_s == pytest.approx(30, abs=4)


def test_random_gaps_are_learnt_on_clean_ground_only() -> None:
    """In a hole a silence teaches nothing of gaps anywhere; on clean ground it does, up to its length."""
    hole, clean = taught(100, 100), taught(6000)
    before = clean.random_rate(9.0)
    assert hole.random_rate(9.0) == pytest.approx(CoverageMap().random_rate(9.0), rel=0.05)
    for _ in range(5):
        assert clean.fell_silent(NORTH, 0, 10.0, 170.0)
    assert clean.random_rate(9.0) > before
    assert clean.random_rate(25.0) < clean.random_rate(9.0)


def test_longer_silences_are_never_more_frequent() -> None:
    """Rates fall with the excess, at every step."""
    made = taught(3000, 10)
    for rates in ([made.random_rate(e) for e in EXCESS_S], [made.bound_survival(e) for e in EXCESS_S[1:]]):
        assert all(a >= b for a, b in pairwise(rates))


def test_signal_classes() -> None:
    """Unknown is 0; a fall of 8 dB over the last beacons is a class of its own; the newest decides."""
    assert signal_class(()) == signal_class((-80, None)) == 0
    assert not is_falling(signal_class((-80, -80, -81)))
    assert is_falling(signal_class((-80, -84, -90)))
    assert signal_class((-81,)) != signal_class((-110,))


def test_weak_and_falling_signals_speak_for_a_hole() -> None:
    """From the priors alone."""
    made = CoverageMap()
    strong, weak, falling = (made.signal_ratio(signal_class(h)) for h in ((-80,), (-115,), (-100, -115)))
    assert strong < 1 < weak < falling


def test_signal_is_learnt() -> None:
    """Silences at -90 dBm and none at -110: this network's own scale wins over the prior."""
    made = CoverageMap()
    at90, at110 = signal_class((-90,)), signal_class((-110,))
    for i in range(3000):
        made.passed(NORTH, at110)
        made.passed(NORTH, at90)
        if i % 10 == 0:
            made.fell_silent(NORTH, at90, 20.0, 170.0)
    assert made.signal_ratio(at90) > 1 > made.signal_ratio(at110)


def test_everything_learnt_is_kept() -> None:
    """Out and in again gives the same answers and the same bytes."""
    made = taught(500, 30)
    made.passed(NORTH, signal_class((-90,)))
    again = CoverageMap.from_bytes(made.to_bytes())
    assert again.to_bytes() == made.to_bytes()
    assert again.place(NORTH, 170.0) == made.place(NORTH, 170.0)
    assert again.random_rate(9.0) == made.random_rate(9.0)


@pytest.mark.parametrize("cut", [0, 4, 8, 20, -1, -7])
def test_a_damaged_blob_is_refused(cut: int) -> None:
    """One error, no half map."""
    blob = taught(5).to_bytes()
    with pytest.raises(WireError, match="coverage map"):
        CoverageMap.from_bytes(blob[:cut])


@pytest.mark.parametrize("change", [b'"beacons":-1', b'"beacons":"x"', b'"beacons":1e400', b'"beacons":null'])
def test_a_hostile_blob_is_refused(change: bytes) -> None:
    blob = taught(5).to_bytes()
    hostile = blob.replace(b'"beacons":5', change)
    size = int.from_bytes(blob[5:9], "little") + len(change) - len(b'"beacons":5')
    with pytest.raises(WireError):
        CoverageMap.from_bytes(hostile[:5] + size.to_bytes(4, "little") + hostile[9:])


def test_counts_that_run_full_are_halved() -> None:
    """A cell passed a million times still learns."""
    made = CoverageMap()
    for _ in range(1 << 14):
        made.fell_silent(NORTH, 0, 20.0, 0.0)
    full = made.place(NORTH, 0.0).silences
    made.fell_silent(NORTH, 0, 20.0, 0.0)
    assert full >= (1 << 14) - 1 or made.place(NORTH, 0.0).silences > full


@pytest.mark.parametrize(("heading", "sector"), [(0.0, 0), (359.0, 0), (22.6, 1), (45.0, 1), (-90.0, 6), (None, 8)])
def test_sectors(heading: float | None, sector: int) -> None:
    assert sector_of(heading) == sector


def test_the_second_sector_is_the_nearer_one() -> None:
    assert sectors_near(20.0) == (0, 1)
    assert sectors_near(340.0) == (0, 7)
    assert sectors_near(None) == (8,)


def test_names_of_cells_blocks_and_regions_never_meet() -> None:
    """All over the earth: a block or region is no cell, and neighbours in a block share it."""
    for lat in (-89.9, -33.3, 0.0, 50.0, 89.9):
        for lon in (-180.0, -0.1, 0.1, 179.9):
            cell = cell_of(lat, lon, 3)
            assert is_cell(cell)
            assert not is_cell(block_of(cell))
            assert not is_cell(region_of(cell))
            assert block_of(cell) != region_of(cell)
            assert max(cell, block_of(cell), region_of(cell)) < 1 << 64
    assert region_of(cell_of(50.0, 8.0, 1)) == region_of(cell_of(50.0, 8.0, 5))
    assert block_of(cell_of(50.0, 8.0, 1)) != block_of(cell_of(50.0, 8.0, 5))
