"""Suite files from disk: TOML in, ``model.Suite`` out, every mistake named with file, table and key.

Rule: what a suite names must be there before anything runs; all that is missing is told at once.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from outrider.errors import SuiteError
from outrider.files_io import read_text, require_regular
from outrider.suite.model import KINDS, MANOEUVRES, Bus, Drive, Expect, Header, Limits, Outcome, Suite, Tolerances

_TABLES: Final[dict[str, type[msgspec.Struct]]] = {
    "": Suite,
    "suite": Header,
    "suite.tolerances": Tolerances,
    "drive": Drive,
    "drive.expect": Expect,
    "drive.limits": Limits,
}
_CHOICES: Final = {key: f"; known: {', '.join(get_args(of))}" for key, of in (("bus", Bus), ("outcome", Outcome))}
_PAIRS: Final = (
    ("delta_v_tolerance_kmh", "delta_v_kmh"),
    ("peak_tolerance_g", "peak_g"),
    ("duration_tolerance_s", "duration_s"),
)


@dataclass(frozen=True, slots=True)
class LoadedSuite:
    """A suite and the folder its paths are relative to."""

    path: Path
    suite: Suite

    @property
    def base(self) -> Path:
        return self.path.parent

    def files(self, drive: Drive) -> list[Path]:
        """Recordings of a drive."""
        return [self.base / name for name in drive.files]

    def scenario(self, drive: Drive) -> str | None:
        """Name or path of the drive's scenario."""
        return None if drive.scenario is None else self._named(drive.scenario)

    def profiles(self, drive: Drive) -> list[str]:
        """Bundled names stay names."""
        return [self._named(name) for name in drive.profiles or self.suite.suite.profiles]

    def dbc(self, drive: Drive) -> list[Path]:
        return [self.base / name for name in (self.suite.suite.dbc if drive.dbc is None else drive.dbc)]

    def overlays(self, drive: Drive) -> list[Path]:
        return [self.base / name for name in (self.suite.suite.overlays if drive.overlays is None else drive.overlays)]

    def _named(self, name: str) -> str:
        return str(self.base / name) if "/" in name or name.endswith(".toml") else name


def load_suite(path: Path, *, require_files: bool = True) -> LoadedSuite:
    """SuiteError when the file cannot be read, is wrong, or (``require_files``) names what is not there."""
    try:
        text = read_text(path)
    except OSError as err:
        raise SuiteError(f"cannot be read: {err.strerror}", path=path) from None
    except UnicodeDecodeError as err:
        raise SuiteError(f"not UTF-8 text at byte {err.start}", path=path) from None
    loaded = LoadedSuite(path, parse_suite(text, path))
    if require_files:
        _check_files(loaded)
    return loaded


