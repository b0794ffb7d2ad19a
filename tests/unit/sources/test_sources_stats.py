"""Every counter is explained."""

from __future__ import annotations

import re
from pathlib import Path

from outrider.sources.stats import SourceStats

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "sources.md"


def test_the_reference_explains_exactly_the_counters_there_are() -> None:
    """A counter without a meaning, or a meaning without a counter, is a fault of the page."""
    table = PAGE.read_text(encoding="utf-8").partition("| counter |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.M) == list(SourceStats().counters())


def test_counters_start_at_zero() -> None:
    """Nothing has happened yet."""
    assert set(SourceStats().counters().values()) == {0}
