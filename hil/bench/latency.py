"""From the triggering sample to the application acknowledgement, over a loopback broker, every part a process.

Several terminals drive the same simulated drive again and again, a share of the period apart, and crash each time. Two
clocks, both CLOCK_BOOTTIME of this machine but read by nobody in the product: the player's, which knows when the sample
that told the crash was due on the bus (its own lateness counts as latency), and that of a subscriber here, which notes
when the crash record, and then the receiver's acknowledgement of it, came out of the broker. A record is sent only
after its commit on flash, so its coming out of the broker is an upper bound of the commit.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import paho.mqtt.client as mqtt

from hil.rig.patience import Patience
from hil.rig.terminal import Terminal
from outrider.engine import Player, open_can, open_unix
from outrider.model.event import Event, Phase
from outrider.model.frame import FRAME, FrameBatch
from outrider.model.record import Kind, Lane
from outrider.wire.ack import verify_ack
from outrider.wire.bodies import decode_body
from outrider.wire.codec import decode_batch
from outrider.wire.topics import parse
from tests.support.broker import Broker
from tests.support.crash_drive import CrashDrive, crash_drive
from tests.support.terminal import KEY, outrider

IMU_ID: Final = 0x1A0
PERIOD_S: Final = 21.0  # a crash is confirmed for 10 s and rests for 10 s; then the detector is armed anew
LEAD_S: Final = 2.0
TAIL_S: Final = 30.0  # bench seconds to wait for the last acknowledgement
# As customers have it; the rig's other tests use shorter times.
CUSTOMER: Final = {"journal": {"telemetry_commit_s": 10.0, "event_commit_s": 1.0, "telemetry_segment_kib": 1024}}


def boot_us() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


@dataclass
class Crash:
    """One crash record as the subscriber saw it; times on CLOCK_BOOTTIME in microseconds."""

    seq: int
    epoch: int
    t_detect_us: int
    arrived_us: int
    acked_us: int | None = None


class Listener:
    """Subscribes to events and acknowledgements of all terminals and notes when they come."""

    def __init__(self, port: int) -> None:
        self.crashes: dict[str, list[Crash]] = {}
        self.lock = threading.Lock()
        self._ready = threading.Event()
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="bench")
        self._client.on_message = self._note
        self._client.on_subscribe = lambda *_args: self._ready.set()
        self._client.connect("127.0.0.1", port)
        self._client.subscribe([("t/+/e", 0), ("t/+/a", 0)])
        self._client.loop_start()
        assert self._ready.wait(60), "the broker does not answer"

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def acknowledged(self) -> int:
        with self.lock:
            return sum(c.acked_us is not None for crashes in self.crashes.values() for c in crashes)

    def _note(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        now = boot_us()
        device, leaf = parse(message.topic)
        with self.lock:
            if leaf == "a":
                self._acknowledged(device, message.payload, now)
            else:
                self._records(device, message.payload, now)

    def _records(self, device: str, payload: bytes, now: int) -> None:
        batch = decode_batch(payload)
        for stored in batch.records if batch.lane is Lane.EMERGENCY else ():
            event = decode_body(stored.record.kind, stored.record.body) if stored.record.kind is Kind.EVENT else None
            if isinstance(event, Event) and event.phase is Phase.SUSPECT:
                known = self.crashes.setdefault(device, [])
                if all((c.epoch, c.seq) != (batch.epoch, stored.seq) for c in known):
                    known.append(Crash(stored.seq, batch.epoch, event.t_detect_us, now))

    def _acknowledged(self, device: str, payload: bytes, now: int) -> None:
        for position in verify_ack(payload, bytes.fromhex(KEY), device).positions:
            for crash in self.crashes.get(device, []):
                same = position.lane is Lane.EMERGENCY and position.epoch == crash.epoch
                if crash.acked_us is None and same and crash.seq <= position.up_to_seq:
                    crash.acked_us = now


@contextmanager
def receiver(folder: Path, port: int, devices: Sequence[str]) -> Iterator[None]:
    """``outrider ingest`` for these terminals."""
    keys = folder / "keys.toml"
    keys.write_text("[devices]\n" + "".join(f'{d} = "{KEY}"\n' for d in devices), encoding="ascii")
    arguments = ("--broker", f"127.0.0.1:{port}", "--db", folder / "received.sqlite", "--key-file", keys)
    with (folder / "receiver.log").open("wb") as log:
        process = subprocess.Popen(outrider("ingest", "--json", *arguments), stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def drives(drive: CrashDrive, terminals: int, rounds: int) -> FrameBatch:
    """All terminals' frames in one time line: bus k is terminal k, k/terminals of a period later."""
    rows: list[tuple[int, bytes]] = []
    for bus in range(terminals):
        for number in range(rounds):
            at_us = round((number + bus / terminals) * PERIOD_S * 1e6)
            raw = drive.batch(0, 1 << 60, at_us, bus).buffer
            rows += [(FRAME.unpack_from(raw, i)[0], bytes(raw[i : i + FRAME.size])) for i in range(0, len(raw), 80)]
    rows.sort(key=lambda row: row[0])
    batch = FrameBatch()
    batch.extend_raw(b"".join(raw for _t, raw in rows))
    return batch


