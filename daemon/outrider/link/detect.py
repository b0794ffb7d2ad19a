"""Finding the bit rate of a bus without disturbing it: what to try next, and what the trials say. Pure.

A controller that only listens is set to one rate after the other. At the right one frames arrive and no errors; at a
wrong one errors and no frames; on a silent bus neither, which is sleep and no failure. Rules:

- A rate is accepted after ``ACCEPT_FRAMES`` good frames without an error frame in the window, never on less.
- The rate that was right the last time is tried first.
- Nothing is tried on a controller that acknowledges (``require_listen_only``).
- Frames and errors together, on a controller that can do CAN FD: the arbitration rate is right and a data phase is not
  understood; data rates are tried then. So they are when errors are all there is, in case that every frame is FD.
  A data rate is named only when FD frames were read with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from outrider.errors import LinkError
from outrider.link.report import FD, LISTEN_ONLY, LinkKind, LinkReport
from outrider.link.settings import SetLink

BITRATES: Final = (500_000, 250_000, 125_000, 1_000_000, 83_333, 33_333)
DATA_BITRATES: Final = (2_000_000, 5_000_000, 4_000_000, 8_000_000, 1_000_000)
ACCEPT_FRAMES: Final = 8
REJECT_ERRORS: Final = 20  # so many without a frame, and the window need not be waited out


@dataclass(frozen=True, slots=True)
class Candidate:
    """Rates in bit/s. ``data_bitrate``: with CAN FD switched on."""

    bitrate: int
    data_bitrate: int | None = None

    def __str__(self) -> str:
        return f"{self.bitrate}" if self.data_bitrate is None else f"{self.bitrate}/{self.data_bitrate}"

    def setting(self, device: str) -> SetLink:
        """Listening only, always."""
        return SetLink(device, bitrate=self.bitrate, data_bitrate=self.data_bitrate, listen_only=True)


@dataclass(frozen=True, slots=True)
class Tally:
    """What was heard in one window. frames: good ones, FD ones among them; errors: error frames."""

    frames: int = 0
    fd_frames: int = 0
    errors: int = 0

    @property
    def decided(self) -> bool:
        """More of the same would change nothing."""
        return self.frames == 0 and self.errors >= REJECT_ERRORS


class Verdict(StrEnum):
    """Of one trial. REFUSED: the controller cannot be set to it."""

    MATCH = "match"
    MIXED = "mixed"
    TOO_FEW = "too-few"
    ERRORS = "errors"
    SILENT = "silent"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Trial:
    """One candidate and what came of it."""

    candidate: Candidate
    tally: Tally = Tally()
    refused: str = ""

    @property
    def verdict(self) -> Verdict:
        if self.refused:
            return Verdict.REFUSED
        if self.tally.frames and self.tally.errors:
            return Verdict.MIXED
        if self.tally.frames:
            return Verdict.MATCH if self.tally.frames >= ACCEPT_FRAMES else Verdict.TOO_FEW
        return Verdict.ERRORS if self.tally.errors else Verdict.SILENT


class Outcome(StrEnum):
    """Of the whole search. FAILED: traffic that no candidate reads. UNSURE: frames, but too few or disturbed."""

    FOUND = "found"
    ASLEEP = "asleep"
    UNSURE = "unsure"
    FAILED = "failed"


class Detection:
    """One search. ``next`` says what to try, ``note`` takes what came of it; then ``outcome`` and ``best``."""

    def __init__(
        self, report: LinkReport, *, cached: Candidate | None = None, bitrates: Sequence[int] = BITRATES
    ) -> None:
        """LinkError for a link on which nothing may be tried."""
        if report.kind is not LinkKind.CAN:
            raise LinkError(f"{report.name} has no controller and no bit rate (kind {report.kind})")
        if not report.supports(LISTEN_ONLY):
            raise LinkError(
                f"{report.name}: its controller cannot listen without acknowledging; nothing is tried on a car"
            )
        self._fd = report.modes_supported is not None and FD in report.modes_supported
        self._known = report.bitrates
        first = [] if cached is None else [cached]
        if report.bitrate is not None:
            first.append(Candidate(report.bitrate))
        order = dict.fromkeys(first + [Candidate(rate) for rate in bitrates])
        self._waiting = [candidate for candidate in order if self._possible(candidate)]
        self.trials: list[Trial] = []
        self._data_phase_of: set[int] = set()

    def next(self) -> Candidate | None:
        """None: the search is over."""
        return self._waiting[0] if self._waiting and self._accepted() is None else None

    def note(self, trial: Trial) -> None:
        """What came of the candidate that ``next`` named."""
        self._waiting.remove(trial.candidate)
        self.trials.append(trial)
        if trial.verdict is Verdict.MIXED:
            self._waiting = self._data_phases(trial.candidate.bitrate) + self._waiting
        if not self._waiting:
            disturbed = [t.candidate.bitrate for t in self.trials if t.verdict is Verdict.ERRORS]
            self._waiting = [c for rate in dict.fromkeys(disturbed) for c in self._data_phases(rate)]

    def _data_phases(self, bitrate: int) -> list[Candidate]:
        """Data rates to try at this arbitration rate; none when they were tried or cannot be."""
        if not self._fd or bitrate in self._data_phase_of:
            return []
        self._data_phase_of.add(bitrate)
        tried = {trial.candidate for trial in self.trials} | set(self._waiting)
        candidates = [Candidate(bitrate, data) for data in DATA_BITRATES if data >= bitrate]
        return [candidate for candidate in candidates if candidate not in tried]

    @property
    def outcome(self) -> Outcome:
        """Of what was tried so far."""
        if self._accepted() is not None:
            return Outcome.FOUND
        if any(trial.tally.frames for trial in self.trials):
            return Outcome.UNSURE
        return Outcome.FAILED if any(trial.tally.errors for trial in self.trials) else Outcome.ASLEEP

    @property
    def best(self) -> Candidate | None:
        """What was accepted; without a data rate unless FD frames were read with it."""
        trial = self._accepted()
        if trial is None:
            return None
        return trial.candidate if trial.tally.fd_frames else Candidate(trial.candidate.bitrate)

    def _accepted(self) -> Trial | None:
        return next((trial for trial in self.trials if trial.verdict is Verdict.MATCH), None)

    def _possible(self, candidate: Candidate) -> bool:
        if candidate.data_bitrate is not None and not self._fd:
            return False
        return self._known is None or candidate.bitrate in self._known


def require_listen_only(report: LinkReport | None, candidate: Candidate) -> None:
    """After setting a candidate: LinkError unless the link now listens only, is up, and runs at that rate."""
    if report is None:
        raise LinkError("the interface went away")
    if not report.listen_only:
        raise LinkError(f"{report.name} does not stay listen-only: stopped")
    if not report.up or report.bitrate is None or abs(report.bitrate - candidate.bitrate) > candidate.bitrate // 100:
        raise LinkError(f"{report.name} did not take {candidate} bit/s")
