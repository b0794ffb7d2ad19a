"""From what kernel, modem and uplink say to network state, notices and the options of the configuration."""

from __future__ import annotations

import os
import threading
from pathlib import Path as FilePath
from typing import Any

import pytest

from outrider.app.connectivity import (
    Connectivity,
    ConnectivityOptions,
    connectivity_options,
    network_state,
    uplink_facts,
)
from outrider.app.modem_recovery import Recovery
from outrider.clock import ManualClock
from outrider.config import Config, Modem, parse_config
from outrider.errors import ConfigError, LinkError
from outrider.model.beacon import Beacon
from outrider.model.network import NetworkState, Path
from outrider.model.notice import Notice, NoticeCode, NoticeLevel
from outrider.network.ladder import LadderOptions
from outrider.network.memory_io import ModemMemory
from outrider.network.modem import Modem as Seen
from outrider.network.modem import Signal
from outrider.network.modem_io import ModemThread
from outrider.network.names import ModemState, Registration
from outrider.network.path_io import Interface, KernelNetwork, RouteWatch
from outrider.network.trouble import Facts, Rung, UplinkFacts
from outrider.uplink.options import UplinkStatus
from outrider.wire.beacon import decode_beacon, encode_beacon

ROAMING = Seen(
    "/m", state=ModemState.CONNECTED, registration=Registration.ROAMING, operator_name="X", technology="LTE",
    signal=Signal(rsrp_dbm=-101.4),
)  # fmt: skip


class Routes(KernelNetwork):
    """Says what the test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.now = Interface("eth0", Path.ETHERNET)

    def default(self, modem_interfaces: Any = ()) -> Interface:
        return self.now


@pytest.mark.parametrize(
    ("default", "metered", "expected"),
    [
        (Interface("wwan0", Path.CELLULAR), None, NetworkState(Path.CELLULAR, True, True, "wwan0", "X", "LTE", -101)),
        (Interface("wwan0", Path.CELLULAR), False, NetworkState(Path.CELLULAR, False, True, "wwan0", "X", "LTE", -101)),
        (Interface("wlan0", Path.WIFI), True, NetworkState(Path.WIFI, True, interface="wlan0")),
        (Interface("eth0", Path.ETHERNET), None, NetworkState(Path.ETHERNET, interface="eth0")),
        (Interface("tun0", Path.UNKNOWN), None, NetworkState(Path.UNKNOWN, None, True, "tun0", "X", "LTE", -101)),
    ],
)
def test_the_network_that_carries(default: Interface, metered: bool | None, expected: NetworkState) -> None:
    """A modem that roams beside a Wi-Fi that carries restricts nothing; a tunnel may go over it."""
    assert network_state(default, metered, ROAMING) == expected


def test_a_change_is_told_when_it_holds(tmp_path: FilePath) -> None:
    """The answer changes at once; the notice waits for ten seconds, and flapping is not told at all."""
    clock, routes, told = ManualClock(), Routes(), list[Notice]()
    carrier = Connectivity(ConnectivityOptions(tmp_path / "m"), clock, told.append, routes)

    def look(seconds: int) -> None:
        for _ in range(seconds // 2):
            carrier.turn()
            clock.advance(2)

    look(20)
    assert carrier.network().path is Path.ETHERNET
    assert not told  # the first is no change
    for _ in range(5):
        routes.now = Interface("wlan0", Path.WIFI)
        look(4)
        assert carrier.network().path is Path.WIFI
        routes.now = Interface("eth0", Path.ETHERNET)
        look(4)
    look(20)
    assert not told
    routes.now = Interface(None, Path.NONE)
    look(20)
    (notice,) = told
    assert (notice.code, notice.level) == (NoticeCode.NETWORK_CHANGED, NoticeLevel.WARNING)
    assert dict(notice.detail) == {"path": "none"}
    assert carrier.status()["network"]["changes"] == 12
    assert carrier.status()["modem"] is None
    assert carrier.signal_dbm() is None


def test_the_weakest_signal_still_fits_a_beacon(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> None:
    """5G goes down to -156 dBm, a beacon to -127: it goes out with that, instead of not at all."""
    carrier = Connectivity(ConnectivityOptions(tmp_path / "m"), ManualClock(), list[Notice]().append, Routes())
    monkeypatch.setattr(carrier, "_signal_dbm", Signal(rsrp_dbm=-156.0).dbm)
    beacon = Beacon(
        interval_s=5, boot_id=1, t_us=1000, utc_us=None, lat_deg=None, lon_deg=None, hacc_m=None, speed_mps=30.0,
        heading_deg=None, signal_dbm=carrier.signal_dbm(), decel_mps2=None,
    )  # fmt: skip
    assert decode_beacon(encode_beacon(beacon)).signal_dbm == -127


def test_a_long_step_holds_nothing_up(tmp_path: FilePath) -> None:
    """While a step is carried out, for minutes, looks go on and no second one begins; its result is told once."""
    clock, told, begun, go_on = ManualClock(), list[Notice](), list[Rung](), threading.Event()

    def carry_out(rung: Rung, _modem: Seen | None) -> None:
        begun.append(rung)
        go_on.wait(60.0)
        raise LinkError("refused") if len(begun) == 1 else RuntimeError("a fault of ours")

    recovery = Recovery(LadderOptions(), ModemMemory(tmp_path / "m", clock), carry_out, told.append, clock)
    failed = Seen("/m", state=ModemState.FAILED)

    def look(seconds: int) -> None:
        for _ in range(seconds // 2):
            clock.advance(2)
            recovery.turn(Facts(clock.boottime_us(), failed))

    look(400)
    assert begun == [Rung.RESET]
    assert not told
    go_on.set()
    recovery.stop(60.0)
    (step,) = told
    assert dict(step.detail)["result"] == "refused"
    look(1200)
    recovery.stop(60.0)
    assert begun == [Rung.RESET, Rung.RESET]
    assert [dict(notice.detail)["result"] for notice in told if notice.code is NoticeCode.MODEM_STEP] == [
        "refused", "internal fault: RuntimeError",
    ]  # fmt: skip
    assert recovery.status()["recovery"]["steps"] == {"reset": 2, "failed": 2}


def test_what_the_uplink_says_is_taken_from_its_status() -> None:
    """Connected, waiting, urgent; any sign of the other side counts as progress."""
    status = UplinkStatus(**{
        **dict.fromkeys(UplinkStatus.__dataclass_fields__, None),  # type: ignore[arg-type]  # only these are read
        "connected": True,
        "backlog": {"emergency": 2, "telemetry": 0},
        "counters": {"connects": 1, "pubacks": 5, "acks": 3},
        "received_bytes": {"link": 100},
        "sent_bytes": {"link": 70, "ping": 2},
    })  # fmt: skip
    assert uplink_facts(status) == UplinkFacts(True, True, True, 109, 70)


def configured(text: str) -> Config:
    return parse_config(text, FilePath("x.toml"))


def test_options_come_from_the_configuration(tmp_path: FilePath) -> None:
    """No section: the kernel's path alone. A power switch makes its rung available; ``recover = false`` takes all."""
    assert connectivity_options(configured(""), tmp_path).modem is None
    plain = connectivity_options(configured("[modem]"), tmp_path).modem
    assert plain is not None
    assert plain.ladder is not None
    assert plain.ladder.available == {Rung.RECONNECT, Rung.TOGGLE, Rung.RESET}
    full = connectivity_options(configured('[modem]\npower_file = "/sys/x"\ninterfaces = ["usb0"]'), tmp_path)
    assert full.cellular == ("usb0",)
    assert full.modem is not None
    assert full.modem.ladder is not None
    assert Rung.POWER in full.modem.ladder.available
    off = connectivity_options(configured("[modem]\nrecover = false"), tmp_path).modem
    assert off is not None
    assert off.ladder is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[modem]\npower_command = ["a"]\npower_file = "/b"', "exclude each other"),
        ("[modem]\nsteps_per_hour = 1000", "steps_per_hour"),
        ("[modem]\nsignals_s = 1", "did you mean 'signal_s'"),
        ('[modem]\npower_command = "uhubctl"', "power_command"),
    ],
)
def test_what_can_never_work_is_refused(tmp_path: FilePath, text: str, message: str) -> None:
    """One error that names the key."""
    with pytest.raises(ConfigError, match=message):
        connectivity_options(configured(text), tmp_path)


