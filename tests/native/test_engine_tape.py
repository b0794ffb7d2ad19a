"""Tapes: the same inputs again give the same bytes out; a damaged tape is an error, never a crash."""

from __future__ import annotations

import dataclasses
import random

import pytest

from outrider.engine import Engine, EngineOptions
from outrider.errors import EngineError, RecordingError
from outrider.model.event import Event, Snapshot
from outrider.model.fix import Fix, FixType, ImuSample, PowerSample
from outrider.model.frame import EFF, FD, FrameBatch
from outrider.model.vehicle import BitField, MessageDef, Role, SignalDef, Slot, VehicleTables

S = 1_000_000
TABLES = VehicleTables(
    "p",
    (
        MessageDef("M", 0x100, False, 8, (SignalDef("v", 0, BitField(0, 16), factor=0.01),)),
        MessageDef("A", 0x101, False, 8, (SignalDef("bag", 1, BitField(0, 1)),)),
    ),
    (Slot("Speed", role=Role.SPEED), Slot("Bag", role=Role.AIRBAG)),
)
Output = Event | Snapshot


def record(seed: int = 1, seconds: int = 12, options: EngineOptions | None = None) -> tuple[bytes, list[Output]]:
    """A drive with every kind of input, an airbag, a late fix and a clock that jumps back."""
    rng = random.Random(seed)
    outputs: list[Output] = []
    with Engine(TABLES, options or EngineOptions()) as engine:
        engine.start_tape()
        for second in range(1, seconds):
            frames = FrameBatch()
            for i in range(100):
                t_us = second * S + i * 10_000 + rng.randrange(1000)
                frames.append(t_us, 0x100, (5000 + second).to_bytes(2, "little") + rng.randbytes(6))
                if i % 50 == 9:
                    frames.append(t_us + 1, 0x18FEF100, rng.randbytes(32), EFF | FD, bus=1)
            frames.append(second * S + 999_000, 0x101, bytes([second == 6]))
            engine.offer_frames(frames)
            engine.offer_imu([ImuSample(second * S + i * 20_000, (0.1, rng.random(), 9.8)) for i in range(50)])
            engine.offer_fix(
                Fix((second - 2 * (second % 5 == 0)) * S, FixType.FIX_3D, lat_deg=50.0, lon_deg=rng.random())
            )
            engine.offer_power(PowerSample(second * S, ignition=True, supply_v=13.7))
            while engine.run(second * S + 999_999):
                outputs += engine.take()
        outputs += engine.take()
        return engine.take_tape(), outputs


def play(tape: bytes, pieces: random.Random | None = None, tables: VehicleTables = TABLES) -> list[Output]:
    outputs: list[Output] = []
    at = 0
    with Engine(tables, EngineOptions(output_capacity=160)) as engine:
        while at < len(tape):
            size = pieces.randint(1, 5000) if pieces else len(tape)
            more = engine.play_tape(tape[at : at + size])
            outputs += engine.take()
            while more:
                more = engine.play_tape(b"")
                outputs += engine.take()
            at += size
        engine.end_tape()
    return outputs


def test_a_tape_replays_to_equal_outputs() -> None:
    """Events and snapshots of the drive and of its tape are equal, with events in it."""
    tape, outputs = record()
    assert any(isinstance(o, Event) for o in outputs)
    assert play(tape) == outputs


def test_a_tape_may_come_in_any_pieces() -> None:
    """Where the pieces are cut does not matter, nor how small the blocks are."""
    tape, outputs = record(options=EngineOptions(tape_bytes=4096))
    for seed in range(5):
        assert play(tape, random.Random(seed)) == outputs


def test_recording_a_played_tape_gives_the_tape_again() -> None:
    """Playing changes nothing in what was recorded."""
    tape, _outputs = record()
    with Engine(TABLES) as engine:
        engine.start_tape()
        while engine.play_tape(tape):
            engine.take()
            tape = b""
        again = engine.take_tape()
    assert again == record()[0]


def test_the_same_drive_gives_the_same_tape() -> None:
    """No clock, no address, no hash seed gets into a tape."""
    assert record()[0] == record()[0]


def test_a_damaged_tape_is_a_clear_error_or_the_same_drive() -> None:
    """Whatever byte is damaged: RecordingError that says where, after everything before was played."""
    tape, outputs = record(seconds=4, options=EngineOptions(tape_bytes=4096))
    rng = random.Random(2)
    for position in [*range(40), *(rng.randrange(len(tape)) for _ in range(60))]:
        damaged = tape[:position] + bytes([tape[position] ^ (1 + rng.randrange(255))]) + tape[position + 1 :]
        with pytest.raises(RecordingError, match="tape"):
            play(damaged)
    assert play(tape) == outputs


def test_a_truncated_tape_is_noticed_at_its_end() -> None:
    """A tape cut within a block plays what is whole and then says what is missing."""
    tape, outputs = record(seconds=4, options=EngineOptions(tape_bytes=4096))
    for cut in (1, 31, 33, len(tape) // 2, len(tape) - 1):
        with pytest.raises(RecordingError, match="middle of a block"):
            play(tape[:cut])
    with Engine(TABLES) as engine:
        engine.play_tape(tape[: len(tape) - 1])
        played = engine.take()
    assert played == outputs[: len(played)]


def test_a_missing_block_is_noticed() -> None:
    """Blocks are numbered: one that was cut out, or one that comes twice, is an error."""
    tape, _outputs = record(seconds=4, options=EngineOptions(tape_bytes=4096))
    size = 32 + int.from_bytes(tape[12:16], "little")
    second = size + 32 + int.from_bytes(tape[size + 12 : size + 16], "little")
    for wrong in (tape[size:], tape[:size] + tape, tape[:size] + tape[second:]):
        with pytest.raises(RecordingError, match="damaged or out of order"):
            play(wrong)


def test_a_tape_of_another_vehicle_is_refused() -> None:
    """The tables' hash stands in every block."""
    message = dataclasses.replace(TABLES.messages[0], frame_id=0x200)
    with pytest.raises(RecordingError, match="another vehicle profile"):
        play(record(seconds=3)[0], tables=dataclasses.replace(TABLES, messages=(message,)))


def test_no_tape_at_all_is_refused() -> None:
    """Some other file is not mistaken for a tape."""
    with pytest.raises(RecordingError, match="no tape of this version"):
        play(b"(1.0) can0 123#11\n" * 10)


def test_a_tape_starts_with_the_drive() -> None:
    """A tape that began in the middle could not be replayed: start_tape is refused then; take_tape needs a start."""
    with Engine(TABLES) as engine:
        with pytest.raises(EngineError, match="without start_tape"):
            engine.take_tape()
        engine.offer_power(PowerSample(S))
        engine.run(S)
        with pytest.raises(EngineError, match="start_tape"):
            engine.start_tape()
