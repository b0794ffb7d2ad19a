"""The merge by time, ticks, and what happens when time or queues misbehave."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from outrider.engine import Engine, EngineOptions
from outrider.errors import EngineError
from outrider.model.event import Snapshot
from outrider.model.fix import Fix, FixType, ImuSample, PowerSample
from outrider.model.frame import FRAME, FrameBatch
from outrider.model.vehicle import BitField, MessageDef, SignalDef, Slot, VehicleTables

sys.path.insert(0, str(Path(__file__).parents[1] / "oracles"))
from tape import Entry, entries

S = 1_000_000
TABLES = VehicleTables(
    "p",
    (MessageDef("M", 0x100, False, 8, (SignalDef("a", 0, BitField(0, 8)), SignalDef("b", 1, BitField(8, 8)))),),
    (Slot("A", max_age_ms=1500), Slot("B", telemetry=False), Slot("Never")),
)


def batch(*times: int, frame_id: int = 0x100, data: bytes = b"\x05\x06") -> FrameBatch:
    made = FrameBatch()
    for t_us in times:
        made.append(t_us, frame_id, data)
    return made


def fix(t_us: int) -> Fix:
    return Fix(t_us, FixType.FIX_3D, lat_deg=50.0, lon_deg=8.0)


def imu(t_us: int) -> ImuSample:
    return ImuSample(t_us, (0.0, 0.0, 9.81), (0.0, 0.0, 0.0))


def taped(options: EngineOptions | None = None) -> Engine:
    engine = Engine(TABLES, options or EngineOptions())
    engine.start_tape()
    return engine


def inputs(engine: Engine) -> list[Entry]:
    return [e for e in entries(engine.take_tape()) if e.kind != "tick"]


def test_sources_are_merged_by_time_with_a_fixed_order_of_ties() -> None:
    """Frames, fixes, IMU and power come out oldest first, at equal times in this order, whoever offered first."""
    engine = taped()
    assert engine.offer_power(PowerSample(2 * S, ignition=True))
    assert engine.offer_imu([imu(1 * S), imu(2 * S), imu(3 * S)]) == 3
    assert engine.offer_fix(fix(2 * S))
    assert engine.offer_frames(batch(S + 1, 2 * S, 2 * S)) == 3
    assert engine.run(2 * S + 500_000) is False
    assert [(e.kind, e.t_us) for e in inputs(engine)] == [
        ("imu", S),
        ("frame", S + 1),
        ("frame", 2 * S),
        ("frame", 2 * S),
        ("fix", 2 * S),
        ("imu", 2 * S),
        ("power", 2 * S),
    ]
    engine.run(3 * S)
    assert [(e.kind, e.t_us) for e in inputs(engine)] == [("imu", 3 * S)]


def test_ticks_fall_on_tenths_and_come_before_inputs_of_the_same_instant() -> None:
    """A tick every 100 ms of engine time from the first input on, with or without inputs."""
    engine = taped()
    engine.offer_frames(batch(1_234_567, 1_300_000))
    engine.run(1_650_000)
    assert [(e.kind, e.t_us) for e in entries(engine.take_tape())] == [
        ("frame", 1_234_567),
        ("tick", 1_300_000),
        ("frame", 1_300_000),
        ("tick", 1_400_000),
        ("tick", 1_500_000),
        ("tick", 1_600_000),
    ]
    assert engine.now_us() == 1_600_000


def test_nothing_happens_before_the_first_input() -> None:
    """An idle engine makes no ticks and no snapshots, whatever the watermark."""
    engine = taped()
    engine.run(100 * S)
    assert engine.take() == []
    assert engine.now_us() == 0
    assert engine.stats().ticks == 0


def test_times_before_zero_work() -> None:
    """Engine time has no special zero."""
    engine = taped()
    engine.offer_frames(batch(-250_000))
    engine.run(100_000)
    assert [e.t_us for e in entries(engine.take_tape())] == [-250_000, -200_000, -100_000, 0, 100_000]


def test_a_late_item_is_processed_now_and_counted() -> None:
    """Older than what was processed: clamped to the engine's time, marked on the tape, never dropped."""
    engine = taped()
    engine.offer_frames(batch(5 * S))
    engine.run(5 * S)
    engine.offer_fix(fix(4 * S))
    engine.run(5 * S)
    assert [(e.kind, e.t_us, e.late) for e in inputs(engine)] == [("frame", 5 * S, False), ("fix", 5 * S, True)]
    assert engine.stats().late == 1
    assert engine.stats().jumps_back == 0


