"""Body of a NOTICE record: the protobuf message and back."""

from __future__ import annotations

from typing import Final

from outrider.errors import WireError
from outrider.model.notice import Notice, NoticeCode, NoticeLevel
from outrider.wire import outrider_pb2 as pb

MAX_DETAILS: Final = 64
MAX_TEXT: Final = 1024


def notice_message(notice: Notice) -> pb.Notice:
    """WireError: too many details, a text too long, or a name twice."""
    if len(notice.detail) > MAX_DETAILS:
        raise WireError(f"notice with {len(notice.detail)} details, at most {MAX_DETAILS}")
    message = pb.Notice(code=notice.code, level=notice.level)
    seen: set[str] = set()
    for name, value in notice.detail:
        if name in seen or max(len(name), len(value)) > MAX_TEXT:
            raise WireError(f"notice {notice.code.name}: detail {name[:80]!r} comes twice or is too long")
        seen.add(name)
        try:
            message.detail.add(name=name, value=value)
        except (ValueError, TypeError) as err:
            raise WireError(f"notice {notice.code.name}: detail {name[:80]!r}: {err}") from None
    return message


def notice_from_message(message: pb.Notice) -> Notice:
    """WireError for numbers that are no code. A level of a newer version counts as the highest that is known."""
    if message.code > 255:
        raise WireError(f"notice: {message.code} is no code")
    level = NoticeLevel(min(message.level, max(NoticeLevel)))
    return Notice(NoticeCode(message.code), level, tuple((d.name, d.value) for d in message.detail))
