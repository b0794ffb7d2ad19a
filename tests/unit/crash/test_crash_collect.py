"""Crashes collected from records: whole, in pieces, doubled, old and hostile."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from outrider.crash.bundle import CrashBundle
from outrider.crash.collect import collect, document, windows
from outrider.crash.document_json import decode_document, encode_document
from outrider.crash.parts import ITEM_BYTES, join_parts
from outrider.model.crash import CrashStage, CrashState
from outrider.model.event import Event, EventKind, Phase
from outrider.model.evidence import MAX_CHUNK_BYTES, EvidenceChunk, EvidencePart, Packing
from outrider.model.record import BootInfo, Category, ClockFix, Gap, GapReason, Kind, Lane, Record, StoredRecord
from outrider.wire.bodies import encode_body
from tests.support.crash_records import (
    BOOT_ID,
    EPOCH,
    START_US,
    UTC_US,
    blow,
    body_of,
    changed,
    driven,
    pulsed,
    without,
)


def only(records: list[StoredRecord] | tuple[StoredRecord, ...]) -> CrashBundle:
    found = collect(records, "car-1")
    assert len(found) == 1
    return found[0]


def missing(bundle: CrashBundle) -> str:
    return "\n".join(f"{one.what}: {one.why}" for one in document(bundle).missing)


def test_a_crash_is_collected_whole() -> None:
    """All phases, all states, every part of the evidence in order of time, and what explains them."""
    bundle = only(driven())
    assert bundle.event_id == f"{EPOCH:016x}-{BOOT_ID:08x}-{bundle.seq}"
    assert [event.phase for event in bundle.events][-1] is Phase.CLOSED
    assert {event.seq for event in bundle.events} == {bundle.seq}
    assert [state.stage for state in bundle.states] == [CrashStage.TRIGGER, CrashStage.PULSE, CrashStage.CLOSED]
    assert {part.part for part in bundle.parts} == set(EvidencePart) - {EvidencePart.BLACK_BOX}
    closed = bundle.states[-1]
    for cover in closed.covers:
        part = bundle.part(cover.part)
        assert part is not None
        assert len(part.data) == cover.bytes
        assert (part.first_us, part.last_us) == (cover.first_us, cover.last_us)
        assert len(part.data) % ITEM_BYTES[part.part] == 0


def test_the_document_says_what_the_records_say() -> None:
    """Numbers of the last phase, UTC by the clock record, signals at 10 Hz by name, thresholds and versions of then."""
    bundle = only(driven())
    last, doc = bundle.events[-1], document(bundle)
    assert (doc.kind, doc.level, doc.phase) == ("crash", last.level, "closed")
    assert doc.verdict.state == "confirmed"
    assert doc.impact.dv_kmh == last.dv_kmh
    assert doc.impact.v_impact_kmh == last.v_impact_kmh
    assert doc.time.t0_utc_us == UTC_US + last.t0_us - START_US
    total = sum(item.sum_share for item in doc.verdict.items) + (doc.verdict.bias or 0)
    assert doc.verdict.confidence == pytest.approx(1 / (1 + 2.718281828459045**-total), abs=1e-3)
    speed = next(series for series in doc.series if series.name == "Vehicle.Speed")
    assert (speed.source, speed.unit) == ("evidence", "km/h")
    assert speed.rate_hz == pytest.approx(10, abs=0.2)
    assert dict(bundle.states[-1].thresholds) == {t.name: t.value for t in doc.thresholds}
    assert doc.versions.software == "1.2.3"
    assert doc.place is not None
    assert doc.place.lat_deg == pytest.approx(48.0, abs=0.01)
    assert len(doc.track) >= 10
    assert [row.phase for row in doc.phases] == [event.phase.name.lower() for event in bundle.events]


def test_a_curve_without_a_mounting_has_a_size() -> None:
    """With the mounting unknown, and also where a record holds an empty curve, the resultant is that of the event."""
    for records in (driven(), changed(driven(), CrashState, pulse_long_kmh=(0.0,) * 31, pulse_lat_kmh=(0.0,) * 31)):
        doc = document(only(records))
        assert doc.delta_v.axes == "sensor"
        assert max(doc.delta_v.resultant_kmh) == pytest.approx(doc.impact.dv_kmh, rel=0.1)


def test_of_several_impacts_the_strongest_counts() -> None:
    """Numbers, curve and T0 are those of the strongest impact, also when a weaker one follows."""
    times, along, left = blow(-40.0, 0.0)
    again, more, _left = blow(-14.0, 0.0)
    bundle = only(pulsed([*times, *(t + 2 for t in again)], [*along, *(along[-1] + v for v in more)], [*left, *left]))
    doc = document(bundle)
    assert bundle.events[-1].impact_no == 2
    assert doc.impact.impacts == 2
    assert doc.impact.dv_kmh == pytest.approx(40, abs=2)
    assert "the strongest of 2 impacts" in doc.verdict.sentence
    assert max(doc.delta_v.resultant_kmh) == pytest.approx(40, abs=3)
    assert (bundle.events[-1].t0_us - bundle.t0_us) / 1e6 == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("kept", [True, False])
def test_the_curve_is_of_the_strongest_impact(kept: bool) -> None:
    """Pushed back, then nearly as hard forward: the curve of the last impact is not taken for that of the first, nor
    where the first's own is lost."""
    times, along, left = blow(-30.0, 0.0)
    again, more, _left = blow(22.0, 0.0)
    records = pulsed([*times, *(t + 2 for t in again)], [*along, *(along[-1] + v for v in more)], [*left, *left])
    if not kept:
        last = only(records).states[-1]
        records = changed(records, CrashState, pulse_long_kmh=last.pulse_long_kmh, pulse_lat_kmh=last.pulse_lat_kmh)
    bundle = only(records)
    assert max(bundle.states[-1].pulse_long_kmh) > 15
    doc = document(bundle)
    assert doc.impact.dv_kmh == pytest.approx(30, abs=2)
    assert min(doc.delta_v.long_kmh) == pytest.approx(-30, abs=2)
    assert max(doc.delta_v.resultant_kmh) == pytest.approx(doc.impact.dv_kmh, rel=0.05)


