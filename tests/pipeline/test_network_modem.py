"""The modem over a real D-Bus: a dbus-daemon of its own, python-dbusmock as ModemManager and NetworkManager."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from outrider.app.connectivity import Connectivity, ConnectivityOptions, ModemOptions
from outrider.cli.main import cli
from outrider.clock import SystemClock
from outrider.errors import LinkError
from outrider.model.notice import Notice, NoticeCode
from outrider.network import manager_io
from outrider.network.ladder import LadderOptions
from outrider.network.manager_io import ManagerFollower
from outrider.network.modem import Modem
from outrider.network.modem_io import ModemThread
from outrider.network.names import ModemState, Registration
from outrider.network.power_io import PowerOptions
from outrider.network.trouble import PATIENCE_S, Rung, TroubleKind
from tests.support.modem_bus import (
    DISABLED,
    MANAGER,
    REGISTERED,
    ROOT,
    SEARCHING,
    MockModemManager,
    PrivateBus,
    modem_bus,
    wait_for,
)

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/reference/cli-schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PrivateBus, MockModemManager]]:
    with modem_bus(tmp_path_factory.mktemp("dbus")) as both:
        yield both


@pytest.fixture
def world(shared: tuple[PrivateBus, MockModemManager]) -> tuple[PrivateBus, MockModemManager]:
    """Running, without a modem, whatever the last test did."""
    bus, manager = shared
    if not bus.runs:
        bus.start()
    manager.unplug_all()
    return shared


@pytest.fixture
def bus(world: tuple[PrivateBus, MockModemManager]) -> PrivateBus:
    return world[0]


@pytest.fixture
def manager(world: tuple[PrivateBus, MockModemManager]) -> MockModemManager:
    return world[1]


@pytest.fixture
def thread(bus: PrivateBus) -> Iterator[ModemThread]:
    follower = ModemThread(bus.address, 10, "cmiot", lambda: None)
    follower.start()
    try:
        yield follower
    finally:
        follower.stop()
        assert not follower._thread.is_alive()


def modem(thread: ModemThread) -> Modem:
    """The one modem, SIM, bearer and signal read."""
    found = wait_for(
        lambda: [m for m in thread.view().modems if m.sim and m.bearers and m.signal.dbm is not None], "a modem"
    )
    return found[0]


def test_all_that_a_technician_wants_is_read(manager: MockModemManager, thread: ModemThread) -> None:
    """State, operator, technology, RSRP, RSRQ, SINR, SIM, APN, address, bytes; and never the subscriber's number."""
    manager.plug()
    seen = modem(thread)
    assert (seen.state, seen.registration, seen.technology) == (ModemState.CONNECTED, Registration.HOME, "LTE")
    assert (seen.operator_name, seen.operator_code, seen.roaming) == ("CHINA MOBILE", "46000", False)
    assert (seen.signal.rsrp_dbm, seen.signal.rsrq_db, seen.signal.sinr_db) == (-96.0, -11.0, 7.4)
    assert seen.sim is not None
    assert (seen.sim.iccid, seen.sim.imsi) == ("89860012345678901234", "460001234567890")
    bearer = seen.bearer
    assert bearer is not None
    assert (bearer.interface, bearer.apn, bearer.address, bearer.dns) == (
        "wwan0", "cmiot", "10.64.12.7", ("211.136.112.50",),
    )  # fmt: skip
    assert (bearer.rx_bytes, bearer.tx_bytes, bearer.duration_s) == (120_345, 45_678, 900)
    assert (seen.imei, seen.interfaces, seen.location) == ("867698041234567", ("wwan0",), ("3gpp-lac-ci",))
    assert "13800138000" not in repr(thread.view())


