"""Bundled profiles on real recordings: what comes out is a drive, not noise."""

from __future__ import annotations

import statistics
import warnings
from collections import defaultdict
from pathlib import Path

import pytest

from outrider.engine import Decoder
from outrider.model.frame import EFF, FrameBatch
from outrider.profile.load_io import LoadedProfile, load_profile
from tests.support.recordings import recording


def frames(path: Path) -> FrameBatch:
    pytest.importorskip("asammdf", reason="needs asammdf: pip install 'outrider[workstation]'")
    batch = FrameBatch()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the reader, not ours
        import can

        with can.LogReader(path) as reader:
            for m in reader:
                if not m.is_error_frame:
                    batch.append(
                        int(m.timestamp * 1e6), m.arbitration_id, bytes(m.data), EFF if m.is_extended_id else 0
                    )
    return batch


def series(loaded: LoadedProfile, batch: FrameBatch) -> dict[str, list[float]]:
    decoded = Decoder(loaded.tables).decode(batch)
    found: dict[str, list[float]] = defaultdict(list)
    for slot, value in zip(decoded.slots, decoded.values, strict=True):
        found[loaded.tables.slots[slot].path].append(value)
    return found


def test_a_drive_with_imu_gnss_and_obd() -> None:
    """canmod + obd2 on the canedge log: gravity is 9.8, place is Denmark, OBD and GNSS agree on the speed."""
    loaded = load_profile(["canmod", "obd2"], [recording("canedge/canmod-gps.dbc")])
    found = series(loaded, frames(recording("canedge/164/00000001-60FE3F04.MF4")))
    axes = [found[f"Vehicle.Acceleration.{axis}"] for axis in ("Longitudinal", "Lateral", "Vertical")]
    gravity = statistics.median((x * x + y * y + z * z) ** 0.5 for x, y, z in zip(*axes, strict=True))
    assert gravity == pytest.approx(9.81, abs=0.4)
    assert all(55 < v < 57 for v in found["Vehicle.CurrentLocation.Latitude"])
    assert all(9 < v < 11 for v in found["Vehicle.CurrentLocation.Longitude"])
    assert set(found["Vehicle.CurrentLocation.GNSSReceiver.FixType"]) <= {0.0, 1.0, 2.0, 3.0}
    gnss = statistics.mean(found["Vehicle.Outrider.GNSS.Speed"])
    obd = statistics.mean(found["Vehicle.OBD.Speed"])
    assert obd == pytest.approx(gnss, rel=0.1)
    assert 600 < statistics.median(found["Vehicle.OBD.EngineSpeed"]) < 4000
    assert 11 < statistics.median(found["Vehicle.OBD.ControlModuleVoltage"]) < 15
    odometer = found["Vehicle.TraveledDistance"]
    assert odometer == sorted(odometer)
    trip = found["Vehicle.TraveledDistanceSinceStart"]
    assert max(trip) - min(trip) == pytest.approx(odometer[-1] - odometer[0], abs=1500)


def test_a_standing_truck() -> None:
    """The j1939 profile hears both parameter groups of source 0 and knows that the truck stands with its engine off."""
    loaded = load_profile(["j1939"], [recording("j1939/j1939-demo.dbc")])
    found = series(loaded, frames(recording("j1939/truck-402s.MF4")))
    for path in ("Vehicle.Speed", "Vehicle.Powertrain.CombustionEngine.Speed"):
        assert len(found[path]) == pytest.approx(3993, abs=10)
        assert set(found[path]) == {0.0}
