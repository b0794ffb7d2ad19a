"""What is on the bus decodes back to what the car did."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from importlib import resources
from pathlib import Path

import can
import cantools.database
import msgspec
import pytest

from outrider.sim import Drive, generate, load_scenario
from outrider.sim.dbc import crc8_j1850, layout
from outrider.sim.write_io import candump_line, write_drive

DBC = resources.files("outrider.sim") / "data" / "simcar.dbc"


@pytest.fixture(scope="module")
def database() -> cantools.database.can.Database:
    return cantools.database.load_string(DBC.read_text(encoding="utf-8"), database_format="dbc")


def decoded(drive: Drive, database: cantools.database.can.Database, name: str) -> list[tuple[float, dict[str, float]]]:
    message = database.get_message_by_name(name)
    return [
        ((frame.t_us - drive.start_us) / 1e6, message.decode(frame.data, decode_choices=False))
        for frame in drive.frames()
        if frame.frame_id == message.frame_id and frame.extended == message.is_extended_frame
    ]


def test_layout_is_what_cantools_reads(database: cantools.database.can.Database) -> None:
    """Our strict reader and cantools agree on ids, lengths, cycles, FD and every signal's scaling."""
    ours = layout()
    assert set(ours) == {message.name for message in database.messages}
    for message in database.messages:
        own = ours[message.name]
        assert (own.frame_id, own.extended, own.length) == (message.frame_id, message.is_extended_frame, message.length)
        assert own.fd == message.is_fd
        assert own.cycle_s * 1000 == message.cycle_time
        theirs = {signal.name: signal for signal in message.signals}
        assert {signal.name for signal in own.signals} == set(theirs)
        for signal in own.signals:
            assert (signal.factor, signal.offset) == (theirs[signal.name].scale, theirs[signal.name].offset)


def test_speed_yaw_and_wheels_decode_to_the_motion(short: Drive, database: cantools.database.can.Database) -> None:
    """Speed within its filter, yaw within its noise, wheels around the speed and apart in curves."""
    c, scale = short.track.columns, short.scenario.vehicle.tyre_scale
    for t, values in decoded(short, database, "ESC_Speed"):
        row = short.track.row_at(t)
        assert values["VehicleSpeed"] == pytest.approx(c["v"][row] * scale * 3.6, abs=1.4)
    for t, values in decoded(short, database, "ESC_Dynamics"):
        row = short.track.row_at(t)
        assert values["YawRate"] == pytest.approx(math.degrees(c["yaw"][row]), abs=1.2)
    outer = 0.0
    for t, values in decoded(short, database, "ESC_Wheels"):
        row = short.track.row_at(t)
        if c["v"][row] > 3.0:
            mean = sum(values.values()) / 4.0
            assert mean == pytest.approx(c["v"][row] * scale * 3.6, rel=0.04, abs=0.4)
        outer = max(outer, values["WheelSpeedFR"] - values["WheelSpeedFL"])
    assert outer > 2.0  # the left turn


def test_inertial_frames_are_the_samples(short: Drive, database: cantools.database.can.Database) -> None:
    """All six axes of every sample arrive within half a step of the message, with its marks."""
    frames = decoded(short, database, "IMU_Data")
    samples = list(short.samples())
    assert len(frames) == len(samples)
    for (t, values), sample in zip(frames, samples, strict=True):
        assert 0.0 <= t - sample.t < 0.02
        for axis, value in zip("XYZ", sample.acc, strict=True):
            assert values[f"Acceleration{axis}"] == pytest.approx(value, abs=0.00051)
        for axis, value in zip("XYZ", sample.gyro, strict=True):
            assert values[f"AngularRate{axis}"] == pytest.approx(value, abs=0.00051)
        assert bool(values["ImuValid"]) == sample.valid
        assert bool(values["ImuSaturated"]) == (sample.saturated if sample.valid else values["ImuSaturated"])


