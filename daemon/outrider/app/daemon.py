"""The terminal daemon: live sources into the pipeline, records to flash and broker, answers on the control socket.

One owner thread (the caller of ``run``) drives the engine: inside the native capture where there is a bus of SocketCAN
(which also reads it), else every ``LOOP_S``. Other sources deliver from their own threads into the engine's bounded
inboxes. Disk and network are on the writer's and the uplink's threads. A part that fails is
reported in the status and does not take the others down.
"""

from __future__ import annotations

import dataclasses
import errno
import logging
import threading
from collections import Counter, deque
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Final

from outrider import __version__
from outrider.app.beacons import Beacons
from outrider.app.black_box import BlackBoxKeeper, BlackBoxReport
from outrider.app.boot_io import boot_id, system_clock_fix
from outrider.app.connectivity import Connectivity, connectivity_options
from outrider.app.consent import Consent
from outrider.app.control import ControlServer
from outrider.app.delivery import Delivery
from outrider.app.identity import IdentityKeeper
from outrider.app.intake import Intake
from outrider.app.meters import Meters
from outrider.app.mounting import open_mounting, write_beside
from outrider.app.notices import NoticeDesk
from outrider.app.options import (
    beacon_options,
    captured,
    check_rig_speed,
    delivery_options,
    frame_inboxes,
    gather_us,
    holdup_ms,
    imu_range_g,
    live_sources,
    vehicle_profile,
    warn_of_unknown_paths,
)
from outrider.app.pipeline import Output, Pipeline
from outrider.app.session import boot_info
from outrider.app.supervision import Supervision, bus_policies
from outrider.clock import ScaledClock
from outrider.config import Config
from outrider.engine import Capture, CaptureOptions, EngineOptions
from outrider.link.helper_client_io import HelperClient
from outrider.link.state_io import IpLinkState
from outrider.model.event import Event, Snapshot
from outrider.model.fix import PowerSample
from outrider.model.record import ClockFix
from outrider.ports import Clock, LiveSource, SourceItem
from outrider.record.blackbox_io import BlackBoxFile
from outrider.sources.captured_io import CaptureDesk

LOOP_S: Final = 0.02
TICK_S: Final = 0.1  # the capture returns at least so often
EVIDENCE_S: Final = 0.005  # while evidence is being taken: a silent bus wakes nobody, and its slices are due so often
REPORT_TIMEOUT_S: Final = 5.0
COMMIT_TIMEOUT_S: Final = 5.0  # at the end, before the page says that all is in order
CLOCK_RECORD_US: Final = 600_000_000
RECENT_EVENTS: Final = 20
DISK_FAULTS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})

log = logging.getLogger(__name__)


