"""An inertial sensor behind Linux IIO: buffered scans to samples, live. Owns the device and its thread.

Accelerometer and gyro may be one device or two; the accelerometer sets the pace.
"""

from __future__ import annotations

import logging
import math
import os
import select
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Final

from outrider.errors import ConfigError, InputError
from outrider.model.fix import ImuSample
from outrider.ports import Clock, SourceItem
from outrider.sources.iio_device_io import Channels, IioDevice, IioPlaces
from outrider.sources.iio_time import RatePairing, SampleClock, Vector
from outrider.sources.live_io import BACK_OFF_FIRST_S, BACK_OFF_MAX_S, SILENT_AFTER_US, DeviceThread, LostError

ACCEL: Final = "accel"
GYRO: Final = "anglvel"
G0: Final = 9.80665
WAIT_MS: Final = 200
READ_SCANS: Final = 512
RANGE_TOLERANCE: Final = 0.03
BUFFER_SECONDS: Final = 4.0  # of samples the kernel keeps for a daemon that is late
log = logging.getLogger(__name__)

CLOCKS: Final = {
    "boottime": time.CLOCK_BOOTTIME,
    "monotonic": time.CLOCK_MONOTONIC,
    "monotonic_raw": time.CLOCK_MONOTONIC_RAW,
    "realtime": time.CLOCK_REALTIME,
}


@dataclass(frozen=True, slots=True)
class ImuOptions:
    """device: name (content of its ``name`` file) or ``iio:deviceN``. gyro_device: where it is another one.

    rate_hz, range_g, range_dps: wanted; the sensor's next larger one is taken. watermark_ms: how long samples gather in
    the sensor's FIFO.
    """

    device: str
    gyro_device: str | None = None
    rate_hz: float = 100.0
    range_g: float = 16.0
    range_dps: float = 2000.0
    watermark_ms: int = 50
    places: IioPlaces = field(default_factory=IioPlaces)
    back_off_s: tuple[float, float] = (BACK_OFF_FIRST_S, BACK_OFF_MAX_S)


class IioImuSource(DeviceThread):
    """A ``LiveSource`` of inertial samples."""

    def __init__(self, options: ImuOptions, clock: Clock) -> None:
        super().__init__(f"imu:{options.device}", clock, options.back_off_s)
        self._options = options
        self._last_us = 0

    def _check(self) -> None:
        if not 1 <= self._options.rate_hz <= 10_000:
            raise ConfigError(f"an IMU rate of {self._options.rate_hz:g} Hz is out of range; use 25 to 1600")

    def _session(self) -> None:
        options = self._options
        with ExitStack() as stack:
            main = IioDevice(options.places, options.device)
            kinds = [kind for kind in (ACCEL, GYRO) if main.has(kind)]
            if ACCEL not in kinds:
                raise LostError(f"{main.name} has no accelerometer with a buffer")
            readers = [_Reader(main, kinds, options, self._clock, stack)]
            pairing: RatePairing | None = None
            if options.gyro_device is not None:
                gyro = IioDevice(options.places, options.gyro_device)
                if not gyro.has(GYRO):
                    raise LostError(f"{gyro.name} has no gyro with a buffer")
                readers.append(_Reader(gyro, [GYRO], options, self._clock, stack))
                pairing = RatePairing(wait_us=2000 * options.watermark_ms + round(3e6 / options.rate_hz))
            self._up()
            self._read(readers, pairing)

    def _read(self, readers: Sequence[_Reader], pairing: RatePairing | None) -> None:
        """Scans until told to stop; raises when a device is gone."""
        poll = select.poll()
        for reader in readers:
            poll.register(reader.fd, select.POLLIN)
        heard_us = self._clock.boottime_us()
        silent = False
        while not self._stop.is_set():
            ready = {fd for fd, _events in poll.poll(WAIT_MS)}
            now_us = self._clock.boottime_us()
            for number, reader in enumerate(readers):
                if reader.fd not in ready:
                    continue
                samples = reader.read(now_us)
                if samples:
                    heard_us, silent = now_us, False
                    self._heard(now_us)
                self._take(samples, number == 0, pairing)
            if pairing is not None:
                self._give(pairing.ready(now_us))
                self.stats.unpaired = pairing.unpaired
            if not silent and now_us - heard_us > SILENT_AFTER_US:
                silent = True
                self.stats.silences += 1
            for reader in readers:
                reader.check()
            self.stats.restamped = sum(reader.clock.respread for reader in readers)

    def _take(self, samples: list[ImuSample], main: bool, pairing: RatePairing | None) -> None:
        if pairing is None:
            self._give(samples)
        elif main:
            pairing.accelerations(samples)
        else:
            pairing.rates([(s.t_us, s.gyro) for s in samples if s.gyro is not None])

    def _give(self, samples: Sequence[ImuSample]) -> None:
        rising = []
        for sample in samples:
            if sample.t_us <= self._last_us:
                self.stats.clamped += 1  # the sensor came back with older samples: they would only be dropped later
                continue
            self._last_us = sample.t_us
            rising.append(sample)
        if rising:
            self.stats.samples += len(rising)
            self._hand_over(SourceItem(self._last_us, imu=tuple(rising)))


