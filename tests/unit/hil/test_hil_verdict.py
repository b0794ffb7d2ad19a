"""hil/verdict.py: a run of the rig counts only when the tests that need a bus were run."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.verdict import judge

CASE = '<testcase classname="hil.test_02" name="{name}">{inner}</testcase>'
NEEDS = '<properties><property name="needs" value="{device}"/></properties>'
SKIPPED = '<skipped type="pytest.skip" message="no bus here"/>'
XFAILED = '<skipped type="pytest.xfail" message="known"/>'


def result(folder: Path, *cases: str) -> Path:
    path = folder / "hil.xml"
    path.write_text(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>", encoding="utf-8")
    return path


def case(name: str, device: str = "", outcome: str = "") -> str:
    return CASE.format(name=name, inner=(NEEDS.format(device=device) if device else "") + outcome)


@pytest.mark.parametrize("guest", [False, True])
def test_a_skipped_bus_test_fails_the_run(tmp_path: Path, guest: bool) -> None:
    """One test of the virtual bus that was skipped is named with its reason, wherever the run was."""
    verdict = judge(result(tmp_path, case("a", "vcan"), case("b", "vcan", SKIPPED)), guest=guest)
    assert verdict.tests == 2
    assert verdict.wrong == ("hil.test_02.b was skipped: no bus here",)


def test_other_devices_are_needed_in_the_guest_alone(tmp_path: Path) -> None:
    """A host need not have emulated controllers and disks to spare; the virtual machine has them all."""
    path = result(tmp_path, case("a", "vcan"), case("b", "sja1000", SKIPPED), case("c", "guest_disk", SKIPPED))
    assert not judge(path, guest=False).wrong
    assert len(judge(path, guest=True).wrong) == 2


def test_missing_recordings_and_expected_failures_are_fine(tmp_path: Path) -> None:
    """A test skipped for want of a recording, and one that fails as known, do not spoil a run."""
    path = result(tmp_path, case("a", "vcan"), case("b", "", SKIPPED), case("c", "vcan", XFAILED))
    assert not judge(path, guest=True).wrong


@pytest.mark.parametrize("content", [None, "", "<testsuites>", "<testsuites/>"])
def test_no_result_is_no_success(tmp_path: Path, content: str | None) -> None:
    """A guest that died, a file cut short and a run of no test at all are failures."""
    path = tmp_path / "hil.xml"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    assert judge(path, guest=True).wrong
