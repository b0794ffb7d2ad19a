"""The flight recorder's windows at their edges, on the C functions themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import cffi
import pytest

from tests.native import motion_harness as mh

S = 1_000_000
TRIGGER, CLOSED, SLICE = 1, 3, 4
FRAMES = 0


@pytest.fixture(scope="module")
def native() -> tuple[Any, Any]:
    """The recorder alone, with the declarations of its own headers."""
    folder = mh.NATIVE / "include/outrider"
    text = "".join((folder / name).read_text(encoding="utf-8") for name in ("types.h", "recorder.h"))
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    text = re.sub(r"static_assert\([^;]*;", "", text)
    text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    ffi = cffi.FFI()
    ffi.cdef(text)
    sources = [mh.NATIVE / "src/recorder.c", mh.NATIVE / "src/recorder_ring.c", mh.NATIVE / "src/recorder_window.c"]
    return ffi, ffi.dlopen(str(mh.build("-shared", "-fPIC", out="librecorder.so", sources=sources)))


@pytest.fixture
def recorder(native: tuple[Any, Any]) -> Iterator[Any]:
    """40 s of a frame a second, the last at 40 s."""
    ffi, lib = native
    size = lib.otr_recorder_size(1 << 20)
    memory = ffi.new("char[]", size + 16)
    ret = ffi.new("otr_recorder **")
    assert lib.otr_recorder_init(memory + (-int(ffi.cast("uintptr_t", memory)) % 16), size, 1 << 20, ret) == 0
    frame = ffi.new("otr_frame *", {"len": 8})
    for i in range(41):
        lib.otr_recorder_frame(ret[0], frame, i * S)
    yield ret[0]
    del memory


def steps(native: tuple[Any, Any], recorder: Any) -> list[tuple[int, int]]:
    """(what, items) of all there is, each at its due time."""
    ffi, lib = native
    found, step = [], ffi.new("otr_evidence_step *")
    while lib.otr_recorder_windows(recorder):
        if lib.otr_recorder_step(recorder, lib.otr_recorder_due(recorder), step):  # not where all that is due is empty
            found.append((int(step.what), int(step.count)))
            lib.otr_recorder_done(recorder)
    return found


def test_an_event_told_long_after_its_begin_loses_nothing(native: tuple[Any, Any], recorder: Any) -> None:
    """T0 at 22 s, told at 40 s, when its 15 s are over: all that lies before T0 is handed out before the end."""
    assert native[1].otr_recorder_trigger(recorder, 1, 22 * S, 40 * S) == 1
    found = steps(native, recorder)
    assert found[0][0] == TRIGGER
    assert found[-1][0] == CLOSED
    assert sum(count for what, count in found if what == SLICE) >= 22, "a frame each second from 0 to 21 s"


def test_an_event_that_outlives_its_window_gets_no_second_one(native: tuple[Any, Any], recorder: Any) -> None:
    """Its slices would bear the numbers of the first; other events get theirs as ever."""
    trigger = native[1].otr_recorder_trigger
    assert trigger(recorder, 1, 40 * S, 40 * S) == 1
    assert trigger(recorder, 1, 45 * S, 45 * S) == 0
    steps(native, recorder)
    assert trigger(recorder, 1, 101 * S, 101 * S) == 0
    assert native[1].otr_recorder_windows(recorder) == 0
    assert [trigger(recorder, seq, 102 * S, 102 * S) for seq in (2, 3, 4, 5, 6)] == [1, 1, 1, 1, -1]


def test_nothing_is_recorded_over_a_step_that_is_not_saved_yet(native: tuple[Any, Any], recorder: Any) -> None:
    """A step that was told stays due, so that the engine does not go on before it is marked done."""
    ffi, lib = native
    assert lib.otr_recorder_trigger(recorder, 1, 40 * S, 40 * S) == 1
    step = ffi.new("otr_evidence_step *")
    while lib.otr_recorder_step(recorder, 41 * S, step) and step.what != SLICE:
        lib.otr_recorder_done(recorder)
    assert step.kind == FRAMES
    assert lib.otr_recorder_due(recorder) <= 40 * S
    lib.otr_recorder_done(recorder)
    assert lib.otr_recorder_due(recorder) > 40 * S
