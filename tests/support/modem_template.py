"""python-dbusmock's ModemManager template with what a car's modem has besides: Signal, Bearer, Location, and methods
that act as ModemManager's do (Enable, Reset, Connect, Disconnect, Setup).

Runs inside the mock's process; ``tests/support/modem_bus.py`` starts it and calls it. Types are those of ModemManager's
D-Bus interface; numbers and names are made up.
"""

from __future__ import annotations

import dbus
from dbusmock import MOCK_IFACE, OBJECT_MANAGER_IFACE, mockobject
from dbusmock.templates import modemmanager as base
from dbusmock.templates.modemmanager import AddSimpleModem  # noqa: F401  the template's own, kept callable

BUS_NAME = base.BUS_NAME
MAIN_OBJ = base.MAIN_OBJ
MAIN_IFACE = base.MAIN_IFACE
SYSTEM_BUS = False
IS_OBJECT_MANAGER = False

MODEM = base.MODEM_IFACE
GPP = base.MODEM_3GPP_IFACE
SIGNAL = MODEM + ".Signal"
SIMPLE = MODEM + ".Simple"
LOCATION = MODEM + ".Location"
SIM = base.SIM_IFACE
BEARER = "org.freedesktop.ModemManager1.Bearer"
ROOT = "/org/freedesktop/ModemManager1"
DISABLED, ENABLED, REGISTERED, CONNECTED = (dbus.Int32(number) for number in (3, 6, 8, 11))
FAILURE = "org.freedesktop.ModemManager1.Error.Core."
load = base.load


def _set(path, interface, values):
    mockobject.objects[path].UpdateProperties(interface, values)


def _refuses(modem, method):
    """What the test asked to be refused: {method: error name}."""
    name = modem.refusals.get(method)
    if name is not None:
        raise dbus.exceptions.DBusException(f"{method} refused by the test", name=FAILURE + name)


def _values(number):
    """Interfaces and properties of modem ``number``."""
    modem = {
        "Sim": dbus.ObjectPath(f"{ROOT}/SIM/{number}"),
        "Bearers": dbus.Array([dbus.ObjectPath(f"{ROOT}/Bearer/{number}")], signature="o"),
        "Manufacturer": "QUALCOMM INCORPORATED",
        "Model": "QUECTEL Mobile Broadband Module",
        "Revision": "EC25EFAR06A06M4G",
        "EquipmentIdentifier": "867698041234567",
        "Plugin": "quectel",
        "PrimaryPort": "cdc-wdm0",
        "Ports": dbus.Array([("cdc-wdm0", dbus.UInt32(6)), ("wwan0", dbus.UInt32(2))], signature="(su)"),
        "OwnNumbers": dbus.Array(["+8613800138000"], signature="s"),
        "UnlockRequired": dbus.UInt32(1),
        "UnlockRetries": dbus.Dictionary({dbus.UInt32(2): dbus.UInt32(3)}, signature="uu"),
        "State": CONNECTED,
        "StateFailedReason": dbus.UInt32(0),
        "AccessTechnologies": dbus.UInt32(1 << 14),
        "SignalQuality": dbus.Struct((dbus.UInt32(67), dbus.Boolean(True)), signature="ub"),
        "PowerState": dbus.UInt32(3),
    }
    gpp = {
        "Imei": "867698041234567",
        "RegistrationState": dbus.UInt32(1),
        "OperatorCode": "46000",
        "OperatorName": "CHINA MOBILE",
    }
    empty = dbus.Dictionary({}, signature="sv")
    signal = {"Rate": dbus.UInt32(0), "Lte": empty, "Nr5g": empty, "Umts": empty, "Gsm": empty}
    location = {"Enabled": dbus.UInt32(1), "Capabilities": dbus.UInt32(3), "SignalsLocation": dbus.Boolean(False)}
    return {MODEM: modem, GPP: gpp, SIGNAL: signal, LOCATION: location, SIMPLE: {}}


def _bearer(connected):
    config = {"method": dbus.UInt32(2), "address": "10.64.12.7", "prefix": dbus.UInt32(30), "dns1": "211.136.112.50"}
    stats = {"rx-bytes": dbus.UInt64(120_345), "tx-bytes": dbus.UInt64(45_678), "duration": dbus.UInt32(900)}
    return {
        "Interface": "wwan0",
        "Connected": dbus.Boolean(connected),
        "Suspended": dbus.Boolean(False),
        "ConnectionError": dbus.Struct(("", ""), signature="ss"),
        "Ip4Config": dbus.Dictionary(config, signature="sv"),
        "Ip6Config": dbus.Dictionary({}, signature="sv"),
        "Stats": dbus.Dictionary(stats, signature="sv"),
        "Properties": dbus.Dictionary({"apn": "cmiot"}, signature="sv"),
    }


