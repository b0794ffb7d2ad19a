"""Packages that a stranger made whole: hashes right, content wrong. Refused with one clear error."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from outrider.crash.collect import collect
from outrider.crash.package_io import read_package, write_package
from outrider.errors import InputError
from tests.support.crash_records import driven

Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of ours."""
    path = tmp_path_factory.mktemp("forged") / "crash.zip"
    write_package(collect(driven(), "car-1")[0], path)
    return path


def forged(
    package: Path,
    path: Path,
    *,
    document: Change = lambda _document: None,
    manifest: Change = lambda _manifest: None,
    method: int = zipfile.ZIP_DEFLATED,
) -> Path:
    """The package with its document changed and its manifest made right again, then changed too."""
    with zipfile.ZipFile(package) as file:
        files = {name: file.read(name) for name in file.namelist()}
    told, listed = json.loads(files["document.json"]), json.loads(files["manifest.json"])
    document(told)
    files["document.json"] = json.dumps(told).encode()
    for one in listed["files"]:
        one["bytes"] = len(files[one["name"]])
        one["sha256"] = hashlib.sha256(files[one["name"]]).hexdigest()
    listed.update(device=told["device"], event_id=told["event_id"])
    manifest(listed)
    files["manifest.json"] = json.dumps(listed).encode()
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return path


def test_what_is_forged_is_only_what_the_tests_say(package: Path, tmp_path: Path) -> None:
    """Without a change the forger's package is one of ours."""
    assert read_package(forged(package, tmp_path / "same.zip")).document == read_package(package).document


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(event_id="/../../../../tmp/x"), "event_id"),
        (lambda d: d.update(event_id="\x1b[2J"), r"event_id '\\x1b"),
        (lambda d: d["delta_v"].update(t_ms=[0.0]), "columns of delta_v"),
        (lambda d: d["imu"].update(t_s=[0.0]), "columns of imu"),
        (lambda d: d["series"][0].update(values=[]), "a series"),
        (lambda d: d["track"][0].update(lat_deg=1e308), "not on earth"),
        (lambda d: d["place"].update(lon_deg=-180.5), "not on earth"),
    ],
)
def test_a_document_that_cannot_be_is_refused(change: Change, message: str, package: Path, tmp_path: Path) -> None:
    """Files are named after the id, and plots rest on the rest."""
    with pytest.raises(InputError, match=message):
        read_package(forged(package, tmp_path / "bad.zip", document=change))


@pytest.mark.parametrize(
    "change",
    [
        lambda records: records.update(count=1),
        lambda records: records.update(sha256="0" * 64),
        lambda records: records["list"][0].update(sha256="0" * 64),
        lambda records: records["list"].pop(),
    ],
)
def test_records_are_held_against_the_manifest(change: Change, package: Path, tmp_path: Path) -> None:
    """Digests by which each record is found in the terminal's log are those of the records that are here."""
    with pytest.raises(InputError, match=r"records\.bin does not hold the records"):
        read_package(forged(package, tmp_path / "bad.zip", manifest=lambda listed: change(listed["records"])))


def test_a_name_of_a_stranger_does_not_command_the_screen(package: Path, tmp_path: Path) -> None:
    """A file that is listed and not there is told, cut and without control signs."""
    listed = {"name": "\x1b[2J" + "x" * 5000, "sha256": "", "bytes": 0}
    path = forged(package, tmp_path / "bad.zip", manifest=lambda manifest: manifest["files"].append(listed))
    with pytest.raises(InputError, match=r"\\x1b\[2Jx+' is missing") as caught:
        read_package(path)
    assert len(str(caught.value)) < 300 + len(str(path))
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_only_plain_packing_is_unpacked(method: int, package: Path, tmp_path: Path) -> None:
    """Other methods fail in ways of their own."""
    with pytest.raises(InputError, match="packed in a way no package is"):
        read_package(forged(package, tmp_path / "odd.zip", method=method))
