"""Wire formats under random input: lossless for everything that can be written, WireError alone for everything else."""

from __future__ import annotations

import importlib.util
import random
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.errors import WireError
from outrider.model.event import CrashEvidence, DataQuality, Event, EventFlag, EventKind, Phase
from outrider.model.record import Category, Kind, Lane, Record, SignalSpec, SignalTable, StoredRecord, TelemetryRow
from outrider.wire.ack import Ack, LanePosition, sign_ack, verify_ack
from outrider.wire.birth import Birth, decode_birth, encode_birth
from outrider.wire.bodies import decode_body, encode_body, kind_of
from outrider.wire.codec import decode_batch, encode_batch
from outrider.wire.columns import Column, decode_columns, encode_columns
from outrider.wire.describe import describe
from outrider.wire.framing import PLAIN, ZSTD, unframe
from outrider.wire.rows import decode_row, encode_row
from outrider.wire.topics import parse

bounded = settings(max_examples=100, deadline=None)

u8, u32, u64 = (st.integers(0, (1 << n) - 1) for n in (8, 32, 64))
i64 = st.integers(-(1 << 63), (1 << 63) - 1)
small = st.integers(-300, 300)
value = st.one_of(small, i64)
devices = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
rows = st.builds(
    lambda table, cells: TelemetryRow(table, tuple(sorted(cells.items()))),
    u32,
    st.dictionaries(st.one_of(st.integers(0, 20), u32), value, max_size=12),
)


@st.composite
def batches(draw: st.DrawFn) -> list[StoredRecord]:
    """Records of one (epoch, lane), telemetry and others mixed, with runs of like ones."""
    epoch, first, lane = draw(u64), draw(st.integers(1, (1 << 64) - 100)), draw(st.sampled_from(Lane))
    tables, boots = draw(st.lists(u32, min_size=1, max_size=2)), draw(st.lists(u32, min_size=1, max_size=2))
    records: list[StoredRecord] = []
    t = draw(i64)
    for _ in range(draw(st.integers(1, 12))):
        t = draw(st.one_of(st.just(min(t + 1_000_000, (1 << 63) - 1)), i64))
        kind = draw(st.sampled_from([Kind.TELEMETRY, Kind.TELEMETRY, Kind.GAP, Kind(99)]))
        body = draw(st.binary(max_size=20))
        if kind == Kind.TELEMETRY and draw(st.integers(0, 9)):
            cells = draw(st.dictionaries(st.integers(0, 6), value, max_size=5))
            body = encode_row(TelemetryRow(draw(st.sampled_from(tables)), tuple(sorted(cells.items()))))
        record = Record(
            lane, kind, Category(draw(u8)), draw(st.sampled_from(boots)), t, body, draw(st.sampled_from([0, 1, 255]))
        )
        records.append(StoredRecord(epoch, first + len(records), record))
    return records


@bounded
@given(devices, batches())
def test_batches_are_lossless_to_the_byte(device: str, records: list[StoredRecord]) -> None:
    """Canonical bytes of every record survive, whatever mixture a lane holds."""
    batch = decode_batch(encode_batch(device, records))
    assert batch.device == device
    assert [r.canonical() for r in batch.records] == [r.canonical() for r in records]


def reader() -> ModuleType:
    """tests/golden/reader.py, which shares no code with outrider."""
    path = Path(__file__).parents[1] / "golden" / "reader.py"
    spec = importlib.util.spec_from_file_location("golden_reader", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


READER = reader()


@bounded
@given(devices, batches())
def test_the_independent_reader_agrees(device: str, records: list[StoredRecord]) -> None:
    """The reader written from docs/reference/mqtt.md gets the same bytes from any batch."""
    assert READER.read_batch(encode_batch(device, records)) == (device, [r.canonical() for r in records])


@bounded
@given(rows)
def test_rows_have_one_encoding(row: TelemetryRow) -> None:
    """decode inverts encode."""
    assert decode_row(encode_row(row)) == row


@bounded
@given(st.binary(max_size=60))
def test_a_row_that_decodes_is_canonical(body: bytes) -> None:
    """Any bytes: refused, or the very bytes that encode_row writes."""
    try:
        row = decode_row(body)
    except WireError:
        return
    assert encode_row(row) == body


@bounded
@given(st.lists(value, min_size=1, max_size=40), st.integers(1, 5), st.randoms(use_true_random=False))
def test_columns_are_exact(times: list[int], count: int, rng: random.Random) -> None:
    """Columns related to the first, noise, and holes: every integer comes back."""
    columns = []
    for signal in range(count):
        factor, spread = rng.choice([0.0, 0.5, 3.0, -1.0]), rng.choice([0, 3, 1 << 20])
        cells = [max(-(1 << 63), min((1 << 63) - 1, int(t * factor) + rng.randint(-spread, spread))) for t in times]
        holes = [None if rng.random() < 0.2 and signal & 1 else v for v in cells]
        columns.append(Column(signal * 3, holes if any(v is not None for v in holes) else cells))
    back, out = decode_columns(encode_columns(times, columns), len(times), len(times))
    assert back == times
    assert [(c.id, list(c.values)) for c in out] == [(c.id, list(c.values)) for c in columns]


f32 = st.one_of(st.none(), st.floats(width=32, allow_nan=False, allow_infinity=False))
f64 = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))
events = st.builds(
    Event,
    **dict.fromkeys(["seq", "level", "src_mask", "rule", "clock", "impact_no"], u32),
    kind=st.sampled_from(EventKind),
    phase=st.sampled_from(Phase),
    flags=st.integers(0, 255).map(EventFlag),
    quality=st.integers(0, (1 << 32) - 1).map(DataQuality),
    evidence=st.integers(0, (1 << 32) - 1).map(CrashEvidence),
    **dict.fromkeys(["t0_us", "t_detect_us", "t_end_us"], i64),
    lat_deg=f64,
    lon_deg=f64,
    conf=st.floats(0, 1, width=32),
    **dict.fromkeys(
        (
            *("hacc_m", "heading_deg", "dv_kmh", "dv_long_kmh", "dv_lat_kmh", "dv_time_ms", "peak_g", "peak_vert_g"),
            *("mean_g", "asi", "pdof_deg", "dur_ms", "v_pre_kmh", "v_post_kmh", "limit", "v_impact_kmh"),
            *("dv_lo_kmh", "dv_hi_kmh"),
        ),
        f32,
    ),
)


