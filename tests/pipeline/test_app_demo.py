"""The demo, as the README promises it, with either broker."""

from __future__ import annotations

from pathlib import Path

import pytest

from outrider.app import broker_io
from outrider.app.demo import run_demo
from outrider.app.pipeline import Output
from tests.support.broker import mosquitto_path


class Silent:
    def step(self, text: str) -> None: ...

    def progress(self, share: float) -> None: ...

    def output(self, output: Output) -> None: ...


@pytest.mark.parametrize("broker", ["mosquitto", "iotcore"])
def test_the_crash_is_followed_to_the_receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broker: str) -> None:
    """Everything expected is found and nothing else, all records arrive identical, the crash was acknowledged."""
    if broker == "mosquitto":
        mosquitto_path()
    else:
        pytest.importorskip("iotcore")
        monkeypatch.setattr(broker_io.shutil, "which", lambda *_args, **_kw: None)
    result = run_demo(tmp_path, "city-crash", speed=300, seed=1, view=Silent())
    assert result.broker == broker
    assert result.ok, result
    assert sum(match.truth_kind == "crash" for match in result.matches) == 1
    assert result.written == result.received > 700
    assert result.crash_durable_ms is not None
    assert result.crash_acknowledged_ms is not None
