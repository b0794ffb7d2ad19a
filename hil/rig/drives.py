"""The drives the rig plays, and what `outrider replay` makes of them: prepared on the host before a guest is booted.

    build/hil/drives/<name>/drive.log  [drive.nmea]  drive.json
                            expected.jsonl        the event records of `outrider replay --journal`, as exported

A simulated drive costs the host seconds and a slow guest minutes; an MF4 recording needs the workstation extra, which a
terminal has not. Recordings are made candump text here, whole and as an excerpt.

To add a drive: a line in ``DRIVES``. A recording that is not on this machine is left out, and its tests are skipped.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from outrider.sim.drive import generate
from outrider.sim.scenario_io import load_scenario
from outrider.sim.write_io import write_drive
from outrider.sources.drive_io import load_drive

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "build" / "hil" / "drives"
WHOLE: Final = os.environ.get("OUTRIDER_HIL_WHOLE") == "1"  # also the forty minutes


@dataclass(frozen=True)
class Source:
    """Where a drive comes from: a scenario of the simulator or recordings, and optionally which part (seconds)."""

    name: str
    profiles: tuple[str, ...]
    scenario: str = ""
    recording: tuple[str, ...] = ()  # below the data folder; the last part may be a pattern
    dbc: tuple[str, ...] = ()
    part_s: tuple[float, float] | None = None


CANEDGE: Final = ("canedge", "164", "00000004*.MF4")  # ten minutes, with a harsh braking and a harsh acceleration
CANEDGE_WHOLE: Final = ("canedge", "164", "*.MF4")  # forty
CANMOD_DBC: Final = ("canedge", "canmod-gps.dbc")
# Of hil/suites/scenarios.suite.toml: the seconds around the accident of two, or all of them whole.
_ACCIDENTS: Final = {"front-62": (9.0, 22.0), "rollover": (8.0, 26.0)}
SCENARIOS: Final = (
    *_ACCIDENTS,
    *("side-impact", "pole", "second-impact", "power-loss", "emergency-stop", "kerb-angle", "pothole-deep"),
    *("door-slam", "ice-start", "jack", "tow", "device-drop"),
)[: None if WHOLE else len(_ACCIDENTS)]


def scenario_drive(name: str) -> str:
    """The prepared drive of a scenario."""
    return f"scenario-{name}"


DRIVES: Final = (
    Source("city-crash", ("simcar",), scenario="city-crash"),
    Source("city-crash-end", ("simcar",), scenario="city-crash", part_s=(598.0, 718.0)),
    Source("canedge", ("canmod", "obd2"), recording=CANEDGE, dbc=CANMOD_DBC),
    Source("canedge-part", ("canmod", "obd2"), recording=CANEDGE, dbc=CANMOD_DBC, part_s=(300.0, 420.0)),
    *(
        Source(scenario_drive(name), ("simcar",), scenario=name, part_s=None if WHOLE else _ACCIDENTS[name])
        for name in SCENARIOS
    ),
    *((Source("canedge-whole", ("canmod", "obd2"), recording=CANEDGE_WHOLE, dbc=CANMOD_DBC),) if WHOLE else ()),
)


@dataclass(frozen=True)
class PreparedDrive:
    """A drive on disk. ``events``: what replay found, ``content`` of each event record in order of time."""

    name: str
    files: tuple[Path, ...]
    profiles: tuple[str, ...]
    dbc: tuple[Path, ...]
    events: tuple[dict[str, Any], ...]


def load(name: str, folder: Path = FOLDER) -> PreparedDrive | None:
    """A prepared drive, None when its recording is not on this machine."""
    place = folder / name
    if not (place / "drive.json").exists():
        return None
    about = json.loads((place / "drive.json").read_text(encoding="utf-8"))
    lines = (place / "expected.jsonl").read_text(encoding="utf-8").splitlines()
    return PreparedDrive(
        name,
        tuple(path for path in (place / "drive.log", place / "drive.nmea") if path.exists()),
        tuple(about["profiles"]),
        tuple(place / path for path in about["dbc"]),
        tuple(json.loads(line) for line in lines),
    )


def prepare_all(folder: Path = FOLDER, say: Callable[[str], None] = print) -> None:
    """All drives, those that are there already only when what makes them has changed."""
    for source in DRIVES:
        found = _found(source)
        if found is None:
            say(f"rig: no recording for the drive {source.name}: its tests will be skipped (OUTRIDER_DATA)")
            shutil.rmtree(folder / source.name, ignore_errors=True)
            continue
        key = _key(source, found)
        stamp = folder / source.name / "key"
        if not stamp.exists() or stamp.read_text() != key:
            say(f"rig: preparing the drive {source.name}")
            _prepare(source, found, folder)
            stamp.write_text(key)


def data_folder() -> Path:
    return Path(os.environ.get("OUTRIDER_DATA", ROOT.parent / "shared" / "data"))


def _found(source: Source) -> list[Path] | None:
    """Recordings and DBC files of a source; None when one is missing."""
    paths: list[Path] = []
    for parts in ([source.recording] if source.recording else []) + ([source.dbc] if source.dbc else []):
        matching = sorted(data_folder().joinpath(*parts[:-1]).glob(parts[-1]))
        if not matching:
            return None
        paths += matching
    return paths


def _key(source: Source, files: Iterable[Path]) -> str:
    """Changes whenever the result might: with the source, its files, or any code of the product."""
    digest = hashlib.sha256(repr(source).encode())
    for path in sorted([*files, *(ROOT / "daemon").rglob("*.*"), Path(__file__)]):
        if path.suffix in {".py", ".toml", ".dbc", ".yaml", ".so", ".MF4"}:
            state = path.stat()
            digest.update(f"{path} {state.st_size} {state.st_mtime_ns}".encode())
    return digest.hexdigest()


def _prepare(source: Source, found: list[Path], folder: Path) -> None:
    place = folder / source.name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    dbc = [path for path in found if path.suffix == ".dbc"]
    recordings = [path for path in found if path.suffix != ".dbc"]
    for path in dbc:
        shutil.copyfile(path, place / path.name)
    with tempfile.TemporaryDirectory() as work:
        originals = _simulate(source.scenario, Path(work)) if source.scenario else recordings
        _expect(source, _written(source, originals, place), dbc, place)
    about = {"profiles": source.profiles, "dbc": [path.name for path in dbc]}
    (place / "drive.json").write_text(json.dumps(about), encoding="utf-8")


def _simulate(scenario: str, place: Path) -> list[Path]:
    return list(write_drive(generate(load_scenario(scenario), 1), place).recordings)


def _written(source: Source, originals: list[Path], place: Path) -> list[Path]:
    """The drive as text in ``place``. What replay is asked about: a whole recording as it was made, else the part."""
    drive = load_drive(originals)
    if source.part_s is not None:
        drive = drive.part(*source.part_s)
    written = drive.write(place)
    return originals if source.part_s is None else written


def _expect(source: Source, files: list[Path], dbc: list[Path], place: Path) -> None:
    """What replay makes of the drive, by the command itself."""
    journal = place / "journal"
    profiles = [word for name in source.profiles for word in ("-p", name)]
    more = [word for path in dbc for word in ("--dbc", str(path))]
    _outrider("replay", *map(str, files), *profiles, *more, "--journal", str(journal), "--json")
    lines = _outrider("journal", "export", str(journal)).splitlines()
    events = [record for record in map(json.loads, lines) if record["kind"] == "event"]
    events.sort(key=lambda record: (record["t_us"], record["seq"]))
    text = "".join(json.dumps(record["content"]) + "\n" for record in events)
    (place / "expected.jsonl").write_text(text, encoding="utf-8")
    shutil.rmtree(journal)


def _outrider(*arguments: str) -> str:
    command = [sys.executable, "-m", "outrider", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "daemon")}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
