"""Profile files and bundled profiles: found by name, combined, explained, and quick to load."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from outrider.engine import Decoder
from outrider.errors import ProfileError
from outrider.model.frame import EFF, FrameBatch
from outrider.model.vehicle import Role, VehicleClass
from outrider.profile.explain import report_document
from outrider.profile.load_io import LoadedProfile, bundled_profiles, load_profile
from outrider.profile.profile_file import parse_profile
from tests.support.recordings import recording

CAR_DBC = """BO_ 288 Motion: 8 X
 SG_ Speed : 0|16@1+ (0.01,0) [0|655.35] "km/h" X
 SG_ AccX : 16|16@1- (0.001,0) [0|0] "m/s^2" X
BO_ 289 Other: 8 X
 SG_ AccY : 16|16@1- (0.001,0) [0|0] "m/s^2" X
 SG_ AccZ : 32|16@1- (0.001,0) [0|0] "m/s^2" X
"""
CAR = """id = "car"
name = "A car"
dbc = ["sub/car.dbc"]
overlay = ["car.vss.yaml"]
imu_range_g = 8
"""
OVERLAY = """
Vehicle.Speed: {dbc2vss: {signal: Speed}}
Vehicle.Acceleration.Longitudinal: {dbc2vss: {signal: AccX}}
"""


@pytest.fixture
def car(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "car.dbc").write_text(CAR_DBC)
    (tmp_path / "car.vss.yaml").write_text(OVERLAY)
    path = tmp_path / "car.profile.toml"
    path.write_text(CAR)
    return path


def values(loaded: LoadedProfile, frame_id: int, data: str, flags: int = 0) -> dict[str, float]:
    """Decoded by the native engine: what the terminal would see."""
    batch = FrameBatch()
    batch.append(0, frame_id, bytes.fromhex(data), flags)
    decoded = Decoder(loaded.tables).decode(batch)
    slots = loaded.tables.slots
    return {slots[s].path: v for s, v in zip(decoded.slots, decoded.values, strict=True)}


def test_paths_start_from_the_profile_file(car: Path) -> None:
    """A profile with its DBC and overlay is a folder that can be moved."""
    loaded = load_profile([str(car)])
    assert (loaded.tables.profile_id, loaded.imu_range_g) == ("car", 8.0)
    assert values(loaded, 288, "E803E80300000000") == {
        "Vehicle.Speed": 10.0,
        "Vehicle.Acceleration.Longitudinal": 1.0,
    }
    assert loaded.report.anomalies == ()


def test_profiles_combine_and_an_explicit_overlay_wins(car: Path, tmp_path: Path) -> None:
    """The first source of a path counts; an overlay given by hand comes before all profiles."""
    mine = tmp_path / "mine.yaml"
    mine.write_text('Vehicle.Speed: {dbc2vss: {signal: Speed, transform: {math: "x * 2"}}}')
    loaded = load_profile([str(car), "obd2"], overlay=[mine])
    assert loaded.tables.profile_id == "car+obd2"
    assert values(loaded, 288, "E803E80300000000")["Vehicle.Speed"] == 20.0
    assert values(loaded, 0x7E8, "03410D55AAAAAAAA") == {"Vehicle.OBD.Speed": 85.0}
    twice = [a for a in loaded.report.anomalies if a.code == "path-twice"]
    assert [(Path(a.file).name, a.line) for a in twice] == [("car.vss.yaml", 2)]
    assert loaded.report.errors == ()


def test_an_overlay_over_obd2_hears_all_ecus(tmp_path: Path) -> None:
    """A path of one's own on an OBD answer is fed by every ECU too, and stays an OBD speed."""
    mine = tmp_path / "mine.yaml"
    mine.write_text("Vehicle.Speed: {dbc2vss: {signal: VehicleSpeed}}")
    loaded = load_profile(["obd2"], overlay=[mine])
    assert values(loaded, 0x7EA, "03410D55AAAAAAAA") == {"Vehicle.Speed": 85.0, "Vehicle.OBD.Speed": 85.0}
    roles = {s.path: s.role for s in loaded.tables.slots if s.role == Role.SPEED_OBD}
    assert roles == {"Vehicle.Speed": Role.SPEED_OBD}


