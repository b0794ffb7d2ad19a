"""What the disk said to the journal: when trouble begins and when it is over, as notices. Pure.

One trouble at a time, the gravest that is known: refused (EIO and the rest), read-only, full. It is over when the disk
took something and has refused nothing for ``CALM_US``: single commits that succeed between others do not count.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from enum import IntEnum
from typing import Final

from outrider.errors import JournalError
from outrider.model.notice import Notice, NoticeCode, NoticeLevel

CALM_US: Final = 10_000_000
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class DiskState(IntEnum):
    """In order of gravity."""

    OK = 0
    FULL = 1
    READ_ONLY = 2
    FAULT = 3


_CODES: Final = {
    DiskState.FULL: NoticeCode.STORAGE_FULL,
    DiskState.READ_ONLY: NoticeCode.STORAGE_READ_ONLY,
    DiskState.FAULT: NoticeCode.STORAGE_FAULT,
}


def judge(err: JournalError) -> DiskState:
    if err.errno in _FULL:
        return DiskState.FULL
    return DiskState.READ_ONLY if err.errno == errno.EROFS else DiskState.FAULT


class DiskWatch:
    """``refused`` and ``took`` after each try; on_notice must not block."""

    def __init__(self, on_notice: Callable[[Notice], None]) -> None:
        self._on_notice = on_notice
        self.state = DiskState.OK
        self._since_us = 0
        self._refused_us = 0
        self._refusals = 0

    def refused(self, err: JournalError, now_us: int) -> None:
        """The disk did not do what it was asked."""
        self._enter(judge(err), now_us, errno.errorcode.get(err.errno or 0, "unknown"))

    def full(self, now_us: int) -> None:
        """There is no room for all lanes; what could not be taken is named by a gap."""
        self._enter(DiskState.FULL, now_us, "ENOSPC")

    def _enter(self, state: DiskState, now_us: int, error: str) -> None:
        self._refused_us = now_us
        self._refusals += 1
        if state <= self.state:
            return
        if self.state is DiskState.OK:
            self._since_us = now_us
        self.state = state
        level = NoticeLevel.WARNING if state is DiskState.FULL else NoticeLevel.ERROR
        self._on_notice(Notice(_CODES[state], level, (("phase", "begin"), ("error", error))))

    def took(self, now_us: int) -> None:
        """The disk made something durable."""
        if self.state is DiskState.OK or now_us - self._refused_us < CALM_US:
            return
        code, self.state = _CODES[self.state], DiskState.OK
        lasted_s = (now_us - self._since_us) // 1_000_000
        detail = (("phase", "end"), ("refusals", str(self._refusals)), ("lasted_s", str(lasted_s)))
        self._refusals = 0
        self._on_notice(Notice(code, NoticeLevel.INFO, detail))

    def damage(self, files: int, records: int) -> None:
        """Found on opening: the medium lost what it had confirmed."""
        detail = (("phase", "damage"), ("files", str(files)), ("records_unreadable", str(records)))
        self._on_notice(Notice(NoticeCode.STORAGE_FAULT, NoticeLevel.ERROR, detail))
