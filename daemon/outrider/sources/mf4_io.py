"""ASAM MDF4 bus logging (``.MF4``) as raw frames, by columns: about a hundred times python-can's reader.

The one module that uses numpy and asammdf; both come with ``pip install outrider[workstation]``. Reads the channel
groups CAN_DataFrame, CAN_RemoteFrame and CAN_ErrorFrame of the ASAM MDF bus logging standard (v1.0), merged by time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from outrider.errors import RecordingError
from outrider.model.frame import BRS, EFF, ERR, ESI, FD, RTR, TX
from outrider.sources.stats import SourceStats

RECORDS_AT_ONCE: Final = 65_536
_BUS_EVENT: Final = 0x2  # channel group flag
_BUS_CAN: Final = 2  # bus type of the acquisition source
_KINDS: Final = {"CAN_DataFrame": 0, "CAN_RemoteFrame": RTR, "CAN_ErrorFrame": ERR}


class Mf4Reader:
    """Chunks of raw frames of one MF4 file; stamps are UTC."""

    local = False

    def __init__(self, path: Path) -> None:
        self._path = path

    def chunks(self, stats: SourceStats) -> Iterator[bytes | bytearray]:
        """Frames in order of time. RecordingError when the file is none, is broken, or holds no CAN frames."""
        mdf = self._open()
        try:
            yield from self._merged(mdf, stats)
        finally:
            mdf.close()

    def _open(self) -> Any:
        try:
            from asammdf import MDF
        except ImportError:
            raise RecordingError(
                "MDF4 needs asammdf, which is not installed: pip install outrider[workstation]", path=self._path
            ) from None
        logging.getLogger("asammdf").setLevel(logging.CRITICAL)  # what matters comes as an exception
        try:
            return MDF(self._path)
        except Exception as err:  # noqa: BLE001 - asammdf raises anything on hostile input
            _quieten(err)
            raise self._broken(err) from None

    def _broken(self, err: Exception) -> RecordingError:
        reason = f"{type(err).__name__}: {err}"
        return RecordingError(f"no readable MDF4 file ({reason}); cut or damaged, copy it again", path=self._path)

    def _merged(self, mdf: Any, stats: SourceStats) -> Iterator[bytearray]:
        """All groups, each read in pieces; what is older than the end of every group's piece goes out."""
        import numpy as np

        try:
            groups = [_Group(mdf, n, name, stats) for n, name in _can_groups(mdf)]
        except Exception as err:  # noqa: BLE001 - see above
            raise self._broken(err) from None
        if not groups:
            raise RecordingError("an MDF4 file without CAN frames: was bus logging on?", path=self._path)
        while groups:
            try:
                for group in groups:
                    group.fill()
            except Exception as err:  # noqa: BLE001 - see above
                stats.truncated = 1
                yield _joined(np, [g.take(None) for g in groups])
                raise self._broken(err) from None
            horizon = min((g.last_us for g in groups if g.more), default=None)
            yield _joined(np, [g.take(horizon) for g in groups])
            groups = [g for g in groups if g.more or g.left]


def _can_groups(mdf: Any) -> Iterator[tuple[int, str]]:
    """Numbers of the channel groups with CAN frames in them, and what they are called."""
    for n, group in enumerate(mdf.groups):
        header = group.channel_group
        source = header.acq_source
        if not header.cycles_nr or not header.flags & _BUS_EVENT or source is None or source.bus_type != _BUS_CAN:
            continue
        names = {channel.name for channel in group.channels}
        for name in _KINDS:
            if name in names:
                yield n, name


