"""Receivers under test, each a process: it counts what it got, and says so when asked.

    python -m hil.bench.readers outrider|python-can DBC INTERFACE...

Protocol: "ready" on stdout when all buses are open; for each line on stdin one JSON line {"frames", "lost", "cpu_s"},
totals since the start; ends with stdin. Both decode every frame; Outrider's engine also runs detector and recorder.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

RECEIVE_BUFFER: Final = 8 << 20
SO_RCVBUFFORCE: Final = 33
TURN_S: Final = 0.05


def outrider(dbc: str, channels: list[str], asked: Callable[[], bool]) -> None:
    """The native capture with decoder, detector and flight recorder, as the daemon runs them."""
    from hil.bench.load import Traffic
    from outrider.engine import Capture, Engine, EngineOptions

    tables = Traffic(Path(dbc)).tables
    options = EngineOptions(frame_inboxes=len(channels), recorder_bytes=16 << 20)
    with Engine(tables, options) as engine, Capture(engine) as capture:
        for bus, channel in enumerate(channels):
            with open_raw(channel) as sock:
                capture.add(sock.fileno(), bus, local=True)
        print("ready", flush=True)
        while True:
            capture.run(TURN_S)
            engine.take()
            if asked():
                stats = [capture.stats(bus) for bus in range(len(channels))]
                tell(engine.stats().frames, sum(s.socket_lost for s in stats))


def open_raw(channel: str) -> socket.socket:
    sock = socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
    sock.bind((channel,))
    return sock


def python_can(dbc: str, channels: list[str], asked: Callable[[], bool]) -> None:
    """The quickest way it has: recv and decode_message in one thread, over several buses with select."""
    import can

    from hil.bench.load import Traffic

    db = Traffic(Path(dbc)).db
    buses = [can.Bus(interface="socketcan", channel=c, ignore_config=True) for c in channels]
    for bus in buses:
        bus.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
    print("ready", flush=True)
    frames, turns, decode = 0, 0, db.decode_message
    by_fd = {bus.fileno(): bus for bus in buses}
    while True:
        ready = buses if len(buses) == 1 else [by_fd[fd] for fd in select.select(list(by_fd), [], [], TURN_S)[0]]
        got = 0
        for bus in ready:
            message = bus.recv(TURN_S if len(buses) == 1 else 0)
            if message is not None:
                decode(message.arbitration_id, message.data, decode_choices=False)
                got += 1
        frames, turns = frames + got, turns + 1
        if (not got or turns % 64 == 0) and asked():
            tell(frames, 0)


def tell(frames: int, lost: int) -> None:
    print(json.dumps({"frames": frames, "lost": lost, "cpu_s": time.process_time()}), flush=True)


def on_stdin() -> bool:
    """Whether a line came; ends the process with stdin."""
    if not select.select([sys.stdin], [], [], 0)[0]:
        return False
    if not sys.stdin.readline():
        sys.exit(0)
    return True


def main() -> None:
    kind, dbc, *channels = sys.argv[1:]
    {"outrider": outrider, "python-can": python_can}[kind](dbc, channels, on_stdin)


if __name__ == "__main__":
    main()
