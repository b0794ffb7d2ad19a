"""What the terminal says of itself: an upload that stalls, a modem that was reset, a disk that went read-only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from outrider.model.record import OpenIntEnum


class NoticeCode(OpenIntEnum):
    """What happened. Numbers are never used again for something else."""

    UPLOAD_STALLED = 1
    UPLOAD_RESUMED = 2
    EMERGENCY_CAP = 3  # emergency records of one kind beyond the day's limit were counted, not stored one by one
    MODEM_STEP = 4  # the recovery ladder did something
    MODEM_RECOVERED = 5
    MODEM_LOST = 6
    SIM_CHANGED = 7
    CERTIFICATE_RENEWED = 8
    CERTIFICATE_EXPIRING = 9
    DATA_BUDGET = 10
    FLASH_WEAR = 11
    STORAGE_FAULT = 12
    STORAGE_READ_ONLY = 13
    STORAGE_FULL = 14
    BROKER_SWITCHED = 15
    NETWORK_CHANGED = 16


class NoticeLevel(IntEnum):
    INFO = 0
    WARNING = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class Notice:
    """Body of a NOTICE record. detail: (name, value) as text, names unique, with the unit in the name where there is
    one (``backlog_records``, ``age_s``); never anything secret or that names a person."""

    code: NoticeCode
    level: NoticeLevel = NoticeLevel.INFO
    detail: tuple[tuple[str, str], ...] = ()
