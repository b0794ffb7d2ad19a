"""From what link and reader say to a condition: silence apart from failure, requests with back-off, bounded logging."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from outrider.link.condition import BusCondition
from outrider.link.report import ControllerState, LinkReport
from outrider.link.supervisor import (
    LOG_BURST,
    BusCounters,
    BusPolicy,
    BusSupervisor,
    RequestKind,
    Step,
)
from tests.support.links import recorded_report

S = 1_000_000
LISTENING = recorded_report("sja1000_listen_only")
ACTIVE = dataclasses.replace(recorded_report("sja1000_active"), name="can0")
BUS_OFF = dataclasses.replace(recorded_report("slcan_bus_off"), name="can0")
VCAN = recorded_report("vcan_up")


class Bench:
    """A bus under supervision, looked at once a second."""

    def __init__(self, report: LinkReport | str | None = LISTENING, **policy: object) -> None:
        self.machine = BusSupervisor(BusPolicy(**{"name": "can0", **policy}), 0)  # type: ignore[arg-type]
        self.report = report
        self.counters = BusCounters(open=True, opened=1)
        self.now_us = 0
        self.lines: list[str] = []
        self.requests: list[tuple[float, RequestKind]] = []

    def look(self, seconds: float = 1, **more: int) -> Step:
        """The time goes on, the counters named grow by so much."""
        self.now_us += round(seconds * S)
        grown = {name: getattr(self.counters, name) + count for name, count in more.items()}
        self.counters = dataclasses.replace(self.counters, **grown)
        step = self.machine.step(self.now_us, self.report, self.counters)
        self.lines += [line.text for line in step.log]
        self.requests += [(self.now_us / S, request) for request in step.requests]
        return step

    def condition(self, seconds: float = 1, **more: int) -> BusCondition:
        return self.look(seconds, **more).finding.condition


def test_traffic_is_listening_and_silence_is_sleep() -> None:
    """Frames: listening; none for more than 5 s, no errors: asleep; a sleeping bus is never a failure."""
    bus = Bench()
    assert bus.condition() is BusCondition.UNKNOWN
    assert bus.condition(frames=100) is BusCondition.LISTENING
    assert bus.condition(4) is BusCondition.LISTENING
    assert bus.condition(2) is BusCondition.ASLEEP
    assert all(bus.condition(60).healthy for _hour in range(60))
    assert bus.condition(frames=1) is BusCondition.LISTENING
    assert [line.split(":")[1].strip() for line in bus.lines] == ["listening", "asleep", "listening"]
    assert bus.requests == []


def test_a_bus_that_was_never_heard_is_asleep_after_five_seconds() -> None:
    """And the reason admits where a wrong rate would look the same."""
    bus = Bench()
    assert bus.look(6).finding.condition is BusCondition.ASLEEP
    assert "sleeps" in bus.machine.finding.reason
    blind = Bench(dataclasses.replace(LISTENING, modes=frozenset({"LISTEN-ONLY"})))
    assert blind.condition(6) is BusCondition.ASLEEP
    assert "a wrong bit rate could look the same" in blind.machine.finding.reason


def test_errors_without_a_good_frame_are_a_wrong_bit_rate() -> None:
    """With the rate in the reason and the next step in the action; forgotten 10 s after the last error."""
    bus = Bench()
    step = bus.look(bus_faults=50)
    assert step.finding.condition is BusCondition.WRONG_BITRATE
    assert "500000" in step.finding.reason
    assert "detect" in step.finding.action
    assert step.log[0].failure
    assert bus.condition(8) is BusCondition.WRONG_BITRATE
    assert bus.condition(4) is BusCondition.ASLEEP


def test_errors_on_a_bus_that_was_read_before_are_the_wiring() -> None:
    """The rate was right: the action does not send anybody looking for another."""
    bus = Bench()
    bus.look(frames=10)
    step = bus.look(bus_faults=50)
    assert step.finding.condition is BusCondition.WRONG_BITRATE
    assert "disturbed" in step.finding.reason
    assert "detect" not in step.finding.action


def test_errors_at_another_rate_than_the_one_that_was_read_are_the_rate() -> None:
    """Somebody set the link anew: what was read before speaks for the old rate only."""
    bus = Bench()
    bus.look(frames=10)
    bus.report = dataclasses.replace(LISTENING, bitrate=125_000)
    step = bus.look(bus_faults=50)
    assert "125000" in step.finding.reason
    assert "detect" in step.finding.action


def test_a_spoilt_frame_or_two_between_good_ones_is_nothing() -> None:
    """Frames and errors together: it listens. Two errors of a bus that wakes up: nothing yet."""
    bus = Bench()
    assert bus.condition(6, bus_faults=2) is BusCondition.ASLEEP
    assert bus.condition(frames=100, bus_faults=40) is BusCondition.LISTENING


def test_down_missing_and_back() -> None:
    """Not up, gone, and there again; the log tells each once and leaves warnings to the reader that lost the bus."""
    bus = Bench()
    bus.look(frames=1)
    bus.report = recorded_report("sja1000_set_down")
    step = bus.look()
    assert step.finding.condition is BusCondition.DOWN
    assert not step.log[0].failure
    bus.look()
    bus.report = None
    assert bus.condition() is BusCondition.MISSING
    bus.report = LISTENING
    assert bus.condition(frames=5) is BusCondition.LISTENING
    assert len(bus.lines) == 4


def test_a_peer_that_is_down() -> None:
    """vxcan with its other end down; a controller that is up and stopped."""
    bus = Bench(recorded_report("vxcan_lowerdown"))
    assert bus.condition() is BusCondition.DOWN
    assert "other end" in bus.machine.finding.reason
    bus.report = dataclasses.replace(LISTENING, carrier=False, state=ControllerState.STOPPED)
    assert bus.condition() is BusCondition.DOWN
    assert "controller" in bus.machine.finding.reason


@pytest.mark.parametrize(
    ("name", "condition"),
    [("slcan_passive", BusCondition.ERROR_PASSIVE), ("slcan_warning", BusCondition.LISTENING)],
)
def test_error_states_of_the_controller(name: str, condition: BusCondition) -> None:
    """Error-passive is a condition of its own; error warning with traffic still listens, and says so."""
    bus = Bench(recorded_report(name))
    step = bus.look(frames=3)
    assert step.finding.condition is condition
    assert "errors" in step.finding.reason


def test_bus_off_with_the_helper_asks_for_restarts_with_back_off() -> None:
    """At once, then after 0.1, 0.2, 0.4 ... at most 30 s; from the shortest wait again after a quiet time."""
    bus = Bench(BUS_OFF, listen_only=False, helper=True)
    times = []
    while len(times) < 13:
        due = bus.machine.next_us(bus.now_us)
        bus.look(0.01 if due is None else max(0.0, (due - bus.now_us) / S))
        times = [at for at, request in bus.requests if request is RequestKind.RESTART]
    waits = [round(b - a, 3) for a, b in itertools.pairwise(times)]
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0, 30.0]
    bus.report = ACTIVE
    bus.look(frames=1)
    bus.look(31, frames=1)
    bus.report = BUS_OFF
    before = len(bus.requests)
    bus.look(1)
    bus.look(0.1)
    bus.look(0.2)
    assert len(bus.requests) - before == 3


def test_no_restart_while_the_kernel_restarts() -> None:
    """restart-ms is set: the condition says so, and nothing is asked for."""
    bus = Bench(dataclasses.replace(BUS_OFF, restart_ms=100), listen_only=False, helper=True)
    step = bus.look()
    assert step.finding.condition is BusCondition.BUS_OFF
    assert "100 ms" in step.finding.reason
    for _second in range(60):
        bus.look()
    assert bus.requests == []
    assert bus.machine.next_us(bus.now_us) is None


def test_bus_off_without_a_helper_is_told_and_left_to_a_person() -> None:
    """No request that nobody could carry out."""
    bus = Bench(BUS_OFF, listen_only=False)
    assert "restart the link" in bus.look().finding.action
    assert bus.requests == []


def test_bus_off_told_by_an_error_frame_on_a_link_without_a_state() -> None:
    """vcan knows no states: the error frame counts, until good frames or a restart."""
    bus = Bench(VCAN, name="vcan0", helper=True)
    assert bus.condition(frames=5) is BusCondition.LISTENING
    assert bus.condition(bus_offs=1) is BusCondition.BUS_OFF
    assert bus.condition(30) is BusCondition.BUS_OFF
    assert bus.requests == []
    assert bus.condition(frames=1) is BusCondition.LISTENING
    bus.look(bus_offs=1)
    assert bus.condition(6, restarts=1) is BusCondition.ASLEEP
    bus.look(bus_offs=1)
    bus.report = None
    bus.look()
    bus.report = VCAN
    assert bus.condition() is BusCondition.ASLEEP, "made anew"


def test_a_controller_that_recovered_is_believed() -> None:
    """A bus-off frame whose controller is well again when one looks is no condition."""
    assert Bench(ACTIVE, listen_only=False).condition(bus_offs=1, restarts=1, frames=4) is BusCondition.LISTENING
    assert Bench(ACTIVE, listen_only=False).condition(6, bus_offs=1) is not BusCondition.BUS_OFF


def test_a_link_that_acknowledges_is_told_loudly() -> None:
    """As a failure, again every 10 minutes; not where listen_only is off."""
    bus = Bench(ACTIVE)
    step = bus.look(frames=9)
    assert step.finding.condition is BusCondition.WRONG_MODE
    assert step.log[0].failure
    assert "listen-only on" in step.finding.action
    assert not bus.look(300, frames=9).log
    assert bus.look(301, frames=9).log
    assert Bench(ACTIVE, listen_only=False).condition(frames=9) is BusCondition.LISTENING


def test_another_rate_than_configured() -> None:
    """Named with both; what a controller's clock makes of 83.333k is the same rate."""
    step = Bench(LISTENING, bitrate=250_000).look(frames=9)
    assert step.finding.condition is BusCondition.WRONG_BITRATE
    assert "500000" in step.finding.reason
    assert "250000" in step.finding.reason
    near = dataclasses.replace(LISTENING, bitrate=83_333)
    assert Bench(near, bitrate=83_300).condition(frames=9) is BusCondition.LISTENING


