"""The engine: inputs in, events and snapshots out. native/include/outrider/engine.h says what it does with them."""

from __future__ import annotations

import _thread
import struct
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

from outrider.engine.convert import VEHICLE, maybe, pack_fix, pack_imu, pack_power, unpack_event, unpack_snapshot
from outrider.engine.decode import lend_frames
from outrider.engine.evidence import EvidenceReader, EvidenceState, read_pulse
from outrider.engine.handle import NativeTables
from outrider.engine.native import aligned, check, ffi, lib
from outrider.engine.options import MOTION_FIELDS, EngineOptions, Mount, native_config
from outrider.engine.stats import EngineStats, engine_stats
from outrider.errors import EngineError, RecordingError
from outrider.model.event import Event, Snapshot
from outrider.model.evidence import EvidenceSlice
from outrider.model.fix import Fix, ImuSample, PowerSample
from outrider.model.frame import FRAME_SIZE, FrameBatch
from outrider.model.vehicle import VehicleTables

ALGORITHM: Final = "motion-2"  # name of the detector's version; goes into boot records

Output = Event | Snapshot
Step = EvidenceSlice | EvidenceState

_OUTPUT: Final = struct.Struct("=II")
_TAKE: Final = 64  # outputs copied per native call
MAX_READY: Final = 4096  # steps that wait for somebody to take them; a window makes some 120
_TAPE_HEADER: Final = 32