def test_an_overlay_and_a_dbc_are_enough(car: Path) -> None:
    """No profile file is needed to try a mapping."""
    loaded = load_profile([], [car.parent / "sub" / "car.dbc"], [car.parent / "car.vss.yaml"])
    assert [s.path for s in loaded.tables.slots] == ["Vehicle.Speed", "Vehicle.Acceleration.Longitudinal"]


def test_an_imu_spread_over_messages_is_an_error_of_the_report(car: Path) -> None:
    """The engine makes a sample of one message: the author learns why the detector would stay blind."""
    (car.parent / "car.vss.yaml").write_text(
        OVERLAY
        + "Vehicle.Acceleration.Lateral: {dbc2vss: {signal: AccY}}\n"
        + "Vehicle.Acceleration.Vertical: {dbc2vss: {signal: AccZ}}\n"
    )
    report = load_profile([str(car)]).report
    assert [a.code for a in report.errors] == ["imu-split"]
    assert "Motion, Other" in report.errors[0].found


def test_the_report_says_what_works_and_what_is_missing(car: Path) -> None:
    """Capabilities follow the roles; the document is complete and plain JSON."""
    loaded = load_profile([str(car)])
    found = {c.key: (c.works, c.missing) for c in loaded.report.capabilities}
    assert found["crash-imu"] == (False, (Role.ACC_Y, Role.ACC_Z))
    assert found["crash-inferred"] == (True, ())
    assert found["airbag"] == (False, (Role.AIRBAG,))
    assert found["alignment"] == (False, (Role.ACC_Y, Role.ACC_Z))
    document = report_document("car", 8.0, VehicleClass.HEAVY, 250, loaded.report)
    assert document["errors"] == 0
    assert document["paths"][0] == {
        "path": "Vehicle.Speed", "unit": "km/h", "step": 0.1, "role": "SPEED", "category": "driving",
        "max_age_ms": 1000, "telemetry": True, "labels": {}, "from": "car", "message": "Motion",
        "frame_id": 288, "extended": False, "signal": "Speed", "start": 0, "length": 16, "big_endian": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        ([], "no vehicle profile given"),
        (["obdii"], r"no profile is called obdii .*did you mean obd2\?"),
        (["./nowhere.profile.toml"], "nowhere.profile.toml: cannot be read: No such file"),
        (["canmod"], r"profile canmod needs canmod-gps\.dbc .*--dbc"),
    ],
)
def test_what_cannot_be_found_is_explained(names: list[str], complaint: str) -> None:
    """Names, files and needs: one line each, with what to do."""
    with pytest.raises(ProfileError, match=complaint):
        load_profile(names)


def test_a_missing_or_broken_companion_file_is_named(car: Path) -> None:
    """DBC and overlay of a profile: the error carries their path, not the profile's."""
    (car.parent / "car.vss.yaml").write_bytes(b"Vehicle.Speed: {}\n\xff")
    with pytest.raises(ProfileError, match=r"car\.vss\.yaml:2: not UTF-8"):
        load_profile([str(car)])
    (car.parent / "sub" / "car.dbc").unlink()
    with pytest.raises(ProfileError, match=r"car\.dbc: cannot be read"):
        load_profile([str(car)])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("id = 'x'\nname = 'y'\nimu_rage_g = 3", r"p\.toml:3: unknown key imu_rage_g; did you mean imu_range_g"),
        ("id = 'x'\nname = 'y'\n[[alias]]\nmessage = 'm'\nidd = 3", r"unknown key idd; did you mean id"),
        ("id = 'x'\nname = 'y'\n[vehicle]\nclas = 'm'", "unknown key clas; did you mean class"),
        ("id = 'X y'\nname = 'y'", r"p\.toml:1: Expected `str` matching regex"),
        ("name = 'y'", "missing required field `id`"),
        ("id = 'x'\nname = 'y'\nimu_range_g = -1", r"p\.toml:3: Expected `float` >= 0"),
        ("id = 'x'\nname = 'y'\ndbc = 'car.dbc'", r"p\.toml:3: Expected `array`"),
        (
            "id = 'x'\nname = 'y'\n[vehicle]\nclass = 'van'",
            r"p\.toml:4: .*class is one of passenger, light-truck, heavy",
        ),
        ("id = ", r"p\.toml:1: no valid TOML"),
        ("x = " + "[" * 5000, "no valid TOML"),
    ],
)
def test_profile_files_are_checked(text: str, complaint: str) -> None:
    """Unknown keys name the nearest, wrong values their line."""
    with pytest.raises(ProfileError, match=complaint):
        parse_profile(text, "p.toml")


