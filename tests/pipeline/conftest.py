"""Drives and brokers shared by the pipeline tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from outrider.sim.drive import generate
from outrider.sim.scenario_io import load_scenario
from outrider.sim.write_io import Written, write_drive
from tests.support.broker import Broker


@pytest.fixture(scope="session")
def short_drive(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """The bundled scenario ``short`` on disk."""
    return write_drive(generate(load_scenario("short"), 1), tmp_path_factory.mktemp("short"))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A real mosquitto of the test's own."""
    broker = Broker(tmp_path)
    yield broker
    broker.kill()
