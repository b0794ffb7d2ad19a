"""The same detector on the package's own evidence gives the same verdict; what differs is shown, and why it may."""

from __future__ import annotations

from pathlib import Path

import pytest

from outrider.crash.bundle import CrashBundle
from outrider.crash.collect import collect, document
from outrider.crash.package_io import read_package, write_package
from outrider.crash.reanalyse import Reanalysis, reanalyse
from outrider.errors import InputError
from outrider.model.crash import CrashState
from outrider.model.event import CrashEvidence, Event
from outrider.model.evidence import EvidenceChunk
from tests.support.crash_drive import profile
from tests.support.crash_records import blow, body_of, changed, driven, pulsed, recorded_pulse, without
from tests.support.terminal import data_file

PULSES = ("24958_v1", "25326_v1", "26540_v1", "24878_v1")


def value(result: Reanalysis, name: str) -> tuple[object, object]:
    row = next(row for row in result.rows if row.name == name)
    return row.then, row.now


def through_a_package(bundle: CrashBundle, folder: Path) -> CrashBundle:
    write_package(bundle, folder / "crash.zip")
    return read_package(folder / "crash.zip").bundle()


def test_a_simulated_crash_is_judged_the_same(tmp_path: Path) -> None:
    """Frames, speed, airbag and brake decoded anew: same verdict, terms, level and direction; delta-V within 1 %."""
    bundle = through_a_package(collect(driven(), "car-1")[0], tmp_path)
    result = reanalyse(bundle, profile().tables)
    assert result.found
    assert result.same_verdict
    then, now = value(result, "delta-V")
    assert now == pytest.approx(then, rel=0.01)
    for name in ("speed before", "speed at the impact", "speed after"):
        then, now = value(result, name)
        assert now == pytest.approx(then, abs=0.1)
    assert result.algorithm_then == result.algorithm_now


@pytest.mark.parametrize("name", PULSES)
def test_recorded_pulses_are_judged_the_same(name: str, tmp_path: Path) -> None:
    """Delta-V curves of real crashes, through records and package: same verdict, direction within 3 degrees."""
    times, along, left = recorded_pulse(data_file("ciss-edr", f"ciss_2022_{name}.json"))
    bundle = through_a_package(collect(pulsed(times, along, left), "car-2")[0], tmp_path)
    result = reanalyse(bundle, None)
    assert result.same_verdict, [row for row in result.rows if not row.same]
    then, now = value(result, "principal direction")
    assert now == pytest.approx(then, abs=3)
    then, now = value(result, "delta-V")
    assert now == pytest.approx(then, rel=0.02)


def test_the_thresholds_of_then_count() -> None:
    """With thresholds that this pulse does not reach there is no crash; with the present ones there is."""
    records = pulsed(*blow(-12.0, 0.0), speeds_kmh=(60.0, 50.0))
    state = collect(records)[0].states[0]
    blind = tuple((name, 90.0 if name.startswith("dv") else value) for name, value in state.thresholds)
    bundle = collect(changed(records, CrashState, thresholds=blind))[0]
    assert not reanalyse(bundle, None).found
    present = reanalyse(bundle, None, present_thresholds=True)
    assert present.found
    assert present.thresholds == "present"
    assert present.same_verdict


def test_differences_are_shown() -> None:
    """A verdict of then that does not follow from the evidence shows in the rows, with both values."""
    records = pulsed(*blow(-40.0, 0.0))
    lied = changed(records, Event, level=1, evidence=CrashEvidence.DV_LOW, dv_kmh=7.0)
    result = reanalyse(collect(lied)[0], None)
    assert not result.same_verdict
    assert value(result, "level") == (1, 3)
    then, now = value(result, "delta-V")
    assert then == 7.0
    assert now == pytest.approx(40, abs=1.5)
    assert any(row.name.startswith("counted:") and row.then != row.now for row in result.rows)


def test_numbers_are_those_of_the_document() -> None:
    """Of several impacts the strongest counts here too, though a weaker one was told of last."""
    times, along, left = blow(-40.0, 0.0)
    again, more, _left = blow(-14.0, 0.0)
    records = pulsed([*times, *(t + 2 for t in again)], [*along, *(along[-1] + v for v in more)], [*left, *left])
    bundle = collect(records)[0]
    impact, result = document(bundle).impact, reanalyse(bundle, None)
    then, now = value(result, "delta-V")
    assert then == impact.dv_kmh
    assert (then, now) == (pytest.approx(40, abs=2), pytest.approx(40, abs=2))
    assert value(result, "impacts") == (2, 2)
    assert value(result, "t0")[0] == bundle.t0_us
    assert value(result, "speed before")[0] == impact.v_pre_kmh


def test_what_cannot_be_judged_is_said() -> None:
    """No profile, no state, no positions: named as limits; no evidence or verdict at all: an error."""
    records = list(driven())
    assert any("--profile" in limit for limit in reanalyse(collect(records)[0], None).limits)
    old = reanalyse(collect(without(records, CrashState))[0], profile().tables)
    assert any("no crash state" in limit for limit in old.limits)
    with pytest.raises(InputError, match="no raw evidence"):
        reanalyse(collect(without(records, EvidenceChunk))[0], None)
    with pytest.raises(InputError, match="no verdict"):
        reanalyse(collect(without(records, Event))[0], None)


def test_a_late_window_is_said(tmp_path: Path) -> None:
    """Evidence that begins just before T0 cannot tell the speed before."""
    bundle = collect(driven())[0]
    cut_us = bundle.t0_us - 1_000_000
    late = [
        chunk
        for chunk in driven()
        if not (isinstance(body := body_of(chunk), EvidenceChunk) and body.first_us < cut_us)
    ]
    result = reanalyse(collect(late)[0], profile().tables)
    assert any("3.5 s before" in limit for limit in result.limits)