def test_bundled_profiles_are_complete() -> None:
    """Those of the product are all found, also the simulator's, and the ones without needs load without complaint."""
    found = bundled_profiles()
    assert {"obd2", "canmod", "j1939", "simcar"} <= set(found)
    for name, profile in found.items():
        assert profile.id == name
        if not profile.needs:
            report = load_profile([name]).report
            assert report.errors == (), name
            assert report.sources


def test_loading_a_profile_imports_neither_the_simulator_nor_heavy_packages() -> None:
    """Start-up of the daemon stays light: nothing of sim, no cantools, numpy, rich or python-can."""
    code = (
        "import sys; from outrider.profile.load_io import load_profile; load_profile(['obd2']);"
        "bad = {'cantools', 'numpy', 'rich', 'can', 'pandas', 'outrider.sim'} & set(sys.modules);"
        "sys.exit(','.join(sorted(bad)) or 0)"
    )
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr


def test_canmod_on_a_real_dbc_needs_the_valid_bits() -> None:
    """The maker's DBC and our overlay: values only while valid, fix types folded, IMU in one message."""
    loaded = load_profile(["canmod", "obd2"], [recording("canedge/canmod-gps.dbc")])
    assert loaded.report.errors == ()
    works = {c.key for c in loaded.report.capabilities if c.works}
    assert {"crash-imu", "alignment", "rollover", "position", "odometer", "harsh-speed"} <= works
    assert values(loaded, 9, "0000000000000000") == {}
    imu = values(loaded, 9, "0100000000000000")
    assert imu["Vehicle.Acceleration.Longitudinal"] == -64.0
    assert imu["Vehicle.AngularVelocity.Yaw"] == -256.0
    fix_type = "Vehicle.CurrentLocation.GNSSReceiver.FixType"
    assert [values(loaded, 1, f"{n:02X}").get(fix_type) for n in range(8)] == [0, 1, 2, 3, 3, 0, None, None]


def test_j1939_matches_any_sender_and_leaves_out_error_codes() -> None:
    """EEC1 of source 0 though the DBC says 0xFE; 0xFE.. and 0xFF.. are no speed."""
    loaded = load_profile(["j1939"], [recording("j1939/j1939-demo.dbc")])
    rpm = "Vehicle.Powertrain.CombustionEngine.Speed"
    assert values(loaded, 0x0CF00400, "FF7D7D4038FFFFFF", EFF) == {rpm: 1800.0}
    assert values(loaded, 0x0CF00411, "FF7D7D00FEFFFFFF", EFF) == {}
    assert values(loaded, 0x18FEF100, "F71FFEFFFFFFFFFF", EFF) == {}
    assert values(loaded, 0x18FEF100, "F7001EFFFFFFFFFF", EFF) == {"Vehicle.Speed": 30.0}


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ((), VehicleClass.PASSENGER),
        (("", "any"), VehicleClass.PASSENGER),
        (("any", "heavy"), VehicleClass.HEAVY),
        (("light-truck", "light-truck"), VehicleClass.LIGHT_TRUCK),
    ],
)
def test_the_class_of_the_vehicle(tmp_path: Path, classes: tuple[str, ...], expected: VehicleClass) -> None:
    """Of several profiles the one that names a class says it; without one it is a passenger car."""
    names = ["obd2"]
    for number, name in enumerate(classes):
        path = tmp_path / f"p{number}.profile.toml"
        path.write_text(f"id = 'p{number}'\nname = 'p'\nholdup_ms = {number * 100}\n[vehicle]\nclass = '{name}'\n")
        names.append(str(path))
    loaded = load_profile(names)
    assert loaded.vehicle_class is expected
    assert loaded.holdup_ms == max(0, len(classes) - 1) * 100


def test_two_classes_are_one_too_many(tmp_path: Path) -> None:
    """Nobody guesses which of them it is."""
    for name in ("heavy", "passenger"):
        (tmp_path / f"{name}.profile.toml").write_text(f"id = '{name}'\nname = 'p'\n[vehicle]\nclass = '{name}'\n")
    with pytest.raises(ProfileError, match=r"heavy \(heavy\), passenger \(passenger\)"):
        load_profile([str(tmp_path / f"{name}.profile.toml") for name in ("heavy", "passenger")])
