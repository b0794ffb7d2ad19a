"""The sentence a service desk reads to the owner, the tables, and the geometry of the pictures."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from outrider.crash.document import Place, TrackPoint
from outrider.crash.report_car import edge, spread_deg
from outrider.crash.report_clean import clean, shown
from outrider.crash.report_io import content
from outrider.crash.report_numbers import compass, degrees, moment, number, utc
from outrider.crash.report_panels import blow_panels, whole_panels
from outrider.crash.report_plot import envelope
from outrider.crash.report_tables import dv_blocks, evidence_rows, evidence_sum, signal_rows, where
from outrider.crash.report_terms import told_span
from outrider.crash.report_track import spots
from outrider.crash.report_words import share_words, side, sure_sentence, verdict_sentence
from outrider.i18n import in_language
from tests.support import crash_documents as made
from tests.support.crash_courses import delta_v, series

SENTENCES = {
    "frontal": "The car was in a severe crash: hit at the front end, its speed changed by 58 km/h within 100 ms, at "
    "57 km/h, an airbag or belt tensioner fired.",
    "saturated": "The car was in a severe crash: hit at the left side, its speed changed by at least 24 km/h, at "
    "57 km/h.",
    "unaligned": "The car was probably in a moderate crash: its speed changed by 58 km/h within 100 ms, at 57 km/h, an "
    "airbag or belt tensioner fired.",
    "inferred": "The car may have crashed, judging by its speed or its silence alone: its speed before was up "
    "to 62 km/h.",
    "nothing": "The car fired an airbag or a belt tensioner.",
    "rollover": "The car has rolled over: 3 impacts, in the strongest of them hit at the right side, its speed changed "
    "by 58 km/h within 100 ms, at 57 km/h.",
    "parked": "The parked car may have been hit: hit at the rear end, its speed changed by 7 km/h within 100 ms.",
    "withdrawn": "No crash: what looked like one was withdrawn.",
}


@pytest.mark.parametrize("name", SENTENCES)
def test_the_verdict_in_one_sentence(name: str) -> None:
    """What happened, where it was hit, how hard, how fast; never more than is known."""
    with in_language("en"):
        assert verdict_sentence(made.EVERY[name]()) == SENTENCES[name]


@pytest.mark.parametrize("name", made.EVERY)
def test_the_sentence_speaks_one_language(name: str) -> None:
    """In Chinese there is no English word in it, and it ends as Chinese sentences do."""
    with in_language("zh"):
        sentence = verdict_sentence(made.EVERY[name]())
    assert sentence.endswith("。")
    if name != "hostile":
        assert not [c for c in sentence.replace("km/h", "").replace("ms", "") if c.isascii() and c.isalpha()]


def test_evidence_is_told_for_against_and_unknown() -> None:
    """Sorted by what it did; what could not be known is not called absent; the sum is the detector's own."""
    with in_language("en"):
        whole = {row.words.split()[-1]: row for row in evidence_rows(made.frontal())}
        rows = evidence_rows(made.withdrawn())
        blind = evidence_rows(replace(made.frontal(), series=(), impact=replace(made.frontal().impact, airbag=False)))
    assert [row.finding for row in rows][:2] == ["for", "against"]
    assert rows[1].share == "−2.0"
    assert "8 km/h" not in {key for key, row in whole.items() if row.finding == "not seen"}
    assert any(row.finding == "not known" for row in blind if "airbag" in row.words) is False  # it did count
    items = made.evidence("dv8")
    unknown = replace(made.inferred(), quality=(made.note("no_speed"),), verdict=made.verdict("crash", "closed", items))
    found = {item.name: row.finding for item, row in zip(items, [], strict=False)}
    with in_language("en"):
        found = {row.words: row.finding for row in evidence_rows(unknown)}
    assert found["the car stood still afterwards"] == "not known"
    assert found["the car reported an airbag, belt tensioner or crash"] == "not seen"  # the series has the signal
    assert evidence_sum(made.frontal()) == ("−2.0", "+10.0")
    assert evidence_sum(made.inferred()) is None


def test_a_confidence_is_never_certainty() -> None:
    with in_language("en"):
        assert share_words(0.9999) == "more than 99 %"
        assert share_words(0.0001) == "less than 1 %"
        assert share_words(0.6234) == "62 %"
        assert share_words(math.nan) == "unknown"


@pytest.mark.parametrize(
    ("clock", "words"), [(12, "front end"), (3, "right side"), (9, "left side"), (6, "rear end"), (0, None)]
)
def test_sides_are_those_of_the_clock(clock: int, words: str | None) -> None:
    """12 is the front, 3 the right side, as seen from above with the front up."""
    with in_language("en"):
        assert side(clock) == words


