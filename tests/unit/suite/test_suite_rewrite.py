"""``--update`` where a file or a tolerance is out of the ordinary."""

from __future__ import annotations

from pathlib import Path

import pytest

from outrider.errors import SuiteError
from outrider.suite.load_io import parse_suite
from outrider.suite.observed import Observed
from outrider.suite.update import updated
from outrider.suite.verdict import DriveVerdict, judge
from tests.support.suites import HEAD, finding, observed

PATH = Path("fleet.suite.toml")
DRIVE = '[[drive]]\nname = "d"\nscenario = "short"\n'
OTHER = '[[drive]]\nname = "e"\nscenario = "short"\n'


def judged(text: str, *seen: Observed) -> list[DriveVerdict]:
    suite = parse_suite(text, PATH)
    drives = {drive.name: drive for drive in suite.drive}
    return [judge(drives[each.name], each, suite.suite.tolerances) for each in seen]


def test_a_tolerance_finer_than_the_usual_digits() -> None:
    """As many digits are written as the tolerance, the suite's or its own, needs."""
    tight = HEAD + "[suite.tolerances]\ntime_s = 0.0001\npeak_g = 0.0001\ndistance_km = 0.001\n" + DRIVE
    expect = '[[drive.expect]]\nkind = "harsh_brake"\nt_s = 61\nduration_s = 1\nduration_tolerance_s = 0.001\n'
    for text in (tight, tight + expect):
        seen = observed(finding("harsh_brake", 60.12345, peak_g=0.4567, duration_s=1.997), distance_m=5432.0)
        after = updated(text, PATH, judged(text, seen), "m")
        assert "t_s = 60.1234" in after or "t_s = 60.1235" in after
        assert "distance_km = 5.432" in after
        assert all(verdict.ok for verdict in judged(after, seen))


def test_line_ends_stay_as_they_are() -> None:
    """A file from Windows has no line of another kind afterwards."""
    text = (HEAD + DRIVE).replace("\n", "\r\n")
    after = updated(text, PATH, judged(text, observed(finding())), "m")
    assert after.count("\n") == after.count("\r\n") > text.count("\n")


def test_a_limit_that_holds_is_left_alone() -> None:
    """The number of trips is wrong, the distance as near as it may be: only one of them is written."""
    text = HEAD + DRIVE + "[drive.limits]\ndistance_km = 5.01\ntrips = 3\n"
    after = updated(text, PATH, judged(text, observed()), "m")
    assert "distance_km = 5.01\ntrips = 1\n" in after


def test_a_pin_stays_until_every_drive_is_of_the_new_algorithm() -> None:
    """One of two drives updated: what is expected of the other is still what the old algorithm gave."""
    text = HEAD + 'algorithm = "old"\n' + DRIVE + OTHER
    one = updated(text, PATH, judged(text, observed(finding())), "new")
    assert 'algorithm = "old"' in one
    assert "[[drive.expect]]" in one
    broken = judged(text, observed(finding()), observed(name="e", error="cut short"))
    assert 'algorithm = "old"' in updated(text, PATH, broken, "new")
    assert 'algorithm = "new"' in updated(text, PATH, judged(text, observed(), observed(name="e")), "new")


@pytest.mark.parametrize("now", [HEAD + OTHER, HEAD + DRIVE + "after_s = 3\n", "no TOML"])
def test_a_suite_that_was_edited_meanwhile_is_left_alone(now: str) -> None:
    """What was seen is of another drive than the file has now."""
    with pytest.raises(SuiteError, match=r"while its drives ran|not valid TOML"):
        updated(now, PATH, judged(HEAD + DRIVE, observed(finding())), "m")
