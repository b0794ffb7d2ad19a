"""A modem as ModemManager tells of it: what crosses from D-Bus into everything else.

Identities (IMEI, ICCID, IMSI) are in here unmasked and stay on the terminal: ``mask`` before they are shown, and only a
keyed hash of the ICCID is kept (``sim.py``). The subscriber's own number is never read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from outrider.network.names import (
    CHANGING,
    OPEN_LOCKS,
    REGISTERED,
    ROAMING,
    FailedReason,
    Lock,
    ModemState,
    PortType,
    PowerState,
    Registration,
    technology,
)
from outrider.network.properties import MAX_TEXT, ObjectTree, Properties

MODEM: Final = "org.freedesktop.ModemManager1.Modem"
MODEM_3GPP: Final = MODEM + ".Modem3gpp"
SIGNAL: Final = MODEM + ".Signal"
LOCATION: Final = MODEM + ".Location"
SIMPLE: Final = MODEM + ".Simple"
SIM: Final = "org.freedesktop.ModemManager1.Sim"
BEARER: Final = "org.freedesktop.ModemManager1.Bearer"
NO_PATH: Final = "/"


@dataclass(frozen=True, slots=True)
class Signal:
    """Extended signal of the technology in use. dBm and dB as ModemManager gives them; None = unknown.

    rsrp, rsrq, sinr: LTE and NR (3GPP TS 36.214, 38.215). rssi: what older technologies have.
    """

    rssi_dbm: float | None = None
    rsrp_dbm: float | None = None
    rsrq_db: float | None = None
    sinr_db: float | None = None
    rscp_dbm: float | None = None
    ecio_db: float | None = None

    @property
    def dbm(self) -> int | None:
        """The one number: RSRP, else RSCP, else RSSI."""
        for value in (self.rsrp_dbm, self.rscp_dbm, self.rssi_dbm):
            if value is not None:
                return round(value)
        return None


@dataclass(frozen=True, slots=True)
class Sim:
    """iccid, imsi: unmasked. operator: of the SIM, not of the network it is in."""

    path: str
    iccid: str | None = None
    imsi: str | None = None
    operator_code: str | None = None
    operator_name: str | None = None


@dataclass(frozen=True, slots=True)
class Bearer:
    """A data connection. Bytes and seconds since it was connected, None = not told."""

    path: str
    connected: bool = False
    suspended: bool = False
    interface: str | None = None
    apn: str | None = None
    address: str | None = None
    address6: str | None = None
    dns: tuple[str, ...] = ()
    rx_bytes: int | None = None
    tx_bytes: int | None = None
    duration_s: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Modem:
    """One modem. quality_percent: ModemManager's own 0..100, None where it is stale."""

    path: str
    manufacturer: str | None = None
    model: str | None = None
    firmware: str | None = None
    imei: str | None = None
    plugin: str | None = None
    state: ModemState = ModemState.UNKNOWN
    failed_reason: FailedReason = FailedReason.NONE
    power: PowerState = PowerState.UNKNOWN
    lock: Lock = Lock.UNKNOWN
    unlock_retries: int | None = None
    technology: str | None = None
    quality_percent: int | None = None
    registration: Registration | None = None
    operator_code: str | None = None
    operator_name: str | None = None
    primary_port: str | None = None
    ports: tuple[tuple[str, str], ...] = ()
    signal: Signal = Signal()
    signal_rate_s: int | None = None
    location: tuple[str, ...] = ()
    sim: Sim | None = None
    bearers: tuple[Bearer, ...] = ()
    odd: tuple[str, ...] = field(default=())

    @property
    def is_registered(self) -> bool:
        if self.registration in REGISTERED:
            return True
        return self.registration is None and ModemState.REGISTERED <= self.state <= ModemState.CONNECTED

    @property
    def roaming(self) -> bool | None:
        """None while it is not registered, or not by 3GPP."""
        if self.registration is None or not self.is_registered:
            return None
        return self.registration in ROAMING

    @property
    def is_locked(self) -> bool:
        return self.state is ModemState.LOCKED or self.lock not in OPEN_LOCKS

    @property
    def is_changing(self) -> bool:
        return self.state in CHANGING

    @property
    def bearer(self) -> Bearer | None:
        """The connected one, else the first."""
        return next((bearer for bearer in self.bearers if bearer.connected), next(iter(self.bearers), None))

    @property
    def interfaces(self) -> tuple[str, ...]:
        """Network interfaces that belong to it."""
        ports = [name for name, kind in self.ports if kind == PortType.NET.word]
        return tuple(dict.fromkeys(ports + [bearer.interface for bearer in self.bearers if bearer.interface]))


