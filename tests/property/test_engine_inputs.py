"""Any inputs in any order: nothing is lost or doubled, time never runs back, and the tape tells it all again."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.engine import Engine, EngineOptions
from outrider.model.event import Event, Snapshot
from outrider.model.fix import Fix, FixType, ImuSample, PowerSample
from outrider.model.frame import FRAME, FRAME_SIZE, FrameBatch
from outrider.model.vehicle import Role, VehicleTables

sys.path.insert(0, str(Path(__file__).parents[1] / "oracles"))
from strategies import frame_batches, vehicles
from tape import entries

S = 1_000_000
times = st.one_of(st.integers(0, 5 * S), st.integers(-100 * S, 200 * S), st.sampled_from((-(2**62), 2**62, 3 * S)))
floats = st.one_of(st.floats(-100, 100), st.sampled_from((float("nan"), float("inf"), 1e30)))
optional = st.one_of(st.none(), floats)
fixes = st.builds(
    Fix,
    times,
    st.sampled_from(list(FixType)),
    lat_deg=optional,
    lon_deg=optional,
    speed_mps=optional,
    heading_deg=optional,
    hacc_m=optional,
    sats=st.integers(0, 40),
    first=st.booleans(),
)
samples = st.builds(ImuSample, times, st.tuples(floats, floats, floats), st.one_of(st.none(), st.tuples(*[floats] * 3)))
powers = st.builds(PowerSample, times, st.one_of(st.none(), st.booleans()), optional)
steps = st.lists(
    st.tuples(frame_batches(), st.lists(times, max_size=12), st.lists(fixes, max_size=3), st.lists(samples, max_size=5),
              st.lists(powers, max_size=2), st.integers(0, 20 * S)),
    min_size=1,
    max_size=4,
)  # fmt: skip


def moved(batch: FrameBatch, when: list[int]) -> bytes:
    """The batch's frames at other times: in any order, also absurd ones."""
    raw = bytearray(batch.buffer)
    for i, t_us in enumerate(when[: len(raw) // FRAME_SIZE]):
        struct.pack_into("=q", raw, i * FRAME_SIZE, t_us)
    return bytes(raw)


def keys(outputs: list[Event | Snapshot]) -> list[str]:
    return [repr(output) for output in outputs]  # NaN-proof, unlike ==


@settings(max_examples=80, deadline=None)
@given(vehicles(roles=tuple(Role)), steps)
def test_whatever_comes_in_is_counted_and_can_be_replayed(tables: VehicleTables, drive: list) -> None:  # type: ignore[type-arg]
    """Inputs processed or refused add up to those accepted; the tape is in order of time and replays to the same."""
    outputs: list[Event | Snapshot] = []
    accepted = 0
    options = EngineOptions(recorder_bytes=65536, frame_inbox=16, tape_bytes=4096)
    with Engine(tables, options) as engine:
        engine.start_tape()
        watermark = 0
        for batch, when, some_fixes, imu, power, step in drive:
            raw = moved(batch, when)
            accepted += engine.offer_frames(raw) + engine.offer_imu(imu)
            accepted += sum(map(engine.offer_fix, some_fixes)) + sum(map(engine.offer_power, power))
            watermark += step
            while engine.run(watermark):
                outputs += engine.take()
        while engine.run(2**60):
            outputs += engine.take()
        outputs += engine.take()
        stats, tape = engine.stats(), engine.take_tape()
        engine.black_box_page()
    assert stats.frames + stats.fixes + stats.imu + stats.power + stats.refused == accepted
    told = entries(tape)
    assert [e.t_us for e in told] == sorted(e.t_us for e in told)
    assert sum(e.kind != "tick" for e in told) == accepted - stats.refused
    assert sum(e.late for e in told) == stats.late
    with Engine(tables, options) as engine:
        again: list[Event | Snapshot] = []
        while engine.play_tape(tape):
            again += engine.take()
            tape = b""
        again += engine.take()
        engine.end_tape()
    assert keys(again) == keys(outputs)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=600))
def test_raw_bytes_as_frames_never_crash(raw: bytes) -> None:
    """Frames handed over as bytes are not trusted: any content is processed or refused."""
    raw = raw[: len(raw) // FRAME_SIZE * FRAME_SIZE]
    from outrider.model.vehicle import BitField, MessageDef, SignalDef, Slot

    message = MessageDef(
        "M", FRAME.unpack_from(raw)[1] & 0x7FF if raw else 0, False, 8, (SignalDef("a", 0, BitField(0, 8)),)
    )
    with Engine(VehicleTables("p", (message,), (Slot("A", role=Role.SPEED),))) as engine:
        offered = engine.offer_frames(raw)
        while engine.run(2**60):
            engine.take()
        stats = engine.stats()
    assert stats.frames + stats.refused == offered