class _Reader:
    """One device: set up, open, scans to samples with engine times."""

    def __init__(
        self, device: IioDevice, kinds: Sequence[str], options: ImuOptions, clock: Clock, stack: ExitStack
    ) -> None:
        self._device = device
        device.disable()
        rate = min(device.set_rate(kind, options.rate_hz) for kind in kinds)
        wanted = {ACCEL: options.range_g * G0, GYRO: math.radians(options.range_dps)}
        self._channels: dict[str, Channels] = {}
        for kind in kinds:
            try:
                bits, signed = device.element_bits(kind)
            except InputError as err:
                raise LostError(f"{device.name}: {err}") from None
            scale = device.set_range(kind, wanted[kind], bits, signed=signed)
            self._channels[kind] = device.channels(kind, scale)
            _compare(device.name, kind, wanted[kind], scale * (1 << bits - signed))
        self.clock = SampleClock(rate)
        watermark = max(1, round(rate * options.watermark_ms / 1000))
        self._layout = device.enable(kinds, max(round(rate * BUFFER_SECONDS), 4 * watermark), watermark, "boottime")
        stack.callback(self._close)
        self.fd = device.open()
        stack.callback(os.close, self.fd)
        self._to_boot_us = _to_boottime(device, clock)
        self._columns = {element.name: number for number, element in enumerate(self._layout.elements)}
        self._limits = {e.name: e.type.limits for e in self._layout.elements}
        self._rest = b""

    def _close(self) -> None:
        with suppress(LostError):  # it is gone
            self._device.disable()

    def check(self) -> None:
        if not self._device.path.exists():
            raise LostError(f"{self._device.name} is gone")

    def read(self, now_us: int) -> list[ImuSample]:
        """What is there; LostError when the device is gone."""
        try:
            data = os.read(self.fd, READ_SCANS * self._layout.size)
        except BlockingIOError:
            return []
        except OSError as err:
            raise LostError(f"{self._device.node}: {err.strerror}") from None
        if not data:
            raise LostError(f"{self._device.node}: ended")
        data = self._rest + data
        whole = len(data) // self._layout.size * self._layout.size
        self._rest = data[whole:]
        scans = self._layout.decode(data[:whole])
        column = self._columns.get("timestamp")
        stamps = None if column is None else [self._to_boot_us(scan[column] // 1000) for scan in scans]
        times = self.clock.times(stamps, len(scans), now_us)
        return [self._sample(t_us, scan) for t_us, scan in zip(times, scans, strict=True)]

    def _sample(self, t_us: int, scan: tuple[int, ...]) -> ImuSample:
        acc, saturated = (math.nan,) * 3, False
        if ACCEL in self._channels:
            acc, saturated = self._vector(ACCEL, scan)
        gyro = self._vector(GYRO, scan)[0] if GYRO in self._channels else None
        return ImuSample(t_us, acc, gyro, saturated=saturated)

    def _vector(self, kind: str, scan: tuple[int, ...]) -> tuple[Vector, bool]:
        channels = self._channels[kind]
        names = [f"{kind}_{axis}" for axis in "xyz"]
        raw = [scan[self._columns[name]] for name in names]
        saturated = any(value in self._limits[name] for value, name in zip(raw, names, strict=True))
        x, y, z = ((value + channels.offset) * channels.scale for value in raw)
        first, second, third = (row[0] * x + row[1] * y + row[2] * z for row in channels.mount)
        return (first, second, third), saturated


def _compare(name: str, kind: str, wanted: float, actual: float) -> None:
    """The detector is told the range of the configuration: another one must not pass in silence."""
    unit, key = (G0, "range_g") if kind == ACCEL else (math.radians(1), "range_dps")
    if abs(actual / wanted - 1) > RANGE_TOLERANCE:
        log.warning("%s: its full scale is %.4g, not %.4g; write [imu] %s = %.4g",
                    name, actual / unit, wanted / unit, key, actual / unit)  # fmt: skip


def _to_boottime(device: IioDevice, clock: Clock) -> Callable[[int], int]:
    """Stamps of the device's clock, in microseconds, to engine time. The clocks are compared anew each second: the
    wall clock may be set."""
    name = device.text("current_timestamp_clock") or "realtime"
    other = CLOCKS.get(name)
    if name == "boottime":
        return lambda stamp: stamp
    if other is None:
        raise LostError(f"{device.name}: its clock {name!r} cannot be compared with ours; use boottime")
    difference = [0, -1]

    def convert(stamp: int) -> int:
        now = clock.boottime_us()
        if now // 1_000_000 != difference[1]:
            difference[:] = [now - time.clock_gettime_ns(other) // 1000, now // 1_000_000]
        return stamp + difference[0]

    return convert
