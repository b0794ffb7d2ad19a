"""Supervision in the daemon: counters in, conditions and requests out; nothing a link or a helper does ends it."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from outrider.app.supervision import Supervision, bus_policies, counters_of
from outrider.clock import ManualClock
from outrider.config import Bus, CanBus, Config, config_document
from outrider.errors import ConfigError, LinkError
from outrider.link.report import LinkReport
from outrider.link.set_io import RecordingLinkSetter
from outrider.link.settings import RestartLink, SetLink
from outrider.link.state_io import RecordedLinkState
from outrider.link.supervisor import BusPolicy
from outrider.ports import SourceItem
from tests.support.links import recorded

LISTENING = recorded("sja1000_listen_only").replace(b'"restart_ms":100', b'"restart_ms":0')
DOWN = recorded("sja1000_set_down")
BUS_OFF = recorded("slcan_bus_off").replace(b"can2", b"can0")


class Source:
    """A source that says what it is told to say."""

    name = "socketcan:can0"

    def __init__(self, **state: Any) -> None:
        self.document: dict[str, Any] = {"name": self.name, "state": "up", **state}
        self.nudges = 0

    def start(self, deliver: Callable[[SourceItem], None]) -> None: ...

    def stop(self) -> None: ...

    def nudge(self) -> None:
        self.nudges += 1

    def state(self) -> dict[str, Any]:
        return dict(self.document)


class Looked(RecordedLinkState):
    """Counts how often the links were read."""

    looks = 0

    def read_all(self) -> list[LinkReport]:
        self.looks += 1
        return super().read_all()


class Bench:
    def __init__(
        self, *answers: bytes | LinkError | None, policy: BusPolicy | None = None, helper: bool = False
    ) -> None:
        self.clock = ManualClock(1_000_000)
        self.source = Source()
        self.state = Looked({"can0": answers or [LISTENING]})
        self.setter = RecordingLinkSetter()
        policy = policy or BusPolicy("can0", helper=helper, bitrate=500_000)
        self.supervision = Supervision(
            [policy], [self.source], self.clock, self.state, self.setter if policy.helper else None
        )

    def turn(self, seconds: float = 0.25, *, changed: bool = False, **state: Any) -> dict[str, Any]:
        self.clock.advance(seconds)
        self.source.document |= state
        self.supervision.turn(changed=changed)
        (bus,) = self.supervision.status()
        return bus


def test_the_links_are_read_every_two_seconds_and_at_news() -> None:
    """Counters four times a second, `ip` every 2 s; at once when the kernel tells of a change or errors come."""
    bench = Bench()
    for _quarter in range(40):
        bench.turn()
    assert bench.state.looks == 5
    bench.turn(0.1, changed=True)
    assert bench.state.looks == 6
    bench.turn(1.0, error_frames=3, error_protocol=3)
    assert bench.state.looks == 7


def test_a_storm_of_errors_or_changes_does_not_become_one_of_processes() -> None:
    """Errors: twice a second at most; changes of links: ten times."""
    errors = Bench()
    for turn in range(100):
        errors.turn(0.1, error_frames=turn * 1000)
    assert errors.state.looks <= 21
    changes = Bench()
    for _turn in range(1000):
        changes.turn(0.01, changed=True)
    assert changes.state.looks <= 101


def test_the_status_of_a_bus() -> None:
    """Condition with reason, the link's settings, load, losses by place."""
    bench = Bench(LISTENING, LISTENING.replace(b'"packets":0', b'"packets":900').replace(b'"bytes":0', b'"bytes":7200'))
    bench.turn(2.1, frames=9, controller_overflows=2, socket_lost=3, dropped=4, held=5)
    bus = bench.turn(2.1, frames=10)
    assert (bus["condition"], bus["reason"]) == ("listening", "frames arrive")
    assert bus["link"] == {
        "kind": "can",
        "up": True,
        "mode": "listen-only",
        "state": "ERROR-ACTIVE",
        "bitrate": 500_000,
        "sample_point": 0.875,
        "data_bitrate": None,
        "restart_ms": 0,
        "tec": 0,
        "rec": 0,
    }
    assert bus["lost"] == {"controller": 2, "socket": 3, "queue": 4}
    assert bus["held"] == 5
    assert bus["load_percent"] > 0


def test_a_bus_that_is_back_is_nudged() -> None:
    """The source waits, the link is up again."""
    bench = Bench(DOWN, LISTENING)
    bench.turn(changed=True, state="down", error="Network is down")
    assert bench.source.nudges == 0
    bus = bench.turn(changed=True)
    assert bench.source.nudges == 1
    assert bus["requests"] == {"reopen": 1}