@pytest.mark.parametrize("time_ms", [-1e6, 0.0, 1e30])
def test_a_time_outside_of_the_curve_does_not_matter(time_ms: float) -> None:
    """A damaged time of the largest delta-V finds a curve all the same."""
    doc = document(only(changed(pulsed(*blow(-30.0, 0.0)), Event, dv_time_ms=time_ms)))
    assert max(doc.delta_v.resultant_kmh) == pytest.approx(30, abs=2)


def test_no_delta_v_and_no_curve_agree_on_nothing() -> None:
    """A delta-V of zero with no samples to integrate has no curve."""
    records = without(pulsed(*blow(-30.0, 0.0)), EvidenceChunk)
    records = changed(records, CrashState, pulse_long_kmh=(), pulse_lat_kmh=())
    assert document(only(changed(records, Event, dv_kmh=0.0))).delta_v.t_ms == ()


def test_the_place_is_that_of_the_strongest_impact() -> None:
    """Place, T0 and numbers belong together, also when the car was pushed on."""
    bundle = only(driven())
    last = bundle.events[-1]
    weaker = replace(last, impact_no=2, dv_kmh=8.0, lat_deg=1.0, lon_deg=2.0, t0_us=last.t0_us + 2_000_000)
    doc = document(replace(bundle, events=(*bundle.events, weaker)))
    assert doc.place == document(bundle).place
    assert doc.time.t0_us == last.t0_us


def test_a_curve_that_does_not_add_up_is_left_out() -> None:
    """Gravity that turns with the car would be integrated as a push: no curve rather than a wrong one, and said."""
    records = changed(driven(), CrashState, pulse_long_kmh=(), pulse_lat_kmh=())
    bundle = only(changed(records, Event, dv_kmh=9.0))
    assert document(bundle).delta_v.t_ms == ()
    assert "the course of the delta-V" in missing(bundle)


def test_frames_give_every_value_where_the_profile_is_at_hand() -> None:
    """With the tables of then the essential signals come from each frame; with other tables they do not."""
    from tests.support.crash_drive import profile

    bundle = only(driven())
    tables = profile().tables
    speed = next(s for s in document(bundle, tables).series if s.name == "Vehicle.Speed")
    assert (speed.source, speed.rate_hz) == ("frames", pytest.approx(50, rel=0.05))
    other = replace(tables, messages=tables.messages[1:])
    speed = next(s for s in document(bundle, other).series if s.name == "Vehicle.Speed")
    assert speed.source == "evidence"


def test_order_and_doubles_do_not_matter() -> None:
    """Records in any order and twice give the same crash."""
    records = [*driven(), *driven()]
    random.Random(3).shuffle(records)
    assert only(records) == only(driven())


def test_other_crashes_and_other_starts_stay_apart() -> None:
    """The same number after a new start of the daemon, or in another start of the system, is another event."""
    records = list(driven())
    later = 10_000_000_000
    again = [
        replace(s, seq=s.seq + 1000, record=replace(s.record, t_us=s.record.t_us + later))
        for s in changed_times(records, later)
    ]
    found = collect([*records, *again], "car-1")
    assert len(found) == 2
    assert found[0] == only(records)
    assert found[1].event_id == f"{found[0].event_id}@{(START_US + later) // 1_000_000}"
    assert found[1].t0_us - found[0].t0_us == later
    other_boot = [replace(s, seq=s.seq + 5000, record=replace(s.record, boot_id=7)) for s in records]
    assert len(collect([*records, *other_boot])) == 2


