"""The desk of notices: nothing blocks, nothing floods the log, what is held back is counted."""

from __future__ import annotations

from outrider.app.intake import Intake
from outrider.app.notices import EVERY_US, QUEUE, NoticeDesk
from outrider.model.notice import Notice, NoticeCode, NoticeLevel
from outrider.model.record import Category, Kind, Lane, Record
from outrider.wire.bodies import decode_body


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000_000

    def boottime_us(self) -> int:
        return self.now

    def utc_us(self) -> int:
        return 0

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1e6)


class Sink:
    def __init__(self) -> None:
        self.records: list[Record] = []

    def put(self, record: Record) -> bool:
        self.records.append(record)
        return True


STALLED = Notice(NoticeCode.UPLOAD_STALLED, NoticeLevel.WARNING, (("why", "no network"), ("backlog_records", "12")))


def desk() -> tuple[NoticeDesk, Intake, Sink, Hand]:
    clock, sink = Hand(), Sink()
    return NoticeDesk(clock), Intake(sink, 7), sink, clock


def bodies(sink: Sink) -> list[object]:
    return [decode_body(Kind.NOTICE, record.body) for record in sink.records]


def test_a_notice_becomes_a_record_of_the_event_lane() -> None:
    """With the time at which it was put, not at which it was written."""
    notices, intake, sink, clock = desk()
    notices.put(STALLED)
    clock.now += 5_000_000
    notices.turn(intake)
    (record,) = sink.records
    assert (record.lane, record.kind, record.category, record.t_us) == (
        Lane.EVENT, Kind.NOTICE, Category.SYSTEM, 1_000_000,
    )  # fmt: skip
    assert bodies(sink) == [STALLED]


def test_repeats_are_held_back_and_told_by_the_next() -> None:
    """A part that says the same each second makes a record each ten minutes, which tells how many there were."""
    notices, intake, sink, clock = desk()
    for _ in range(100):
        notices.put(STALLED)
        notices.turn(intake)
    assert bodies(sink) == [STALLED]
    clock.now += EVERY_US
    notices.put(STALLED)
    notices.turn(intake)
    last = bodies(sink)[-1]
    assert isinstance(last, Notice)
    assert last.detail == (*STALLED.detail, ("repeats", "99"))
    assert notices.status() == {"counts": {"upload_stalled": 101}, "dropped": 0}


def test_another_reason_is_another_notice() -> None:
    """The first detail is what tells two of a code apart."""
    notices, intake, sink, _clock = desk()
    other = Notice(NoticeCode.UPLOAD_STALLED, NoticeLevel.WARNING, (("why", "refused"),))
    notices.put(STALLED)
    notices.put(other)
    notices.turn(intake)
    assert bodies(sink) == [STALLED, other]


def test_a_flood_is_bounded_and_counted() -> None:
    """While the owner is busy, no more than the queue holds is kept."""
    notices, intake, sink, _clock = desk()
    for n in range(QUEUE + 10):
        notices.put(Notice(NoticeCode.MODEM_STEP, detail=(("step", str(n)),)))
    notices.turn(intake)
    assert len(sink.records) == QUEUE
    assert notices.status()["dropped"] == 10