def test_the_helper_is_asked_to_set_what_is_not_as_configured() -> None:
    """Down, active or at another rate; with back-off; never without a bit rate in the configuration."""
    fresh = recorded_report("sja1000_fresh")
    for report in (fresh, ACTIVE, dataclasses.replace(LISTENING, bitrate=125_000)):
        bus = Bench(report, helper=True, bitrate=500_000)
        for _second in range(60):
            bus.look()
        assert {request for _at, request in bus.requests} == {RequestKind.CONFIGURE}
        assert [at for at, _request in bus.requests] == [1, 3, 7, 15, 31]
    rateless = Bench(fresh, helper=True)
    rateless.look()
    assert rateless.requests == []


def test_a_link_that_came_back_is_opened_at_once_and_once() -> None:
    """The reader waits, the link is up: one request for each time it came up or was lost."""
    bus = Bench(None)
    bus.counters = BusCounters(open=False, error="No such device", opened=1)
    bus.look()
    assert bus.requests == []
    bus.report = LISTENING
    for _second in range(20):
        bus.look()
    assert [request for _at, request in bus.requests] == [RequestKind.REOPEN]
    bus.report = dataclasses.replace(LISTENING, ifindex=99)  # made anew between two looks
    bus.look()
    bus.look()
    assert len(bus.requests) == 2
    bus.look(opened=1)  # it had been open, and is lost again
    bus.look()
    assert len(bus.requests) == 3