def changed_times(records: list[StoredRecord], by_us: int) -> list[StoredRecord]:
    """The same crash later within the same start of the system; evidence left out, its items would have to move too."""
    kept = [s for s in records if isinstance(body_of(s), Event | BootInfo)]
    found = []
    for stored in kept:
        body = body_of(stored)
        if isinstance(body, Event):
            moved = replace(body, t0_us=body.t0_us + by_us, t_detect_us=body.t_detect_us + by_us)
            stored = replace(stored, record=replace(stored.record, body=encode_body(moved)))  # noqa: PLW2901  # as meant
        found.append(stored)
    return found


def test_what_is_lost_is_named() -> None:
    """Without a state, without the end, without pieces, without clock: each is said, with its reason."""
    records = list(driven())
    assert "crash state" in missing(only(without(records, CrashState)))
    unfinished = [s for s in records if not (isinstance(b := body_of(s), CrashState) and b.stage is CrashStage.CLOSED)]
    assert "the end of the recording" in missing(only(unfinished))
    assert "date and time" in missing(only(without(records, ClockFix)))
    holes = [s for s in records if not (isinstance(b := body_of(s), EvidenceChunk) and b.slice == 1)]
    bundle = only(holes)
    assert all(part.pieces_missing for part in bundle.parts)
    assert "pieces of it are not here" in missing(bundle)
    gap = Gap(EPOCH, 1, 4, GapReason.QUOTA)
    dropped = StoredRecord(EPOCH, 99, Record(Lane.BULK, Kind.GAP, Category.SYSTEM, BOOT_ID, 1, encode_body(gap)))
    assert "to make room" in missing(only([*holes, dropped]))


def test_evidence_without_a_verdict_is_still_a_crash() -> None:
    """Whose phases are lost is listed with what is left."""
    bundle = only(without(list(driven()), Event))
    doc = document(bundle)
    assert doc.verdict.state == "suspected"
    assert "the verdict" in missing(bundle)
    assert doc.series


def test_records_from_before_crash_states() -> None:
    """Old records: one plain slice a part, no state. The direction comes from the event, the curve from the samples."""
    records = list(pulsed(*blow(-40.0, 12.0)))
    doc, before = document(only(without(records, CrashState))), document(only(records))
    assert doc.delta_v.axes == "vehicle"
    assert doc.delta_v.long_kmh[-1] == pytest.approx(before.delta_v.long_kmh[-1], abs=1.0)
    assert doc.delta_v.lat_kmh[-1] == pytest.approx(before.delta_v.lat_kmh[-1], abs=1.0)
    assert doc.imu is not None
    assert before.imu is not None
    assert doc.imu.axes == "vehicle"
    assert min(doc.imu.acc[0]) == pytest.approx(min(before.imu.acc[0]), rel=0.05)
    assert doc.calibration.mounting == "unknown"


def test_numbers_that_are_none_do_not_reach_the_document() -> None:
    """NaN and infinity in records become unknown, and the document can be written and read."""
    bad = changed(driven(), Event)
    poisoned = [poison(stored) for stored in bad]
    doc = document(only(poisoned))
    assert doc.impact.dv_kmh is None
    assert doc.place is None
    assert decode_document(encode_document(doc)) == doc


def poison(stored: StoredRecord) -> StoredRecord:
    from outrider.wire import outrider_pb2 as pb

    if stored.record.kind != Kind.EVENT:
        return stored
    message = pb.Event()
    message.ParseFromString(stored.record.body)
    for name in ("dv_kmh", "lat_deg", "pdof_deg", "conf"):
        setattr(message, name, float("nan"))
    message.dv_long_kmh = float("inf")
    return replace(stored, record=replace(stored.record, body=message.SerializeToString()))


def test_damaged_and_foreign_records_are_noted() -> None:
    """A body that cannot be read never hides the crash."""
    records = list(driven())
    index = next(i for i, s in enumerate(records) if isinstance(body_of(s), EvidenceChunk))
    records[index] = replace(records[index], record=replace(records[index].record, body=b"\xff\xff\xff"))
    bundle = only(records)
    assert any("cannot be read" in note.why for note in bundle.notes)


def test_windows_tell_what_to_read_of_a_large_store() -> None:
    """Everything that a bundle uses with a time of its own lies in a window of the emergency lane."""
    records = driven()
    near = windows(s for s in records if s.record.lane == Lane.EMERGENCY)
    for stored in only(records).records:
        if stored.record.kind in {Kind.EVENT, Kind.CRASH, Kind.EVIDENCE, Kind.TELEMETRY}:
            r = stored.record
            assert any(boot == r.boot_id and first <= r.t_us <= last for boot, first, last in near)


