"""Finding a bit rate: order, acceptance, silence apart from failure, FD data phases, and never on an active link."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.errors import LinkError
from outrider.link.detect import (
    ACCEPT_FRAMES,
    BITRATES,
    Candidate,
    Detection,
    Outcome,
    Tally,
    Trial,
    Verdict,
    require_listen_only,
)
from outrider.link.report import LinkReport
from tests.support.links import recorded_report

FRESH = recorded_report("sja1000_fresh")
FD_ABLE = dataclasses.replace(FRESH, modes_supported=frozenset({"LISTEN-ONLY", "BERR-REPORTING", "FD"}))
SILENT = Tally()


@dataclasses.dataclass(frozen=True)
class Wire:
    """What a bus at some rate lets a listener hear. fd: share of its frames that are FD, at this data rate."""

    bitrate: int | None
    data_bitrate: int | None = None
    classic: int = 20
    fd: int = 0

    def hear(self, candidate: Candidate) -> Tally:
        if self.bitrate is None:
            return SILENT
        if candidate.bitrate != self.bitrate:
            return Tally(errors=20)
        if candidate.data_bitrate == self.data_bitrate:
            return Tally(self.classic + self.fd, self.fd, 0)
        return Tally(self.classic, 0, self.fd)


def search(wire: Wire, report: LinkReport = FRESH, **options: object) -> Detection:
    detection = Detection(report, **options)  # type: ignore[arg-type]
    while (candidate := detection.next()) is not None:
        detection.note(Trial(candidate, wire.hear(candidate)))
        assert len(detection.trials) < 100
    return detection


@pytest.mark.parametrize("bitrate", BITRATES)
def test_every_candidate_is_found(bitrate: int) -> None:
    """In the order of what cars use, ending with the one that fits."""
    detection = search(Wire(bitrate))
    assert detection.outcome is Outcome.FOUND
    assert detection.best == Candidate(bitrate)
    assert [t.candidate.bitrate for t in detection.trials] == list(BITRATES[: BITRATES.index(bitrate) + 1])


def test_what_was_found_before_is_tried_first() -> None:
    """Then what the link is set to, then the list, nothing twice."""
    detection = search(
        Wire(None), dataclasses.replace(FRESH, bitrate=1_000_000), cached=Candidate(83_333), bitrates=BITRATES
    )
    tried = [t.candidate.bitrate for t in detection.trials]
    assert tried[:2] == [83_333, 1_000_000]
    assert sorted(tried) == sorted(BITRATES)


def test_a_silent_bus_is_asleep_and_no_failure() -> None:
    """No frames and no errors at any rate."""
    detection = search(Wire(None))
    assert detection.outcome is Outcome.ASLEEP
    assert detection.best is None
    assert {trial.verdict for trial in detection.trials} == {Verdict.SILENT}


def test_traffic_at_a_rate_that_is_not_tried() -> None:
    """Errors everywhere: failed, and not asleep."""
    assert search(Wire(800_000)).outcome is Outcome.FAILED


def test_too_few_frames_are_not_accepted() -> None:
    """One frame short of enough is unsure."""
    assert search(Wire(500_000, classic=ACCEPT_FRAMES - 1)).outcome is Outcome.UNSURE
    assert search(Wire(500_000, classic=ACCEPT_FRAMES)).outcome is Outcome.FOUND


def test_frames_between_errors_are_not_accepted() -> None:
    """On a controller without FD that is the end of it."""
    detection = search(Wire(500_000, 2_000_000, fd=10))
    assert detection.outcome is Outcome.UNSURE
    assert Verdict.MIXED in {trial.verdict for trial in detection.trials}


def test_a_data_phase_is_named_when_fd_frames_were_read() -> None:
    """Frames and errors at the arbitration rate: data rates are tried there next."""
    detection = search(Wire(500_000, 5_000_000, fd=10), FD_ABLE)
    assert detection.best == Candidate(500_000, 5_000_000)
    assert [str(trial.candidate) for trial in detection.trials] == ["500000", "500000/2000000", "500000/5000000"]


def test_a_bus_of_fd_frames_only() -> None:
    """Every frame is an error to a classic listener: data rates are tried in a second round."""
    assert search(Wire(250_000, 2_000_000, classic=0, fd=30), FD_ABLE).best == Candidate(250_000, 2_000_000)


def test_no_data_phase_without_fd_frames() -> None:
    """A cached data rate that nothing was read with is not claimed again."""
    detection = search(Wire(500_000, 2_000_000), FD_ABLE, cached=Candidate(500_000, 2_000_000))
    assert detection.best == Candidate(500_000)


def test_rates_the_hardware_does_not_know_are_left_out() -> None:
    """An adapter with a fixed list."""
    tried = [t.candidate.bitrate for t in search(Wire(None), recorded_report("slcan_fresh")).trials]
    assert tried == [500_000, 250_000, 125_000, 1_000_000]


def test_refused_candidates_are_passed_over() -> None:
    """A controller that cannot make a rate does not end the search."""
    detection = Detection(FRESH)
    first = detection.next()
    assert first is not None
    detection.note(Trial(first, refused="invalid bit timing"))
    assert detection.next() == Candidate(BITRATES[1])
    assert detection.outcome is Outcome.ASLEEP


def test_never_where_it_would_disturb() -> None:
    """No controller, one that cannot only listen, one that does not stay so: an error instead of a trial."""
    with pytest.raises(LinkError, match="no controller"):
        Detection(recorded_report("vcan_up"))
    with pytest.raises(LinkError, match="cannot listen"):
        Detection(dataclasses.replace(FRESH, modes_supported=frozenset({"FD"})))
    listening = recorded_report("sja1000_listen_only")
    require_listen_only(listening, Candidate(500_000))
    for report, words in (
        (recorded_report("sja1000_active"), "does not stay listen-only"),
        (recorded_report("sja1000_set_down"), "did not take"),
        (dataclasses.replace(listening, bitrate=250_000), "did not take"),
        (None, "went away"),
    ):
        with pytest.raises(LinkError, match=words):
            require_listen_only(report, Candidate(500_000))


def test_every_setting_listens_only() -> None:
    """Whatever the candidate."""
    assert all(Candidate(rate, data).setting("can0").listen_only for rate in BITRATES for data in (None, 2_000_000))


WIRES = st.builds(
    Wire,
    st.sampled_from([*BITRATES, None, 50_000]),
    st.sampled_from([None, 1_000_000, 2_000_000, 5_000_000, 8_000_000, 12_000_000]),
    st.integers(0, 30),
    st.integers(0, 30),
).map(lambda wire: wire if wire.data_bitrate else dataclasses.replace(wire, fd=0))
CACHED = st.none() | st.builds(Candidate, st.sampled_from(BITRATES), st.sampled_from([None, 2_000_000]))


@given(WIRES, st.booleans(), CACHED)
def test_a_rate_is_never_wrong(wire: Wire, able: bool, cached: Candidate | None) -> None:
    """Whatever is on the wire: the search ends, what it accepts is the wire's rate, and silence is never a failure."""
    detection = search(wire, FD_ABLE if able else FRESH, cached=cached)
    if detection.best is not None:
        assert detection.best.bitrate == wire.bitrate
        assert detection.best.data_bitrate in {None, wire.data_bitrate}
    if wire.bitrate is None:
        assert detection.outcome is Outcome.ASLEEP
    if wire.bitrate in BITRATES and wire.classic >= ACCEPT_FRAMES and not wire.fd:
        assert detection.outcome is Outcome.FOUND
