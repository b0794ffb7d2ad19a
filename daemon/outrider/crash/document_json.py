"""A document as JSON and back. The schema is made from the dataclasses: docs/reference/crash-document.schema.json."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from outrider.crash.document import FORMAT, CrashDocument
from outrider.errors import InputError

_EVENT_ID: Final = re.compile(r"[0-9a-f]{16}-[0-9a-f]{8}-[0-9]{1,20}(@-?[0-9]{1,20})?")


def encode_document(document: CrashDocument) -> bytes:
    """UTF-8, one line; the same document gives the same bytes."""
    return msgspec.json.encode(document) + b"\n"


def decode_document(data: bytes, where: object = None) -> CrashDocument:
    """InputError names what is wrong with it; ``where``: the file, for the message."""
    try:
        head = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        version = msgspec.json.decode(head.get("format", msgspec.Raw(b"null")))
        if version != FORMAT:
            raise InputError(
                f"format {str(version)[:60]!r} is not {FORMAT!r}; read it with another release", path=where
            )
        document = msgspec.json.decode(data, type=CrashDocument)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as err:
        raise InputError(f"no crash document: {err}", path=where) from None
    wrong = _contradiction(document)
    if wrong is not None:
        raise InputError(f"no crash document: {wrong}", path=where)
    return document


def _contradiction(document: CrashDocument) -> str | None:
    """What the schema cannot say: the id is one (files are named after it), what belongs together is equally long, and
    places are on earth."""
    curve, imu = document.delta_v, document.imu
    if not _EVENT_ID.fullmatch(document.event_id):
        return f"event_id {document.event_id[:60]!r} is none"
    if len({len(values) for values in (curve.t_ms, curve.long_kmh, curve.lat_kmh, curve.resultant_kmh)}) > 1:
        return "columns of delta_v differ in length"
    if imu is not None and any(len(axis) != len(imu.t_s) for axis in (*imu.acc, *(imu.gyro or ()))):
        return "columns of imu differ in length"
    if any(len(one.t_s) != len(one.values) for one in document.series):
        return "times and values of a series differ in length"
    places = (*document.track, *((document.place,) if document.place else ()))
    if any(abs(one.lat_deg) > 90 or abs(one.lon_deg) > 180 for one in places):
        return "a place is not on earth"
    return None


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a document."""
    made = msgspec.json.schema(CrashDocument)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Outrider crash document"}
    return {**head, **made}
