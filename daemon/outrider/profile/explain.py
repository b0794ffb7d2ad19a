"""What a loaded profile gives and what it lacks, for people and for ``--json``: mapped paths and the detector's inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from outrider.i18n import _
from outrider.model.vehicle import Role, VehicleTables
from outrider.profile.anomaly import Anomaly
from outrider.profile.compile import Source

# An anomaly of these codes means that something an author asked for does not happen; all others are notes.
ERROR_CODES: Final = frozenset(
    {"missing-signal", "transport", "path-twice", "role-twice", "unit", "imu-split", "fix-split"}
)

IMU_ROLES: Final = (Role.ACC_X, Role.ACC_Y, Role.ACC_Z, Role.GYRO_X, Role.GYRO_Y, Role.GYRO_Z)
WHEEL_ROLES: Final = (Role.WHEEL_FL, Role.WHEEL_FR, Role.WHEEL_RL, Role.WHEEL_RR)
SPEED_ROLES: Final = (Role.SPEED, Role.SPEED_OBD, Role.GNSS_SPEED)


@dataclass(frozen=True, slots=True)
class Capability:
    """One thing the product does with this vehicle. missing: the roles that would make it work, () when it does."""

    key: str
    works: bool
    note: str
    missing: tuple[Role, ...] = ()


@dataclass(frozen=True, slots=True)
class ProfileReport:
    """Where every slot comes from (``sources``, same order as ``tables.slots``), what works, what was odd."""

    sources: tuple[Source, ...]
    capabilities: tuple[Capability, ...]
    anomalies: tuple[Anomaly, ...]

    @property
    def errors(self) -> tuple[Anomaly, ...]:
        return tuple(a for a in self.anomalies if a.code in ERROR_CODES)


def capabilities(tables: VehicleTables) -> tuple[Capability, ...]:
    """What the roles of a profile allow by themselves. A GNSS receiver, an IMU or an ignition wire of the terminal's own
    adds to it."""
    roles = {slot.role for slot in tables.slots}
    acc = all(role in roles for role in IMU_ROLES[:3])
    speeds = [role for role in SPEED_ROLES if role in roles]
    names = ", ".join(role.name for role in speeds)
    any_speed = bool(speeds)
    position = Role.LAT in roles and Role.LON in roles
    return (
        _cap("crash-imu", acc, _("crash by change of speed (IMU on CAN)"), IMU_ROLES[:3], roles),
        _cap("crash-inferred", any_speed, _("crash without IMU (speed and silence)"), SPEED_ROLES[:1], roles, names),
        _cap("airbag", Role.AIRBAG in roles, _("crash by airbag deployment"), (Role.AIRBAG,), roles),
        _cap("harsh-imu", acc, _("harsh driving by acceleration"), IMU_ROLES[:3], roles),
        _cap("harsh-speed", any_speed, _("harsh braking and acceleration by speed"), SPEED_ROLES[:1], roles, names),
        _cap("alignment", acc and any_speed, _("mounting direction learnt"), (*IMU_ROLES[:3], Role.SPEED), roles),
        _cap("rollover", all(r in roles for r in IMU_ROLES), _("rollover"), IMU_ROLES, roles),
        _cap("wheel-lockup", all(r in roles for r in WHEEL_ROLES), _("wheel lock-up and spin"), WHEEL_ROLES, roles),
        _cap("parked-impact", acc and Role.IGNITION in roles, _("impact while parked"), (*IMU_ROLES[:3], Role.IGNITION), roles),
        _cap("ignition", Role.IGNITION in roles, _("trips by ignition"), (Role.IGNITION,), roles),
        _cap("odometer", Role.ODOMETER in roles, _("vehicle's own odometer"), (Role.ODOMETER,), roles),
        _cap("position", position, _("position from CAN"), (Role.LAT, Role.LON), roles),
    )  # fmt: skip


def _cap(key: str, works: bool, note: str, needed: tuple[Role, ...], roles: set[Role], given: str = "") -> Capability:
    missing = () if works else tuple(role for role in needed if role not in roles)
    return Capability(key, works, f"{note}: {given}" if given and works else note, missing)


def split_anomalies(sources: tuple[Source, ...]) -> list[Anomaly]:
    """An IMU sample and a position are made of one message each: roles spread over messages never come together."""
    found: list[Anomaly] = []
    for code, roles, what in (
        ("imu-split", IMU_ROLES, "the axes of the IMU"),
        ("fix-split", (Role.LAT, Role.LON), "latitude and longitude"),
    ):
        rows = [s for s in sources if s.slot.role in roles]
        messages = sorted({s.message.name for s in rows})
        if len(messages) > 1:
            at = rows[0].mapping
            text = f"{what} are spread over the messages {', '.join(messages)}"
            found.append(
                Anomaly(at.file, at.line or 0, code, text, "not used by the detector; they must be in one message")
            )
    return found


def report_document(profile_id: str, imu_range_g: float, report: ProfileReport) -> dict[str, Any]:
    """The JSON of ``outrider profile check --json`` (docs/reference/profiles.md)."""
    return {
        "profile": profile_id,
        "imu_range_g": imu_range_g,
        "paths": [_path_document(source) for source in report.sources],
        "capabilities": [
            {"name": c.key, "works": c.works, "note": c.note, "missing": [r.name for r in c.missing]}
            for c in report.capabilities
        ],
        "anomalies": [
            {
                "file": a.file,
                "line": a.line or None,
                "code": a.code,
                "error": a.code in ERROR_CODES,
                "found": a.found,
                "action": a.action,
            }
            for a in report.anomalies
        ],
        "errors": len(report.errors),
    }


def _path_document(source: Source) -> dict[str, Any]:
    slot, field = source.slot, source.signal.field
    return {
        "path": slot.path,
        "unit": slot.unit,
        "step": slot.step,
        "role": slot.role.name,
        "category": slot.category.name.lower(),
        "max_age_ms": slot.max_age_ms,
        "telemetry": slot.telemetry,
        "labels": {str(code): text for code, text in slot.labels},
        "from": source.part,
        "message": source.message.name,
        "frame_id": source.message.frame_id,
        "extended": source.message.extended,
        "signal": source.signal.name,
        "start": field.start,
        "length": field.length,
        "big_endian": field.big_endian,
    }
