"""Units: the many spellings in DBC files, the one spelling of ours (VSS's), and the factors between them.

Rule: nothing is guessed. Two units convert only if both are known and measure the same quantity.
"""

from __future__ import annotations

import math
from typing import Final

# unit -> (quantity, factor, offset): value in the quantity's base unit = factor * value + offset
_UNITS: Final[dict[str, tuple[str, float, float]]] = {
    "m/s": ("speed", 1.0, 0.0),
    "km/h": ("speed", 1 / 3.6, 0.0),
    "mph": ("speed", 0.44704, 0.0),  # exact, international mile
    "knot": ("speed", 1852 / 3600, 0.0),
    "m": ("length", 1.0, 0.0),
    "km": ("length", 1000.0, 0.0),
    "mile": ("length", 1609.344, 0.0),
    "cm": ("length", 0.01, 0.0),
    "mm": ("length", 0.001, 0.0),
    "feet": ("length", 0.3048, 0.0),
    "m/s^2": ("acceleration", 1.0, 0.0),
    "g": ("acceleration", 9.80665, 0.0),
    "mg": ("acceleration", 0.00980665, 0.0),
    "degrees": ("angle", 1.0, 0.0),
    "radians": ("angle", 180 / math.pi, 0.0),
    "degrees/s": ("rate of turn", 1.0, 0.0),
    "rad/s": ("rate of turn", 180 / math.pi, 0.0),
    "celsius": ("temperature", 1.0, 0.0),
    "kelvin": ("temperature", 1.0, -273.15),
    "fahrenheit": ("temperature", 5 / 9, -160 / 9),
    "V": ("voltage", 1.0, 0.0),
    "mV": ("voltage", 0.001, 0.0),
    "A": ("current", 1.0, 0.0),
    "mA": ("current", 0.001, 0.0),
    "percent": ("share", 1.0, 0.0),
    "ratio": ("share", 100.0, 0.0),
    "rpm": ("rotation", 1.0, 0.0),
    "Hz": ("rotation", 60.0, 0.0),
    "Pa": ("pressure", 1.0, 0.0),
    "hPa": ("pressure", 100.0, 0.0),
    "kPa": ("pressure", 1000.0, 0.0),
    "MPa": ("pressure", 1e6, 0.0),
    "bar": ("pressure", 1e5, 0.0),
    "psi": ("pressure", 6894.757293168361, 0.0),
    "l": ("volume", 1.0, 0.0),
    "ml": ("volume", 0.001, 0.0),
    "gallon": ("volume", 3.785411784, 0.0),
    "l/h": ("volume flow", 1.0, 0.0),
    "ml/h": ("volume flow", 0.001, 0.0),
    "g/s": ("mass flow", 1.0, 0.0),
    "kg/h": ("mass flow", 1 / 3.6, 0.0),
    "s": ("time", 1.0, 0.0),
    "ms": ("time", 0.001, 0.0),
    "min": ("time", 60.0, 0.0),
    "h": ("time", 3600.0, 0.0),
    "Nm": ("torque", 1.0, 0.0),
    "kW": ("power", 1.0, 0.0),
    "W": ("power", 0.001, 0.0),
    "PS": ("power", 0.73549875, 0.0),
    "kg": ("mass", 1.0, 0.0),
}

# Spellings, compared without case, blanks and the marks ° ² · _ ( ) [ ]; exact spellings of _UNITS come first.
_SPELLINGS: Final[dict[str, str]] = {
    "kmh": "km/h", "km/hr": "km/h", "kph": "km/h", "kmph": "km/h", "km/std": "km/h", "kilometerperhour": "km/h",
    "mps": "m/s", "ms-1": "m/s", "meterpersecond": "m/s", "mi/h": "mph", "mileperhour": "mph", "kn": "knot",
    "kt": "knot", "kts": "knot", "knots": "knot", "meter": "m", "metre": "m", "meters": "m", "metres": "m",
    "kilometer": "km", "miles": "mile", "mi": "mile", "ft": "feet", "foot": "feet", "m/s2": "m/s^2", "m/s/s": "m/s^2",
    "m/sec^2": "m/s^2", "m/sec2": "m/s^2", "m/s**2": "m/s^2", "mps2": "m/s^2", "g-force": "g", "gs": "g",
    "deg": "degrees", "degree": "degrees", "grad": "degrees", "rad": "radians", "radian": "radians",
    "deg/s": "degrees/s", "deg/sec": "degrees/s", "degree/s": "degrees/s", "dps": "degrees/s", "/s": "degrees/s",
    "grad/s": "degrees/s", "rad/sec": "rad/s", "degc": "celsius", "c": "celsius", "cel": "celsius", "degk": "kelvin",
    "k": "kelvin", "degf": "fahrenheit", "f": "fahrenheit", "volt": "V", "volts": "V", "v": "V", "mv": "mV",
    "amp": "A", "ampere": "A", "a": "A", "ma": "mA", "%": "percent", "pct": "percent", "perc": "percent",
    "proz": "percent", "1/min": "rpm", "u/min": "rpm", "upm": "rpm", "min-1": "rpm", "min^-1": "rpm", "r/min": "rpm",
    "rev/min": "rpm", "umin": "rpm", "hz": "Hz", "pa": "Pa", "hpa": "hPa", "mbar": "hPa", "kpa": "kPa", "mpa": "MPa",
    "liter": "l", "litre": "l", "liters": "l", "litres": "l", "gal": "gallon", "liter/h": "l/h", "l/hr": "l/h",
    "lph": "l/h", "sec": "s", "second": "s", "seconds": "s", "msec": "ms", "minute": "min", "minutes": "min",
    "hour": "h", "hr": "h", "hours": "h", "nm": "Nm", "n.m": "Nm", "newtonmeter": "Nm", "kw": "kW", "w": "W",
    "kg/hr": "kg/h", "gram/s": "g/s", "g/sec": "g/s",
}  # fmt: skip
_MARKS: Final = str.maketrans(
    {"²": "2", "°": "deg", "º": "deg", "℃": "degc", "·": "", "⋅": "", "_": "", " ": ""} | dict.fromkeys("()[]", "")
)
_FOLDED: Final = {name.lower(): name for name in _UNITS} | _SPELLINGS


def canonical(unit: str) -> str | None:
    """Our spelling of a unit, None if unknown; "" stays ""."""
    text = unit.strip()
    if text in _UNITS or not text:
        return text
    if text in ("MPa", "mPa"):  # the one pair that only case tells apart
        return "MPa" if text == "MPa" else None
    return _FOLDED.get(text.translate(_MARKS).lower())


def conversion(source: str, target: str) -> tuple[float, float] | None:
    """(factor, offset) from one unit to another: target = factor * source + offset. None: unknown or unlike."""
    one, two = canonical(source), canonical(target)
    if one is not None and one == two:
        return 1.0, 0.0
    if not one or not two:
        return None
    (quantity, a, b), (other, c, d) = _UNITS[one], _UNITS[two]
    if quantity != other:
        return None
    return _tidy(a / c), _tidy((b - d) / c)


def _tidy(value: float) -> float:
    """3.6 instead of 3.5999999999999996: a short decimal, where it differs by no more than rounding."""
    short = float(f"{value:.12g}")
    return short if abs(short - value) <= 8 * math.ulp(value) else value
