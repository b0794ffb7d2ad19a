"""How finely telemetry is told: what the owner sets, and nothing finer than the source."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.drive.precision import CLASSES, check_precision, unknown_paths, with_precision
from outrider.drive.telemetry import Telemetry
from outrider.errors import ConfigError
from outrider.model.record import SignalSpec, SignalTable
from outrider.model.vehicle import Role, Slot
from tests.support.snapshots import QUIET

RPM = "Vehicle.Powertrain.CombustionEngine.Speed"
LATITUDE = "Vehicle.CurrentLocation.Latitude"
SLOTS = (
    Slot("Vehicle.Speed", "km/h", Role.SPEED, step=0.01),
    Slot(RPM, "rpm", Role.RPM, step=0.25),
    Slot("Vehicle.Gear", "", step=1.0, labels=((0, "P"), (1, "D"))),
    Slot("Vehicle.Coolant", "celsius", step=1.0),
)


def table_id(table: SignalTable) -> int:
    return hash(table) & 0xFFFFFFFF


def steps(precision: dict[str, float]) -> dict[str, float]:
    return {spec.path: spec.step for spec in Telemetry(SLOTS, table_id, precision).table.signals}


def test_nothing_set_changes_nothing() -> None:
    """The same table, so the same id, as without the setting."""
    assert Telemetry(SLOTS, table_id, {}).table == Telemetry(SLOTS, table_id).table


def test_a_receiver_sees_the_right_values() -> None:
    """Integer times step, from the table alone, is the value to half a step."""
    telemetry = Telemetry(SLOTS, table_id, {"position": 1e-6, RPM: 10.0, "speed": 1.0})
    snapshot = replace(
        QUIET, t_us=10**7, bus_alive=True, fix_t_us=10**7, lat_deg=31.2345678, lon_deg=-121.9876543, speed_mps=10.0,
        values=(36.04, 2344.9, 1.0, 90.4),
    )  # fmt: skip
    row = telemetry.row(snapshot)
    assert row is not None
    specs = {spec.id: spec for spec in telemetry.table.signals}
    shown = {specs[number].path: value * specs[number].step for number, value in row.values}
    assert shown[LATITUDE] == pytest.approx(31.234568, abs=1e-9)
    assert shown[RPM] == 2340.0
    assert shown["Vehicle.Outrider.Speed"] == 36.0
    assert shown["Vehicle.Speed"] == 36.0
    assert shown["Vehicle.Coolant"] == 90.0


def test_a_class_makes_coarser_only() -> None:
    """More digits than the source has are no information; whoever names a path is taken at his word."""
    assert steps({"temperature": 0.1})["Vehicle.Coolant"] == 1.0
    assert steps({"temperature": 5.0})["Vehicle.Coolant"] == 5.0
    assert steps({"Vehicle.Coolant": 0.1})["Vehicle.Coolant"] == 0.1
    assert steps({"Vehicle.Coolant": 2.0, "temperature": 5.0})["Vehicle.Coolant"] == 2.0
    assert steps({"speed": 0.5})["Vehicle.Speed"] == 0.5


def test_states_are_not_rounded() -> None:
    """A class passes them by; naming one is a mistake that is told."""
    assert steps(dict.fromkeys(CLASSES, 1000.0))["Vehicle.Gear"] == 1.0
    for path in ("Vehicle.Gear", "Vehicle.Outrider.Motion"):
        with pytest.raises(ConfigError, match="cannot be rounded"):
            steps({path: 2.0})


def test_names_that_nobody_knows() -> None:
    """A class is known without the car: a mistake. A path may be another car's: the nearest one is named."""
    with pytest.raises(ConfigError, match="did you mean 'engine_speed'"):
        check_precision({"engine-speed": 10.0})
    with pytest.raises(ConfigError, match="use a VSS path or one of position"):
        check_precision({"zzz": 1.0})
    assert unknown_paths({"Vehicle.Sped": 1.0, "Vehicle.Speed": 1.0, "speed": 1.0, "A.B": 1.0}, {"Vehicle.Speed"}) == [
        ("Vehicle.Sped", "Vehicle.Speed"),
        ("A.B", None),
    ]


def test_every_class_has_signals_of_its_unit() -> None:
    """None is a dead letter: each finds a signal of the unit that the documentation gives its step."""
    for name, (unit, test) in CLASSES.items():
        own = [spec for spec in Telemetry((), table_id).table.signals if test(spec)]
        assert test(SignalSpec(1, "Vehicle.X", unit, 1.0)) or {spec.unit for spec in own} == {unit}, name


@given(st.floats(1e-9, 1e6), st.floats(-1e6, 1e6))
def test_rounding_is_to_half_a_step(step: float, value: float) -> None:
    """Whatever the step: the value told is the nearest multiple."""
    from outrider.drive.telemetry import quantise

    spec = with_precision(SignalSpec(1, "A.B", "V", 0.1), {"A.B": step})
    number = quantise(value, spec.step)
    assert number is not None
    assert abs(number * spec.step - value) <= step * (0.5 + 1e-6) + abs(value) * 1e-12
