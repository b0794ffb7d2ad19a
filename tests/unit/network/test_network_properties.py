"""ModemManager's properties as a modem, its signal graded, its identities masked."""

from __future__ import annotations

from typing import Any

import pytest

from outrider.network.grades import RSRP, Grade, measures, overall
from outrider.network.modem import BEARER, MODEM, MODEM_3GPP, SIGNAL, Modem, Signal, choose, mask, mask_imsi, modems
from outrider.network.names import ModemState, Registration, technology
from outrider.network.properties import ObjectTree


def modem(**interfaces: dict[str, Any]) -> Modem:
    tree = ObjectTree()
    names = {"modem": MODEM, "gpp": MODEM_3GPP, "signal": SIGNAL}
    tree.put("/m", {names[name]: values for name, values in {"modem": {}, **interfaces}.items()})
    (only,) = modems(tree)
    return only


@pytest.mark.parametrize(
    ("bits", "name"),
    [(0, None), (None, None), (1 << 14, "LTE"), (1 << 14 | 1 << 15, "5G NR"), (1 << 5 | 1 << 9, "HSPA+"),
     (1 << 1, "GSM"), (1 << 17, "NB-IoT"), (1 << 30, None)],
)  # fmt: skip
def test_the_best_technology_is_told(bits: int | None, name: str | None) -> None:
    """Several bits may be set; the newest that is known counts."""
    assert technology(bits) == name


@pytest.mark.parametrize(("number", "roaming"), [(1, False), (5, True), (9, False), (10, True), (2, None), (3, None)])
def test_roaming_is_known_only_while_registered(number: int, roaming: bool | None) -> None:
    """Home, roaming, or not registered at all."""
    assert modem(gpp={"RegistrationState": number}).roaming is roaming


def test_the_newest_radio_is_told() -> None:
    """With LTE and 5G together: 5G. Values that no radio has (drivers fill them in) are none."""
    both = modem(signal={"Lte": {"rsrp": -100.0}, "Nr5g": {"rsrp": -80.0, "snr": 12.0, "rsrq": -32768.0}})
    assert both.signal == Signal(rsrp_dbm=-80.0, sinr_db=12.0)
    absurd = modem(signal={"Lte": {"rsrp": 12.0, "rssi": -160.1, "rsrq": 101.0, "snr": -101.0}})
    assert absurd.signal == Signal()
    old = modem(signal={"Lte": {"rsrp": -32768.0}, "Umts": {"rscp": -90.0, "ecio": -8.0, "rssi": -80.0}})
    assert (old.signal.dbm, [m.scale.name for m in measures(old.signal)]) == (-90, ["RSCP", "Ec/Io", "RSSI"])


@pytest.mark.parametrize(
    ("dbm", "grade"),
    [(-80.0, Grade.EXCELLENT), (-80.1, Grade.GOOD), (-90.0, Grade.GOOD), (-100.0, Grade.FAIR), (-100.1, Grade.POOR)],
)
def test_a_value_on_the_limit_is_of_the_better_grade(dbm: float, grade: Grade) -> None:
    """The table of docs/operate/cellular.md."""
    assert RSRP.grade(dbm) is grade


def test_the_worst_value_is_the_grade_of_the_signal() -> None:
    """Strong and full of noise is poor."""
    assert overall(Signal(rsrp_dbm=-70.0, rsrq_db=-9.0, sinr_db=-3.0)) is Grade.POOR
    assert overall(Signal()) is None


def test_quality_that_is_stale_is_not_known() -> None:
    """ModemManager says with the number whether it was measured lately."""
    assert modem(modem={"SignalQuality": [70, True]}).quality_percent == 70
    assert modem(modem={"SignalQuality": [70, False]}).quality_percent is None
    assert modem(modem={"SignalQuality": [101, True]}).quality_percent is None


@pytest.mark.parametrize(
    ("identity", "shown"),
    [("867698041234567", "***********4567"), ("1234567", "*******"), ("12345678", "****5678"), ("", ""), (None, None)],
)
def test_identities_are_masked(identity: str | None, shown: str | None) -> None:
    """The last four stay, where enough is left to hide."""
    assert mask(identity) == shown


def test_of_an_imsi_the_network_stays() -> None:
    """Five digits, which belong to the operator."""
    assert mask_imsi("460001234567890") == "46000**********"
    assert mask_imsi("46000123") == "********"
    assert mask_imsi(None) is None


def test_the_modem_that_gets_furthest_is_chosen() -> None:
    """Or the one whose port is named, also where it is another."""
    idle = Modem("/a", state=ModemState.DISABLED, primary_port="cdc-wdm0")
    busy = Modem("/b", state=ModemState.CONNECTED, ports=(("ttyUSB2", "at"),))
    assert choose((idle, busy)) is busy
    assert choose((idle, busy), "cdc-wdm0") is idle
    assert choose((idle, busy), "ttyUSB2") is busy
    assert choose((idle, busy), "ttyUSB9") is None
    assert choose(()) is None


def test_a_reason_of_a_lost_connection_is_text() -> None:
    """A structure of two texts; anything else is none."""
    tree = ObjectTree()
    tree.put("/m", {MODEM: {"Bearers": ["/b"]}})
    for value, expected in ((["name", "why"], "name: why"), (["", ""], None), (7, None), ([1, "x"], "x")):
        tree.put("/b", {BEARER: {"ConnectionError": value}})
        assert modems(tree)[0].bearers[0].error == expected


def test_states_of_a_newer_modem_manager_are_numbers() -> None:
    """An unknown number is no error, and is shown."""
    seen = modem(modem={"State": 42}, gpp={"RegistrationState": 99})
    assert (seen.state.word, seen.registration.word if seen.registration else "") == ("number-42", "number-99")
    assert not seen.is_registered
    assert Registration(1).word == "home"
