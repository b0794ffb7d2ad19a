"""The verdict in words: one sentence for a person without training, and how sure it is.

Rule: made from names and numbers of a ``CrashDocument``, never from its English sentence, so that the page speaks one
language. Words of tables are in ``report_terms``.
"""

from __future__ import annotations

import math

from outrider.crash.document import CrashDocument, Impact
from outrider.crash.report_numbers import known, number
from outrider.i18n import _

_STANDING_KMH = 1.0
CONFIRMED_AT = 0.70  # docs/reference/events.md, confidence of a crash


def kinds() -> dict[str, str]:
    """Name of each kind of event."""
    return {
        "crash": _("crash"),
        "crash_inferred": _("crash inferred from speed or silence"),
        "rollover": _("rollover"),
        "parked_impact": _("impact while parked"),
        "device_moved": _("terminal moved in its mount"),
        "airbag": _("airbag fired"),
        "bus_lost_moving": _("buses fell silent while driving"),
        "power_lost_moving": _("everything fell silent while driving"),
        "speed_sensor_lost": _("speed signal failed"),
        "wheel_lockup": _("wheels locked"),
        "towed": _("moved or tilted while parked"),
    }


def kind_words(name: str) -> str:
    return kinds().get(name, name)


def states() -> dict[str, str]:
    """The verdict's state and the phases it went through."""
    return {
        "begin": _("begin"),
        "end": _("end"),
        "suspect": _("suspected"),
        "suspected": _("suspected"),
        "update": _("numbers updated"),
        "confirmed": _("confirmed"),
        "cancelled": _("withdrawn"),
        "closed": _("closed"),
    }


def state_words(name: str) -> str:
    return states().get(name, name)


def is_confirmed(document: CrashDocument) -> bool:
    """Confirmed, or closed with a confidence that confirms."""
    verdict = document.verdict
    return verdict.state == "confirmed" or (verdict.state == "closed" and verdict.confidence >= CONFIRMED_AT)


def grade(level: int) -> str:
    """Severity for a sentence; the levels are those of docs/reference/events.md."""
    return {1: _("light"), 2: _("moderate"), 3: _("severe")}.get(level, _("grave"))


def side(clock: int | None) -> str | None:
    """The side of the car that was hit, by the clock (12 is the front)."""
    if clock is None:
        return None
    words = {
        12: _("front end"),
        1: _("front right"),
        2: _("front right"),
        3: _("right side"),
        4: _("rear right"),
        5: _("rear right"),
        6: _("rear end"),
        7: _("rear left"),
        8: _("rear left"),
        9: _("left side"),
        10: _("front left"),
        11: _("front left"),
    }
    return words.get(clock)


# -- the sentence ------------------------------------------------------------------------------------------------


def verdict_sentence(document: CrashDocument) -> str:
    """What happened, in one sentence."""
    opening = _opening(document)
    details = [] if document.verdict.state == "cancelled" else _details(document)
    if not details:
        return _("{what}.").format(what=opening)
    return _("{what}: {details}.").format(what=opening, details=_(", ").join(details))


def _opening(document: CrashDocument) -> str:
    kind = document.verdict.kind
    if document.verdict.state == "cancelled":
        return _withdrawn().get(kind, _("No crash: what looked like one was withdrawn"))
    if kind == "crash":
        return _crash(document)
    sure = is_confirmed(document)
    if kind == "crash_inferred":
        text = _("The car has probably crashed, judging by its speed or its silence alone")
        return text if sure else _("The car may have crashed, judging by its speed or its silence alone")
    if kind == "parked_impact":
        return _("The parked car was hit") if sure else _("The parked car may have been hit")
    plain = {
        "rollover": _("The car has rolled over") if sure else _("The car may have rolled over"),
        "airbag": _("The car fired an airbag or a belt tensioner"),
        "device_moved": _("The terminal was moved in its mount; this was no crash of the car"),
        "power_lost_moving": _("All signals of the car ended while it was driving, which may have been a crash"),
        "bus_lost_moving": _("The buses of the car fell silent while it was driving, and it drove on"),
        "speed_sensor_lost": _("The speed signal failed; this was no crash"),
        "wheel_lockup": _("The wheels locked and the car slid on; this was no crash"),
        "towed": _("The parked car was moved or tilted"),
    }
    return plain.get(kind, _("An event of kind {kind}").format(kind=kind))


