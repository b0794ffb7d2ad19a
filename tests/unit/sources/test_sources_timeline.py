"""File time to engine time."""

from __future__ import annotations

from outrider.sources.timeline import YEAR_2000_US, Zone, time_lines, zone_of

UTC = 1_700_000_000_000_000


def test_a_stamp_after_2000_is_a_date() -> None:
    """Others count from the start of the logger; ASC and TRC dates have no time zone."""
    assert zone_of(UTC) is Zone.UTC
    assert zone_of(UTC, local=True) is Zone.LOCAL
    assert zone_of(12_000_000) is zone_of(YEAR_2000_US - 1) is zone_of(2**61) is Zone.RELATIVE


def test_one_zero_point_for_all_of_a_zone() -> None:
    """The earliest stamp of a zone is at the base; gaps between recordings stay."""
    lines = time_lines([(Zone.UTC, UTC + 600), (Zone.UTC, UTC), (Zone.RELATIVE, 40)], 1_000)
    assert UTC + lines[Zone.UTC].offset_us == 1_000
    assert UTC + 600 + lines[Zone.UTC].offset_us == 1_600
    assert 40 + lines[Zone.RELATIVE].offset_us == 1_000
