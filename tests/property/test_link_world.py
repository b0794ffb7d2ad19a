"""The state machine of a bus against a world that goes wrong in every order: what it may never do, and what it must."""

from __future__ import annotations

import dataclasses
import itertools

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from outrider.link.condition import BusCondition
from outrider.link.report import ControllerState, LinkReport
from outrider.link.supervisor import (
    ASLEEP_AFTER_US,
    CONFIGURE_US,
    ERROR_MEMORY_US,
    LOG_BURST,
    LOG_EVERY_US,
    REOPEN_MIN_US,
    RESTART_US,
    BusCounters,
    BusPolicy,
    BusSupervisor,
    RequestKind,
    Step,
)
from tests.support.links import recorded_report

UP = recorded_report("sja1000_listen_only")
DOWN = recorded_report("sja1000_set_down")
ACTIVE = dataclasses.replace(recorded_report("sja1000_active"), name="can0")
OFF = dataclasses.replace(recorded_report("slcan_bus_off"), name="can0", bitrate=500_000)
SPACING = {RequestKind.RESTART: RESTART_US, RequestKind.CONFIGURE: CONFIGURE_US}


class World(RuleBasedStateMachine):
    """A link, a reader and a clock, moved by hypothesis; the machine looks after each move."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.report: LinkReport | str | None = dataclasses.replace(UP, restart_ms=0)
        self.counters = BusCounters(open=True, opened=1)
        self.policy = BusPolicy("can0", helper=True, bitrate=500_000, listen_only=True)
        self.machine = BusSupervisor(self.policy, 0)
        self.asked: dict[RequestKind, list[int]] = {kind: [] for kind in RequestKind}
        self.lines: list[int] = []
        self.told: BusCondition | None = None
        self.faults = 0
        self.step: Step | None = None

    def look(self) -> None:
        self.step = step = self.machine.step(self.now, self.report, self.counters)
        for request in step.requests:
            self.asked[request].append(self.now)
            if isinstance(self.report, LinkReport) and request is RequestKind.RESTART:
                assert self.report.restart_ms == 0, "the kernel restarts by itself"
        for _line in step.log:
            self.lines.append(self.now)
            self.told = step.finding.condition

    @rule(seconds=st.floats(0.0, 40.0))
    def time_passes(self, seconds: float) -> None:
        self.now += round(seconds * 1e6)
        self.look()

    @rule(
        report=st.sampled_from([UP, DOWN, ACTIVE, OFF, None, "`ip` gave no answer"]),
        restart_ms=st.sampled_from([0, 0, 100]),
        ifindex=st.integers(1, 3),
        bitrate=st.sampled_from([500_000, 125_000]),
    )
    def link_changes(self, report: LinkReport | str | None, restart_ms: int, ifindex: int, bitrate: int) -> None:
        if isinstance(report, LinkReport):
            report = dataclasses.replace(report, restart_ms=restart_ms, ifindex=ifindex, bitrate=bitrate)
        self.report = report
        self.look()

    @rule(state=st.sampled_from(ControllerState))
    def controller_changes(self, state: ControllerState) -> None:
        if isinstance(self.report, LinkReport) and self.report.up:
            self.report = dataclasses.replace(self.report, state=state, carrier=state is not ControllerState.BUS_OFF)
        self.look()

    @rule(frames=st.integers(0, 100), faults=st.integers(0, 100), offs=st.integers(0, 1), restarts=st.integers(0, 1))
    def reader_counts(self, frames: int, faults: int, offs: int, restarts: int) -> None:
        c = self.counters
        self.counters = dataclasses.replace(
            c,
            frames=c.frames + frames,
            bus_faults=c.bus_faults + faults,
            bus_offs=c.bus_offs + offs,
            restarts=c.restarts + restarts,
        )
        self.faults += faults
        self.look()

    @rule(is_open=st.booleans())
    def reader_opens_or_loses(self, is_open: bool) -> None:
        more = int(is_open and not self.counters.open)
        self.counters = dataclasses.replace(
            self.counters, open=is_open, error="" if is_open else "Network is down", opened=self.counters.opened + more
        )
        self.look()

    @precondition(lambda self: self.step is not None)
    @rule()
    def everything_is_well_again(self) -> None:
        """A link as configured and traffic: listening, whatever was before; then silence is sleep, for ever."""
        self.report = dataclasses.replace(UP, restart_ms=0)
        self.counters = dataclasses.replace(self.counters, open=True, frames=self.counters.frames + 1)
        self.look()
        assert self.machine.finding.condition is BusCondition.LISTENING
        for _look in range(4):
            self.now += ASLEEP_AFTER_US + ERROR_MEMORY_US
            self.look()
            assert self.machine.finding.condition is BusCondition.ASLEEP
        assert self.told is BusCondition.ASLEEP, "the last condition is logged in the end"

    @precondition(lambda self: not self.counters.open)
    @rule()
    def link_comes_back_while_the_reader_waits(self) -> None:
        """Opening again is asked for within the shortest time between two such requests."""
        self.report = None
        self.look()
        self.report = UP
        before = len(self.asked[RequestKind.REOPEN])
        self.look()
        self.now += REOPEN_MIN_US
        self.look()
        assert len(self.asked[RequestKind.REOPEN]) > before

    @invariant()
    def requests_keep_their_distance(self) -> None:
        for kind, (first, _longest) in SPACING.items():
            assert all(b - a >= first for a, b in itertools.pairwise(self.asked[kind]))
        reopens = self.asked[RequestKind.REOPEN]
        assert all(b - a >= REOPEN_MIN_US for a, b in itertools.pairwise(reopens))

    @invariant()
    def logging_is_bounded(self) -> None:
        if self.lines:
            assert len(self.lines) <= LOG_BURST + (self.lines[-1] - 0) / LOG_EVERY_US + 1

    @invariant()
    def silence_is_never_a_failure(self) -> None:
        """Without a single error, on a link that is as configured, nothing is wrong."""
        well = (
            isinstance(self.report, LinkReport)
            and self.counters.open
            and self.report.up
            and self.report.listen_only
            and self.report.bitrate == self.policy.bitrate
            and self.report.state in {ControllerState.ERROR_ACTIVE, ControllerState.ERROR_WARNING}
        )
        if self.step is not None and well and self.faults == 0:
            assert self.step.finding.condition in {
                BusCondition.LISTENING,
                BusCondition.ASLEEP,
                BusCondition.UNKNOWN,
            }

    @invariant()
    def a_reason_is_always_given(self) -> None:
        assert self.machine.finding.reason
        assert (
            self.machine.finding.condition.healthy
            or self.machine.finding.action
            or (self.machine.finding.condition is BusCondition.UNKNOWN)
        )


TestWorld = World.TestCase
TestWorld.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
