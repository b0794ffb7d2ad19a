"""What a package holds: every file of it as bytes, each a view of the same records.

Pure; the same records give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from outrider import __version__
from outrider.crash import tables_csv
from outrider.crash.build import document
from outrider.crash.bundle import CrashBundle
from outrider.crash.can_log import WRITERS
from outrider.crash.document import CrashDocument, FileEntry
from outrider.crash.document_json import encode_document
from outrider.crash.record_file import encode_records
from outrider.crash.signals import PAGE_BYTES
from outrider.crash.standards import VIEWS
from outrider.engine import parse_black_box
from outrider.errors import InputError
from outrider.model.evidence import EvidencePart
from outrider.model.vehicle import VehicleTables

PACKAGE: Final = "outrider-package/1"
MANIFEST: Final = "manifest.json"
DOCUMENT: Final = "document.json"
RECORDS: Final = "records.bin"


@dataclass(frozen=True, slots=True)
class PackageContent:
    """document: with its files named. files: by name, the manifest last."""

    document: CrashDocument
    files: Mapping[str, bytes]


def package_content(
    bundle: CrashBundle, tables: VehicleTables | None = None, log_format: str = "candump"
) -> PackageContent:
    """All files. ``tables`` as for ``document``; ``log_format``: candump, blf or mf4."""
    doc = document(bundle, tables)
    made = dict(_files(bundle, doc, log_format))
    entries = tuple(FileEntry(name, _sha256(data), len(data), _what(name)) for name, data in sorted(made.items()))
    named = replace(doc, files=entries)
    files = {DOCUMENT: encode_document(named), **dict(sorted(made.items()))}
    return PackageContent(named, {**files, MANIFEST: _manifest(bundle, files)})


def _files(bundle: CrashBundle, doc: CrashDocument, log_format: str) -> list[tuple[str, bytes]]:
    found = [
        (RECORDS, encode_records(bundle.records)),
        *((("phases.csv", tables_csv.phases_csv(doc)),) if doc.phases else ()),
        *((("delta_v.csv", tables_csv.delta_v_csv(doc.delta_v)),) if doc.delta_v.t_ms else ()),
        *((("gnss.csv", tables_csv.gnss_csv(doc.track)),) if doc.track else ()),
    ]
    if doc.series:
        found += [
            ("signals.csv", tables_csv.signals_csv(doc.series)),
            ("signals_index.csv", tables_csv.signals_index_csv(doc.series)),
            ("pre_crash.csv", tables_csv.pre_crash_csv(doc.series)),
        ]
    if bundle.items(EvidencePart.IMU):
        found.append(("imu.csv", tables_csv.imu_csv(bundle)))
    if doc.imu is not None and doc.imu.axes == "vehicle":
        found.append(("imu_vehicle.csv", tables_csv.imu_vehicle_csv(doc.imu)))
    if bundle.items(EvidencePart.INPUTS):
        found.append(("inputs.csv", tables_csv.inputs_csv(bundle)))
    if bundle.items(EvidencePart.BLACK_BOX):
        page = bundle.items(EvidencePart.BLACK_BOX)[-PAGE_BYTES:]
        found += [("black_box.bin", page), ("black_box.json", _json(_black_box(page, doc)))]
    if bundle.items(EvidencePart.FRAMES):
        name, write = WRITERS[log_format]
        utc_us = doc.time.t0_utc_us
        found.append((name, write(bundle.items(EvidencePart.FRAMES), 0 if utc_us is None else utc_us - bundle.t0_us)))
    found += [(f"standards/{name}.json", _json(view(doc))) for name, view in VIEWS.items()]
    return found


def _black_box(page: bytes, doc: CrashDocument) -> dict[str, Any]:
    """What the page says; signals by number of the slot, as the terminal's profile counts them."""
    try:
        box = parse_black_box(page)
    except InputError as err:
        return {"error": str(err)}
    told: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(box))  # NaN becomes null
    return {**told, "t_s": round((box.t_us - doc.time.t0_us) / 1e6, 6)}


def _(text: str) -> str:
    """Marks a text for the catalogues: the report translates it (as ``words``)."""
    return text


_WHAT: Final = {
    RECORDS: _("the records all of this was made from, byte for byte"),
    "phases.csv": _("what was said when"),
    "delta_v.csv": _("change of velocity from T0 on, 100 Hz"),
    "signals.csv": _("the car's signals at the rate of their source"),
    "signals_index.csv": _("which signals there are, with unit and rate"),
    "pre_crash.csv": _("20 s before T0 on a grid of 10 Hz"),
    "gnss.csv": _("positions"),
    "imu.csv": _("raw accelerations and turn rates, the sensor's axes"),
    "imu_vehicle.csv": _("the same in the car's axes (ISO 8855)"),
    "inputs.csv": _("supply and ignition as the terminal measured them"),
    "black_box.bin": _("black-box page"),
    "black_box.json": _("what the black-box page says"),
    "can.log": _("raw CAN frames, candump"),
    "can.blf": _("raw CAN frames, Vector BLF"),
    "can.mf4": _("raw CAN frames, ASAM MDF 4"),
}


def _what(name: str) -> str:
    return _WHAT.get(name, _("the crash in the terms of a standard"))


def _manifest(bundle: CrashBundle, files: Mapping[str, bytes]) -> bytes:
    chain = hashlib.sha256()
    for stored in bundle.records:
        chain.update(stored.digest())
    content: dict[str, Any] = {
        "format": PACKAGE,
        "device": bundle.device,
        "event_id": bundle.event_id,
        "made_by": f"outrider {__version__}",
        "files": [
            {"name": name, "sha256": _sha256(data), "bytes": len(data), "what": _what(name) if name != DOCUMENT else ""}
            for name, data in files.items()
        ],
        "records": {
            "count": len(bundle.records),
            "sha256": chain.hexdigest(),
            "list": [
                {
                    "epoch": f"{s.epoch:016x}",
                    "lane": s.record.lane.name.lower(),
                    "seq": s.seq,
                    "kind": s.record.kind.name.lower(),
                    "sha256": s.digest().hex(),
                }
                for s in bundle.records
            ],
        },
    }
    content["files"][0]["what"] = "the crash as data (docs/reference/crash-package.md)"
    return _json(content)


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1).encode("utf-8") + b"\n"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
