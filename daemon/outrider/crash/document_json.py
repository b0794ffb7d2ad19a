"""A document as JSON and back. The schema is made from the dataclasses: docs/reference/crash-document.schema.json."""

from __future__ import annotations

from typing import Any

import msgspec

from outrider.crash.document import FORMAT, CrashDocument
from outrider.errors import InputError


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
        return msgspec.json.decode(data, type=CrashDocument)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as err:
        raise InputError(f"no crash document: {err}", path=where) from None


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a document."""
    made = msgspec.json.schema(CrashDocument)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Outrider crash document"}
    return {**head, **made}
