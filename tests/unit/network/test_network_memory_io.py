"""What is remembered of the modem over restarts, and what damage does to it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from outrider.clock import ManualClock
from outrider.network.memory_io import ModemMemory
from outrider.network.trouble import Rung

DAY_S = 86_400


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(boottime_us=1_000_000)


def test_a_sim_is_known_again_and_its_number_is_not_kept(tmp_path: Path, clock: ManualClock) -> None:
    """The first is no change, the same is none, another is told with hashes; the file holds no digit of them."""
    path = tmp_path / "state" / "modem.json"
    assert ModemMemory(path, clock).note_sim("89860012345678901234") is None
    assert ModemMemory(path, clock).note_sim("89860012345678901234") is None
    change = ModemMemory(path, clock).note_sim("89490200001234567890")
    assert change is not None
    assert change[0] != change[1]
    text = path.read_text(encoding="ascii")
    assert "898600" not in text
    assert "894902" not in text
    assert path.stat().st_mode & 0o077 == 0


def test_two_terminals_name_one_sim_differently(tmp_path: Path, clock: ManualClock) -> None:
    """The key is each terminal's own: a SIM cannot be followed from one to another by its hash."""
    names = set()
    for terminal in ("a", "b"):
        memory = ModemMemory(tmp_path / terminal, clock)
        memory.note_sim("1")
        change = memory.note_sim("89860012345678901234")
        assert change is not None
        names.add(change[1])
    assert len(names) == 2


def test_steps_count_over_a_restart_for_a_day(tmp_path: Path, clock: ManualClock) -> None:
    """Boot time starts anew; the age of a step is what counts."""
    memory = ModemMemory(tmp_path / "m", clock)
    memory.note_step(Rung.POWER)
    clock.advance(3600)
    later = ManualClock(boottime_us=5_000_000, utc_us=clock.utc_us())
    assert ModemMemory(tmp_path / "m", later).history() == [(5_000_000 - 3600 * 1_000_000, Rung.POWER)]
    later.advance(DAY_S)
    assert ModemMemory(tmp_path / "m", later).history() == []


def test_a_clock_that_went_back_frees_no_steps(tmp_path: Path, clock: ManualClock) -> None:
    """A terminal that wakes in 1970 counts the steps as taken now."""
    ModemMemory(tmp_path / "m", clock).note_step(Rung.RESET)
    early = ManualClock(boottime_us=7, utc_us=0)
    assert ModemMemory(tmp_path / "m", early).history() == [(7, Rung.RESET)]


def test_a_clock_that_was_years_ahead_once_ends_the_recovery_for_a_day_only(tmp_path: Path) -> None:
    """Steps that a wrong clock put into 2040 count as taken when the right time was known again, not at each start."""
    wrong = ManualClock(boottime_us=1_000_000, utc_us=2_200_000_000_000_000)
    ModemMemory(tmp_path / "m", wrong).note_step(Rung.RESET)
    right = ManualClock(boottime_us=5_000_000, utc_us=1_800_000_000_000_000)
    assert ModemMemory(tmp_path / "m", right).history() == [(5_000_000, Rung.RESET)]
    right.advance(DAY_S)
    assert ModemMemory(tmp_path / "m", right).history() == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"key": "zz"}',
        b'{"steps": [[1]]}',
        b'{"steps": 7}',
        b"\xff\xfe",
        b"[" * 100_000,
        b"9" * 70_000,
    ],
)
def test_damage_costs_the_memory_only(tmp_path: Path, clock: ManualClock, content: bytes) -> None:
    """Any content: starts anew, and the next write makes it good."""
    path = tmp_path / "m"
    path.write_bytes(content)
    memory = ModemMemory(path, clock)
    assert not memory.has_modem
    assert memory.history() == []
    memory.note_modem()
    assert ModemMemory(path, clock).has_modem
    json.loads(path.read_text(encoding="ascii"))


def test_rungs_of_another_version_are_passed_over(tmp_path: Path, clock: ManualClock) -> None:
    """A number that is no rung is no step."""
    path = tmp_path / "m"
    path.write_text(json.dumps({"steps": [[clock.utc_us() // 1_000_000, 9]]}), encoding="ascii")
    assert ModemMemory(path, clock).history() == []


def test_a_disk_that_refuses_costs_the_memory_only(
    tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Said once; the modem is looked after all the same."""
    blocker = tmp_path / "file"
    blocker.write_text("", encoding="ascii")
    memory = ModemMemory(blocker / "modem.json", clock)
    memory.note_modem()
    memory.note_step(Rung.RESET)
    assert memory.has_modem
    assert sum("not kept" in record.getMessage() for record in caplog.records) == 1
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208  names only
