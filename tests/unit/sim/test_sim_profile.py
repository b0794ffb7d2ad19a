"""The bundled profile of the simulated car fits what the car sends."""

from __future__ import annotations

from importlib import resources

import pytest
import yaml

from outrider.model.vehicle import Role
from outrider.sim.dbc import layout

OVERLAY = yaml.safe_load((resources.files("outrider.sim") / "data" / "simcar.vss.yaml").read_text(encoding="utf-8"))
KEYS = {"role", "step", "max_age_ms", "category", "telemetry", "message", "valid", "not_available"}


def test_every_mapping_names_a_signal_of_its_message() -> None:
    """Message, signal and validity bit exist together; keys and roles are known; a role is given once."""
    roles = []
    for path, entry in OVERLAY.items():
        hints = entry["outrider"]
        assert set(hints) <= KEYS, path
        names = {signal.name for signal in layout()[hints["message"]].signals}
        assert entry["dbc2vss"]["signal"] in names, path
        if "valid" in hints:
            assert hints["valid"]["signal"] in names, path
        if "role" in hints:
            roles.append(Role[hints["role"]])
    assert len(roles) == len(set(roles))


def test_the_detector_gets_all_it_wants() -> None:
    """Speed, wheels, yaw, brake, airbag, rpm, ignition, supply, odometer and six inertial axes are there."""
    given = {Role[entry["outrider"]["role"]] for entry in OVERLAY.values() if "role" in entry["outrider"]}
    assert given >= {Role(value) for value in (1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19)}


def test_the_profile_loads_without_anomalies() -> None:
    """``simcar`` by name gives tables with the sensor's six axes in one message."""
    load_io = pytest.importorskip("outrider.profile.load_io")
    loaded = load_io.load_profile(["simcar"])
    assert loaded.imu_range_g == 16.0
    slots = loaded.tables.slots
    (sensor,) = [message for message in loaded.tables.messages if message.name == "IMU_Data"]
    roles = {slots[signal.slot].role for signal in sensor.signals}
    assert roles >= {Role.ACC_X, Role.ACC_Y, Role.ACC_Z, Role.GYRO_X, Role.GYRO_Y, Role.GYRO_Z}
