"""No mirror: a real crash whose damaged side the investigators wrote down comes out on that side."""

from __future__ import annotations

import pytest

from outrider.crash.collect import collect, document
from outrider.crash.standards import VIEWS
from tests.support.crash_records import blow, pulsed, recorded_pulse
from tests.support.terminal import data_file

# CISS case 1-14-2022-012-01: "V1's left side impacted an overhead traffic signal pole"; its recorder: lateral delta-V
# up to +4.34 km/h, which 49 CFR 563.5 counts from left to right.
LEFT_SIDE, RECORDED_LATERAL_KMH = ("ciss-edr", "ciss_2022_24878_v1.json"), 4.34
# CISS: "The front of V1 contacted the back of V2"; longitudinal -88.55 km/h.
FRONT, RECORDED_LONGITUDINAL_KMH = ("ciss-edr", "ciss_2022_25326_v1.json"), -88.55


def elements(name: str, doc: object) -> dict[str, dict[str, object]]:
    view = VIEWS[name](doc)  # type: ignore[arg-type]
    return {
        one["name"]: one
        for key in ("table_1", "table_2", "level_a", "level_b", "elements")
        for one in view.get(key, [])
    }


def test_hit_on_the_left_is_told_as_hit_on_the_left() -> None:
    """PDOF from the left, clock on the left half, ISO lateral delta-V to the right, and the sign of 563 as recorded."""
    (bundle,) = collect(pulsed(*recorded_pulse(data_file(*LEFT_SIDE))))
    doc = document(bundle)
    assert doc.impact.pdof_deg is not None
    assert 0 < doc.impact.pdof_deg < 180
    assert doc.impact.clock in {7, 8, 9, 10, 11}
    assert doc.impact.dv_lat_kmh is not None
    assert doc.impact.dv_lat_kmh < 0
    assert "left" in doc.verdict.sentence
    told = elements("cfr563", doc)["Maximum delta-V, lateral"]["value"]
    assert told == pytest.approx(RECORDED_LATERAL_KMH, abs=0.7)


def test_hit_in_front_is_told_as_hit_in_front() -> None:
    """Longitudinal delta-V negative everywhere, and as large as recorded."""
    (bundle,) = collect(pulsed(*recorded_pulse(data_file(*FRONT)), speeds_kmh=(250.0, 150.0)))
    doc = document(bundle)
    assert doc.impact.clock in {11, 12, 1}
    assert doc.impact.dv_long_kmh is not None
    assert doc.impact.dv_long_kmh < 0
    for name in ("cfr563", "unr160"):
        told = elements(name, doc)["Maximum delta-V, longitudinal"]["value"]
        assert told == pytest.approx(RECORDED_LONGITUDINAL_KMH, rel=0.05)


@pytest.mark.parametrize(
    ("along", "left", "clock", "pdof", "words"),
    [
        (-40.0, 0.0, 12, 0.0, "from the front"),
        (40.0, 0.0, 6, 180.0, "from behind"),
        (0.0, -40.0, 9, 90.0, "from the left"),
        (0.0, 40.0, 3, -90.0, "from the right"),
    ],
)
def test_each_side(along: float, left: float, clock: int, pdof: float, words: str) -> None:
    """All four sides: clock, direction, words, and the lateral sign of each convention."""
    (bundle,) = collect(pulsed(*blow(along, left)))
    doc = document(bundle)
    assert doc.impact.clock == clock
    assert doc.impact.pdof_deg is not None
    assert (doc.impact.pdof_deg - pdof + 180) % 360 - 180 == pytest.approx(0, abs=3)
    assert words in doc.verdict.sentence
    lateral = elements("cfr563", doc)["Delta-V, lateral"]["value"]
    assert isinstance(lateral, list)
    assert lateral[15] == pytest.approx(-left, abs=2)
    assert doc.delta_v.lat_kmh[15] == pytest.approx(left, abs=2)
