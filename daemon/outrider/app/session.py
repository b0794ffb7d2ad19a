"""A replay session: profile, recordings, pipeline and, when asked for, journal and broker, composed and closed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from outrider import __version__
from outrider.app.delivery import Delivery, DeliveryOptions, DigestSink, NullSink, read_key, split_broker
from outrider.app.intake import Intake
from outrider.app.mounting import apply, read_beside
from outrider.app.pipeline import Output, Pipeline
from outrider.app.replay import Pacer, TapeFile, replay_items, replay_tape
from outrider.clock import SystemClock
from outrider.engine import ALGORITHM, EngineOptions
from outrider.errors import InputError, JournalError
from outrider.model.record import BootInfo, Lane
from outrider.ports import RecordSink, ReplaySource
from outrider.profile.load_io import LoadedProfile, load_profile
from outrider.sources.merge import merge
from outrider.sources.open_io import open_recordings
from outrider.uplink.options import UplinkOptions

DELIVERY_TIMEOUT_S: Final = 120.0
DEFAULT_PROFILES: Final = ("obd2",)


def boot_info(profile: LoadedProfile, reason: str) -> BootInfo:
    return BootInfo(__version__, ALGORITHM, profile.tables.profile_id, reason)


def engine_options(profile: LoadedProfile) -> EngineOptions:
    return EngineOptions(imu_range_g=profile.imu_range_g, vehicle_class=profile.vehicle_class)


class ReplaySession:
    """What ``outrider replay`` and the demo run. Make one with ``open``."""

    def __init__(
        self, pipeline: Pipeline, intake: Intake, files: Sequence[Path], delivery: Delivery | None, *, tape: bool
    ) -> None:
        self.pipeline = pipeline
        self.intake = intake
        self.delivery = delivery
        self._files = files
        self._is_tape = tape
        self._clock = SystemClock()
        self._pacer = Pacer(self._clock, None)
        self.digest: DigestSink | None = None
        self._recordings: list[ReplaySource] = []

    @property
    def released_us(self) -> int:
        """Boot clock at which the inputs now in the engine were let through."""
        return self._pacer.released_us

    @classmethod
    @contextmanager
    def open(
        cls,
        files: Sequence[Path],
        *,
        profiles: Sequence[str] = (),
        dbc: Sequence[Path] = (),
        overlay: Sequence[Path] = (),
        journal: Path | None = None,
        broker: str | None = None,
        device: str = "terminal",
        ack_key_file: Path | None = None,
        on_output: Callable[[Output], None] | None = None,
        on_durable: Callable[[int, Lane, int], None] | None = None,
        on_acknowledged: Callable[[int, Lane, int, int], None] | None = None,
    ) -> Iterator[ReplaySession]:
        """Compose; closing the context stops writer and uplink. Errors are those of the parts."""
        is_tape = _is_tape(files)
        profile = load_profile(profiles or DEFAULT_PROFILES, dbc, overlay)
        clock = SystemClock()
        boot_id = random.SystemRandom().getrandbits(32)
        with ExitStack() as stack:
            delivery: Delivery | None = None
            digest: DigestSink | None = None
            sink: RecordSink = NullSink()
            if journal is not None:
                uplink = _uplink(broker, device, ack_key_file) if broker else None
                options = DeliveryOptions(directory=journal, boot_id=boot_id, uplink=uplink)
                delivery = Delivery(options, clock, on_durable=on_durable, on_acknowledged=on_acknowledged)
                stack.enter_context(delivery)
                sink = digest = DigestSink(delivery.patient, delivery.journal.epoch)
            intake = Intake(sink, boot_id)
            boot = boot_info(profile, "replay")
            pipeline = Pipeline(
                profile.tables,
                intake,
                boot,
                engine_options(profile),
                holdup_ms=profile.holdup_ms,
                on_output=on_output,
            )
            stack.enter_context(pipeline)
            if delivery is not None:
                delivery.describe(pipeline.signal_table)
            session = cls(pipeline, intake, files, delivery, tape=is_tape)
            session.digest = digest
            yield session

    def run(
        self,
        *,
        speed: float | None = None,
        after_s: float = 0.0,
        tape: Path | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> None:
        """Run the drive to its end."""
        if self._is_tape:
            kept = read_beside(self._files[0])
            if kept is not None:
                apply(self.pipeline.engine, kept)
            replay_tape(self.pipeline, self._files[0], on_progress)
            return
        recordings = open_recordings(list(self._files))
        self._recordings = recordings
        items = merge(recordings)
        self._pacer = pacer = Pacer(self._clock, speed)
        after_us = round(after_s * 1e6)
        if tape is None:
            replay_items(self.pipeline, items, pacer, after_us=after_us, on_progress=on_progress)
            return
        with TapeFile(tape) as file:
            replay_items(self.pipeline, items, pacer, after_us=after_us, tape=file, on_progress=on_progress)

    def source_counters(self) -> dict[str, dict[str, int]]:
        """What each recording counted: frames, and whatever was malformed, clamped or skipped; no zeros."""
        counted = ((source.name, source.stats.counters()) for source in self._recordings)
        return {name: {key: count for key, count in counters.items() if count} for name, counters in counted}

    def deliver(self, timeout_s: float = DELIVERY_TIMEOUT_S) -> dict[str, Any]:
        """Commit, wait for the acknowledgements when there is a broker; what to add to the summary."""
        if self.delivery is None:
            return {}
        written = sum(self.intake.stats.put.values())
        if self.delivery.uplink is None:
            self._commit(self.delivery)
            return {"written": written, "lost": self.delivery.lost()}
        complete = self.delivery.wait_delivered(timeout_s)
        left = sum(s.durable - s.acknowledged for s in self.delivery.journal.streams())
        lost = self.delivery.lost()
        return {"written": written, "delivered": max(0, written - left - lost), "complete": complete, "lost": lost}

    @staticmethod
    def _commit(delivery: Delivery) -> None:
        if not delivery.writer.flush():
            fault = delivery.writer.stats().last_fault or "no answer"
            raise JournalError(f"{delivery.directory}: not everything could be committed: {fault}")


def _is_tape(files: Sequence[Path]) -> bool:
    tapes = [f for f in files if f.suffix == ".tape"]
    if tapes and len(files) > 1:
        raise InputError("a tape holds all inputs already: replay it alone", path=tapes[0])
    return bool(tapes)


def _uplink(broker: str, device: str, ack_key_file: Path | None) -> UplinkOptions:
    host, port = split_broker(broker)
    return UplinkOptions(host=host, port=port, device=device, ack_key=read_key(ack_key_file))
