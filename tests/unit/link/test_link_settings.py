"""Requests to a link: the closed list, its limits, and what `ip` is told."""

from __future__ import annotations

import dataclasses
import json

import pytest

from outrider.errors import LinkError
from outrider.link.settings import (
    LinkDown,
    LinkRequest,
    LinkUp,
    RestartLink,
    SetLink,
    decode_request,
    encode_request,
    refusal,
    set_arguments,
)
from tests.support.links import recorded_report

FRESH = recorded_report("sja1000_fresh")
LISTENING = recorded_report("sja1000_listen_only")
ACTIVE = recorded_report("sja1000_active")
SET = SetLink("can0", bitrate=500_000)


@pytest.mark.parametrize(
    "request_",
    [SET, SetLink("can1", bitrate=33_333, restart_ms=100), LinkUp("can0"), LinkDown("can0"), RestartLink("c")],
)
def test_round_trip(request_: LinkRequest) -> None:
    """What is asked is what arrives."""
    assert decode_request(encode_request(request_)) == request_


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"op": "set", "device": "can0"},
        {"op": "flash", "device": "can0"},
        {"op": "up", "device": "can0;reboot"},
        {"op": "up", "device": "--help"},
        {"op": "up", "device": "can0", "force": True},
        {"op": "set", "device": "can0", "bitrate": 0},
        {"op": "set", "device": "can0", "bitrate": 2_000_000},
        {"op": "set", "device": "can0", "bitrate": "500000"},
        {"op": "set", "device": "can0", "bitrate": 500_000, "restart_ms": -1},
        {"op": "set", "device": "can0", "bitrate": 500_000, "listen_only": "off"},
        {"op": "set", "device": "can0", "bitrate": 500_000, "data_bitrate": 1},
        [],
        "set",
        None,
    ],
)
def test_anything_else_is_refused(document: object) -> None:
    """Unknown requests, names, keys and values are no request."""
    with pytest.raises(LinkError, match="not a request"):
        decode_request(json.dumps(document).encode())


def test_listen_only_and_error_reports_are_always_named() -> None:
    """The kernel keeps modes that are not named: so the ones that matter are."""
    arguments = set_arguments(SET, FRESH)
    assert arguments[:8] == ["link", "set", "dev", "can0", "type", "can", "bitrate", "500000"]
    assert arguments[8:] == ["listen-only", "on", "berr-reporting", "on"]
    active = set_arguments(SetLink("can0", bitrate=500_000, listen_only=False), LISTENING)
    assert active[active.index("listen-only") + 1] == "off"


def test_left_over_modes_are_switched_off() -> None:
    """A controller that was left in one-shot or with a restart time is put right."""
    left = recorded_report("sja1000_one_shot")
    arguments = set_arguments(SET, left)
    assert arguments[arguments.index("one-shot") + 1] == "off"
    assert arguments[arguments.index("restart-ms") + 1] == "0"


def test_a_driver_without_error_reports() -> None:
    """What it does not know is not named."""
    arguments = set_arguments(SET, recorded_report("slcan_fresh"))
    assert "berr-reporting" not in arguments
    assert "restart-ms" not in arguments


def test_what_the_hardware_cannot_do() -> None:
    """Listening only and FD are not given up silently."""
    deaf = dataclasses.replace(FRESH, modes_supported=frozenset({"BERR-REPORTING"}))
    with pytest.raises(LinkError, match="cannot listen without acknowledging"):
        set_arguments(SET, deaf)
    with pytest.raises(LinkError, match="cannot do CAN FD"):
        set_arguments(SetLink("can0", bitrate=500_000, data_bitrate=2_000_000), FRESH)


def test_fd_on_and_off() -> None:
    """A data rate switches FD on; without one a link that had it loses it."""
    able = dataclasses.replace(FRESH, modes_supported=frozenset({"LISTEN-ONLY", "FD"}), modes=frozenset({"FD"}))
    on = set_arguments(SetLink("can0", bitrate=500_000, data_bitrate=2_000_000), able)
    assert on[8:12] == ["dbitrate", "2000000", "fd", "on"]
    assert set_arguments(SET, able)[8:10] == ["fd", "off"]


@pytest.mark.parametrize(
    ("request_", "report", "refused"),
    [
        (SET, FRESH, False),
        (SetLink("can0", bitrate=500_000, listen_only=False), FRESH, True),
        (LinkUp("can0"), LISTENING, False),
        (LinkUp("can0"), ACTIVE, True),
        (LinkUp("can0"), FRESH, True),
        (RestartLink("can0"), LISTENING, False),
        (RestartLink("can0"), ACTIVE, True),
        (LinkDown("can0"), ACTIVE, False),
    ],
)
def test_what_would_take_part_in_the_traffic_is_refused(request_: LinkRequest, report: object, refused: bool) -> None:
    """Anything that would let a controller acknowledge needs allow_active; taking it away never does."""
    assert (refusal(request_, report, allow_active=False) is not None) is refused  # type: ignore[arg-type]
    assert refusal(request_, report, allow_active=True) is None  # type: ignore[arg-type]


def test_virtual_buses_have_nothing_to_set() -> None:
    """vcan is refused, also with allow_active."""
    assert "no controller" in str(refusal(SET, recorded_report("vcan_up"), allow_active=True))
