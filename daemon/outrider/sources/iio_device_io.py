"""One IIO device: found, set up and opened through sysfs. Nothing is written that already holds the wanted value.

``IioPlaces`` names the two folders, so that a folder that looks like sysfs and a FIFO instead of the character device
take the place of a kernel in tests.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from outrider.errors import InputError
from outrider.sources.iio_scan import ScanElement, ScanLayout, parse_type
from outrider.sources.live_io import LostError

AXES: Final = ("x", "y", "z")
IDENTITY: Final = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
Matrix = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]


@dataclass(frozen=True, slots=True)
class IioPlaces:
    """Where the kernel shows IIO devices."""

    sysfs: Path = Path("/sys/bus/iio/devices")
    dev: Path = Path("/dev")


@dataclass(frozen=True, slots=True)
class Channels:
    """What one kind of sensor (``accel``, ``anglvel``) of a device gives. scale: SI unit of a raw step."""

    kind: str
    scale: float
    offset: float
    mount: Matrix


class IioDevice:
    """A device by its name (``lsm6dso_accel``) or its folder (``iio:device0``). LostError when there is none."""

    def __init__(self, places: IioPlaces, wanted: str) -> None:
        self.path = _find(places.sysfs, wanted)
        self.node = places.dev / self.path.name
        self.name = self.text("name") or self.path.name

    def text(self, attribute: str) -> str | None:
        """Content of an attribute, None where the device has no such."""
        try:
            return (self.path / attribute).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return None

    def number(self, *attributes: str) -> float | None:
        """Of the first attribute that holds one."""
        for attribute in attributes:
            with suppress(ValueError, TypeError):
                return float(self.text(attribute) or "")
        return None

    def set(self, attribute: str, value: str) -> None:
        """LostError says what must be allowed when it is refused."""
        if self.text(attribute) == value:
            return
        try:
            (self.path / attribute).write_text(value, encoding="ascii")
        except OSError as err:
            raise LostError(
                f"{self.path / attribute} cannot be set to {value}: {err.strerror}; give the daemon's group the right "
                "by a udev rule, or set it before (docs/reference/sources.md)"
            ) from None

    def has(self, kind: str) -> bool:
        return all((self.path / "scan_elements" / f"in_{kind}_{axis}_en").exists() for axis in AXES)

    # -- setting it up -------------------------------------------------------------------------------

    def set_rate(self, kind: str, rate_hz: float) -> float:
        """The least rate the device has at or above the wanted one, else its greatest; what it then says it is."""
        name = next((n for n in (f"in_{kind}_sampling_frequency", "sampling_frequency") if self.text(n)), None)
        if name is None:
            return rate_hz  # a trigger's matter
        shelf = self.text(f"{name}_available") or self.text("sampling_frequency_available") or ""
        self.set(name, _nearest_above(shelf, rate_hz, self.text(name) or ""))
        return self.number(name) or rate_hz

    def set_range(self, kind: str, least: float, bits: int, *, signed: bool = True) -> float:
        """Least full scale at or above ``least`` (SI), by choosing the scale; returns the scale."""
        steps = float(1 << bits - 1) if signed else float(1 << bits)
        attribute = f"in_{kind}_scale"
        shelf = self.text(f"{attribute}_available")
        if shelf is not None:
            self.set(attribute, _nearest_above(shelf, least / steps * (1 - 1e-3), self.text(attribute) or ""))
        scale = self.number(attribute, f"in_{kind}_x_scale")
        if scale is None or scale <= 0:
            raise LostError(f"{self.name}: {attribute} holds no number")
        return scale

    def channels(self, kind: str, scale: float) -> Channels:
        offset = self.number(f"in_{kind}_offset", f"in_{kind}_x_offset") or 0.0
        text = self.text(f"in_{kind}_mount_matrix") or self.text("in_mount_matrix") or self.text("mount_matrix")
        return Channels(kind, scale, offset, _matrix(text, self.name))

    def element_bits(self, kind: str) -> tuple[int, bool]:
        """Bits of an axis and whether they are signed."""
        kind_of_x = parse_type(self.text(f"scan_elements/in_{kind}_x_type") or "")
        return kind_of_x.bits, kind_of_x.signed

    def enable(self, kinds: Sequence[str], length: int, watermark: int, clock: str) -> ScanLayout:
        """Choose channels, set the buffer, start it; the layout of its scans."""
        self.disable()
        for enable in sorted((self.path / "scan_elements").glob("in_*_en")):
            name = enable.name.removeprefix("in_").removesuffix("_en")
            wanted = name == "timestamp" or any(name == f"{kind}_{axis}" for kind in kinds for axis in AXES)
            self.set(f"scan_elements/{enable.name}", "1" if wanted else "0")
        if self.text("current_timestamp_clock") is not None:
            self.set("current_timestamp_clock", clock)
        self.set("buffer/length", str(length))
        if self.text("buffer/watermark") is not None:
            self.set("buffer/watermark", str(watermark))
        if self.text("trigger/current_trigger") == "" and self.text("buffer/hwfifo_enabled") is None:
            raise LostError(
                f"{self.name}: its buffer needs a trigger and has none; make one (hrtimer) and write its name to "
                f"{self.path / 'trigger/current_trigger'} (docs/reference/sources.md)"
            )
        layout = ScanLayout(self._elements())
        self.set("buffer/enable", "1")
        return layout

    def disable(self) -> None:
        if self.text("buffer/enable") == "1":
            self.set("buffer/enable", "0")

    def open(self) -> int:
        """A descriptor of the buffer, not blocking."""
        try:
            return os.open(self.node, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as err:
            raise LostError(f"{self.node}: {err.strerror}") from None

    def _elements(self) -> list[ScanElement]:
        found = []
        for enable in (self.path / "scan_elements").glob("in_*_en"):
            base = enable.name.removesuffix("_en")
            if self.text(f"scan_elements/{enable.name}") != "1":
                continue
            index = self.number(f"scan_elements/{base}_index")
            if index is None:
                raise LostError(f"{self.name}: scan_elements/{base}_index holds no number")
            try:
                kind = parse_type(self.text(f"scan_elements/{base}_type") or "")
            except InputError as err:
                raise LostError(f"{self.name}: {base}: {err}") from None
            found.append(ScanElement(base.removeprefix("in_"), int(index), kind))
        return found


def _find(sysfs: Path, wanted: str) -> Path:
    if (sysfs / wanted).is_dir() and wanted.startswith("iio:device"):
        return sysfs / wanted
    named = []
    for path in sorted(sysfs.glob("iio:device*")):
        with suppress(OSError):
            name = (path / "name").read_text(encoding="utf-8", errors="replace").strip()
            if name == wanted:
                return path
            named.append(name)
    there = f"there are {', '.join(named)}" if named else "there is none at all: no driver has bound to a sensor"
    raise LostError(f"no IIO device is called {wanted!r}; {there}")


def _nearest_above(shelf: str, least: float, now: str) -> str:
    """Text of the least value of ``shelf`` (a list or ``[min step max]``) not below ``least``, else of the greatest."""
    choice = []
    for text in shelf.strip("[]").split():
        with suppress(ValueError):
            choice.append((float(text), text))
    if shelf.startswith("[") and len(choice) == 3:
        low, step, high = (value for value, _text in choice)
        steps = max(0.0, -(-(least - low) // step)) if step > 0 else 0.0
        return _decimal(min(high, low + steps * step))
    if not choice:
        return now or _decimal(least)
    above = [entry for entry in choice if entry[0] >= least]
    return min(above)[1] if above else max(choice)[1]


def _decimal(value: float) -> str:
    """As the kernel reads numbers: without an exponent, at most nine places."""
    return f"{value:.9f}".rstrip("0").rstrip(".")


def _matrix(text: str | None, name: str) -> Matrix:
    """``1, 0, 0; 0, 1, 0; 0, 0, 1``; the identity where there is none."""
    if not text:
        return IDENTITY
    try:
        rows = [[float(cell) for cell in row.split(",")] for row in text.split(";")]
        (a, b, c), (d, e, f), (g, h, i) = rows
    except ValueError:
        raise LostError(f"{name}: its mount matrix {text[:80]!r} is none") from None
    return ((a, b, c), (d, e, f), (g, h, i))
