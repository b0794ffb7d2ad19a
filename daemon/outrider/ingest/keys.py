"""Acknowledgement keys as the receiver names them. They live in ``wire/keys.py``: enrolment hands them out too."""

from __future__ import annotations

from outrider.wire.keys import KeyRing, derive_key, parse_keys

__all__ = ["KeyRing", "derive_key", "parse_keys"]
