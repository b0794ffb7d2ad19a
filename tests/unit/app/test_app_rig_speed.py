"""Drives played faster than they were: only on buses that no car hangs on."""

from __future__ import annotations

from pathlib import Path

import pytest

from outrider.app.options import check_rig_speed, gather_us
from outrider.config import parse_config
from outrider.errors import ConfigError


def buses(*interfaces: str) -> str:
    return "".join(f'[[can]]\ninterface = "{name}"\nchannel = "can{n}"\n' for n, name in enumerate(interfaces))


def test_virtual_and_unix_buses_may_run_fast(tmp_path: Path) -> None:
    """Nothing behind them that lives in real time."""
    config = parse_config(buses("socketcan", "unix"), tmp_path / "f.toml")
    check_rig_speed(config, 10, tmp_path)


def test_a_real_bus_is_refused(tmp_path: Path) -> None:
    """The interface is named; at real time it is fine."""
    (tmp_path / "can1" / "device").mkdir(parents=True)
    config = parse_config(buses("unix", "socketcan"), tmp_path / "f.toml")
    with pytest.raises(ConfigError, match="--rig-speed 10: can1 has hardware behind it"):
        check_rig_speed(config, 10, tmp_path)
    check_rig_speed(config, 1, tmp_path)


def test_buses_of_python_can_are_refused(tmp_path: Path) -> None:
    """Their stamps come from the wall clock, which nobody scales."""
    config = parse_config(buses("udp_multicast"), tmp_path / "f.toml")
    with pytest.raises(ConfigError, match='interface "udp_multicast" has no scaled time'):
        check_rig_speed(config, 2, tmp_path)


def test_frames_of_a_unix_bus_are_not_left_to_gather(tmp_path: Path) -> None:
    """Its queue is short; buses of the kernel may gather."""
    assert gather_us(parse_config(buses("socketcan", "unix"), tmp_path / "f.toml")) == 0
    assert gather_us(parse_config(buses("socketcan"), tmp_path / "f.toml")) == 5000
