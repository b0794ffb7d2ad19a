"""Report, page, JSON and command: whole, honest, and no door for hostile names."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from outrider.cli.main import main
from outrider.evaluate.page import page
from outrider.evaluate.plot import draw
from outrider.evaluate.report_io import json_text, write_markdown, write_report
from outrider.evaluate.results import Bar, Curve, Evaluation, Mark, Panel, Picture, RowResult, Table
from tests.support import score_data as sd
from tests.support.browser import look

Run = Callable[..., tuple[int, str, str]]
HOSTILE = "<script>document.title='x'</script>&<img src=x onerror=alert(1)>|" + "name" * 12
WIDTHS = (1280, 360)
SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "reference" / "cli-schema.json").read_text(encoding="utf-8"))


def picture(verdict: str) -> Picture:
    t = np.linspace(0, 10, 500)
    marks = [Mark(HOSTILE, 2.0, 3.0, verdict), Mark("b", 5.0, 5.0)]  # type: ignore[arg-type]  # a verdict
    curves = [Curve("x", t, np.sin(t)), Curve(HOSTILE, t, np.cos(t), "second", dots=True)]
    return Picture(HOSTILE, f"{verdict} it is", [Panel("g", curves, marks, [("bar", 0.5)])], verdict)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """Every verdict and every state of a bar and of a row, with hostile names wherever a recording gives one."""
    row = RowResult(
        row="A",
        title="Crash windows",
        layouts=(),
        method="How.",
        limits="What not.",
        numbers={"wrong": [HOSTILE]},
        tables=[Table(title=HOSTILE, columns=("", HOSTILE), rows=((HOSTILE, 1), (None, 2.5)))],
        bars=[Bar(what=HOSTILE, limit="≥ 1", measured="0", met=met) for met in (True, False, None)],
        pictures=[picture(verdict) for verdict in ("hit", "miss", "false", "plain")],
    )
    missing = RowResult(row="B", title="Injected crashes", layouts=(), missing=f"no {HOSTILE}")
    return Evaluation("x", "1.2", "motion-0", 1, {"windows": 2}, {HOSTILE: "damaged"}, [row, missing])


def test_the_report_in_a_browser(evaluation: Evaluation, tmp_path: Path) -> None:
    """No script, no link outside, nothing wider than a phone; misses and false alarms before hits; names are text."""
    path = tmp_path / "report.html"
    write_report(evaluation, path, "2026-01-02 03:04 UTC")
    seen = look(path, tmp_path, *WIDTHS)
    assert seen.console == []
    for width in WIDTHS:
        answer = seen.answers[width]
        assert answer["scroll"] <= width, answer["wide"]
        assert answer["wide"] == []
        assert answer["scripts"] == 0
        assert answer["svgs"] == answer["shown"] == 4
        assert len(set(answer["ids"])) == len(answer["ids"])
        assert [link for link in answer["links"] if not re.match("#|data:,$", link)] == []
        text = answer["text"]
        assert "1 of 2 bars met, 1 not met." in text
        assert "Not scored for want of recordings: row B" in text
        headings = [text.index(f"\n{word}\n") for word in ("Missed", "False alarms", "Found", "Courses")]
        assert headings == sorted(headings)
        assert HOSTILE in text


def test_the_report_is_written_whole_or_not_at_all(evaluation: Evaluation, tmp_path: Path) -> None:
    """A fault while drawing leaves the old report as it was."""
    path = tmp_path / "report.html"
    path.write_text("old", encoding="ascii")
    broken = Picture("x", "y", [Panel("g", [Curve("", np.zeros(3), np.zeros(2))])], "hit")
    row = RowResult(row="A", title="x", layouts=(), pictures=[broken])
    with pytest.raises(ValueError, match="same first dimension"):
        write_report(Evaluation("x", "1", "m", 1, {}, {}, [row]), path, "now")
    assert path.read_text(encoding="ascii") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_picture_is_the_same_each_time_and_says_its_verdict_in_words() -> None:
    """A grey print tells a miss from a false alarm; the bytes do not depend on when it was drawn."""
    assert draw(picture("miss"), "p1") == draw(picture("miss"), "p1")
    assert "missed: &lt;script&gt;" in draw(picture("miss"), "p1")
    assert "false: &lt;script&gt;" in draw(picture("false"), "p1")


def test_the_page_says_what_is_not_met_and_what_is_missing(evaluation: Evaluation, tmp_path: Path) -> None:
    """Bars that are not met stand out, bars of a table in a name do not break it, licences and limits are there."""
    text = page(evaluation)
    assert "**not met**" in text
    assert "nothing to measure" in text
    assert "Not scored: no <script>" in text
    assert "CC BY-NC 4.0" in text
    assert "priors" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    for line in rows:
        assert line.endswith("|")
    write_markdown(evaluation, tmp_path / "page.md")
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == text


def test_the_json_follows_the_schema(evaluation: Evaluation) -> None:
    """docs/reference/cli-schema.json, definition ``evaluation``."""
    document = json.loads(json_text(evaluation))
    jsonschema.validate(document, {"$ref": "#/$defs/evaluation", "$defs": SCHEMA["$defs"]})


# ---- the command ---------------------------------------------------------------------------------------------


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process: (exit code, stdout, stderr)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = 0
        try:
            main([str(a) for a in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        out = capsys.readouterr()
        return code, out.out, out.err

    return call


@pytest.fixture
def windows(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    sd.write_window(folder / "a.json", "crash", 20.0)
    sd.write_window(folder / "b.json", "near_miss", 0.6)
    sd.write_trip(folder / "trip")
    (folder / "c.json").write_text('{"label": "crash", "channels": {"accel_x": 1}}', encoding="ascii")
    return folder


def test_rows_are_scored_and_gaps_are_named(run: Run, windows: Path, tmp_path: Path) -> None:
    """Tables on stdout; on stderr a line for each row without recordings and for each file left out; exit code 0."""
    code, out, err = run("evaluate", windows, "--rows", "e,A f", "--json", tmp_path / "out.json")
    assert code == 0
    assert "A. Crash windows" in out
    assert "E. Harsh driving" in out
    assert out.index("A. Crash") < out.index("E. Harsh")
    assert "bars met" in out.splitlines()[-1]
    assert "c.json: left out: " in err
    assert "row F not scored: " in err
    document = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, {"$ref": "#/$defs/evaluation", "$defs": SCHEMA["$defs"]})
    assert [row["row"] for row in document["rows"]] == ["A", "E", "F"]
    assert document["rows"][0]["numbers"]["found"] == 1
    assert list(document["left_out"]) == ["c.json"]


def test_json_on_stdout_is_alone_there(run: Run, windows: Path) -> None:
    """``--json -``: nothing but the document, the same for the same seed."""
    code, out, _err = run("evaluate", windows, "--rows", "A", "--json", "-")
    assert code == 0
    assert json.loads(out)["rows"][0]["numbers"]["recall"] == 1
    assert run("evaluate", windows, "--rows", "A", "--json", "-")[1] == out


def test_report_and_page_are_written(run: Run, windows: Path, tmp_path: Path) -> None:
    html, markdown = tmp_path / "r.html", tmp_path / "r.md"
    code, _out, err = run("evaluate", windows, "--rows", "A", "--html", html, "--markdown", markdown)
    assert code == 0
    assert str(html) in err
    assert html.read_text(encoding="utf-8").count("<svg") == 1
    assert "## A. Crash windows" in markdown.read_text(encoding="utf-8")


@pytest.mark.parametrize(("rows", "code", "words"), [("A,Z", 2, "letters from A to K"), ("", 2, "letters from A to K")])
def test_unknown_rows_are_refused(run: Run, windows: Path, rows: str, code: int, words: str) -> None:
    found = run("evaluate", windows, "--rows", rows)
    assert found[0] == code
    assert words in found[2]


def test_nothing_to_score_is_one_error(run: Run, tmp_path: Path) -> None:
    """No folder, or no recording in it: one line that says what was looked for, exit code 65."""
    code, _out, err = run("evaluate", tmp_path / "none")
    assert (code, err.count("\n")) == (65, 1)
    assert "no such folder" in err
    code, _out, err = run("evaluate", tmp_path, "--rows", "A")
    assert code == 65
    assert "no row could be scored" in err
    assert "accel_x" in err


def test_a_place_that_cannot_be_written_is_named(run: Run, windows: Path, tmp_path: Path) -> None:
    """Before anything is scored: no table is printed."""
    code, out, err = run("evaluate", windows, "--rows", "A", "--json", tmp_path / "no" / "x.json")
    assert (code, out) == (74, "")
    assert str(tmp_path / "no" / "x.json") in err


def test_a_missing_library_is_named_with_what_to_install(
    run: Run, windows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything runs; what only the report needs is asked for only with the report."""
    monkeypatch.setattr("outrider.app.evaluate.find_spec", lambda name: None if name == "matplotlib" else name)
    code, out, err = run("evaluate", windows, "--rows", "A", "--html", windows / "x.html")
    assert (code, out) == (65, "")
    assert "matplotlib" in err
    assert "outrider[workstation]" in err
    assert run("evaluate", windows, "--rows", "A")[0] == 0