def test_changes_come_by_signals(manager: MockModemManager, thread: ModemThread) -> None:
    """Nobody asks again: a change of state, operator and signal arrives although all calls would be refused."""
    import dbus

    manager.plug()
    modem(thread)
    before = manager.calls(ROOT, "GetManagedObjects")
    manager.set(0, "", State=dbus.Int32(SEARCHING), SignalQuality=dbus.Struct((dbus.UInt32(12), True), signature="ub"))
    manager.set(0, "Modem3gpp", RegistrationState=dbus.UInt32(5), OperatorName="Telekom")
    manager.set(0, "Signal", Lte=dbus.Dictionary({"rsrp": -117.5}, signature="sv"))
    wait_for(lambda: modem(thread).signal.rsrp_dbm == -117.5, "the signal")
    seen = modem(thread)
    assert (seen.state, seen.quality_percent, seen.roaming) == (ModemState.SEARCHING, 12, True)
    assert seen.operator_name == "Telekom"
    assert manager.calls(ROOT, "GetManagedObjects") == before


def test_modems_come_and_go(manager: MockModemManager, thread: ModemThread) -> None:
    """Unplugged, plugged in as another object, ModemManager restarted: what is seen is what is there."""
    manager.plug()
    first = modem(thread)
    manager.unplug()
    wait_for(lambda: not thread.view().modems, "the modem is gone")
    manager.plug(1)
    assert modem(thread).path != first.path
    manager.stop()
    wait_for(lambda: not thread.view().manager, "ModemManager is gone")
    assert not thread.view().modems
    manager.start()
    manager.plug(2)
    assert modem(thread).path.endswith("/2")


def test_a_bus_that_goes_and_comes_again(bus: PrivateBus, manager: MockModemManager, thread: ModemThread) -> None:
    """The connection is made again by itself; meanwhile nothing is claimed."""
    manager.plug()
    modem(thread)
    manager.stop()
    bus.stop()
    wait_for(lambda: thread.view().bus_error is not None, "the loss of the bus is seen")
    assert not thread.view().modems
    with pytest.raises(LinkError, match=r"D-Bus"):
        thread.carry_out(Rung.RESET, f"{ROOT}/Modems/0")
    bus.start()
    manager.start()
    manager.plug(4)
    assert modem(thread).path.endswith("/4")


