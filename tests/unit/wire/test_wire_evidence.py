"""Evidence there and back: slices, pieces, parts, and the state of a crash."""

from __future__ import annotations

import dataclasses
import math
import random

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.errors import WireError
from outrider.model.crash import Cover, CrashStage, CrashState, MountState, SlotName
from outrider.model.evidence import (
    MAX_CHUNK_BYTES,
    MAX_SLICE_BYTES,
    EvidenceChunk,
    EvidencePart,
    EvidenceSlice,
    Packing,
)
from outrider.model.record import Kind
from outrider.wire import outrider_pb2 as pb
from outrider.wire.bodies import decode_body, encode_body
from outrider.wire.evidence import MAX_SLICES, assemble, cut

STATE = CrashState(
    event_seq=4,
    stage=CrashStage.CLOSED,
    t0_us=5,
    t_trigger_us=7,
    software="0.2.0",
    algorithm="motion-2",
    profile_id="simcar",
    tables_hash=(1 << 64) - 1,
    thresholds=(("dv150_kmh", 6.5),),
    imu_range_g=16.0,
    imu_rate_hz=None,
    imu_src=0,
    mount=None,
    vehicle_class=2,
    holdup_ms=0,
    pulse_long_kmh=(0.0, -1.5),
    pulse_lat_kmh=(0.0, 0.25),
    slots=(SlotName(3, "Vehicle.Speed", "km/h"),),
    covers=(Cover(EvidencePart.FRAMES, 1, 2, 80),),
)
SLICES = st.lists(st.binary(max_size=40).map(lambda b: b * 900), min_size=1, max_size=4)


def slices_of(contents: list[bytes]) -> list[EvidenceSlice]:
    """The newest first, as before a trigger."""
    last = len(contents) - 1
    return [EvidenceSlice(7, EvidencePart.IMU, n, last - n, last - n, data) for n, data in enumerate(contents)]


@settings(max_examples=50, deadline=None)
@given(SLICES, st.randoms(use_true_random=False))
def test_pieces_in_any_order_and_twice_are_the_part(contents: list[bytes], rng: random.Random) -> None:
    """Nothing is lost, slices come out in order of time, and no piece is larger than may travel."""
    chunks = [chunk for each in slices_of(contents) for chunk in cut(each)]
    assert all(0 < len(chunk.data) <= MAX_CHUNK_BYTES for chunk in chunks)
    assert [decode_body(Kind.EVIDENCE, encode_body(chunk)) for chunk in chunks] == chunks
    pile = chunks * 2
    rng.shuffle(pile)
    part = assemble(pile).get(EvidencePart.IMU)
    assert (part.data if part else b"") == b"".join(reversed(contents))


def test_what_is_missing_or_damaged_is_told_and_the_rest_is_there() -> None:
    """A cut of the power leaves a part with holes: they have numbers."""
    contents = [random.Random(n).randbytes(3 * MAX_CHUNK_BYTES) for n in range(4)]
    chunks = [chunk for each in slices_of(contents) for chunk in cut(each)]
    chunks = [c for c in chunks if (c.slice, c.index) != (1, 1)]  # a piece
    packed = dataclasses.replace(chunks[-1], slice=5, index=0, count=1, packing=Packing.ZSTD, data=b"no frame")
    part = assemble([*chunks, packed])[EvidencePart.IMU]
    assert part.missing == (1, 4)
    assert part.damaged == (5,)
    assert part.data == contents[3] + contents[2] + contents[0]
    assert part.spans_us == ((0, 0), (1, 1), (3, 3))


def test_pieces_of_an_older_version_are_one_slice() -> None:
    """Before there were slices, a part was cut as it lay."""
    old = pb.EvidenceChunk(event_seq=7, part=1, index=0, count=1, first_us=1, last_us=2, data=b"abc")
    chunk = decode_body(Kind.EVIDENCE, old.SerializeToString())
    assert isinstance(chunk, EvidenceChunk)
    assert assemble([chunk])[EvidencePart.FRAMES].data == b"abc"


def test_a_hostile_slice_takes_no_memory() -> None:
    """A frame that claims or holds more than a slice may is damage; a number beyond any terminal's is no slice."""
    bomb = zstandard.ZstdCompressor().compress(bytes(MAX_SLICE_BYTES + 1))
    unsized = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(1000))
    for data in (bomb, unsized):
        chunk = EvidenceChunk(7, EvidencePart.IMU, 0, 1, 0, 0, data, 0, Packing.ZSTD)
        assert assemble([chunk])[EvidencePart.IMU].damaged == (0,)
    far = EvidenceChunk(7, EvidencePart.IMU, 0, 1, 0, 0, b"x", MAX_SLICES)
    assert assemble([far]) == {}
    with pytest.raises(WireError, match="slice of"):
        cut(EvidenceSlice(7, EvidencePart.IMU, 0, 0, 0, bytes(MAX_SLICE_BYTES + 1)))


@pytest.mark.parametrize("mount", [None, MountState((0.0, 0.0, 1.0), (1.0, 0.0, 0.0), 0.75, 12.0)])
@pytest.mark.parametrize("rate", [None, 104.25])
def test_a_state_comes_back_as_it_was(mount: MountState | None, rate: float | None) -> None:
    """With and without what may be unknown."""
    state = dataclasses.replace(STATE, mount=mount, imu_rate_hz=rate)
    assert decode_body(Kind.CRASH, encode_body(state)) == state


@pytest.mark.parametrize(
    "changes",
    [
        {"imu_rate_hz": math.nan},
        {"thresholds": (("x", math.inf),)},
        {"pulse_lat_kmh": (0.0,)},
        {"event_seq": -1},
        {"mount": MountState((math.nan, 0.0, 0.0), (0.0, 0.0, 0.0), 0.0, 0.0)},
    ],
)
def test_a_state_that_is_none_is_refused(changes: dict[str, object]) -> None:
    """Unknown is None or empty, never NaN."""
    with pytest.raises(WireError):
        encode_body(dataclasses.replace(STATE, **changes))  # type: ignore[arg-type]  # wrong on purpose


def test_what_a_newer_version_added_to_a_state() -> None:
    """A stage keeps its number, a part that is not known is passed over; a mounting of two numbers is damage."""
    message = pb.CrashState(stage=9)
    message.covers.add(part=99, bytes=1)
    state = decode_body(Kind.CRASH, message.SerializeToString())
    assert isinstance(state, CrashState)
    assert int(state.stage) == 9
    assert state.covers == ()
    message.mount.up.extend([1.0, 0.0])
    with pytest.raises(WireError):
        decode_body(Kind.CRASH, message.SerializeToString())
