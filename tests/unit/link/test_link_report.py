"""Recorded answers of `ip` become reports; anything else becomes one error."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.errors import LinkError
from outrider.link.report import ControllerState, LinkKind, parse_link, parse_links
from tests.support.links import RECORDED, recorded, recorded_report

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vcan_up", (LinkKind.VCAN, True, None, None, "virtual")),
        ("vcan_down", (LinkKind.VCAN, False, None, None, "virtual")),
        ("vxcan_lowerdown", (LinkKind.VXCAN, True, None, None, "virtual")),
        ("sja1000_fresh", (LinkKind.CAN, False, ControllerState.STOPPED, None, "active")),
        ("sja1000_set_down", (LinkKind.CAN, False, ControllerState.STOPPED, 500_000, "listen-only")),
        ("sja1000_listen_only", (LinkKind.CAN, True, ControllerState.ERROR_ACTIVE, 500_000, "listen-only")),
        ("sja1000_active", (LinkKind.CAN, True, ControllerState.ERROR_ACTIVE, 500_000, "active")),
        ("sja1000_83k", (LinkKind.CAN, False, ControllerState.STOPPED, 83_333, "listen-only")),
        ("slcan_up", (LinkKind.CAN, True, ControllerState.ERROR_ACTIVE, 500_000, "listen-only")),
        ("slcan_250k", (LinkKind.CAN, True, ControllerState.ERROR_ACTIVE, 250_000, "listen-only")),
        ("slcan_warning", (LinkKind.CAN, True, ControllerState.ERROR_WARNING, 500_000, "listen-only")),
        ("slcan_passive", (LinkKind.CAN, True, ControllerState.ERROR_PASSIVE, 500_000, "listen-only")),
        ("slcan_bus_off", (LinkKind.CAN, True, ControllerState.BUS_OFF, 500_000, "listen-only")),
    ],
)
def test_recorded_states(name: str, expected: tuple[object, ...]) -> None:
    """Kind, administrative state, controller state, rate and mode are read as a person would."""
    report = recorded_report(name)
    assert (report.kind, report.up, report.state, report.bitrate, report.mode) == expected


def test_details_of_a_controller() -> None:
    """Sample point (a string in the output), modes, restart time, error counters, packets."""
    report = recorded_report("sja1000_listen_only_traffic")
    assert report.sample_point == 0.875
    assert report.modes == {"LISTEN-ONLY", "BERR-REPORTING"}
    assert report.modes_supported is not None
    assert "FD" not in report.modes_supported
    assert (report.restart_ms, report.tec, report.rec, report.rx_packets, report.rx_bytes) == (100, 0, 0, 50, 400)
    assert report.bitrates is None


def test_losses_and_fixed_rates() -> None:
    """Overflows and bus-off counts are the kernel's; an adapter with fixed rates names them, and no sample point."""
    report = recorded_report("slcan_250k")
    assert (report.rx_over_errors, report.error_warnings, report.error_passives, report.bus_offs) == (1, 1, 1, 1)
    assert report.sample_point is None
    assert report.bitrates is not None
    assert 83_333 not in report.bitrates
    assert 1_000_000 in report.bitrates


def test_a_peer_that_is_down_takes_the_carrier() -> None:
    """Up and without carrier are two things."""
    report = recorded_report("vxcan_lowerdown")
    assert report.up
    assert not report.carrier


def test_what_is_no_can_interface() -> None:
    """Other links are passed over; asked for by name they are an error."""
    assert parse_links(recorded("loopback")) == []
    with pytest.raises(LinkError, match="lo is no CAN interface"):
        parse_link(recorded("loopback"), "lo")


def test_an_older_iproute2() -> None:
    """Without the list of supported modes everything counts as supported; without statistics all counts are 0."""
    (link,) = json.loads(recorded("sja1000_listen_only"))
    del link["linkinfo"]["info_data"]["ctrlmode_supported"], link["stats64"], link["linkinfo"]["info_xstats"]
    (report,) = parse_links(json.dumps([link]).encode())
    assert report.supports("LISTEN-ONLY")
    assert (report.rx_packets, report.bus_offs) == (0, 0)


def test_can_fd_timing() -> None:
    """The data phase is read as well."""
    (link,) = json.loads(recorded("sja1000_listen_only"))
    data = link["linkinfo"]["info_data"]
    data["data_bittiming"] = {"bitrate": 2_000_000, "sample_point": 0.75}
    data["ctrlmode"] = ["FD"]
    (report,) = parse_links(json.dumps([link]).encode())
    assert (report.data_bitrate, report.data_sample_point, report.mode) == (2_000_000, 0.75, "active")


@pytest.mark.parametrize(
    "change",
    [
        {"flags": "UP"},
        {"linkinfo": {"info_kind": "can", "info_data": {"state": "PERFECT"}}},
        {"linkinfo": {"info_kind": "can", "info_data": {"bittiming": {"bitrate": 500000, "sample_point": "high"}}}},
        {"linkinfo": {"info_kind": "can", "info_data": {"bittiming": {"bitrate": -1}}}},
        {"linkinfo": {"info_kind": "can", "info_data": [1]}},
        {"stats64": {"rx": {"packets": "many"}}},
        {"ifindex": 1.5},
    ],
)
def test_another_shape_is_one_clear_error(change: dict[str, object]) -> None:
    """Wrong types and unknown states name iproute2, and raise nothing else."""
    (link,) = json.loads(recorded("sja1000_listen_only"))
    with pytest.raises(LinkError, match="iproute2"):
        parse_links(json.dumps([{**link, **change}]).encode())


def test_every_truncation_is_an_error() -> None:
    """Half an answer is none."""
    whole = recorded("sja1000_listen_only").rstrip()
    for length in range(len(whole)):
        with pytest.raises(LinkError):
            parse_links(whole[:length])


def test_nesting_beyond_reason() -> None:
    """A hostile answer does not exhaust the stack."""
    with pytest.raises(LinkError):
        parse_links(b'[{"linkinfo":' + b"[" * 100_000)


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_answer_is_reports_or_a_link_error(answer: bytes) -> None:
    """No other exception, whatever is printed."""
    try:
        parse_links(answer)
    except LinkError:
        return


@given(
    st.sampled_from(sorted(p.stem for p in RECORDED.glob("*.json"))),
    st.lists(st.sampled_from(["linkinfo", "info_data", "info_xstats", "berr_counter", "bittiming"]), max_size=3),
    JSON,
)
def test_any_value_in_any_place(name: str, path: list[str], value: object) -> None:
    """Reports or a LinkError when any part of a real answer is replaced by anything."""
    (link,) = json.loads(recorded(name))
    inner = link
    for key in path:
        if isinstance(inner.get(key), dict):
            inner = inner[key]
    inner[path[-1] if path else "flags"] = value
    try:
        parse_links(json.dumps([link]).encode())
    except LinkError:
        return
