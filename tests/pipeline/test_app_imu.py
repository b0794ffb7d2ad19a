"""An inertial sensor of the terminal's own: through the running daemon, and from a recording."""

from __future__ import annotations

import json
import math
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from outrider.app.control import ask
from outrider.app.daemon import Daemon
from outrider.clock import SystemClock
from outrider.config import load_config
from outrider.errors import LinkError
from tests.support.iio import ACC_SCALES, G0, FakeIio
from tests.support.terminal import outrider, wait_until

HEAD = "utc_us,ax_mps2,ay_mps2,az_mps2,gx_radps,gy_radps,gz_radps"
UTC = 1_800_000_000_000_000
PULSE_S = 0.1
PEAK = 12 * G0  # a haversine of 0.1 s: 21 km/h
CONFIG = """
[terminal]
data_directory = "{folder}/data"
control_socket = "{folder}/control.sock"
[imu]
device = "lsm6dso"
rate_hz = 104
watermark_ms = 10
sysfs = "{folder}/iio/sysfs"
dev = "{folder}/iio/dev"
"""


def push(t: float) -> float:
    """Horizontal acceleration t seconds after contact, m/s2."""
    return -PEAK * math.sin(math.pi * t / PULSE_S) ** 2 if 0 <= t < PULSE_S else 0.0


def test_a_recorded_pulse_is_a_crash(tmp_path: Path) -> None:
    """A file of the sensor alone: no bus, no receiver; the crash is found and its change of velocity measured."""
    rows = [f"{UTC + n * 10_000},{push(n / 100 - 5):.3f},0.02,{G0},0,0,0" for n in range(2000)]
    (tmp_path / "imu.csv").write_text("\n".join([HEAD, *rows, ""]))
    done = subprocess.run(
        outrider("replay", tmp_path / "imu.csv", "--json"), capture_output=True, check=True, timeout=120
    )
    documents = [json.loads(line) for line in done.stdout.splitlines()]
    crashes = [d for d in documents if d.get("kind") == "crash"]
    assert crashes
    true_kmh = PEAK * PULSE_S / 2 * 3.6
    assert abs(crashes[-1]["dv_kmh"] - true_kmh) < 0.05 * true_kmh
    assert crashes[-1]["t0_us"] // 10_000 - 1_000_000 // 10_000 in range(500, 505)
    assert documents[-1]["crashes"] == 1


@contextmanager
def running(folder: Path) -> Iterator[None]:
    """The daemon, in this process."""
    file = folder / "outrider.toml"
    file.write_text(CONFIG.format(folder=folder), encoding="utf-8")
    stop = threading.Event()
    failed: list[Exception] = []

    def run() -> None:
        try:
            Daemon(load_config(file), folder, SystemClock()).run(stop)
        except Exception as err:  # noqa: BLE001  # any; told by the assertion below
            failed.append(err)

    owner = threading.Thread(target=run)
    owner.start()
    try:
        yield
    finally:
        stop.set()
        owner.join(60)
    assert not failed


def test_the_running_daemon_feels_a_crash(tmp_path: Path) -> None:
    """Scans through the character device in real time: the sensor shows in the status, the crash among the events."""

    def status() -> dict[str, Any]:
        try:
            return ask(tmp_path / "control.sock", "status")
        except LinkError:
            return {"sources": [], "events": []}

    def crash() -> list[dict[str, Any]]:
        return [event for event in status()["events"] if event["kind"] == "crash"]

    with FakeIio(tmp_path / "iio") as iio:
        iio.add("lsm6dso")
        with running(tmp_path):
            wait_until("the sensor is up", lambda: [s["state"] for s in status()["sources"]] == ["up"])
            step, scale = 9_615_385, ACC_SCALES[16]
            t = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            start = t
            while not (t - start > 2_600_000_000 and crash()):
                assert t - start < 60_000_000_000
                x = push((t - start) / 1e9 - 2.0)
                iio.write("lsm6dso", [((round(x / scale), 5, round(G0 / scale), 0, 0, 0), t)])
                t += step
                time.sleep(max(0.0, (t - time.clock_gettime_ns(time.CLOCK_BOOTTIME)) / 1e9))  # a sensor has a rate
            (event,) = crash()[:1]
            assert abs(event["t0_us"] - (start / 1000 + 2_000_000)) < 60_000
            (source,) = status()["sources"]
    assert source["name"] == "imu:lsm6dso"
    assert source["samples"] >= 250