def test_a_source_whose_clock_jumps_back_goes_on_at_the_engines_time() -> None:
    """More than merge_back_us back: the source is shifted, keeps its spacing, and is let loose once it catches up."""
    engine = taped()
    engine.offer_frames(batch(100 * S))
    engine.run(100 * S)
    engine.offer_frames(batch(3 * S, 3 * S + 40_000, 3 * S + 90_000))
    engine.run(101 * S)
    engine.offer_frames(batch(102 * S))
    engine.run(102 * S)
    assert [e.t_us for e in inputs(engine)] == [100 * S, 100 * S, 100 * S + 40_000, 100 * S + 90_000, 102 * S]
    stats = engine.stats()
    assert (stats.jumps_back, stats.frames) == (1, 5)


def test_a_gap_skips_ticks_once() -> None:
    """After a suspend of hours the ticks in between are not made up for; 60 s of silence still are."""
    engine = taped()
    engine.offer_frames(batch(S))
    engine.run(61 * S)
    assert engine.stats().ticks == 600
    engine.offer_frames(batch(3 * 3600 * S + 123))
    engine.run(3 * 3600 * S + S)
    stats = engine.stats()
    assert (stats.ticks, stats.gaps) == (610, 1)
    assert engine.now_us() == 3 * 3600 * S + S


def test_absurd_times_are_refused_and_counted() -> None:
    """A frame beyond any clock costs itself only; an absurd watermark is an error."""
    engine = taped()
    engine.offer_frames(batch(S, 2**62, -(2**62), 2 * S))
    engine.run(3 * S)
    assert [e.t_us for e in inputs(engine)] == [S, 2 * S]
    assert engine.stats().refused == 2
    with pytest.raises(EngineError, match="no sensible time"):
        engine.run(2**61)


def test_a_full_inbox_takes_part_and_the_rest_later() -> None:
    """offer_frames says how many fit; run makes room; nothing is lost or doubled."""
    engine = taped(EngineOptions(frame_inbox=16))
    frames = batch(*range(S, S + 100))
    start = 0
    while start < len(frames):
        taken = engine.offer_frames(frames, start)
        assert 0 < taken <= 16
        start += taken
        engine.run(S + start - 1)
    assert [e.t_us for e in inputs(engine)] == list(range(S, S + 100))


def test_a_full_inbox_of_one_instant_still_gets_on() -> None:
    """More frames of one time stamp than the inbox holds: a caller that waits for the time before gets on."""
    engine = taped(EngineOptions(frame_inbox=16))
    frames, start = batch(*[S] * 40), 0
    for _ in range(100):
        start += engine.offer_frames(frames, start)
        engine.run(S - 1)
        if start == len(frames):
            break
    assert start == 40
    engine.run(S)
    stats = engine.stats()
    assert stats.frames == 40
    assert stats.forced > 0
    assert stats.late == 0