@bounded
@given(events)
def test_events_of_the_engine_are_exact(event: Event) -> None:
    """32-bit floats and 64-bit positions come back as they were; unknown stays unknown."""
    assert decode_body(kind_of(event), encode_body(event)) == event


@bounded
@given(u8.map(Kind), st.binary(max_size=80))
def test_any_body_is_described(kind: Kind, body: bytes) -> None:
    """decode_body raises WireError or nothing; describe nothing at all."""
    assert describe(kind, body)["type"]
    with suppress(WireError):
        decode_body(kind, body)


def probe(payload: bytes) -> None:
    """All readers of payloads: WireError or a result."""
    readers = [decode_batch, decode_birth, unframe, lambda p: verify_ack(p, bytes(32), "car")]
    for reader in readers:
        with suppress(WireError):
            reader(payload)


@bounded
@given(st.binary(max_size=200), st.sampled_from([b"", bytes((PLAIN,)), bytes((ZSTD,))]))
def test_random_payloads_raise_nothing_but_wire_errors(noise: bytes, head: bytes) -> None:
    """Whatever a stranger publishes."""
    probe(head + noise)


GOOD = encode_batch(
    "car-1",
    [
        StoredRecord(
            5,
            i + 1,
            Record(
                Lane.TELEMETRY,
                Kind.TELEMETRY,
                Category.DRIVING,
                7,
                1000 * i,
                encode_row(TelemetryRow(9, tuple((s, (i * s * 7919) % 101) for s in range(12)))),
            ),
        )
        for i in range(60)
    ],
)


@bounded
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), u8), min_size=1, max_size=4), st.integers(0, len(GOOD)))
def test_damaged_batches_raise_nothing_but_wire_errors(flips: list[tuple[int, int]], cut: int) -> None:
    """Flipped and truncated payloads reach every corner of the decoder."""
    payload = bytearray(GOOD)
    for at, byte in flips:
        payload[at] = byte
    probe(bytes(payload))
    probe(bytes(payload[:cut]))


@bounded
@given(st.binary(max_size=300), st.integers(1, 70), st.integers(0, 70))
def test_random_column_streams_are_bounded(data: bytes, count: int, rows: int) -> None:
    """Any stream gives as many values as asked for, all int64, or a WireError."""
    try:
        times, columns = decode_columns(data, count, rows)
    except WireError:
        return
    assert len(times) == count
    for column in columns:
        assert len(column.values) == rows
        assert all(v is None or -(1 << 63) <= v < 1 << 63 for v in column.values)


positions = st.builds(LanePosition, u64, st.sampled_from(Lane), u64)
acks = st.builds(Ack, devices, u64, st.lists(positions, max_size=5).map(tuple))


@bounded
@given(acks, st.binary(min_size=16, max_size=40))
def test_acknowledgements_round_trip(ack: Ack, key: bytes) -> None:
    """For every device, number and key."""
    assert verify_ack(sign_ack(ack, key), key, ack.device) == ack


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
specs = st.builds(
    SignalSpec,
    id=u32,
    path=text,
    unit=text,
    step=st.floats(min_value=1e-9, max_value=1e9),
    offset=st.floats(-1e9, 1e9),
    category=u8.map(Category),
    labels=st.lists(st.tuples(i64, text), max_size=3).map(tuple),
)
tables = st.lists(specs, max_size=4, unique_by=lambda s: s.id).map(lambda s: SignalTable(tuple(s)))


@bounded
@given(st.builds(Birth, devices, u64, text, st.one_of(st.none(), tables), st.booleans(), u32, u64))
def test_births_round_trip(birth: Birth) -> None:
    """With any signal table."""
    assert decode_birth(encode_birth(birth)) == birth


@bounded
@given(st.text(max_size=30))
def test_any_topic_is_parsed_or_refused(topic: str) -> None:
    """Nothing but WireError."""
    try:
        device, leaf = parse(topic)
    except WireError:
        return
    assert topic == f"t/{device}/{leaf}"


def test_the_probe_itself_bites() -> None:
    """A reader that raises something else would fail these tests."""
    with pytest.raises(TypeError):
        probe(5)  # type: ignore[arg-type]  # wrong on purpose
