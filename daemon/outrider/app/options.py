"""From the configuration file to the options of each part: the one place that knows both."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from outrider.app.delivery import DeliveryOptions, read_key, split_broker
from outrider.config import Budget as BudgetSection
from outrider.config import CanBus, Config, Imu
from outrider.config import Journal as JournalSection
from outrider.config import Uplink as UplinkSection
from outrider.drive.beacons import BeaconOptions
from outrider.drive.precision import unknown_paths
from outrider.errors import ConfigError
from outrider.files_io import read_text
from outrider.model.event import EventKind
from outrider.model.record import Lane, SignalTable
from outrider.model.vehicle import VehicleTables
from outrider.ports import Clock, LiveSource
from outrider.profile.load_io import LoadedProfile, load_profile
from outrider.record.emergency_cap import CapOptions
from outrider.record.options import JournalOptions
from outrider.record.writer_io import WriterOptions
from outrider.sources.can_io import CanOptions, CanSource
from outrider.sources.captured_io import SYS_NET, CaptureDesk, CapturedSource
from outrider.sources.filters import MAX_FILTERS, FrameFilter, profile_filters
from outrider.sources.gnss_io import GnssOptions, GnssSource
from outrider.sources.iio_device_io import IioPlaces
from outrider.sources.imu_iio_io import IioImuSource, ImuOptions
from outrider.sources.unix_bus_io import UnixBusSource
from outrider.uplink.budget import BudgetOptions, Plan, Portion, Reach
from outrider.uplink.options import AckMode, Proxy, SendOptions, TlsOptions, UplinkOptions, parse_proxy

if TYPE_CHECKING:
    from outrider.trust.identity_io import DeviceIdentity

CAPTURED_INTERFACE: Final = "socketcan"
UNIX_INTERFACE: Final = "unix"  # sources/unix_bus_io.py
GATHER_US: Final = 5_000
EVIDENCE_RESERVE_BYTES: Final = 4 * 1024 * 1024  # a crash on a busy bus makes some 3 MB
MAX_BUSES: Final = 16  # OTR_FRAME_INBOXES_MAX

log = logging.getLogger(__name__)


def vehicle_profile(config: Config, base: Path) -> LoadedProfile:
    """The profile; paths are relative to ``base``, bundled names stay names."""
    names = [str(base / n) if "/" in n or n.endswith(".toml") else n for n in config.vehicle.profiles]
    dbc = [base / path for path in config.vehicle.dbc]
    overlays = [base / path for path in config.vehicle.overlays]
    return load_profile(names, dbc, overlays)


def holdup_ms(config: Config, profile: LoadedProfile) -> int:
    """Stored energy: what the configuration says of this terminal, else what the profile says of its kind."""
    return profile.holdup_ms if config.terminal.holdup_ms is None else config.terminal.holdup_ms


def delivery_options(
    config: Config, base: Path, boot_id: int, identity: DeviceIdentity | None = None
) -> DeliveryOptions:
    """identity: of an enrolled terminal; its certificate and key go before the files that [uplink] names."""
    section = config.journal
    return DeliveryOptions(
        directory=base / config.terminal.data_directory / "journal",
        boot_id=boot_id,
        journal=JournalOptions.sized(
            telemetry_segment_bytes=section.telemetry_segment_kib * 1024,
            quota_bytes=section.quota_mib * 1024 * 1024,
            evidence_reserve_bytes=EVIDENCE_RESERVE_BYTES,
            quotas={
                Lane.TELEMETRY: _mib(section.telemetry_quota_mib),
                Lane.EVENT: _mib(section.event_quota_mib),
                Lane.BULK: _mib(section.bulk_quota_mib),
            },
        ),
        cap=cap_options(section),
        writer=WriterOptions(
            event_commit_s=section.event_commit_s,
            telemetry_commit_s=section.telemetry_commit_s,
            telemetry_commit_moving_s=section.telemetry_commit_moving_s,
            queue_records=section.queue_records,
        ),
        uplink=None if config.uplink is None else uplink_options(config.uplink, config.terminal.device, base, identity),
        budget=BudgetOptions() if config.uplink is None else budget_options(config.uplink),
    )


def cap_options(section: JournalSection) -> CapOptions:
    """ConfigError for a kind of event that is no emergency."""
    wanted = section.emergency_per_day
    if isinstance(wanted, int):
        return CapOptions(wanted)
    kinds = [kind.name.lower() for kind in EventKind if kind.is_crash]
    for name in wanted:
        if name not in kinds:
            raise ConfigError(f"[journal] emergency_per_day: {name!r} is no emergency; known: {', '.join(kinds)}")
    return CapOptions(of_kind=wanted)


def _mib(number: int | None) -> int | None:
    return None if number is None else number * 1024 * 1024


def uplink_options(
    section: UplinkSection, device: str, base: Path, identity: DeviceIdentity | None = None
) -> UplinkOptions:
    """ConfigError for a key or password file that cannot be read."""
    mode = AckMode(section.ack)
    if identity is not None and section.ack_key_file is None:
        key = bytes.fromhex(identity.settings().ack_key)
    else:
        key = b"" if mode is AckMode.BROKER else read_key(_path(base, section.ack_key_file))
    files = TlsOptions(
        ca_file=_path(base, section.ca_file),
        certificate_file=_path(base, section.certificate_file),
        key_file=_path(base, section.key_file),
    )
    tls: TlsOptions | Callable[[], ssl.SSLContext] = files if identity is None else identity.tls
    return UplinkOptions(
        host=section.host,
        port=section.port,
        device=device,
        others=tuple(split_broker(text, section.port) for text in section.brokers),
        prefer_s=section.return_s,
        proxy=uplink_proxy(section, base),
        stall_s=section.stall_s,
        ack_key=key,
        ack=mode,
        tls=tls if section.tls else None,
        username=section.username,
        password=_secret(_path(base, section.password_file)),
        keepalive_s=section.keepalive_s,
        send=SendOptions(batch_records=section.batch_records, batch_age_s=section.batch_age_s),
    )


def warn_of_unknown_paths(config: Config, table: SignalTable) -> None:
    """One file may serve cars with different signals, so that is no error."""
    for path, near in unknown_paths(config.telemetry.precision, {spec.path for spec in table.signals}):
        hint = f"; did you mean {near}?" if near else ""
        log.warning("[telemetry.precision] %s: this car has no such signal in its telemetry%s", path, hint)


def uplink_proxy(section: UplinkSection, base: Path) -> Proxy | None:
    """The proxy on the way out, None without one. ConfigError for one that is none, or an unreadable password."""
    if section.proxy is None:
        return None
    return parse_proxy(section.proxy, section.proxy_username, _secret(_path(base, section.proxy_password_file)))


def budget_options(section: UplinkSection) -> BudgetOptions:
    """A row comes each second, so a plan's seconds are its records."""
    budget: BudgetSection = section.budget
    return BudgetOptions(
        plan=Plan(budget.plan),
        moving=Portion(section.batch_records, section.batch_age_s),
        watched=Portion(max(1, round(budget.watched_age_s)), budget.watched_age_s),
        low=Portion(max(1, round(budget.low_age_s)), budget.low_age_s),
        parked_s=budget.parked_age_s,
        watch_s=budget.watch_limit_s,
        monthly_bytes=None if budget.monthly_mb is None else max(1, round(budget.monthly_mb * 1e6)),
        roaming=Reach(budget.roaming),
        bulk_wifi=budget.bulk == "wifi",
        evidence_always=budget.evidence == "always",
    )


