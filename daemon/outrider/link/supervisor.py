"""The state machine of one bus: from what its link and its reader say to a condition, log lines and requests.

Pure: the caller brings the reports and the time, and carries out what is asked. Rules:

- Silence is not failure: a link that is up, without frames and without errors, is asleep.
- Errors without a single good frame are a wrong bit rate or bad wiring, never sleep.
- Nothing is asked for faster than its own back-off, and no restart while the kernel restarts by itself.
- Each change of condition is told once; a bus that flaps is told with a bound, and its last condition always.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from outrider.link import condition as findings
from outrider.link.back_off import BackOff
from outrider.link.condition import BusCondition, Finding
from outrider.link.report import BERR_REPORTING, ControllerState, LinkKind, LinkReport

ASLEEP_AFTER_US: Final = 5_000_000
ERROR_MEMORY_US: Final = 10_000_000  # errors older than this no longer speak for a failure
ERRORS_MIN: Final = 3  # a bus that wakes up may spoil a frame or two
RESTART_US: Final = (100_000, 30_000_000)
CONFIGURE_US: Final = (2_000_000, 60_000_000)
REOPEN_MIN_US: Final = 1_000_000
STEADY_US: Final = 10_000_000  # so long out of trouble, and the next one begins with the shortest wait
BITRATE_TOLERANCE: Final = 0.01  # 83333 for 83.3k, and what a controller's clock can make of it
LOG_BURST: Final = 5
LOG_EVERY_US: Final = 10_000_000
WRONG_MODE_AGAIN_US: Final = 600_000_000
# Failures that nobody else reports. A reader that loses its bus says so itself when that is down or missing.
TELLS_ALONE: Final = frozenset(
    {BusCondition.ERROR_PASSIVE, BusCondition.WRONG_BITRATE, BusCondition.WRONG_MODE, BusCondition.BUS_OFF}
)


@dataclass(frozen=True, slots=True)
class BusPolicy:
    """What is wanted of a bus. name: the interface. kernel: it is a network interface, so that it has a link.

    bitrate, data_bitrate: bit/s, None = whatever the link has. helper: requests can be carried out by the helper.
    """

    name: str
    kernel: bool = True
    listen_only: bool = True
    bitrate: int | None = None
    data_bitrate: int | None = None
    helper: bool = False


@dataclass(frozen=True, slots=True)
class BusCounters:
    """What the reader of a bus has counted since it started. open: it has the bus open now; error: why not.

    frames: good ones of others. bus_faults: error frames that may tell of disturbed bits (not of bus-off, restarts,
    overflows and what only a sender meets). bus_offs, restarts: by class. overflows: controller overflow frames.
    queue_lost: frames that a full queue of ours cost.
    """

    open: bool = False
    error: str = ""
    opened: int = 0
    frames: int = 0
    bus_faults: int = 0
    bus_offs: int = 0
    restarts: int = 0
    overflows: int = 0
    socket_lost: int = 0
    queue_lost: int = 0
    held: int = 0


class RequestKind(StrEnum):
    """REOPEN: the reader should open the bus now. The others are for the helper: restart the controller after bus-off,
    set the link as the policy says."""

    REOPEN = "reopen"
    RESTART = "restart"
    CONFIGURE = "configure"


@dataclass(frozen=True, slots=True)
class LogLine:
    failure: bool
    text: str


@dataclass(frozen=True, slots=True)
class Step:
    """What one look at the bus gave."""

    finding: Finding
    log: tuple[LogLine, ...] = ()
    requests: tuple[RequestKind, ...] = ()


@dataclass(slots=True)
class _Evidence:
    """What the counters told so far. Times in us; None = never."""

    frame_us: int | None = None
    fault_us: int | None = None
    faults_since_frame: int = 0
    rate: int | None = None  # the link's bit rate at the last good frame
    off: bool = False  # the last word of the error frames: bus-off


@dataclass(slots=True)
class _LogBudget:
    """A bucket of lines that refills with time."""

    tokens: float = LOG_BURST
    filled_us: int = 0
    said: BusCondition | None = None
    said_us: int = 0
    skipped: bool = False

    def take(self, now_us: int) -> bool:
        self.tokens = min(LOG_BURST, self.tokens + (now_us - self.filled_us) / LOG_EVERY_US)
        self.filled_us = now_us
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(slots=True)
class _Asked:
    """Waits of each kind of request, and what a reopening was already asked for."""

    restart: BackOff = field(default_factory=lambda: BackOff(*RESTART_US))
    configure: BackOff = field(default_factory=lambda: BackOff(*CONFIGURE_US))
    reopened_for: tuple[int, int] | None = None
    reopen_due_us: int = 0


class BusSupervisor:
    """``step`` takes the newest facts; times are CLOCK_BOOTTIME in microseconds and never fall."""

    def __init__(self, policy: BusPolicy, now_us: int) -> None:
        self.policy = policy
        self.finding = findings.starting()
        self.since_us = now_us
        self.changes = 0
        self._began_us = now_us
        self._counters: BusCounters | None = None
        self._report: LinkReport | None = None
        self._evidence = _Evidence()
        self._log = _LogBudget(filled_us=now_us)
        self._asked = _Asked()
        self._ups = 0  # how often the link was seen to come up
        self._trouble_us = now_us

    def step(self, now_us: int, report: LinkReport | str | None, counters: BusCounters) -> Step:
        """report: None = no such interface, a text = why nobody can say. For a bus without a link anything."""
        before = self._counters or dataclasses.replace(counters, frames=0, bus_faults=0, bus_offs=0, restarts=0)
        self._note(now_us, before, counters)
        if not isinstance(report, str):
            self._note_link(report, heard=self._evidence.frame_us == now_us)
        finding = self._judge(now_us, report, counters)
        if finding.condition is not self.finding.condition:
            self.since_us = now_us
            self.changes += 1
        self.finding, self._counters = finding, counters
        return Step(finding, self._log_lines(now_us), self._requests(now_us, report, counters))

    def next_us(self, now_us: int) -> int | None:
        """When a request will be due that only waits for its back-off; None: nothing waits."""
        report = self._report
        off = self.finding.condition is BusCondition.BUS_OFF
        if off and report is not None and self._helps(report) and report.restart_ms == 0:
            return max(now_us, self._asked.restart.due_us)
        return None

    # -- evidence ------------------------------------------------------------------------------------------

    def _note(self, now_us: int, before: BusCounters, now: BusCounters) -> None:
        evidence = self._evidence
        faults = max(0, now.bus_faults - before.bus_faults)
        if now.bus_offs > before.bus_offs:
            evidence.off = True
        if now.restarts > before.restarts:
            evidence.off = False
        if faults:
            evidence.fault_us = now_us
            evidence.faults_since_frame += faults
        if now.frames > before.frames:
            evidence.frame_us = now_us
            evidence.faults_since_frame = 0
            evidence.off = evidence.off and now.bus_offs > before.bus_offs

    def _note_link(self, report: LinkReport | None, *, heard: bool) -> None:
        last, self._report = self._report, report
        if report is None or not report.up:
            self._evidence.off = False  # whoever sets it up again begins anew
            return
        if heard:
            self._evidence.rate = report.bitrate
        if last is None or not last.up or last.ifindex != report.ifindex:
            self._ups += 1

    # -- judgement -----------------------------------------------------------------------------------------

    def _judge(self, now_us: int, report: LinkReport | str | None, counters: BusCounters) -> Finding:
        if not self.policy.kernel:
            return self._by_reader(now_us, counters)
        if report is None:
            return findings.missing(self.policy.name)
        if isinstance(report, str):
            return self._by_traffic(now_us, sees_errors=False, why=report)
        return self._by_link(now_us, report, counters)

    def _by_reader(self, now_us: int, counters: BusCounters) -> Finding:
        """A bus without a link: the reader's word."""
        if not counters.open and counters.error:
            return Finding(BusCondition.DOWN, counters.error)
        if self._evidence.off:
            return findings.bus_off(0, helper=False)
        return self._errors(now_us, None) or self._by_traffic(now_us, sees_errors=True)

    def _by_link(self, now_us: int, report: LinkReport, counters: BusCounters) -> Finding:
        if not report.up:
            return findings.down(report.name)
        known = report.state is not None
        if report.state is ControllerState.BUS_OFF or (self._evidence.off and not known):
            return findings.bus_off(report.restart_ms, helper=self._helps(report))
        if known:
            self._evidence.off = False  # the controller has the last word
        if not report.carrier and report.state is not ControllerState.SLEEPING:
            return findings.stopped(report.name, virtual=report.kind is not LinkKind.CAN)
        setting = self._by_setting(report)
        if setting is None and not counters.open and counters.error:
            return findings.unread(report.name, counters.error)  # nobody listens: that is neither sleep nor traffic
        return setting or self._by_errors(now_us, report)

    def _by_setting(self, report: LinkReport) -> Finding | None:
        policy = self.policy
        if report.kind is not LinkKind.CAN:
            return None
        if policy.listen_only and not report.listen_only:
            return findings.wrong_mode(report.name)
        if policy.bitrate and report.bitrate and not _near(report.bitrate, policy.bitrate):
            return findings.other_bitrate(report.name, report.bitrate, policy.bitrate)
        if policy.data_bitrate and report.data_bitrate and not _near(report.data_bitrate, policy.data_bitrate):
            return findings.other_bitrate(report.name, report.data_bitrate, policy.data_bitrate)
        return None

    def _by_errors(self, now_us: int, report: LinkReport) -> Finding:
        errors = self._errors(now_us, report.bitrate)
        if errors is not None:
            return errors
        if report.state is ControllerState.ERROR_PASSIVE:
            return findings.error_passive(report.tec, report.rec)
        warning = report.state is ControllerState.ERROR_WARNING
        sees_errors = report.kind is not LinkKind.CAN or BERR_REPORTING in report.modes
        return self._by_traffic(now_us, sees_errors=sees_errors, warning=warning)

    def _errors(self, now_us: int, bitrate: int | None) -> Finding | None:
        evidence = self._evidence
        recent = evidence.fault_us is not None and now_us - evidence.fault_us <= ERROR_MEMORY_US
        if not recent or evidence.faults_since_frame < ERRORS_MIN:
            return None
        heard_before = evidence.frame_us is not None and evidence.rate == bitrate
        return findings.errors_only(bitrate, evidence.faults_since_frame, heard_before=heard_before)

    def _by_traffic(self, now_us: int, *, sees_errors: bool, warning: bool = False, why: str = "") -> Finding:
        heard_us = self._evidence.frame_us
        if heard_us is not None and now_us - heard_us <= ASLEEP_AFTER_US:
            return findings.listening(warning=warning, note=f" ({why})" if why else "")
        if why:
            return findings.unknown(why)
        if heard_us is None and now_us - self._began_us <= ASLEEP_AFTER_US:
            return findings.starting()
        return findings.asleep(sees_errors=sees_errors)

    # -- what to say ---------------------------------------------------------------------------------------

    def _log_lines(self, now_us: int) -> tuple[LogLine, ...]:
        log, finding = self._log, self.finding
        again = finding.condition is BusCondition.WRONG_MODE and now_us - log.said_us >= WRONG_MODE_AGAIN_US
        if (finding.condition is log.said and not again) or finding.condition is BusCondition.UNKNOWN:
            return ()
        if not log.take(now_us):
            log.skipped = True
            return ()
        more = f" (it flaps: {self.changes} changes so far, some were not told)" if log.skipped else ""
        log.said, log.said_us, log.skipped = finding.condition, now_us, False
        action = f"; {finding.action}" if finding.action else ""
        text = f"{self.policy.name}: {finding.condition}: {finding.reason}{action}{more}"
        return (LogLine(finding.condition in TELLS_ALONE, text),)

    # -- what to ask for -----------------------------------------------------------------------------------

    def _helps(self, report: LinkReport) -> bool:
        return self.policy.helper and report.kind is LinkKind.CAN

    def _requests(self, now_us: int, report: LinkReport | str | None, counters: BusCounters) -> tuple[RequestKind, ...]:
        if not isinstance(report, LinkReport) or not self.policy.kernel:
            return ()
        wanted = []
        if self._reopens(now_us, report, counters):
            wanted.append(RequestKind.REOPEN)
        if self._helps(report):
            wanted += self._for_helper(now_us, report)
        return tuple(wanted)

    def _reopens(self, now_us: int, report: LinkReport, counters: BusCounters) -> bool:
        """The link works and the reader is still waiting: once for each time it came up or the reader lost it."""
        asked, occasion = self._asked, (self._ups, counters.opened)
        if not report.up or counters.open or asked.reopened_for == occasion or now_us < asked.reopen_due_us:
            return False
        asked.reopened_for, asked.reopen_due_us = occasion, now_us + REOPEN_MIN_US
        return True

    def _for_helper(self, now_us: int, report: LinkReport) -> list[RequestKind]:
        asked, condition = self._asked, self.finding.condition
        off, unset = condition is BusCondition.BUS_OFF, self._unset(report)
        if off or unset:
            self._trouble_us = now_us
        elif now_us - self._trouble_us >= STEADY_US:
            asked.restart.reset()
            asked.configure.reset()
        if off and report.restart_ms == 0 and asked.restart.ready(now_us):
            asked.restart.note(now_us)
            return [RequestKind.RESTART]
        if unset and asked.configure.ready(now_us):
            asked.configure.note(now_us)
            return [RequestKind.CONFIGURE]
        return []

    def _unset(self, report: LinkReport) -> bool:
        """The link is not as configured, and the configuration says how it should be."""
        if not self.policy.bitrate:
            return False
        return not report.up or self._by_setting(report) is not None


def _near(a: int, b: int) -> bool:
    return abs(a - b) <= b * BITRATE_TOLERANCE
