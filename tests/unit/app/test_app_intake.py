"""From what the driving side says to records: nothing in an item may stop the one who drives the engine."""

from __future__ import annotations

import dataclasses
import math
import typing

from outrider.app.consent import Consent
from outrider.app.intake import Intake
from outrider.model.event import Event, EventFlag, EventKind, Phase
from outrider.model.record import Category, ClockFix, ClockSource, Lane, Record, TelemetryRow
from outrider.wire.bodies import decode_body


class Kept:
    def __init__(self) -> None:
        self.records: list[Record] = []

    def put(self, record: Record) -> bool:
        self.records.append(record)
        return True


def crash(**changes: object) -> Event:
    kinds = {"kind": EventKind.CRASH, "phase": Phase.CONFIRMED, "flags": EventFlag(0)}
    hints = typing.get_type_hints(Event)
    values = {f.name: kinds.get(f.name, 0.5 if hints[f.name] is float else 1) for f in dataclasses.fields(Event)}
    floats = {name: 2.5 for name, hint in hints.items() if hint == (float | None)}
    return Event(**(values | floats | changes))


def test_a_crash_with_a_number_that_is_none_is_kept_without_it() -> None:
    """An event is worth more than its field: unknown stands in the place of NaN and infinity."""
    sink = Kept()
    intake = Intake(sink, 7)
    intake.put(crash(peak_g=math.nan, dv_kmh=math.inf), 5)
    (record,) = sink.records
    assert record.lane is Lane.EMERGENCY
    assert decode_body(record.kind, record.body) == crash(peak_g=None, dv_kmh=None)
    assert intake.stats.put[Lane.EMERGENCY] == 1


def test_what_cannot_be_encoded_at_all_is_counted() -> None:
    """And not thrown at the caller."""
    intake = Intake(Kept(), 7)
    intake.put(ClockFix(1 << 70, 0, ClockSource.NTP), 5)
    assert intake.stats.refused[Lane.EVENT] == 1
    assert sum(intake.stats.put.values()) == 0


def test_what_the_owner_withholds_is_not_made() -> None:
    """By category: places are withheld, a crash and the clock are recorded all the same."""
    sink = Kept()
    intake = Intake(sink, 7, Consent(frozenset({Category.LOCATION, Category.DRIVING})))
    intake.put(TelemetryRow(1, ((1, 2),)), 5)
    intake.put(crash(), 6)
    intake.put(ClockFix(1, 0, ClockSource.NTP), 7)
    assert [r.category for r in sink.records] == [Category.EMERGENCY, Category.SYSTEM]
    assert (intake.stats.withheld[Lane.TELEMETRY], sum(intake.stats.withheld.values())) == (1, 1)