def beacon_options(config: Config) -> BeaconOptions:
    """Without a broker there are none to send."""
    if config.uplink is None:
        return BeaconOptions(interval_s=0)
    return BeaconOptions(from_kmh=config.uplink.beacon_kmh, interval_s=config.uplink.beacon_s)


def frame_inboxes(config: Config) -> int:
    """One for each bus. ConfigError for more buses than the engine has room for."""
    if len(config.can) > MAX_BUSES:
        raise ConfigError(f"{len(config.can)} [[can]] sections, at most {MAX_BUSES}")
    return max(1, len(config.can))


def captured(config: Config) -> bool:
    """Whether any bus is read natively."""
    return any(bus.interface in {CAPTURED_INTERFACE, UNIX_INTERFACE} for bus in config.can)


def gather_us(config: Config) -> int:
    """How long frames may gather before they are read. A Unix socket queues no more than some 10 datagrams
    (net.unix.max_dgram_qlen): there, waiting would hold up the sender, and so the stamps."""
    return 0 if any(bus.interface == UNIX_INTERFACE for bus in config.can) else GATHER_US


def check_rig_speed(config: Config, speed: int, sys_net: Path = SYS_NET, *, path: Path | None = None) -> None:
    """ConfigError unless every bus can be one on which a drive is played ``speed`` times as fast as it was."""
    if speed != 1 and config.imu is not None:
        raise ConfigError(
            f"--rig-speed {speed}: the sensor of [imu] runs in real time; leave one of them out", path=path
        )
    for bus in config.can if speed != 1 else ():
        if bus.interface not in {CAPTURED_INTERFACE, UNIX_INTERFACE}:
            raise ConfigError(
                f'--rig-speed {speed}: [[can]] interface "{bus.interface}" has no scaled time; '
                f'use "{UNIX_INTERFACE}", or "{CAPTURED_INTERFACE}" on a vcan interface',
                path=path,
            )
        if bus.interface == CAPTURED_INTERFACE and (sys_net / bus.channel / "device").exists():
            raise ConfigError(
                f"--rig-speed {speed}: {bus.channel} has hardware behind it, and a real bus runs in real time; "
                "leave the option out, or name a vcan interface",
                path=path,
            )


