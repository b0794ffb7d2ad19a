"""When the disk is in trouble and when it is well again: said once each, by the gravest of what was seen."""

from __future__ import annotations

import errno

from outrider.model.notice import Notice, NoticeCode, NoticeLevel
from outrider.record.disk_watch import CALM_US, DiskState, DiskWatch
from outrider.record.storage_memory import refusal

S = 1_000_000


def told(notices: list[Notice]) -> list[tuple[NoticeCode, str]]:
    return [(notice.code, dict(notice.detail)["phase"]) for notice in notices]


def test_each_trouble_is_told_once_when_it_begins_and_once_when_it_is_over() -> None:
    """Refusals in a row are one trouble; a success between two of them does not end it."""
    notices: list[Notice] = []
    watch = DiskWatch(notices.append)
    watch.took(0)
    for at in (1, 2, 5):
        watch.refused(refusal(errno.EIO, "x"), at * S)
        watch.took(at * S + 1)
    assert told(notices) == [(NoticeCode.STORAGE_FAULT, "begin")]
    assert dict(notices[0].detail)["error"] == "EIO"
    assert watch.state is DiskState.FAULT
    watch.took(5 * S + CALM_US)
    assert told(notices)[1:] == [(NoticeCode.STORAGE_FAULT, "end")]
    assert dict(notices[1].detail) == {"phase": "end", "refusals": "3", "lasted_s": "14"}
    assert notices[1].level is NoticeLevel.INFO
    watch.took(99 * S)
    assert len(notices) == 2
    assert watch.state is DiskState.OK


def test_what_is_graver_is_told_on_top() -> None:
    """Full, then an error, and ext4 goes read-only behind it: the error counts for more."""
    notices: list[Notice] = []
    watch = DiskWatch(notices.append)
    watch.full(S)
    watch.full(2 * S)
    watch.refused(refusal(errno.EROFS, "x"), 3 * S)
    watch.refused(refusal(errno.EIO, "x"), 4 * S)
    watch.refused(refusal(errno.ENOSPC, "x"), 5 * S)
    assert told(notices) == [
        (NoticeCode.STORAGE_FULL, "begin"),
        (NoticeCode.STORAGE_READ_ONLY, "begin"),
        (NoticeCode.STORAGE_FAULT, "begin"),
    ]
    assert [notice.level for notice in notices] == [NoticeLevel.WARNING, NoticeLevel.ERROR, NoticeLevel.ERROR]
