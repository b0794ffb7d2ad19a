"""A scan tool's questions and the engine control unit's answers on the bus (SAE J1979 mode 01 over ISO 15765-4).

Single frames only: vehicle speed 0D, engine speed 0C, coolant 05, fuel level 2F.
"""

from __future__ import annotations

from typing import Final

from outrider.sim.contents import coolant_degc, fuel_percent
from outrider.sim.scenario import Scenario
from outrider.sim.track import Track

REQUEST_ID: Final = 0x7DF
ANSWER_ID: Final = 0x7E8
POLL_S: Final = 0.5
_SPEED, _RPM, _COOLANT, _FUEL = 0x0D, 0x0C, 0x05, 0x2F


def pids_at(now: float) -> tuple[int, ...]:
    """Speed and rpm each time, the slow ones every fifth second."""
    slow = int(now / POLL_S) % 10 == 0
    return (_SPEED, _RPM, _COOLANT, _FUEL) if slow else (_SPEED, _RPM)


def request(pid: int) -> bytes:
    return bytes((2, 0x01, pid, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC))


def answer(pid: int, value: bytes) -> bytes:
    body = bytes((2 + len(value), 0x41, pid)) + value
    return body + b"\xaa" * (8 - len(body))


def value(pid: int, track: Track, row: int, scenario: Scenario) -> bytes:
    """Data bytes of the answer, by the formulas of SAE J1979."""
    columns = track.columns
    if pid == _SPEED:
        return bytes((min(255, int(columns["esc_v"][row] * 3.6)),))
    if pid == _RPM:
        return min(65_535, round(columns["rpm"][row] * 4.0)).to_bytes(2, "big")
    if pid == _COOLANT:
        return bytes((round(coolant_degc(columns["t"][row])) + 40,))
    return bytes((round(fuel_percent(columns["fuel_l"][row], scenario) * 2.55),))
