"""123 km/h, then nothing: from the wheels of a simulated car to the line that `outrider ingest` prints."""

from __future__ import annotations

import json
import math
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pynmea2

from outrider.clock import SystemClock
from outrider.engine import open_unix
from outrider.sim.drive import generate
from outrider.sim.scenario_io import load_scenario
from outrider.sim.write_io import write_drive
from outrider.sources.drive_io import Drive, load_drive
from outrider.sources.playback_io import Playback
from tests.support.broker import Broker
from tests.support.live_drive import LiveTerminal, Vehicle, live_terminal
from tests.support.terminal import KEY, ReceiverProcess, outrider, receiver_process, wait_until

SPEED = 6
FAST_S = 36.0  # of the drive's end: 123 km/h
UPLINK = """
[uplink]
host = "127.0.0.1"
port = {port}
tls = false
ack_key_file = "ack.key"
"""
GROWS = ("radius_m", "cone_half_deg")  # with time
# A fleet of one has taught the receiver nothing of coverage, so it is told to believe less.
NEW_FLEET_SCORE = 1.5


def told(receiver: ReceiverProcess, kind: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in receiver.log().splitlines() if line.startswith("{")]
    return [line for line in lines if line["type"] == kind]


def play(box: LiveTerminal, drive: Drive) -> None:
    """The drive on the terminal's bus and line, to its end."""
    with ExitStack() as stack:
        sockets = {n: stack.enter_context(open_unix(box.folder / f"bus{n}.sock")) for n in drive.buses}
        fds = {n: sock.fileno() for n, sock in sockets.items()}
        playback = stack.enter_context(Playback(drive, fds, SystemClock(), gnss_fd=box.master, speed=SPEED))
        playback.start()
        assert playback.wait(60).complete


def last_place(drive: Drive) -> tuple[float, float]:
    """By the receiver's last sentence."""
    fixes = [pynmea2.parse(raw.decode()) for _t, raw in drive.sentences if b"RMC" in raw]
    return fixes[-1].latitude, fixes[-1].longitude


def metres(a: tuple[float, float], b: tuple[float, float]) -> float:
    north, east = (b[0] - a[0]) * 111_195, (b[1] - a[1]) * 111_195 * math.cos(math.radians(a[0]))
    return math.hypot(north, east)


def listed(receiver: ReceiverProcess, *options: str) -> list[dict[str, Any]]:
    """``outrider alarms --json``, beside the running receiver."""
    command = outrider("alarms", "--json", "--db", receiver.database, *options)
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_a_car_lost_at_123_is_told_with_its_place_and_cleared_when_heard_again(broker: Broker, tmp_path: Path) -> None:
    """The terminal loses its power between two beacons: within 15 s of the last one the receiver says where, how fast
    and which way, and why it thinks so; the car lies within the circle. When the terminal is heard again the alarm is
    cleared, and stays on record."""
    written = write_drive(generate(load_scenario("lost-at-123"), 1), tmp_path / "drive")
    assert written.can is not None
    assert written.nmea is not None
    whole = load_drive([written.can, written.nmea])
    drive = whole.part(whole.duration_us / 1e6 - FAST_S, whole.duration_us / 1e6)
    (tmp_path / "ack.key").write_text(KEY, encoding="ascii")
    score = ("--vanished-score", NEW_FLEET_SCORE)
    with (
        receiver_process(tmp_path, broker.port, "LIVE", *score) as receiver,
        live_terminal(tmp_path, Vehicle(["simcar"]), 1, SPEED, UPLINK.format(port=broker.port)) as box,
    ):
        box.wait_up()
        wait_until("connected", lambda: (box.status().get("uplink") or {}).get("connected"))
        play(box, drive)
        status = box.status()
        box.freeze()
        assert status["beacons"]["on"]
        counted = status["uplink"]["counters"]
        assert status["beacons"]["made"] == counted["beacons"] >= FAST_S / 5 - 1
        assert counted["pubacks"] <= counted["published"] + 1, "a beacon is no batch that a broker confirms"
        wait_until("the alarm", lambda: told(receiver, "vanished"))
        [alarm] = told(receiver, "vanished")
        assert alarm["raised_utc_us"] - alarm["since_utc_us"] < 15_000_000
        assert abs(alarm["speed_mps"] * 3.6 - 123) < 2
        assert abs(alarm["heading_deg"] - 82) < 5
        place = (alarm["place_lat_deg"], alarm["place_lon_deg"])
        assert metres(place, last_place(drive)) < alarm["place_radius_m"] < 300
        assert alarm["reasons"]
        [row] = listed(receiver, "--standing")
        assert {**row, "type": "vanished"}.items() >= {k: v for k, v in alarm.items() if k not in GROWS}.items()
        assert row["radius_m"] > alarm["radius_m"]
        assert [b["interval_s"] for b in row["beacons"]][-3:] == [5, 5, 5]
        box.thaw()
        wait_until("cleared", lambda: told(receiver, "cleared"))
        assert listed(receiver, "--standing") == []
        [row] = listed(receiver)
        assert row["cleared_reason"] == told(receiver, "cleared")[0]["reason"]
