"""One tape, several compilers and processors: the same events and snapshots, bit by bit."""

from __future__ import annotations

import math
import random
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from outrider.engine import Engine, pack_tables
from outrider.model.fix import Fix, FixType, ImuSample
from outrider.model.frame import FrameBatch
from outrider.model.vehicle import BitField, Encoding, MessageDef, Role, SignalDef, Slot, Transform, VehicleTables

NATIVE = Path(__file__).parents[2] / "native"
S = 1_000_000
TABLES = VehicleTables(
    "p",
    (
        MessageDef(
            "M",
            0x100,
            False,
            8,
            (
                SignalDef("v", 0, BitField(0, 16), factor=0.01),
                SignalDef("f", 1, BitField(16, 32), Encoding.FLOAT32, factor=1 / 3),
                SignalDef("t", 2, BitField(48, 16), transform=Transform(program=("x", 7.0, "%", "sqrt", 3.0, "/"))),
            ),
        ),
    ),
    (Slot("Speed", role=Role.SPEED), Slot("F"), Slot("T")),
)


def drive() -> tuple[bytes, int, int]:
    """Two minutes with curves, braking and a pulse of a crash: tape, number of events and of snapshots."""
    rng = random.Random(4)
    events = snapshots = 0
    with Engine(TABLES) as engine:
        engine.start_tape()
        for second in range(1, 121):
            frames, imu = FrameBatch(), []
            for i in range(100):
                t = second + i / 100
                t_us = round(t * S)
                speed = 0 if t > 100.2 else 60 + 20 * math.sin(t / 7)
                crash = -12 * 9.81 * math.sin((t - 100.05) / 0.1 * math.pi) if 100.05 <= t <= 100.15 else 0.0
                along = crash + 20 / 3.6 / 7 * math.cos(t / 7) - (4.5 if 60 < t < 62 else 0)
                acc = (along + rng.gauss(0, 0.2), 2 * math.sin(t / 3) + rng.gauss(0, 0.2), 9.81 + rng.gauss(0, 0.2))
                imu.append(ImuSample(t_us, acc, (0.01 * rng.random(), 0.0, 0.1 * math.sin(t / 3))))
                if i % 5 == 0:
                    data = struct.pack("<HfH", round(speed * 100), rng.uniform(-9, 9), rng.randrange(65536))
                    frames.append(t_us + 1, 0x100, data)
            engine.offer_frames(frames)
            engine.offer_imu(imu)
            lat = 50 + second * 1e-4
            engine.offer_fix(Fix(second * S, FixType.FIX_3D, lat_deg=lat, lon_deg=8.0, speed_mps=17.0, heading_deg=1.5))
            engine.run(second * S + 999_999)
            engine.take()
        stats = engine.stats()
        events, snapshots = stats.events, stats.snapshots
        return engine.take_tape(), events, snapshots


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, int]:
    folder = tmp_path_factory.mktemp("tape")
    tape, events, snapshots = drive()
    (folder / "tables").write_bytes(pack_tables(TABLES))
    (folder / "tape").write_bytes(tape)
    return folder, events, snapshots


def replayed(folder: Path, build: str, *runner: str) -> str:
    """Builds native/bench/replay_tape.c one way and runs it (repeat: make -C native OUT=DIR DIR/NAME)."""
    target = folder / build
    made = subprocess.run(
        ["make", "-s", "-C", str(NATIVE), f"OUT={folder}", str(target)], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stdout + made.stderr
    done = subprocess.run(
        [*runner, str(target), str(folder / "tables"), str(folder / "tape")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def has_fma() -> bool:
    info = Path("/proc/cpuinfo")
    return info.exists() and " fma " in info.read_text()


def test_the_runner_sees_what_the_engine_said(files: tuple[Path, int, int]) -> None:
    """The plain build replays as many events and snapshots as the drive had, some of them events."""
    folder, events, snapshots = files
    assert events > 0
    assert replayed(folder, "replay").split(" ", 1)[1] == f"events {events} snapshots {snapshots}"


@pytest.mark.parametrize("build", ["replay-fma", "replay-nofma", "replay-clang"])
def test_other_builds_agree(files: tuple[Path, int, int], build: str) -> None:
    """With fused multiply-add allowed to the compiler, without AVX at all, and by clang: equal to the bit."""
    if build == "replay-fma" and not has_fma():
        pytest.skip("this processor has no FMA")
    if "clang" in build and not shutil.which("clang"):
        pytest.skip("clang is missing: apt-get install clang")
    assert replayed(files[0], build) == replayed(files[0], "replay")


def test_aarch64_agrees(files: tuple[Path, int, int]) -> None:
    """The same tape on aarch64 (emulated) gives the same bits as here."""
    for tool, package in (
        ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
        ("qemu-aarch64-static", "qemu-user-static"),
    ):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is missing: apt-get install {package}")
    assert replayed(files[0], "replay-aarch64", "qemu-aarch64-static") == replayed(files[0], "replay")
