"""What is not there, and why, as far as the records tell."""

from __future__ import annotations

from typing import Final

from outrider.crash import words
from outrider.crash.bundle import CrashBundle, Part
from outrider.crash.document import Missing
from outrider.model.crash import CrashStage
from outrider.model.event import Event
from outrider.model.evidence import EvidencePart
from outrider.model.record import GapReason, Lane

WINDOW_S: Final = {  # before T0, after T0 (docs/reference/crash-package.md)
    EvidencePart.FRAMES: (30.0, 15.0),
    EvidencePart.IMU: (15.0, 15.0),
    EvidencePart.SIGNALS: (30.0, 15.0),
}
_SLACK_S: Final = 1.0  # a source may pause


def missing_of(bundle: CrashBundle, *, named: bool, pulse: bool, curve: bool, weighed: bool) -> tuple[Missing, ...]:
    """named: signals have names; pulse: there is a delta-V; curve: its course is known; weighed: terms are known."""
    found: list[Missing] = []
    if not bundle.events:
        found.append(Missing(words.NO_EVENT, words.NO_EVENT_WHY))
    if not bundle.states:
        found.append(Missing(words.NO_STATE, words.NO_STATE_WHY))
    elif not any(state.stage >= CrashStage.CLOSED for state in bundle.states):
        found.append(Missing(words.NOT_CLOSED, words.NOT_CLOSED_WHY))
    found += _of_event(bundle.event, bundle, pulse=pulse, weighed=weighed)
    if pulse and not curve:
        found.append(Missing(words.NO_CURVE, words.NO_CURVE_WHY))
    for kind in (EvidencePart.FRAMES, EvidencePart.IMU, EvidencePart.SIGNALS):
        found += _of_part(kind, bundle)
    for part in bundle.parts:
        found += _damage(part, bundle)
    if not named and bundle.items(EvidencePart.SIGNALS):
        found.append(Missing(words.NO_NAMES, words.NO_NAMES_WHY))
    return (*found, *bundle.notes)


def _of_event(event: Event | None, bundle: CrashBundle, *, pulse: bool, weighed: bool) -> list[Missing]:
    found = []
    if not bundle.clocks:
        found.append(Missing(words.NO_UTC, words.NO_UTC_WHY))
    if event is None:
        return found
    if event.lat_deg is None:
        found.append(Missing(words.NO_PLACE, words.NO_PLACE_WHY))
    if not pulse:
        found.append(Missing(words.NO_PULSE, words.NO_PULSE_WHY))
    elif event.dv_long_kmh is None:
        found.append(Missing(words.NO_DIRECTION, words.NO_DIRECTION_WHY))
    if pulse and not weighed:
        found.append(Missing(words.NO_WEIGHTS, words.NO_WEIGHTS_WHY))
    return found


def _of_part(kind: EvidencePart, bundle: CrashBundle) -> list[Missing]:
    name, part = words.PARTS[kind], bundle.part(kind)
    if part is None or not part.data:
        return [Missing(name, words.NO_IMU if kind is EvidencePart.IMU else words.NO_PART)]
    before_s, after_s = WINDOW_S[kind]
    first_s, last_s = (round((t_us - bundle.t0_us) / 1e6, 1) + 0.0 for t_us in (part.first_us, part.last_us))
    found = []
    if first_s > -before_s + _SLACK_S:
        found.append(Missing(f"{name}: {-before_s:g} s to {first_s:.1f} s", words.STARTS_LATE))
    if last_s < after_s - _SLACK_S:
        why = words.SILENT if _all_of(part, bundle) else words.ENDS_EARLY
        found.append(Missing(f"{name}: {last_s:.1f} s to {after_s:g} s", why))
    return found


def _all_of(part: Part, bundle: CrashBundle) -> bool:
    """The terminal closed the recording, and its newest item is here."""
    closed = next((state for state in bundle.states if state.stage is CrashStage.CLOSED), None)
    covers = () if closed is None else closed.covers
    return any(cover.part is part.part and cover.last_us <= part.last_us for cover in covers)


def _damage(part: Part, bundle: CrashBundle) -> list[Missing]:
    name = words.PARTS[part.part]
    found = []
    if part.pieces_missing:
        quota = any(lane is Lane.BULK and gap.reason is GapReason.QUOTA for lane, gap in bundle.gaps)
        what = f"{name}: {part.pieces_missing} pieces"
        found.append(Missing(what, words.PIECES_QUOTA if quota else words.PIECES))
    if part.pieces_refused:
        found.append(Missing(f"{name}: {part.pieces_refused} pieces", words.REFUSED))
    return found