def test_the_limits_of_the_configuration_are_those_of_the_ladder(tmp_path: FilePath) -> None:
    """Defaults in both places agree."""
    options = connectivity_options(Config(modem=Modem()), tmp_path).modem
    assert options is not None
    assert options.ladder is not None
    assert (options.ladder.per_hour, options.ladder.per_day) == (4, 12)
    assert (options.ladder.power_per_hour, options.ladder.power_per_day) == (1, 3)


@pytest.mark.parametrize(("seconds", "expected"), [(60, [Rung.TOGGLE]), (7200, [])])
def test_a_modem_that_a_daemon_left_disabled_is_enabled_by_the_next(
    tmp_path: FilePath, seconds: int, expected: list[Rung]
) -> None:
    """Ended between off and on; without that memory the modem was taken for one that somebody has switched off."""
    clock, begun, done = ManualClock(), list[Rung](), threading.Event()
    ModemMemory(tmp_path / "m", clock).note_step(Rung.TOGGLE)
    clock.advance(seconds)

    def carry_out(rung: Rung, _modem: Seen | None) -> None:
        begun.append(rung)
        done.set()

    recovery = Recovery(LadderOptions(), ModemMemory(tmp_path / "m", clock), carry_out, lambda _n: None, clock)
    for _ in range(60):
        facts = Facts(clock.boottime_us(), Seen("/m", state=ModemState.DISABLED), after_step=recovery.at_work)
        recovery.turn(facts)
        clock.advance(2)
        if begun or recovery._working is not None:
            break
    if expected:
        assert done.wait(60)
    recovery.stop(60)
    assert begun == expected


def test_no_event_loop_is_no_reason_to_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """No handles left when the thread begins: its start returns, it says why, and it can be ended."""

    def refuse() -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("asyncio.events.new_event_loop", refuse)
    monkeypatch.setattr("asyncio.runners.events.new_event_loop", refuse)
    thread = ModemThread(None, 0, None, lambda: None)
    starter = threading.Thread(target=thread.start, daemon=True)
    starter.start()
    starter.join(60)
    assert not starter.is_alive()
    thread._thread.join(60)
    assert "Too many open files" in str(thread.view().bus_error)
    with pytest.raises(LinkError):
        thread.carry_out(Rung.RESET, "/m")
    thread.stop()


def test_a_watch_that_has_ended_is_not_woken() -> None:
    """A step that ends late: the number of the closed handle belongs to another file by then, and stays untouched."""
    watch = RouteWatch()
    handle = watch._wake_fd
    assert handle is not None
    watch.close()
    other = os.eventfd(0, os.EFD_NONBLOCK)
    try:
        if other != handle:
            os.dup2(other, handle)
        watch.wake()
        with pytest.raises(BlockingIOError):
            os.eventfd_read(handle)
        watch.wait(0.0)
        watch.close()
    finally:
        os.close(other)
        if other != handle:
            os.close(handle)
