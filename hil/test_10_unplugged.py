"""An adapter is pulled out while the daemon reads it, or its link goes down. Promise: the other bus misses nothing, the
status names it, and it is read again when it is back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from hil.conftest import MakeTerminal
from hil.rig.can import Vcan
from hil.rig.car import Car
from hil.rig.faults import BusDown, BusUnplugged, Fault, during
from hil.rig.terminal import OPEN_STATES, Terminal


@pytest.fixture
def cars(vcan: tuple[Vcan, ...]) -> Iterator[tuple[Car, Car]]:
    """One on each of two buses, driving."""
    with ExitStack() as stack:
        pair = (Car(vcan[0]), Car(vcan[1]))
        for car in pair:
            stack.callback(car.stop)
            car.start()
        yield pair


def lost(box: Terminal, bus: Vcan) -> bool:
    """Whether the status says that the bus is not read, and why."""
    source = box.source(bus.name)
    return source["state"] not in OPEN_STATES and bool(source.get("error"))


@pytest.mark.parametrize("fault", [BusUnplugged, BusDown], ids=["unplugged", "down"])
def test_in_mid_read(
    fault: Callable[[Vcan], Fault], vcan: tuple[Vcan, ...], terminal: MakeTerminal, cars: tuple[Car, Car]
) -> None:
    """Twice: out and in again. Frames of the other bus are all there, to the last one."""
    gone, other = vcan[0], vcan[1]
    box: Terminal = terminal(can=[gone, other])
    box.allow_log(rf"{gone.name}")
    box.tolerate("descriptors")
    frames_before = box.source(other.name).get("frames", 0)
    sent_before = cars[1].sent
    for turn in range(2):
        read = box.source(gone.name).get("frames", 0)
        box.wait("it is read", lambda: box.source(gone.name).get("frames", 0) > read)  # noqa: B023  waited for here
        with during(fault(gone)):
            box.wait(f"the status names it, turn {turn}", lambda: lost(box, gone))
            assert box.source(other.name)["state"] in OPEN_STATES
        read = box.source(gone.name).get("frames", 0)
        box.wait(f"it is read again, turn {turn}", lambda: box.source(gone.name).get("frames", 0) > read + 8, 60.0)  # noqa: B023
        assert box.source(gone.name)["state"] in OPEN_STATES
    cars[1].stop()
    sent = cars[1].sent - sent_before
    box.wait("every frame of the other bus", lambda: box.source(other.name)["frames"] - frames_before >= sent - 8)
    assert box.source(other.name).get("socket_lost", 0) == 0