# ---- pieces ---------------------------------------------------------------------------------------


def plain(index: int, count: int, data: bytes, part: EvidencePart = EvidencePart.IMU, number: int = 0) -> EvidenceChunk:
    return EvidenceChunk(1, part, index, count, 0, 0, data, number)


def samples(count: int) -> bytes:
    size = ITEM_BYTES[EvidencePart.IMU]
    return b"".join((i * 1000).to_bytes(8, "little") + bytes(size - 8) for i in range(count))


def test_a_hole_in_a_plain_slice_costs_only_what_it_touches() -> None:
    """Of a slice with a lost piece all whole items before and behind the hole are there."""
    data = samples(600)
    pieces = [data[at : at + MAX_CHUNK_BYTES] for at in range(0, len(data), MAX_CHUNK_BYTES)]
    chunks = [plain(i, len(pieces), piece) for i, piece in enumerate(pieces) if i != 1]
    (part,) = join_parts(chunks, 0)
    assert part.pieces_missing == 1
    lost = -(-MAX_CHUNK_BYTES // 48) + 1
    assert 600 - lost <= len(part.data) // 48 < 600
    assert {part.data[at : at + 48] for at in range(0, len(part.data), 48)} <= {
        data[at : at + 48] for at in range(0, len(data), 48)
    }


def test_the_head_of_a_packed_slice_is_used() -> None:
    """A packed slice that lost its end gives what lies before."""
    rng = random.Random(1)
    data = b"".join((i * 1000).to_bytes(8, "little") + rng.randbytes(40) for i in range(600))
    packed = zstandard.ZstdCompressor().compress(data)
    pieces = [packed[at : at + MAX_CHUNK_BYTES] for at in range(0, len(packed), MAX_CHUNK_BYTES)]
    chunks = [replace(plain(i, len(pieces), p), packing=Packing.ZSTD) for i, p in enumerate(pieces[:-1])]
    (part,) = join_parts(chunks, 0)
    assert data.startswith(part.data)
    assert part.pieces_missing == 1


def test_a_bomb_stays_small() -> None:
    """A packed slice never unpacks beyond the bound, whatever it promises."""
    bomb = zstandard.ZstdCompressor().compress(bytes(64 * 1024 * 1024))
    (part,) = join_parts([replace(plain(0, 1, bomb), packing=Packing.ZSTD)], 0)
    assert len(part.data) <= 8 * 1024 * 1024


def test_pieces_that_contradict_are_refused() -> None:
    """Another count, other bytes under the same number, a number beyond the count: refused and counted."""
    chunks = [plain(0, 1, samples(3)), plain(0, 1, samples(4)), plain(1, 2, samples(1)), plain(5, 3, b"x", number=7)]
    (part,) = join_parts(chunks, 0)
    assert part.pieces_refused == 3
    assert part.data == samples(3)


def test_items_far_from_the_event_are_left_out() -> None:
    """What is not near T0 belongs to something else."""
    (part,) = join_parts([plain(0, 1, samples(10))], 10**15)
    assert part.data == b""


@given(
    st.lists(
        st.builds(
            EvidenceChunk,
            st.just(1),
            st.sampled_from(EvidencePart),
            st.integers(0, 2**32 - 1) | st.integers(0, 3),
            st.integers(0, 2**32 - 1) | st.integers(1, 4),
            st.integers(-(2**63), 2**63 - 1),
            st.integers(-(2**63), 2**63 - 1),
            st.binary(max_size=200),
            st.integers(0, 2**32 - 1) | st.integers(0, 3),
            st.sampled_from(Packing),
        ),
        max_size=12,
    )
)
def test_no_pieces_break_it(chunks: list[EvidenceChunk]) -> None:
    """Whatever pieces come, parts are whole items in order of time."""
    for part in join_parts(chunks, 0):
        assert len(part.data) % ITEM_BYTES[part.part] == 0
        assert part.pieces_missing >= 0


def test_a_cancelled_crash_is_listed_as_withdrawn() -> None:
    """The last phase decides what it is called."""
    events = [body_of(s) for s in driven() if isinstance(body_of(s), Event)]
    crash = [event for event in events if isinstance(event, Event) and event.kind.is_crash]
    last = crash[-1]
    moved = replace(last, phase=Phase.CANCELLED, kind=EventKind.DEVICE_MOVED, t_detect_us=last.t_detect_us + 1)
    record = Record(Lane.EVENT, Kind.EVENT, Category.DRIVING, BOOT_ID, moved.t_detect_us, encode_body(moved))
    doc = document(only([*driven(), StoredRecord(EPOCH, 999, record)]))
    assert doc.verdict.state == "cancelled"
    assert doc.verdict.sentence.startswith("No crash")
