"""Looks after the buses: what each is doing, what a person should know, and asking for what may be asked.

One thread. It reads the links (every ``LOOK_S``, at once when the kernel tells of a change or error frames arrive) and
the readers' counters, lets the state machines of ``link/`` judge, logs what they say and carries out what they ask:
opening again at once is the source's matter, setting and restarting a link is the helper's. The daemon never sets one.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from outrider.config import CanBus, Config
from outrider.errors import ConfigError, LinkError
from outrider.link.load import LoadMeter
from outrider.link.names import checked_name
from outrider.link.report import LinkReport
from outrider.link.set_io import LinkSetter
from outrider.link.settings import RestartLink, SetLink
from outrider.link.state_io import LinkState
from outrider.link.supervisor import BusCounters, BusPolicy, BusSupervisor, RequestKind
from outrider.link.watch_io import LinkWatch
from outrider.ports import Clock, LiveSource

KERNEL_INTERFACE: Final = "socketcan"
LOOK_S: Final = 2.0
GLANCE_S: Final = 0.25  # how often the counters are read; that is cheap
NEWS_US: Final = 500_000  # error frames may come by the thousand: the links are not read more often for it
CHANGE_US: Final = 100_000  # the same for interfaces that come and go
STOP_S: Final = 60.0  # a helper may take its time

log = logging.getLogger(__name__)


def bus_policies(config: Config) -> list[BusPolicy]:
    """One for each [[can]] section. ConfigError for what can never work."""
    return [_policy(bus, number) for number, bus in enumerate(config.can)]


def _policy(bus: CanBus, number: int) -> BusPolicy:
    kernel, helper = bus.interface == KERNEL_INTERFACE, bus.link == "helper"
    if helper and not kernel:
        raise ConfigError(f'[[can]] {number + 1}: link = "helper" is for interface = "socketcan" only')
    if helper and bus.bitrate is None:
        raise ConfigError(f'[[can]] {number + 1}: link = "helper" needs a bitrate (or find it: `outrider bus detect`)')
    if kernel:
        try:
            checked_name(bus.channel)
        except LinkError as err:
            raise ConfigError(f"[[can]] {number + 1}: {err}") from None
    return BusPolicy(
        name=bus.channel,
        kernel=kernel,
        listen_only=bus.listen_only,
        bitrate=bus.bitrate,
        data_bitrate=bus.data_bitrate,
        helper=helper,
    )


def counters_of(state: Mapping[str, Any]) -> BusCounters:
    """What a source of a bus says of itself (docs/reference/sources.md), as the state machine wants it."""

    def count(*names: str) -> int:
        return sum(int(state.get(name, 0)) for name in names)

    errors = count("error_frames")
    harmless = count(
        "bus_off", "error_restarted", "controller_overflows", "error_lost_arbitration", "error_tx_timeout"
    )  # fmt: skip
    return BusCounters(
        open=state["state"] in {"up", "silent"},
        error=str(state.get("error", "")),
        opened=count("opened"),
        frames=max(0, count("frames") - errors - count("echoes")),
        bus_faults=max(0, errors - harmless),
        bus_offs=count("bus_off"),
        restarts=count("error_restarted"),
        overflows=count("controller_overflows"),
        socket_lost=count("socket_lost"),
        queue_lost=count("dropped"),
        held=count("held"),
    )


@dataclass(slots=True)
class Bus:
    """One bus under supervision."""

    policy: BusPolicy
    source: LiveSource
    machine: BusSupervisor
    load: LoadMeter = field(default_factory=LoadMeter)
    report: LinkReport | None = None
    counters: BusCounters = field(default_factory=BusCounters)
    requests: Counter[str] = field(default_factory=Counter)
    refusal: str = ""  # what the last request to the helper met; "" = it was carried out


class Supervision:
    """``setter`` is the way to the helper, None where no bus has one. ``status`` may be called from any thread."""

    def __init__(
        self,
        policies: Sequence[BusPolicy],
        sources: Sequence[LiveSource],
        clock: Clock,
        state: LinkState,
        setter: LinkSetter | None = None,
    ) -> None:
        now = clock.boottime_us()
        self.buses = [
            Bus(policy, source, BusSupervisor(policy, now)) for policy, source in zip(policies, sources, strict=True)
        ]
        self._clock = clock
        self._state = state
        self._setter = setter
        self._kernel = any(policy.kernel for policy in policies)
        self._look_us = now
        self._looked_us = 0
        self._changed = False
        self._faults = 0
        self._stop = threading.Event()
        self._watch: LinkWatch | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins; nothing to do without buses."""
        if not self.buses or self._thread is not None:
            return
        self._watch = LinkWatch()
        self._thread = threading.Thread(target=self._run, name="bus supervision", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends and joins."""
        self._stop.set()
        if self._thread is None or self._watch is None:
            return
        self._watch.wake()
        self._thread.join(STOP_S)
        if not self._thread.is_alive():
            self._watch.close()
        self._thread = None

    def status(self) -> list[dict[str, Any]]:
        """``buses`` of the status document (docs/reference/cli.md)."""
        now = self._clock.boottime_us()
        return [_document(bus, now) for bus in self.buses]

    # -- the thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        assert self._watch is not None
        changed = True
        while not self._stop.is_set():
            try:
                self.turn(changed=changed)
            except Exception:  # a fault of ours must not leave the buses without supervision
                self._faults += 1
                if self._faults == 1:
                    log.exception("bus supervision; further faults are only counted")
            changed = self._watch.wait(self._pause_s())

    def turn(self, *, changed: bool = False) -> None:
        """One look at the counters and, when it is time or something happened, at the links and all that follows.

        changed: the kernel told of a link. For the thread, and for tests.
        """
        now = self._clock.boottime_us()
        self._changed, news = self._changed or changed, False
        for bus in self.buses:
            before, bus.counters = bus.counters, counters_of(bus.source.state())
            news = news or _news(before, bus.counters)
        since_us = now - self._looked_us
        told = (self._changed and since_us >= CHANGE_US) or (news and since_us >= NEWS_US)
        if told or now >= self._look_us or self._due(now):
            self._look(now)

    def _due(self, now: int) -> bool:
        """Whether a request waits for nothing but its time."""
        return any(at is not None and at <= now for at in (bus.machine.next_us(now) for bus in self.buses))

    def _pause_s(self) -> float:
        now = self._clock.boottime_us()
        waits = [bus.machine.next_us(now) for bus in self.buses]
        soonest = min((at for at in waits if at is not None), default=now + round(GLANCE_S * 1e6))
        return CHANGE_US / 1e6 if self._changed else min(GLANCE_S, max(0.02, (soonest - now) / 1e6))

    def _look(self, now: int) -> None:
        self._looked_us, self._look_us, self._changed = now, now + round(LOOK_S * 1e6), False
        reports, trouble = self._links()
        for bus in self.buses:
            bus.report = reports.get(bus.policy.name) if bus.policy.kernel else None
            bus.load.note(now, bus.report, bus.policy.bitrate)
            step = bus.machine.step(now, trouble if trouble is not None else bus.report, bus.counters)
            for line in step.log:
                log.log(logging.WARNING if line.failure else logging.INFO, "%s", line.text)
            for request in step.requests:
                self._carry_out(bus, request)

    def _links(self) -> tuple[dict[str, LinkReport], str | None]:
        """All links by name, or why they cannot be read."""
        if not self._kernel:
            return {}, None
        try:
            return {report.name: report for report in self._state.read_all()}, None
        except LinkError as err:
            return {}, str(err)

    # -- requests ------------------------------------------------------------------------------------------

    def _carry_out(self, bus: Bus, request: RequestKind) -> None:
        bus.requests[request.value] += 1
        if request is RequestKind.REOPEN:
            bus.source.nudge()
        else:
            self._ask_helper(bus, request)

    def _ask_helper(self, bus: Bus, request: RequestKind) -> None:
        """A refusal is told when it is a new one; the machine asks again after its back-off."""
        before = bus.refusal
        try:
            if self._setter is None:
                raise LinkError("there is no bus helper")
            self._setter.request(_setting(bus) if request is RequestKind.CONFIGURE else RestartLink(bus.policy.name))
        except LinkError as err:
            bus.refusal = str(err)
            bus.requests["refused"] += 1
            if bus.refusal != before:
                log.warning("%s: %s: %s", bus.policy.name, request, err)
            return
        bus.refusal = ""
        log.info("%s: %s: done by the helper", bus.policy.name, request)


def _setting(bus: Bus) -> SetLink:
    policy = bus.policy
    assert policy.bitrate is not None  # bus_policies saw to it
    restart_ms = bus.report.restart_ms if bus.report else 0
    return SetLink(
        policy.name,
        bitrate=policy.bitrate,
        data_bitrate=policy.data_bitrate,
        listen_only=policy.listen_only,
        restart_ms=restart_ms,
    )


def _news(before: BusCounters, now: BusCounters) -> bool:
    """Something that is worth a look at the link: errors, or the reader lost or regained the bus."""
    return (
        now.bus_faults != before.bus_faults
        or now.bus_offs != before.bus_offs
        or now.restarts != before.restarts
        or now.open != before.open
    )


def _document(bus: Bus, now_us: int) -> dict[str, Any]:
    machine, finding, report, counters = bus.machine, bus.machine.finding, bus.report, bus.counters
    load, per_second = bus.load.load, bus.load.frames_per_s
    return {
        "name": bus.policy.name,
        "condition": finding.condition.value,
        "reason": finding.reason,
        "action": finding.action,
        "since_s": round((now_us - machine.since_us) / 1e6, 1),
        "changes": machine.changes,
        "link": None if report is None else link_document(report),
        "frames_per_s": None if per_second is None else round(per_second, 1),
        "load_percent": None if load is None else round(load * 100, 1),
        "lost": {
            "controller": max(bus.load.controller_lost, counters.overflows),
            "socket": counters.socket_lost,
            "queue": counters.queue_lost,
        },
        "held": counters.held,
        "requests": dict(bus.requests),
        "helper_refusal": bus.refusal,
    }


def link_document(report: LinkReport) -> dict[str, Any]:
    """The settings and state of a link, JSON-ready; null: not set, or the kind has none."""
    return {
        "kind": report.kind.value,
        "up": report.up,
        "mode": report.mode,
        "state": None if report.state is None else report.state.value,
        "bitrate": report.bitrate,
        "sample_point": report.sample_point,
        "data_bitrate": report.data_bitrate,
        "restart_ms": report.restart_ms,
        "tec": report.tec,
        "rec": report.rec,
    }
