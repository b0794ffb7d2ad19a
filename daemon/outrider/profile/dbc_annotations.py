"""What a DBC says about its messages and signals elsewhere in the file: comments, value texts, types, attributes.

Looked up by (raw identifier, signal name); knows which notes found nobody they belong to.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, TypeVar

from outrider.model.vehicle import Encoding
from outrider.profile.anomaly import AnomalyLog
from outrider.profile.dbc_parser import Attached, Pairs, RawDbc, RawMessage

_Key = tuple[int | None, str]
_T = TypeVar("_T")
# The meaning of the index where a file gives the attribute but not its definition.
_STANDARD_ENUMS: Final[dict[str, tuple[str, ...]]] = {
    "VFrameFormat": ("StandardCAN", "ExtendedCAN", "reserved", "J1939PG")
}
_FLOATS = {1: Encoding.FLOAT32, 2: Encoding.FLOAT64}


class Annotations:
    def __init__(self, raw: RawDbc, log: AnomalyLog) -> None:
        self._raw = raw
        self._log = log
        self._known: set[_Key] = {(None, "")}
        for message in raw.messages:
            self._known.add((message.raw_id, ""))
            self._known.update((message.raw_id, s.name) for s in message.signals)
        self._comments = self._index(raw.comments, "unknown-target", "CM_")
        self._types = self._index(raw.value_types, "unknown-target", "SIG_VALTYPE_")
        self._mux = self._index(
            [(at, (switch, ranges)) for at, switch, ranges in raw.mux_ranges], "unknown-target", "SG_MUL_VAL_"
        )
        self._choices = self._index(
            [(at, self._pairs(at, value)) for at, value in raw.choices], "unknown-target", "VAL_"
        )
        self._attributes: dict[tuple[str, int | None, str], tuple[str, int]] = {}
        for name, at, value in raw.attributes:
            self._attributes[name, at.raw_id, at.signal] = value, at.line

    def report_unused(self) -> None:
        """Attributes of unknown messages or signals; the other kinds were reported when they were indexed."""
        for (name, raw_id, signal), (_value, line) in self._attributes.items():
            if (raw_id, signal) not in self._known:
                self._log.add(line, "unknown-target", f"BA_ {name} of {_label(raw_id, signal)}", "ignored")

    def comment(self, raw_id: int, signal: str) -> str:
        return self._comments.get((raw_id, signal), "")

    def choices(self, raw_id: int, signal: str) -> Pairs:
        return self._choices.get((raw_id, signal), ())

    def mux_ranges(self, raw_id: int, signal: str) -> tuple[str, tuple[tuple[int, int], ...]] | None:
        return self._mux.get((raw_id, signal))

    def float_encoding(self, raw_id: int, signal: str) -> Encoding | None:
        return _FLOATS.get(self._types.get((raw_id, signal), 0))

    def message_name(self, raw: RawMessage) -> str:
        return self._text("SystemMessageLongSymbol", raw.raw_id, "") or raw.name

    def signal_name(self, raw_id: int, signal: str) -> str:
        return self._text("SystemSignalLongSymbol", raw_id, signal) or signal

    def cycle_ms(self, raw_id: int) -> int | None:
        value = self._number("GenMsgCycleTime", raw_id, "")
        return int(value) if value is not None and 0 < value < 1e9 else None

    def start_value(self, raw_id: int, signal: str) -> float | None:
        return self._number("GenSigStartValue", raw_id, signal)

    def spn(self, raw_id: int, signal: str) -> int | None:
        value = self._number("SPN", raw_id, signal)
        return int(value) if value is not None and 0 < value < 2**19 else None

    def is_j1939(self, raw_id: int) -> bool:
        """VFrameFormat J1939PG of the message, or ProtocolType J1939 of the file where the message says nothing."""
        own = self._enum_text("VFrameFormat", raw_id)
        if own is not None:
            return own == "J1939PG"
        protocol = self._attributes.get(("ProtocolType", None, ""), (self._raw.defaults.get("ProtocolType", ""), 0))[0]
        return protocol.upper().startswith("J1939")

    # ---- helpers -----------------------------------------------------------------------------------

    def _index(self, items: list[tuple[Attached, _T]], code: str, keyword: str) -> dict[_Key, _T]:
        found: dict[_Key, _T] = {}
        for at, value in items:
            key = (at.raw_id, at.signal)
            if key in self._known:
                found[key] = value
            else:
                self._log.add(at.line, code, f"{keyword} of {_label(*key)}", "ignored")
        return found

    def _pairs(self, at: Attached, value: Pairs | str) -> Pairs:
        if isinstance(value, str):
            table = self._raw.tables.get(value)
            if table is None:
                self._log.add(at.line, "unknown-table", f"VAL_ names the table {value}", "ignored")
            return table or ()
        return tuple(dict(value).items())

    def _text(self, name: str, raw_id: int, signal: str) -> str | None:
        found = self._attributes.get((name, raw_id, signal))
        return found[0] if found else None

    def _number(self, name: str, raw_id: int, signal: str) -> float | None:
        text = self._text(name, raw_id, signal)
        if text is None:
            text = self._raw.defaults.get(name)
        return _read(float, text)

    def _enum_text(self, name: str, raw_id: int) -> str | None:
        """The text of an ENUM attribute, which BA_ gives by index or by text."""
        text = self._text(name, raw_id, "")
        if text is None:
            return None if name not in self._raw.enums else self._raw.defaults.get(name)
        texts = self._raw.enums.get(name) or _STANDARD_ENUMS.get(name, ())
        index = _read(int, text)
        if index is None:
            return text
        return texts[index] if 0 <= index < len(texts) else None


def _read(kind: Callable[[str], _T], text: str | None) -> _T | None:
    if text is None or len(text) > 40:
        return None
    try:
        value = kind(text)
    except ValueError:
        return None
    return value if not isinstance(value, float) or math.isfinite(value) else None


def _label(raw_id: int | None, signal: str) -> str:
    return f"message {raw_id}" + (f", signal {signal}" if signal else "") + ", which the file does not define"