class Engine:
    """One engine. ``run``, ``take`` and all but ``offer_*`` belong to one thread: the first that calls one of them.

    Each ``offer_*`` may be called from another thread, but always from the same one. Use as a context manager; after
    ``close`` every call is an EngineError.
    """

    def __init__(self, tables: VehicleTables, options: EngineOptions = EngineOptions()) -> None:  # noqa: B008  # frozen
        self._tables = NativeTables(tables)
        self.frame_inboxes = options.frame_inboxes
        self._telemetry = [i for i, slot in enumerate(tables.slots) if slot.telemetry]
        self._slots = len(tables.slots)
        config = native_config(options)
        size = lib.otr_engine_size(config, self._tables.ptr)
        if size == 0:
            raise EngineError("engine: a size in the options is out of range", lib.OTR_ERR_INVAL)
        self._memory, memory = aligned(size)
        out = ffi.new("otr_engine **")
        check(lib.otr_engine_init(memory, size, config, self._tables.ptr, out), "engine options")
        self._ptr: Any = out[0]
        self._cell = int(lib.otr_engine_output_size(self._ptr))
        self._outputs = ffi.new("uint8_t[]", self._cell * _TAKE)
        self._reader = EvidenceReader(
            lib.otr_engine_motion(self._ptr), lib.otr_engine_recorder(self._ptr), MOTION_FIELDS
        )
        self.evidence_dropped = 0
        self._ready: list[Output | Step] = []
        self._waiting = 0  # steps among them
        self._owner: int | None = None
        self._tape: bytearray | None = None
        self._pending = b""
        self._played = 0

    # -- life -----------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the memory; no other thread may be inside a call."""
        self._ptr = None

    def _shared(self) -> Any:
        if self._ptr is None:
            raise EngineError("the engine is closed", lib.OTR_ERR_STATE)
        return self._ptr

    def owned(self) -> Any:
        """The handle, for the owner thread only."""
        me = _thread.get_ident()
        if self._owner is None:
            self._owner = me
        elif self._owner != me:
            raise EngineError(
                "the engine belongs to another thread; only offer_* may be called here", lib.OTR_ERR_STATE
            )
        return self._shared()

    # -- inputs ---------------------------------------------------------------------------------------

    def offer_frames(self, batch: FrameBatch | bytes | bytearray | memoryview, start: int = 0, inbox: int = 0) -> int:
        """Frames from ``start`` on; how many were accepted. Fewer: the inbox is full, run and offer the rest.

        inbox: below ``EngineOptions.frame_inboxes``; each has one thread that offers.
        """
        data, count = lend_frames(batch)
        if not 0 <= start <= count:
            raise ValueError(f"start {start} of {count} frames")
        if not 0 <= inbox < self.frame_inboxes:
            raise ValueError(f"frame inbox {inbox} of {self.frame_inboxes}")
        first = ffi.cast("const otr_frame *", data + start * FRAME_SIZE)
        return int(lib.otr_engine_offer_frames_to(self._shared(), inbox, first, count - start))

    def offer_imu(self, samples: Sequence[ImuSample]) -> int:
        """How many were accepted."""
        data = ffi.from_buffer(pack_imu(samples))
        return int(lib.otr_engine_offer_imu(self._shared(), ffi.cast("const otr_sample *", data), len(samples)))

    def offer_fix(self, fix: Fix) -> bool:
        """False when the inbox is full."""
        data = ffi.from_buffer(pack_fix(fix))
        return bool(lib.otr_engine_offer_fixes(self._shared(), ffi.cast("const otr_fix *", data), 1))

    def offer_power(self, sample: PowerSample) -> bool:
        """False when the inbox is full."""
        data = ffi.from_buffer(pack_power(sample))
        return bool(lib.otr_engine_offer_power(self._shared(), ffi.cast("const otr_sample *", data), 1))

    # -- time -----------------------------------------------------------------------------------------

    def run(self, watermark_us: int, *, evidence: bool = False) -> bool:
        """Processes everything up to and including the watermark. True: take the outputs, then run again.

        evidence: also as soon as the flight recorder has something to save, so that saving begins at once.
        """
        ptr = self.owned()
        if not -(2**60) <= watermark_us <= 2**60:
            raise EngineError(f"watermark {watermark_us} us is no sensible time", lib.OTR_ERR_INVAL)
        while True:
            end = check(lib.otr_engine_run(ptr, watermark_us), "run")
            if end == lib.OTR_RUN_TAPE:
                self.drain_tape()
                continue
            if end == lib.OTR_RUN_EVIDENCE and not evidence:
                self._save(sys.maxsize)
                continue
            return bool(end != lib.OTR_RUN_DONE)

    def now_us(self) -> int:
        """Engine time: that of the last input or tick; 0 before the first."""
        return int(lib.otr_engine_now(self.owned()))

    # -- outputs --------------------------------------------------------------------------------------

    def take(self) -> list[Output]:
        """All events and snapshots so far, in order. Evidence stays for ``take_evidence``.

        What is due of it is copied out of the recorder meanwhile, or the engine would wait for it.
        """
        self._save(sys.maxsize)
        taken = [each for each in self._ready if isinstance(each, Event | Snapshot)]
        self._ready = [each for each in self._ready if not isinstance(each, Event | Snapshot)]
        return taken

    def take_evidence(self) -> list[Step]:
        """All that the flight recorder had to save so far, in order. Events and snapshots stay for ``take``."""
        self._save(sys.maxsize)
        taken = [each for each in self._ready if not isinstance(each, Event | Snapshot)]
        self._ready = [each for each in self._ready if isinstance(each, Event | Snapshot)]
        self._waiting = 0
        return taken

    def take_all(self, steps: int = sys.maxsize) -> list[Output | Step]:
        """Both, in the order in which they came to be, which is the same in a replay.

        steps: of those that are due by now, at most so many; call again for the rest, until there is nothing.
        """
        self._save(steps)
        taken, self._ready, self._waiting = self._ready, [], 0
        return taken

    def finish_evidence(self) -> list[Step]:
        """No more input will come: the rest of what is to be saved, closing states included."""
        self.owned()
        return self._reader.finish(self.now_us())

    @property
    def recording(self) -> bool:
        """Evidence of an event is being taken."""
        self.owned()
        return self._reader.busy

    def supply_fails(self) -> bool:
        """True once each time the supply has begun to fail."""
        return bool(lib.otr_engine_supply_fails(self.owned()))

    def _save(self, most: int) -> None:
        """Outputs so far, then the steps that are due: steps that nobody takes are dropped in the end, and counted."""
        self._ready += self._outputs_now()
        steps = self._reader.take(self.now_us(), most)
        kept = steps[: max(0, MAX_READY - self._waiting)]
        self._ready += kept
        self._waiting += len(kept)
        self.evidence_dropped += len(steps) - len(kept)

    def _outputs_now(self) -> list[Output]:
        ptr, taken = self.owned(), []
        while True:
            count = lib.otr_engine_take(ptr, self._outputs, _TAKE)
            raw = memoryview(ffi.buffer(self._outputs, count * self._cell))
            taken += [self._output(raw, i * self._cell) for i in range(count)]
            if count < _TAKE:
                return taken

    def _output(self, raw: memoryview, offset: int) -> Output:
        kind, count = _OUTPUT.unpack_from(raw, offset)
        offset += _OUTPUT.size
        if kind == lib.OTR_OUT_EVENT:
            return unpack_event(raw, offset)
        values: list[float | None] = [None] * self._slots
        for slot, value in zip(
            self._telemetry, struct.unpack_from(f"={count}d", raw, offset + VEHICLE.size), strict=True
        ):
            values[slot] = maybe(value)
        return unpack_snapshot(raw, offset, tuple(values))

    def stats(self) -> EngineStats:
        raw = ffi.new("otr_engine_stats *")
        lib.otr_engine_get_stats(self.owned(), raw)
        return engine_stats(raw)

    def black_box_page(self, boot_id: int = 0, *, clean: bool = False) -> bytes:
        """4096 bytes that describe this moment and the 20 s before it; see ``parse_black_box``."""
        page = ffi.new("uint8_t[]", lib.OTR_PAGE_SIZE)
        lib.otr_engine_black_box(self.owned(), boot_id, lib.OTR_PAGE_CLEAN if clean else 0, page)
        return bytes(ffi.buffer(page))

    def count_pages(self, newest: int) -> None:
        """Pages from now on count from here: above those of an earlier run."""
        lib.otr_engine_count_pages(self.owned(), newest)

    def pulse(self) -> tuple[tuple[float, float], ...]:
        """Cumulative delta-V (long, lat) in km/h at 100 Hz of the last captured impact; empty without one."""
        return read_pulse(lib.otr_engine_motion(self.owned()))

    def mount(self) -> Mount:
        raw = ffi.new("otr_mount *")
        lib.otr_motion_get_mount(lib.otr_engine_motion(self.owned()), raw)
        return Mount((*raw.up,), (*raw.fwd,), raw.rho, raw.age_s)

    def set_mount(self, mount: Mount) -> None:
        """Before the first input; EngineError when it is too late or no mounting."""
        raw = ffi.new("otr_mount *", {"up": mount.up, "fwd": mount.forward, "rho": mount.rho, "age_s": mount.age_s})
        check(lib.otr_motion_set_mount(lib.otr_engine_motion(self.owned()), raw), "set_mount")

    # -- tape -----------------------------------------------------------------------------------------

    @property
    def tables_hash(self) -> int:
        return self._tables.hash

    def start_tape(self) -> None:
        """Records every input from now on; EngineError once an input was processed."""
        check(lib.otr_engine_tape_start(self.owned()), "start_tape after the first input")
        self._tape = bytearray()

    def take_tape(self) -> bytes:
        """What was recorded since the last call: whole blocks, to be appended to the tape."""
        self.owned()
        if self._tape is None:
            raise EngineError("take_tape without start_tape", lib.OTR_ERR_STATE)
        self.drain_tape()
        taken = bytes(self._tape)
        self._tape.clear()
        return taken

    def drain_tape(self) -> None:
        """Makes room for more tape."""
        size = lib.otr_engine_tape_block_max(self._ptr)
        block = ffi.new("uint8_t[]", size)
        used = lib.otr_engine_tape_take(self._ptr, block, size)
        if self._tape is not None:
            self._tape += ffi.buffer(block, used)

    def play_tape(self, chunk: bytes) -> bool:
        """Feeds a piece of a tape, cut anywhere, past the merge. True: take the outputs and call again with ``b""``.

        RecordingError when the tape is damaged or was made with other tables. Call ``end_tape`` after the last piece.
        """
        ptr = self.owned()
        self._pending += chunk
        used = ffi.new("size_t *")
        while True:
            end = lib.otr_engine_play(ptr, self._pending, len(self._pending), used)
            self._pending = self._pending[used[0] :]
            self._played += used[0]
            if end == lib.OTR_RUN_TAPE:
                self.drain_tape()
                continue
            if end < 0:
                self._refuse_tape(end)
            if end == lib.OTR_RUN_EVIDENCE:
                self._save(sys.maxsize)
                continue
            return bool(end == lib.OTR_RUN_OUTPUT)

    def end_tape(self) -> None:
        """RecordingError when the tape ended in the middle of a block."""
        self.owned()
        if self._pending:
            raise RecordingError(
                f"tape ends in the middle of a block: {len(self._pending)} bytes after byte {self._played} are missing "
                "their rest; everything before was played"
            )

    def _refuse_tape(self, code: int) -> None:
        where = f"tape, block at byte {self._played}"
        if code == lib.OTR_ERR_FORMAT:
            raise RecordingError(f"{where}: no tape of this version, or recorded with another vehicle profile")
        raise RecordingError(f"{where}: damaged or out of order; everything before was played")
