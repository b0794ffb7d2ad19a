"""The flight recorder: what is handed out of its rings, when, and what of it is told to be missing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from outrider.engine import Engine, EngineOptions, SignalRecord
from outrider.engine.convert import FIX, SAMPLE
from outrider.model.crash import CrashStage
from outrider.model.event import Event, EventFlag, EventKind, Phase, Snapshot
from outrider.model.evidence import EvidencePart, EvidenceSlice
from outrider.model.fix import Fix, FixType, PowerSample
from outrider.model.frame import FRAME_SIZE, FrameBatch
from outrider.model.vehicle import BitField, Condition, MessageDef, Role, SignalDef, Slot, VehicleTables
from tests.support.evidence import Gathered

S = 1_000_000
BAG = 40 * S + 495_000
STAGES = [CrashStage.TRIGGER, CrashStage.PULSE, CrashStage.CLOSED]
Row = tuple[int, int, bytes]


def car() -> VehicleTables:
    """Message 0x100: an IMU; 0x101: the airbag's bit, slot 6; 0x102: a counter, slot 7."""
    roles = (Role.ACC_X, Role.ACC_Y, Role.ACC_Z, Role.GYRO_X, Role.GYRO_Y, Role.GYRO_Z)
    slots = [Slot(role.name, role=role) for role in (*roles, Role.AIRBAG)] + [Slot("count", "1")]
    valid = (Condition(BitField(60, 1), ((1, 1),)),)
    imu = tuple(
        SignalDef(role.name, i, BitField(i * 10, 10), factor=0.5, offset=-256.0, conditions=valid)
        for i, role in enumerate(roles)
    )
    bag = (SignalDef("AIRBAG", 6, BitField(0, 1)),)
    count = (SignalDef("count", 7, BitField(0, 8)),)
    messages = [MessageDef(f"M{i}", 0x100 + i, False, 8, made) for i, made in enumerate((imu, bag, count))]
    return VehicleTables("car", tuple(messages), tuple(slots))


def axes(x: float = 0.0) -> bytes:
    raw = sum(round((v + 256.0) * 2) << 10 * i for i, v in enumerate((x, 0.0, 9.5, 0.0, 0.0, 0.0))) | 1 << 60
    return raw.to_bytes(8, "little")