def _withdrawn() -> dict[str, str]:
    return {
        "device_moved": _("No crash: the terminal was moved in its mount"),
        "bus_lost_moving": _("No crash: the buses of the car fell silent while it was driving, and it drove on"),
        "speed_sensor_lost": _("No crash: the speed signal failed"),
        "wheel_lockup": _("No crash: the wheels locked and the car slid on"),
    }


def _crash(document: CrashDocument) -> str:
    words = grade(document.verdict.level)
    if is_confirmed(document):
        return _("The car was in a {grade} crash").format(grade=words)
    if document.verdict.state == "closed":
        return _("The car may have been in a {grade} crash, which was not confirmed").format(grade=words)
    return _("The car was probably in a {grade} crash").format(grade=words)


def _details(document: CrashDocument) -> list[str]:
    """Of one impact: where, how hard, how fast, what fired. Of several: what fired, then the strongest of them."""
    impact, kind = document.impact, document.verdict.kind
    where = side(impact.clock)
    blow = [None if where is None else _("hit at the {side}").format(side=where), _change(impact), _speed(document)]
    more = [
        _("it rolled over") if impact.rollover and kind != "rollover" else None,
        _("an airbag or belt tensioner fired") if impact.airbag and kind != "airbag" else None,
    ]
    if impact.impacts < 2:
        return [text for text in (*blow, *more) if text is not None]
    told = [text for text in blow if text is not None]
    count = _("{count} impacts, in the strongest of them {what}") if told else _("{count} impacts")
    first = count.format(count=impact.impacts, what=told[0] if told else "")
    return [*(text for text in more if text is not None), first, *told[1:]]


def _change(impact: Impact) -> str | None:
    change = impact.dv_kmh
    if change is None or not known(change):
        return None
    if impact.lower_bound:
        low = impact.dv_lo_kmh
        change = min(change, low) if low is not None and known(low) else change
        text = _("its speed changed by at least {dv} km/h")
    elif known(impact.dv_time_ms):
        text = _("its speed changed by {dv} km/h within {ms} ms")
    else:
        text = _("its speed changed by {dv} km/h")
    return text.format(dv=number(change, 0), ms=number(impact.dv_time_ms, 0))


def _speed(document: CrashDocument) -> str | None:
    impact = document.impact
    if document.verdict.kind in ("parked_impact", "towed"):
        return None
    if impact.v_impact_kmh is not None and impact.v_impact_kmh < _STANDING_KMH:
        return _("while standing")
    if known(impact.v_impact_kmh):
        return _("at {speed} km/h").format(speed=number(impact.v_impact_kmh, 0))
    if known(impact.v_pre_kmh):
        return _("its speed before was up to {speed} km/h").format(speed=number(impact.v_pre_kmh, 0))
    return None


# -- how sure ------------------------------------------------------------------------------------------------------


def confidence_of(document: CrashDocument) -> float:
    """Not a number where only evidence is here, without a verdict."""
    return document.verdict.confidence if document.verdict.rule or document.phases else math.nan


def share_words(share: float) -> str:
    """A confidence in per cent; never all and never nothing."""
    if known(share) and share > 0.99:
        return _("more than 99 %")
    if known(share) and share < 0.01:
        return _("less than 1 %")
    return number(100 * share, 0, "%")


def share_short(share: float) -> str:
    """Same, for a table."""
    if known(share) and not 0.01 <= share <= 0.99:
        return "> 99 %" if share > 0.5 else "< 1 %"
    return number(100 * share, 0, "%")


def sure_sentence(document: CrashDocument) -> str:
    """The verdict's confidence, and whether it is the last word."""
    share = share_words(confidence_of(document))
    if document.verdict.state == "cancelled":
        return _("Confidence that it was a crash: {share}. The alarm was withdrawn.").format(share=share)
    if is_confirmed(document):
        return _("Confidence: {share}. Confirmed.").format(share=share)
    if document.verdict.state == "closed":
        return _("Confidence: {share}. Neither confirmed nor withdrawn; a person should look at it.").format(
            share=share
        )
    return _("Confidence: {share}. Suspected; the records end before it was confirmed or withdrawn.").format(
        share=share
    )
