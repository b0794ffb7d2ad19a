"""A run as JUnit XML, which every CI system shows: one test case a drive, its failure text the verdict's sentences."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite

from outrider.suite.results import DriveResult, Results, algorithm_sentence
from outrider.suite.results_io import replacing

ALGORITHM_CASE: Final = "algorithm"


def write_junit(results: Results, path: Path) -> None:
    """Write the file, whole or not at all. OSError names it."""
    suite = TestSuite(_xml_text(results.suite))
    for name in ("software", "algorithm", "bus", "speed"):
        suite.add_property(name, _xml_text(str(getattr(results, name))))
    if results.pinned is not None:
        suite.add_testcase(_algorithm_case(results))
    for drive in results.drives:
        suite.add_testcase(_case(results, drive))
    document = JUnitXml(_xml_text(results.suite))
    document.add_testsuite(suite)
    with replacing(path) as part:
        document.write(str(part), pretty=True)


def _algorithm_case(results: Results) -> TestCase:
    case = TestCase(ALGORITHM_CASE, _xml_text(results.suite))
    if not results.algorithm_ok:
        case.result = [Failure(_xml_text(algorithm_sentence(results)), "algorithm")]
    return case


def _case(results: Results, drive: DriveResult) -> TestCase:
    seen = drive.observed
    case = TestCase(_xml_text(seen.name), _xml_text(results.suite))
    if seen.error is not None:
        case.result = [Error(_xml_text(seen.error), "error")]
    elif not drive.ok:
        failure = Failure(_xml_text(drive.summary), "verdict")
        failure.text = _xml_text("\n".join(drive.problems))
        case.result = [failure]
    found = "\n".join(f"{f.t_s:10.2f} s  {f.kind}  {f.outcome}" for f in seen.findings)
    whole = f"{seen.duration_s:.1f} s, {seen.distance_m / 1000:.3f} km, {seen.trips} trip(s)"
    case.system_out = _xml_text("\n".join(filter(None, (whole, found, *seen.notes))))
    return case


def _xml_text(text: str) -> str:
    """``?`` for what XML 1.0 cannot hold (section 2.2)."""
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", text)
