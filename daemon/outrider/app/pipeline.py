"""The driving side as one function of its inputs: engine, drive stage and intake, composed.

The daemon and ``outrider replay`` both run this and nothing else; they differ in who calls ``offer`` and in what
advances time. Inputs may be offered from source threads; ``advance``, ``play_tape`` and ``finish`` belong to one
owner thread. Nothing here waits for disk or network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from outrider.app.evidence import EvidenceRecords
from outrider.app.intake import Intake
from outrider.drive.telemetry import Telemetry
from outrider.drive.trips import TripTracker
from outrider.engine import Engine, EngineOptions, EvidenceState
from outrider.model.event import Event, Phase, Snapshot, Trip
from outrider.model.evidence import EvidenceSlice
from outrider.model.frame import FrameBatch
from outrider.model.record import BootInfo, SignalTable
from outrider.model.vehicle import VehicleTables
from outrider.ports import SourceItem
from outrider.wire.bodies import table_id

Output = Event | Trip | Snapshot
EVIDENCE_STEPS: Final = 4  # copied before they are put: when the supply fails many are due, the first worth most


@dataclass(slots=True)
class PipelineStats:
    """What did not get in: items refused because an inbox was full (own queue; nothing else drops here)."""

    frames_refused: int = 0
    imu_refused: int = 0
    fixes_refused: int = 0
    power_refused: int = 0
    outputs: dict[str, int] = field(default_factory=dict)


class Pipeline:
    """``on_output`` sees every event, trip and snapshot in order, after its record was handed over."""

    def __init__(
        self,
        tables: VehicleTables,
        intake: Intake,
        boot: BootInfo,
        options: EngineOptions,
        *,
        holdup_ms: int = 0,
        on_output: Callable[[Output], None] | None = None,
        precision: Mapping[str, float] | None = None,
    ) -> None:
        """precision: steps of telemetry by path or class (``drive/precision``); ConfigError for one that cannot be."""
        self._telemetry = Telemetry(tables.slots, table_id, precision)
        self.engine = Engine(tables, options)
        self._evidence = EvidenceRecords(tables, boot, self.engine.tables_hash, holdup_ms)
        self.stats = PipelineStats()
        self._intake = intake
        self._boot = boot
        self._trips = TripTracker()
        self._on_output = on_output
        self._begun = False

    @property
    def signal_table(self) -> SignalTable:
        return self._telemetry.table

    @property
    def trip(self) -> Trip | None:
        """The running trip."""
        return self._trips.current

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self.engine.close()

    # -- inputs ------------------------------------------------------------------------------------

    def offer(self, item: SourceItem) -> bool:
        """Live: put an item into the inboxes; what does not fit is counted. False when something was refused."""
        refused = 0
        if item.frames is not None:
            lost = len(item.frames) - self.engine.offer_frames(item.frames, inbox=self._inbox(item.frames))
            self.stats.frames_refused += lost
            refused += lost
        if item.imu is not None:
            lost = len(item.imu) - self.engine.offer_imu(item.imu)
            self.stats.imu_refused += lost
            refused += lost
        if item.fix is not None and not self.engine.offer_fix(item.fix):
            self.stats.fixes_refused += 1
            refused += 1
        if item.power is not None and not self.engine.offer_power(item.power):
            self.stats.power_refused += 1
            refused += 1
        return refused == 0

    def _inbox(self, frames: FrameBatch) -> int:
        """Each bus has its own, so that each has one producer; a batch is of one bus."""
        bus = frames.bus_at(0) if len(frames) else 0
        return bus if bus < self.engine.frame_inboxes else 0

    def feed(self, item: SourceItem) -> None:
        """Replay: put an item in, advancing as often as the inboxes need, so that nothing is refused."""
        if item.clock is not None:
            t_us, fix = item.clock
            self._begin(t_us)
            self._intake.put(fix, t_us)
        if item.frames is not None:
            start = 0
            while start < len(item.frames):
                taken = self.engine.offer_frames(item.frames, start)
                start += taken
                if start < len(item.frames):
                    self.advance(item.frames.t_us_at(start) - 1)
        if item.imu is not None:
            taken = 0
            while taken < len(item.imu):
                taken += self.engine.offer_imu(item.imu[taken:])
                if taken < len(item.imu):
                    self.advance(item.imu[taken].t_us - 1)
        if item.fix is not None and not self.engine.offer_fix(item.fix):
            self.advance(item.fix.t_us - 1)
            self.engine.offer_fix(item.fix)
        if item.power is not None and not self.engine.offer_power(item.power):
            self.advance(item.power.t_us - 1)
            self.engine.offer_power(item.power)

    # -- time --------------------------------------------------------------------------------------

    def advance(self, watermark_us: int) -> None:
        """Process everything up to the watermark, in order of time."""
        while True:
            more = self.engine.run(watermark_us, evidence=True)
            self.drain()
            if not more:
                return

    def play_tape(self, chunk: bytes) -> None:
        """Process a piece of a tape; pieces may be cut anywhere."""
        more = self.engine.play_tape(chunk)
        self.drain()
        while more:
            more = self.engine.play_tape(b"")
            self.drain()

    def end_tape(self) -> None:
        """The tape's file is over; RecordingError when it ended in the middle of a block."""
        self.engine.end_tape()

    def finish(self) -> None:
        """No more input: let what is in flight come to its end, save open evidence and close the running trip."""
        for step in self.engine.finish_evidence():
            self._put_evidence(step)
        for trip in self._trips.finish(self.engine.now_us()):
            self._put_trip(trip)

    # -- outputs -----------------------------------------------------------------------------------

    def _begin(self, t_us: int) -> None:
        if not self._begun:
            self._begun = True
            self._intake.put(self._boot, t_us)
            self._intake.put(self._telemetry.table, t_us)

    def drain(self) -> None:
        """Make records of what the engine has put out; for the owner, who may run the engine himself."""
        while outputs := self.engine.take_all(EVIDENCE_STEPS):
            for output in outputs:
                if isinstance(output, Event):
                    self._put_event(output)
                elif isinstance(output, Snapshot):
                    self._put_snapshot(output)
                else:
                    self._put_evidence(output)

    def _put_evidence(self, step: EvidenceSlice | EvidenceState) -> None:
        for body, t_us in self._evidence.records(step):
            self._intake.put(body, t_us)

    def _put_event(self, event: Event) -> None:
        self._begin(event.t_detect_us)
        self._trips.note_event(event)
        if event.phase is not Phase.BEGIN:  # the END phase of a harsh event tells the whole story once
            self._intake.put(event, event.t_detect_us)
        self._report(event)

    def _put_snapshot(self, snapshot: Snapshot) -> None:
        self._begin(snapshot.t_us)
        row = self._telemetry.row(snapshot)
        if row is not None:
            self._intake.put(row, snapshot.t_us)
        for trip in self._trips.update(snapshot):
            self._put_trip(trip)
        self._report(snapshot)

    def _put_trip(self, trip: Trip) -> None:
        self._intake.put(trip, trip.t_end_us or trip.t_start_us)
        self._report(trip)

    def _report(self, output: Output) -> None:
        name = type(output).__name__
        self.stats.outputs[name] = self.stats.outputs.get(name, 0) + 1
        if self._on_output is not None:
            self._on_output(output)
