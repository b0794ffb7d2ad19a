"""The report as a browser shows it: whole, readable on a phone, and no door for hostile names."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from outrider.suite.compare import REPLAY, compare
from outrider.suite.model import Tolerances
from outrider.suite.observed import DAY_S, EARLIEST_S, LATEST_S, Point
from outrider.suite.plot import NARROW, WIDE, Size, draw
from outrider.suite.report_io import write_comparison, write_report
from outrider.suite.results import make_results
from outrider.suite.verdict import DriveVerdict, judge
from tests.support.browser import Seen, look
from tests.support.suites import drive_of, finding, observed, suite_of

WIDTHS = (1280, 360)
HOSTILE = "<script>document.title='x'</script>&<img src=x onerror=alert(1)> long-" + "name" * 8


@pytest.fixture(scope="module")
def verdicts() -> list[DriveVerdict]:
    """Every verdict there is, a hostile name, a broken drive, one without any event."""
    text = "".join(
        f'[[drive.expect]]\nkind = "{kind}"\nt_s = {t}\n'
        for kind, t in (("crash", 100), ("harsh_brake", 50), ("rollover", 300), ("lane_change", 400))
    )
    found = (finding(), finding("harsh_brake", 52), finding("harsh_corner", 400), finding("airbag", 500))
    return [
        judge(drive_of(text, HOSTILE), observed(*found, name=HOSTILE, notes=(HOSTILE,)), Tolerances()),
        judge(drive_of(name="broken"), observed(name="broken", error=HOSTILE, trace=()), Tolerances()),
        judge(drive_of(name="quiet"), observed(name="quiet", trace=()), Tolerances()),
    ]


@pytest.fixture(scope="module")
def report(verdicts: list[DriveVerdict], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    header = suite_of('[[drive]]\nname = "x"\nscenario = "short"\n').suite
    header = type(header)(name=HOSTILE, algorithm="motion-0")
    results = make_results(header, verdicts, software="1.2", algorithm="motion-1", bus="unix", speed=10)
    write_report(results, verdicts, path, "2026-01-02 03:04 UTC")
    return path


def check(seen: Seen) -> None:
    assert seen.console == []
    for width in WIDTHS:
        answer = seen.answers[width]
        assert answer["client"] == width
        assert answer["scroll"] <= width, answer["wide"]
        assert answer["wide"] == []
        assert answer["scripts"] == 0
        assert len(set(answer["ids"])) == len(answer["ids"])
        assert [link for link in answer["links"] if not re.match("#|data:,$", link)] == []
        assert (answer["svgs"], answer["shown"]) == (2, 1)


def test_the_report_in_a_browser(report: Path, tmp_path: Path) -> None:
    """No console errors, nothing wider than the page, nothing from outside, one picture; names are text."""
    seen = look(report, tmp_path, *WIDTHS)
    check(seen)
    text = seen.answers[360]["text"]
    for words in (
        HOSTILE,
        "2 of 3 drive(s)",
        "motion-1",
        "10 times real time",
        "missing",
        "other kind",
        "not expected",
    ):
        assert words in text
    assert "--update" in text


def test_the_report_needs_nothing_else(report: Path) -> None:
    """No address of another place stands where a browser would follow it."""
    text = report.read_text(encoding="utf-8")
    assert not re.search(r"(src|href)=\"(?!#|data:)", re.sub(r'xmlns(:\w+)?="[^"]*"', "", text))
    assert "<script" not in text
    assert "@import" not in text


def test_the_comparison_in_a_browser(verdicts: list[DriveVerdict], tmp_path: Path) -> None:
    """The same of the report on two releases."""
    header = suite_of('[[drive]]\nname = "x"\nscenario = "short"\n').suite
    now = judge(verdicts[0].drive, observed(finding(t_s=101), name=HOSTILE), Tolerances())
    old = make_results(header, verdicts, software="1.1", algorithm="a", bus="replay", speed=1)
    new = make_results(header, [now, *verdicts[1:]], software="1.2", algorithm="b", bus="replay", speed=1)
    path = tmp_path / "compare.html"
    write_comparison(compare(old, new, REPLAY), path, "now")
    seen = look(path, tmp_path, *WIDTHS)
    check(seen)
    for words in (HOSTILE, "outrider 1.1", "event gone", "2 of 3 drive(s) differ"):
        assert words in seen.answers[360]["text"]


def test_a_picture_is_an_svg_with_texts(verdicts: list[DriveVerdict]) -> None:
    """Well-formed, scalable, with texts as texts and a label for those who cannot see it."""
    for size in (WIDE, NARROW):
        svg = draw(verdicts[0].observed.trace, verdicts[0].lines, size, label='<a "b">', prefix="p")
        root = ElementTree.fromstring(svg)
        assert root.get("aria-label") == '<a "b">'
        assert root.get("width") is None
        assert root.get("viewBox")
        texts = {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
        assert {"km/h", "g", "found", "expected", "1"} <= texts
        assert all(i.startswith("p-") for i in re.findall(r'\bid="([^"]*)"', svg))


def test_a_picture_of_nothing() -> None:
    """A drive without a trace or an event can still be drawn."""
    assert draw((), (), WIDE, label="", prefix="p").startswith("<svg")


@pytest.mark.parametrize("size", [WIDE, NARROW])
@pytest.mark.parametrize("until_s", [EARLIEST_S, 1.0, 600.0, DAY_S, 366 * DAY_S, LATEST_S])
def test_the_longest_drive_has_few_ticks(size: Size, until_s: float) -> None:
    """However far apart the moments of a drive lie and however large its numbers: as many marks as fit."""
    trace = (Point(EARLIEST_S, 1e9, -1e9, 1e9), Point(until_s, -1e9, 1e9, None), Point(until_s + 1e-300, 1e9))
    root = ElementTree.fromstring(draw(trace, (), size, label="", prefix="p"))
    groups = [group.get("id", "") for group in root.iter("{http://www.w3.org/2000/svg}g")]
    ticks = [name for name in groups if re.fullmatch(r"p-xtick_\d+", name)]
    assert 1 <= len(ticks) <= 3 * (size.ticks + 2)  # three axes share them
