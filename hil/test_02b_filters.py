"""`frames = "profile"`: what the kernel lets through, on a real kernel bus."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

import can  # here, not in a test: what it imports may start threads that stay
import pytest

from hil.conftest import MakeTerminal
from hil.rig.can import Vcan
from hil.rig.patience import Patience
from outrider.engine import Decoder
from outrider.model.frame import EFF, FrameBatch
from outrider.model.vehicle import BitField, MessageDef, SignalDef, VehicleTables
from outrider.profile.load_io import load_profile
from outrider.sources.can_io import CanOptions, open_bus
from outrider.sources.filters import profile_filters
from tests.support.can_feed import CAN_EFF, CAN_ERR, CAN_RTR, classic, fd_frame

PROC_EXACT: Final = {False: Path("/proc/net/can/rcvlist_sff"), True: Path("/proc/net/can/rcvlist_eff")}


@cache
def car() -> VehicleTables:
    """The simulated car with OBD-II, and two parameter groups of J1939: one to all, one to a destination."""
    tables = load_profile(["simcar", "obd2"]).tables
    signals = (SignalDef("s", 0, BitField(0, 8)),)
    groups = (MessageDef("m", can_id, True, 8, signals, j1939=True) for can_id in (0x18FEF100, 0x18EA0021))
    return replace(tables, messages=(*tables.messages, *groups))


def identifiers() -> list[tuple[int, bool]]:
    """Those of the profile, of ECUs' answers, their neighbours, and others at random; each often enough to tell."""
    rng = random.Random(7)
    known = [(m.frame_id, m.extended) for m in car().messages] + [(0x7E8, False), (0x18DAF142, True)]
    near = [(i ^ 1 << rng.randrange(29 if e else 11), e) for i, e in known for _ in range(3)]
    other = [(rng.randrange(1 << 29), True) if rng.random() < 0.5 else (rng.randrange(1 << 11), False) for _ in known]
    found = known + near + other
    rng.shuffle(found)
    return found


def wanted(can_id: int, extended: bool) -> bool:
    """Whether the profile decodes it, or an ECU answers a tester with it."""
    if can_id >> 8 == 0x18DAF1 if extended else 0x7E8 <= can_id <= 0x7EF:
        return True
    batch, decoder = FrameBatch(), Decoder(car())
    batch.append(0, can_id, bytes(8), EFF if extended else 0)
    decoder.decode(batch)
    return decoder.stats().matched == 1


@pytest.mark.parametrize("fd", [False, True], ids=["classic", "fd"])
def test_the_kernel_lets_through_what_the_profile_decodes(vcan: tuple[Vcan, ...], patience: Patience, fd: bool) -> None:
    """Identifiers inside and outside, and the same ones as remote frames: exactly the profile's data frames arrive."""
    filters = profile_filters(car(), 0)
    assert filters is not None
    sent = identifiers()
    bus: can.BusABC = open_bus(CanOptions("socketcan", vcan[0].name, fd=True, filters=filters))
    try:
        with vcan[0].sender() as sender:
            for can_id, extended in sent:
                word = can_id | (CAN_EFF if extended else 0)
                sender.send(fd_frame(word, bytes(8)) if fd else classic(word, bytes(8)))
                sender.send(classic(word | CAN_RTR, b""))
            sender.send(classic(0x7E8, b"end"))
        got = []
        while (message := bus.recv(patience.bound_s(5))) is not None and message.data != b"end":
            got.append(message.arbitration_id | (CAN_EFF if message.is_extended_id else 0))
            assert not message.is_remote_frame
        assert message is not None, "the last frame did not come"
    finally:
        bus.shutdown()
    expected = [i | (CAN_EFF if e else 0) for i, e in sent if wanted(i, e)]
    assert got == expected
    assert 0 < len(expected) < len(sent)


def test_single_identifiers_are_in_the_lists_that_cost_nothing(vcan: tuple[Vcan, ...]) -> None:
    """The kernel's own account: each standard identifier sits in its array, none in the list of masks."""
    tables = load_profile(["simcar"]).tables
    filters = profile_filters(tables, 0)
    assert filters is not None
    bus = open_bus(CanOptions("socketcan", vcan[1].name, filters=filters))
    try:
        exact = PROC_EXACT[False].read_text(encoding="ascii")
        masks = Path("/proc/net/can/rcvlist_fil").read_text(encoding="ascii")
    finally:
        bus.shutdown()
    name = vcan[1].name
    standard = sum(line.split()[0] == name for line in exact.splitlines() if line.strip() and "(" not in line)
    assert standard == sum(not f.can_id & CAN_EFF for f in filters)
    by_mask = [line for line in masks.splitlines() if line.split()[:1] == [name]]
    assert len(by_mask) == 1, "only 18DAF1xx needs a mask"


def test_a_terminal_with_filters_records_only_the_profile(
    terminal: MakeTerminal, vcan: tuple[Vcan, ...], patience: Patience
) -> None:
    """Frames outside the profile never reach the daemon; its status tells how many filters there are; beside it a bus
    without filters gets everything."""
    filters = profile_filters(load_profile(["simcar"]).tables, 0)
    assert filters is not None
    sections = [
        {"channel": vcan[0].name, "fd": True, "frames": "profile"},
        {"channel": vcan[1].name, "fd": True},
    ]
    box = terminal(can=sections)
    for bus in vcan[:2]:
        with bus.sender() as sender:
            for number in range(500):
                sender.send(classic(0x100 + number % 0x40, bytes(8)))  # 12C and 130 are of the profile
            sender.send(classic(0x7E8, bytes(8)))
    box.wait("the open bus has all", lambda: box.source(vcan[1].name).get("frames") == 501)
    inside = sum(0x100 + n % 0x40 in {0x12C, 0x130} for n in range(500)) + 1
    box.wait("the filtered bus has its own", lambda: box.source(vcan[0].name).get("frames") == inside)
    assert box.source(vcan[0].name)["filters"] == len(filters)
    assert "filters" not in box.source(vcan[1].name)


def test_error_frames_come_in_spite_of_filters(
    terminal: MakeTerminal, vcan: tuple[Vcan, ...], patience: Patience
) -> None:
    """They are subscribed to apart: every class arrives on a filtered bus, and is counted."""
    box = terminal(can=[{"channel": vcan[2].name, "fd": True, "frames": "profile"}])
    box.tolerate("error_frames", "error_no_ack", "error_transceiver", "error_counters")
    with vcan[2].sender() as sender:
        for kind in (0x20, 0x10, 0x200):  # CAN_ERR_ACK, CAN_ERR_TRX, CAN_ERR_CNT
            sender.send(classic(kind | CAN_ERR, bytes(8)))
        sender.send(classic(0x555, bytes(8)))
        sender.send(classic(0x130, bytes(8)))
    box.wait("all that may pass is there", lambda: box.source(vcan[2].name).get("frames") == 4)
    state = box.source(vcan[2].name)
    assert (state["error_frames"], state["error_no_ack"], state["error_transceiver"]) == (3, 1, 1)
