"""Numbers and moments as a reader sees them. Rule: what is unknown or not a number is said, never shown as zero."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from outrider.i18n import _

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_POINTS = 16


def known(value: float | None) -> bool:
    """There is a number, and it is one."""
    return value is not None and math.isfinite(value)


def number(value: float | None, digits: int = 1, unit: str = "") -> str:
    """``value`` with ``digits`` decimals and its unit, or "unknown"."""
    if value is None or not math.isfinite(value):
        return _("unknown")
    text = f"{value:.{digits}f}" if abs(value) < 1e9 else f"{value:.3g}"
    text = text.removeprefix("-") if float(text) == 0 else text
    return (f"{text} {unit}" if unit else text).replace("-", "\N{MINUS SIGN}")


def plain(value: float | None) -> str:
    """As few digits as tell the value."""
    if value is None or not math.isfinite(value):
        return _("unknown")
    return f"{value:.6g}".replace("-", "\N{MINUS SIGN}")


def signed(value: float | None, digits: int = 1) -> str:
    """With its sign, also a plus."""
    text = number(value, digits)
    return f"+{text}" if known(value) and value is not None and value > 0 else text


def moment(t_s: float | None) -> str:
    """Seconds from T0, with sign; milliseconds where it is near."""
    if t_s is None or not math.isfinite(t_s):
        return _("unknown")
    return f"{signed(t_s * 1000, 0)} ms" if abs(t_s) < 1 else f"{signed(t_s, 2)} s"


def utc(t_us: int | None) -> str | None:
    """Calendar date and time to the hundredth of a second; None where it is unknown or outside the calendar."""
    if t_us is None:
        return None
    try:
        at = _EPOCH + timedelta(microseconds=t_us)
    except OverflowError:
        return None
    return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 10_000:02d} UTC"


def degrees(value: float, positive: str, negative: str) -> str:
    """A latitude or longitude: five decimals are about a metre."""
    return f"{abs(value):.5f}° {positive if value >= 0 else negative}"


def compass(heading_deg: float) -> str:
    """One of sixteen points, such as NNE: clockwise from north."""
    points = _("N NNE NE ENE E ESE SE SSE S SSW SW WSW W WNW NW NNW").split()
    return points[round(heading_deg % 360 / (360 / _POINTS)) % len(points)]


def vector(values: Sequence[float] | None) -> str:
    """Components of a unit vector."""
    if values is None:
        return _("unknown")
    return "(" + ", ".join(number(value, 3) for value in values) + ")"


def size(count: int) -> str:
    """Bytes, as in a list of files."""
    if count < 10_000:
        return f"{count} B"
    return f"{count / 1000:.0f} kB" if count < 10_000_000 else f"{count / 1e6:.1f} MB"