def test_odometer_and_fuel_go_on(short: Drive, database: cantools.database.can.Database) -> None:
    """The odometer never goes back and counts the trip to a metre; the tank never fills."""
    metres = [values["Odometer"] for _t, values in decoded(short, database, "IC_Odometer")]
    assert metres == sorted(metres)
    trip = short.truth()["trips"][0]
    assert metres[-1] - metres[0] == pytest.approx(trip["odometer_m"], abs=1.0)
    levels = [values["FuelLevel"] for _t, values in decoded(short, database, "ENG_Fuel")]
    assert levels == sorted(levels, reverse=True)


def test_counters_count_and_checksums_hold(short: Drive, database: cantools.database.can.Database) -> None:
    """Every protected message counts 0..14 without a jump and its CRC fits; one flipped bit does not."""
    for name, counter in (("ESC_Speed", "SpeedCounter"), ("SRS_Status", "SrsCounter"), ("ENG_Speed", "EngineCounter")):
        message = layout()[name]
        frames = [f for f in short.frames() if f.frame_id == message.frame_id]
        for frame in frames:
            assert crc8_j1850(frame.data[:7] + bytes((frame.frame_id & 0xFF,))) == frame.data[7]
            broken = bytes((frame.data[0] ^ 0x10,)) + frame.data[1:7]
            assert crc8_j1850(broken + bytes((frame.frame_id & 0xFF,))) != frame.data[7]
        counts = [int(values[counter]) for _t, values in decoded(short, database, name)]
        assert all((a + 1) % 15 == b for a, b in itertools.pairwise(counts))


def test_checksum_is_the_standard_one() -> None:
    """Check value of CRC-8 SAE J1850 over '123456789' is 0x4B."""
    assert crc8_j1850(b"123456789") == 0x4B


def test_one_frame_at_a_time_and_cycles_as_stated(short: Drive) -> None:
    """Stamps strictly rise; each message keeps its mean cycle within 1 per cent and its jitter below 6 ms."""
    stamps: dict[int, list[int]] = defaultdict(list)
    last = 0
    for frame in short.frames():
        assert frame.t_us > last
        last = frame.t_us
        stamps[frame.frame_id].append(frame.t_us)
    for message in layout().values():
        times = stamps[message.frame_id]
        cycle = message.cycle_s if message.name != "IMU_Data" else short.track.step_s
        gaps = [(b - a) / 1e6 for a, b in itertools.pairwise(times)]
        assert sum(gaps) / len(gaps) == pytest.approx(cycle, rel=0.01), message.name
        assert max(abs(gap - cycle) for gap in gaps) < 0.006, message.name
    assert set(stamps) == {m.frame_id for m in layout().values()} | {0x7DF, 0x7E8}


def test_bus_load_is_that_of_a_small_car(short: Drive) -> None:
    """Between 300 and 1,500 frames a second."""
    assert 300 < sum(1 for _ in short.frames()) / short.duration_s < 1500


def test_scan_tool_answers_follow_the_standard(short: Drive) -> None:
    """Speed and rpm twice a second, right by the J1979 formulas, each after its question."""
    c = short.track.columns
    asked: int | None = None
    seen: dict[int, int] = defaultdict(int)
    for frame in short.frames():
        if frame.frame_id == 0x7DF:
            assert frame.data[:2] == b"\x02\x01"
            asked = frame.data[2]
        elif frame.frame_id == 0x7E8:
            size, service, pid = frame.data[:3]
            assert (service, pid) == (0x41, asked)
            assert size == 2 + {0x0C: 2}.get(pid, 1)
            row = short.track.row_at((frame.t_us - short.start_us) / 1e6)
            if pid == 0x0D:
                assert frame.data[3] == pytest.approx(c["v"][row] * 3.6 * 1.004, abs=2.0)
            if pid == 0x0C:
                assert (frame.data[3] * 256 + frame.data[4]) / 4 == pytest.approx(c["rpm"][row], abs=120.0)
            seen[pid] += 1
    on = short.truth()["trips"][0]
    assert seen[0x0D] == pytest.approx(2.0 * (on["end_s"] - on["begin_s"]), abs=4)
    assert seen[0x05] >= 8
    assert seen[0x2F] >= 8


