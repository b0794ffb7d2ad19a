"""Processor time a frame, from the socket to the signal store: Outrider beside python-can's recv with cantools.

A socket is filled with what comes in 5 ms and then emptied, again and again, so that only the reader is measured: its
thread's CPU clock, system calls included. Rounds take turns; the median counts and the spread is told. Two transports:
UDP datagrams of 16 bytes over loopback (any machine), and CAN interfaces. There, Outrider is also measured with kernel
filters while one frame in five is of the profile: the kernel drops the others in the sender's context.
"""

from __future__ import annotations

import random
import socket
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from hil.bench.load import Traffic
from hil.bench.readers import RECEIVE_BUFFER, SO_RCVBUFFORCE
from outrider.engine import Capture, CaptureOptions, Engine, EngineOptions, open_can
from outrider.model.vehicle import VehicleTables
from outrider.sources.can_io import set_kernel_filters
from outrider.sources.filters import profile_filters
from tests.support.can_feed import CAN_EFF, classic

CHUNK: Final = 180  # what four full buses bring in 5 ms, the time that the capture lets frames gather
FRAMES: Final = 24 * CHUNK
ROUNDS: Final = 7
SHARE: Final = 5  # one frame in five is of the profile
RECORDER_BYTES: Final = 16 << 20  # as configured by default


