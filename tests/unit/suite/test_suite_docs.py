"""docs/operate/ci-replay.md and the suite model say the same."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from outrider.suite.load_io import load_suite, parse_suite
from outrider.suite.model import Drive, Expect, Header, Limits, Tolerances
from outrider.suite.verdict import Verdict

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "operate" / "ci-replay.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("table", [Header, Drive, Expect, Limits], ids=lambda table: table.__name__)
def test_every_key_is_explained(table: type[msgspec.Struct]) -> None:
    """Each key stands in the first column of a table, a plain default beside it."""
    rows = [line.split("|") for line in PAGE.splitlines() if line.startswith("| `")]
    for field in msgspec.structs.fields(table):
        if field.name in {"tolerances", "expect", "limits"}:
            continue
        mine = [row for row in rows if f"`{field.name}`" in row[1]]
        assert mine, f"{table.__name__}.{field.name}"
        if isinstance(field.default, int | float | str):
            assert any(f"{field.default:g}" in row[2] for row in mine if not isinstance(field.default, str)) or any(
                str(field.default) in row[2] for row in mine
            ), f"{field.name}: default {field.default}"


def test_every_tolerance_is_explained() -> None:
    """With its default."""
    for field in msgspec.structs.fields(Tolerances):
        assert f"`{field.name}` {field.default:g}" in PAGE


def test_the_examples_are_right() -> None:
    """Each suite on the page parses, and the one in the source is pinned and names only what is there."""
    examples = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        assert parse_suite(example, Path("example.suite.toml")).drive
    assert load_suite(ROOT / "hil" / "suites" / "example.suite.toml").suite.suite.algorithm


def test_every_verdict_has_a_mark() -> None:
    """The legend has a row for each."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and line[2] in "●◆■✕▲"]
    assert len(rows) == len(Verdict)
