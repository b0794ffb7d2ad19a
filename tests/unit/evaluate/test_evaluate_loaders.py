"""Recordings are found by what is in them; what cannot be read is named and left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from outrider.errors import RecordingError
from outrider.evaluate.canmod import drive_of
from outrider.evaluate.loaders_io import FolderRecordings
from outrider.evaluate.recordings import MissingError
from tests.support import score_data as sd


def folder_of(path: Path) -> FolderRecordings:
    return FolderRecordings(path, lambda file: sd.canmod_frames(seed=len(file.stem)))


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> FolderRecordings:
    return folder_of(sd.write_all(tmp_path_factory.mktemp("all")))


def test_each_layout_is_told_by_its_content(everything: FolderRecordings) -> None:
    """Names and folders mean nothing; what belongs to no row is passed over without a word."""
    assert {key: len(paths) for key, paths in everything.files.items()} == {
        "windows": 2, "pulses": 1, "drives": 2, "crash tests": 2, "stretches": 1, "trips": 2, "OBD logs": 1,
    }  # fmt: skip
    assert everything.left_out == {}


def test_windows_bear_their_label_and_speed(everything: FolderRecordings) -> None:
    """Label, axes in g, and the 1 Hz speed in order among the samples."""
    crash, calm = everything.windows()
    assert (crash.name, crash.is_crash, calm.label, calm.is_crash) == ("one", True, "near_miss", False)
    assert crash.seconds == 16
    assert crash.acc[:, 0].min() == pytest.approx(-20, abs=0.1)
    assert (np.diff(crash.samples["t_us"]) >= 0).all()
    assert (crash.samples["kind"] == 7).sum() == 16


def test_a_pulse_is_turned_to_our_axes_and_begins_at_zero(everything: FolderRecordings) -> None:
    """Left is positive here, right in the recorder; an unknown first value is the zero of the curve."""
    (pulse,) = everything.pulses()
    assert pulse.t[0] == 0
    assert pulse.dv[0].tolist() == [0, 0]
    assert pulse.dv[-1].tolist() == pytest.approx([-30, -6])
    assert pulse.size_kmh == pytest.approx(30.6, abs=0.1)


def test_a_drive_is_decoded_to_si_units(everything: FolderRecordings) -> None:
    """IMU, GNSS, heading and OBD of a CANmod log; the folder is the car."""
    drive = everything.drives()[0]
    assert drive.car == "car"
    assert drive.imu[:, 3].mean() == pytest.approx(9.81, abs=0.1)
    assert (drive.imu[:, 7] == 1).all()
    assert drive.speed[:, 1].max() == pytest.approx(20, abs=0.1)
    assert drive.obd_speed[:, 1].max() == pytest.approx(20, abs=0.3)
    assert len(drive.heading) == len(drive.speed)
    assert (np.diff(drive.samples()["t_us"]) >= 0).all()


def test_a_log_of_another_bus_is_no_drive() -> None:
    """Without the frames of a CANmod.gps there is nothing to score."""
    frames = np.frombuffer(sd.canmod_frames(10), dtype=np.uint8).reshape(-1, 80)
    only_obd = frames[frames[:, 8:12].copy().view("<u4")[:, 0] == 0x7E8]
    assert drive_of(only_obd.tobytes(), "x", "car") is None
    assert drive_of(b"", "x", "car") is None


def test_trips_hold_the_notes(everything: FolderRecordings) -> None:
    """Manoeuvres by class with their times; calm stretches too."""
    first, second = everything.trips()
    assert [(m.kind, m.begin_s, m.end_s) for m in first.manoeuvres] == [("brake", 20, 22), ("calm", 5, 8)]
    assert len(second.manoeuvres) == 3
    assert first.seconds == pytest.approx(59.98, abs=0.01)


def test_the_rest_is_read(everything: FolderRecordings) -> None:
    """Crash tests by channel, roads by kind, OBD in m/s over evenly spread rows."""
    assert [test.name for test in everything.crash_tests()] == ["v00001.001", "v00001.002"]
    assert [stretch.kind for stretch in everything.stretches()] == ["gravel"]
    (log,) = everything.obd_logs()
    assert log.speed[0] == pytest.approx(80 / 3.6)
    assert log.seconds == 199


DAMAGE = {
    "cut.json": '{"channels": {"accel_x": {"sr_hz": 100, "v": [1.0, 2.0',
    "no_label.json": None,
    "flat.json": '{"label": "crash", "channels": {"accel_x": {"sr_hz": 0, "v": []}}}',
    "no_rate.json": '{"label": "crash", "channels": {"accel_x": {"v": [1.0]}}}',
    "words.json": '{"channels": {"delta_v_long": {"t": ["a"], "v": ["b"]}}}',
    "v00009.001": "no numbers here\n",
    "v00009.002": "0.2\t1.0\n0.1\t1.0\n",
    "empty/road.csv": "acc_z\n",
    "odd/road.csv": "acc_z\nseven\n",
    "short.csv": "ENGINE_RUN_TINE (),ENGINE_RPM (),VEHICLE_SPEED ()\n1,2\n",
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_files_are_named_and_left_out(name: str, tmp_path: Path) -> None:
    """Each by its path and why; the sound file beside it is still read."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    text = DAMAGE[name]
    if text is None:
        sd.write_window(path, None, 20.0)
    else:
        path.write_text(text, encoding="ascii")
    sd.write_window(tmp_path / "sound.json", "crash", 20.0)
    found = folder_of(tmp_path)
    assert [window.name for window in found.windows()] == ["sound"]
    for read in (found.pulses, found.crash_tests, found.stretches, found.obd_logs):
        try:
            read()
        except MissingError:
            continue
    assert list(found.left_out) == [name]
    assert found.left_out[name]


def test_unknown_manoeuvres_are_named_with_their_line(tmp_path: Path) -> None:
    """A note in another language is no calm driving."""
    folder = sd.write_trip(tmp_path / "trip")
    with (folder / "groundTruth.csv").open("a", encoding="ascii") as file:
        file.write("skid,50,52\n")
    found = folder_of(tmp_path)
    with pytest.raises(MissingError):
        found.trips()
    assert "groundTruth.csv:4: 'skid'" in found.left_out["trip/groundTruth.csv"]


def test_a_trip_without_its_sensors_is_named(tmp_path: Path) -> None:
    folder = sd.write_trip(tmp_path / "trip")
    (folder / "giroscopio_terra.csv").unlink()
    found = folder_of(tmp_path)
    with pytest.raises(MissingError):
        found.trips()
    assert list(found.left_out) == ["trip/groundTruth.csv"]


def test_a_damaged_bus_log_is_named(tmp_path: Path) -> None:
    """What the product's own reader says about it is passed on."""
    sd.write_drive(tmp_path / "a.MF4")

    def refuse(path: Path) -> bytes:
        raise RecordingError("cut or damaged", path=path)

    found = FolderRecordings(tmp_path, refuse)
    with pytest.raises(MissingError, match="drives with IMU"):
        found.drives()
    assert "cut or damaged" in found.left_out["a.MF4"]


def test_what_is_missing_is_said_with_what_it_looks_like(tmp_path: Path) -> None:
    """The message names the folder, the kind and how a file of it is told."""
    with pytest.raises(MissingError, match=r"no windows around crashes.*accel_x"):
        next(iter(folder_of(tmp_path).windows()))
    with pytest.raises(MissingError, match="no such folder"):
        folder_of(tmp_path / "none")
