"""Telemetry rows from snapshots."""

from __future__ import annotations

from dataclasses import replace

import pytest

from outrider.drive.telemetry import Telemetry, quantise
from outrider.model.record import SignalTable
from outrider.model.vehicle import Role, Slot
from tests.support.snapshots import QUIET

SLOTS = (
    Slot("Vehicle.Speed", "km/h", Role.SPEED, step=0.01),
    Slot("Vehicle.Acceleration.X", "m/s^2", Role.ACC_X, step=0.1),
    Slot("Vehicle.Powertrain.CombustionEngine.Speed", "rpm", Role.RPM, step=0.25),
    Slot("Hidden", telemetry=False),
)


def table_id(table: SignalTable) -> int:
    return len(table.signals)


def test_table_names_each_column_once() -> None:
    """Ids and paths are unique; raw IMU and hidden slots are no columns."""
    table = Telemetry(SLOTS, table_id).table
    paths = [s.path for s in table.signals]
    assert len(set(paths)) == len(paths)
    assert len({s.id for s in table.signals}) == len(table.signals)
    assert "Vehicle.Speed" in paths
    assert "Vehicle.Acceleration.X" not in paths
    assert "Hidden" not in paths


def test_row_holds_what_is_known_and_nothing_else() -> None:
    """Unknown values are absent, present ones round to the nearest step, ids ascend."""
    telemetry = Telemetry(SLOTS, table_id)
    snapshot = replace(QUIET, t_us=10**7, bus_alive=True, values=(50.004, 1.0, None, 3.0))
    row = telemetry.row(snapshot)
    assert row is not None
    ids = [i for i, _ in row.values]
    assert ids == sorted(ids)
    by_path = {s.path: s for s in telemetry.table.signals}
    values = dict(row.values)
    assert values[by_path["Vehicle.Speed"].id] == 5000
    assert by_path["Vehicle.Powertrain.CombustionEngine.Speed"].id not in values
    assert by_path["Vehicle.CurrentLocation.Latitude"].id not in values


def test_an_old_fix_is_not_a_place() -> None:
    """A position older than two seconds is left out instead of repeated."""
    telemetry = Telemetry((), table_id)
    lat = telemetry.table.signals[0].id
    here = replace(QUIET, bus_alive=True, lat_deg=31.0, lon_deg=121.0, fix_t_us=10**7)
    fresh = telemetry.row(replace(here, t_us=10**7 + 1_000_000))
    stale = telemetry.row(replace(here, t_us=10**7 + 3_000_000))
    assert fresh is not None
    assert stale is not None
    assert dict(fresh.values)[lat] == 310_000_000
    assert lat not in dict(stale.values)


def test_parked_means_one_row_a_minute() -> None:
    """Nothing moves and the bus sleeps: flash and data volume are spared."""
    telemetry = Telemetry((), table_id)
    rows = [telemetry.row(replace(QUIET, t_us=s * 1_000_000)) for s in range(1, 601)]
    assert sum(r is not None for r in rows) == 10


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), 1e300])
def test_absurd_values_are_absent(value: float | None) -> None:
    """No value that is not a number reaches flash."""
    assert quantise(value, 0.1) is None
