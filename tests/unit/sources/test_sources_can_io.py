"""The live bus: batches, states, back-off, with a scripted bus in place of python-can's."""

from __future__ import annotations

import queue
import threading
from typing import Any

import can
import pytest

from outrider.clock import ManualClock
from outrider.errors import ConfigError
from outrider.model.frame import EFF, ERR, FRAME, TX, FrameBatch
from outrider.ports import SourceItem
from outrider.sources.can_io import (
    MAX_BATCH_FRAMES,
    MAX_BATCH_US,
    BatchQueue,
    CanOptions,
    CanSource,
    bus_arguments,
)

WAIT_S = 30.0
FAST = (0.001, 0.002)


class ScriptedBus:
    """Gives what the script says: a message, None, or an exception; then waits until the source is stopped."""

    def __init__(self, clock: ManualClock, script: list[Any]) -> None:
        self._clock = clock
        self._script = script
        self.done = threading.Event()
        self.closed = False
        self.timeouts: list[float] = []

    def recv(self, timeout: float) -> can.Message | None:
        self.timeouts.append(timeout)
        if not self._script:
            self.done.set()
            self._clock.advance(timeout)
            threading.Event().wait(0.001)  # a bus with nothing to say gives up the processor
            return None
        step = self._script.pop(0)
        if isinstance(step, Exception):
            raise step
        if step is None:
            self._clock.advance(timeout)
            return None
        self._clock.advance(0.0001)
        assert isinstance(step, can.Message)
        step.timestamp = self._clock.utc_us() / 1e6
        return step

    def shutdown(self) -> None:
        self.closed = True


def message(n: int, **changes: Any) -> can.Message:
    return can.Message(**{"arbitration_id": n, "is_extended_id": False, "data": b"\1"} | changes)


class Bench:
    """A source on scripted buses, one for each time it opens."""

    def __init__(self, *scripts: list[Any] | Exception) -> None:
        self.clock = ManualClock(boottime_us=10_000_000)
        self.scripts = list(scripts)
        self.buses: list[ScriptedBus] = []
        self.items: queue.Queue[SourceItem] = queue.Queue()
        options = CanOptions("virtual", "x", bus=3, back_off_s=FAST)
        self.source = CanSource(options, self.clock, opener=self.open)

    def open(self, _options: CanOptions) -> Any:
        script = self.scripts.pop(0) if self.scripts else []
        if isinstance(script, Exception):
            raise script
        self.buses.append(ScriptedBus(self.clock, script))
        return self.buses[-1]

    def frames(self, count: int) -> list[tuple[int, int, int, int]]:
        """(t_us, id, bus, flags) of the next ``count`` frames."""
        got: list[tuple[int, int, int, int]] = []
        while len(got) < count:
            batch = self.items.get(timeout=WAIT_S).frames
            assert batch is not None
            got += [f[:4] for f in FRAME.iter_unpack(batch.buffer)]
        return got

    def __enter__(self) -> Bench:
        self.source.start(self.items.put)
        return self

    def __exit__(self, *_: object) -> None:
        self.source.stop()
        assert all(bus.closed for bus in self.buses)


def test_messages_become_batches_with_engine_time() -> None:
    """Stamped with CLOCK_BOOTTIME, numbered, flagged, in order."""
    script = [message(1), message(2, is_rx=False), message(3, is_extended_id=True), message(4, is_error_frame=True)]
    with Bench(script) as bench:
        got = bench.frames(4)
        state = bench.source.state()
    assert [f[1:] for f in got] == [(1, 3, 0), (2, 3, TX), (3, 3, EFF), (4, 3, ERR)]
    assert [f[0] for f in got] == [pytest.approx(10_000_100 + n * 100, abs=2) for n in range(4)]
    assert (state["frames"], state["echoes"], state["error_frames"]) == (4, 1, 1)


def test_a_batch_is_bounded_in_frames_and_in_time() -> None:
    """512 frames, or 20 ms, whichever comes first."""
    with Bench([message(n % 0x700) for n in range(MAX_BATCH_FRAMES + 50)]) as bench:
        sizes, spans = [], []
        while sum(sizes) < MAX_BATCH_FRAMES + 50:
            batch = bench.items.get(timeout=WAIT_S).frames
            assert batch is not None
            sizes.append(len(batch))
            spans.append(batch.last_t_us() - batch.t_us_at(0))
    assert max(sizes) <= MAX_BATCH_FRAMES
    assert max(spans) <= MAX_BATCH_US
    assert len(sizes) >= 3  # 0.1 ms a frame: 20 ms come first


def test_a_bus_that_fails_is_opened_again() -> None:
    """The thread survives, the failure is counted and told, and frames come from the next bus."""
    with Bench([message(1), can.CanOperationError("gone")], [message(2)]) as bench:
        assert [f[1] for f in bench.frames(2)] == [1, 2]
        state = bench.source.state()
    assert (state["opened"], state["failures"]) == (2, 1)
    assert bench.buses[0].closed


