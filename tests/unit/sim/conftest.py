"""Drives that many tests look at: computed once."""

from __future__ import annotations

import pytest

from outrider.sim import Drive, generate, load_scenario


@pytest.fixture(scope="session")
def short() -> Drive:
    return generate(load_scenario("short"), 1)


@pytest.fixture(scope="session")
def city_crash() -> Drive:
    return generate(load_scenario("city-crash"), 1)


@pytest.fixture(scope="session")
def rear_end() -> Drive:
    return generate(load_scenario("rear-end"), 1)


@pytest.fixture(scope="session")
def parked_bump() -> Drive:
    return generate(load_scenario("parked-bump"), 1)


@pytest.fixture(scope="session")
def lost() -> Drive:
    return generate(load_scenario("lost-at-123"), 1)