def test_a_reader_that_cannot_open_a_healthy_link_is_no_sleep() -> None:
    """Up, listening, and nobody hears it: down, with the reader's words; a wrong mode is still told first."""
    bus = Bench()
    bus.counters = BusCounters(open=False, error="Permission denied")
    assert bus.condition(60) is BusCondition.DOWN
    assert "Permission denied" in bus.machine.finding.reason
    bus.report = ACTIVE
    assert bus.condition() is BusCondition.WRONG_MODE


def test_nobody_can_read_the_link() -> None:
    """Traffic is still traffic; without it the reason says why nothing is known."""
    bus = Bench("the program `ip` was not found")
    assert bus.condition(frames=1) is BusCondition.LISTENING
    step = bus.look(20)
    assert step.finding.condition is BusCondition.UNKNOWN
    assert "ip" in step.finding.reason


def test_a_bus_without_a_link_goes_by_its_reader() -> None:
    """unix, virtual, slcan: open and silent is asleep, an error is down."""
    bus = Bench(None, kernel=False, name="/run/bus")
    assert bus.condition(frames=1) is BusCondition.LISTENING
    assert bus.condition(20) is BusCondition.ASLEEP
    assert bus.condition(bus_faults=9) is BusCondition.WRONG_BITRATE
    bus.counters = dataclasses.replace(bus.counters, open=False, error="unplugged")
    assert bus.look().finding.reason == "unplugged"
    assert bus.machine.finding.condition is BusCondition.DOWN
    assert bus.requests == []


def test_a_flapping_bus_does_not_fill_the_log_and_its_end_is_told() -> None:
    """A burst, then one line in ten seconds; when it settles the last condition is logged."""
    bus = Bench()
    for turn in range(600):
        bus.report = LISTENING if turn % 2 else recorded_report("sja1000_set_down")
        bus.look(0.1, frames=1)
    assert len(bus.lines) <= LOG_BURST + 60 / 10 + 1
    bus.report = None
    for _second in range(11):
        bus.look()
    assert ": missing:" in bus.lines[-1]
    assert "flaps" in bus.lines[-1]
    assert bus.machine.changes >= 600
