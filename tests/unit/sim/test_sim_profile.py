"""The bundled profile of the simulated car fits what the car sends."""

from __future__ import annotations

from importlib import resources

import pytest
import yaml

from outrider.model.frame import EFF, FD, FrameBatch
from outrider.model.vehicle import Role
from outrider.sim import Drive
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


def test_the_engine_decodes_what_the_car_sent(short: Drive) -> None:
    """Profile and native decoder turn the frames back into the motion: speed, ignition, odometer, inertial axes."""
    load_io = pytest.importorskip("outrider.profile.load_io")
    engine = pytest.importorskip("outrider.engine")
    tables = load_io.load_profile(["simcar"]).tables
    frames = list(short.frames())
    batch = FrameBatch()
    for frame in frames:
        flags = EFF * frame.extended | FD * frame.fd
        batch.append(frame.t_us, frame.frame_id, frame.data, flags)
    decoded = engine.Decoder(tables).decode(batch)
    values: dict[Role, list[float]] = {slot.role: [] for slot in tables.slots}
    for value, slot in zip(decoded.values, decoded.slots, strict=True):
        values[tables.slots[slot].role].append(value)
    samples = [sample for sample in short.samples() if sample.valid]
    assert values[Role.ACC_Z] == pytest.approx([sample.acc[2] for sample in samples], abs=0.00051)
    assert values[Role.GYRO_Z] == pytest.approx([sample.gyro[2] for sample in samples], abs=0.00051)
    top = max(short.track.columns["v"]) * 3.6 * short.scenario.vehicle.tyre_scale
    assert max(values[Role.SPEED]) == pytest.approx(top, abs=0.3)
    assert set(values[Role.IGNITION]) == {0.0, 1.0}
    assert values[Role.ODOMETER][-1] == short.truth()["vehicle"]["odometer_end_m"]
