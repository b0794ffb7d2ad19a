"""A crash, a supply that is cut, and what is on flash afterwards: a terminal simulated against a model of its flash.

The driving side (engine, pipeline) and the journal with its writer are the real ones. Modelled are time, which passes
for the owner in turns of 5 ms and for the writer while the flash works, and the flash: a sync costs its latency and the
bytes written since at the flash's speed. At the cut, a sync that had not returned leaves its writes in any state
(tests/support/powercut.py). The car: 33 s at 50 km/h, then a half-sine pulse of 25 g over 100 ms; T0 is its first
sample. With the supply the bus falls silent too; the terminal and its own IMU live on for the stored energy.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from outrider.app.intake import Intake
from outrider.app.pipeline import Pipeline
from outrider.engine import EngineOptions
from outrider.engine.convert import FIX, SAMPLE
from outrider.model.crash import CrashStage, CrashState
from outrider.model.event import Event
from outrider.model.evidence import EvidenceChunk, EvidencePart
from outrider.model.fix import Fix, FixType, ImuSample, PowerSample
from outrider.model.frame import FRAME, FrameBatch
from outrider.model.record import BootInfo, Kind, Lane
from outrider.model.vehicle import BitField, MessageDef, Role, SignalDef, Slot, VehicleTables
from outrider.ports import SourceItem
from outrider.record.journal import Journal
from outrider.record.options import JournalOptions
from outrider.record.storage_memory import MemoryStorage, Operation
from outrider.record.writer_io import JournalWriter, WriterOptions
from outrider.wire.bodies import decode_body
from outrider.wire.evidence import assemble
from tests.support.powercut import Disk

S = 1_000_000
TURN_US = 5_000
MERGE_US = 20_000
IMPACT_US = 34 * S
SIGNALS = 24  # of ten messages, each second to tenth of a second
CAR = VehicleTables(
    "cut",
    (
        MessageDef("SPEED", 0x100, False, 8, (SignalDef("speed", 0, BitField(0, 16), factor=0.01),)),
        *(
            MessageDef(f"M{n}", 0x100 + n, False, 8, (SignalDef(f"s{n}", n, BitField(0, 16)),))
            for n in range(1, SIGNALS)
        ),
    ),
    (Slot("Vehicle.Speed", "km/h", role=Role.SPEED), *(Slot(f"Vehicle.S{n}", "") for n in range(1, SIGNALS))),
)


@dataclass(frozen=True)
class Flash:
    """bytes_per_s: of writing; sync_us: latency of each fdatasync or fsync on top."""

    bytes_per_s: float = 8e6
    sync_us: int = 10_000


@dataclass(frozen=True)
class Case:
    """supply_us: when the supply goes, after the impact (None: never). holdup_ms: how long the terminal lives then."""

    supply_us: int | None
    holdup_ms: int
    frames_per_s: int = 2000
    imu_hz: int = 100
    flash: Flash = Flash()

    @property
    def dead_us(self) -> int:
        """Engine time at which nothing works any more."""
        return IMPACT_US + (3 * S if self.supply_us is None else self.supply_us + self.holdup_ms * 1000)


class SlowFlash(MemoryStorage):
    """``now_us`` goes on with each sync; ``done_us`` is when each operation of the log was on flash."""

    def __init__(self, flash: Flash) -> None:
        super().__init__()
        self._flash = flash
        self._dirty: dict[int, int] = {}
        self.now_us = 0
        self.done_us: list[int] = []

    def note(self, operation: Operation) -> None:
        if operation.kind == "write":
            self._dirty[operation.node] = self._dirty.get(operation.node, 0) + len(operation.data)
        elif operation.kind in ("sync", "sync_dir"):
            written = self._dirty.pop(operation.node, 0)
            self.now_us += self._flash.sync_us + round(written / self._flash.bytes_per_s * 1e6)
        super().note(operation)
        self.done_us.append(self.now_us)

    def boottime_us(self) -> int:
        """As the writer's clock."""
        return self.now_us

    def utc_us(self) -> int:
        return self.now_us

    def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody waits here")