class Daemon:
    """``run`` returns when ``stop`` is set; everything that was recorded is then committed.

    ``rig_speed``: so many seconds of engine time pass in one second, for drives played faster than they were. Disk,
    network and uptime keep ``clock``; inputs, engine and the records' times go by the faster one.
    """

    def __init__(self, config: Config, base: Path, clock: Clock, *, rig_speed: int = 1) -> None:
        check_rig_speed(config, rig_speed)
        self._config = config
        self._clock = clock
        self._rig_speed = rig_speed
        self._drive_clock: Clock = clock if rig_speed == 1 else ScaledClock(rig_speed)
        self._base = base
        self._clocks: deque[tuple[int, ClockFix]] = deque(maxlen=64)
        self._recent: deque[Event] = deque(maxlen=RECENT_EVENTS)
        self._last: Snapshot | None = None
        self._wake = threading.Event()
        self._sources: list[LiveSource] = []
        self._policies = bus_policies(config)
        self._supervision: Supervision | None = None
        self._desk: CaptureDesk | None = None
        self._started_us = 0
        self._last_clock_us: int | None = None
        self._power_signal = False
        self._troubles: Counter[str] = Counter()
        self._notices = NoticeDesk(clock)  # what parts say of the terminal: pass its ``put`` to them
        self._identity = IdentityKeeper(config, base, clock, self._notices.put)
        self._config = self._identity.config  # device id and broker as enrolled
        self._connectivity = Connectivity(connectivity_options(self._config, base), clock, self._notices.put)
        self._engine: dict[str, Any] = {}  # the engine's counters, renewed by the owner thread

    def run(self, stop: threading.Event) -> bool:
        """Open everything (errors of the parts come out here), run until ``stop``, close in order. True: ended before
        ``stop``, because the terminal has been enrolled: to be run anew, with what it is now."""
        with ExitStack() as stack:
            self._open(stack)
            log.info("running: device %s, %d source(s)", self._config.terminal.device, len(self._sources))
            while not (stop.is_set() or self._identity.restart):
                self._wait()
                self._turn()
            log.info("stopping")
        return not stop.is_set()

    # -- composition -------------------------------------------------------------------------------

    def _open(self, stack: ExitStack) -> None:
        profile = vehicle_profile(self._config, self._base)
        boot = boot_id()
        self._meters = Meters()
        stack.callback(self._meters.close)  # after delivery, so that its last bytes count
        delivery = delivery_options(self._config, self._base, boot, self._identity.enrolled)
        self._delivery = stack.enter_context(Delivery(delivery, self._clock, on_notice=self._notices.put))
        self._identity.start(self._delivery.uplink)
        stack.callback(self._identity.stop)
        consent = Consent()
        self._intake = Intake(self._delivery.capped, boot, consent)
        self._open_connectivity(stack)
        self._beacons = Beacons(
            beacon_options(self._config),
            boot,
            self._delivery.uplink,
            self._drive_clock,
            consent=consent,
            modem=self._connectivity,
        )
        options = EngineOptions(
            imu_range_g=imu_range_g(self._config, profile),
            vehicle_class=profile.vehicle_class,
            recorder_bytes=self._config.engine.recorder_kib * 1024,
            frame_inboxes=frame_inboxes(self._config),
            merge_back_us=EngineOptions().merge_back_us * self._rig_speed,
        )
        self._pipeline = stack.enter_context(
            Pipeline(
                profile.tables,
                self._intake,
                boot_info(profile, "start" if self._rig_speed == 1 else "rig"),
                options,
                holdup_ms=holdup_ms(self._config, profile),
                on_output=self._note,
                precision=self._config.telemetry.precision,
            )
        )
        self._delivery.describe(self._pipeline.signal_table)
        warn_of_unknown_paths(self._config, self._pipeline.signal_table)
        self._black_box = self._open_black_box(stack, boot)
        self._meters.open(
            self._base / self._config.terminal.data_directory,
            self._delivery,
            self._clock,
            boot,
            network=self._connectivity,
            on_notice=self._notices.put,
        )
        self._started_us = self._clock.boottime_us()
        self._mounting = open_mounting(
            self._base / self._config.terminal.data_directory / "state",
            self._pipeline.engine,
            profile.tables.profile_id,
            "can" if self._config.imu is None else self._config.imu.device,
            stack,
        )
        self._open_tape(stack)
        stack.callback(self._finish)  # runs when the sources have stopped and the tape is still open
        if captured(self._config):
            self._desk = self._open_capture(stack)
        self._sources = live_sources(self._config, self._drive_clock, self._desk, profile.tables)
        control = ControlServer(Path(self._config.terminal.control_socket), self.status, self._meters.commands())
        control.start()  # the sources are there by now, not yet open: who waits for them sees them
        stack.callback(control.stop)
        for source in self._sources:
            source.start(self._deliver)
            stack.callback(source.stop)
        self._supervision = self._open_supervision(stack)

    def _open_connectivity(self, stack: ExitStack) -> None:
        if self._delivery.uplink is not None:
            self._connectivity.follow(self._delivery.uplink.status)
            self._delivery.uplink.attach(network=self._connectivity, on_notice=self._notices.put)
        self._connectivity.start()
        stack.callback(self._connectivity.stop)

    def _open_black_box(self, stack: ExitStack, boot: int) -> BlackBoxKeeper:
        """What the page of an earlier start tells comes first, and once: when it is on flash the page is closed."""
        file = stack.enter_context(BlackBoxFile(self._delivery.directory))
        report = BlackBoxReport(file, boot)
        self._pipeline.engine.count_pages(file.newest)
        told = report.records(self._delivery.journal)
        for body, t_us in told:
            self._intake.put(body, t_us, report.boot_id)
        if told and self._delivery.writer.flush(REPORT_TIMEOUT_S):
            log.warning("black box: power was lost at speed; its last moments are recorded")
            file.write(self._pipeline.engine.black_box_page(boot, clean=True))
        return BlackBoxKeeper(file, self._pipeline.engine, boot, self._trouble)

    def _open_supervision(self, stack: ExitStack) -> Supervision:
        helped = any(policy.helper for policy in self._policies)
        setter = HelperClient(self._base / self._config.bus.helper_socket) if helped else None
        buses = self._sources[: len(self._policies)]
        supervision = Supervision(self._policies, buses, self._clock, IpLinkState(), setter)
        supervision.start()
        stack.callback(supervision.stop)
        return supervision

    def _open_capture(self, stack: ExitStack) -> CaptureDesk:
        options = CaptureOptions(
            gather_us=gather_us(self._config),
            merge_window_us=self._config.engine.merge_window_ms * 1000,
            time_scale=self._rig_speed,
        )
        desk = CaptureDesk(stack.enter_context(Capture(self._pipeline.engine, options)))
        stack.callback(desk.close)
        return desk

    def _open_tape(self, stack: ExitStack) -> None:
        kept = None if self._mounting is None else self._mounting.restore()
        try:
            self._tape = self._tape_file(stack)
            if self._tape is not None and kept is not None:
                write_beside(Path(self._tape.name), kept)
        except OSError as err:
            if err.errno not in DISK_FAULTS:
                raise
            self._trouble("tape", err)  # the disk's matter: the drive goes on without
            self._tape = None
        self._taping = self._tape is not None
        if self._taping:
            self._pipeline.engine.start_tape()

    def _tape_file(self, stack: ExitStack) -> BinaryIO | None:
        if self._config.engine.tape_directory is None:
            return None
        directory = self._base / self._config.engine.tape_directory
        directory.mkdir(parents=True, exist_ok=True)
        return stack.enter_context((directory / f"{self._started_us}.tape").open("wb"))

    def _finish(self) -> None:
        """Nothing more will come: what the merge window still holds back counts, and the running trip ends."""
        self._pipeline.advance(self._drive_clock.boottime_us())
        self._write_tape()
        self._pipeline.finish()
        self._delivery.capped.finish()
        self._notices.turn(self._intake)
        self._beacons.stop()
        self._black_box.close(clean=self._delivery.writer.flush(COMMIT_TIMEOUT_S))

    # -- one turn of the owner thread ----------------------------------------------------------------

    def _deliver(self, item: SourceItem) -> None:
        """Called on source threads."""
        self._pipeline.offer(item)
        if item.clock is not None:
            self._clocks.append(item.clock)
        self._wake.set()
        if self._desk is not None:
            self._desk.wake()

    def _wait(self) -> None:
        """Until there is something to do; with a capture, the buses are read and the engine runs meanwhile."""
        if self._desk is not None:
            self._desk.serve(EVIDENCE_S if self._pipeline.engine.recording else TICK_S)
        else:
            self._wake.wait(LOOP_S)
            self._wake.clear()

    def _turn(self) -> None:
        now = self._drive_clock.boottime_us()
        self._record_clocks(now)
        self._notices.turn(self._intake)
        if self._power_signal:
            self._power_signal = False
            at = self._pipeline.engine.now_us() or now  # not a merge window later
            self._pipeline.offer(SourceItem(now, power=PowerSample(at, supply_v=0.0)))
            self._supply_fails()
        if self._desk is None:
            self._pipeline.advance(now - self._config.engine.merge_window_ms * 1000 * self._rig_speed)
        else:
            self._pipeline.drain()
        if self._pipeline.engine.supply_fails():
            self._supply_fails()
        self._write_tape()

    def _supply_fails(self) -> None:
        """All that is in memory goes to flash now; whether there will be another turn is not known."""
        self._black_box.now()
        self._delivery.capped.release()
        self._delivery.writer.hurry()
        self._beacons.supply_fails()
        self._meters.hurry()

    def power_signal(self) -> None:
        """The system says that the supply fails (SIGPWR). From a signal handler: takes no lock."""
        self._power_signal = True

    def _write_tape(self) -> None:
        """A tape that cannot be written ends; the drive goes on."""
        if not self._taping:
            return
        taken = self._pipeline.engine.take_tape()  # also when it can go nowhere: it must not pile up in memory
        if self._tape is not None:
            try:
                self._tape.write(taken)
            except OSError as err:
                self._trouble("tape", err)
                self._tape = None

    def _trouble(self, what: str, err: OSError) -> None:
        """Log the first of a kind, count all: a full disk must not fill the log as well."""
        self._troubles[what] += 1
        if self._troubles[what] == 1:
            log.warning("%s: %s", what, err)

    def _record_clocks(self, now: int) -> None:
        while self._clocks:
            t_us, fix = self._clocks.popleft()
            self._intake.put(fix, t_us)
            self._last_clock_us = now
        if self._last_clock_us is None or now - self._last_clock_us >= CLOCK_RECORD_US:
            self._last_clock_us = now
            fix_now = system_clock_fix(self._drive_clock)
            if fix_now is not None:
                self._intake.put(fix_now, now)

    def _note(self, output: Output) -> None:
        self._beacons.note(output)
        self._black_box.note(output)
        self._meters.note(output)
        if isinstance(output, Event):
            self._recent.append(output)
        elif isinstance(output, Snapshot):
            self._last = output
            self._engine = dataclasses.asdict(self._pipeline.engine.stats())
            self._delivery.writer.set_moving(output.motion == 2)
            self._connectivity.set_moving(output.motion == 2)
            if self._mounting is not None:
                self._mounting.note(output.t_us, output.mount)

    # -- status --------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """The document of ``outrider status --json`` (docs/reference/cli.md). Called on the control socket's thread."""
        last, trip, refused = self._last, self._pipeline.trip, self._pipeline.stats
        return {
            "software": __version__,
            "device": self._config.terminal.device,
            "uptime_s": round((self._clock.boottime_us() - self._started_us) / 1e6, 1),
            "vehicle": None if last is None else _vehicle(last),
            "trip": dataclasses.asdict(trip) if trip else None,
            "mounting": None if self._mounting is None else self._mounting.status(),
            "events": [
                {"kind": e.kind.name.lower(), "phase": e.phase.name.lower(), "t0_us": e.t0_us, "conf": round(e.conf, 3)}
                for e in tuple(self._recent)  # the owner adds to it meanwhile
            ],
            "buses": [] if self._supervision is None else self._supervision.status(),
            "sources": [source.state() for source in self._sources],
            "engine": self._engine,
            "black_box": self._black_box.status(),
            "troubles": dict(self._troubles),
            "notices": self._notices.status(),
            "identity": self._identity.status(),
            "refused": dataclasses.asdict(dataclasses.replace(refused, outputs=dict(refused.outputs))),
            "beacons": self._beacons.status(),
            **self._connectivity.status(),
            **self._delivery.status(),
            **self._meters.status(),
        }


def _vehicle(snapshot: Snapshot) -> dict[str, Any]:
    document = dataclasses.asdict(snapshot)
    del document["values"]
    return document
