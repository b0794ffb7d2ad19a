"""From what the flight recorder saves to records."""

from __future__ import annotations

import dataclasses
import math
import struct

from outrider.app.evidence import MAX_SLOTS, EvidenceRecords
from outrider.app.intake import place_of
from outrider.engine import EvidenceState
from outrider.model.crash import Cover, CrashStage, CrashState, MountState
from outrider.model.evidence import MAX_SLICE_BYTES, EvidenceChunk, EvidencePart, EvidenceSlice
from outrider.model.record import BootInfo, Category, Kind, Lane
from outrider.model.vehicle import Slot, VehicleTables
from outrider.wire.bodies import decode_body, encode_body
from outrider.wire.evidence import assemble

SLOTS = tuple(Slot(f"Vehicle.S{n}", "km/h", telemetry=n % 2 == 1) for n in range(MAX_SLOTS + 40))
BOOT = BootInfo("0.2.0", "motion-2", "car", "start")


def maker() -> EvidenceRecords:
    return EvidenceRecords(VehicleTables("car", (), SLOTS), BOOT, 77, 1500)


def state(stage: CrashStage, pulse: tuple[tuple[float, float], ...] = ()) -> EvidenceState:
    covers = (Cover(EvidencePart.IMU, 1, 2, 48),)
    return EvidenceState(4, stage, 900, 800, 850, (("dv150_kmh", 6.5),), 16.0, 100.0, 5, None, 1, pulse, covers)


def signals(*slots: int) -> EvidenceSlice:
    data = b"".join(struct.pack("<qIId", 100 + n, slot, 0, 1.5) for n, slot in enumerate(slots))
    return EvidenceSlice(4, EvidencePart.SIGNALS, 0, 100, 99 + len(slots), data)


def test_a_state_is_an_emergency_and_names_what_made_it() -> None:
    """Versions, profile and stored energy are those of this terminal; the record has the time of the stage."""
    [(body, t_us)] = maker().records(state(CrashStage.PULSE, ((0.0, 0.0), (-1.5, 0.25))))
    assert isinstance(body, CrashState)
    assert t_us == 900
    assert place_of(body) == (Lane.EMERGENCY, Category.EMERGENCY)
    assert (body.software, body.algorithm, body.profile_id, body.tables_hash) == ("0.2.0", "motion-2", "car", 77)
    assert (body.holdup_ms, body.vehicle_class, body.imu_src) == (1500, 1, 5)
    assert (body.pulse_long_kmh, body.pulse_lat_kmh) == ((0.0, -1.5), (0.0, 0.25))
    assert decode_body(Kind.CRASH, encode_body(body)) == body


def test_slots_are_named_first_by_what_is_likely_then_by_what_occurred() -> None:
    """The first state comes before any signal: it names what goes into telemetry first; the last just what is there."""
    made = maker()
    [(first, _)] = made.records(state(CrashStage.TRIGGER))
    list(made.records(signals(3, 290, 3)))
    [(last, _)] = made.records(state(CrashStage.CLOSED))
    assert isinstance(first, CrashState)
    assert isinstance(last, CrashState)
    assert len(first.slots) == MAX_SLOTS
    assert {each.slot for each in first.slots} >= set(range(1, len(SLOTS), 2))
    assert [(each.slot, each.path, each.unit) for each in last.slots] == [
        (3, "Vehicle.S3", "km/h"),
        (290, "Vehicle.S290", "km/h"),
    ]


def test_a_state_with_a_number_that_is_none_is_kept_without_it() -> None:
    """A broken sensor does not cost the state: the curve ends there, the mounting is not known."""
    broken = dataclasses.replace(
        state(CrashStage.PULSE, ((0.0, 0.0), (-1.5, math.nan), (-2.0, 0.0))),
        mount=MountState((0.0, math.nan, 1.0), (0.0, 0.0, 0.0), 0.0, 0.0),
        thresholds=(("dv150_kmh", 6.5), ("dv300_kmh", math.inf)),
        imu_range_g=math.nan,
    )
    [(body, _t)] = maker().records(broken)
    assert isinstance(body, CrashState)
    assert (body.pulse_long_kmh, body.mount, body.thresholds) == ((0.0,), None, (("dv150_kmh", 6.5),))
    assert decode_body(Kind.CRASH, encode_body(body)) == body


def test_a_slice_is_pieces_with_the_time_of_its_newest_item() -> None:
    """They put together to what was taken."""
    piece = signals(*range(200))
    records = list(maker().records(piece))
    chunks = [body for body, _t in records if isinstance(body, EvidenceChunk)]
    assert {t_us for _body, t_us in records} == {piece.last_us}
    assert {place_of(chunk) for chunk in chunks} == {(Lane.BULK, Category.EMERGENCY)}
    assert assemble(chunks)[EvidencePart.SIGNALS].data == piece.data


def test_a_slice_too_large_to_travel_becomes_several() -> None:
    """A recorder of a hundred megabytes and thousands of signals does not end the daemon at its crash: all of it is
    written, in order of time, under numbers of its own."""
    made = maker()
    count = MAX_SLICE_BYTES // 24 + 1000
    items = b"".join(struct.pack("<qIId", 1000 + n, n % 8, 0, 0.0) for n in range(count))
    slices = (
        EvidenceSlice(4, EvidencePart.SIGNALS, 0, 900, 999 + count, items),
        EvidenceSlice(4, EvidencePart.SIGNALS, 1, 2_000_000, 2_000_003, items[:24]),
    )
    chunks = [body for piece in slices for body, _t in made.records(piece) if isinstance(body, EvidenceChunk)]
    part = assemble(chunks)[EvidencePart.SIGNALS]
    assert part.data == items + items[:24]
    assert (part.missing, part.damaged) == ((), ())
    middle = 1000 + MAX_SLICE_BYTES // 24
    assert part.spans_us == ((900, middle - 1), (middle, 999 + count), (2_000_000, 2_000_003))
    list(made.records(state(CrashStage.CLOSED)))
    again = [body for body, _t in made.records(slices[1]) if isinstance(body, EvidenceChunk)]
    assert {chunk.slice for chunk in again} == {1}, "of another event with this number"
