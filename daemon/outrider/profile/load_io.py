"""Opens profiles: bundled ones by name, files by path, with the DBC files and overlays they name and the user adds.

The only module of the package that reads files. A profile name is looked for in ``outrider/profile/data`` and
``outrider/sim/data``; nothing of those packages is imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from outrider.errors import ProfileError
from outrider.files_io import read_file
from outrider.model.vehicle import VehicleClass, VehicleTables
from outrider.profile.catalogue import Catalogue, parse_catalogue
from outrider.profile.compile import Part, compile_profile
from outrider.profile.dbc_loader import load_dbc
from outrider.profile.dbc_model import Dbc
from outrider.profile.document import read_document
from outrider.profile.explain import ProfileReport, capabilities, split_anomalies
from outrider.profile.overlay import Mapping, nearest, parse_overlay
from outrider.profile.profile_file import SUFFIX, ProfileFile, parse_profile

MAX_FILE_BYTES: Final = 64 * 1024 * 1024
_SHELVES: Final = (("profile", "data"), ("sim", "data"))


@dataclass(frozen=True, slots=True)
class LoadedProfile:
    """tables: for the engine. imu_range_g: range of the IMU on CAN, 0 = none or unknown. report: for people.

    holdup_ms: how long the terminal lives on its own energy after the car's supply is gone, 0 = not at all.
    """

    tables: VehicleTables
    imu_range_g: float
    report: ProfileReport
    vehicle_class: VehicleClass = VehicleClass.PASSENGER
    holdup_ms: int = 0


def load_profile(names: Sequence[str], dbc: Sequence[Path] = (), overlay: Sequence[Path] = ()) -> LoadedProfile:
    """Load and combine profiles: bundled names or paths of ``*.profile.toml``.

    dbc: more DBC files, searched for signals that a profile's own files lack. overlay: more overlays; their paths win
    over those of the profiles. Raises ProfileError (what, where, what to do); oddities that cost little are in
    ``report.anomalies``.
    """
    if not names and not overlay:
        raise ProfileError("no vehicle profile given; name one (outrider profile list shows them) or an overlay")
    user_dbcs = tuple(read_dbc(path) for path in dbc)
    opened = [_open_profile(name) for name in names]
    parts = [_part(profile, place, user_dbcs) for profile, place in opened]
    if overlay:
        mappings = tuple(mapping for path in overlay for mapping in _read_overlay(path))
        own = tuple(d for part in parts for d in part.dbcs)
        flags = {profile.j1939 for profile, _place in opened} - {None}
        aliases = tuple(alias for part in parts for alias in part.aliases)
        parts.insert(0, Part("overlay", mappings, user_dbcs, own, aliases, flags.pop() if len(flags) == 1 else None))
    compiled = compile_profile("+".join([p.id for p, _place in opened] or ["overlay"]), parts, default_catalogue())
    found = [a for d in _all_dbcs(parts) for a in d.anomalies]
    anomalies = (*compiled.anomalies, *split_anomalies(compiled.sources), *found)
    report = ProfileReport(compiled.sources, capabilities(compiled.tables), anomalies)
    return LoadedProfile(
        compiled.tables,
        max((p.imu_range_g for p, _place in opened), default=0.0),
        report,
        _vehicle_class([p for p, _place in opened]),
        max((p.holdup_ms for p, _place in opened), default=0),
    )


def bundled_profiles() -> dict[str, ProfileFile]:
    """Name -> profile, of all that come with the product."""
    found: dict[str, ProfileFile] = {}
    for shelf in _shelves():
        for entry in shelf.iterdir():
            if entry.name.endswith(SUFFIX):
                found[entry.name.removesuffix(SUFFIX)] = parse_profile(_read_text(entry), entry.name)
    return dict(sorted(found.items()))


def read_dbc(path: Path | Traversable) -> Dbc:
    """One DBC file. Raises ProfileError if it cannot be read or is no DBC."""
    return load_dbc(_read_bytes(path), str(path))


@cache
def default_catalogue() -> Catalogue:
    """The product's own defaults per VSS path, read once."""
    place = files("outrider").joinpath("profile", "data", "vss.yaml")
    return parse_catalogue(read_document(_read_text(place), "vss.yaml"), "vss.yaml")


def _shelves() -> list[Traversable]:
    places = [files("outrider").joinpath(*parts) for parts in _SHELVES]
    return [place for place in places if place.is_dir()]


def _open_profile(name: str) -> tuple[ProfileFile, Traversable | Path]:
    """The profile and the folder its relative paths start from."""
    if "/" not in name and not name.endswith(".toml"):
        for shelf in _shelves():
            entry = shelf.joinpath(name + SUFFIX)
            if entry.is_file():
                return parse_profile(_read_text(entry), entry.name), shelf
        names = list(bundled_profiles())
        hint = nearest(name, names) or f"; there are {', '.join(names)}"
        raise ProfileError(f"no profile is called {name} (a file is given by its path, such as ./car{SUFFIX}){hint}")
    path = Path(name)
    return parse_profile(_read_text(path), str(path)), path.parent


def _vehicle_class(profiles: Sequence[ProfileFile]) -> VehicleClass:
    """Passenger car where none names a class; ProfileError where two name different ones."""
    named = {p.vehicle.vehicle_class: p.id for p in profiles if p.vehicle.vehicle_class not in {"", "any"}}
    if len(named) > 1:
        told = ", ".join(f"{name} ({profile})" for name, profile in sorted(named.items()))
        raise ProfileError(f"the profiles name different vehicle classes: {told}; a car has one")
    return VehicleClass[next(iter(named), "passenger").upper().replace("-", "_")]


def _part(profile: ProfileFile, place: Traversable | Path, user_dbcs: tuple[Dbc, ...]) -> Part:
    dbcs = tuple(read_dbc(_beside(place, name)) for name in profile.dbc)
    if not dbcs and not user_dbcs and profile.overlay:
        needs = profile.needs or "the DBC file of the car"
        raise ProfileError(f"profile {profile.id} needs {needs}: give it with --dbc (dbc = [...] in the configuration)")
    mappings = tuple(mapping for name in profile.overlay for mapping in _read_overlay(_beside(place, name)))
    return Part(profile.id, mappings, dbcs, user_dbcs, profile.aliases(), profile.j1939)


def _beside(place: Traversable | Path, name: str) -> Traversable | Path:
    return Path(name) if Path(name).is_absolute() else place / name


def _all_dbcs(parts: Sequence[Part]) -> list[Dbc]:
    return list({d.file: d for part in parts for d in (*part.dbcs, *part.user_dbcs)}.values())


def _read_overlay(path: Path | Traversable) -> tuple[Mapping, ...]:
    return parse_overlay(read_document(_read_text(path), str(path)), str(path))


def _read_text(path: Path | Traversable) -> str:
    try:
        return _read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as err:
        line = err.object[: err.start].count(b"\n") + 1
        raise ProfileError("not UTF-8; save the file as UTF-8", path=path, line=line) from None


def _read_bytes(path: Path | Traversable) -> bytes:
    try:
        return read_file(path, MAX_FILE_BYTES) if isinstance(path, Path) else path.read_bytes()
    except OSError as err:
        raise ProfileError(f"cannot be read: {err.strerror or err}", path=path) from None