def parse_suite(text: str, path: Path) -> Suite:
    """Suite from TOML text. SuiteError names the line, or the table and the key, and what to do."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        line = re.search(r"line (\d+)", str(err))
        raise SuiteError(f"not valid TOML: {err}", path=path, line=int(line[1]) if line else None) from None
    except (RecursionError, ValueError):
        raise SuiteError("not valid TOML: nested too deeply or a number is too long", path=path) from None
    try:
        suite = msgspec.convert(document, Suite)
    except msgspec.ValidationError as err:
        raise SuiteError(_explain(str(err), document), path=path) from None
    problem = next(_problems(suite), None)
    if problem is not None:
        raise SuiteError(problem, path=path)
    return suite


# -- what one table alone cannot tell -----------------------------------------------------------------


def _problems(suite: Suite) -> Iterator[str]:
    header = suite.suite
    names = Counter(drive.name for drive in suite.drive)
    for name in (header.name, *names, header.algorithm or "", *header.interfaces):
        if not name.isprintable():
            yield f"name {name!r} holds a character that cannot be printed"
    yield from (f"two drives are called {name!r}: names must differ" for name, count in names.items() if count > 1)
    if not header.profiles:
        yield "[suite] profiles is empty: name at least one vehicle profile"
    yield from (f"[suite] interfaces names {name!r} twice: each bus has its own" for name in _twice(header.interfaces))
    yield from (f"[suite] {problem}" for problem in _name_problems(header))
    for drive in suite.drive:
        where = f"[[drive]] {drive.name!r}:"
        if bool(drive.files) == (drive.scenario is not None):
            yield f"{where} give either files (recordings) or scenario (simulated)"
        if drive.profiles == ():
            yield f"{where} profiles is empty: name at least one vehicle profile, or leave it out"
        yield from (f"{where} files names {name!r} twice" for name in _twice(drive.files))
        yield from (f"{where} {problem}" for problem in _name_problems(drive))
        for number, expect in enumerate(drive.expect, 1):
            yield from (f"{where} expect {number}: {problem}" for problem in _expect_problems(expect))
        if drive.limits.distance_tolerance_km is not None and drive.limits.distance_km is None:
            yield f"{where} limits: distance_tolerance_km needs distance_km"


def _twice(names: tuple[str, ...]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _name_problems(table: Header | Drive) -> Iterator[str]:
    """No file can be called so, and the system would not say which."""
    for key in ("files", "scenario", "profiles", "dbc", "overlays"):
        value = getattr(table, key, None) or ()
        for name in (value,) if isinstance(value, str) else value:
            if "\0" in name:
                yield f"{key}: {name!r} holds a null character"


def _expect_problems(expect: Expect) -> Iterator[str]:
    if expect.kind not in KINDS:
        near = difflib.get_close_matches(expect.kind, KINDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known kinds: {', '.join(KINDS)}"
        yield f"no kind {expect.kind!r}; {hint}"
    for tolerance, value in _PAIRS:
        if getattr(expect, tolerance) is not None and getattr(expect, value) is None:
            yield f"{tolerance} needs {value}"
    if expect.detect_within_s is not None and expect.kind in MANOEUVRES:
        yield f"detect_within_s is for alarms; {expect.kind} is reported when it is over"


def _check_files(loaded: LoadedSuite) -> None:
    missing = []
    for drive in loaded.suite.drive:
        for path in (*loaded.files(drive), *loaded.dbc(drive), *loaded.overlays(drive), *_documents(loaded, drive)):
            try:
                require_regular(path)
            except OSError as err:
                missing.append(f"drive {drive.name!r}: {path}: {err.strerror}")
    if missing:
        listed = "".join(f"\n  {line}" for line in dict.fromkeys(missing))
        raise SuiteError(
            f"{len(missing)} file(s) cannot be read; paths are relative to the suite:{listed}", path=loaded.path
        )


def _documents(loaded: LoadedSuite, drive: Drive) -> list[Path]:
    """Profiles and scenarios that are files."""
    names = [*loaded.profiles(drive), loaded.scenario(drive) or ""]
    return [Path(name) for name in names if "/" in name or name.endswith(".toml")]


# -- msgspec's messages, in the words of the file ------------------------------------------------------


def _explain(message: str, document: dict[str, Any]) -> str:
    """The message with the table as the file has it, and the nearest known key for an unknown one."""
    found = re.search(r"^(.*?)(?: - at `\$\.?(.*?)`)?$", message, re.DOTALL)
    text, place = (found[1], found[2] or "") if found else (message, "")
    unknown = re.search(r"unknown field `(.+?)`", text)
    where = _place(place, document)
    if unknown is None:
        known = _CHOICES.get(place.rsplit(".", 1)[-1], "") if text.startswith("Invalid enum value") else ""
        return f"{where}{text[:1].lower()}{text[1:]}{known}"
    table = re.sub(r"\[.*?\]", "", place)
    keys = sorted(field.name for field in msgspec.structs.fields(_TABLES.get(table, Suite)))
    near = difflib.get_close_matches(unknown[1], keys, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(keys)}"
    return f"{where}unknown key {unknown[1]!r}; {hint}"


def _place(place: str, document: dict[str, Any]) -> str:
    """``drive[1].expect[0].t_s`` as ``[[drive]] 2 'city', expect 1, t_s: ``."""
    if not place:
        return ""
    match = re.match(r"drive\[(\d+)\]\.?(.*)", place)
    if match is None:
        table, _dot, key = place.partition(".")
        return f"[{table}] {key}".rstrip() + ": "
    name = _drive_name(document, int(match[1]))
    rest = [
        re.sub(r"(\w+)\[(\d+)\]", lambda m: f"{m[1]} {int(m[2]) + 1}", part) for part in match[2].split(".") if part
    ]
    return ", ".join([f"[[drive]] {int(match[1]) + 1}{name}", *rest]) + ": "


def _drive_name(document: dict[str, Any], number: int) -> str:
    drives = document.get("drive")
    drive = drives[number] if isinstance(drives, list) and number < len(drives) else None
    name = drive.get("name") if isinstance(drive, dict) else None
    return f" {name!r}" if isinstance(name, str) else ""