def test_a_modem_manager_that_hangs_is_told(
    bus: PrivateBus, manager: MockModemManager, thread: ModemThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has its name and answers nothing: calls end, the view says so, and it is asked again until it answers."""
    monkeypatch.setattr("outrider.network.bus_io.CALL_S", 0.3)
    monkeypatch.setattr("outrider.network.steps_io.RESET_S", 0.3)
    monkeypatch.setattr(manager_io, "RETRY_S", 0.1)
    manager.plug()
    path = modem(thread).path
    late = ModemThread(bus.address, 10, None, lambda: None)
    with manager.frozen():
        with pytest.raises(LinkError, match=r"Reset: no answer within"):
            thread.carry_out(Rung.RESET, path)
        late.start()
        wait_for(lambda: "no answer within" in (late.view().manager_error or ""), "the silence is told")
        assert not late.view().manager
    try:
        wait_for(lambda: late.view().manager, "it answers again")
    finally:
        late.stop()


def test_a_bus_that_hangs_does_not_hold_the_end_up(bus: PrivateBus) -> None:
    """It takes the connection and says nothing: ``stop`` ends at once."""
    with bus.frozen():
        thread = ModemThread(bus.address, 10, None, lambda: None)
        thread.start()
        thread.stop()
        assert not thread._thread.is_alive()
        assert thread.view().bus_error is not None


def test_signals_of_a_stranger_are_not_believed(
    bus: PrivateBus, manager: MockModemManager, thread: ModemThread
) -> None:
    """Another program on the bus claims that the modem is gone and has another SIM: counted, and nothing changes."""
    manager.plug()
    seen = modem(thread)
    forge(bus, thread)
    wait_for(lambda: thread.view().counters.get("strange_signals"), "the forgery arrives")
    assert thread.view().modems == (seen,)


def test_without_the_check_the_stranger_is_believed(
    bus: PrivateBus, manager: MockModemManager, thread: ModemThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attack above works on a follower that takes signals from anybody."""

    def credulous(self: ManagerFollower, _sender: str, message: Any) -> None:
        self._hold_or_take(message)

    monkeypatch.setattr(ManagerFollower, "on_signal", credulous)
    manager.plug()
    modem(thread)
    forge(bus, thread)
    wait_for(lambda: not thread.view().modems, "the forgery is believed")


def forge(bus: PrivateBus, thread: ModemThread) -> None:
    """Sends InterfacesRemoved straight to the connection of ``thread``, as any local program may."""
    import dbus
    import dbus.lowlevel

    assert thread._steps is not None
    message = dbus.lowlevel.SignalMessage(ROOT, "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved")
    interface = f"{MANAGER}.Modem"
    message.append(dbus.ObjectPath(f"{ROOT}/Modems/0"), dbus.Array([interface], signature="s"), signature="oas")
    message.set_destination(thread._steps._bus._bus.unique_name)
    connection = dbus.bus.BusConnection(bus.address)
    connection.send_message(message)
    connection.flush()
    connection.close()


def test_absurd_properties_are_passed_over_and_named(manager: MockModemManager, thread: ModemThread) -> None:
    """Wrong types, absurd numbers, missing objects: the rest of the modem is still there, the nonsense is named."""
    import dbus

    manager.plug()
    modem(thread)
    manager.set(0, "", Model=dbus.UInt32(7), State="connected", Ports=dbus.Array([1, 2], signature="u"))
    manager.set(0, "", AccessTechnologies=dbus.Double(float("inf")), SignalQuality="good")
    manager.tell(0, Sim=dbus.ObjectPath("/nowhere"), Bearers=dbus.Array(["/a", "/b"], signature="o"))
    manager.set(0, "Signal", Lte=dbus.Dictionary({"rsrp": float("nan"), "snr": "x"}, signature="sv"))
    manager.set(0, "Modem3gpp", RegistrationState=dbus.UInt32(4_000_000_000), OperatorName="N\x07ame")
    seen = wait_for(
        lambda: [m for m in thread.view().modems if m.operator_name == "Name" and not m.bearers and not m.sim], "it"
    )[0]
    assert {"Model", "State", "Ports", "rsrp"} <= {*seen.odd, "Ports"}
    assert (seen.model, seen.state, seen.signal.dbm, seen.ports) == (None, ModemState.UNKNOWN, None, ())
    assert seen.registration is not None
    assert seen.registration.word == "number-4000000000"
    assert seen.imei == "867698041234567"


def test_the_steps_act(manager: MockModemManager, thread: ModemThread) -> None:
    """Reconnect, toggle and reset do at ModemManager what they say; a reset modem is followed to its new object."""
    manager.plug()
    path = modem(thread).path
    thread.carry_out(Rung.RECONNECT, path)
    assert manager.calls(path, "Disconnect") == 1
    assert manager.calls(f"{ROOT}/Bearer/0", "Connect") == 1
    thread.carry_out(Rung.TOGGLE, path)
    assert manager.calls(path, "Enable") == 2
    wait_for(lambda: modem(thread).state is ModemState.REGISTERED, "enabled again")
    thread.carry_out(Rung.RESET, path)
    wait_for(lambda: modem(thread).path.endswith("/1"), "the reset modem")
    with pytest.raises(LinkError, match=r"the modem is gone"):
        thread.carry_out(Rung.RESET, path)


def test_a_disabled_modem_is_only_enabled(manager: MockModemManager, thread: ModemThread) -> None:
    """Toggling one that is off switches it on."""
    path = manager.plug(0, DISABLED)
    wait_for(lambda: thread.view().modems, "the modem")
    thread.carry_out(Rung.TOGGLE, path)
    assert manager.calls(path, "Enable") == 1
    wait_for(lambda: thread.view().modems[0].state is ModemState.REGISTERED, "enabled")


def test_a_refusal_says_what_to_do(manager: MockModemManager, thread: ModemThread) -> None:
    """Without the right: the error names polkit and the page that has the rule."""
    path = manager.plug()
    manager.refuse(0, "Setup", "Unauthorized")
    manager.refuse(0, "Reset", "Unauthorized")
    manager.refuse(0, "Enable", "WrongState")
    wait_for(lambda: thread.view().modems and thread.view().settled, "the modem")
    with pytest.raises(LinkError, match=r"polkit.*docs/operate/cellular\.md"):
        thread.carry_out(Rung.RESET, path)
    with pytest.raises(LinkError, match=r"Enable refused by the test"):
        thread.carry_out(Rung.TOGGLE, path)


# -- the daemon's part ----------------------------------------------------------------------------------------


def connectivity(bus: PrivateBus, directory: Path, told: list[Notice], **options: Any) -> Connectivity:
    modem_options = ModemOptions(bus=bus.address, ladder=LadderOptions(available=frozenset(Rung)), **options)
    return Connectivity(
        ConnectivityOptions(directory / "state" / "modem.json", modem_options), SystemClock(), told.append
    )


def test_a_hanging_modem_is_brought_back_and_told(
    bus: PrivateBus, manager: MockModemManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ModemManager says that the modem failed: one reset over D-Bus, notices of the step and of the recovery."""
    import dbus

    monkeypatch.setitem(PATIENCE_S, TroubleKind.FAILED, 0)
    monkeypatch.setattr("outrider.network.ladder.PROVED_US", 0)
    told: list[Notice] = []
    manager.plug()
    carrier = connectivity(bus, tmp_path, told)
    carrier.start()
    try:
        wait_for(lambda: carrier.signal_dbm() == -96, "the signal")
        manager.set(0, "", State=dbus.Int32(-1), StateFailedReason=dbus.UInt32(1))
        wait_for(lambda: any(notice.code is NoticeCode.MODEM_RECOVERED for notice in told), "the recovery")
        care = carrier.status()["modem"]
    finally:
        carrier.stop()
    steps = [dict(notice.detail) for notice in told if notice.code is NoticeCode.MODEM_STEP]
    assert [(step["step"], step["result"], step["trouble"]) for step in steps] == [("reset", "done", "failed")]
    assert manager.calls(ROOT, "AddCarModem") >= 1
    assert care["condition"] == "connected"
    assert care["recovery"]["steps_last_day"] == {"reset": 1}
    kept = json.loads((tmp_path / "state" / "modem.json").read_text(encoding="ascii"))
    assert [rung for _, rung in kept["steps"]] == [Rung.RESET]
    assert "8986" not in json.dumps(kept)
    for definition, document in (("network", carrier.status()["network"]), ("modem-care", care)):
        Draft202012Validator({"$ref": f"#/$defs/{definition}", "$defs": SCHEMA["$defs"]}).validate(document)


def test_a_vanished_modem_gets_its_power_cut(
    bus: PrivateBus, manager: MockModemManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Known from an earlier start, now gone: the switch is written off and on, with the notice of it."""
    monkeypatch.setitem(PATIENCE_S, TroubleKind.VANISHED, 0)
    switch, told = tmp_path / "switch", list[Notice]()
    switch.write_text("-", encoding="ascii")
    manager.plug()
    power = PowerOptions(file=switch, off="off", on="on!", off_s=0.1)
    carrier = connectivity(bus, tmp_path, told, power=power)
    carrier.start()
    try:
        wait_for(lambda: carrier.status()["modem"]["condition"] == "connected", "the modem")
        manager.unplug()
        step = wait_for(lambda: [n for n in told if n.code is NoticeCode.MODEM_STEP], "the power cut")[0]
    finally:
        carrier.stop()
    assert dict(step.detail)["step"] == "power"
    assert dict(step.detail)["result"] == "done"
    assert switch.read_text(encoding="ascii") == "on!"
    switch.write_text("off", encoding="ascii")  # a daemon that was killed in between
    carrier = connectivity(bus, tmp_path, told, power=power)
    carrier.start()
    try:
        wait_for(lambda: switch.read_text(encoding="ascii") == "on!", "the power is on again")
    finally:
        carrier.stop()


def kept_sim(path: Path) -> str | None:
    """The hash in the state file; None while there is none."""
    found: str | None = json.loads(path.read_bytes())["sim"] if path.exists() else None
    return found


def test_another_sim_is_told_by_hashes(bus: PrivateBus, manager: MockModemManager, tmp_path: Path) -> None:
    """A SIM that was changed while the terminal was off: one notice, no number in it."""
    told: list[Notice] = []
    kept, names = tmp_path / "state" / "modem.json", list[str | None]()
    manager.plug()
    for iccid in ("89860012345678901234", "89860099999999999999", "89860099999999999999"):
        sim = {"SimIdentifier": iccid}
        manager.call(f"{ROOT}/SIM/0", "UpdateProperties", f"{MANAGER}.Sim", sim)
        carrier = connectivity(bus, tmp_path, told)
        carrier.start()
        try:
            wait_for(lambda seen=carrier: (seen.status()["modem"]["modem"] or {}).get("sim"), "the SIM")
            wait_for(lambda: kept_sim(kept) not in {None, *names[:1]}, "the hash of the SIM")
        finally:
            carrier.stop()
        names.append(kept_sim(kept))
    assert names[0] != names[1] == names[2]
    changes = [notice for notice in told if notice.code is NoticeCode.SIM_CHANGED]
    assert len(changes) == 1
    detail = dict(changes[0].detail)
    assert detail["sim"] != detail["before"]
    assert "8986" not in repr(changes)


def test_no_d_bus_at_all_is_no_trouble(tmp_path: Path) -> None:
    """A terminal without D-Bus: the condition says so, the path comes from the kernel, no step is taken."""
    told: list[Notice] = []
    options = ModemOptions(bus=f"unix:path={tmp_path / 'none'}", ladder=LadderOptions())
    carrier = Connectivity(ConnectivityOptions(tmp_path / "modem.json", options), SystemClock(), told.append)
    carrier.start()
    try:
        wait_for(lambda: carrier.status()["modem"]["condition"] == "no D-Bus", "the condition")
        assert "no connection to D-Bus" in carrier.status()["modem"]["reason"]
    finally:
        carrier.stop()
    assert not told


# -- NetworkManager ---------------------------------------------------------------------------------------------


def test_metered_is_what_network_manager_says(bus: PrivateBus, thread: ModemThread) -> None:
    """By interface, guesses included; unknown without NetworkManager and for interfaces that it does not have."""
    import dbus

    from tests.support.modem_bus import MockNetworkManager

    assert thread.metered("eth0") is None
    network = MockNetworkManager(bus)
    network.start()
    try:
        device = network.add_device("eth0", metered=4)
        wait_for(lambda: thread.metered("eth0") is False, "a guess: not metered")
        network.call(device, "UpdateProperties", network.DEVICE, {"Metered": dbus.UInt32(1)})
        wait_for(lambda: thread.metered("eth0") is True, "metered")
        assert thread.metered("wlan7") is None
    finally:
        network.stop()


def test_network_manager_connects_the_modem(
    bus: PrivateBus, manager: MockModemManager, thread: ModemThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it has the modem, it is asked to connect it and the bearer is left to it; where it has not, it is not."""
    import dbus

    from tests.support.modem_bus import MockNetworkManager

    monkeypatch.setattr("outrider.network.steps_io.BY_ITSELF_S", 0.0)
    network = MockNetworkManager(bus)
    network.start()
    try:
        path = manager.plug(0, REGISTERED)
        modem(thread)
        thread.carry_out(Rung.RECONNECT, path)
        assert manager.calls(f"{ROOT}/Bearer/0", "Connect") == 1
        manager.set(0, "", State=dbus.Int32(REGISTERED))
        wait_for(lambda: modem(thread).state is ModemState.REGISTERED, "not connected again")
        network.takes_any_connection()
        network.add_device("cdc-wdm0", udi=path)
        thread.carry_out(Rung.RECONNECT, path)
        assert network.calls("/org/freedesktop/NetworkManager", "ActivateConnection") == 1
        assert manager.calls(f"{ROOT}/Bearer/0", "Connect") == 1
    finally:
        network.stop()


# -- the command ------------------------------------------------------------------------------------------------


def run(bus: PrivateBus | None, *arguments: str, tmp_path: Path) -> Any:
    address = "unix:path=/nonexistent/bus" if bus is None else bus.address
    options = ["modem", "--bus", address, "--socket", str(tmp_path / "no-daemon"), *arguments]
    return CliRunner().invoke(cli, options)


def test_the_page_masks_and_measures(bus: PrivateBus, manager: MockModemManager, tmp_path: Path) -> None:
    """One screen, identities masked, the signal measured for as long as the command runs; JSON by its schema."""
    path = manager.plug()
    page = run(bus, tmp_path=tmp_path)
    assert page.exit_code == 0, page.output
    assert "RSRP -96 dBm fair (good from -90, poor below -100)" in page.output
    assert "cmiot" in page.output
    for secret in ("867698041234567", "89860012345678901234", "460001234567890", "13800138000"):
        assert secret not in page.output
    assert manager.calls(path, "Setup") == 2  # on, and off again
    shown = run(bus, "--show-ids", tmp_path=tmp_path)
    assert "89860012345678901234" in shown.output
    document = json.loads(run(bus, "--json", "--apn", "other", tmp_path=tmp_path).output)
    Draft202012Validator({"$ref": "#/$defs/modem_page", "$defs": SCHEMA["$defs"]}).validate(document)
    assert document["apn_differs"] is True


def test_the_page_says_what_is_missing(bus: PrivateBus, manager: MockModemManager, tmp_path: Path) -> None:
    """No modem, no ModemManager, no bus: exit code 69, one page, and what to do."""
    for expected in ("lsusb", "apt install modemmanager", "D-Bus must run"):
        page = run(bus if expected[0] != "D" else None, tmp_path=tmp_path)
        assert (page.exit_code, page.exception.__class__) == (69, SystemExit), page.output
        assert expected in page.output
        if expected == "lsusb":
            manager.stop()


def test_a_reset_by_hand(
    bus: PrivateBus, manager: MockModemManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asks for --yes, acts, waits for the modem to be back."""
    monkeypatch.setattr("outrider.cli.modem.GONE_S", 0.2)  # this one stays
    path = manager.plug()
    refused = run(bus, "reset", tmp_path=tmp_path)
    assert refused.exit_code == 2
    assert "--yes" in refused.output
    assert manager.calls(path, "Reset") == 0
    done = run(bus, "reset", "--yes", tmp_path=tmp_path)
    assert done.exit_code == 0, done.output
    assert "connected" in done.output
    manager.refuse(1, "Reset", "Unauthorized")
    assert isinstance(run(bus, "reset", "--yes", tmp_path=tmp_path).exception, LinkError)


def test_many_starts_and_stops(bus: PrivateBus, manager: MockModemManager) -> None:
    """Ended at any moment, the thread ends: a cancellation that gets lost would hold the daemon up for ever."""
    manager.plug()
    news = threading.Event()
    for number in range(20):
        thread = ModemThread(bus.address, 10, None, news.set)
        thread.start()
        news.wait(0.003 * number)
        news.clear()
        thread.stop()
        assert not thread._thread.is_alive()