def test_outputs_are_never_lost_when_the_caller_is_slow() -> None:
    """A full output queue stops the run; taking and running again gives every snapshot once, in order."""
    engine = Engine(TABLES, EngineOptions(output_capacity=160))
    seconds: list[int] = []
    for second in range(1, 60 * 20, 50):
        engine.offer_frames(batch(second * S))
        while engine.run(second * S):
            seconds += [o.t_us // S for o in engine.take() if isinstance(o, Snapshot)]
    engine.run(1200 * S)
    seconds += [o.t_us // S for o in engine.take() if isinstance(o, Snapshot)]
    while engine.run(1200 * S):
        seconds += [o.t_us // S for o in engine.take() if isinstance(o, Snapshot)]
    assert seconds == list(range(2, 1 + seconds[-1]))
    assert seconds[-1] >= 1151


def test_run_stops_before_the_queue_is_full() -> None:
    """run says True while outputs wait, and goes on from there."""
    engine = Engine(TABLES, EngineOptions(output_capacity=160))
    for second in range(1, 140):
        engine.offer_frames(batch(second * S))
    assert engine.run(139 * S) is True
    first = engine.take()
    assert len(first) == 81
    assert engine.run(139 * S) is False
    assert [o.t_us for o in first + engine.take()] == [s * S for s in range(2, 140)]


def test_snapshot_values_are_fresh_or_none() -> None:
    """A slot is in the snapshot while younger than max_age_ms and marked telemetry."""
    engine = Engine(TABLES)
    engine.offer_frames(batch(1_900_000))
    engine.run(4 * S)
    assert [o.values for o in engine.take() if isinstance(o, Snapshot)] == [
        (5.0, None, None),
        (5.0, None, None),
        (None, None, None),
    ]


def test_malformed_raw_frames_are_counted() -> None:
    """Bytes that claim 200 bytes of data or a 12-bit standard identifier never decode and never crash."""
    engine = taped()
    raw = FRAME.pack(S, 0x100, 0, 0, 200, 0, bytes(64)) + FRAME.pack(S, 0x900, 0, 0, 8, 0, bytes(64))
    assert engine.offer_frames(raw) == 2
    engine.run(S)
    assert engine.stats().decode.malformed == 2
    with pytest.raises(ValueError, match="no whole number"):
        engine.offer_frames(raw[:-1])
    with pytest.raises(ValueError, match="start 3"):
        engine.offer_frames(raw, 3)


def test_only_the_owner_may_run() -> None:
    """run, take and stats from a second thread are an error; offering is not."""
    engine = Engine(TABLES)
    engine.run(0)
    caught: list[str] = []
    accepted: list[int] = []

    def other() -> None:
        accepted.append(engine.offer_frames(batch(S)))
        for call in (lambda: engine.run(S), engine.take, engine.stats, engine.now_us, engine.take_evidence):
            try:
                call()
            except EngineError as err:
                caught.append(str(err))

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert accepted == [1]
    assert len(caught) == 5
    assert all("another thread" in text for text in caught)
    engine.run(S)
    assert engine.stats().frames == 1


def test_frames_offered_from_a_thread_all_arrive() -> None:
    """One producer thread beside the running owner: every frame comes out once, in order."""
    engine = taped(EngineOptions(frame_inbox=64))
    total, done = 20_000, threading.Event()

    def produce() -> None:
        frames, start = batch(*range(S, S + total)), 0
        while start < total:
            start += engine.offer_frames(frames, start)
        done.set()

    thread = threading.Thread(target=produce)
    thread.start()
    while not done.is_set() or engine.stats().frames < total:
        engine.run(S + total)
    thread.join()
    assert [e.t_us for e in inputs(engine)] == list(range(S, S + total))


def test_a_closed_engine_refuses() -> None:
    """After close every call is an error, not a crash."""
    with Engine(TABLES) as engine:
        engine.run(0)
    with pytest.raises(EngineError, match="closed"):
        engine.run(0)
    with pytest.raises(EngineError, match="closed"):
        engine.offer_frames(batch(S))


@pytest.mark.parametrize(
    "options",
    [
        EngineOptions(output_capacity=10),
        EngineOptions(frame_inbox=0),
        EngineOptions(recorder_bytes=1000),
        EngineOptions(merge_back_us=-1),
        EngineOptions(frame_inbox=-1),
        EngineOptions(tape_bytes=10),
        EngineOptions(motion={"brake": 0.3}),
        EngineOptions(motion={"brake_g": float("nan")}),
        EngineOptions(imu_range_g=-1.0),
    ],
)
def test_options_out_of_range_are_refused(options: EngineOptions) -> None:
    """A wrong size or threshold is an EngineError when the engine is made."""
    with pytest.raises(EngineError):
        Engine(TABLES, options)
