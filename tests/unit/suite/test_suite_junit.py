"""JUnit XML: what a CI system reads of a run."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from outrider.suite.junit_io import write_junit
from outrider.suite.model import Tolerances
from outrider.suite.results import Results, make_results
from outrider.suite.verdict import judge
from tests.support.suites import drive_of, finding, observed, suite_of


def results_of(name: str = "d", *, pinned: str = "motion-1", error: str | None = None) -> Results:
    drives = [
        (drive_of('[[drive.expect]]\nkind = "crash"\nt_s = 100\n'), observed(finding(t_s=200))),
        (drive_of(), observed(notes=("d.log: malformed 3",))),
        (drive_of(), observed(error=error or "d.log: is empty")),
    ]
    verdicts = [judge(drive, seen, Tolerances()) for drive, seen in drives]
    header = suite_of('[[drive]]\nname = "x"\nscenario = "short"\n').suite
    header = type(header)(name=name, algorithm=pinned)
    return make_results(header, verdicts, software="1.2", algorithm="motion-1", bus="replay", speed=10)


def cases_of(results: Results, folder: Path) -> list[ElementTree.Element]:
    write_junit(results, folder / "out.xml")
    tree = ElementTree.parse(folder / "out.xml")  # our own file
    return list(tree.iter("testcase"))


def test_a_case_a_drive(tmp_path: Path) -> None:
    """Difference is a failure with all sentences, a broken drive an error; what was found stands in the output."""
    algorithm, differs, good, broken = cases_of(results_of(), tmp_path)
    assert algorithm.get("name") == "algorithm"
    assert algorithm.find("failure") is None
    failure = differs.find("failure")
    assert failure is not None
    assert (failure.text or "").splitlines() == [
        "crash expected at 100.00 s was not found",
        "crash at 200.00 s was not expected (confirmed, 12.00 g, Δv 30.0 km/h, 90%)",
    ]
    assert good.find("failure") is good.find("error") is None
    assert "malformed 3" in (good.findtext("system-out") or "")
    error = broken.find("error")
    assert error is not None
    assert error.get("message") == "d.log: is empty"
    suite = ElementTree.parse(tmp_path / "out.xml").find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("4", "1", "1")
    assert {p.get("name"): p.get("value") for p in suite.iter("property")} == {
        "software": "1.2", "algorithm": "motion-1", "bus": "replay", "speed": "10",
    }  # fmt: skip


def test_another_algorithm_fails_and_says_how_to_accept_it(tmp_path: Path) -> None:
    """The pinned algorithm is a case of its own."""
    failure = cases_of(results_of(pinned="motion-0"), tmp_path)[0].find("failure")
    assert failure is not None
    assert "--update" in (failure.get("message") or "")


def test_hostile_texts_are_texts(tmp_path: Path) -> None:
    """Markup in names and errors is escaped; what XML cannot hold is replaced."""
    results = results_of('<suite>&"\u0001', error="]]><failure/> \ufffe \U0001f697")
    cases = cases_of(results, tmp_path)
    assert len(cases) == 4
    assert cases[1].get("classname") == '<suite>&"?'
    error = cases[3].find("error")
    assert error is not None
    assert error.get("message") == "]]><failure/> ? \U0001f697"
