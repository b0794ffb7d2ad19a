"""Row K: what was played is counted, what differs is named, and the command plays the simulator's scenarios."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from outrider.app.evaluate import open_recordings, play_scenarios, run_evaluation
from outrider.app.scenarios import Outcome
from outrider.evaluate.rows import scenarios
from outrider.evaluate.rows.effort import Effort
from outrider.evaluate.rows.table import score_rows
from outrider.sim.judge import Measured


@dataclass
class Players:
    """Plays what it is given."""

    outcomes: list[Outcome]

    def __call__(self, effort: Effort) -> Iterator[Outcome]:
        return iter(self.outcomes)


RIGHT = Outcome(
    "a", "CAN only", ("crash (confirmed, level 3, rule 1)",), (), (Measured(40.0, 38.0, 36.0, 41.0, False),)
)
WRONG = Outcome("a", "2 g", ("airbag",), ("not told: crash",), (Measured(40.0, 20.0, 41.0, None, True),))
NONE = Outcome("b", "CAN only", (), (), ())


def test_right_and_wrong_are_counted_and_named() -> None:
    """By scenario, by car; the difference and what was told stand beside each other."""
    result = scenarios.score(Players([RIGHT, WRONG, NONE]), Effort())
    assert (result.numbers["played"], result.numbers["right"]) == (3, 2)
    assert result.numbers["wrong"] == {"a, 2 g": ["not told: crash"]}
    assert [bar.met for bar in result.bars] == [False]
    by_scenario, by_car, differs, pulses = result.tables
    assert by_scenario.rows == (("a", 2, 1), ("b", 1, 1))
    assert by_car.rows == (("CAN only", 2, 2), ("2 g", 1, 0))
    assert differs.rows == (("a", "2 g", "not told: crash", "airbag"),)
    assert [row[1:4] for row in pulses.rows] == [(1, "5.0", 1), (1, "50.0", 1)]
    assert [str(row[4])[0] for row in pulses.rows] == ["1", "0"]


def test_all_right_meets_the_bar() -> None:
    """And nothing differs."""
    result = scenarios.score(Players([RIGHT, NONE]), Effort())
    assert [bar.met for bar in result.bars] == [True]
    assert result.tables[2].rows == ()


def test_nobody_to_play_is_a_missing_row(tmp_path: Path) -> None:
    """As with recordings that are not there."""
    (result,) = score_rows(open_recordings(tmp_path), "K", Effort())
    assert result.missing is not None


def test_the_command_plays_the_bundled_scenarios() -> None:
    """The first of them in turn: the usual cars, all of them in full."""
    first = next(play_scenarios(Effort()))
    assert first.scenario == "device-drop"
    assert first.variant == "as written"


def test_a_run_holds_the_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row K stands in the document like any other."""
    monkeypatch.setattr("outrider.app.evaluate.play_scenarios", Players([RIGHT]))
    document = run_evaluation(open_recordings(tmp_path), "K", Effort()).document()
    assert document["rows"][0]["row"] == "K"
    assert document["rows"][0]["numbers"]["right"] == 1
