"""Bodies of records: model objects there and back, and what newer versions add."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest

from outrider.errors import WireError
from outrider.model.crash import CrashStage, CrashState
from outrider.model.event import Event, EventFlag, EventKind, Phase, Trip, TripEndReason
from outrider.model.evidence import EvidenceChunk, EvidencePart
from outrider.model.notice import Notice, NoticeCode, NoticeLevel
from outrider.model.record import (
    BootInfo,
    Category,
    ClockFix,
    ClockSource,
    Gap,
    GapReason,
    Kind,
    SignalSpec,
    SignalTable,
    TelemetryRow,
)
from outrider.wire import outrider_pb2 as pb
from outrider.wire.bodies import Opaque, decode_body, encode_body, kind_of, table_id

EVENT = Event(
    seq=7,
    kind=EventKind.CRASH,
    phase=Phase.UPDATE,
    level=3,
    flags=EventFlag.ALIGNED | EventFlag.POSITION,
    src_mask=0x28,
    rule=12,
    t0_us=123_456_789_012,
    t_detect_us=123_456_889_012,
    t_end_us=0,
    lat_deg=31.3439187,
    lon_deg=-121.5065098,
    hacc_m=1.5,
    heading_deg=None,
    clock=12,
    impact_no=1,
    conf=0.75,
    dv_kmh=40.5,
    dv_long_kmh=-40.25,
    dv_lat_kmh=0.0,
    dv_time_ms=80.0,
    peak_g=21.5,
    peak_vert_g=None,
    mean_g=12.0,
    asi=None,
    pdof_deg=0.0,
    dur_ms=100.0,
    v_pre_kmh=62.0,
    v_post_kmh=0.0,
    limit=None,
)
TRIP = Trip(
    trip_no=3,
    t_start_us=5,
    t_end_us=0,
    start_lat_deg=0.0,
    start_lon_deg=None,
    end_lat_deg=None,
    end_lon_deg=None,
    distance_m=1234.5,
    odometer_start_m=None,
    odometer_end_m=0.0,
    moving_s=60.5,
    idle_s=0.0,
    max_speed_mps=20.25,
    speed_src=1,
    harsh_brakes=1,
    harsh_accels=2,
    harsh_corners=3,
    lane_changes=4,
    end_reason=None,
)
TABLE = SignalTable(
    (
        SignalSpec(0, "Vehicle.Speed", "km/h", 0.1, 0.0, Category.DRIVING),
        SignalSpec(9, "Vehicle.Powertrain.Type", "", 1.0, -5.0, Category.VEHICLE, ((0, "petrol"), (-1, "柴油"))),
    )
)
NOTICE = Notice(NoticeCode.MODEM_STEP, NoticeLevel.WARNING, (("step", "reset"), ("why", "no registration")))

OBJECTS: list[object] = [
    NOTICE,
    EVENT,
    TRIP,
    dataclasses.replace(TRIP, end_reason=TripEndReason.SHUTDOWN, t_end_us=9),
    Gap((1 << 64) - 1, 1, (1 << 64) - 1, GapReason.WITHHELD),
    ClockFix(1_790_000_000_000_000, 50, ClockSource.GNSS),
    ClockFix(-1, 0, ClockSource.NONE),
    BootInfo("1.2.3", "det-1", "generic-obd", "power on"),
    TABLE,
    TelemetryRow(5, ((0, 1), (9, -1))),
    EvidenceChunk(7, EvidencePart.FRAMES, 0, 3, -5, 1 << 62, bytes(range(256))),
    CrashState(
        *(
            7,
            CrashStage.TRIGGER,
            -5,
            3,
            "1.2.3",
            "det-1",
            "generic-obd",
            5,
            (),
            0.0,
            None,
            0,
            None,
            0,
            0,
            (),
            (),
            (),
            (),
        )
    ),
]


@pytest.mark.parametrize("obj", OBJECTS, ids=lambda o: type(o).__name__)
def test_every_body_round_trips_with_the_same_bytes_each_time(obj: object) -> None:
    """decode(encode(x)) is x, None stays None and 0 stays 0, and encoding is deterministic."""
    body = encode_body(obj)
    assert decode_body(kind_of(obj), body) == obj
    assert encode_body(decode_body(kind_of(obj), body)) == body


def test_every_kind_has_a_body_format() -> None:
    """No kind of the model was forgotten."""
    assert {kind_of(obj) for obj in OBJECTS} == set(Kind)


def test_every_model_field_has_a_field_of_the_message() -> None:
    """A field added to the model but not to the format would be lost silently."""
    pairs = [(Event, pb.Event), (Trip, pb.Trip), (Gap, pb.Gap), (ClockFix, pb.Clock), (BootInfo, pb.Boot)]
    for model, message in [*pairs, (EvidenceChunk, pb.EvidenceChunk), (SignalSpec, pb.Signal)]:
        assert {f.name for f in dataclasses.fields(model)} == set(message.DESCRIPTOR.fields_by_name), model


def test_a_body_of_an_unknown_kind_is_kept_whole() -> None:
    """An old receiver keeps what a newer terminal sends."""
    assert decode_body(Kind(99), b"\x01\x02") == Opaque(99, b"\x01\x02", "kind 99")


def test_an_unknown_enumerator_makes_a_body_opaque_and_an_unknown_field_does_not() -> None:
    """Newer event kinds are kept whole; newer fields are passed over."""
    newer = pb.Event(kind=77, phase=1)
    body = newer.SerializeToString()
    assert decode_body(Kind.EVENT, body) == Opaque(Kind.EVENT, body, "kind 77")
    assert decode_body(Kind.EVENT, encode_body(EVENT) + b"\xf8\x3f\x05") == EVENT


@pytest.mark.parametrize("kind", [k for k in Kind if k != Kind.TELEMETRY])
def test_a_damaged_body_is_a_wire_error(kind: Kind) -> None:
    """Truncated protobuf never raises anything else."""
    with pytest.raises(WireError, match=kind.name):
        decode_body(kind, b"\x0a\x05abc")


@pytest.mark.parametrize(
    ("obj", "what"),
    [
        (dataclasses.replace(EVENT, dv_kmh=float("nan")), "dv_kmh is nan"),
        (dataclasses.replace(EVENT, seq=-1), "seq"),
        (dataclasses.replace(TRIP, distance_m=float("inf")), "distance_m"),
        (Gap(1 << 64, 1, 1, GapReason.QUOTA), "epoch"),
        (BootInfo("\ud800", "", "", ""), "software"),
        (EvidenceChunk(1, EvidencePart.IMU, 0, 1, 0, 0, bytes(8193)), "at most 8192"),
        (SignalTable((SignalSpec(1, "A", "", 1.0), SignalSpec(1, "B", "", 1.0))), "used twice"),
        (SignalTable((SignalSpec(1, "A", "", 0.0),)), "step"),
        (SignalTable((SignalSpec(-1, "A", "", 1.0),)), "A"),
        ("text", "str is not the body"),
    ],
)
def test_what_cannot_be_written_is_named(obj: object, what: str) -> None:
    """The error says which field is wrong."""
    with pytest.raises(WireError, match=what):
        encode_body(obj)


def test_table_id_is_the_start_of_the_sha256_of_the_body() -> None:
    """Anyone can compute it from the record."""
    assert f"{table_id(TABLE):08x}" == hashlib.sha256(encode_body(TABLE)).hexdigest()[:8]
    assert table_id(TABLE) != table_id(SignalTable(TABLE.signals[:1]))


def test_a_notice_is_what_it_was() -> None:
    """Code, level and details come back; so do those of a newer version, by their numbers."""
    assert decode_body(Kind.NOTICE, encode_body(NOTICE)) == NOTICE
    newer = decode_body(Kind.NOTICE, pb.Notice(code=200, level=9).SerializeToString())
    assert newer == Notice(NoticeCode(200), NoticeLevel.ERROR)
    with pytest.raises(WireError, match="300 is no code"):
        decode_body(Kind.NOTICE, pb.Notice(code=300).SerializeToString())


@pytest.mark.parametrize(
    "detail",
    [(("a", "1"), ("a", "2")), (("a", "x" * 2000),), tuple((str(n), "") for n in range(65)), (("a", "\ud800"),)],
    ids=["a name twice", "too long", "too many", "no text"],
)
def test_a_notice_that_nobody_could_read_is_refused(detail: tuple[tuple[str, str], ...]) -> None:
    """At the terminal, not at the receiver."""
    with pytest.raises(WireError, match="notice"):
        encode_body(Notice(NoticeCode.MODEM_STEP, NoticeLevel.INFO, detail))


def test_a_gap_of_a_reason_unknown_here_is_still_a_gap() -> None:
    """A newer terminal may drop records for reasons this version has no name for: the range counts all the same."""
    body = pb.Gap(epoch=1, first_seq=2, last_seq=5, reason=77).SerializeToString()
    assert decode_body(Kind.GAP, body) == Gap(1, 2, 5, GapReason(77))
