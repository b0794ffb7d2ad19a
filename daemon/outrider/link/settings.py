"""What may be asked of a link: the closed list of requests, their limits, and the arguments of `ip` that they become.

Pure. Rule: every mode is named each time (the kernel keeps what is not), listen-only unless told otherwise.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from outrider.errors import LinkError
from outrider.link.report import BERR_REPORTING, FD, LISTEN_ONLY, LinkKind, LinkReport

Bitrate = Annotated[int, msgspec.Meta(ge=5_000, le=1_000_000)]
DataBitrate = Annotated[int, msgspec.Meta(ge=100_000, le=12_000_000)]
RestartMs = Annotated[int, msgspec.Meta(ge=0, le=60_000)]
Device = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$")]
MAX_REQUEST: Final = 1024


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="op"):
    device: Device


class SetLink(_Request, tag="set", frozen=True, kw_only=True):
    """Take the link down, set it, bring it up. Rates in bit/s; a data bit rate makes it CAN FD."""

    bitrate: Bitrate
    data_bitrate: DataBitrate | None = None
    listen_only: bool = True
    restart_ms: RestartMs = 0


class LinkUp(_Request, tag="up", frozen=True):
    """Bring it up as it is set."""


class LinkDown(_Request, tag="down", frozen=True):
    """Take it off the bus."""


class RestartLink(_Request, tag="restart", frozen=True):
    """Bring the controller back after bus-off."""


LinkRequest = SetLink | LinkUp | LinkDown | RestartLink


def encode_request(request: LinkRequest) -> bytes:
    return msgspec.json.encode(request) + b"\n"


def decode_request(line: bytes) -> LinkRequest:
    """LinkError for anything that is not on the list."""
    try:
        request: LinkRequest = msgspec.json.decode(line, type=LinkRequest)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError, ValueError) as err:
        raise LinkError(f"not a request: {err}") from None
    return request


def set_arguments(request: SetLink, report: LinkReport) -> list[str]:
    """Arguments of ``ip`` that set a link that is down. Modes that the driver does not know are not named.

    LinkError when the driver cannot do what matters: listen-only, FD.
    """
    arguments = ["link", "set", "dev", request.device, "type", "can", "bitrate", str(request.bitrate)]
    if request.data_bitrate is not None:
        if not report.supports(FD):
            raise LinkError(f"{request.device}: its controller cannot do CAN FD")
        arguments += ["dbitrate", str(request.data_bitrate), "fd", "on"]
    elif FD in report.modes:
        arguments += ["fd", "off"]
    if request.listen_only and not report.supports(LISTEN_ONLY):
        raise LinkError(f"{request.device}: its controller cannot listen without acknowledging")
    if report.supports(LISTEN_ONLY):
        arguments += ["listen-only", _switch(request.listen_only)]
    if report.modes_supported is not None:
        for mode in ("LOOPBACK", "ONE-SHOT", "PRESUME-ACK"):
            if mode in report.modes:
                arguments += [mode.lower(), "off"]
        if BERR_REPORTING in report.modes_supported:
            arguments += ["berr-reporting", "on"]
    if request.restart_ms or report.restart_ms:
        arguments += ["restart-ms", str(request.restart_ms)]
    return arguments


def refusal(request: LinkRequest, report: LinkReport, *, allow_active: bool) -> str | None:
    """Why a request must not be carried out on this link; None: it may.

    Whatever would let the controller acknowledge or send needs ``allow_active``.
    """
    if report.kind is not LinkKind.CAN:
        return f"{report.name} has no controller to set (kind {report.kind})"
    if allow_active or isinstance(request, LinkDown):
        return None
    active = not request.listen_only if isinstance(request, SetLink) else not report.listen_only
    if active:
        return f"{report.name} would acknowledge and send: refused, since active mode is not allowed (--allow-active)"
    return None


def _switch(on: bool) -> str:
    return "on" if on else "off"