def test_the_helper_is_asked_with_the_policy_and_refusals_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """The setting names rate and mode; a refusal that repeats is counted, its text stays in the status."""
    caplog.set_level(logging.INFO)
    bench = Bench(DOWN, helper=True)
    bench.setter.error = "not among the interfaces"
    for _second in range(40):
        bus = bench.turn(1.0)
    assert set(map(repr, bench.setter.requests)) == {repr(SetLink("can0", bitrate=500_000, restart_ms=100))}
    assert bus["requests"]["refused"] == bus["requests"]["configure"] == len(bench.setter.requests) >= 4
    assert bus["helper_refusal"] == "not among the interfaces"
    assert sum("not among" in record.message for record in caplog.records) == 1
    bench.setter.error = None
    for _second in range(60):
        bus = bench.turn(1.0)
    assert bus["helper_refusal"] == ""
    assert any("done by the helper" in record.message for record in caplog.records)


def test_bus_off_is_restarted_through_the_helper() -> None:
    """At once, and without waiting for the next look."""
    bench = Bench(BUS_OFF, policy=BusPolicy("can0", helper=True, listen_only=True))
    bench.turn(changed=True)
    bench.turn(0.11)
    assert bench.setter.requests == [RestartLink("can0")] * 2


def test_without_a_helper_nothing_is_asked() -> None:
    """The default: the system sets links."""
    bench = Bench(DOWN)
    for _second in range(30):
        bench.turn(1.0)
    assert bench.setter.requests == []


def test_links_that_cannot_be_read(caplog: pytest.LogCaptureFixture) -> None:
    """The reason stands in the status; traffic is traffic all the same."""
    bench = Bench(LinkError("the program `ip` was not found; install iproute2"))
    bus = bench.turn(3, frames=10)
    assert bus["condition"] == "listening"
    assert "install iproute2" in bus["reason"]
    assert bench.turn(30)["condition"] == "unknown"


def test_a_bus_without_a_kernel_interface_needs_no_ip() -> None:
    """unix, virtual: judged by their reader."""
    bench = Bench(LinkError("never asked"), policy=BusPolicy("/run/bus", kernel=False))
    assert bench.turn(3, frames=10)["condition"] == "listening"
    assert bench.turn(3, state="down", error="gone")["condition"] == "down"
    assert bench.state.looks == 0


def test_the_thread_survives_a_fault_of_ours(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logged once, and it goes on looking; stop ends it."""
    bench = Bench()
    again, calls = threading.Event(), []

    def faulty() -> list[LinkReport]:
        calls.append(1)
        if len(calls) > 1:
            again.set()
        bench.clock.advance(3)
        raise RuntimeError("boom")

    monkeypatch.setattr(bench.state, "read_all", faulty)
    bench.supervision.start()
    bench.supervision.start()
    assert again.wait(30)
    bench.supervision.stop()
    bench.supervision.stop()
    assert sum("boom" in str(record.exc_info) for record in caplog.records) == 1


def test_counters_of_a_source() -> None:
    """Good frames without errors and echoes; faults without what tells of no disturbed bit."""
    counters = counters_of(
        {"state": "silent", "frames": 100, "error_frames": 30, "echoes": 10, "bus_off": 2, "error_restarted": 1,
         "controller_overflows": 3, "error_lost_arbitration": 1, "error_tx_timeout": 1, "error_protocol": 22,
         "opened": 2}
    )  # fmt: skip
    assert (counters.open, counters.frames, counters.bus_faults, counters.bus_offs) == (True, 60, 22, 2)
    assert (counters.restarts, counters.overflows, counters.opened) == (1, 3, 2)


@pytest.mark.parametrize(
    ("bus", "words"),
    [
        (CanBus(interface="virtual", link="helper", bitrate=500_000), "socketcan"),
        (CanBus(link="helper"), "needs a bitrate"),
        (CanBus(channel="can0; reboot"), "cannot be the name"),
        (CanBus(channel="averylonginterfacename"), "cannot be the name"),
    ],
)
def test_settings_that_can_never_work(bus: CanBus, words: str) -> None:
    """Named with the section."""
    with pytest.raises(ConfigError, match=words):
        bus_policies(Config(can=(CanBus(), bus)))


def test_policies_follow_the_file() -> None:
    """One for each section; a helper only where it is asked for."""
    buses: Iterable[CanBus] = (
        CanBus(),
        CanBus(channel="can1", link="helper", bitrate=250_000),
        CanBus(interface="unix"),
    )
    policies = bus_policies(Config(can=tuple(buses), bus=Bus()))
    assert [(p.name, p.kernel, p.helper) for p in policies] == [
        ("can0", True, False), ("can1", True, True), ("can0", False, False),
    ]  # fmt: skip
    assert dataclasses.is_dataclass(policies[0])
    assert config_document(Config())["bus"] == {"helper_socket": "/run/outrider-bus/bus.sock"}
