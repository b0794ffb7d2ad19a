"""The detector is a pure function of its input: the same bits on every CPU and from every compiler."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.native import motion_harness as mh

RUNNER = Path(__file__).parent / "motion_runner.c"


def stream() -> mh.Samples:
    """Half an hour of everything at once: driving, bends, noise, two crashes, silence."""
    rng = np.random.default_rng(7)
    t = np.arange(0, 600, 0.01)
    long = 2.0 * np.sin(t / 7) + 1.5 * np.sin(t / 2.3)
    yaw = 0.25 * np.sin(t / 11)
    v = np.maximum(0, 15 + np.cumsum(long) * 0.01 - np.mean(np.cumsum(long) * 0.01))
    body = np.stack([long, v * yaw, np.full_like(t, mh.G)], axis=1) + rng.normal(0, 0.3, (len(t), 3))
    for at in (200.0, 450.0):
        body[(t > at) & (t < at + 0.1), 0] -= 150
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    gyro = np.stack([0 * t, 0 * t, yaw], axis=1) + rng.normal(0, 0.01, (len(t), 3))
    ts = np.arange(0, 600, 0.5)
    return mh.merge(
        mh.imu(t, body @ turn.T, gyro @ (turn * np.linalg.det(turn)).T),
        mh.scalar(mh.SPEED, ts, np.interp(ts, t, v), mh.CAN, res=0.01),
        mh.gnss(ts + 0.1, np.interp(ts, t, v), (0.5 * np.sin(ts / 11)) % (2 * np.pi)),
        mh.ticks(0, 600, 550),
    )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("motion") / "samples.bin"
    path.write_bytes(stream().tobytes())
    return path


def run(binary: Path, samples: Path, *emulator: str) -> str:
    return subprocess.run([*emulator, str(binary), str(samples)], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def plain(recorded: Path) -> str:
    out = run(mh.build(out="runner", sources=[RUNNER]), recorded)
    assert "kind=1 " in out, "the stream has to contain a crash, or the comparison is empty"
    assert "mount=2" in out, "and an alignment"
    return out


def test_fused_multiply_add_changes_nothing(recorded: Path, plain: str) -> None:
    """With the FMA instructions at the compiler's disposal every event keeps every bit."""
    cpu = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    if " fma " not in cpu:
        pytest.skip("this CPU has no FMA instructions")
    assert run(mh.build("-mfma", "-O3", out="runner-fma", sources=[RUNNER]), recorded) == plain


def test_another_compiler_agrees(recorded: Path, plain: str) -> None:
    """clang and gcc produce detectors that agree to the bit."""
    clang = shutil.which("clang")
    if not clang:
        pytest.skip("install clang: apt-get install clang")
    assert run(mh.build(out="runner-clang", cc=clang, sources=[RUNNER]), recorded) == plain


def test_aarch64_agrees(recorded: Path, plain: str) -> None:
    """The terminal's CPU agrees with the workstation's to the bit."""
    cross, emulator = shutil.which("aarch64-linux-gnu-gcc"), shutil.which("qemu-aarch64-static")
    if not cross or not emulator:
        pytest.skip(
            "install the cross tools: apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static"
        )
    binary = mh.build("-static", out="runner-arm", cc=cross, sources=[RUNNER])
    assert run(binary, recorded, emulator) == plain


def test_memory_is_clean(recorded: Path, plain: str) -> None:
    """Under AddressSanitizer and UBSan the same stream runs without a word and with the same answer."""
    flags = ("-g", "-O1", "-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all")
    binary = mh.build(*flags, out="runner-san", sources=[RUNNER])
    assert run(binary, recorded) == plain
    absurd = np.array([np.nan, np.inf, -np.inf, -1e-30, -0.5, -7.5, 255.5, 1e30, -1e30, 3e38], np.float32)
    kind, res, value = (each.ravel() for each in np.meshgrid(np.arange(1, 12), absurd, absurd, indexing="ij"))
    odd = np.zeros(len(kind), mh.SAMPLE)
    odd["t_us"], odd["q"] = np.arange(len(odd)) * 1000, mh.VALID
    odd["kind"], odd["src"], odd["res"], odd["x"] = kind, mh.GNSS_SERIAL, res, value[:, None]
    whole = recorded.parent / "absurd.bin"
    whole.write_bytes(odd.tobytes())
    assert "distance=" in run(binary, whole), "whatever the numbers are, nothing is done that C leaves undefined"
