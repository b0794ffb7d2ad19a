"""What is known of ModemManager at a moment. Apart from who finds it out: reading it needs no D-Bus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from outrider.network.modem import Modem

NOT_YET: Final = "not connected to D-Bus yet"


@dataclass(frozen=True, slots=True)
class ManagerView:
    """What is known now. setup_error: why extended signal is not measured. settled: SIM and bearers of all
    modems were read, or it is known that nothing can be."""

    modems: tuple[Modem, ...] = ()
    version: str | None = None
    bus_error: str | None = NOT_YET
    manager: bool = False
    manager_error: str | None = None
    setup_error: str | None = None
    settled: bool = False
    counters: Mapping[str, int] = field(default_factory=dict)
