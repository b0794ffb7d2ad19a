"""A folder that looks like the sysfs of IIO, and a FIFO where the kernel has a character device."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from outrider.sources.iio_device_io import IioPlaces

G0 = 9.80665
ACC_SCALES = {2: 0.000598, 4: 0.001196, 8: 0.002393, 16: 0.004785}  # m/s2 a step of 16 bits


class FakeIio:
    """Devices under ``root``; ``write`` puts scans into the FIFO of the last one made."""

    def __init__(self, root: Path) -> None:
        self.places = IioPlaces(root / "sysfs", root / "dev")
        self.places.sysfs.mkdir(parents=True)
        self.places.dev.mkdir()
        self._fds: dict[str, int] = {}

    def add(
        self,
        name: str,
        kinds: Sequence[str] = ("accel", "anglvel"),
        *,
        timestamp: bool = True,
        type_: str = "le:s16/16>>0",
        clock: str | None = "realtime",
    ) -> Path:
        """A device; its folder."""
        number = len(list(self.places.sysfs.iterdir()))
        path = self.places.sysfs / f"iio:device{number}"
        for folder in ("scan_elements", "buffer"):
            (path / folder).mkdir(parents=True)
        files = {
            "name": name,
            "sampling_frequency": "52",
            "sampling_frequency_available": "26 52 104 208 416 833 1666",
            "buffer/enable": "0",
            "buffer/length": "0",
            "buffer/watermark": "1",
            "buffer/hwfifo_enabled": "1",
        }
        if clock is not None:
            files["current_timestamp_clock"] = clock
        if "accel" in kinds:
            files["in_accel_scale"] = f"{ACC_SCALES[2]:.6f}"
            files["in_accel_scale_available"] = " ".join(f"{scale:.6f}" for scale in ACC_SCALES.values())
        if "anglvel" in kinds:
            files["in_anglvel_scale"] = "0.001065"
            files["in_anglvel_scale_available"] = "0.000133 0.000266 0.000533 0.001065"
        channels = [f"{kind}_{axis}" for kind in kinds for axis in "xyz"]
        for index, channel in enumerate([*channels, "timestamp"] if timestamp else channels):
            base = f"scan_elements/in_{channel}"
            files |= {
                f"{base}_en": "0",
                f"{base}_index": str(index),
                f"{base}_type": "le:s64/64>>0" if channel == "timestamp" else type_,
            }
        for file, text in files.items():
            (path / file).write_text(text + "\n", encoding="ascii")
        fifo = self.places.dev / path.name
        os.mkfifo(fifo)
        self._fds[name] = os.open(fifo, os.O_RDWR)  # so that there is always a writer, as with a device
        return path

    def write(self, name: str, scans: Iterable[tuple[Sequence[int], int]]) -> None:
        """(raw values of 16 bits, stamp in ns) each; six axes leave four bytes free before the stamp."""
        for values, stamp in scans:
            packed = struct.pack(f"<{len(values)}h", *values)
            os.write(self._fds[name], packed.ljust(-(-len(packed) // 8) * 8, b"\xaa") + struct.pack("<q", stamp))

    def write_bytes(self, name: str, data: bytes) -> None:
        os.write(self._fds[name], data)

    def close(self) -> None:
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()