@dbus.service.method(MOCK_IFACE, in_signature="ui", out_signature="o")
def AddCarModem(self, number, state):  # noqa: N802  dbusmock's way
    """Plugs a modem in: SIM, one bearer, LTE."""
    number = int(number)
    path = f"{ROOT}/Modems/{number}"
    values = _values(number)
    values[MODEM]["State"] = dbus.Int32(state)
    self.AddObject(path, MODEM, values[MODEM], [("Enable", "b", "", _enable), ("Reset", "", "", _reset)])
    modem = mockobject.objects[path]
    modem.number, modem.refusals, modem.replug, modem.calls_seen = number, {}, True, []
    modem.AddProperties(GPP, values[GPP])
    modem.AddProperties(SIGNAL, values[SIGNAL])
    modem.AddMethods(SIGNAL, [("Setup", "u", "", _setup)])
    modem.AddProperties(LOCATION, values[LOCATION])
    modem.AddProperties(SIMPLE, {})
    modem.AddMethods(SIMPLE, [("Connect", "a{sv}", "o", _simple_connect), ("Disconnect", "o", "", _disconnect)])
    sim = {"SimIdentifier": "89860012345678901234", "Imsi": "460001234567890", "OperatorIdentifier": "46000"}
    self.AddObject(f"{ROOT}/SIM/{number}", SIM, {**sim, "OperatorName": "CMCC", "Active": True}, [])
    self.AddObject(
        f"{ROOT}/Bearer/{number}", BEARER, _bearer(int(state) == int(CONNECTED)), [("Connect", "", "", _bearer_connect)]
    )
    mockobject.objects[f"{ROOT}/Bearer/{number}"].number = number
    mockobject.objects[MAIN_OBJ].EmitSignal(
        OBJECT_MANAGER_IFACE, "InterfacesAdded", "oa{sa{sv}}", [dbus.ObjectPath(path), values]
    )
    return dbus.ObjectPath(path)


@dbus.service.method(MOCK_IFACE, in_signature="u", out_signature="")
def Unplug(self, number):  # noqa: N802  dbusmock's way
    """The modem vanishes, SIM and bearer with it."""
    _unplug(self, int(number))


@dbus.service.method(MOCK_IFACE, in_signature="", out_signature="")
def UnplugAll(self):  # noqa: N802  dbusmock's way
    """As it was at the start."""
    for path in [path for path in mockobject.objects if path.startswith(f"{ROOT}/Modems/")]:
        _unplug(self, int(path.rpartition("/")[2]))


def _unplug(mock, number):
    path = f"{ROOT}/Modems/{number}"
    names = [MODEM, GPP, SIGNAL, LOCATION, SIMPLE]
    for gone in (path, f"{ROOT}/SIM/{number}", f"{ROOT}/Bearer/{number}"):
        if gone in mockobject.objects:
            mock.RemoveObject(gone)
    mockobject.objects[MAIN_OBJ].EmitSignal(
        OBJECT_MANAGER_IFACE, "InterfacesRemoved", "oas", [dbus.ObjectPath(path), dbus.Array(names, signature="s")]
    )


@dbus.service.method(MOCK_IFACE, in_signature="uss", out_signature="")
def Refuse(self, number, method, error):  # noqa: N802  dbusmock's way
    """Calls of a method of a modem fail with an error of ModemManager's; an empty one ends that."""
    refusals = mockobject.objects[f"{ROOT}/Modems/{int(number)}"].refusals
    if error:
        refusals[str(method)] = str(error)
    else:
        refusals.pop(str(method), None)


@dbus.service.method(MOCK_IFACE, in_signature="ub", out_signature="")
def ComesBack(self, number, replug):  # noqa: N802  dbusmock's way
    """Whether a reset modem appears again."""
    mockobject.objects[f"{ROOT}/Modems/{int(number)}"].replug = bool(replug)


def _enable(modem, on):
    _refuses(modem, "Enable")
    _set(modem.path, MODEM, {"State": REGISTERED if on else DISABLED})
    if not on:
        _set(f"{ROOT}/Bearer/{modem.number}", BEARER, {"Connected": dbus.Boolean(False)})


def _reset(modem):
    """ModemManager sees the modem go and a new one come."""
    _refuses(modem, "Reset")
    number, replug = modem.number, modem.replug
    main = mockobject.objects[MAIN_OBJ]
    _unplug(main, number)
    if replug:
        main.AddCarModem(dbus.UInt32(number + 1), CONNECTED)


def _setup(modem, rate):
    _refuses(modem, "Setup")
    lte = {"rssi": -65.0, "rsrp": -96.0, "rsrq": -11.0, "snr": 7.4}
    _set(modem.path, SIGNAL, {"Rate": dbus.UInt32(rate), "Lte": dbus.Dictionary(lte, signature="sv")})


def _simple_connect(modem, _properties):
    _refuses(modem, "Connect")
    _connect(modem.number)
    return dbus.ObjectPath(f"{ROOT}/Bearer/{modem.number}")


def _bearer_connect(bearer):
    _refuses(mockobject.objects[f"{ROOT}/Modems/{bearer.number}"], "Connect")
    _connect(bearer.number)


def _connect(number):
    _set(f"{ROOT}/Bearer/{number}", BEARER, {"Connected": dbus.Boolean(True)})
    _set(f"{ROOT}/Modems/{number}", MODEM, {"State": CONNECTED})


def _disconnect(modem, _bearer_path):
    _refuses(modem, "Disconnect")
    _set(f"{ROOT}/Bearer/{modem.number}", BEARER, {"Connected": dbus.Boolean(False)})
    _set(modem.path, MODEM, {"State": REGISTERED})
