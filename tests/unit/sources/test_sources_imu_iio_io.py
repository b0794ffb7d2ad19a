"""The inertial sensor behind IIO, on a folder that looks like sysfs and a real FIFO."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from outrider.clock import SystemClock
from outrider.errors import ConfigError
from outrider.model.fix import ImuSample
from outrider.ports import SourceItem
from outrider.sources.iio_device_io import _nearest_above
from outrider.sources.imu_iio_io import IioImuSource, ImuOptions
from tests.support.iio import ACC_SCALES, G0, FakeIio


@pytest.fixture
def iio(tmp_path: Path) -> Iterator[FakeIio]:
    with FakeIio(tmp_path) as fake:
        yield fake


class Heard:
    """What the source delivered."""

    def __init__(self) -> None:
        self._items: queue.Queue[SourceItem] = queue.Queue()

    def __call__(self, item: SourceItem) -> None:
        self._items.put(item)

    def samples(self, count: int) -> list[ImuSample]:
        out: list[ImuSample] = []
        while len(out) < count:
            item = self._items.get(timeout=60)
            assert item.imu is not None
            assert item.watermark_us == item.imu[-1].t_us
            out += item.imu
        return out


@contextmanager
def running(iio: FakeIio, **options: Any) -> Iterator[tuple[IioImuSource, Heard]]:
    source = IioImuSource(ImuOptions(places=iio.places, back_off_s=(0.01, 0.02), **options), SystemClock())
    heard = Heard()
    source.start(heard)
    try:
        yield source, heard
    finally:
        source.stop()


def until(source: IioImuSource, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The state once it is so."""
    for _attempt in range(6000):
        state = source.state()
        if condition(state):
            return state
        time.sleep(0.01)
    raise AssertionError(source.state())


def now_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def test_a_sensor_is_set_up_and_read(iio: FakeIio) -> None:
    """Range, rate, clock, buffer as asked for; SI units, the sensor's own time, saturation seen by the raw value."""
    path = iio.add("lsm6dso")
    with running(iio, device="lsm6dso", rate_hz=100, range_g=16) as (source, heard):
        until(source, lambda s: s["state"] == "up")
        assert (path / "sampling_frequency").read_text() == "104"
        assert (path / "in_accel_scale").read_text() == f"{ACC_SCALES[16]:.6f}"
        assert (path / "current_timestamp_clock").read_text() == "boottime"
        assert (path / "buffer/enable").read_text() == "1"
        assert (path / "buffer/watermark").read_text() == "5"
        assert {p.read_text() for p in (path / "scan_elements").glob("*_en")} == {"1"}
        t = now_ns()
        up = round(G0 / ACC_SCALES[16])
        iio.write("lsm6dso", [((0, 0, up, 100, 0, -100), t), ((32767, 0, up, 0, 0, 0), t + 9_600_000)])
        first, second = heard.samples(2)
    assert first.t_us == t // 1000
    assert first.acc == pytest.approx((0, 0, G0), abs=0.003)
    assert first.gyro == pytest.approx((0.1065, 0, -0.1065))
    assert (first.saturated, second.saturated) == (False, True)
    assert second.t_us - first.t_us == 9600
    assert (path / "buffer/enable").read_text() == "0"  # given back


@pytest.mark.parametrize(
    ("shelf", "least", "chosen"),
    [
        ("26 52 104", 60.0, "104"),
        ("26 52 104", 500.0, "104"),
        ("[5 5 1000]", 52.0, "55"),
        ("[5 5 1000]", 1e6, "1000"),
        ("[0.00001 0.00001 0.01]", 0.0000523, "0.00006"),
        ("[5 0 1000]", 52.0, "5"),
        ("[5 1000]", 52.0, "1000"),
        ("", 52.0, "26"),
        ("none of these", 52.0, "26"),
    ],
)
def test_what_a_sensor_offers_is_chosen_from(shelf: str, least: float, chosen: str) -> None:
    """A list or a range of the kernel, in numbers that the kernel reads; what is neither leaves things as they are."""
    assert _nearest_above(shelf, least, "26") == chosen


def test_scans_cut_anywhere_are_put_together(iio: FakeIio) -> None:
    """A read need not end at a scan."""
    iio.add("imu", timestamp=False)
    scan = b"".join(n.to_bytes(2, "little") for n in (1, 2, 3, 4, 5, 6))
    with running(iio, device="imu", range_g=16) as (source, heard):
        until(source, lambda s: s["state"] == "up")
        for part in (scan[:5], scan[5:] + scan[:1], scan[1:]):
            iio.write_bytes("imu", part)
        samples = heard.samples(2)
    assert [s.acc[2] for s in samples] == pytest.approx([3 * ACC_SCALES[16]] * 2)
    assert samples[0].t_us < samples[1].t_us


