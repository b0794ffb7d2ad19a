"""The one configuration file: TOML in, frozen structs out, every mistake named with its place.

Units are part of the key (``_s``, ``_ms``, ``_kib``, ``_kmh``). An unknown key is an error that names the nearest known
one. Paths are relative to the file. Nothing is read from the environment here.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import msgspec.inspect

from outrider.errors import ConfigError
from outrider.files_io import read_text

Positive = Annotated[float, msgspec.Meta(gt=0, le=86_400)]  # a timer takes no infinity
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
DeviceId = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{1,64}$")]
DEFAULT_PATH = Path("/etc/outrider/outrider.toml")


class Terminal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who this terminal is and where it keeps its data."""

    device: DeviceId = "terminal"
    data_directory: str = "/var/lib/outrider"
    control_socket: str = "/run/outrider/control.sock"
    holdup_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)] | None = None


class Vehicle(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What car it sits in: bundled profile names or *.profile.toml files, more DBC files, more overlays."""

    profiles: tuple[str, ...] = ("obd2",)
    dbc: tuple[str, ...] = ()
    overlays: tuple[str, ...] = ()


class CanBus(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One CAN bus, opened through python-can. ``options`` go to the interface as they are."""

    interface: str = "socketcan"
    channel: str = "can0"
    bitrate: Annotated[int, msgspec.Meta(ge=1, le=20_000_000)] | None = None
    fd: bool = False
    listen_only: bool = True
    options: dict[str, Any] = {}
    frames: Literal["all", "profile"] = "all"
    link: Literal["system", "helper"] = "system"
    data_bitrate: Annotated[int, msgspec.Meta(ge=100_000, le=12_000_000)] | None = None

    def __post_init__(self) -> None:
        if self.frames == "profile" and self.interface != "socketcan":
            raise ValueError('frames = "profile" is for interface = "socketcan"; no other has filters in the kernel')
        if self.frames == "profile" and "can_filters" in self.options:
            raise ValueError('frames = "profile" and options.can_filters exclude each other; keep one')


class Bus(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all buses share: where the privileged helper listens (``link = "helper"``)."""

    helper_socket: str = "/run/outrider-bus/bus.sock"


class Gnss(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A receiver that speaks NMEA 0183 on a serial port. No section = none."""

    device: str = "/dev/ttyAMA0"
    baud_rate: Annotated[int, msgspec.Meta(ge=300, le=4_000_000)] = 9600


class Imu(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An inertial sensor of the terminal's own, behind Linux IIO. No section = none."""

    device: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    gyro_device: Annotated[str, msgspec.Meta(min_length=1, max_length=128)] | None = None
    rate_hz: Annotated[float, msgspec.Meta(ge=25, le=1600)] = 100.0
    range_g: Annotated[float, msgspec.Meta(ge=1, le=1000)] = 16.0
    range_dps: Annotated[float, msgspec.Meta(ge=100, le=10_000)] = 2000.0
    watermark_ms: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 50
    sysfs: str = "/sys/bus/iio/devices"
    dev: str = "/dev"


class Engine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Memory and merging of the native engine."""

    recorder_kib: Annotated[int, msgspec.Meta(ge=64, le=1_048_576)] = 16_384
    merge_window_ms: Annotated[int, msgspec.Meta(ge=0, le=2000)] = 20
    tape_directory: str | None = None


class Telemetry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How finely values are told: VSS path or class of signals -> step, in the signal's unit."""

    precision: dict[str, Annotated[float, msgspec.Meta(gt=0, le=1e9)]] = {}


PerDay = Annotated[int, msgspec.Meta(ge=1, le=10_000)]


class Journal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Group commit and size of the log on flash. Emergency and ledger records are committed at once."""

    event_commit_s: Positive = 1.0
    telemetry_commit_s: Positive = 10.0
    telemetry_commit_moving_s: Positive = 1.0
    telemetry_segment_kib: Annotated[int, msgspec.Meta(ge=16, le=65_536)] = 1024
    quota_mib: Annotated[int, msgspec.Meta(ge=4, le=1_048_576)] = 1024
    telemetry_quota_mib: Annotated[int, msgspec.Meta(ge=1, le=1_048_576)] | None = None
    event_quota_mib: Annotated[int, msgspec.Meta(ge=1, le=1_048_576)] | None = None
    bulk_quota_mib: Annotated[int, msgspec.Meta(ge=1, le=1_048_576)] | None = None
    emergency_per_day: PerDay | dict[str, PerDay] = 24
    queue_records: Annotated[int, msgspec.Meta(ge=64, le=1_000_000)] = 8192


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What delivery may cost. ``[uplink]`` batch_records and batch_age_s are the plan "moving"."""

    plan: Literal["moving", "watched", "low"] = "moving"
    watched_age_s: Positive = 10.0
    watch_limit_s: Positive = 3600.0
    low_age_s: Positive = 300.0
    parked_age_s: Positive = 900.0
    monthly_mb: Annotated[float, msgspec.Meta(gt=0, le=1e9)] | None = None
    roaming: Literal["all", "events", "emergency"] = "all"
    bulk: Literal["any", "wifi"] = "any"
    evidence: Literal["always", "as_bulk"] = "always"


class Uplink(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The broker. No section = records stay on the terminal. Without ``host``: the one that enrolment gave."""

    host: str = ""
    port: Port = 8883
    brokers: tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=260)], ...] = ()
    return_s: Positive = 900.0
    proxy: str | None = None
    proxy_username: str | None = None
    proxy_password_file: str | None = None
    tls: bool = True
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    username: str | None = None
    password_file: str | None = None
    ack: Literal["receiver", "broker"] = "receiver"
    ack_key_file: str | None = None
    batch_records: Annotated[int, msgspec.Meta(ge=1, le=3600)] = 60
    batch_age_s: Positive = 60.0
    keepalive_s: Annotated[int, msgspec.Meta(ge=5, le=1800)] = 120
    stall_s: Positive = 900.0
    beacon_kmh: Annotated[float, msgspec.Meta(ge=5, le=400)] = 60.0
    beacon_s: Annotated[int, msgspec.Meta(ge=0, le=60)] = 5
    budget: Budget = Budget()


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A certificate of the terminal's own, enrolled with a claim token. No section = none."""

    provisioning: str | None = None
    directory: str | None = None


class Modem(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The cellular modem, behind ModemManager. No section = none is looked after."""

    port: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None
    interfaces: tuple[str, ...] = ()
    apn: Annotated[str, msgspec.Meta(min_length=1, max_length=100)] | None = None
    signal_s: Annotated[int, msgspec.Meta(ge=0, le=3600)] = 10
    recover: bool = True
    steps_per_hour: Annotated[int, msgspec.Meta(ge=0, le=60)] = 4
    steps_per_day: Annotated[int, msgspec.Meta(ge=0, le=500)] = 12
    power_command: tuple[str, ...] = ()
    power_file: str | None = None
    power_off: Annotated[str, msgspec.Meta(max_length=64)] = "1"
    power_on: Annotated[str, msgspec.Meta(max_length=64)] = "0"
    power_off_s: Annotated[float, msgspec.Meta(ge=0.1, le=60)] = 5.0
    power_per_hour: Annotated[int, msgspec.Meta(ge=0, le=12)] = 1
    power_per_day: Annotated[int, msgspec.Meta(ge=0, le=48)] = 3
    bus: Annotated[str, msgspec.Meta(min_length=1)] | None = None


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    terminal: Terminal = Terminal()
    vehicle: Vehicle = Vehicle()
    can: tuple[CanBus, ...] = ()
    bus: Bus = Bus()
    gnss: Gnss | None = None
    imu: Imu | None = None
    engine: Engine = Engine()
    telemetry: Telemetry = Telemetry()
    journal: Journal = Journal()
    uplink: Uplink | None = None
    modem: Modem | None = None
    identity: Identity | None = None

    def __post_init__(self) -> None:
        if self.identity is None:
            if self.uplink is not None and not self.uplink.host:
                raise ValueError("uplink.host is missing: the name of the broker; only [identity] can do without")
            return
        if self.uplink is not None and (self.uplink.certificate_file or self.uplink.key_file or self.uplink.ca_file):
            raise ValueError("[identity] brings certificate and roots: remove ca_file, certificate_file and key_file")
        if self.uplink is not None and not self.uplink.tls:
            raise ValueError("[identity] is for TLS: remove tls = false from [uplink]")


def parse_config(text: str, path: Path) -> Config:
    """Config from TOML text. ConfigError names the file, the line or the key, and what to do."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        line = re.search(r"line (\d+)", str(err))
        raise ConfigError(f"not valid TOML: {err}", path=path, line=int(line[1]) if line else None) from None
    except (RecursionError, ValueError):
        raise ConfigError("not valid TOML: nested too deeply or a number is too long", path=path) from None
    try:
        return msgspec.convert(document, Config)
    except msgspec.ValidationError as err:
        raise ConfigError(_explain(str(err), document), path=path) from None


def load_config(path: Path) -> Config:
    """Config from a file; ConfigError when it cannot be read or is wrong."""
    try:
        text = read_text(path)
    except OSError as err:
        raise ConfigError(f"cannot be read: {err.strerror}", path=path) from None
    except UnicodeDecodeError as err:
        raise ConfigError(f"not UTF-8 text at byte {err.start}", path=path) from None
    return parse_config(text, path)


def config_document(config: Config) -> dict[str, Any]:
    """Plain data of a configuration, defaults included, as ``config show`` prints it."""
    document: dict[str, Any] = msgspec.to_builtins(config)
    return document


def config_schema() -> dict[str, Any]:
    """JSON Schema of the file."""
    return msgspec.json.schema(Config)


_SECTIONS: dict[str, type[msgspec.Struct]] = {
    "": Config,
    "terminal": Terminal,
    "vehicle": Vehicle,
    "can": CanBus,
    "bus": Bus,
    "gnss": Gnss,
    "imu": Imu,
    "engine": Engine,
    "telemetry": Telemetry,
    "journal": Journal,
    "uplink": Uplink,
    "uplink.budget": Budget,
    "identity": Identity,
    "modem": Modem,
}


def _explain(message: str, document: dict[str, Any]) -> str:
    """msgspec's message with the key spelled as in the file, and the nearest known key for an unknown one."""
    unknown = re.search(r"unknown field `(.+?)`(?: - at `\$\.?(.*?)`)?$", message)
    if unknown is None:
        return re.sub(r" - at `\$\.?(.*?)`$", r" (at \1)", message) + _choices(message)
    key, place = unknown[1], unknown[2] or ""
    section = re.sub(r"\[.*?\]", "", place)
    section = section if section in _SECTIONS else section.split(".")[0]
    known = list(msgspec.structs.asdict(_empty(section)))
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
    where = f"[{place}] " if place else ""
    hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(sorted(known))}"
    return f"{where}unknown key {key!r}; {hint}"


def _choices(message: str) -> str:
    """What may stand where a word was not known."""
    wrong = re.match(r"Invalid enum value .* - at `\$\.(.+)\.(\w+)`$", message)
    name = "" if wrong is None else re.sub(r"\[.*?\]", "", wrong[1])
    if wrong is None or name not in _SECTIONS:
        return ""
    section = msgspec.inspect.type_info(_SECTIONS[name])
    fields = section.fields if isinstance(section, msgspec.inspect.StructType) else ()
    kind = next((field.type for field in fields if field.encode_name == wrong[2]), None)
    known = kind.values if isinstance(kind, msgspec.inspect.LiteralType) else ()
    return "; use " + " or ".join(f'"{value}"' for value in known) if known else ""


def _empty(section: str) -> msgspec.Struct:
    kind = _SECTIONS.get(section, Config)
    return Imu(device="imu") if kind is Imu else kind()