@pytest.mark.parametrize(("angle", "x", "y"), [(0, 0, 1), (90, -1, 0), (-90, 1, 0), (180, 0, -1)])
def test_the_arrow_comes_from_where_the_blow_came(angle: float, x: float, y: float) -> None:
    """+90° is the left side of a car whose front is up."""
    found = edge(angle)
    assert np.sign(np.round(found, 6)).tolist() == [x, y]
    assert spread_deg(made.saturated().impact) > spread_deg(made.frontal().impact)


def test_the_track_is_in_metres_east_and_north_of_the_impact() -> None:
    """A degree of latitude is 111.2 km; the date line is crossed the short way; faulty positions are left out."""
    points = (
        TrackPoint(-1.0, 0.001, 179.9995, None, None, None),
        TrackPoint(0.0, 0.0, -179.9995, None, None, None),
        TrackPoint(1.0, math.nan, 0.0, None, None, None),
    )
    track = spots(replace(made.frontal(), place=Place(0.0, -179.9995, None, None, stale=False), track=points))
    assert [(round(s.east_m, 1), round(s.north_m, 1)) for s in track] == [(-111.2, 111.2), (0.0, 0.0)]
    assert spots(replace(made.frontal(), place=None, track=())) == []


def test_a_thinned_curve_keeps_its_peaks() -> None:
    """One sample of a hundred thousand is still in the picture; few samples are drawn as they are."""
    t = np.linspace(-1, 1, 100_000)
    values = np.zeros(100_000)
    values[54_321] = -400.0
    x, y = envelope(t, values, 300)
    assert len(x) == len(y) == 600
    assert y.min() == -400.0
    assert abs(x[y.argmin()] - t[54_321]) < 0.01
    assert envelope(t[:500], values[:500], 300)[0] is not None
    assert len(envelope(t[:500], values[:500], 300)[0]) == 500


def test_panels_hold_what_they_name() -> None:
    """Each series in the panel of its kind; a number that is 0 or 1 by chance is no switch; the fastest label first."""
    extra = series("Vehicle.Outrider.SpeedSource", "", 1, lambda t: 1)
    document = replace(made.frontal(), series=(*made.frontal().series, extra))
    with in_language("en"):
        panels = {panel.y_label: [curve.label for curve in panel.curves] for panel in whole_panels(document)}
        assert [panel.y_label for panel in blow_panels(made.inferred())] == []
    assert panels["speed [km/h]"] == ["speed", "speed (diagnosis)", "speed (of the positions)"]
    assert panels["pedals [%]"] == ["throttle", "accelerator pedal"]
    assert sorted(panels["on or off"]) == ["airbag", "brake", "driver's belt"]


def test_what_the_black_box_kept_is_drawn_where_the_rest_is_lost() -> None:
    """Its accelerations only without the sensor's own record, and its speed under its own name."""
    kept = [
        replace(series(f"Vehicle.Outrider.{name}", unit, 10, lambda t: 1.5), source="black_box")
        for name, unit in (("SensorAcceleration.X", "m/s^2"), ("Speed", "km/h"))
    ]
    with in_language("en"):
        lost = whole_panels(replace(made.inferred(), series=tuple(kept)))
        there = whole_panels(replace(made.frontal(), series=tuple(kept)))
    assert [panel.curves[0].label for panel in lost] == [
        "sensor x (black box)",
        "speed (most trusted) (black box)",
    ]
    assert [curve.label for curve in there[0].curves] == ["longitudinal", "lateral", "vertical"]


def test_every_row_of_the_course_stands_once() -> None:
    """31 rows from 0 to 300 ms, whatever the columns; a finer course is told every 10 ms."""
    with in_language("en"):
        for columns in (1, 2, 4, 7):
            rows = [row for block in dv_blocks(made.frontal(), columns) for row in block]
            assert [row[0] for row in rows] == [str(10 * i) for i in range(31)]
        fine = replace(
            delta_v(), t_ms=tuple(2.5 * i for i in range(41)), long_kmh=(1.0,) * 41, lat_kmh=(0.0,) * 41,
            resultant_kmh=(1.0,) * 41,
        )  # fmt: skip
        rows = [row for block in dv_blocks(replace(made.frontal(), delta_v=fine)) for row in block]
        assert [row[0] for row in rows] == [str(10 * i) for i in range(11)]


