"""Acknowledgement keys as the receiver names them; they live in ``wire/keys.py``, since enrolment hands them out too."""

from __future__ import annotations

from outrider.wire.keys import KeyRing, derive_key, parse_keys

__all__ = ["KeyRing", "derive_key", "parse_keys"]
