"""Results files: what is written is read again, and what is none is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from outrider.errors import SuiteError
from outrider.suite.model import Tolerances
from outrider.suite.observed import Point
from outrider.suite.results import Results, decode, encode, make_results
from outrider.suite.results_io import read_results, replacing, write_results
from outrider.suite.verdict import judge
from tests.support.suites import finding, observed, suite_of

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "reference" / "cli-schema.json").read_text(encoding="utf-8"))


def results_of(**more: str | None) -> Results:
    suite = suite_of('[[drive]]\nname = "a"\nscenario = "short"\n[[drive]]\nname = "b"\nscenario = "short"\n')
    seen = {"a": observed(finding(), name="a"), "b": observed(name="b", error="b.log: is empty", error_code=65)}
    verdicts = [judge(drive, seen[drive.name], Tolerances()) for drive in suite.drive]
    values: dict[str, str | None] = {"software": "1.2", "algorithm": "motion-1", "bus": "replay"}
    return make_results(suite.suite, verdicts, speed=10, **(values | more))  # type: ignore[arg-type]  # test convenience


def test_written_and_read_again(tmp_path: Path) -> None:
    """The same, to the last digit; and as docs/reference/cli-schema.json says."""
    file = tmp_path / "r.json"
    write_results(results_of(), file)
    assert read_results(file) == results_of()
    document = json.loads(file.read_text(encoding="utf-8"))
    jsonschema.validate(document, {"$ref": "#/$defs/hil_results", "$defs": SCHEMA["$defs"]})
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


def test_a_run_fails_when_a_drive_or_the_algorithm_does() -> None:
    """An error or a difference is a failure; so is another algorithm than the pinned one."""
    assert not results_of().ok
    suite = suite_of('[[drive]]\nname = "d"\nscenario = "short"\n')
    good = [judge(suite.drive[0], observed(), Tolerances())]
    for pinned, ok in ((None, True), ("motion-1", True), ("motion-0", False)):
        header = suite.suite
        header = type(header)(name="n", algorithm=pinned)
        results = make_results(header, good, software="1", algorithm="motion-1", bus="replay", speed=1)
        assert results.ok is ok


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "damaged"),
        (b"[1]", "damaged"),
        (b'{"a": 1}', "no results"),
        (b'{"format": "outrider-hil-results/2"}', "outrider-hil-results/2"),
        (b'{"format": "outrider-hil-results/1"}', "missing"),
        (encode(results_of())[:-20], "damaged"),
        (encode(results_of()).replace(b'"t_s":100.0', b'"t_s":"x"'), "damaged"),
        (encode(results_of()).replace(b'"name":"b"', b'"name":"a"'), "twice"),
        (b"[" * 100_000, "damaged"),
        (b"\xff\xfe\x00", "damaged"),
        (encode(results_of()).replace(b'"name":"b"', b'"name":"\xff"'), "damaged"),
    ],
)
def test_what_is_no_results_file(data: bytes, words: str) -> None:
    """Damaged, of another format, or something else: said of the file, with what to do."""
    with pytest.raises(SuiteError, match=r"old\.json") as caught:
        decode(data, Path("old.json"))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        (b'"t_s":100.0', b'"t_s":1e300', "findings[0].t_s"),
        (b'"t_s":100.0', b'"t_s":1e12', "findings[0].t_s"),
        (b'"t_s":100.0', b'"t_s":-1e7', "findings[0].t_s"),
        (b'"t_s":100.0', b'"t_s":1e999', "findings[0].t_s"),
        (b'"reported_s":100.05', b'"reported_s":1e12', "reported_s"),
        (b'"peak_g":12.0', b'"peak_g":1e300', "peak_g"),
        (b'"delta_v_kmh":30.0', b'"delta_v_kmh":-1e300', "delta_v_kmh"),
        (b'"level":2', b'"level":2000000', "level"),
        (b'"kind":"crash"', b'"kind":"' + b"x" * 1000 + b'"', "kind"),
        (b"[1.0,50.0,0.01,null]", b"[1e12,50.0,0.01,null]", "trace[0][0]"),
        (b"[1.0,50.0,0.01,null]", b"[1.0,1e300,0.01,null]", "trace[0][1]"),
        (b"[1.0,50.0,0.01,null]", b",".join([b"[1.0]"] * 12_000), "trace"),
        (b'"distance_m":5000.0', b'"distance_m":1e300', "distance_m"),
        (b'"duration_s":600.0', b'"duration_s":-1', "duration_s"),
        (b'"trips":1', b'"trips":' + b"9" * 400, "trips"),
    ],
)
def test_numbers_no_drive_has(old: bytes, new: bytes, where: str) -> None:
    """Extreme numbers are damage, told of the file and the place in it, before anything is computed or drawn."""
    data = encode(results_of())
    assert old in data
    with pytest.raises(SuiteError, match=r"old\.json: damaged") as caught:
        decode(data.replace(old, new, 1), Path("old.json"))
    assert where in str(caught.value)


def test_a_drive_far_beyond_any_real_one_is_read() -> None:
    """The ranges are wide: months between recordings, an event before the first input, more frames than were sent."""
    suite = suite_of('[[drive]]\nname = "d"\nscenario = "short"\n')
    far = 366 * 86_400.0
    seen = observed(
        finding(t_s=far, peak_g=500.0),
        finding(t_s=-30.0, lat_deg=-90.0, lon_deg=180.0),
        duration_s=far,
        distance_m=4e7,
        frames=10**11,
        lost_frames=-5,
        trace=(Point(-86_400.0, -20.0, -400.0, 400.0), Point(far)),
    )
    results = make_results(
        suite.suite, [judge(suite.drive[0], seen, Tolerances())], software="1", algorithm=None, bus="unix", speed=100
    )
    assert decode(encode(results), Path("old.json")) == results


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """Missing files and folders are named."""
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(SuiteError, match="cannot be read"):
            read_results(path)


def test_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """A failure on the way leaves the old file and nothing else; an unwritable place is named."""
    file = tmp_path / "r.json"
    file.write_text("old", encoding="ascii")

    def cut_short() -> None:
        with replacing(file) as part:
            part.write_text("half", encoding="ascii")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_short()
    assert file.read_text(encoding="ascii") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]
    with pytest.raises(OSError, match="gone") as caught:
        write_results(results_of(), tmp_path / "gone" / "r.json")
    assert caught.value.filename == str(tmp_path / "gone" / "r.json")
