"""Packages on disk: one ZIP a crash, whole or not at all; and read again without trusting a byte of it.

Rule: names, sizes, formats and hashes are checked before anything is used; what is not as the manifest says is an
InputError that names it. Nothing is ever unpacked to disk.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from outrider.crash.bundle import CrashBundle
from outrider.crash.collect import collect
from outrider.crash.document import CrashDocument
from outrider.crash.document_json import decode_document
from outrider.crash.package_data import DOCUMENT, MANIFEST, PACKAGE, RECORDS, package_content
from outrider.crash.record_file import decode_records
from outrider.errors import InputError
from outrider.files_io import naming, replacing, require_regular
from outrider.model.vehicle import VehicleTables

MAX_FILES: Final = 64
MAX_BYTES: Final = 512 * 1024 * 1024  # of all files, unpacked
MAX_ZIP_BYTES: Final = 256 * 1024 * 1024
_NAME: Final = re.compile(r"(standards/)?[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_DATE: Final = (1980, 1, 1, 0, 0, 0)  # no time of writing: the same records give the same package


class _File(msgspec.Struct):
    name: str
    sha256: str
    bytes: int
    what: str = ""


class _Record(msgspec.Struct):
    sha256: str


class _Records(msgspec.Struct):
    count: int
    sha256: str
    digests: list[_Record] = msgspec.field(name="list")


class _Manifest(msgspec.Struct):
    format: str
    device: str
    event_id: str
    files: list[_File]
    records: _Records


@dataclass(frozen=True, slots=True)
class CrashPackage:
    """document: what the package says. files: by name, all hashes right."""

    document: CrashDocument
    files: Mapping[str, bytes]
    path: Path

    def bundle(self) -> CrashBundle:
        """The crash collected again from the package's own records. InputError when they do not hold it."""
        where = f"{self.path}: {RECORDS}"
        bundles = collect(decode_records(self.files[RECORDS], where), self.document.device)
        wanted = [one for one in bundles if (one.boot_id, one.seq) == (self.document.boot_id, self.document.seq)]
        if len(wanted) != 1:
            raise InputError(f"the records hold {len(wanted)} crashes {self.document.event_id}, not one", path=where)
        return wanted[0]


def write_package(
    bundle: CrashBundle, path: Path, *, tables: VehicleTables | None = None, log_format: str = "candump"
) -> CrashDocument:
    """Write the package; what is there is replaced when the new one is whole. OSError names the file."""
    content = package_content(bundle, tables, log_format)
    with replacing(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as file:
        for name, data in content.files.items():
            entry = zipfile.ZipInfo(name, _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            file.writestr(entry, data)
    return content.document


def read_package(path: Path) -> CrashPackage:
    """The package, checked. InputError: none, of another version, hostile, damaged or incomplete; OSError."""
    with naming(path):
        require_regular(path)
        if path.stat().st_size > MAX_ZIP_BYTES:
            raise InputError(f"is larger than {MAX_ZIP_BYTES} bytes: no crash package", path=path)
    try:
        with zipfile.ZipFile(path) as file:
            return _read(file, path)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, UnicodeDecodeError) as err:
        raise InputError(f"no crash package, or damaged: {err}", path=path) from None


def _read(file: zipfile.ZipFile, path: Path) -> CrashPackage:
    entries = _entries(file, path)
    if MANIFEST not in entries:
        raise InputError(f"no crash package: it holds no {MANIFEST}", path=path)
    manifest = _manifest(_content(file, entries[MANIFEST], path), path)
    named = {one.name: one for one in manifest.files}
    for name in sorted({*named, DOCUMENT, RECORDS} - entries.keys()):
        raise InputError(f"{name if _NAME.fullmatch(name) else repr(name[:80])} is missing", path=path)
    for name in sorted(entries.keys() - named.keys() - {MANIFEST}):
        raise InputError(f"{name[:80]} is not named by the manifest", path=path)
    files: dict[str, bytes] = {}
    for name, one in named.items():
        data = _content(file, entries[name], path)
        if len(data) != one.bytes or hashlib.sha256(data).hexdigest() != one.sha256:
            raise InputError(f"{name} is not what the manifest says: its SHA-256 differs", path=path)
        files[name] = data
    for name in (DOCUMENT, RECORDS):
        if name not in files:
            raise InputError(f"{name} is not named by the manifest", path=path)
    document = decode_document(files[DOCUMENT], f"{path}: {DOCUMENT}")
    if (document.device, document.event_id) != (manifest.device, manifest.event_id):
        raise InputError("manifest and document tell of different crashes", path=path)
    _check_records(files[RECORDS], manifest.records, path)
    return CrashPackage(document, files, path)


def _check_records(data: bytes, listed: _Records, path: Path) -> None:
    digests = [stored.digest() for stored in decode_records(data, f"{path}: {RECORDS}")]
    told = [one.sha256 for one in listed.digests]
    chain = hashlib.sha256(b"".join(digests)).hexdigest()
    if (listed.count, listed.sha256, told) != (len(digests), chain, [digest.hex() for digest in digests]):
        raise InputError(f"{RECORDS} does not hold the records that the manifest lists", path=path)


def _entries(file: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """By name. InputError before anything is unpacked: odd or double names, encryption, too much."""
    infos = file.infolist()
    if len(infos) > MAX_FILES:
        raise InputError(f"holds {len(infos)} files, a crash package at most {MAX_FILES}", path=path)
    found: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        if not _NAME.fullmatch(info.filename) or ".." in info.filename:
            raise InputError(f"holds a file with a name no package has: {info.filename[:80]!r}", path=path)
        if info.filename in found:
            raise InputError(f"holds {info.filename} twice", path=path)
        if info.flag_bits & 1:
            raise InputError(f"{info.filename} is encrypted", path=path)
        if info.compress_type not in _METHODS:
            raise InputError(f"{info.filename} is packed in a way no package is", path=path)
        found[info.filename] = info
    if sum(info.file_size for info in infos) > MAX_BYTES:
        raise InputError(f"unpacks to more than {MAX_BYTES} bytes", path=path)
    return found


def _content(file: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> bytes:
    """Never more than the entry declared."""
    with file.open(info) as entry:
        data = entry.read(info.file_size + 1)
    if len(data) > info.file_size:
        raise InputError(f"{info.filename} unpacks to more than it declares", path=path)
    return data


def _manifest(data: bytes, path: Path) -> _Manifest:
    try:
        manifest = msgspec.json.decode(data, type=_Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as err:
        raise InputError(f"no manifest of a crash package: {err}", path=f"{path}: {MANIFEST}") from None
    if manifest.format != PACKAGE:
        told = f"format {manifest.format[:60]!r} is not {PACKAGE!r}; read it with another release"
        raise InputError(told, path=f"{path}: {MANIFEST}")
    if len({one.name for one in manifest.files}) != len(manifest.files):
        raise InputError("names a file twice", path=f"{path}: {MANIFEST}")
    return manifest
