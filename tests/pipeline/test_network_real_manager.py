"""The installed ModemManager itself, driving a simulated modem by AT commands: what the mock cannot prove."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from outrider.errors import LinkError
from outrider.network.modem import Modem
from outrider.network.modem_io import ModemThread
from outrider.network.names import Lock, ModemState, PortType, PowerState, Registration
from outrider.network.trouble import Condition, Facts, Judge, Rung
from tests.support.at_modem import AtModem, RealModemManager
from tests.support.modem_bus import PrivateBus, wait_for


@dataclass
class Car:
    """A modem, ModemManager and who follows it."""

    at: AtModem
    manager: RealModemManager
    thread: ModemThread
    port: str

    def modem(self, state: ModemState) -> Modem:
        """The modem, once it is in a state and all of it was read."""

        def there() -> Modem | None:
            view = self.thread.view()
            return next((m for m in view.modems if view.settled and m.state is state), None)

        try:
            found: Modem = wait_for(there, f"a modem that is {state.word}")
        except AssertionError:
            print(self.thread.view(), self.manager.log.read_text(encoding="utf-8", errors="replace")[-3000:])
            raise
        return found


@pytest.fixture
def car(tmp_path: Path) -> Iterator[Car]:
    pytest.importorskip("dbus", reason="dbus-python is not installed")
    bus = PrivateBus(tmp_path)
    try:
        bus.start()
    except FileNotFoundError:
        pytest.skip("dbus-daemon is not installed (Debian: dbus-daemon)")
    try:
        manager = RealModemManager(bus, tmp_path)
    except BaseException:
        bus.stop()
        raise
    port = f"abstract:outrider-{os.getpid()}-{tmp_path.name}"
    at = AtModem(port)
    thread = ModemThread(bus.address, 10, None, lambda: None)
    thread.start()
    try:
        yield Car(at, manager, thread, port)
    finally:
        thread.stop()
        manager.stop()
        at.unplug()
        bus.stop()


def test_a_modem_is_enabled_registered_measured_and_lost(car: Car) -> None:
    """From plugging in to losing the cell, every property in the types that the real ModemManager sends."""
    car.manager.plug(car.port)
    disabled = car.modem(ModemState.DISABLED)
    assert (disabled.model, disabled.firmware, disabled.imei) == ("SIM7600G", "LE20B04SIM7600G22", "867698041234567")
    assert disabled.sim is not None
    assert (disabled.sim.iccid, disabled.sim.imsi) == ("89860012345678901234", "460001234567890")
    assert (disabled.power, disabled.lock, disabled.ports) == (
        PowerState.ON,
        Lock.NONE,
        ((car.port, PortType.AT.word),),
    )
    car.thread.carry_out(Rung.TOGGLE, disabled.path)
    registered = car.modem(ModemState.REGISTERED)
    assert (registered.registration, registered.technology) == (Registration.HOME, "LTE")
    wait_for(lambda: car.modem(ModemState.REGISTERED).operator_name == "CHINA MOBILE", "the operator")
    wait_for(lambda: car.modem(ModemState.REGISTERED).signal.rsrp_dbm == -97.0, "the signal, measured by Setup")
    assert car.modem(ModemState.REGISTERED).signal.rsrq_db == -10.0
    assert registered.odd == ()
    assert "13800138000" not in repr(car.thread.view())
    car.at.lose_cell()
    lost = car.modem(ModemState.SEARCHING)
    assert lost.registration is Registration.SEARCHING


def test_a_sim_that_asks_for_its_pin_is_locked(car: Car) -> None:
    """Judged as locked, no step against it, and no PIN was ever tried."""
    car.at.pin = "SIM PIN"
    car.manager.plug(car.port)
    modem = car.modem(ModemState.LOCKED)
    diagnosis = Judge().judge(Facts(1, modem, known=True))
    assert (diagnosis.condition, diagnosis.trouble) == (Condition.LOCKED, None)
    assert not [command for command in car.at.commands if command.startswith("AT+CPIN=")]


def test_what_a_modem_cannot_do_is_an_error_for_people(car: Car) -> None:
    """The generic plugin has no reset; ModemManager's own words come out."""
    car.manager.plug(car.port)
    modem = car.modem(ModemState.DISABLED)
    with pytest.raises(LinkError, match=r"Modem\.Reset: .*(not supported|unsupported)"):
        car.thread.carry_out(Rung.RESET, modem.path)
    with pytest.raises(LinkError, match=r"nothing to connect"):
        car.thread.carry_out(Rung.RECONNECT, modem.path)
