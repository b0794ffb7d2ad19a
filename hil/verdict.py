"""From the JUnit file that pytest wrote to a verdict of the rig. Pure.

A test of the rig that did not run has proven nothing: ``make hil`` fails when one that needs a virtual bus was skipped,
and in the virtual machine, which has every device, when any test was skipped for want of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ALWAYS_NEEDED = frozenset({"vcan"})
NEEDED_IN_GUEST = frozenset({"vcan", "sja1000", "guest_disk"})


@dataclass(frozen=True)
class Verdict:
    """``wrong``: sentences; none means that the run counts."""

    tests: int
    wrong: tuple[str, ...]


def judge(junit: Path, *, guest: bool) -> Verdict:
    """Verdict on a run from its result file."""
    try:
        root = ElementTree.parse(junit).getroot()
    except (OSError, ElementTree.ParseError) as err:
        return Verdict(0, (f"no result came back: {err}",))
    needed = NEEDED_IN_GUEST if guest else ALWAYS_NEEDED
    cases = list(root.iter("testcase"))
    wrong = [text for case in cases if (text := _unproven(case, needed))]
    if not cases:
        wrong.append("no test was run")
    return Verdict(len(cases), tuple(wrong))


def _unproven(case: ElementTree.Element, needed: frozenset[str]) -> str:
    skipped = case.find("skipped")
    if skipped is None or skipped.get("type") == "pytest.xfail":
        return ""
    needs = {p.get("value") for p in case.iter("property") if p.get("name") == "needs"}
    if not needs & needed:
        return ""
    return f"{case.get('classname')}.{case.get('name')} was skipped: {skipped.get('message')}"
