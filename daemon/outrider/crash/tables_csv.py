"""The package's tables: comma-separated, UTF-8, one header line, times in seconds from T0. Pure.

Signs and axes: docs/reference/crash-package.md. An empty cell is unknown.
"""

from __future__ import annotations

import csv
import io
import math
import struct
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final

from outrider.crash.bundle import CrashBundle
from outrider.crash.document import CrashDocument, DeltaV, ImuTrace, Series, TrackPoint
from outrider.model.evidence import EvidencePart

PRE_S: Final = 20.0
GRID_S: Final = 0.1
HOLD_S: Final = 1.0  # a value older than this is unknown on the grid; of slow signals twice their period
_SAMPLE: Final = struct.Struct("<qBBHf8f")
_IMU_COLUMNS: Final = ("t_s", "ax_mps2", "ay_mps2", "az_mps2", "gx_radps", "gy_radps", "gz_radps")
_VALID, _SATURATED, _IMU, _POWER = 1, 2, 1, 9
_Cell = str | float | int | None


def delta_v_csv(curve: DeltaV) -> bytes:
    rows = zip(curve.t_ms, curve.long_kmh, curve.lat_kmh, curve.resultant_kmh, strict=True)
    return _csv(("t_ms", "long_kmh", "lat_kmh", "resultant_kmh"), rows)


def signals_csv(series: Sequence[Series]) -> bytes:
    """Every value at the rate of its source."""
    rows = ((t_s, one.name, one.unit, value) for one in series for t_s, value in zip(one.t_s, one.values, strict=True))
    return _csv(("t_s", "name", "unit", "value"), rows)


def signals_index_csv(series: Sequence[Series]) -> bytes:
    rows = (
        (
            s.name,
            s.label,
            s.unit,
            s.rate_hz,
            s.source,
            len(s.t_s),
            s.t_s[0] if s.t_s else None,
            s.t_s[-1] if s.t_s else None,
        )
        for s in series
    )
    return _csv(("name", "label", "unit", "rate_hz", "source", "values", "first_s", "last_s"), rows)


def pre_crash_csv(series: Sequence[Series]) -> bytes:
    """20 s before T0 to T0 on a grid of 10 Hz, one column a signal: the newest value of that moment."""
    shown = [one for one in series if one.t_s and one.t_s[0] <= 0]
    grid = grid_s()
    columns = [on_grid(one, grid) for one in shown]
    header = ("t_s", *(f"{one.name} [{one.unit}]" if one.unit else one.name for one in shown))
    return _csv(header, ((t, *(column[i] for column in columns)) for i, t in enumerate(grid)))


def grid_s() -> list[float]:
    """The 10 Hz grid of the 20 s before T0, T0 included."""
    steps = round(PRE_S / GRID_S)
    return [round(-PRE_S + GRID_S * i, 1) for i in range(steps + 1)]


def on_grid(series: Series, grid: Sequence[float]) -> list[float | None]:
    """The newest value at each time of the grid; None where that is too old or none was yet."""
    hold = max(HOLD_S, 2 / series.rate_hz) if series.rate_hz else HOLD_S
    found: list[float | None] = []
    for t in grid:
        i = bisect_right(series.t_s, t) - 1
        found.append(series.values[i] if i >= 0 and t - series.t_s[i] <= hold else None)
    return found


def imu_csv(bundle: CrashBundle) -> bytes:
    """Raw, in the sensor's own axes, also what was not valid. flags: v not valid, s at the end of the range."""
    return _csv((*_IMU_COLUMNS, "flags"), _imu_rows(bundle))


def _imu_rows(bundle: CrashBundle) -> Iterable[tuple[_Cell, ...]]:
    for t_us, kind, _src, quality, _res, *x in _SAMPLE.iter_unpack(bundle.items(EvidencePart.IMU)):
        if kind == _IMU:
            flags = ("" if quality & _VALID else "v") + ("s" if quality & _SATURATED else "")
            yield (_t_s(t_us, bundle), *(_known(value) for value in x[:6]), flags)


def imu_vehicle_csv(trace: ImuTrace) -> bytes:
    """Valid samples in the car's axes."""
    gyro = trace.gyro or ((None,) * len(trace.t_s),) * 3
    return _csv(_IMU_COLUMNS, zip(trace.t_s, *trace.acc, *gyro, strict=True))


def gnss_csv(track: Sequence[TrackPoint]) -> bytes:
    rows = ((p.t_s, p.lat_deg, p.lon_deg, p.speed_kmh, p.heading_deg, p.hacc_m) for p in track)
    return _csv(("t_s", "lat_deg", "lon_deg", "speed_kmh", "heading_deg", "hacc_m"), rows)


def inputs_csv(bundle: CrashBundle) -> bytes:
    """Supply and ignition as the terminal itself measured them."""
    return _csv(("t_s", "ignition", "supply_v"), _input_rows(bundle))


def _input_rows(bundle: CrashBundle) -> Iterable[tuple[_Cell, ...]]:
    for t_us, kind, _src, _quality, _res, ignition, supply, *_x in _SAMPLE.iter_unpack(
        bundle.items(EvidencePart.INPUTS)
    ):
        if kind == _POWER:
            yield (_t_s(t_us, bundle), _known(ignition), _known(supply))


def phases_csv(document: CrashDocument) -> bytes:
    rows = ((p.t_s, p.phase, p.kind, p.level, p.confidence, p.dv_kmh, p.rule) for p in document.phases)
    return _csv(("t_s", "phase", "kind", "level", "confidence", "dv_kmh", "rule"), rows)


def _t_s(t_us: int, bundle: CrashBundle) -> float:
    return round((t_us - bundle.t0_us) / 1e6, 6)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _csv(header: Sequence[str], rows: Iterable[Iterable[_Cell]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_safe(name) for name in header])
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    return out.getvalue().encode("utf-8")


def _cell(value: _Cell) -> _Cell:
    if isinstance(value, float):
        return float(f"{value:.9g}")
    return _safe(value) if isinstance(value, str) else value


def _safe(text: str) -> str:
    """Text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
