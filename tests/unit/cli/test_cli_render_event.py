"""One line an event for people."""

from __future__ import annotations

from dataclasses import replace

import pytest

from outrider.cli.render import event_line
from outrider.model.event import EventKind, Phase
from tests.support.events import EVENT


@pytest.mark.parametrize(
    ("before", "impact", "after", "shown"),
    [
        (90.2, 41.4, 0.0, "90 → 41 → 0 km/h"),
        (90.2, None, 0.0, "90 → 0 km/h"),
        (90.2, 41.4, None, "90 → 41 → ? km/h"),
    ],
)
def test_speeds_are_told_in_their_order(before: float, impact: float | None, after: float | None, shown: str) -> None:
    """Before, at the impact where it is known, and after."""
    event = replace(
        EVENT, kind=EventKind.CRASH, phase=Phase.CLOSED, v_pre_kmh=before, v_impact_kmh=impact, v_post_kmh=after
    )
    assert shown in event_line(event).split("  ")
