"""Recordings of a folder, found by their content. Reads only; a damaged file is named and left out.

``FolderRecordings`` is ``Recordings`` over files. Crash windows are read one at a time, the rest is kept once read.
"""

from __future__ import annotations

import csv
import json
import warnings
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from outrider.errors import InputError
from outrider.evaluate import layouts as lo
from outrider.evaluate import samples as sm
from outrider.evaluate.canmod import drive_of
from outrider.evaluate.layouts import Layout
from outrider.evaluate.recordings import (
    CrashTest,
    Drive,
    EdrPulse,
    Manoeuvre,
    MissingError,
    ObdLog,
    Stretch,
    Trip,
    Window,
)
from outrider.evaluate.samples import Array
from outrider.files_io import read_file

T = TypeVar("T")
ReadFrames = Callable[[Path], bytes]

_CLASSES = {"freada": "brake", "aceleracao": "accel", "curva": "corner", "troca": "lane", "evento": "calm"}
_LARGE_BYTES = 256 * 1024 * 1024


class FolderRecordings:
    """What lies in ``folder``. ``read_frames``: a bus log as raw frames. ``left_out``: file and reason, once read."""

    def __init__(self, folder: Path, read_frames: ReadFrames) -> None:
        self.folder = folder
        self.left_out: dict[str, str] = {}
        self._read_frames = read_frames
        if not folder.is_dir():
            raise MissingError("no such folder of recordings", path=folder)

    @cached_property
    def files(self) -> dict[str, list[Path]]:
        """Paths by the key of their layout, in order of their names."""
        found: dict[str, list[Path]] = {layout.key: [] for layout in lo.LAYOUTS}
        for path in sorted(self.folder.rglob("*")):
            layout = self._layout(path)
            if layout is not None:
                found[layout.key].append(path)
        return found

    def windows(self) -> Iterator[Window]:
        return self._each(lo.WINDOWS, _window)

    def drives(self) -> list[Drive]:
        return self._drives

    def pulses(self) -> list[EdrPulse]:
        return self._pulses

    def crash_tests(self) -> list[CrashTest]:
        return self._crash_tests

    def stretches(self) -> list[Stretch]:
        return self._stretches

    def trips(self) -> list[Trip]:
        return self._trips

    def obd_logs(self) -> list[ObdLog]:
        return self._obd_logs

    # -- each kind, read once -------------------------------------------------------------------------

    @cached_property
    def _drives(self) -> list[Drive]:
        return self._all(lo.DRIVES, self._drive)

    @cached_property
    def _pulses(self) -> list[EdrPulse]:
        return self._all(lo.PULSES, _pulse)

    @cached_property
    def _crash_tests(self) -> list[CrashTest]:
        return self._all(lo.CRASH_TESTS, _crash_test)

    @cached_property
    def _stretches(self) -> list[Stretch]:
        return self._all(lo.STRETCHES, _stretch)

    @cached_property
    def _trips(self) -> list[Trip]:
        return self._all(lo.TRIPS, _trip)

    @cached_property
    def _obd_logs(self) -> list[ObdLog]:
        return self._all(lo.OBD_LOGS, _obd_log)

    # -- files ------------------------------------------------------------------------------------------

    def _layout(self, path: Path) -> Layout | None:
        if not path.is_file():
            return None
        try:
            with path.open("rb") as file:
                return lo.layout_of(path, file.read(lo.HEAD_BYTES))
        except OSError as err:
            self.left_out[self._short(path)] = err.strerror or str(err)
            return None

    def _all(self, layout: Layout, load: Callable[[Path], T | None]) -> list[T]:
        found = list(self._each(layout, load))
        if not found:
            raise self._missing(layout)
        return found

    def _each(self, layout: Layout, load: Callable[[Path], T | None]) -> Iterator[T]:
        """What can be read, one at a time; MissingError when there is no file at all."""
        if not self.files[layout.key]:
            raise self._missing(layout)
        for path in self.files[layout.key]:
            try:
                item = load(path)
            except (OSError, ValueError, KeyError, TypeError, IndexError, InputError) as err:
                self.left_out[self._short(path)] = _reason(err)
                continue
            if item is not None:
                yield item

    def _missing(self, layout: Layout) -> MissingError:
        return MissingError(f"no {layout.title} ({layout.what})", path=self.folder)

    def _short(self, path: Path) -> str:
        return str(path.relative_to(self.folder))

    def _drive(self, path: Path) -> Drive | None:
        """None for the log of a bus without a CANmod.gps: other rows of other tools may want it."""
        return drive_of(self._read_frames(path), path.stem, self._short(path.parent))


def _reason(err: Exception) -> str:
    if isinstance(err, InputError):
        return str(err)
    if isinstance(err, KeyError):
        return f"has no {err}"
    return f"damaged: {err}" if not isinstance(err, OSError) else err.strerror or str(err)


def _json(path: Path) -> Any:
    return json.loads(read_file(path))


