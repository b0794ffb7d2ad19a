"""A message as it came in -> what it is: a batch, a birth document, a beacon, or a dead letter with the reason. Pure.

Also what a batch says beside its records: gaps that will never be filled, clock fixes, signal tables.
"""

from __future__ import annotations

from dataclasses import dataclass

from outrider.errors import WireError
from outrider.model.beacon import Beacon
from outrider.model.record import ClockFix, ClockSource, Gap, GapReason, Kind, Lane, StoredRecord
from outrider.wire.beacon import decode_beacon
from outrider.wire.birth import Birth, decode_birth
from outrider.wire.bodies import decode_body
from outrider.wire.codec import Batch, decode_batch
from outrider.wire.topics import parse

MAX_SEQ = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A payload that is no use, and why. cause: the reason's class, for counting: ``too_large``, ``unreadable``,
    ``wrong_device``, ``wrong_topic`` or ``fault`` (ours)."""

    reason: str
    cause: str = "unreadable"


@dataclass(frozen=True, slots=True)
class BeaconFrom:
    """A beacon, and whose topic it came on: it does not name the device itself."""

    device: str
    beacon: Beacon


@dataclass(frozen=True, slots=True)
class StreamKey:
    """One (device, epoch, lane)."""

    device: str
    epoch: int
    lane: Lane


Content = Batch | Birth | BeaconFrom | DeadLetter


def read_message(topic: str, payload: bytes, *, max_bytes: int) -> Content:
    """What arrived on a topic. Never raises for its content."""
    if len(payload) > max_bytes:
        return DeadLetter(f"payload of {len(payload)} bytes, at most {max_bytes} are taken", "too_large")
    try:
        device, leaf = parse(topic)
        if leaf == "s":
            content: Batch | Birth | BeaconFrom = decode_birth(payload)
        elif leaf == "b":
            content = BeaconFrom(device, decode_beacon(payload))
        elif leaf in ("d", "e"):
            content = decode_batch(payload, max_bytes=max_bytes)
        else:
            return DeadLetter(f"nothing is expected on {topic[:120]!r}", "wrong_topic")
    except WireError as err:
        return DeadLetter(str(err))
    except Exception as err:  # noqa: BLE001  a payload that trips the decoder must not stop the receiver
        return DeadLetter(f"fault of the decoder: {type(err).__name__}: {err}", "fault")
    if content.device != device:
        return DeadLetter(f"payload of device {content.device!r} on a topic of {device!r}", "wrong_device")
    if isinstance(content, Batch) and content.records[-1].seq > MAX_SEQ:
        return DeadLetter(f"sequence {content.records[-1].seq} is too large")
    return content


def gap_of(stored: StoredRecord) -> Gap | None:
    """The gap a GAP record tells, None for other records; WireError when it makes no sense."""
    if stored.record.kind != Kind.GAP:
        return None
    gap = decode_body(Kind.GAP, stored.record.body)
    if not isinstance(gap, Gap) or not 1 <= gap.first_seq <= gap.last_seq <= MAX_SEQ:
        raise WireError(f"gap record {stored.seq} tells no range")
    return gap


def clock_fix_of(stored: StoredRecord) -> ClockFix | None:
    """The clock fix of a CLOCK record, None for others and for a clock without a source; WireError as above."""
    if stored.record.kind != Kind.CLOCK:
        return None
    fix = decode_body(Kind.CLOCK, stored.record.body)
    if not isinstance(fix, ClockFix):
        raise WireError(f"clock record {stored.seq} is not readable")
    if not (abs(fix.utc_us) <= MAX_SEQ and 0 <= fix.uncertainty_us <= MAX_SEQ):
        raise WireError(f"clock record {stored.seq} is out of range")
    return None if fix.source is ClockSource.NONE else fix


def reason_today(word: str) -> str:
    """A reason that was a number only when it was stored (``gapreason_99``), by the name it has today."""
    prefix, _line, number = word.partition("_")
    if prefix != "gapreason" or not number.isdigit() or int(number) > 255:
        return word
    return GapReason(int(number)).name.lower()
