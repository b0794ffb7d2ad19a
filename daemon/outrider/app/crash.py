"""Crashes out of a journal, a receiver's store or a package: reading and composing, for the command line.

A store is read in two passes, so that of many terminals' years only what lies around a crash is held in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from outrider.crash.bundle import CrashBundle
from outrider.crash.collect import collect, document, windows
from outrider.crash.document import CrashDocument
from outrider.crash.package_io import CrashPackage, read_package
from outrider.engine import Decoder
from outrider.errors import InputError, ProfileError
from outrider.ingest.sinks.sinks_io import open_store
from outrider.ingest.sinks.store_io import Store
from outrider.model.record import Kind, Lane, StoredRecord
from outrider.model.vehicle import VehicleTables
from outrider.profile.load_io import bundled_profiles, load_profile
from outrider.record.inspect import inspect
from outrider.record.storage_io import DirectoryStorage

Tell = Callable[[str, str], None]  # damage seen on the way: where, what

_ALWAYS = frozenset({Kind.BOOT, Kind.CLOCK, Kind.SIGNAL_TABLE, Kind.GAP})


def _quiet(_where: str, _what: str) -> None:
    return


@dataclass(frozen=True, slots=True)
class Place:
    """Where crashes are looked for: one of the first four. device: only this terminal; of a journal its name. sink,
    register: URLs of a receiver's sink."""

    journal: Path | None = None
    store: Path | None = None
    package: Path | None = None
    device: str | None = None
    sink: str | None = None
    register: str | None = None

    def __str__(self) -> str:
        return str(self.package or self.store or self.journal or "the sink")


@dataclass(frozen=True, slots=True)
class Profiles:
    """Vehicle profiles that a person named; empty: the one the records name, if it is among the bundled ones."""

    names: tuple[str, ...] = ()
    dbc: tuple[Path, ...] = ()
    overlay: tuple[Path, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.names or self.dbc or self.overlay)


def all_crashes(place: Place, tell: Tell = _quiet) -> list[CrashBundle]:
    """Every crash there, oldest first; those whose time is not known before all others. ``tell`` hears which files of
    a journal are damaged. Errors: InputError, JournalError, OSError name the place."""
    return sorted(_found(place, tell), key=_age)


def _found(place: Place, tell: Tell) -> list[CrashBundle]:
    if place.package is not None:
        return [_package(place.package, place.device).bundle()]
    if place.store is not None:
        return _of_store(Store.open(place.store, read_only=True), place)
    if place.sink is not None:
        return _of_store(open_store(place.sink, place.register, read_only=True), place)
    assert place.journal is not None
    return collect(_journal_records(place.journal, tell), place.device or "")


def one_crash(place: Place, event: str | None, tell: Tell = _quiet) -> CrashBundle:
    """The crash ``event`` (whole id, or its end), else the newest. InputError when there is none, or several match."""
    found = all_crashes(place, tell)
    if not found:
        raise InputError("no crash is recorded here", path=place)
    if event is None:
        return found[-1]
    wanted = [one for one in found if one.event_id == event] or [one for one in found if one.event_id.endswith(event)]
    if len(wanted) == 1:
        return wanted[0]
    known = ", ".join(one.event_id for one in (wanted or found)[:5])
    what = f"{len(wanted)} crashes end in {event!r}" if wanted else f"there is no crash {event!r}"
    raise InputError(f"{what}; there are {known}", path=place)


def crash_document(place: Place, event: str | None, profiles: Profiles, tell: Tell = _quiet) -> CrashDocument:
    """The document: a package's own as it was made, else made now."""
    if place.package is not None and not profiles:
        package = _package(place.package, place.device)
        if event is not None and not package.document.event_id.endswith(event):
            raise InputError(f"there is no crash {event!r}; there is {package.document.event_id}", path=place)
        return package.document
    bundle = one_crash(place, event, tell)
    return document(bundle, tables_of(bundle, profiles))


def tables_of(bundle: CrashBundle, profiles: Profiles) -> VehicleTables | None:
    """Tables of the profile that was named, else of the bundled one that the records name if it is still the same;
    None when there is none. ProfileError for a named one that cannot be used."""
    if profiles:
        return load_profile(profiles.names, profiles.dbc, profiles.overlay).tables
    wanted = bundle.state.profile_id if bundle.state else bundle.boot.profile_id if bundle.boot else ""
    names = wanted.split("+") if wanted else []
    if not names or not set(names) <= bundled_profiles().keys():
        return None
    with suppress(ProfileError):
        tables = load_profile(names).tables
        if bundle.state is None or Decoder(tables).tables_hash == bundle.state.tables_hash:
            return tables
    return None


def _age(bundle: CrashBundle) -> tuple[int, int]:
    """Newest last: by UTC where it is known."""
    nearest = min(bundle.clocks, key=lambda pair: abs(pair[0] - bundle.t0_us), default=None)
    utc_us = 0 if nearest is None else nearest[1].utc_us + bundle.t0_us - nearest[0]
    return utc_us, bundle.t0_us


def _package(path: Path, device: str | None) -> CrashPackage:
    package = read_package(path)
    if device is not None and device != package.document.device:
        raise InputError(f"is not of a terminal {device!r}", path=path)
    return package


def _journal_records(directory: Path, tell: Tell) -> Iterator[StoredRecord]:
    storage = DirectoryStorage(directory, read_only=True)
    names = storage.names()
    if names and not any(name in {"journal.lock", "cursor.state"} or name.endswith(".seg") for name in names):
        raise InputError("holds no journal; name the directory of one", path=directory)
    found = inspect(storage)
    for damage in found.damage:
        numbers = f" {damage.first}..{damage.last}" if damage.last else ""
        tell(f"{directory}: {damage.name}", damage.what + numbers)
    for name in found.quarantined:
        tell(f"{directory}: {name}", "unreadable, set aside")
    return found.records()


def _of_store(opened: Store, place: Place) -> list[CrashBundle]:
    device = place.device
    with opened as store:
        names = [row["device"] for row in store.device_names()]
        if device is not None and device not in names:
            raise InputError(f"has nothing of a terminal {device!r}", path=place)
        wanted = names if device is None else [device]
        return [bundle for name in wanted for bundle in collect(_around(store, name), name)]


def _around(store: Store, device: str) -> Iterable[StoredRecord]:
    """What lies around the crashes of one terminal, and what explains it."""
    near: dict[int, list[tuple[int, int]]] = {}
    for boot_id, first_us, last_us in windows(store.records(device, lane=Lane.EMERGENCY)):
        near.setdefault(boot_id, []).append((first_us, last_us))
    if not near:
        return ()
    return (stored for stored in store.records(device) if stored.record.kind in _ALWAYS or _inside(stored, near))


def _inside(stored: StoredRecord, near: Mapping[int, Sequence[tuple[int, int]]]) -> bool:
    t_us = stored.record.t_us
    return any(first_us <= t_us <= last_us for first_us, last_us in near.get(stored.record.boot_id, ()))