def test_a_course_that_was_not_kept_is_not_shown_as_none() -> None:
    """Zeros beside a delta-V that is not zero are no course: neither drawn nor listed."""
    zeros = (0.0,) * 31
    whole = made.frontal()
    flat = replace(whole, delta_v=replace(whole.delta_v, long_kmh=zeros, lat_kmh=zeros, resultant_kmh=zeros))
    with in_language("en"):
        assert dv_blocks(flat) == []
        assert "ΔV [km/h]" not in [panel.y_label for panel in blow_panels(flat)]
        standing = replace(whole, impact=replace(whole.impact, v_impact_kmh=0.4))
        assert "within 100 ms, while standing, an airbag" in verdict_sentence(standing)


@pytest.mark.parametrize(
    ("low", "high", "bound", "words", "beyond"),
    [
        (54.0, 61.0, False, "57.9 km/h (90 %: 54.0 to 61.0)", False),
        (54.0, None, False, "57.9 km/h (90 %: above 54.0)", True),
        (None, None, False, "57.9 km/h", False),
        (54.0, None, True, "at least 57.9 km/h (90 %: above 54.0)", True),
        (None, None, True, "at least 57.9 km/h", True),
        (math.nan, math.nan, False, "57.9 km/h", False),
    ],
)
def test_the_change_of_speed_says_what_is_open(
    low: float | None, high: float | None, bound: bool, words: str, beyond: bool
) -> None:
    """An interval, one without an upper end, a lower bound, or a number alone: in words, and as an arrow upwards."""
    whole = made.frontal()
    impact = replace(whole.impact, dv_lo_kmh=low, dv_hi_kmh=high, lower_bound=bound)
    with in_language("en"):
        found = blow_panels(replace(whole, impact=impact))[0].interval
    assert found is not None
    assert (found.text, found.open) == (words, beyond)


def test_numbers_for_people() -> None:
    """Signs are minus signs, unknown is a word, no negative zero, moments near T0 in milliseconds."""
    with in_language("en"):
        assert number(-3.14159, 1, "g") == "−3.1 g"
        assert number(-0.04, 1) == "0.0"
        assert number(None) == number(math.nan) == number(math.inf) == "unknown"
        assert moment(0.05) == "+50 ms"
        assert moment(-20) == "−20.00 s"
        assert degrees(-33.9, "N", "S") == "33.90000° S"
        assert compass(359.0) == "N"
        assert compass(202.5) == "SSW"
        assert utc(0) == "1970-01-01 00:00:00.00 UTC"
        assert utc(2**62) is None
        assert told_span("raw CAN frames: -30 s to -28.1 s") == "raw CAN frames: −30.0 s to −28.1 s"
        assert "± 2 m, heading 31° (NNE)" in where(made.frontal())[2]


def test_strings_are_cleaned_all_through() -> None:
    """Every text of a document, however deep; numbers stay the very same."""
    document = clean(made.hostile())
    for text in (document.device, document.series[0].name, document.files[0].sha256, document.verdict.items[0].words):
        assert "\u202e" not in text
        assert "\x00" not in text
        assert len(text) < 400
    assert document.delta_v.t_ms is made.hostile().delta_v.t_ms or document.delta_v == made.hostile().delta_v
    with in_language("en"):
        assert shown("a\u2066b\n") == "a\\u2066b\\u000a"
        assert shown("x" * 301).endswith("x… (301 signs in all)")
        assert len(signal_rows(replace(made.frontal(), series=made.frontal().series * 100))) == 500


@pytest.mark.parametrize("name", made.EVERY)
def test_every_document_has_all_its_texts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables and sentences of every kind of document in both languages (without drawing)."""
    for picture in ("car", "track"):
        monkeypatch.setattr(f"outrider.crash.report_io.{picture}", lambda _document: None)
    for pictures in ("blow", "whole"):
        monkeypatch.setattr(f"outrider.crash.report_io.{pictures}", lambda _document: [])
    for language in ("en", "zh"):
        with in_language(language):
            found = content(clean(made.EVERY[name]()))
        assert found["sentence"]
        assert found["sure"]
        assert all(len(row) == 3 for row in found["facts"])


def test_evidence_without_a_verdict_has_no_confidence() -> None:
    """That the verdict's records are not here yet does not make a crash improbable."""
    whole = made.frontal()
    bare = replace(whole, phases=(), verdict=replace(whole.verdict, state="suspected", confidence=0.0, rule=0))
    assert "Confidence: unknown." in sure_sentence(bare)
    assert "unknown" not in sure_sentence(whole)