def live_sources(
    config: Config, clock: Clock, desk: CaptureDesk | None = None, tables: VehicleTables | None = None
) -> list[LiveSource]:
    """One source for each bus, in the order of the file (their bus numbers), the GNSS receiver, the inertial sensor.

    With a desk, buses of SocketCAN and of Unix sockets are read natively. ``tables``: what ``frames = "profile"``
    means.
    """
    sources: list[LiveSource] = [
        _can_source(
            CanOptions(
                interface=bus.interface,
                channel=bus.channel,
                bitrate=bus.bitrate,
                fd=bus.fd,
                listen_only=bus.listen_only,
                options=bus.options,
                bus=number,
                filters=_filters(bus, number, tables),
            ),
            clock,
            desk,
        )
        for number, bus in enumerate(config.can)
    ]
    if config.gnss is not None:
        sources.append(GnssSource(GnssOptions(device=config.gnss.device, baud_rate=config.gnss.baud_rate), clock))
    if config.imu is not None:
        sources.append(IioImuSource(_imu_options(config.imu), clock))
    return sources


def _imu_options(section: Imu) -> ImuOptions:
    return ImuOptions(
        device=section.device,
        gyro_device=section.gyro_device,
        rate_hz=section.rate_hz,
        range_g=section.range_g,
        range_dps=section.range_dps,
        watermark_ms=section.watermark_ms,
        places=IioPlaces(Path(section.sysfs), Path(section.dev)),
    )


def imu_range_g(config: Config, profile: LoadedProfile) -> float:
    """Of the sensor that will be heard: the terminal's own where there is one, else that of the profile; 0 unknown."""
    return profile.imu_range_g if config.imu is None else config.imu.range_g


def _filters(bus: CanBus, number: int, tables: VehicleTables | None) -> tuple[FrameFilter, ...] | None:
    if bus.frames == "all" or tables is None:
        return None
    filters = profile_filters(tables, number)
    if filters is None:
        log.warning("%s: the profile needs more than %d kernel filters; all frames are read", bus.channel, MAX_FILTERS)
    return filters


def _can_source(options: CanOptions, clock: Clock, desk: CaptureDesk | None) -> LiveSource:
    if desk is not None and options.interface == CAPTURED_INTERFACE:
        return CapturedSource(options, clock, desk)
    if desk is not None and options.interface == UNIX_INTERFACE:
        return UnixBusSource(options, clock, desk)
    return CanSource(options, clock)


def _path(base: Path, text: str | None) -> Path | None:
    return None if text is None else base / text


def _secret(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return read_text(path).strip()
    except OSError as err:
        raise ConfigError(f"cannot be read: {err.strerror}", path=path) from None
    except UnicodeDecodeError as err:
        raise ConfigError(f"not UTF-8 text at byte {err.start}", path=path) from None
