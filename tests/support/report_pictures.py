"""Makes the pictures of crash reports in ``docs/images``: a simulated crash, and a recorded pulse in a real drive.

    .venv/bin/python tests/support/report_pictures.py [--work DIR]

Needs chromium, Pillow and the recordings (OUTRIDER_DATA, default ``../shared/data``). The pulse is that of a car's own
recorder (NHTSA CISS, US government data), added to the raw IMU frames of a drive (CSS Electronics, MIT) along the car's
axes, cut off at the sensor's range and step, and replayed through the product as any CAN log.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("OUTRIDER_DATA", ROOT.parent / "shared" / "data"))
sys.path.insert(0, str(ROOT / "daemon"))

from outrider.app.evaluate import read_frames  # noqa: E402  # the checkout's own
from outrider.evaluate.canmod import FRAME, drive_of  # noqa: E402  # same

IMU_ID, STEP, OFFSET = 9, 0.125, -64.0
Array = npt.NDArray[np.float64]


def outrider(*arguments: object) -> None:
    command = [sys.executable, "-m", "outrider", *map(str, arguments)]
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT / "daemon")}
    )


def pulse_of(path: Path) -> tuple[Array, Array]:
    """Times [s] and delta-V (long, lat) [m/s] of a car's own recorder."""
    channels = json.loads(path.read_text(encoding="utf-8"))["channels"]
    curves = []
    for name in ("delta_v_long", "delta_v_lat"):
        channel: dict[str, Any] = channels.get(name) or {"t": [0.0], "v": [0.0]}
        curves.append((np.asarray(channel["t"], dtype=float), np.asarray(channel["v"], dtype=float) / 3.6))
    t = np.arange(-0.02, 0.32, 0.001)
    return t, np.stack([np.interp(t, *curve) for curve in curves], axis=1)


def inject(frames: npt.NDArray[Any], at_us: int, pulse: tuple[Array, Array], forward: Array, up: Array) -> None:
    """Adds the pulse to the IMU frames in place: mean acceleration over each sample's own interval."""
    mine = np.flatnonzero((frames["id"] == IMU_ID) & (np.abs(frames["t_us"] - at_us) < 1_000_000))
    t = (frames["t_us"][mine] - at_us) / 1e6
    edges = np.concatenate([[t[0] - 0.005], (t[1:] + t[:-1]) / 2, [t[-1] + 0.005]])
    course = np.stack([np.interp(edges, pulse[0], pulse[1][:, k]) for k in range(2)], axis=1)
    push = np.diff(course, axis=0) / np.diff(edges)[:, None]
    felt = push[:, :1] * forward + push[:, 1:] * np.cross(up, forward)
    for row, more in zip(mine, felt, strict=True):
        raw = int.from_bytes(frames["data"][row, :8].tobytes(), "little")
        for axis in range(3):
            shift = 1 + 10 * axis
            old = ((raw >> shift) & 1023) * STEP + OFFSET
            new = int(np.clip(round((old + more[axis] - OFFSET) / STEP), 0, 1023))
            raw = raw & ~(1023 << shift) | new << shift
        frames["data"][row, :8] = np.frombuffer(raw.to_bytes(8, "little"), dtype=np.uint8)


def candump(frames: npt.NDArray[Any], path: Path) -> None:
    with path.open("w", encoding="ascii") as file:
        for one in frames:
            data = one["data"][: one["len"]].tobytes().hex().upper()
            number = f"{one['id']:03X}" if one["id"] < 0x800 else f"{one['id'] & 0x1FFFFFFF:08X}"
            file.write(f"({one['t_us'] / 1e6:.6f}) can0 {number}#{data}\n")


def replayed(log: Path, journal: Path, package: Path) -> dict[str, Any]:
    """The newest crash of a drive with a CANmod: its package is written, its document comes back."""
    shutil.rmtree(journal, ignore_errors=True)
    dbc = ("--dbc", DATA / "canedge" / "canmod-gps.dbc")
    outrider("replay", log, "--profile", "canmod", "--profile", "obd2", *dbc, "--journal", journal)
    outrider("crash", "export", "--journal", journal, "-o", package)
    shutil.rmtree(package.with_suffix(""), ignore_errors=True)
    shutil.unpack_archive(package, package.with_suffix(""))
    document: dict[str, Any] = json.loads((package.with_suffix("") / "document.json").read_text(encoding="utf-8"))
    return document


def drive_with_pulse(work: Path, pulse_name: str, at_s: float) -> Path:
    """Twice: the first run tells how the sensor sits in the car, the second has the pulse along the car's axes."""
    frames = np.frombuffer(read_frames(DATA / "canedge" / "164" / "00000003-60FE43B2.MF4"), dtype=FRAME)
    pulse = pulse_of(DATA / "ciss-edr" / f"{pulse_name}.json")
    drive = drive_of(frames.tobytes(), pulse_name, "")
    assert drive is not None
    up = np.mean(drive.sound_imu[:, 1:4], axis=0)
    up /= np.linalg.norm(up)
    forward = np.cross(up, [0.0, 0.0, 1.0])  # somewhere in the horizontal plane, for the first run
    package = work / f"{pulse_name}.zip"
    for _ in range(2):
        changed = frames.copy()
        inject(changed, int(frames["t_us"][0] + at_s * 1e6), pulse, forward, up)
        candump(changed, work / "drive.log")
        calibration = replayed(work / "drive.log", work / "journal", package)["calibration"]
        up, forward = np.asarray(calibration["up"]), np.asarray(calibration["forward"])
    return package


def simulated(work: Path) -> Path:
    """The simulated city drive that ends in a frontal crash at 62 km/h."""
    outrider("sim", "drive", "city-crash", "-o", work / "city")
    journal, package = work / "city-journal", work / "city.zip"
    shutil.rmtree(journal, ignore_errors=True)
    log, nmea = work / "city" / "can.log", work / "city" / "gnss.nmea"
    outrider("replay", log, nmea, "--profile", "simcar", "--journal", journal)
    outrider("crash", "export", "--journal", journal, "-o", package)
    return package


def photograph(page: Path, picture: Path, width: int, height: int) -> None:
    """The top of a page as PNG of few colours."""
    browser = shutil.which("chromium") or shutil.which("google-chrome") or "chromium"
    shot = picture.with_suffix(".part.png")
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
        f"--window-size={width},{height}", f"--screenshot={shot}", page.as_uri(),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    with Image.open(shot) as image:
        image.convert("RGB").quantize(128).save(picture, optimize=True)
    shot.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "report-pictures")
    work: Path = parser.parse_args().work
    work.mkdir(parents=True, exist_ok=True)
    for name, package in (
        ("simulated", simulated(work)),
        ("injected", drive_with_pulse(work, "ciss_2022_26540_v1", 161.0)),
    ):
        page = work / f"{name}.html"
        outrider("crash", "report", package, "-o", page)
        photograph(page, ROOT / "docs" / "images" / f"crash-report-{name}.png", 960, 2550)


if __name__ == "__main__":
    main()