def test_what_a_driver_raises_never_ends_the_source() -> None:
    """Opening may fail in any way, for as long as it likes."""
    faults = [can.CanInitializationError("no such device"), OSError(19, "No such device"), TypeError("what?")]
    with Bench(*faults, [message(7)]) as bench:
        assert bench.frames(1)[0][1] == 7
        assert bench.source.state()["failures"] == 3


def test_a_bus_that_is_not_there_says_why() -> None:
    """State and error text while it waits."""
    bench = Bench(*[can.CanInitializationError("no such device")] * 10_000)
    with bench:
        while bench.source.stats.failures < 3:
            bench.source._stop.wait(0.001)
        state = bench.source.state()
    assert (state["name"], state["state"], state["error"]) == ("virtual:x", "down", "no such device")
    assert bench.source.state()["state"] == "stopped"


def test_bus_off_is_counted() -> None:
    """An error frame of class bus-off (linux/can/error.h)."""
    with Bench([message(0x40, is_error_frame=True), message(1)]) as bench:
        bench.frames(2)
        assert bench.source.state()["bus_off"] == 1


def test_a_frame_that_cannot_be_is_counted() -> None:
    """A driver that hands out nonsense costs nothing but a count."""
    with Bench([message(1, data=bytes(70)), message(2)]) as bench:
        assert bench.frames(1)[0][1] == 2
        assert bench.source.state()["malformed"] == 1


def test_a_receiver_that_raises_does_not_silence_the_bus(caplog: pytest.LogCaptureFixture) -> None:
    """Delivery failures are logged once and counted; later batches still arrive."""
    bench = Bench([message(1), *[None] * 3, message(2)])
    calls = 0

    def deliver(item: SourceItem) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("inbox on fire")
        bench.items.put(item)

    bench.source.start(deliver)
    assert bench.frames(1)[0][1] == 2
    bench.source.stop()
    assert bench.source.stats.delivery_errors == 1
    assert "inbox on fire" in caplog.text


def test_a_silent_bus_is_up_and_says_silent() -> None:
    """A parked car is no failure; five seconds without a frame are told."""
    with Bench([message(1)]) as bench:
        bench.frames(1)
        assert bench.buses[0].done.wait(WAIT_S)
        while bench.source.state()["state"] != "silent":
            bench.source._stop.wait(0.001)
        assert bench.source.stats.failures == 0


def test_a_full_queue_drops_the_oldest_and_counts_frames() -> None:
    """A receiver that hangs costs old frames, never the newest."""
    waiting = BatchQueue(2)
    for n in range(4):
        batch = FrameBatch()
        for _ in range(n + 1):
            batch.append(n, 1, b"")
        waiting.put(SourceItem(n, frames=batch))
    waiting.close()
    assert waiting.dropped_frames == 1 + 2
    first, second = waiting.get(), waiting.get()
    assert first is not None
    assert second is not None
    assert (first.watermark_us, second.watermark_us) == (2, 3)
    assert waiting.get() is None


def test_an_unknown_interface_is_refused_at_once() -> None:
    """What can never work is an error of the configuration, naming what would."""
    source = CanSource(CanOptions("sockectan", "can0"), ManualClock())
    with pytest.raises(ConfigError, match=r"'sockectan'.*socketcan"):
        source.start(lambda _item: None)
    source.stop()


def test_stop_is_allowed_at_any_time() -> None:
    """Before start, twice, and start again afterwards."""
    bench = Bench([message(1)], [message(2)])
    bench.source.stop()
    with bench:
        bench.frames(1)
    bench.source.stop()
    with bench:
        assert bench.frames(1)[0][1] == 2


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (CanOptions("socketcan", "can0"), {}),
        (CanOptions("virtual", "x", bitrate=500_000), {"bitrate": 500_000}),
        (CanOptions("socketcan", "can0", fd=True), {"fd": True}),
        (CanOptions("udp_multicast", "239.0.0.1"), {"fd": False}),
        (CanOptions("slcan", "/dev/ttyACM0"), {"listen_only": True}),
        (CanOptions("slcan", "/dev/ttyACM0", listen_only=False), {}),
        (
            CanOptions("slcan", "x", options={"listen_only": False, "sleep_after_open": 0}),
            {"listen_only": False, "sleep_after_open": 0},
        ),
        (CanOptions("kvaser", "0"), {"driver_mode": False}),
        (CanOptions("seeedstudio", "/dev/ttyUSB0"), {"operation_mode": "silent"}),
        (CanOptions("pcan", "PCAN_USBBUS1"), {"state": can.BusState.PASSIVE}),
    ],
)
def test_options_become_arguments_of_python_can(options: CanOptions, expected: dict[str, Any]) -> None:
    """Listen-only where the opener decides; the user's own options win; no hidden configuration file."""
    fixed = {"interface": options.interface, "channel": options.channel, "ignore_config": True}
    assert bus_arguments(options) == fixed | expected