@contextmanager
def udp_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """(sender, receiver) that hold a whole round."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(("127.0.0.1", 0))
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
        sender.connect(receiver.getsockname())
        yield sender, receiver


@contextmanager
def can_pair(channel: str) -> Iterator[tuple[socket.socket, socket.socket]]:
    """(sender, receiver) on an interface."""
    with open_can(channel) as sender, socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
        receiver.bind((channel,))
        yield sender, receiver


def pair(channel: str | None) -> Any:
    return udp_pair() if channel is None else can_pair(channel)


def batched(datagrams: list[bytes]) -> Iterator[list[bytes]]:
    for start in range(0, len(datagrams), CHUNK):
        yield datagrams[start : start + CHUNK]


class Outrider:
    """Capture, decoder, detector and flight recorder, made once: a terminal does not start for every frame."""

    def __init__(self, tables: VehicleTables, channel: str | None, stack: ExitStack, *, filtered: bool = False) -> None:
        self._engine = stack.enter_context(Engine(tables, EngineOptions(recorder_bytes=RECORDER_BYTES)))
        self._capture = stack.enter_context(Capture(self._engine, CaptureOptions(gather_us=0, merge_window_us=0)))
        self._sender, receiver = stack.enter_context(pair(channel))
        self._filters = profile_filters(tables, 0) if filtered else None
        if self._filters is not None:
            set_kernel_filters(receiver.fileno(), self._filters)
        self._capture.add(receiver.fileno(), 0, local=True)

    def us(self, datagrams: list[bytes]) -> float:
        """Microseconds of CPU for each frame on the bus."""
        before = self._engine.stats()
        used = 0.0
        for chunk in batched(datagrams):
            for datagram in chunk:
                self._sender.send(datagram)
            used -= time.thread_time()
            self._capture.run(0.0)
            self._engine.take()
            used += time.thread_time()
        used -= time.thread_time()
        self._capture.run(0.0)  # the engine is one turn behind
        used += time.thread_time()
        after, bus = self._engine.stats(), self._capture.stats(0)
        got = after.frames - before.frames
        assert bus.socket_lost == 0
        assert after.frames == bus.frames
        assert got == len(datagrams) if self._filters is None else 0 < got < len(datagrams)
        assert after.decode.matched > before.decode.matched
        return used * 1e6 / len(datagrams)


class PythonCan:
    """recv of python-can and decode_message of cantools."""

    def __init__(self, db: Any, channel: str | None, stack: ExitStack) -> None:
        import can

        self._decode = db.decode_message
        self._sender, receiver = stack.enter_context(pair(channel))
        if channel is None:
            self._recv = _python_can_on(receiver)
            return
        bus = can.Bus(interface="socketcan", channel=channel, ignore_config=True)
        bus.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
        stack.callback(bus.shutdown)
        self._recv = bus.recv

    def us(self, datagrams: list[bytes]) -> float:
        """Microseconds of CPU for each frame."""
        recv, decode, got, used = self._recv, self._decode, 0, 0.0
        for chunk in batched(datagrams):
            for datagram in chunk:
                self._sender.send(datagram)
            used -= time.thread_time()
            while (message := recv(0)) is not None:
                decode(message.arbitration_id, message.data, decode_choices=False)
                got += 1
            used += time.thread_time()
        assert got == len(datagrams)
        return used * 1e6 / len(datagrams)


def _python_can_on(sock: socket.socket) -> Callable[[float], Any]:
    """What ``SocketcanBus.recv`` does, on a socket of another family: select, recvmsg, Message."""
    from can.interfaces.socketcan import socketcan

    bus = socketcan.SocketcanBus.__new__(socketcan.SocketcanBus)
    sock.setsockopt(socket.SOL_SOCKET, socketcan.constants.SO_TIMESTAMPNS, 1)
    bus.socket, bus.channel, bus._is_filtered, bus._filters, bus._is_shutdown = sock, "udp", True, None, True
    return bus.recv


def mixed(traffic: Traffic, count: int) -> tuple[VehicleTables, list[bytes]]:
    """A profile that knows one message in SHARE, and a bus on which one frame in SHARE is of those."""
    known = {m.frame_id for n, m in enumerate(traffic.tables.messages) if n % SHARE == 0}
    tables = replace(traffic.tables, messages=tuple(m for m in traffic.tables.messages if m.frame_id in known))
    wanted = [f for f in traffic.frames if f[0] in known]
    other = [f for f in traffic.frames if f[0] not in known]
    rng = random.Random(2)
    chosen = [rng.choice(other if n % SHARE else wanted) for n in range(count)]
    return tables, [classic(i | (CAN_EFF if extended else 0), data) for i, extended, data in chosen]


def measure(dbc: Path, channels: Sequence[str] = ()) -> dict[str, Any]:
    """Microseconds a frame (medians of ROUNDS), spread as (max - min) / median, and the ratios."""
    traffic = Traffic(dbc)
    with ExitStack() as stack:
        times = _rounds(_calls(traffic, channels, stack))
    middle = {name: statistics.median(found) for name, found in times.items()}
    result: dict[str, Any] = {f"{name}_us": round(us, 3) for name, us in middle.items()}
    result |= {f"{name}_spread": round((max(t) - min(t)) / middle[name], 2) for name, t in times.items()}
    result["times_less_cpu"] = round(middle["python_can_cantools"] / middle["outrider"], 1)
    if channels:
        result["profile_to_all"] = round(middle["outrider_frames_profile"] / middle["outrider_frames_all"], 2)
    return result


def _calls(traffic: Traffic, channels: Sequence[str], stack: ExitStack) -> dict[str, Callable[[], float]]:
    """Each reader on an interface of its own: on a common one, each would get what is sent to any."""
    datagrams = traffic.datagrams(FRAMES)
    first, second, third, fourth = channels or (None,) * 4
    mine, peer = Outrider(traffic.tables, first, stack), PythonCan(traffic.db, second, stack)
    calls = {"outrider": lambda: mine.us(datagrams), "python_can_cantools": lambda: peer.us(datagrams)}
    if third is not None:
        tables, bus = mixed(traffic, FRAMES)
        everything, some = Outrider(tables, third, stack), Outrider(tables, fourth, stack, filtered=True)
        calls["outrider_frames_all"] = lambda: everything.us(bus)
        calls["outrider_frames_profile"] = lambda: some.us(bus)
    return calls


def _rounds(calls: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Calls take turns; the first round warms up and does not count."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(ROUNDS + 1):
        for name, call in calls.items():
            us = call()
            if number:
                times[name].append(us)
    return times
