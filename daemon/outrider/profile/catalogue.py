"""What the product knows of VSS paths without being told: unit, step, category, role, how long a value stays fresh.

The table itself is ``data/vss.yaml``; an entry of an overlay overrides each of its fields.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from outrider.errors import ProfileError
from outrider.model.record import Category
from outrider.model.vehicle import Role
from outrider.profile.document import Node

CATEGORIES: Final = {
    c.name.lower(): c for c in (Category.SYSTEM, Category.VEHICLE, Category.DRIVING, Category.LOCATION)
}
DEFAULT_MAX_AGE_MS: Final = 3000

# The unit the native engine expects of a role (types.h, enum otr_role); "" = a plain number.
ROLE_UNITS: Final[dict[Role, str]] = {
    **dict.fromkeys((Role.SPEED, Role.SPEED_OBD, Role.GNSS_SPEED), "km/h"),
    **dict.fromkeys((Role.WHEEL_FL, Role.WHEEL_FR, Role.WHEEL_RL, Role.WHEEL_RR), "km/h"),
    **dict.fromkeys((Role.YAW, Role.GYRO_X, Role.GYRO_Y, Role.GYRO_Z), "degrees/s"),
    **dict.fromkeys((Role.ACC_X, Role.ACC_Y, Role.ACC_Z), "m/s^2"),
    **dict.fromkeys((Role.LAT, Role.LON, Role.HEADING), "degrees"),
    **dict.fromkeys((Role.ODOMETER, Role.ALT, Role.HACC), "m"),
    Role.RPM: "rpm",
    Role.SUPPLY_V: "V",
    Role.UTC: "s",
}


@dataclass(frozen=True, slots=True)
class PathInfo:
    """Defaults of one path. unit None or step None = take the signal's."""

    path: str
    unit: str | None = None
    step: float | None = None
    category: Category = Category.VEHICLE
    role: Role = Role.NONE
    max_age_ms: int = DEFAULT_MAX_AGE_MS
    telemetry: bool = True


class Catalogue:
    """Looks paths up; ``[n]`` in a catalogue path stands for any number."""

    def __init__(self, infos: list[PathInfo]) -> None:
        self._exact = {info.path: info for info in infos if "[n]" not in info.path}
        self._patterns = [
            (re.compile(re.escape(info.path).replace(r"\[n\]", "[0-9]+")), info) for info in infos if "[n]" in info.path
        ]

    @property
    def paths(self) -> list[str]:
        return list(self._exact)

    def find(self, path: str) -> PathInfo:
        """The defaults of a path; general ones, by its first words, for a path not listed."""
        info = self._exact.get(path)
        if info is not None:
            return info
        for pattern, info in self._patterns:
            if pattern.fullmatch(path):
                return info
        if path.startswith("Vehicle.CurrentLocation."):
            return PathInfo(path, category=Category.LOCATION)
        if path.startswith("Vehicle.OBD."):
            return PathInfo(path, max_age_ms=10_000)
        return PathInfo(path)


def parse_catalogue(document: Node, file: str) -> Catalogue:
    """Rows ``path: [unit, step, category, role, max_age_ms, telemetry]``; trailing fields may be left out."""
    infos: list[PathInfo] = []
    for path, node in document.items():
        row = node.plain()
        try:
            unit, step, category, role, age, telemetry = [*row, None, None, None, None, None][:6]
            infos.append(
                PathInfo(
                    path,
                    unit,
                    None if step is None else float(step),
                    CATEGORIES[category or "vehicle"],
                    Role[role or "NONE"],
                    int(age or DEFAULT_MAX_AGE_MS),
                    telemetry is not False,
                )
            )
        except (KeyError, TypeError, ValueError) as err:
            raise ProfileError(f"catalogue entry {path}: {err}", path=file, line=node.line) from None
    return Catalogue(infos)