class _Group:
    """One channel group; holds the piece that is read but not yet taken."""

    def __init__(self, mdf: Any, number: int, name: str, stats: SourceStats) -> None:
        self._mdf = mdf
        self._number = number
        self._name = name
        self._stats = stats
        self._start_us = round(mdf.header.start_time.timestamp() * 1e6)
        self._next = 0
        self._total: int = mdf.groups[number].channel_group.cycles_nr
        self._frames: Any = None

    @property
    def more(self) -> bool:
        return self._next < self._total

    @property
    def left(self) -> int:
        return 0 if self._frames is None else len(self._frames)

    @property
    def last_us(self) -> int:
        return int(self._frames["t_us"][-1])

    def fill(self) -> None:
        """Read the next piece when nothing is left of the last."""
        while not self.left and self.more:
            signal = self._mdf.get(
                self._name, self._number, record_offset=self._next, record_count=RECORDS_AT_ONCE, raw=False
            )
            self._next += RECORDS_AT_ONCE
            self._frames = self._convert(signal)

    def take(self, horizon_us: int | None) -> Any:
        """Frames up to and including the horizon; all of them for None."""
        if self._frames is None:
            return None
        count = self.left if horizon_us is None else int(self._frames["t_us"].searchsorted(horizon_us, side="right"))
        taken, self._frames = self._frames[:count], self._frames[count:]
        return taken

    def _convert(self, signal: Any) -> Any:
        import numpy as np

        samples = signal.samples
        count = len(samples)
        frames = np.zeros(count, dtype=_frame_dtype(np))
        frames["t_us"] = np.rint(signal.timestamps * 1e6).astype(np.int64) + self._start_us
        can_id = self._column(samples, "ID", count).astype(np.int64)
        extended = (self._column(samples, "IDE", count) != 0) | ((can_id & 0x80000000) != 0)
        frames["id"] = can_id & 0x1FFFFFFF
        frames["bus"] = np.clip(self._column(samples, "BusChannel", count) - 1, 0, 255)  # MDF4 counts from 1
        data = _byte_rows(np, self._field(samples, "DataBytes"))
        has_length = data is not None and self._field(samples, "DataLength") is not None
        length = np.clip(self._column(samples, "DataLength" if has_length else "DLC", count), 0, 64)
        if data is not None:
            width = min(64, data.shape[1])
            length = np.minimum(length, width)
            keep = np.arange(width) < length[:, None]
            frames["data"][:, :width] = np.where(keep, data[:, :width], 0)
        frames["len"] = length
        flags = np.full(count, _KINDS[self._name], dtype=np.uint8)
        flags |= np.where(extended | (frames["id"] > 0x7FF), EFF, 0).astype(np.uint8)
        for name, bit in (("EDL", FD), ("BRS", BRS), ("ESI", ESI)):
            flags |= np.where(self._column(samples, name, count) != 0, bit, 0).astype(np.uint8)
        sent = self._sent(samples, count)
        flags |= np.where(sent, TX, 0).astype(np.uint8)
        frames["flags"] = flags
        self._stats.echoes += int(sent.sum())
        self._stats.error_frames += count if self._name == "CAN_ErrorFrame" else 0
        order = np.argsort(frames["t_us"], kind="stable")
        return frames[order]

    def _field(self, samples: Any, name: str) -> Any:
        full = f"{self._name}.{name}"
        return samples[full] if full in (samples.dtype.names or ()) else None

    def _column(self, samples: Any, name: str, count: int) -> Any:
        """A column as integers; zeros where the group has none."""
        import numpy as np

        column = self._field(samples, name)
        if column is None or column.dtype.kind not in "biuf":
            return np.zeros(count, dtype=np.int64)
        return column.astype(np.int64)

    def _sent(self, samples: Any, count: int) -> Any:
        column = self._field(samples, "Dir")
        if column is not None and column.dtype.kind == "S":
            return column == b"Tx"
        return self._column(samples, "Dir", count) != 0


def _byte_rows(np: Any, data: Any) -> Any:
    """Data bytes as rows of u1, None without; ValueError for a shape that is none of the standard's."""
    if data is None or (data.ndim == 2 and data.dtype == np.uint8):
        return data
    if data.ndim == 1 and data.dtype.kind in "SV":
        return np.frombuffer(data.tobytes(), dtype=np.uint8).reshape(len(data), data.dtype.itemsize)
    raise ValueError(f"data bytes of an unknown shape: {data.dtype}, {data.shape}")


def _frame_dtype(np: Any) -> Any:
    """``otr_frame`` as a numpy type (native/include/outrider/types.h)."""
    fields = [("t_us", "=i8"), ("id", "=u4"), ("bus", "u1"), ("flags", "u1"), ("len", "u1"), ("rsv", "u1")]
    return np.dtype([*fields, ("data", "u1", (64,))])


def _joined(np: Any, parts: list[Any]) -> bytearray:
    """Pieces of several groups in one order of time; equal stamps keep the order of the groups."""
    parts = [p for p in parts if p is not None and len(p)]
    if not parts:
        return bytearray()
    frames = parts[0] if len(parts) == 1 else np.concatenate(parts)
    if len(parts) > 1:
        frames = frames[np.argsort(frames["t_us"], kind="stable")]
    return bytearray(frames.tobytes())


def _quieten(err: BaseException) -> None:
    """asammdf's half-made object of a broken file fails when it is destroyed, and Python would print that: it is
    marked as closed."""
    step = err.__traceback__
    while step is not None:
        owner: Any = step.tb_frame.f_locals.get("self")
        if type(owner).__name__ == "MDF4" and not getattr(owner, "_closed", True):
            owner._closed = True
            owner._tempfile.close()
        step = step.tb_next