def test_two_devices_are_paired(iio: FakeIio) -> None:
    """Accelerometer and gyro as two devices, as many drivers show them."""
    iio.add("s_accel", ["accel"])
    iio.add("s_gyro", ["anglvel"])
    with running(iio, device="s_accel", gyro_device="s_gyro", range_g=16) as (source, heard):
        until(source, lambda s: s["state"] == "up")
        t = now_ns()
        iio.write("s_gyro", [((0, 0, 1000), t - 5_000_000), ((0, 0, 2000), t + 5_000_000)])
        iio.write("s_accel", [((0, 0, 2049), t)])
        (sample,) = heard.samples(1)
    assert sample.gyro == pytest.approx((0, 0, 1500 * 0.001065))


def test_the_mount_matrix_of_the_board_is_applied(iio: FakeIio) -> None:
    """A sensor soldered in another direction than its driver's axes."""
    path = iio.add("imu")
    (path / "in_accel_mount_matrix").write_text("0, 1, 0; -1, 0, 0; 0, 0, 1\n")
    with running(iio, device="imu", range_g=16) as (source, heard):
        until(source, lambda s: s["state"] == "up")
        iio.write("imu", [((100, 200, 300, 0, 0, 0), now_ns())])
        (sample,) = heard.samples(1)
    assert sample.acc == pytest.approx([n * ACC_SCALES[16] for n in (200, -100, 300)])


def test_a_clock_that_cannot_be_chosen_is_converted(iio: FakeIio) -> None:
    """An old kernel stamps with the wall clock."""
    path = iio.add("imu", clock=None)
    assert not (path / "current_timestamp_clock").exists()
    with running(iio, device="imu", range_g=16) as (source, heard):
        until(source, lambda s: s["state"] == "up")
        iio.write("imu", [((0, 0, 2049, 0, 0, 0), time.time_ns())])
        (sample,) = heard.samples(1)
        assert abs(sample.t_us - now_ns() // 1000) < 20_000_000
    assert source.stats.restamped == 0


def test_a_larger_range_than_asked_for_is_said(iio: FakeIio, caplog: pytest.LogCaptureFixture) -> None:
    """The detector is told the configured range; the log says what to write."""
    iio.add("imu")
    caplog.set_level(logging.WARNING)
    with running(iio, device="imu", range_g=6) as (source, _heard):
        until(source, lambda s: s["state"] == "up")
    assert "its full scale is 7.996, not 6; write [imu] range_g = 7.996" in caplog.text


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda p: (p / "name").write_text("other"), "no IIO device is called 'imu'; there are other"),
        (lambda p: (p / "scan_elements/in_accel_x_type").write_text("le:s16"), "no type of a scan element"),
        (lambda p: (p / "scan_elements/in_accel_y_index").write_text("?"), "in_accel_y_index holds no number"),
        (lambda p: (p / "in_accel_scale").unlink() or (p / "in_accel_scale_available").unlink(), "holds no number"),
        (lambda p: (p / "in_mount_matrix").write_text("1, 2; 3"), "its mount matrix '1, 2; 3' is none"),
        (lambda p: (p / "scan_elements/in_accel_z_en").unlink(), "no accelerometer with a buffer"),
    ],
)
def test_what_is_wrong_is_said_and_tried_again(iio: FakeIio, spoil: Callable[[Path], object], words: str) -> None:
    """A sensor that cannot be used is down with the reason, not the end of the daemon."""
    spoil(iio.add("imu"))
    with running(iio, device="imu") as (source, _heard):
        state = until(source, lambda s: s["state"] == "down" and s["failures"] > 1)
    assert words in state["error"]


def test_a_sensor_without_a_trigger_says_what_to_do(iio: FakeIio) -> None:
    """The most usual trap of buffered IIO."""
    path = iio.add("imu")
    (path / "buffer/hwfifo_enabled").unlink()
    (path / "trigger").mkdir()
    (path / "trigger/current_trigger").write_text("\n")
    with running(iio, device="imu") as (source, heard):
        state = until(source, lambda s: s["state"] == "down")
        assert "needs a trigger and has none" in state["error"]
        (path / "trigger/current_trigger").write_text("hr0\n")
        until(source, lambda s: s["state"] == "up")
        iio.write("imu", [((0, 0, 2049, 0, 0, 0), now_ns())])
        assert len(heard.samples(1)) == 1


def test_an_impossible_rate_is_refused_at_the_start(iio: FakeIio) -> None:
    """It can never work."""
    with pytest.raises(ConfigError, match="0 Hz is out of range"):
        IioImuSource(ImuOptions("imu", rate_hz=0, places=iio.places), SystemClock()).start(Heard())


def test_no_rates_are_no_zeros(iio: FakeIio) -> None:
    """A device without a gyro has samples without rates."""
    iio.add("imu", ["accel"])
    with running(iio, device="imu", range_g=16) as (source, heard):
        until(source, lambda s: s["state"] == "up")
        iio.write("imu", [((0, 0, 2049), now_ns())])
        assert heard.samples(1)[0].gyro is None
