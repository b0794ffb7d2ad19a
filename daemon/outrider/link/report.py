"""What `ip -j -d -s link show dev X` says of a CAN interface, as one frozen report.

Rule: whatever the program prints, the result is a ``LinkReport`` or one LinkError. Kinds of other links keep the
common part only. iproute2 prints the sample point as a string and leaves out what is not set; both are allowed for.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec

from outrider.errors import LinkError

LISTEN_ONLY: Final = "LISTEN-ONLY"
BERR_REPORTING: Final = "BERR-REPORTING"
FD: Final = "FD"

Count = Annotated[int, msgspec.Meta(ge=0)]


class LinkKind(StrEnum):
    """What stands behind the name: a controller, or a bus that exists in the kernel only."""

    CAN = "can"
    VCAN = "vcan"
    VXCAN = "vxcan"
    OTHER = "other"


class ControllerState(StrEnum):
    """Error state of a controller, the words of iproute2 (ISO 11898-1 fault confinement)."""

    ERROR_ACTIVE = "ERROR-ACTIVE"
    ERROR_WARNING = "ERROR-WARNING"
    ERROR_PASSIVE = "ERROR-PASSIVE"
    BUS_OFF = "BUS-OFF"
    STOPPED = "STOPPED"
    SLEEPING = "SLEEPING"


@dataclass(frozen=True, slots=True)
class LinkReport:
    """One interface at one moment. Rates in bit/s, sample points 0..1; None: not set, or the kind has none.

    up: set up by somebody. carrier: the layer below works (off while bus-off). bitrates: the only ones the hardware
    knows, None = any. modes: ctrlmode flags in force. modes_supported: those the driver can, None where iproute2 does
    not tell. restart_ms: 0 = the kernel does not bring a bus-off controller back. Counters count since the interface
    was made, and start again with it (its ``ifindex`` then differs).
    """

    name: str
    ifindex: int
    kind: LinkKind
    up: bool
    carrier: bool
    operstate: str
    state: ControllerState | None = None
    bitrate: int | None = None
    sample_point: float | None = None
    data_bitrate: int | None = None
    data_sample_point: float | None = None
    bitrates: tuple[int, ...] | None = None
    modes: frozenset[str] = frozenset()
    modes_supported: frozenset[str] | None = None
    restart_ms: int = 0
    tec: int | None = None
    rec: int | None = None
    rx_packets: int = 0
    rx_bytes: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    rx_over_errors: int = 0
    tx_packets: int = 0
    tx_bytes: int = 0
    restarts: int = 0
    bus_errors: int = 0
    arbitration_lost: int = 0
    error_warnings: int = 0
    error_passives: int = 0
    bus_offs: int = 0

    @property
    def listen_only(self) -> bool:
        return LISTEN_ONLY in self.modes

    @property
    def mode(self) -> str:
        """``listen-only``, ``active``, or ``virtual`` where there is no controller."""
        if self.kind is not LinkKind.CAN:
            return "virtual"
        return "listen-only" if self.listen_only else "active"

    def supports(self, mode: str) -> bool:
        """Whether the driver can do it; True where nobody tells."""
        return self.modes_supported is None or mode in self.modes_supported


# ---- the shape of the output; fields that are not used are passed over --------------------------------------


class _Timing(msgspec.Struct, frozen=True):
    bitrate: Count = 0
    sample_point: str | float | int = 0


class _Errors(msgspec.Struct, frozen=True):
    tx: Count = 0
    rx: Count = 0


class _Data(msgspec.Struct, frozen=True):
    state: str | None = None
    ctrlmode: tuple[str, ...] = ()
    ctrlmode_supported: tuple[str, ...] | None = None
    berr_counter: _Errors | None = None
    restart_ms: Count = 0
    bittiming: _Timing | None = None
    data_bittiming: _Timing | None = None
    bittiming_bitrate: Count = 0  # in place of bittiming, where the hardware has a fixed list of rates
    data_bittiming_bitrate: Count = 0
    bitrate_const: tuple[Count, ...] | None = None


class _Xstats(msgspec.Struct, frozen=True):
    restarts: Count = 0
    bus_error: Count = 0
    arbitration_lost: Count = 0
    error_warning: Count = 0
    error_passive: Count = 0
    bus_off: Count = 0


class _Info(msgspec.Struct, frozen=True):
    info_kind: str = ""
    info_data: Any = None  # of another kind it may be anything
    info_xstats: Any = None


class _Side(msgspec.Struct, frozen=True):
    bytes: Count = 0
    packets: Count = 0
    errors: Count = 0
    dropped: Count = 0
    over_errors: Count = 0


class _Stats(msgspec.Struct, frozen=True):
    rx: _Side = _Side()
    tx: _Side = _Side()


class _Link(msgspec.Struct, frozen=True):
    ifname: str = ""
    ifindex: int = 0
    flags: tuple[str, ...] = ()
    operstate: str = "UNKNOWN"
    link_type: str = ""
    linkinfo: _Info = _Info()
    stats64: _Stats = _Stats()


def parse_links(output: bytes) -> list[LinkReport]:
    """All CAN interfaces in the output, in its order. LinkError when it is not what iproute2 5 or newer prints."""
    try:
        links = msgspec.json.decode(output, type=list[_Link])
        return [_report(link) for link in links if link.link_type == "can"]
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError, ValueError) as err:
        raise LinkError(f"the answer of `ip` cannot be read ({err}); iproute2 5.0 or newer is needed") from None


def parse_link(output: bytes, name: str) -> LinkReport:
    """The report of one CAN interface. LinkError, also when the output speaks of something else."""
    for report in parse_links(output):
        if report.name == name:
            return report
    raise LinkError(f"{name} is no CAN interface")


def _report(link: _Link) -> LinkReport:
    kind = LinkKind(link.linkinfo.info_kind) if link.linkinfo.info_kind in list(LinkKind) else LinkKind.OTHER
    common: dict[str, Any] = {
        "name": link.ifname,
        "ifindex": link.ifindex,
        "kind": kind,
        "up": "UP" in link.flags,
        "carrier": "LOWER_UP" in link.flags,
        "operstate": link.operstate,
        "rx_packets": link.stats64.rx.packets,
        "rx_bytes": link.stats64.rx.bytes,
        "rx_errors": link.stats64.rx.errors,
        "rx_dropped": link.stats64.rx.dropped,
        "rx_over_errors": link.stats64.rx.over_errors,
        "tx_packets": link.stats64.tx.packets,
        "tx_bytes": link.stats64.tx.bytes,
    }
    return LinkReport(**common, **(_controller(link.linkinfo) if kind is LinkKind.CAN else {}))


def _controller(info: _Info) -> dict[str, Any]:
    data = msgspec.convert(info.info_data or {}, _Data)
    xstats = msgspec.convert(info.info_xstats or {}, _Xstats)
    bitrate, point = _timing(data.bittiming or _Timing(data.bittiming_bitrate))
    data_bitrate, data_point = _timing(data.data_bittiming or _Timing(data.data_bittiming_bitrate))
    return {
        "state": ControllerState(data.state) if data.state is not None else None,
        "bitrate": bitrate,
        "sample_point": point,
        "data_bitrate": data_bitrate,
        "data_sample_point": data_point,
        "bitrates": data.bitrate_const,
        "modes": frozenset(data.ctrlmode),
        "modes_supported": None if data.ctrlmode_supported is None else frozenset(data.ctrlmode_supported),
        "restart_ms": data.restart_ms,
        "tec": data.berr_counter.tx if data.berr_counter else None,
        "rec": data.berr_counter.rx if data.berr_counter else None,
        "restarts": xstats.restarts,
        "bus_errors": xstats.bus_error,
        "arbitration_lost": xstats.arbitration_lost,
        "error_warnings": xstats.error_warning,
        "error_passives": xstats.error_passive,
        "bus_offs": xstats.bus_off,
    }


def _timing(timing: _Timing) -> tuple[int | None, float | None]:
    """Rate and sample point; a rate of 0 is none."""
    if timing.bitrate == 0:
        return None, None
    point = float(timing.sample_point)
    return timing.bitrate, point if 0.0 < point < 1.0 else None
