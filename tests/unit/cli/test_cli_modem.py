"""The technician's page and the status lines: every condition has its words and, where it is bad, what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner

from outrider.cli.modem import cli
from outrider.cli.modem_view import advices, condition_word, page_lines, path_word, signal_text
from outrider.cli.status import _modem_line, _network_line
from outrider.model.network import Path
from outrider.network.modem import Bearer, Modem, Signal, Sim
from outrider.network.names import Lock, ModemState
from outrider.network.trouble import Condition
from outrider.network.view import modem_document

WELL = Modem(
    "/m", model="EC25", state=ModemState.CONNECTED, lock=Lock.NONE, operator_name="CMCC", technology="LTE",
    signal=Signal(rsrp_dbm=-80.0, rsrq_db=-9.0, sinr_db=21.0), sim=Sim("/s", iccid="89860012345678901234"),
    bearers=(Bearer("/b", connected=True, interface="wwan0", apn="cmiot", rx_bytes=1000, tx_bytes=2_000_000),),
)  # fmt: skip
NETWORK = {
    "path": "cellular", "interface": "wwan0", "metered": True, "roaming": None, "operator": None, "technology": None,
    "signal_dbm": None,
}  # fmt: skip


def page(condition: Condition = Condition.CONNECTED, modem: Modem | None = WELL, **other: Any) -> dict[str, Any]:
    return {
        "condition": condition.value, "reason": "why", "manager": {"signal_error": None}, "apn_differs": None,
        "modem": None if modem is None else modem_document(modem), "network": NETWORK, "daemon": None, **other,
    }  # fmt: skip


@pytest.mark.parametrize("condition", list(Condition), ids=lambda value: value.name.lower())
def test_every_condition_has_words_and_advice(condition: Condition) -> None:
    """No condition without a name; what is wrong comes with something to do; what is well or passes comes without."""
    assert condition_word(condition)
    passes = {Condition.CONNECTED, Condition.CHANGING, Condition.STARTING}
    assert bool(list(advices(page(condition)))) == (condition not in passes)
    for modem in (None, WELL, Modem("/m")):
        assert any("why" in line for line in page_lines(page(condition, modem)))


@pytest.mark.parametrize("path", list(Path), ids=lambda value: value.name.lower())
def test_every_path_has_words(path: Path) -> None:
    """For people."""
    assert path_word(path.name.lower())


def test_a_puk_is_never_to_be_tried() -> None:
    """Wrong tries destroy the SIM: the advice warns, and says how many are left."""
    locked = replace(WELL, state=ModemState.LOCKED, lock=Lock.SIM_PUK, unlock_retries=3)
    (advice,) = advices(page(Condition.LOCKED, locked))
    assert "3 tries left" in advice
    assert "--pin" not in advice
    (advice,) = advices(page(Condition.LOCKED, replace(locked, lock=Lock.SIM_PIN, unlock_retries=2)))
    assert "--pin=PIN" in advice
    assert "2 tries left" in advice


@pytest.mark.parametrize(
    ("signal", "word"),
    [
        (Signal(rsrp_dbm=-112.0, sinr_db=-4.0), "weak signal"),
        (Signal(rsrp_dbm=-75.0, sinr_db=-4.0), "noisy"),
        (Signal(rssi_dbm=-108.0), "weak signal"),
        (Signal(rsrp_dbm=-95.0, rsrq_db=-12.0, sinr_db=5.0), ""),
    ],
)
def test_poor_signals_are_told_apart(signal: Signal, word: str) -> None:
    """Too weak is the antenna's matter, strong and noisy is another."""
    told = list(advices(page(modem=replace(WELL, signal=signal))))
    assert [word in advice for advice in told] == ([True] if word else [])


def test_the_limits_stand_beside_the_value_in_its_colour() -> None:
    """Green, yellow, red; the text says the same without colour."""
    texts = {
        grade: signal_text({"name": "RSRP", "value": -100.5, "unit": "dBm", "grade": grade})
        for grade in ("excellent", "good", "fair", "poor")
    }
    assert texts["poor"] == click.style("RSRP -100.5 dBm poor", fg="red") + " (good from -90, poor below -100)"
    assert "\x1b[32m" in texts["good"]
    assert "\x1b[33m" in texts["fair"]


def test_the_daemon_s_part_of_the_page() -> None:
    """Not running, running without [modem], running with steps taken."""
    care = {
        "condition": "failed", "reason": "broken", "since_s": 600.0,
        "recovery": {
            "steps_last_day": {"reset": 2}, "waits_for": "4 steps were taken within the hour",
            "last": {"step": "reset", "why": "broken", "result": "done"},
        },
    }  # fmt: skip
    lines = "\n".join(page_lines(page(daemon={"network": NETWORK, "modem": care})))
    assert "failed for 10 min: broken" in lines
    assert "reset 2" in lines
    assert "waits: 4 steps" in lines
    assert "without [modem]" in "\n".join(page_lines(page(daemon={"network": NETWORK, "modem": None})))
    assert "not running" in "\n".join(page_lines(page()))


def test_another_apn_and_a_missing_right_are_told() -> None:
    """Two things that a page of good values would hide."""
    told = "\n".join(advices(page(apn_differs=True, manager={"signal_error": "Setup: not allowed"})))
    assert "another APN" in told
    assert "polkit" in told


def test_status_lines() -> None:
    """``outrider status``: path and modem in a line each."""
    assert _network_line({**NETWORK, "operator": "CMCC", "technology": "LTE", "signal_dbm": -96, "roaming": True}) == (
        "cellular, wwan0, CMCC, LTE, -96 dBm, metered, roaming"
    )
    care = {"condition": "connected", "reason": "up", "recovery": {"steps_last_day": {"reset": 1, "toggle": 2}}}
    assert _modem_line(care) == "connected: up, steps in the last day: 3"


def test_a_reset_is_not_over_before_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    """ModemManager answers while the modem still says that it is connected; that was taken for success."""
    conditions = [Condition.CONNECTED] * 3 + [Condition.VANISHED, Condition.SEARCHING, Condition.CONNECTED]
    done = list[str]()

    class Window:
        thread = SimpleNamespace(carry_out=lambda rung, _path: done.append(rung.word))

        def look(self, **_known: bool) -> Any:
            now = conditions.pop(0) if len(conditions) > 1 else conditions[0]
            modem = None if now is Condition.VANISHED else WELL
            return SimpleNamespace(
                modem=modem, daemon=None, diagnosis=SimpleNamespace(condition=now, reason="so it is")
            )

        def wait(self, _seconds: float) -> None:
            done.append("wait")

    @contextmanager
    def window(*_given: object) -> Iterator[Window]:
        yield Window()

    monkeypatch.setattr("outrider.app.modem_look.modem_window", window)
    result = CliRunner().invoke(cli, ["reset", "--yes"])
    assert result.exit_code == 0, result.output
    assert done == ["reset", "wait", "wait", "wait"]