def _window(path: Path) -> Window:
    record = _json(path)
    channels = record["channels"]
    rate = float(channels["accel_x"]["sr_hz"])
    acc = _axes(channels, "accel")
    gyro = np.radians(_axes(channels, "gyro")[: len(acc)]) if "gyro_x" in channels else None
    t = np.arange(len(acc)) / rate
    parts = [sm.make_imu(t, acc * sm.G, gyro)]
    speed = next((channels[name] for name in channels if "speed" in name), None)
    if speed is not None:
        v = np.asarray(speed["v"], dtype=float)
        good = np.isfinite(v)
        parts.append(sm.make_gnss(np.arange(len(v))[good] / float(speed["sr_hz"]), v[good] / 3.6))
    if not isinstance(record["label"], str) or not rate > 0 or not len(acc):
        raise ValueError("no label, no rate or no samples")
    return Window(path.stem, record["label"], acc, rate, sm.merge(*parts))


def _axes(channels: dict[str, Any], kind: str) -> Array:
    return np.stack([np.asarray(channels[f"{kind}_{axis}"]["v"], dtype=float) for axis in "xyz"], axis=1)


def _pulse(path: Path) -> EdrPulse:
    channels = _json(path)["channels"]
    along = next((channel for name, channel in channels.items() if name.startswith("delta_v_long")), None)
    across = next((channel for name, channel in channels.items() if name.startswith("delta_v_lat")), None)
    (tx, x), (ty, y) = _curve(along), _curve(across)
    t = np.unique(np.concatenate([[0.0], tx, ty]))
    # the recorder's y axis is to the right (SAE J1733); ours to the left
    return EdrPulse(path.stem, t, np.column_stack([np.interp(t, tx, x), -np.interp(t, ty, y)]))


def _curve(channel: dict[str, Any] | None) -> tuple[Array, Array]:
    """Times [s] and values from zero on, without what the recorder did not know."""
    if channel is None:
        return np.array([0.0, 0.3]), np.array([0.0, 0.0])
    v, t = np.asarray(channel["v"], dtype=float), np.asarray(channel["t"], dtype=float)
    good = np.isfinite(v) & (t >= 0)
    if t[good][0] > 0:
        return np.append(0.0, t[good]), np.append(0.0, v[good])
    return t[good], v[good]


def _table(path: Path, **options: Any) -> Array:
    """Numbers of a text file; ValueError for a file without any."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # numpy warns of an empty file; its emptiness is told below
        table = np.loadtxt(path, ndmin=2, **options)
    if not table.size:
        raise ValueError("no numbers in it")
    return np.asarray(table)


def _crash_test(path: Path) -> CrashTest:
    table = _table(path)
    if len(table) < 2 or not (np.diff(table[:, 0]) > 0).all():
        raise ValueError("time does not rise")
    return CrashTest(path.stem, path.suffix[1:], table[:, 0], table[:, 1])


def _stretch(path: Path) -> Stretch:
    return Stretch(path.stem, path.parent.name, _table(path, skiprows=1)[:, 0])


def _obd_log(path: Path) -> ObdLog | None:
    """The file's time is whole seconds; its rows are spread evenly over them."""
    with path.open(encoding="utf-8", newline="") as file:
        names = [name.split("(")[0].strip() for name in next(csv.reader(file))]
    columns = [names.index(name) for name in ("ENGINE_RUN_TINE", "VEHICLE_SPEED", "ENGINE_RPM")]
    table = _table(path, delimiter=",", skiprows=1, usecols=columns)
    if len(table) < 2 or not table[-1, 0] > 0:
        return None
    return ObdLog(path.stem, np.linspace(0, table[-1, 0], len(table)), table[:, 1] / 3.6, table[:, 2])


def _trip(path: Path) -> Trip:
    folder = path.parent
    acc, gyro = (_motion(folder / name) for name in lo.TRIP_FILES[1:])
    t = (acc[:, 0] - acc[0, 0]) * 1e-9
    at = (gyro[:, 0] - acc[0, 0]) * 1e-9
    rates = np.stack([np.interp(t, at, gyro[:, axis]) for axis in (1, 2, 3)], axis=1)
    return Trip(folder.name, t, acc[:, 1:], sm.make_imu(t, acc[:, 1:], rates), _manoeuvres(path))


def _motion(path: Path) -> Array:
    """Columns uptimeNanos, x, y, z in order of time."""
    table = _table(path, delimiter=",", skiprows=1, usecols=(1, 2, 3, 4))
    return np.asarray(table[np.argsort(table[:, 0], kind="stable")])


def _manoeuvres(path: Path) -> list[Manoeuvre]:
    out = []
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.reader(file), 1):
            if number == 1 or not row:
                continue
            kind = _CLASSES.get(row[0].split("_")[0])
            if kind is None or len(row) != 3:
                raise InputError(f"{row[0]!r} is none of {', '.join(_CLASSES)}", path=path, line=number)
            out.append(Manoeuvre(kind, float(row[1]), float(row[2])))
    return out
