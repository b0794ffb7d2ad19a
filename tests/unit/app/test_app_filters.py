"""From ``frames = "profile"`` to the options of each bus, and to the socket."""

from __future__ import annotations

import logging
import socket
from pathlib import Path
from typing import Any

import can
import pytest

from outrider.app.options import live_sources
from outrider.clock import ManualClock
from outrider.config import parse_config
from outrider.model.vehicle import BitField, MessageDef, SignalDef, Slot, VehicleTables
from outrider.sources.can_io import CanOptions, CanSource, open_bus
from outrider.sources.filters import DIAGNOSTIC_ANSWERS, MAX_FILTERS, FrameFilter

CONFIG = '[[can]]\nchannel = "can0"\nframes = "profile"\n[[can]]\nchannel = "can1"\n'


def car(messages: int) -> VehicleTables:
    signals = (SignalDef("s", 0, BitField(0, 8)),)
    return VehicleTables("p", tuple(MessageDef("m", n, False, 8, signals) for n in range(messages)), (Slot("A"),))


def filters_of(tables: VehicleTables | None) -> list[tuple[FrameFilter, ...] | None]:
    config = parse_config(CONFIG, Path("outrider.toml"))
    sources = live_sources(config, ManualClock(), None, tables)
    assert all(isinstance(source, CanSource) for source in sources)
    return [source._options.filters for source in sources if isinstance(source, CanSource)]


def test_only_the_bus_that_asks_is_filtered() -> None:
    """The first bus gets the profile's identifiers, the second reads everything."""
    first, second = filters_of(car(3))
    assert first is not None
    assert set(first) - set(DIAGNOSTIC_ANSWERS) == {FrameFilter(n, 0xC00007FF) for n in range(3)}
    assert second is None
    assert filters_of(None) == [None, None]


def test_a_profile_beyond_the_kernels_limit_reads_everything_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """Never a silent half of the profile."""
    with caplog.at_level(logging.WARNING):
        assert filters_of(car(MAX_FILTERS + 1)) == [None, None]
    assert "can0: the profile needs more than 512 kernel filters" in caplog.text


def test_filters_that_the_socket_refuses_close_the_bus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bus that would read everything although it was told not to is not left open."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)  # knows no CAN options
    closed = []

    class Refusing:
        def fileno(self) -> int:
            return near.fileno()

        def shutdown(self) -> None:
            closed.append(True)

    def opener(**_arguments: Any) -> Refusing:
        return Refusing()

    monkeypatch.setattr(can, "Bus", opener)
    with near, far:
        with pytest.raises(OSError, match="not supported"):
            open_bus(CanOptions("socketcan", "can0", filters=DIAGNOSTIC_ANSWERS))
        assert closed == [True]
        assert near.fileno() >= 0, "the bus's own descriptor is still its own"
        open_bus(CanOptions("socketcan", "can0"))
        assert closed == [True]
