"""What a loaded profile gives and lacks, for people and for ``--json``: mapped paths and the inputs of the detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from outrider.i18n import _
from outrider.model.vehicle import Role, VehicleClass, VehicleTables
from outrider.profile.anomaly import Anomaly
from outrider.profile.compile import Source

# An anomaly of these codes means that something an author asked for does not happen; all others are notes.
ERROR_CODES: Final = frozenset({"missing-signal", "transport", "unit", "imu-split", "fix-split"})

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


# (key, roles all of which are needed, roles one of which is needed)
_NEEDS: Final[tuple[tuple[str, tuple[Role, ...], tuple[Role, ...]], ...]] = (
    ("crash-imu", IMU_ROLES[:3], ()),
    ("crash-inferred", (), SPEED_ROLES),
    ("airbag", (Role.AIRBAG,), ()),
    ("harsh-imu", IMU_ROLES[:3], ()),
    ("harsh-speed", (), SPEED_ROLES),
    ("alignment", IMU_ROLES[:3], SPEED_ROLES),
    ("rollover", IMU_ROLES, ()),
    ("wheel-lockup", WHEEL_ROLES, ()),
    ("parked-impact", (*IMU_ROLES[:3], Role.IGNITION), ()),
    ("ignition", (Role.IGNITION,), ()),
    ("odometer", (Role.ODOMETER,), ()),
    ("position", (Role.LAT, Role.LON), ()),
)


def capabilities(tables: VehicleTables) -> tuple[Capability, ...]:
    """What the roles of a profile allow by themselves. A GNSS receiver, an IMU or an ignition wire of the terminal adds
    to it."""
    roles = {slot.role for slot in tables.slots}
    notes = _notes()
    found: list[Capability] = []
    for key, needed, any_of in _NEEDS:
        missing = tuple(role for role in needed if role not in roles)
        given = tuple(role for role in any_of if role in roles)
        if any_of and not given:
            missing = (*missing, any_of[0])
        note = notes[key] + (f" ({', '.join(role.name for role in given)})" if given else "")
        found.append(Capability(key, not missing, note, missing))
    return tuple(found)


def _notes() -> dict[str, str]:
    return {
        "crash-imu": _("crash by change of speed, IMU on CAN"),
        "crash-inferred": _("crash without IMU, by speed and silence"),
        "airbag": _("crash by airbag deployment"),
        "harsh-imu": _("harsh driving by acceleration"),
        "harsh-speed": _("harsh braking and acceleration by speed"),
        "alignment": _("mounting direction learnt while driving"),
        "rollover": _("rollover"),
        "wheel-lockup": _("wheel lock-up and spin"),
        "parked-impact": _("impact while parked"),
        "ignition": _("trips by ignition"),
        "odometer": _("the vehicle's own odometer"),
        "position": _("position from CAN"),
    }


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


def report_document(
    profile_id: str, imu_range_g: float, vehicle_class: VehicleClass, holdup_ms: int, report: ProfileReport
) -> dict[str, Any]:
    """The JSON of ``outrider profile check --json`` (docs/reference/profiles.md)."""
    return {
        "profile": profile_id,
        "imu_range_g": imu_range_g,
        "vehicle_class": vehicle_class.name.lower().replace("_", "-"),
        "holdup_ms": holdup_ms,
        "paths": [_path_document(source) for source in report.sources],
        "capabilities": [
            {"name": c.key, "works": c.works, "note": c.note, "missing": [r.name for r in c.missing]}
            for c in report.capabilities
        ],
        "anomalies": anomaly_documents(report.anomalies),
        "errors": len(report.errors),
    }


def anomaly_documents(anomalies: Sequence[Anomaly]) -> list[dict[str, Any]]:
    return [
        {
            "file": a.file,
            "line": a.line or None,
            "code": a.code,
            "error": a.code in ERROR_CODES,
            "found": a.found,
            "action": a.action,
        }
        for a in anomalies
    ]


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