# MMModemLocationSource
_LOCATION_SOURCES: Final = (
    (1 << 0, "3gpp-lac-ci"),
    (1 << 1, "gps-raw"),
    (1 << 2, "gps-nmea"),
    (1 << 3, "cdma-bs"),
    (1 << 4, "gps-unmanaged"),
    (1 << 5, "agps-msa"),
    (1 << 6, "agps-msb"),
)
_SIGNALS: Final = ("Nr5g", "Lte", "Umts", "Gsm", "Cdma", "Evdo")
# Drivers fill what they do not measure with values that no radio has. 3GPP TS 38.133: NR goes down to -156 dBm.
_POSSIBLE_DBM: Final = (-160.0, 0.0)
_POSSIBLE_DB: Final = (-100.0, 100.0)
_POWERS: Final = frozenset({"rssi", "rsrp", "rscp"})


def modems(tree: ObjectTree) -> tuple[Modem, ...]:
    """All of them, by path."""
    return tuple(_modem(tree, path) for path in tree.with_interface(MODEM))


def choose(found: Iterable[Modem], port: str | None = None) -> Modem | None:
    """The one that is looked after: it has the port that is named; else the one that gets furthest, the first of
    equals."""
    if port is not None:
        return next((m for m in found if m.primary_port == port or any(name == port for name, _ in m.ports)), None)
    return max(found, key=lambda modem: modem.state, default=None)


def wanted_objects(tree: ObjectTree, path: str) -> tuple[tuple[str, str], ...]:
    """(path, interface) of what a modem refers to and ModemManager's object manager does not tell: SIM and bearers."""
    modem = tree.of(path, MODEM) or Properties()
    sim = [(name, SIM) for name in (modem.text("Sim"),) if name is not None and name != NO_PATH]
    return tuple(sim + [(name, BEARER) for name in modem.texts("Bearers") if name != NO_PATH])


def _modem(tree: ObjectTree, path: str) -> Modem:
    modem = tree.of(path, MODEM) or Properties()
    gpp = tree.of(path, MODEM_3GPP)
    network = gpp or Properties()
    signal = tree.of(path, SIGNAL) or Properties()
    location = tree.of(path, LOCATION) or Properties()
    lock = Lock(modem.whole("UnlockRequired") or 0) if _fits(modem.whole("UnlockRequired")) else Lock.UNKNOWN
    return Modem(
        path=path,
        manufacturer=modem.text("Manufacturer"),
        model=modem.text("Model"),
        firmware=modem.text("Revision"),
        imei=network.text("Imei") or modem.text("EquipmentIdentifier"),
        plugin=modem.text("Plugin"),
        state=ModemState(_number(modem, "State", 0)),
        failed_reason=FailedReason(_number(modem, "StateFailedReason", 0)),
        power=PowerState(_number(modem, "PowerState", 0)),
        lock=lock,
        unlock_retries=_retries(modem, lock),
        technology=technology(_number(modem, "AccessTechnologies", 0)),
        quality_percent=_quality(modem.values.get("SignalQuality")),
        registration=None if gpp is None else Registration(_number(network, "RegistrationState", Registration.UNKNOWN)),
        operator_code=network.text("OperatorCode"),
        operator_name=network.text("OperatorName"),
        primary_port=modem.text("PrimaryPort"),
        ports=_ports(modem),
        signal=_signal(signal),
        signal_rate_s=signal.whole("Rate"),
        location=_sources(location.whole("Enabled")),
        sim=_sim(tree, modem.text("Sim")),
        bearers=tuple(_bearer(tree, name) for name in modem.texts("Bearers") if tree.of(name, BEARER) is not None),
        odd=tuple(sorted(modem.odd | network.odd | signal.odd | location.odd)),
    )


def _fits(value: int | None) -> bool:
    return value is not None and -(1 << 31) <= value < 1 << 32


def _number(values: Properties, name: str, default: int) -> int:
    value = values.whole(name)
    if value is None or not _fits(value):
        return default
    return value


