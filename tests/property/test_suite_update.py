"""``--update`` on any suite and anything seen: afterwards it passes, and what is not its business is untouched."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from outrider.suite.load_io import parse_suite
from outrider.suite.model import KINDS, MANOEUVRES
from outrider.suite.observed import Finding, Observed
from outrider.suite.update import updated
from outrider.suite.verdict import judge
from tests.support.suites import HEAD, finding, observed

PATH = Path("fleet.suite.toml")
kinds = st.sampled_from(("crash", "harsh_brake", "rollover", "lane_change"))
seconds = st.integers(100, 6000).map(lambda n: n / 100)


@st.composite
def expectations(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(kinds)
    table: dict[str, Any] = {"kind": kind, "t_s": draw(seconds)}
    for key, values in (
        ("tolerance_s", st.just(2.0)),
        ("outcome", st.sampled_from(("suspected", "confirmed", "withdrawn", "ended"))),
        ("level", st.integers(0, 3)),
        ("confidence_min", st.integers(0, 100).map(lambda n: n / 100)),
        ("delta_v_kmh", st.integers(0, 500).map(lambda n: n / 10)),
        ("peak_g", st.integers(0, 500).map(lambda n: n / 10)),
        ("duration_s", st.integers(0, 500).map(lambda n: n / 10)),
        ("clock", st.integers(1, 12)),
    ):
        if draw(st.booleans()):
            table[key] = draw(values)
    if "peak_g" in table and draw(st.booleans()):
        table["peak_tolerance_g"] = 0.01
    if kind not in MANOEUVRES and draw(st.booleans()):
        table["detect_within_s"] = 0.02
    return table


findings = st.builds(
    lambda kind, t_s, more: finding(kind, t_s, **more),
    kinds,
    seconds.map(lambda t: t + 0.004),
    st.fixed_dictionaries(
        {},
        optional={
            "delta_v_kmh": st.none() | st.integers(0, 5000).map(lambda n: n / 100),
            "peak_g": st.none() | st.integers(0, 5000).map(lambda n: n / 100),
            "clock": st.none() | st.integers(1, 12),
            "confidence": st.integers(0, 100).map(lambda n: n / 100),
        },
    ),
)


@st.composite
def suites(draw: st.DrawFn) -> str:
    """Two drives with comments before and inside every table."""
    lines = ["# head\n", HEAD, "# end of head\n\n"]
    for name in ("a", "b"):
        lines.append(f'# before {name}\n[[drive]]\nname = "{name}"\nscenario = "short" # same line {name}\n')
        if draw(st.booleans()):
            lines.append(f"\n# limits of {name}\n[drive.limits]\ndistance_km = 5.0\nmax_lost_frames = 3\n")
        for number, table in enumerate(draw(st.lists(expectations(), max_size=4))):
            lines.append(f"\n# before {name}{number}\n[[drive.expect]]\n{tomlkit.dumps(table)}# in {name}{number}\n")
        lines.append("\n")
    return "".join([*lines, "# the end\n"])


def comments(text: str) -> list[str]:
    return [line[line.index("#") :] for line in text.splitlines() if "#" in line]


@given(suites(), st.lists(findings, max_size=5), st.lists(findings, max_size=5), st.sampled_from(("motion-1", "m2")))
def test_afterwards_it_passes(text: str, seen_a: list[Finding], seen_b: list[Finding], algorithm: str) -> None:
    """Judged again it holds; run again it changes nothing; names, order and the comments of what stays are kept."""
    suite = parse_suite(text, PATH)
    seen: dict[str, Observed] = {"a": observed(*seen_a, name="a"), "b": observed(*seen_b, name="b")}
    verdicts = [judge(drive, seen[drive.name], suite.suite.tolerances) for drive in suite.drive]
    after = updated(text, PATH, verdicts, algorithm)
    again = parse_suite(after, PATH)
    assert again.suite.algorithm == algorithm
    rejudged = [judge(drive, seen[drive.name], again.suite.tolerances) for drive in again.drive]
    assert [verdict.problems for verdict in rejudged] == [[], []]
    assert updated(after, PATH, rejudged, algorithm) == after
    assert [drive.name for drive in again.drive] == ["a", "b"]
    kept = [c for c in comments(text) if not c.startswith("# in ")]
    assert [c for c in comments(after) if not c.startswith("# in ")] == kept
    assert set(comments(after)) <= set(comments(text))
    assert tomllib.loads(after)["drive"][0]["scenario"] == "short"


def test_the_kinds_used_here_are_known() -> None:
    """The strategy speaks of kinds that exist."""
    assert {"crash", "harsh_brake", "rollover", "lane_change"} <= set(KINDS)
