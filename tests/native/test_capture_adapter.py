"""Hardware stamps are asked for as long as the adapter may have them."""

from __future__ import annotations

import socket
import threading
import time

from outrider.engine import Capture, CaptureOptions, Engine
from outrider.engine.native import lib
from tests.support.can_feed import CAN_ERR, classic, pair, taped_engine

SO_TIMESTAMPING = 37
DEADLINE_S = 60.0


def through(engine: Engine, capture: Capture, sender: socket.socket, datagram: bytes, count: int) -> None:
    """Sends so many and runs until the engine has them all."""
    wanted = engine.stats().frames + count
    thread = threading.Thread(target=lambda: [sender.send(datagram) for _ in range(count)])
    thread.start()
    deadline = time.monotonic() + DEADLINE_S
    while engine.stats().frames < wanted:
        assert time.monotonic() < deadline, engine.stats()
        capture.run(0.05)
        engine.take_tape()
    thread.join()


def test_an_adapter_without_a_clock_is_no_longer_asked() -> None:
    """After the trial SO_TIMESTAMPING is off and the kernel's own stamps go on; error frames, which no adapter stamps,
    do not count; a bus that is added again is tried again."""
    trial = lib.OTR_HARDWARE_TRIAL
    with (
        taped_engine() as engine,
        Capture(engine, CaptureOptions(gather_us=0, merge_window_us=0)) as capture,
    ):
        sender, receiver = pair()
        with sender, receiver:
            capture.add(receiver.fileno(), 0)
            through(engine, capture, sender, classic(0x40 | CAN_ERR, bytes(8)), 2 * trial)
            through(engine, capture, sender, classic(0x100, b"\1"), trial - 1)
            assert receiver.getsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING) != 0
            through(engine, capture, sender, classic(0x100, b"\1"), 1)
            assert receiver.getsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING) == 0
            through(engine, capture, sender, classic(0x100, b"\1"), 500)
            stats = capture.stats(0)
            assert (stats.frames, stats.restamped, stats.hardware) == (3 * trial + 500, 0, 0)
            capture.remove(0)
            capture.add(receiver.fileno(), 0)
            assert receiver.getsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING) != 0