def minute(*more: Row, imu: bool = True, until_s: int = 61, rate: int = 100) -> list[Row]:
    """From 1 s on; an IMU message at ``rate`` Hz or nothing of the kind, and the airbag's bit at 0."""
    rows = [(S, 1, b"\x00")]
    if imu:
        rows += [(s * S + i * (S // rate), 0, axes()) for s in range(1, until_s) for i in range(rate)]
    return sorted([*rows, *more], key=lambda row: row[0])


def batch(rows: list[Row]) -> FrameBatch:
    made = FrameBatch()
    for t_us, number, data in rows:
        made.append(t_us, 0x100 + number, data)
    return made


def seconds(rows: list[Row]) -> Iterator[tuple[int, FrameBatch]]:
    for second in range(rows[0][0] // S, rows[-1][0] // S + 1):
        yield second, batch([row for row in rows if row[0] // S == second])


def drive(engine: Engine, rows: list[Row]) -> None:
    for second, frames in seconds(rows):
        engine.offer_frames(frames)
        engine.run(second * S + 999_999)


def test_a_crash_is_saved_from_30_s_before_to_15_s_after() -> None:
    """Frames, IMU, signals, fixes and inputs of the window, whole, each once, in order of time."""
    rows = minute((BAG, 1, b"\x01"))
    with Engine(car()) as engine:
        for second, frames in seconds(rows):
            engine.offer_frames(frames)
            engine.offer_fix(Fix(second * S + 1, FixType.FIX_3D, lat_deg=50 + second / 100, lon_deg=8.0))
            engine.offer_power(PowerSample(second * S + 2, ignition=True, supply_v=12.5))
            engine.run(second * S + 999_999)
        event = next(o for o in engine.take() if isinstance(o, Event))
        taken = Gathered(engine.take_evidence())
        assert engine.take_evidence() == []
        assert not engine.recording
        assert (engine.stats().evidence, engine.stats().evidence_lost) == (1, 0)
    first, last = BAG - 30 * S, BAG + 15 * S
    assert {step.event_seq for step in taken.steps} == {event.seq}
    assert taken.frame_times == [t for t, _number, _data in rows if first <= t < last]
    imu = [row[0] for row in SAMPLE.iter_unpack(taken.parts[EvidencePart.IMU])]
    assert imu == [t for t, number, _data in rows if first <= t < last and number == 0]
    seen = range(first // S + 1, last // S + 1)
    assert [row[0] for row in FIX.iter_unpack(taken.parts[EvidencePart.FIXES])] == [s * S + 1 for s in seen]
    assert [row[0] for row in SAMPLE.iter_unpack(taken.parts[EvidencePart.INPUTS])] == [s * S + 2 for s in seen]
    assert SignalRecord(40 * S + 500_000, 6, 1.0) in taken.signals
    assert SignalRecord(41 * S, 6, 1.0) not in taken.signals  # not written again after the bag
    closed = {cover.part: cover for cover in taken.states[CrashStage.CLOSED].covers}
    assert {part: cover.bytes for part, cover in closed.items()} == {p: len(d) for p, d in taken.parts.items() if d}
    assert taken.states[CrashStage.TRIGGER].imu_rate_hz == pytest.approx(100.0, rel=0.01)


def test_the_most_valuable_comes_first_and_nothing_waits_for_the_end() -> None:
    """State, signals, IMU, positions, the last second of frames; all before the trigger within 0.2 s of it, and what
    follows never older than 0.1 s at first."""
    with Engine(car()) as engine:
        drive(engine, [row for row in minute((BAG, 1, b"\x01")) if row[0] < BAG + 200_000])
        engine.run(BAG + 200_000)
        soon = engine.take_evidence()
    order = [step.part for step in soon if isinstance(step, EvidenceSlice)]
    assert order[:3] == [EvidencePart.SIGNALS, EvidencePart.IMU, EvidencePart.FRAMES]
    before = Gathered(soon).frame_times
    assert before[0] <= BAG - 29 * S - 900_000
    assert before[-1] >= BAG + 90_000
    one = next(step for step in soon if isinstance(step, EvidenceSlice) and step.part is EvidencePart.FRAMES)
    assert BAG - S <= one.first_us < one.last_us <= BAG


def test_what_is_handed_out_when_does_not_depend_on_how_far_the_engine_runs_at_once() -> None:
    """Steps follow the engine's time: one run of a minute, runs of a millisecond and a tape give the same ones."""
    rows = minute((BAG, 1, b"\x01"), until_s=52, rate=50)
    made = []
    tape = b""
    for step_us in (100 * S, 7_000):
        with Engine(car()) as engine:
            engine.start_tape()
            engine.offer_frames(batch(rows))
            got = []
            for t_us in [*range(S, 53 * S, step_us), 53 * S]:
                engine.run(t_us)
                got += engine.take_all()
                tape += engine.take_tape() if step_us > S else b""
            made.append(got + list(engine.finish_evidence()))
    with Engine(car()) as engine:
        got = []
        for at in range(0, len(tape), 1 << 14):
            more = engine.play_tape(tape[at : at + (1 << 14)])
            got += engine.take_all()
            while more:
                more = engine.play_tape(b"")
                got += engine.take_all()
        made.append(got + list(engine.finish_evidence()))
    assert sum(isinstance(each, EvidenceSlice) for each in made[0]) > 50
    assert made[0] == made[1] == made[2]


def test_three_crashes_in_a_minute_each_have_their_own() -> None:
    """The second begins while the first is being written; each window is whole."""
    bits = [(t, 1, bytes([on])) for i in (0, 1, 2) for t, on in ((BAG + i * 11 * S, 1), (BAG + i * 11 * S + S, 0))]
    rows = minute(*bits, until_s=80)
    with Engine(car()) as engine:
        drive(engine, rows)
        steps = engine.take_evidence()
        stats = engine.stats()
    assert (stats.evidence, stats.evidence_lost) == (3, 0)
    for i, seq in enumerate(sorted({step.event_seq for step in steps})):
        own, t0 = Gathered(steps, seq), BAG + i * 11 * S
        assert own.frame_times == [t for t, _n, _d in rows if t0 - 30 * S <= t < t0 + 15 * S]
        assert own.stages[-1] is CrashStage.CLOSED


def test_a_small_recorder_says_what_it_covers() -> None:
    """With little memory the oldest is missing, and the state at the trigger says so; the newest is always there."""
    with Engine(car(), EngineOptions(recorder_bytes=65536)) as engine:
        drive(engine, minute((BAG, 1, b"\x01")))
        taken = Gathered(engine.take_evidence())
    [cover] = [c for c in taken.states[CrashStage.TRIGGER].covers if c.part is EvidencePart.FRAMES]
    assert 5 * S < BAG - cover.first_us < 20 * S
    assert taken.frame_times[0] >= cover.first_us  # some seconds later, while it was being written
    assert taken.frame_times[-1] >= BAG + 14_900_000
    assert len(taken.parts[EvidencePart.FRAMES]) % FRAME_SIZE == 0


def test_a_supply_that_fails_makes_all_due_at_once() -> None:
    """Right after the trigger: everything before it, and what came since, at the same engine time."""
    rows = [row for row in minute((BAG, 1, b"\x01")) if row[0] <= BAG + 20_000]
    with Engine(car()) as engine:
        engine.offer_power(PowerSample(S, supply_v=13.8))
        engine.offer_power(PowerSample(BAG + 21_000, supply_v=6.0))
        drive(engine, rows)
        engine.run(BAG + 21_000)
        taken = Gathered(engine.take_evidence())
        assert engine.supply_fails()
        assert not engine.supply_fails()
        assert engine.stats().supply_failures == 1
    assert taken.frame_times == [t for t, _n, _d in rows if t >= BAG - 30 * S]


def test_a_pulse_has_a_state_of_its_own_with_its_curve() -> None:
    """TRIGGER without, PULSE with the curve, CLOSED with the same: also when the bag was there first."""
    still, hit = axes(), axes(-150.0)
    rows = [(S + i * 10_000, 0, hit if 2000 <= i < 2010 else still) for i in range(5000)]
    rows = sorted([*rows, (S - 1, 1, b"\x00"), (20_975_000, 1, b"\x01")], key=lambda row: row[0])
    with Engine(car()) as engine:
        drive(engine, rows)
        crash = [o for o in engine.take() if isinstance(o, Event) and o.kind.is_crash]
        taken = Gathered(engine.take_evidence())
    assert [e.kind for e in crash][:2] == [EventKind.AIRBAG, EventKind.CRASH]
    assert {e.seq for e in crash} == {step.event_seq for step in taken.steps}
    assert crash[-1].phase is Phase.CLOSED
    assert all(EventFlag.AIRBAG in e.flags for e in crash)
    assert list(dict.fromkeys(taken.stages)) == STAGES
    assert taken.states[CrashStage.TRIGGER].pulse == ()
    pulse = taken.states[CrashStage.PULSE].pulse
    assert len(pulse) > 25
    assert max(abs(complex(*point)) for point in pulse) == pytest.approx(crash[-1].dv_kmh or 0.0, rel=0.05)
    assert taken.states[CrashStage.CLOSED].pulse == pulse


def test_the_rest_is_saved_when_the_terminal_stops() -> None:
    """A window that is still open is closed with what there is."""
    with Engine(car()) as engine:
        drive(engine, [row for row in minute((BAG, 1, b"\x01")) if row[0] < BAG + 3 * S])
        assert engine.recording
        taken = Gathered(engine.take_evidence() + engine.finish_evidence())
        assert not engine.recording
    assert taken.frame_times[-1] >= BAG + 2_900_000
    assert taken.stages == [CrashStage.TRIGGER, CrashStage.CLOSED]


def test_evidence_that_nobody_takes_costs_no_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who takes events and snapshots alone gets each of them, however many steps of evidence lie about."""
    monkeypatch.setattr("outrider.engine.engine.MAX_READY", 5)
    rows = minute((BAG, 1, b"\x01"))
    with Engine(car()) as engine, Engine(car(), EngineOptions(recorder_bytes=0)) as plain:
        taken: dict[Engine, list[Event | Snapshot]] = {engine: [], plain: []}
        for second, frames in seconds(rows):
            for each, found in taken.items():
                each.offer_frames(frames)
                each.run(second * S + 999_999)
                found.extend(each.take())
        assert taken[engine] == taken[plain]
        assert any(isinstance(each, Event) for each in taken[engine])
        assert len(engine.take_evidence()) == 5
        assert engine.evidence_dropped > 20


def test_who_takes_no_evidence_gets_on_all_the_same() -> None:
    """Stopping for evidence that is due and taking events alone ends, with nothing lost."""
    with Engine(car()) as engine:
        drive(engine, [row for row in minute((BAG, 1, b"\x01")) if row[0] < BAG - S])
        engine.offer_frames(batch([row for row in minute((BAG, 1, b"\x01")) if row[0] >= BAG - S]))
        rounds = 0
        while engine.run(60 * S, evidence=True):
            engine.take()
            rounds += 1
            assert rounds < 1000, "the engine waits for a step that nobody takes"
        taken = Gathered(engine.take_evidence())
    assert taken.stages == [CrashStage.TRIGGER, CrashStage.CLOSED]


def test_without_a_recorder_nothing_is_saved() -> None:
    """recorder_bytes 0 switches it off; the events stay the same."""
    made = []
    for size in (0, 1 << 20):
        with Engine(car(), EngineOptions(recorder_bytes=size)) as engine:
            drive(engine, minute((BAG, 1, b"\x01"), until_s=45))
            made.append([o for o in engine.take() if isinstance(o, Event)])
            assert bool(engine.take_evidence()) == bool(size)
            assert bool(engine.finish_evidence()) == bool(size)
    assert made[0] == made[1] != []