def test_vin_is_told_in_three_parts(short: Drive, database: cantools.database.can.Database) -> None:
    """The three parts of the multiplexed message spell the VIN."""
    parts: dict[int, bytes] = {}
    for frame in short.frames():
        if frame.frame_id == layout()["GW_Vin"].frame_id:
            parts[frame.data[0]] = frame.data[1:]
    text = b"".join(parts[i] for i in range(3)).rstrip(b"\0").decode()
    assert text == short.scenario.vehicle.vin
    (first,) = {v["VinA"] for _t, v in decoded(short, database, "GW_Vin") if v["VinPart"] == 0}
    assert int(first).to_bytes(7, "little").decode() == text[:7]


def test_bus_goes_to_sleep_after_the_ignition(short: Drive) -> None:
    """Control units fall silent a second after ignition off, the gateway after its time; the sensor goes on."""
    off = short.truth()["moments"]["ignition_off_s"]
    late: dict[int, float] = {}
    for frame in short.frames():
        late[frame.frame_id] = (frame.t_us - short.start_us) / 1e6
    assert late[layout()["ENG_Speed"].frame_id] < off + 1.1
    assert late[layout()["BCM_Power"].frame_id] < off + short.scenario.can.sleep_after_s + 0.1
    assert late[layout()["IMU_Data"].frame_id] > short.duration_s - 0.1


def test_candump_and_blf_read_back_the_same(short: Drive, tmp_path: Path) -> None:
    """python-can reads both files back to the same frames; candump stamps are exact."""
    written = write_drive(short, tmp_path)
    frames = list(short.frames())
    assert written.frames == len(frames)
    with can.CanutilsLogReader(str(written.can)) as reader:
        for frame, message in zip(frames, reader, strict=True):
            assert round(message.timestamp * 1e6) == frame.t_us
            assert (message.arbitration_id, message.is_extended_id, message.is_fd) == frame[1:4]
            assert bytes(message.data) == frame.data
    blf = write_drive(short, tmp_path / "blf", "blf")
    with can.BLFReader(str(blf.can)) as reader:
        for frame, message in zip(frames, reader, strict=True):
            assert abs(message.timestamp * 1e6 - frame.t_us) < 20
            assert (message.arbitration_id, bytes(message.data)) == (frame.frame_id, frame.data)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".part")]


def test_candump_line_spells_all_kinds_of_frames(short: Drive) -> None:
    """Three digits for standard ids, eight for extended, ## and a flag for FD."""
    lines = {frame.frame_id: candump_line(frame) for frame in short.frames()}
    clock, sensor, power = layout()["GW_Clock"], layout()["IMU_Data"], layout()["BCM_Power"]
    assert f" can0 {clock.frame_id:08X}#" in lines[clock.frame_id]
    assert f" can0 {sensor.frame_id:03X}##1" in lines[sensor.frame_id]
    assert f" can0 {power.frame_id:03X}#" in lines[power.frame_id]
    assert "##" not in lines[power.frame_id]


def test_invalid_inertial_frames_come_and_are_marked() -> None:
    """With a high rate of them, invalid frames hold garbage and say so."""

    scenario = load_scenario("short")
    imu = msgspec.structs.replace(scenario.imu, invalid_per_hour=20_000)
    drive = generate(msgspec.structs.replace(scenario, imu=imu), 1)
    bad = [s for s in drive.samples() if not s.valid]
    assert len(bad) == pytest.approx(20_000 / 3600 * drive.duration_s, rel=0.3)
    assert max(math.hypot(*s.acc) for s in bad) > 60.0