@contextmanager
def in_real_time() -> Iterator[None]:
    """This thread before all others, where the system allows it: a late sender would be counted as a late terminal."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)


def due_us(drive: CrashDrive, start_us: int, terminal: int, terminals: int, detected_us: int) -> int | None:
    """When the inertial sample of ``detected_us`` was due on the bus; None when no sample was anywhere near."""
    times = [t for t, frame in drive.frames if frame.frame_id == IMU_ID]
    inside = (detected_us - start_us - round(terminal / terminals * PERIOD_S * 1e6)) % round(PERIOD_S * 1e6)
    before = [t for t in times if t <= inside + 500]  # the stamp is the kernel's, the due time the plan's
    if not before or inside - before[-1] > 200_000:
        return None
    return detected_us - inside + before[-1]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Milliseconds: median, 99th percentile (nearest rank), worst."""
    ordered = sorted(values)
    rank = max(0, -(-99 * len(ordered) // 100) - 1)
    return {
        "p50_ms": round(statistics.median(ordered), 1),
        "p99_ms": round(ordered[rank], 1),
        "max_ms": round(ordered[-1], 1),
    }


def measure(
    crashes: int, channels: Sequence[str], log: Callable[[str], None], patience: Patience | None = None
) -> dict[str, Any]:
    """``crashes`` in all, shared by one terminal for each channel (an interface, or the path of a Unix bus)."""
    wait = patience or Patience.of_this_machine()
    drive, terminals = crash_drive(), len(channels)
    rounds = -(-crashes // terminals)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="latency")))
        broker = Broker(folder)
        stack.callback(broker.kill)
        devices = [f"L{n}" for n in range(terminals)]
        stack.enter_context(receiver(folder, broker.port, devices))
        listener = Listener(broker.port)
        stack.callback(listener.close)
        for device, channel in zip(devices, channels, strict=True):
            bus = {"interface": "unix" if "/" in channel else "socketcan", "channel": channel, "fd": True}
            box = Terminal(folder / device, wait, can=[bus], broker_port=broker.port, config=CUSTOMER, device=device)
            stack.callback(box.stop)
            box.start()
            box.wait("connected", lambda box=box: box.status()["uplink"]["connected"])  # type: ignore[misc]  # its own
        log(f"{terminals} terminals up; {rounds * PERIOD_S:.0f} s of driving")
        socks = [open_unix(c) if "/" in c else open_can(c) for c in channels]
        for sock in socks:
            stack.callback(sock.close)
        player = stack.enter_context(Player({n: s.fileno() for n, s in enumerate(socks)}))
        batch = drives(drive, terminals, rounds)
        start_us = boot_us() + round(LEAD_S * 1e6)
        player.start(start_us, 0)
        with in_real_time():
            sent = player.play(batch)
        wanted, deadline = rounds * terminals, time.monotonic() + wait.bound_s(TAIL_S)
        while listener.acknowledged() < wanted and time.monotonic() < deadline:
            time.sleep(0.1)
        return {"played": wanted} | report(drive, start_us, listener, devices, sent.late_p99_us)


def report(
    drive: CrashDrive, start_us: int, listener: Listener, devices: Sequence[str], late_p99_us: int
) -> dict[str, Any]:
    """Latencies of all crashes. without_a_sample: told at a time when no sample was on the bus (a stretched pulse)."""
    to_record, to_ack, stamped, untold, unacknowledged = [], [], [], 0, 0
    for number, device in enumerate(devices):
        for crash in listener.crashes.get(device, []):
            due = due_us(drive, start_us, number, len(devices), crash.t_detect_us)
            unacknowledged += crash.acked_us is None
            untold += due is None
            if due is None or crash.acked_us is None:
                continue
            stamped.append((crash.t_detect_us - due) / 1000)
            to_record.append((crash.arrived_us - due) / 1000)
            to_ack.append((crash.acked_us - due) / 1000)
    return {
        "crashes": len(to_ack),
        "without_a_sample": untold,
        "unacknowledged": unacknowledged,
        "terminals": len(devices),
        "sample_to_its_stamp": spread(stamped),
        "sample_to_record_committed_and_sent": spread(to_record),
        "sample_to_acknowledgement": spread(to_ack),
        "player_late_p99_ms": round(late_p99_us / 1000, 2),
        "load_average": round(os.getloadavg()[0], 1),
    }
