"""Bytes on the wire, all in: uplink, mosquitto over TLS 1.3 and receiver on loopback. Prints one JSON document.

    PYTHONPATH=daemon python tests/bench/bench_uplink_wire.py

Rows are those of telemetry-hour at one a second, played faster than they were; paho's clock, which its keep-alive goes
by, is as fast. Batches and acknowledgements keep their real times, so nothing melts together that would not.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from drives import telemetry_hour  # noqa: E402  after the path of the support modules
from wire_meter import Wire, WireMeter  # noqa: E402  same

from outrider.clock import SystemClock  # noqa: E402  same
from outrider.model.beacon import Beacon  # noqa: E402  same
from outrider.model.record import SignalSpec, SignalTable  # noqa: E402  same
from outrider.uplink import dial_io  # noqa: E402  same
from outrider.uplink.options import SendOptions, TlsOptions, UplinkOptions  # noqa: E402  same
from outrider.uplink.session_io import Uplink  # noqa: E402  same
from outrider.uplink.usage import Reading  # noqa: E402  same
from outrider.wire.beacon import encode_beacon  # noqa: E402  same
from outrider.wire.birth import Birth  # noqa: E402  same
from tests.support.broker import Broker, free_port  # noqa: E402  same
from tests.support.memory_log import MemoryLog  # noqa: E402  same
from tests.support.terminal import KEY, receiver_process  # noqa: E402  same

DEVICE = "veh-000123"
SEGMENT_BYTES = 1360  # what a mobile network carries in one packet
MONTH_HOURS = 22 * 8
PARKED_HOURS = 730 - MONTH_HOURS
CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


@dataclass(frozen=True)
class Course:
    """rows: how many, every ``every_s``; records: of a batch; speed: times as fast as time."""

    rows: int
    records: int
    speed: float
    every_s: float = 1.0

    @property
    def beacons(self) -> int:
        """One every five seconds."""
        return round(self.rows * self.every_s / 5)


COURSES = {
    "watched, 10 s": Course(600, 10, 40.0),
    "moving, 60 s": Course(2400, 60, 40.0),
    "moving, with beacons": Course(900, 60, 30.0),
    "low, 300 s": Course(3600, 300, 160.0),
    "parked, 900 s": Course(60, 15, 240.0, every_s=60.0),
}


def certificates(place: Path) -> None:
    """An authority, a broker and a terminal, P-256."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=place, check=True, capture_output=True)

    openssl("req", "-x509", *CURVE, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Bench CA", "-days", "9")
    for name, subject, extra in (("broker", "localhost", "subjectAltName=IP:127.0.0.1"), ("device", DEVICE, "")):
        openssl("req", *CURVE, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={subject}")
        (place / f"{name}.ext").write_text(extra + "\n", encoding="ascii")
        signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "9", "-extfile", f"{name}.ext"]
        openssl("x509", "-req", "-in", f"{name}.csr", *signing, "-out", f"{name}.pem")


def small_segments(sock: socket.socket, address: tuple[str, int]) -> socket.socket:
    """Connects over a network of small packets."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_BYTES)
    sock.connect(address)
    return sock


class Terminal:
    """An uplink with a log in memory; ``carried`` is what the wire saw since it was made."""

    def __init__(self, port: int, place: Path, meter: WireMeter | None, course: Course) -> None:
        self.log = MemoryLog(random.getrandbits(64))  # the receiver knows it from no course before
        self._meter = meter
        specs = [SignalSpec(n, f"Vehicle.Signal{n}", "", s) for n, s in enumerate(telemetry_hour()[0].steps)]
        table = SignalTable(tuple(specs))
        tls = TlsOptions(place / "ca.pem", place / "device.pem", place / "device.key")
        send = SendOptions(batch_records=course.records, batch_age_s=30.0)
        options = UplinkOptions("127.0.0.1", port, DEVICE, ack_key=bytes.fromhex(KEY), tls=tls, send=send)
        birth = lambda: Birth(DEVICE, 99, "bench", table, online=True, boot_id=7, epoch=self.log.epoch)  # noqa: E731  one use
        self.uplink = Uplink(self.log, options, SystemClock(), birth)
        self._begin = Wire() if meter is None else meter.wire()

    def carried(self) -> tuple[Wire | None, Reading]:
        status = self.uplink.status()
        wire = None if self._meter is None else self._meter.wire() - self._begin
        return wire, Reading(status.sent_bytes, status.received_bytes)

    def settle(self) -> None:
        """Until nothing is in the air: PUBACKs are in, and no packet has passed for half a second."""
        deadline, before, since = time.monotonic() + 60, -1, time.monotonic()
        while time.monotonic() < deadline and time.monotonic() - since < 0.5:
            status = self.uplink.status()
            now = status.sent_bytes.get("link", 0) + status.received_bytes.get("link", 0) + status.in_flight_messages
            if now != before or not status.connected or status.counters.get("pubacks", 0) < 1:
                before, since = now, time.monotonic()
            time.sleep(0.02)


@contextlib.contextmanager
def sped_up(uplink: Uplink, speed: float) -> Iterator[None]:
    """paho's clock runs faster, and the sending thread looks at it often enough."""
    begin, real = time.monotonic(), paho.mqtt.client.time_func
    stop = threading.Event()

    def awake() -> None:
        while not stop.wait(0.01):
            uplink._wake()

    thread = threading.Thread(target=awake, daemon=True)
    paho.mqtt.client.time_func = lambda: begin + (time.monotonic() - begin) * speed
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        paho.mqtt.client.time_func = real


def difference(after: tuple[Wire | None, Reading], before: tuple[Wire | None, Reading]) -> dict[str, Any]:
    """Bytes on the wire, and as the terminal's own meter has them."""
    found = after[1].since(before[1])
    counted = sum(sum(pair) for name, pair in found.items() if name != "ip")
    headers = sum(found.get("ip", (0, 0)))
    out: dict[str, Any] = {"socket": counted, "metered": counted + headers if headers else None, "wire": None}
    if after[0] is not None and before[0] is not None:
        wire = after[0] - before[0]
        out["wire"], out["packets"] = wire.bytes, wire.packets_up + wire.packets_down
    out["by_class"] = {name: list(pair) for name, pair in found.items()}
    return out


def drive(terminal: Terminal, course: Course) -> None:
    """Rows at their pace; returns when all of them are acknowledged."""
    rows = [stored.record for one in telemetry_hour() for stored in one.stored][: course.rows]
    begin = time.monotonic()
    for number, record in enumerate(rows):
        due = begin + number * course.every_s / course.speed
        time.sleep(max(0.0, due - time.monotonic()))
        terminal.log.append(record)
    if not terminal.log.wait_acknowledged(60):
        raise SystemExit("not everything was acknowledged within a minute")


def fast(terminal: Terminal, course: Course) -> None:
    """The same, with a beacon every five seconds."""
    stop = threading.Event()

    def send() -> None:
        number = 0
        while number < course.beacons:
            beacon = Beacon(
                interval_s=5, boot_id=7, t_us=10**9 + 5_000_000 * number, utc_us=1_790_000_000_000_000, lat_deg=31.3,
                lon_deg=121.5, hacc_m=2.5, speed_mps=33.3, heading_deg=129.4, signal_dbm=-97, decel_mps2=0.1,
            )  # fmt: skip
            terminal.uplink.send_beacon(encode_beacon(beacon))
            number += 1
            stop.wait(5.0 / course.speed)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    drive(terminal, course)
    thread.join()


def play(
    port: int, place: Path, meter: WireMeter | None, course: Course, what: Callable[[Terminal, Course], None]
) -> dict[str, Any]:
    """connect: bytes until the terminal is known; per: bytes for each row (or beacon) after that."""
    terminal = Terminal(port, place, meter, course)
    terminal.uplink.start()
    try:
        with sped_up(terminal.uplink, course.speed):
            start = (Wire() if meter is not None else None, Reading({}, {}))
            terminal.settle()
            connected = terminal.carried()
            what(terminal, course)
            end = terminal.carried()
    finally:
        terminal.uplink.stop(1.0)
    counters = terminal.uplink.status().counters
    if counters.get("connects") != 1 or counters.get("ack_timeouts") or counters.get("puback_timeouts"):
        raise SystemExit(f"not an ordinary course: {counters}")
    return {"connect": difference(connected, start), "course": difference(end, connected), "rows": course.rows}


def all_in(found: dict[str, Any], part: str = "course") -> float:
    value = found[part]["wire"] or found[part]["metered"] or found[part]["socket"]
    return float(value)


def where(name: str, one: dict[str, Any]) -> dict[str, Any]:
    """Bytes of each class, as the terminal's own meter has them."""
    classes = ("telemetry", "beacon", "puback", "ack", "ping", "rest", "ip")
    found = one["course"]["by_class"]
    return {"plan": name} | {kind: round(sum(found.get(kind, (0, 0))) / one["rows"], 2) for kind in classes}


def summary(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    tables = []
    for name, one in found.items():
        rows, course = one["rows"], COURSES[name]
        hours = rows * course.every_s / 3600
        per = all_in(one) / rows
        month = (PARKED_HOURS if name.startswith("parked") else MONTH_HOURS) * (
            all_in(one) / hours + (0 if name.startswith("parked") else all_in(one, "connect") / 2)
        )
        payload = one["course"]["by_class"]["telemetry"][0] / rows
        tables.append(
            {
                "plan": name,
                "MQTT packets, B a record": round(payload, 2),
                "all in, B a record": round(per, 2),
                "with a connection each 2 hours": None
                if name.startswith("parked")
                else round(per + all_in(one, "connect") / 7200 * course.every_s, 2),
                "own meter, B a record": round(one["course"]["metered"] / rows, 2)
                if one["course"]["metered"]
                else None,
                "MB a month": round(month / 1e6, 1),
            }
        )
    moving, quick = found["moving, 60 s"], found["moving, with beacons"]
    more = all_in(quick) - all_in(moving) / moving["rows"] * quick["rows"]
    per_beacon = more / COURSES["moving, with beacons"].beacons
    return {
        "tables": {
            "Plans: driving 22 days of 8 hours with a connection each two hours; parked the rest of the month": tables
        },
        "connection_bytes": round(all_in(found["moving, 60 s"], "connect")),
        "beacon_bytes": round(per_beacon, 1),
        "beacon_mb_a_month_always_fast": round(per_beacon * MONTH_HOURS * 720 / 1e6, 1),
        "measured_with": "packet socket" if moving["course"]["wire"] else "the terminal's own meter",
    }


@contextlib.contextmanager
def metered(port: int) -> Iterator[WireMeter | None]:
    try:
        meter = WireMeter(port)
    except PermissionError:
        print("no right to a packet socket: the terminal's own meter is shown", file=sys.stderr)
        yield None
        return
    with meter:
        yield meter


def two_listeners(place: Path, inside: int, listener: str) -> Broker:
    """For terminals over TLS, for the receiver without; the port that the broker picks may be the other one."""
    for _ in range(3):
        with contextlib.suppress(RuntimeError):
            return Broker(place, f"listener {inside} 127.0.0.1", listener=listener)
    raise SystemExit("mosquitto does not start")


def main() -> int:
    if not telemetry_hour():
        print("telemetry-hour is missing: set OUTRIDER_DATA to the folder with the recordings", file=sys.stderr)
        return 2
    dial_io._straight = small_segments  # as a mobile network would
    with tempfile.TemporaryDirectory() as folder:
        place, inside = Path(folder), free_port()
        certificates(place)
        files = (f"cafile {place}/ca.pem", f"certfile {place}/broker.pem", f"keyfile {place}/broker.key")
        listener = "\n".join([*files, "require_certificate true", "tls_version tlsv1.3"])
        broker = two_listeners(place, inside, listener)
        try:
            with receiver_process(place, inside, DEVICE) as receiver, metered(broker.port) as meter:
                for _ in range(600):
                    if "connect" in receiver.log() or '"connects":1' in receiver.log():
                        break
                    time.sleep(0.05)
                found = {
                    name: play(broker.port, place, meter, course, fast if "beacons" in name else drive)
                    for name, course in COURSES.items()
                }
        finally:
            broker.kill()
    print(json.dumps(summary(found), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
