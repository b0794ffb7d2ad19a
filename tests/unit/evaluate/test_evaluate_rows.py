"""Rows over small made-up recordings: what is a hit, a miss and a false alarm; and that a bar can be missed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from outrider.evaluate import fit_harsh as fh
from outrider.evaluate import samples as sm
from outrider.evaluate.detect import Episode, final_kinds
from outrider.evaluate.loaders_io import FolderRecordings
from outrider.evaluate.recordings import Manoeuvre, Stretch
from outrider.evaluate.results import RowResult, at_least, at_most, exactly, tidy, within
from outrider.evaluate.rows import cuts, false_alarms, mounting
from outrider.evaluate.rows.effort import Effort
from outrider.evaluate.rows.injected import holds
from outrider.evaluate.rows.table import ROWS, score_rows
from outrider.evaluate.worse import BROKEN, WORSE, Change
from outrider.model.event import EventKind, Phase
from tests.support import score_data as sd
from tests.support.events import EVENT
from tests.unit.evaluate.test_evaluate_loaders import folder_of

FEW = Effort(injections=4, repeats=1, cuts=1)


def bars(result: RowResult) -> dict[str, bool | None]:
    return {bar.what: bar.met for bar in result.bars}


def score(row: str, folder: Path) -> RowResult:
    (result,) = score_rows(folder_of(folder), [row], FEW)
    return result


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> FolderRecordings:
    return folder_of(sd.write_all(tmp_path_factory.mktemp("all")))


# ---- A ------------------------------------------------------------------------------------------------------


def test_a_crash_that_is_found_is_a_hit(tmp_path: Path) -> None:
    """20 g over 100 ms is found; a calm window is left alone."""
    sd.write_window(tmp_path / "a.json", "crash", 20.0)
    sd.write_window(tmp_path / "b.json", "near_miss", 0.6)
    result = score("A", tmp_path)
    assert (result.numbers["found"], result.numbers["false"], result.numbers["wrong"]) == (1, 0, [])
    assert [picture.verdict for picture in result.pictures] == ["hit"]
    assert all(bars(result).values())


def test_a_crash_that_is_passed_over_is_a_miss(tmp_path: Path) -> None:
    """A window called a crash without any: recall 0, the bar is missed, the window is named and drawn."""
    sd.write_window(tmp_path / "quiet.json", "crash", 0.5)
    result = score("A", tmp_path)
    assert (result.numbers["recall"], result.numbers["wrong"]) == (0, ["quiet"])
    assert result.numbers["precision"] is None
    assert bars(result)["crash windows found (recall)"] is False
    assert bars(result)["T0 to trigger, p95"] is None
    assert [picture.verdict for picture in result.pictures] == ["miss"]


def test_an_alarm_in_a_calm_window_is_false(tmp_path: Path) -> None:
    """A window called normal that holds a crash: one false alarm, whatever its label is."""
    sd.write_window(tmp_path / "a.json", "normal_driving", 20.0)
    result = score("A", tmp_path)
    assert (result.numbers["calm"], result.numbers["false"]) == (1, 1)
    assert bars(result)["calm windows with an alarm"] is False
    assert [picture.verdict for picture in result.pictures] == ["false"]


# ---- B, C, D ------------------------------------------------------------------------------------------------


def test_an_injected_pulse_is_measured(everything: FolderRecordings) -> None:
    """30 km/h into a made-up drive: found at every range, within a few per cent and degrees, unsaturated."""
    result = ROWS["B"][1](everything, FEW)
    for n in result.numbers.values():
        assert (n["found"], n["strong"], n["extra"], n["flag_wrong"]) == (4, 4, 0, 0)
        assert n["dv_error_percent"]["p95"] < 5
        assert n["pdof_error_deg"]["p95"] < 5
    assert len(result.pictures) == 3


def test_a_saturated_pulse_is_flagged_and_not_counted_as_exact(tmp_path: Path) -> None:
    """90 km/h in 120 ms needs 21 g: ±8 g cuts it off, the flag says so, and its error is told apart."""
    sd.write_pulse(tmp_path / "a.json", 90.0)
    sd.write_drive(tmp_path / "b.MF4")
    numbers = score("B", tmp_path).numbers
    assert (numbers["8 g"]["saturated"], numbers["8 g"]["flag_wrong"]) == (4, 0)
    assert numbers["8 g"]["dv_error_percent"]["p50"] is None
    assert numbers["8 g"]["dv_saturated_percent"] < -30
    assert numbers["64 g"]["saturated"] == 0


def test_range_and_rate_of_a_crash_test(everything: FolderRecordings) -> None:
    """40 g is a crash, cut off up to ±32 g and exact at ±200 g; 2 g is none."""
    numbers = ROWS["C"][1](everything, FEW).numbers
    assert numbers["strong"]["readings"] == numbers["weak"]["readings"] == 24
    assert numbers["strong"]["alarms"] == 24
    assert numbers["strong"]["unsaturated"] == 6
    assert numbers["strong"]["flag_wrong"] == numbers["strong"]["lower_bound_above_truth"] == 0
    assert numbers["weak"]["alarms"] == 0


def test_a_push_from_behind_has_its_direction(tmp_path: Path) -> None:
    """A channel that speeds up is a push from the rear: no error of 180 degrees is reported."""
    sd.write_crash_test(tmp_path / "v1.001", peak_g=30.0)
    assert score("C", tmp_path).numbers["strong"]["pdof_error_max_deg"] < 2


def test_driving_without_an_alarm_tells_its_exposure(everything: FolderRecordings) -> None:
    """Hours and kilometres of each set, and what none in so much time can show."""
    numbers = ROWS["D"][1](everything, FEW).numbers
    assert {n["alarms"] for n in numbers.values()} == {0}
    drives = numbers["drives with IMU, GNSS and OBD"]
    assert drives["recordings"] == 2
    assert drives["hours"] == pytest.approx(2 * 200 / 3600, abs=1e-3)
    assert drives["km"] == pytest.approx(2 * 200 * 15 / 1000, rel=0.03)
    assert drives["upper_95_per_hour"] == pytest.approx(27, rel=0.01)


def test_a_false_alarm_is_counted_and_drawn(tmp_path: Path) -> None:
    """A road so bad that it must alarm: the row says so instead of hiding it."""
    z = np.where(np.arange(200) % 25 < 10, 200.0, 0.0)
    path = sd.write_stretch(tmp_path / "quarry" / "a.csv")
    path.write_text("acc_z\n" + "\n".join(map(str, z)) + "\n", encoding="ascii")
    result = score("D", tmp_path)
    assert not all(bars(result).values())
    assert {picture.verdict for picture in result.pictures} == {"false"}
    assert "Missing" in result.tables[0].note


def test_the_leak_of_a_tilt_is_that_of_the_angle() -> None:
    """20 degrees of tilt put sin 20 = 0.342 of the vertical motion into the plane."""
    samples = false_alarms.shaken(Stretch("a", "b", np.array([9.8, 19.8] * 50)), 1.0)
    moving = samples["x"][500:600]
    assert np.abs(moving[:, 0]).max() == pytest.approx(5 * 0.342, abs=0.01)
    assert np.allclose(samples["x"][:500, 2], sm.G)


# ---- E ------------------------------------------------------------------------------------------------------


def episode(begin: float, end: float, kind: str = "brake") -> Episode:
    return Episode(kind, begin, end, begin + 0.4, 0.5)


def test_matching_of_episodes() -> None:
    """Overlap within half a second counts; calm stretches are no manoeuvres; what overlaps none is false."""
    manoeuvres = [Manoeuvre("brake", 10, 12), Manoeuvre("calm", 20, 22), Manoeuvre("corner", 30, 33)]
    found = [episode(12.4, 13), episode(20.5, 21), episode(40, 41), episode(9, 9.6)]
    match = fh.match(manoeuvres, found)
    assert (match.hits, match.missed, len(match.false)) == (1, 1, 2)
    assert len(match.found[0]) == 2
    assert fh.match(manoeuvres, [episode(12.6, 13)]).hits == 0


def test_harsh_trips_are_scored_and_fitted_elsewhere(everything: FolderRecordings) -> None:
    """Two brakes of 0.5 g are found in both trips; one that the notes do not hold is false; the fit is of the other."""
    result = ROWS["E"][1](everything, FEW)
    first, second = result.numbers["first trip"], result.numbers["second trip"]
    assert (first["shipped"]["found"], first["shipped"]["false"]) == (1, 1)
    assert (second["shipped"]["found"], second["shipped"]["false"]) == (2, 0)
    assert second["shipped"]["f1"] == 1
    assert second["factor"] is not None
    assert any(picture.verdict == "false" for picture in result.pictures)


@pytest.mark.parametrize(
    ("unnoted_g", "noted_g", "low", "high"), [(0.29, 0.6, 1.1, 1.4), (0.1, 0.22, 0.6, 0.95), (0.1, 0.6, 1.0, 1.0)]
)
def test_the_fit_moves_to_what_the_trips_ask(
    unnoted_g: float, noted_g: float, low: float, high: float, tmp_path: Path
) -> None:
    """Weak brakes that nobody noted raise the thresholds, weak ones that were noted lower them; else they stay."""
    sd.write_trip(tmp_path / "trip", {10.0: unnoted_g, 20.0: noted_g, 30.0: unnoted_g, 40.0: noted_g}, (20.0, 40.0))
    factor, best = fh.fit(folder_of(tmp_path).trips())
    assert low <= factor <= high
    assert best == 1
    assert (fh.pooled_f1([fh.run_trip(trip) for trip in folder_of(tmp_path).trips()]) == 1) == (factor == 1)


def test_one_trip_alone_is_not_fitted(tmp_path: Path) -> None:
    """Nothing is told of a fit that has no other trip to be made on."""
    sd.write_trip(tmp_path / "only")
    result = score("E", tmp_path)
    assert result.numbers["only"]["fitted"] is None
    assert len(result.bars) == 1


# ---- F, G, H, I ----------------------------------------------------------------------------------------------


def test_the_mounting_of_a_drive_is_found(everything: FolderRecordings) -> None:
    """The made-up drives are mounted straight: the answer is x, and a late claim is near it."""
    answer = mounting.forward_of(everything.drives())
    assert answer is not None
    assert mounting.angle_deg(answer, (1, 0, 0)) < 3
    numbers = ROWS["F"][1](everything, FEW).numbers
    assert numbers["first_claim_s"]
    assert numbers["worst_claim_deg"] < 5
    assert set(numbers["less"]) == {"no gyro", "OBD speed alone", "no speed"}
    assert numbers["less"]["OBD speed alone"]["claimed"]
    assert all((row["worst_deg"] or 0) < 10 for row in numbers["less"].values()), numbers["less"]


def test_cuts_are_what_they_say(everything: FolderRecordings) -> None:
    """Silence ends the bus, zero leaves it alive with a speed of 0, not-available is marked, held repeats."""
    (log,) = everything.obd_logs()
    heard = {how: cuts.cut(log, 100.0, how, "none") for how in cuts.HOW}
    speeds = {how: s[(s["kind"] == sm.SPEED) & (s["t_us"] > 30_700_000)] for how, s in heard.items()}
    assert len(speeds["silent"]) == len(speeds["both"]) == 0
    assert (speeds["zero"]["x"][:, 0] == 0).all()
    assert (speeds["sna"]["q"] & sm.SNA).all()
    assert np.ptp(speeds["held"]["x"][:, 0]) == 0
    assert speeds["held"]["x"][0, 0] > 20


def test_a_cut_that_is_told_wrongly_is_counted(everything: FolderRecordings) -> None:
    """The share of right answers falls when the answer is another one."""
    log = everything.obd_logs()[0]
    right = cuts.Cut(log, 100.0, "silent", "none", frozenset({EventKind.POWER_LOST_MOVING}))
    wrong = cuts.Cut(log, 100.0, "silent", "none", frozenset({EventKind.BUS_LOST_MOVING}))
    silent = cuts.Cut(log, 100.0, "silent", "none", frozenset())
    assert (right.right, wrong.right, silent.right) == (True, False, False)
    assert ROWS["G"][1](everything, FEW).numbers["share"] == 1


def test_withdrawn_alarms_leave_no_kind() -> None:
    """A crash that is cancelled is no verdict; one that is renamed bears its last name."""

    class Row:
        def __init__(self, seq: int, kind: EventKind, phase: Phase) -> None:
            self.seq, self.kind, self.phase = seq, kind, phase

    events = [
        Row(1, EventKind.CRASH, Phase.SUSPECT),
        Row(1, EventKind.CRASH, Phase.CANCELLED),
        Row(2, EventKind.CRASH, Phase.SUSPECT),
        Row(2, EventKind.DEVICE_MOVED, Phase.CANCELLED),
        Row(3, EventKind.HARSH_BRAKE, Phase.END),
    ]
    assert final_kinds(events) == [EventKind.DEVICE_MOVED]  # type: ignore[arg-type]  # three fields are enough


@pytest.mark.parametrize("change", [*WORSE.values(), *BROKEN.values()], ids=[*WORSE, *BROKEN])
def test_worse_sensors_change_a_copy(change: Change, everything: FolderRecordings) -> None:
    """The recording itself stays as it was, and the same generator gives the same sensor."""
    samples = everything.drives()[0].samples()
    before = samples.tobytes()
    first, second = (change(samples, np.random.default_rng(3)) for _ in range(2))
    assert samples.tobytes() == before
    assert first.tobytes() == second.tobytes()


def test_robustness_scores_what_is_there(tmp_path: Path) -> None:
    """Without drives and pulses the windows are still scored; with nothing at all the row says so."""
    sd.write_window(tmp_path / "a.json", "crash", 20.0)
    assert set(score("H", tmp_path).numbers) == {"windows"}
    (tmp_path / "a.json").unlink()
    assert score("H", tmp_path).missing


def test_cost_is_a_ratio(tmp_path: Path) -> None:
    """The row needs no recording."""
    numbers = score("I", tmp_path).numbers
    assert numbers["ratio"] == pytest.approx(numbers["ns_per_imu_sample"] / numbers["reference_ns"])


# ---- the frame -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("make", "good", "bad"), [(at_least, 0.9, 0.7), (at_most, 0.7, 0.9)])
def test_a_bar_can_be_met_missed_and_unknown(make: Callable[..., object], good: float, bad: float) -> None:
    met = [make("x", 0.8, value).met for value in (good, bad, 0.8, None)]  # type: ignore[attr-defined]  # a Bar
    assert met == [True, False, True, None]
    assert exactly("x", 0, 1).met is False
    assert [within("x", 0.8, 0.9, value).met for value in (0.79, 0.8, 0.9, 0.91, None)] == [
        *(False, True, True, False),
        None,
    ]


@pytest.mark.parametrize(
    ("low", "high", "true", "held"),
    [(9, 11, 10, True), (9, 11, 8.9, False), (9, 11, 11.1, False), (9, None, 99, True), (None, None, 10, None)],
)
def test_an_interval_holds_the_truth_or_not(
    low: float | None, high: float | None, true: float, held: bool | None
) -> None:
    """Without an upper end nothing above is excluded; without an interval nothing is counted."""
    assert holds(replace(EVENT, dv_lo_kmh=low, dv_hi_kmh=high), true) is held


def test_json_numbers_are_finite_and_short() -> None:
    """Infinity and not-a-number are null, floats have six digits, tuples are lists."""
    assert tidy({"a": (1.23456789, float("inf")), 2: float("nan")}) == {"a": [1.23457, None], "2": None}


def test_the_same_seed_gives_the_same_document(everything: FolderRecordings) -> None:
    """All rows but the timing, twice: every digit agrees; the amount of work of one row moves no other."""
    rows = "ABCDEFGH"
    once, again = ([row.document() for row in score_rows(everything, rows, FEW)] for _ in range(2))
    assert once == again
    more = ROWS["B"][1](everything, Effort(injections=5)).numbers
    assert more["8 g"]["injections"] == 5
    other = [row.document() for row in score_rows(everything, "B", Effort(seed=2, injections=4))]
    assert other != [once[1]]


@pytest.mark.parametrize("row", "ABCDEFGHI")
def test_odd_recordings_do_not_stop_a_row(row: str, tmp_path: Path) -> None:
    """Recordings without a number where one was hoped for, too short, or with nothing in them: a row is scored or
    says what is missing."""
    window = sd.write_window(tmp_path / "holes.json", "crash", 20.0)
    window.write_text(window.read_text(encoding="utf-8").replace("[0.0, 0.0,", "[null, NaN,", 1), encoding="utf-8")
    sd.write_pulse(tmp_path / "nothing.json", 0.0)
    sd.write_obd_log(tmp_path / "standing.csv", 60, 0.0)
    sd.write_trip(tmp_path / "calm", {}, ())
    sd.write_stretch(tmp_path / "road" / "a.csv", 0.1)
    sd.write_drive(tmp_path / "short.MF4")
    (result,) = score_rows(FolderRecordings(tmp_path, lambda _path: sd.canmod_frames(30)), [row], FEW)
    assert (result.missing is not None) == (row in "BC"), result.missing
    page_of = [cell for table in result.tables for line in table.rows for cell in line]
    assert all(cell is None or isinstance(cell, str | int | float) for cell in page_of)
    tidy(result.document())
