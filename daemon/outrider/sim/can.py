"""The car's control units on the bus: which message is sent when, with what in it.

Owns schedule and contents; the bit layout comes from ``data/simcar.dbc`` through ``dbc.py``. Units send on their own
clocks with jitter; one frame is on the wire at a time, so stamps never go back.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from random import Random
from typing import Final, NamedTuple

from outrider.sim import obd
from outrider.sim.contents import Contents
from outrider.sim.dbc import Message, crc8_j1850, layout
from outrider.sim.imu import Sample
from outrider.sim.scenario import Scenario
from outrider.sim.track import Track
from outrider.sim.vehicle import Moments

_ALWAYS: Final = frozenset({"BCM_Power", "GW_Clock"})  # while the bus is awake, ignition on or not
_CHECKED: Final = frozenset({"SRS_Status", "ENG_Speed", "BRK_Status", "ESC_Speed", "BCM_Power"})
_LATENCY_S: Final = 0.004  # from the unit's computation to the wire
_AFTER_RUN_S: Final = 1.0  # units stay awake after ignition off
_BITS_S: Final = 1.0 / 500_000
_FD_BITS_S: Final = 1.0 / 2_000_000


class SimFrame(NamedTuple):
    """t_us: microseconds UTC since 1970."""

    t_us: int
    frame_id: int
    extended: bool
    fd: bool
    data: bytes


class _Task(NamedTuple):
    """Something due on the bus; compared by time, then by order of creation."""

    due: float
    order: int
    send: Callable[[float], None]
    period: float  # 0 = once
    base: float  # due time without jitter


class Bus:
    """``frames`` yields everything on the wire, in time order, once."""

    def __init__(
        self, scenario: Scenario, track: Track, moments: Moments, samples: Iterator[Sample], seed: int
    ) -> None:
        self._scenario, self._track, self._moments = scenario, track, moments
        self._rng = Random(f"{seed}:can")
        self._layout = layout()
        self._contents = Contents(scenario, track, moments, Random(f"{seed}:units"))
        self._samples = samples
        self._start_us = round(scenario.start.utc.timestamp() * 1e6)
        self._end = track.columns["t"][-1] if len(track) else 0.0
        self._counters: dict[str, int] = {}
        self._queue: list[_Task] = []
        self._order = 0
        self._free = 0.0  # the wire is taken until then
        self._out: list[SimFrame] = []

    def frames(self) -> Iterator[SimFrame]:
        senses = self._scenario.car.senses
        for message in self._layout.values():
            if message.name != "IMU_Data" and "can" in senses:
                drift = 1.0 + self._rng.gauss(0.0, 30e-6)
                first = self._rng.uniform(0.0, message.cycle_s)
                self._add(first, self._sender(message), message.cycle_s * drift)
        if self._scenario.can.obd and "obd" in senses:
            self._add(self._rng.uniform(0.5, 1.0), self._ask, obd.POLL_S)
        airbag = self._contents.airbag_at
        if airbag is not None and "can" in senses:
            self._add(airbag, self._sender(self._layout["SRS_Status"]), 0.0)
        sample = next(self._samples, None)
        while True:
            due = self._queue[0].due if self._queue else self._end + 1.0
            if sample is not None and sample.t <= min(due, self._end):
                self._send_sample(sample)
                sample = next(self._samples, None)
            elif self._queue and due <= self._end:
                self._run(heapq.heappop(self._queue))
            else:
                break
            yield from self._out
            self._out.clear()

    def _add(self, base: float, send: Callable[[float], None], period: float) -> None:
        jitter = abs(self._rng.gauss(0.0, self._scenario.can.jitter_ms / 1e3)) if period else 0.0
        self._order += 1
        heapq.heappush(self._queue, _Task(base + jitter, self._order, send, period, base))

    def _run(self, task: _Task) -> None:
        task.send(task.due)
        if task.period:
            self._add(task.base + task.period, task.send, task.period)

    # ---- senders ------------------------------------------------------------------------------------

    def _sender(self, message: Message) -> Callable[[float], None]:
        values = self._contents.of(message.name)
        always, checked = message.name in _ALWAYS, message.name in _CHECKED

        def send(now: float) -> None:
            if not self._awake(now, always):
                return
            numbers = values(self._track.row_at(now - _LATENCY_S), now)
            if checked:
                count = self._counters.get(message.name, 0)
                self._counters[message.name] = (count + 1) % 15
                data = message.pack((*numbers, count, 0))[:7]
                data += bytes((crc8_j1850(data + bytes((message.frame_id & 0xFF,))),))
            else:
                data = message.pack(numbers)
            self._put(now, message, data)

        return send

    def _awake(self, now: float, always: bool) -> bool:
        """Control units run with the ignition; body and gateway until the bus goes to sleep."""
        on, off = self._moments.ignition_on, self._moments.ignition_off
        if on is not None and now >= on and (off is None or now < off + _AFTER_RUN_S):
            return True
        if not always:
            return False
        asleep = (off if off is not None else 0.0) + self._scenario.can.sleep_after_s
        before = on is not None and now < on
        return before or now < asleep

    def _send_sample(self, sample: Sample) -> None:
        message = self._layout["IMU_Data"]
        count = self._counters.get(message.name, 0)
        self._counters[message.name] = (count + 1) % 16
        data = message.pack((*sample.acc, *sample.gyro, sample.valid, sample.saturated, count, 24.0))
        self._put(sample.t + abs(self._rng.gauss(0.0, self._scenario.can.jitter_ms / 1e3)), message, data)

    def _ask(self, now: float) -> None:
        """The scan tool asks; the engine control unit answers a few milliseconds later."""
        if not self._awake(now, always=False):
            return
        for number, pid in enumerate(obd.pids_at(now)):
            self._add(now + 0.03 * number, self._asker(pid), 0.0)

    def _asker(self, pid: int) -> Callable[[float], None]:
        def answer(now: float) -> None:
            value = obd.value(pid, self._track, self._track.row_at(now), self._scenario)
            self._put_raw(now, obd.ANSWER_ID, obd.answer(pid, value))

        def ask(now: float) -> None:
            self._put_raw(now, obd.REQUEST_ID, obd.request(pid))
            self._add(now + self._rng.uniform(0.004, 0.012), answer, 0.0)

        return ask

    def _put(self, at: float, message: Message, data: bytes) -> None:
        begin = max(at, self._free)
        if message.fd:
            self._free = begin + 70 * _BITS_S + (8 * len(data) + 40) * _FD_BITS_S
        else:
            self._free = begin + (47 + 20 * message.extended + 8.8 * len(data)) * _BITS_S
        self._out.append(
            SimFrame(self._start_us + int(self._free * 1e6), message.frame_id, message.extended, message.fd, data)
        )

    def _put_raw(self, at: float, frame_id: int, data: bytes) -> None:
        self._free = max(at, self._free) + (47 + 8.8 * len(data)) * _BITS_S
        self._out.append(SimFrame(self._start_us + int(self._free * 1e6), frame_id, False, False, data))
