"""The order in which the rig comes up. A test asks for what it needs; what lies below is brought up first.

    kernel modules -> interfaces (vcan, SJA1000) -> serial line, disk -> broker -> terminal -> load

``bring_up`` puts the buses back into the state every test may rely on: there, up, and able to carry FD.
"""

from __future__ import annotations

from typing import Final

from hil.rig.can import FD_MTU, Sja1000, Vcan, make_all
from hil.rig.resources import sja1000_names

VCAN_NAMES: Final = ("rigcan0", "rigcan1", "rigcan2", "rigcan3")  # names that nobody else's vcan has


def vcans() -> tuple[Vcan, ...]:
    """The four virtual buses, made if missing and up."""
    return make_all(VCAN_NAMES)


def bring_up(buses: tuple[Vcan, ...]) -> None:
    """Repair what a test did to them on purpose."""
    for bus in buses:
        if not (bus.is_up and bus.mtu == FD_MTU):
            bus.make()


def sja1000_pair() -> tuple[Sja1000, Sja1000]:
    """Two controllers on one wire at 500 kbit/s, up, as the driver is by default."""
    first, second = (Sja1000(name) for name in sja1000_names()[:2])
    for controller in (first, second):
        controller.configure(restart_ms="0", listen_only="off", berr_reporting="off")
    return first, second