def _quality(value: Any) -> int | None:
    """Of a structure (percent, whether it was measured lately); what is stale is not known."""
    if not isinstance(value, list | tuple) or len(value) != 2 or value[1] is not True:
        return None
    percent = value[0]
    return percent if isinstance(percent, int) and not isinstance(percent, bool) and 0 <= percent <= 100 else None


def _retries(modem: Properties, lock: Lock) -> int | None:
    """Tries left for the lock that is asked for."""
    value = modem.values.get("UnlockRetries")
    left = value.get(int(lock)) if isinstance(value, dict) else None
    return left if isinstance(left, int) and not isinstance(left, bool) and 0 <= left <= 999 else None


def _ports(modem: Properties) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name[:64], PortType(kind).word)
        for name, kind in modem.pairs("Ports")
        if isinstance(name, str) and isinstance(kind, int) and _fits(kind)
    )


def _signal(signal: Properties) -> Signal:
    """Of the newest technology that has a value. NR stands first: with LTE and NR together NR carries the bytes."""
    for name in _SIGNALS:
        values = signal.inner(name)
        found = Signal(
            rssi_dbm=_measured(values, "rssi"),
            rsrp_dbm=_measured(values, "rsrp"),
            rsrq_db=_measured(values, "rsrq"),
            sinr_db=_measured(values, "snr"),
            rscp_dbm=_measured(values, "rscp"),
            ecio_db=_measured(values, "ecio"),
        )
        if found.dbm is not None:
            return found
    return Signal()


def _measured(values: Properties, name: str) -> float | None:
    value = values.real(name)
    lowest, highest = _POSSIBLE_DBM if name in _POWERS else _POSSIBLE_DB
    return None if value is None or not lowest <= value <= highest else value


def _sources(bits: int | None) -> tuple[str, ...]:
    return tuple(name for bit, name in _LOCATION_SOURCES if bits is not None and bits & bit)


def _sim(tree: ObjectTree, path: str | None) -> Sim | None:
    values = tree.of(path, SIM)
    if values is None or path is None:
        return None
    return Sim(
        path=path,
        iccid=values.text("SimIdentifier"),
        imsi=values.text("Imsi"),
        operator_code=values.text("OperatorIdentifier"),
        operator_name=values.text("OperatorName"),
    )


def _bearer(tree: ObjectTree, path: str) -> Bearer:
    values = tree.of(path, BEARER) or Properties()
    ip4, ip6, stats = values.inner("Ip4Config"), values.inner("Ip6Config"), values.inner("Stats")
    settings = values.inner("Properties")
    return Bearer(
        path=path,
        connected=values.truth("Connected") or False,
        suspended=values.truth("Suspended") or False,
        interface=values.text("Interface"),
        apn=settings.text("apn"),
        address=ip4.text("address"),
        address6=ip6.text("address"),
        dns=_servers((ip4, ip6)),
        rx_bytes=stats.whole("rx-bytes"),
        tx_bytes=stats.whole("tx-bytes"),
        duration_s=stats.whole("duration"),
        error=_error(values),
    )


def _servers(configs: Iterable[Properties]) -> tuple[str, ...]:
    named = (config.text(f"dns{number}") for config in configs for number in (1, 2, 3))
    return tuple(server for server in named if server is not None)


def _error(bearer: Properties) -> str | None:
    """``ConnectionError``: a D-Bus error name and text; both empty while there is none."""
    value = bearer.values.get("ConnectionError")
    told = [item for item in value if isinstance(item, str) and item] if isinstance(value, list | tuple) else []
    return ": ".join(told)[:MAX_TEXT] or None


def mask(identity: str | None, keep_end: int = 4) -> str | None:
    """All but the last few digits hidden. Nothing of what is too short to hide anything."""
    if identity is None:
        return None
    shown = identity[-keep_end:] if len(identity) >= 2 * keep_end else ""
    return "*" * (len(identity) - len(shown)) + shown


def mask_imsi(imsi: str | None) -> str | None:
    """Country and network (the first five digits) stay; they belong to the operator, not to the person."""
    if imsi is None:
        return None
    shown = imsi[:5] if len(imsi) >= 10 else ""
    return shown + "*" * (len(imsi) - len(shown))
