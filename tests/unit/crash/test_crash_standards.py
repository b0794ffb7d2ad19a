"""The standards' views: every element has a value or a reason, units and signs are those of the standard."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from outrider.crash.collect import collect, document
from outrider.crash.document import CrashDocument, Place
from outrider.crash.standards import VIEWS, ecall_msd
from outrider.crash.standards.elements import Recorder
from tests.support.crash_drive import profile
from tests.support.crash_records import blow, driven, pulsed

LISTS = ("table_1", "table_2", "level_a", "level_b", "elements")
# A message of another maker (the test of the Legato framework's eCall adapter): VIN ECALLEXAMPLE02013, a petrol car.
OTHERS_MESSAGE = bytes.fromhex("02251c0680e30a51439e2955d43800800437f80a3105669023f8a71166932185b004150043c040")


@pytest.fixture(scope="module")
def car() -> CrashDocument:
    """A car with a bus, its mounting unknown."""
    return document(collect(driven(), "car-1")[0], profile().tables)


@pytest.fixture(scope="module")
def aligned() -> CrashDocument:
    """No bus, mounting known: from the front right, to the left."""
    return document(collect(pulsed(*blow(-40.0, 10.0)), "car-2")[0])


def elements(name: str, doc: CrashDocument) -> dict[str, dict[str, Any]]:
    view = VIEWS[name](doc)
    return {one["name"]: one for key in LISTS for one in view.get(key, [])}


@pytest.mark.parametrize("name", [name for name in VIEWS if name != "ecall-msd"])
def test_every_element_has_a_value_or_a_reason(name: str, car: CrashDocument, aligned: CrashDocument) -> None:
    """No element is silently absent; every view says what it is not."""
    for doc in (car, aligned):
        found = elements(name, doc)
        assert len(found) > 15
        for one in found.values():
            assert "value" in one if one["available"] else one["why"], one
        assert "not" in VIEWS[name](doc)["statement"] or "no approved" in VIEWS[name](doc)["statement"]
        json.dumps(VIEWS[name](doc), allow_nan=False)


def test_the_pre_crash_of_563_is_20_s_at_10_hz(car: CrashDocument) -> None:
    """201 values up to T0, with the rate at which the car broadcasts stated beside."""
    found = elements("cfr563", car)
    for name in ("Speed, vehicle indicated", "Service brake, on/off", "Engine rpm", "Steering input"):
        one = found[name]
        assert len(one["value"]) == 201
        assert one["sampling"] == {
            "from_s": -20.0,
            "to_s": 0.0,
            "grid_hz": 10,
            "source_hz": one["sampling"]["source_hz"],
        }
        assert one["sampling"]["source_hz"] >= 10
    assert found["Speed, vehicle indicated"]["value"][-1] == pytest.approx(50, abs=3)
    assert found["Safety belt status, driver"]["value"] == 1


def test_without_axes_there_is_no_direction(car: CrashDocument) -> None:
    """A delta-V whose direction is unknown is never given as a longitudinal one."""
    found = elements("cfr563", car)
    assert not found["Delta-V, longitudinal"]["available"]
    assert "sits in the car" in found["Delta-V, longitudinal"]["why"]
    assert found["Time, maximum delta-V, resultant"]["available"]
    assert VIEWS["cfr563"](car)["trigger"]["met"] is None


def test_signs_of_563(aligned: CrashDocument) -> None:
    """x as ISO 8855, y turned."""
    found = elements("cfr563", aligned)
    assert found["Maximum delta-V, longitudinal"]["value"] == pytest.approx(-40, abs=1.5)
    assert found["Maximum delta-V, lateral"]["value"] == pytest.approx(-10, abs=1.5)
    assert max(aligned.delta_v.lat_kmh) == pytest.approx(10, abs=1.5)
    assert len(found["Delta-V, longitudinal"]["value"]) == 26
    assert "opposite" in found["Lateral acceleration"]["note"]
    assert "as the standard" in found["Longitudinal acceleration"]["note"]


@pytest.mark.parametrize(("kmh", "airbag", "trigger", "lock"), [(-40, False, True, True), (-15, False, True, False)])
def test_trigger_and_lock_of_gb39732(kmh: float, airbag: bool, trigger: bool, lock: bool) -> None:
    """4.1.1.1: 8 km/h in 150 ms; 4.1.2: 25 km/h in 150 ms, or a restraint."""
    doc = document(collect(pulsed(*blow(kmh, 0.0)))[0])
    view = VIEWS["gb39732"](doc)
    assert view["trigger"]["met"] is trigger
    assert view["lock"]["met"] is lock
    with_bag = replace(doc, impact=replace(doc.impact, airbag=True))
    assert VIEWS["gb39732"](with_bag)["lock"] == {**view["lock"], "met": True, "by": "restraint"}


def test_a_slow_change_does_not_trigger() -> None:
    """20 km/h over 450 ms are 6.7 km/h in 150 ms: below."""
    doc = document(collect(pulsed(*blow(-40.0, 0.0)))[0])
    slow = tuple(-20.0 * i / 45 for i in range(31))
    still = replace(doc.delta_v, long_kmh=slow, lat_kmh=(0.0,) * 31)
    assert Recorder(replace(doc, delta_v=still)).trigger(8.0, lateral=True) is False


def test_saturation_is_a_clipping_flag_and_a_lower_bound(car: CrashDocument) -> None:
    """What the sensor could not measure is never given as a value."""
    assert car.impact.lower_bound
    assert elements("gb39732", car)["削波标志 clipping flag"]["value"] is True
    assert elements("cfr563", car)["Time, maximum delta-V, resultant"]["available"]
    top = elements("gb39732", car)["最大记录合成 delta-V (maximum recorded resultant delta-V)"]
    assert top["lower_bound"] is True


# ---- eCall ----------------------------------------------------------------------------------------


def test_the_asn1_reads_a_message_of_another_maker() -> None:
    """Ours is the structure of EN 15722: a foreign message decodes to what its maker says it holds."""
    spec = ecall_msd.specification()
    outer = spec.decode("EcallMessage", OTHERS_MESSAGE)
    inner = spec.decode("MsdMessage", outer["msd"])["msdStructure"]
    assert outer["msdVersion"] == 2
    assert inner["control"] == {
        "automaticActivation": True,
        "testCall": False,
        "positionCanBeTrusted": True,
        "vehicleType": "passengerVehicleClassM1",
    }
    assert "".join(inner["vehicleIdentificationNumber"].values()) == "ECALLEXAMPLE02013"
    assert inner["vehiclePropulsionStorageType"]["gasolineTankPresent"] is True
    assert (inner["timestamp"], inner["vehicleDirection"]) == (1367878452, 45)
    assert inner["vehicleLocation"] == {"positionLatitude": 18859320, "positionLongitude": 187996428}
    assert inner["recentVehicleLocationN1"] == {"latitudeDelta": 0, "longitudeDelta": 10}
    assert inner["recentVehicleLocationN2"] == {"latitudeDelta": 0, "longitudeDelta": 30}
    assert inner["numberOfPassengers"] == 2


def test_our_message_decodes_to_its_fields(aligned: CrashDocument) -> None:
    """What the view lists is what the bytes hold, within the 140 bytes of a message."""
    view = VIEWS["ecall-msd"](aligned)
    data = bytes.fromhex(view["uper_hex"])
    assert len(data) <= 140
    spec = ecall_msd.specification()
    inner = spec.decode("MsdMessage", spec.decode("EcallMessage", data)["msd"])
    structure = view["msd"]["msdStructure"]
    assert inner["msdStructure"]["vehicleLocation"] == structure["vehicleLocation"]
    assert inner["msdStructure"]["timestamp"] == (aligned.time.t0_utc_us or 0) // 1_000_000
    assert inner["msdStructure"]["recentVehicleLocationN1"] == structure["recentVehicleLocationN1"]
    assert inner["optionalAdditionalData"]["data"].hex() == view["msd"]["optionalAdditionalData"]["data"]
    assert aligned.place is not None
    assert structure["vehicleLocation"]["positionLatitude"] == round(aligned.place.lat_deg * 3_600_000)
    back = structure["recentVehicleLocationN1"]["latitudeDelta"]
    assert back == pytest.approx(-60 / 3.6 * 5 / 111_000 * 36_000, abs=8)  # it went north; the place is up to 1 s old


def test_unknown_fields_have_the_values_for_unknown(aligned: CrashDocument) -> None:
    """No position, no clock, no heading: the values that EN 15722 reserves, and no claim of trust."""
    bare = replace(aligned, place=None, track=(), time=replace(aligned.time, t0_utc_us=None))
    structure = ecall_msd.msd_structure(bare)
    assert structure["vehicleLocation"] == {"positionLatitude": 0x7FFFFFFF, "positionLongitude": 0x7FFFFFFF}
    assert (structure["timestamp"], structure["vehicleDirection"]) == (0, 255)
    assert structure["control"]["positionCanBeTrusted"] is False
    assert "recentVehicleLocationN1" not in structure
    assert ecall_msd.encode(structure, ecall_msd.additional_data(bare)) is not None


@pytest.mark.parametrize(
    ("hacc_m", "stale", "trusted"), [(5.0, False, True), (61.0, False, True), (62.0, False, False), (5.0, True, False)]
)
def test_trust_in_the_position(hacc_m: float, stale: bool, trusted: bool, aligned: CrashDocument) -> None:
    """Within 150 m with 95 % confidence, and fresh."""
    placed = replace(aligned, place=Place(48.0, 11.0, hacc_m, 359.5, stale))
    structure = ecall_msd.msd_structure(placed)
    assert structure["control"]["positionCanBeTrusted"] is trusted
    assert structure["vehicleDirection"] == 0  # 359.5 deg is north
