"""Units: spellings found in DBC files, and the factors between them."""

from __future__ import annotations

import pytest

from outrider.profile.units import canonical, conversion


@pytest.mark.parametrize(
    ("spelling", "unit"),
    [("km/h", "km/h"), ("Km/h", "km/h"), ("kph", "km/h"), ("m/s²", "m/s^2"), ("m/s2", "m/s^2"), ("°C", "celsius"),
     ("degC", "celsius"), ("Â°C", None), ("1/min", "rpm"), ("U/min", "rpm"), ("%", "percent"), ("deg/s", "degrees/s"),
     ("°/s", "degrees/s"), ("deg", "degrees"), ("rad", "radians"), ("", ""), (" V ", "V"), ("mPa", None),
     ("MPa", "MPa"), ("furlong", None), ("L/h", "l/h"), ("sec", "s")],
)  # fmt: skip
def test_spellings(spelling: str, unit: str | None) -> None:
    """The usual spellings become one; what is not known stays unknown."""
    assert canonical(spelling) == unit


@pytest.mark.parametrize(
    ("source", "target", "value", "expected"),
    [("m/s", "km/h", 10.0, 36.0), ("mph", "km/h", 100.0, 160.9344), ("km", "m", 1.5, 1500.0),
     ("°F", "celsius", 212.0, 100.0), ("°C", "°F", 100.0, 212.0),
     ("K", "celsius", 273.15, 0.0), ("rad", "degrees", 3.141592653589793, 180.0), ("bar", "kPa", 1.0, 100.0),
     ("g", "m/s^2", 1.0, 9.80665), ("mV", "V", 12000.0, 12.0), ("min", "s", 2.0, 120.0), ("kg/h", "g/s", 3.6, 1.0),
     ("rpm", "rpm", 7.0, 7.0), ("rad/s", "degrees/s", 1.0, 57.29577951308232)],
)  # fmt: skip
def test_conversion(source: str, target: str, value: float, expected: float) -> None:
    """target = factor * source + offset, right to rounding."""
    found = conversion(source, target)
    assert found is not None
    assert value * found[0] + found[1] == pytest.approx(expected, rel=1e-14, abs=1e-12)


@pytest.mark.parametrize(("source", "target"), [("rpm", "km/h"), ("", "km/h"), ("furlong", "m"), ("V", "furlong")])
def test_nothing_is_guessed(source: str, target: str) -> None:
    """Unlike or unknown units have no factor."""
    assert conversion(source, target) is None


def test_the_common_factors_are_exact_decimals() -> None:
    """3.6 and 1000, not their neighbours: decoded speeds have no dirt in the last digit."""
    assert conversion("m/s", "km/h") == (3.6, 0.0)
    assert conversion("km", "m") == (1000.0, 0.0)