@cache
def frames(per_s: int, until_us: int) -> FrameBatch:
    """From 1 s on, evenly spaced: slow values, counters and, in half of the bytes, noise: more than on a real bus."""
    rng = random.Random(5)
    batch = FrameBatch()
    step = S // per_s
    for n, t_us in enumerate(range(S, until_us, step)):
        kind = n % 64
        value = 5000 if kind == 0 else (n // 64 * 7) & 0xFFFF
        data = value.to_bytes(2, "little") + bytes((n // 64 & 15, 0)) + rng.randbytes(4)
        batch.append(t_us, 0x100 + kind, data)
    return batch


def acceleration(t_us: int) -> float:
    """Along the car, m/s2: the pulse has lasted 1 ms at the impact, so that T0 is there."""
    phase = (t_us - IMPACT_US) / 100_000
    return -25 * 9.80665 * math.sin(math.pi * phase) if 0 <= phase <= 1 else 0.0


@dataclass
class Run:
    """What the flash was asked to do, and when it was done."""

    flash: SlowFlash
    epoch: int
    slowest_turn_ms: float = 0.0  # of the owner, in real time
    trigger_us: int | None = None  # end of the turn in which the crash was suspected
    header_us: int | None = None  # the state at the trigger was on flash


class _Terminal:
    def __init__(self, case: Case, journal: Journal, flash: SlowFlash) -> None:
        self.case = case
        self.flash = flash
        options = WriterOptions(event_commit_s=1.0, telemetry_commit_s=10.0, telemetry_commit_moving_s=1.0)
        self.header_us: int | None = None
        self.writer = JournalWriter(journal, options, flash, on_durable=self._durable)
        self.writer.set_moving(True)
        boot = BootInfo("test", "motion", "cut", "start")
        engine = EngineOptions(imu_range_g=200.0)
        self.pipeline = Pipeline(CAR, Intake(self.writer, 7), boot, engine, holdup_ms=case.holdup_ms)

    def inputs(self) -> Iterator[tuple[int, SourceItem]]:
        """In turns of 5 ms; the supply is sampled each 10 ms."""
        case = self.case
        dark_us = case.dead_us if case.supply_us is None else IMPACT_US + case.supply_us
        bus, at = frames(case.frames_per_s, IMPACT_US + 3 * S), 0
        step = S // case.imu_hz
        for turn_us in range(S, case.dead_us, TURN_US):
            end = turn_us + TURN_US
            start = at
            while at < len(bus) and bus.t_us_at(at) < min(end, dark_us):
                at += 1
            if at > start:
                batch = FrameBatch()
                batch.extend_raw(bus.buffer[start * FRAME.size : at * FRAME.size])
                yield end, SourceItem(end, frames=batch)
            imu = [t for t in range(-(-turn_us // step) * step, end, step) if t < case.dead_us]
            if imu:
                yield end, SourceItem(end, imu=[ImuSample(t, (acceleration(t), 0.0, 9.81)) for t in imu])
            if turn_us % 100_000 == 0:
                fix = Fix(turn_us, FixType.FIX_3D, lat_deg=50.0, lon_deg=8.0, speed_mps=13.9, heading_deg=0.0)
                yield end, SourceItem(end, fix=fix)
            if turn_us % 10_000 == 0:
                volts = 13.8 if turn_us < dark_us else 5.0
                yield end, SourceItem(end, power=PowerSample(turn_us, supply_v=volts))

    def _durable(self, _epoch: int, lane: Lane, seq: int) -> None:
        """The suspicion and the state are the first two emergency records."""
        if lane is Lane.EMERGENCY and seq >= 2 and self.header_us is None:
            self.header_us = self.flash.now_us

    def write(self, now_us: int) -> None:
        """What the writer's thread does when it is woken and not at work."""
        if self.flash.now_us > now_us:
            return
        self.flash.now_us = now_us
        while self.writer._has_work() and self.flash.now_us < self.case.dead_us:
            entries = list(self.writer._queue)
            self.writer._queue.clear()
            self.writer._lost.clear()
            self.writer._records = 0
            self.writer._turn(entries, flushing=self.writer._flush_to > self.writer._settled)
            self.writer._settled = self.writer._flush_to
            break


def simulate(case: Case) -> Run:
    """The whole life of the terminal until it is dead."""
    flash = SlowFlash(case.flash)
    options = JournalOptions.sized(evidence_reserve_bytes=4 << 20)
    journal = Journal.open(flash, options, boot_id=7, rng=random.Random(1))
    flash.now_us = 0
    flash.done_us = [0] * len(flash.log)
    run = Run(flash, journal.epoch)
    terminal = _Terminal(case, journal, flash)
    last_us = 0
    with terminal.pipeline as pipeline:
        for now_us, item in terminal.inputs():
            if now_us != last_us and last_us:
                _turn(terminal, pipeline, last_us, run)
            last_us = now_us
            pipeline.offer(item)
        _turn(terminal, pipeline, last_us, run)
    return run


def _turn(terminal: _Terminal, pipeline: Pipeline, now_us: int, run: Run) -> None:
    begun = time.perf_counter()
    pipeline.advance(now_us - MERGE_US)
    run.slowest_turn_ms = max(run.slowest_turn_ms, (time.perf_counter() - begun) * 1e3)
    if run.trigger_us is None and pipeline.engine.recording:
        run.trigger_us = now_us
    if pipeline.engine.supply_fails():
        terminal.writer.hurry()
    terminal.write(now_us)
    run.header_us = terminal.header_us


@dataclass(frozen=True)
class Found:
    """What a package made of the flash would hold. Shares are of what there was, 0..1; after_us: up to when the newest
    of each lies behind T0 (0: nothing)."""

    stages: tuple[CrashStage, ...]
    telemetry_us: int  # newest row, against T0
    events: int
    before: dict[EvidencePart, float]
    after_us: dict[EvidencePart, int]
    missing: dict[EvidencePart, int]  # bytes of what the first state told to be there; negative: more has come since


def after_cut(run: Run, case: Case, seed: int = 1, dead_us: int | None = None) -> Found:
    """One of the states that the flash may be in, opened as at the next start. dead_us: earlier than the case says."""
    dead_us = case.dead_us if dead_us is None else dead_us
    rng = random.Random(f"{case}/{seed}/{dead_us}")
    disk = Disk()
    for op, done_us in zip(run.flash.log, run.flash.done_us, strict=True):
        if done_us > dead_us:
            break  # what was written before it without a sync goes with the power, or not
        disk.apply(op)
    storage = MemoryStorage(disk.crash(rng))
    journal = Journal.open(storage, JournalOptions.sized(), boot_id=8, rng=rng)
    chunks: list[EvidenceChunk] = []
    states: list[CrashState] = []
    rows_us: list[int] = []
    events = 0
    for stream in journal.streams():
        at = 1
        while batch := journal.read(stream.epoch, stream.lane, at, 1000, 1 << 30):
            bodies = [decode_body(stored.record.kind, stored.record.body) for stored in batch]
            chunks += [body for body in bodies if isinstance(body, EvidenceChunk)]
            states += [body for body in bodies if isinstance(body, CrashState)]
            events += sum(isinstance(body, Event) and body.kind.is_crash for body in bodies)
            rows_us += [stored.record.t_us for stored in batch if stored.record.kind == Kind.TELEMETRY]
            at = batch[-1].seq + 1
    parts = {part: held.data for part, held in assemble(chunks).items()}
    before, after = _judge(case, parts)
    told = next((state.covers for state in states if state.stage is CrashStage.TRIGGER), ())
    missing = {cover.part: cover.bytes - len(parts.get(cover.part, b"")) for cover in told}
    stages = tuple(dict.fromkeys(state.stage for state in states))
    return Found(stages, max(rows_us, default=0) - IMPACT_US, events, before, after, missing)


def _judge(case: Case, parts: dict[EvidencePart, bytes]) -> tuple[dict[EvidencePart, float], dict[EvidencePart, int]]:
    first = IMPACT_US - 30 * S
    times = {
        EvidencePart.FRAMES: [row[0] for row in FRAME.iter_unpack(parts.get(EvidencePart.FRAMES, b""))],
        EvidencePart.IMU: [row[0] for row in SAMPLE.iter_unpack(parts.get(EvidencePart.IMU, b""))],
        EvidencePart.FIXES: [row[0] for row in FIX.iter_unpack(parts.get(EvidencePart.FIXES, b""))],
    }
    signals = parts.get(EvidencePart.SIGNALS, b"")
    times[EvidencePart.SIGNALS] = sorted(
        {int.from_bytes(signals[i : i + 8], "little") for i in range(0, len(signals), 24)}
    )
    rates = {
        EvidencePart.FRAMES: case.frames_per_s,
        EvidencePart.IMU: case.imu_hz,
        EvidencePart.FIXES: 10,
        EvidencePart.SIGNALS: 10,
    }
    before = {
        part: min(1.0, sum(first + 100_000 <= t < IMPACT_US - 100_000 for t in own) / (29.8 * rates[part]))
        for part, own in times.items()
    }
    after = {part: max((t - IMPACT_US for t in own if t >= IMPACT_US), default=0) for part, own in times.items()}
    return before, after
