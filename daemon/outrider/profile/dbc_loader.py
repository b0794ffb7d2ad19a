"""Raw statements to a checked ``Dbc``: identifiers, bit ranges, multiplexing, value texts, attributes.

Rule: what can be decoded is kept, what cannot is dropped, and either way the file's author can read why.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Final

from outrider.errors import ProfileError
from outrider.model.vehicle import BitField, Encoding
from outrider.profile.anomaly import AnomalyLog
from outrider.profile.dbc_annotations import Annotations
from outrider.profile.dbc_lexer import decode, tokenize
from outrider.profile.dbc_model import Dbc, DbcMessage, DbcSignal, MuxSelector
from outrider.profile.dbc_parser import DbcParser, RawDbc, RawMessage, RawSignal

MAX_FRAME_BYTES: Final = 64
MAX_LENGTH: Final = 1785  # largest J1939 transport message; such messages are listed, never decoded from one frame
MAX_SWITCH_LEVELS: Final = 16
_INDEPENDENT: Final = "VECTOR__INDEPENDENT_SIG_MSG"
_FLOAT_BITS: Final = {Encoding.FLOAT32: 32, Encoding.FLOAT64: 64}


def load_dbc(data: bytes, file: str) -> Dbc:
    """Load one DBC file. ``file`` is the name used in anomalies and errors.

    Raises ProfileError only when the file as a whole is no DBC (too large, or it holds no message); every smaller
    fault is an anomaly of the result.
    """
    log = AnomalyLog(file)
    text, encoding = decode(data, log)
    raw = DbcParser(tokenize(text, log), log).parse()
    if not raw.messages:
        raise ProfileError("no message (BO_) in this file: is it a DBC?", path=file)
    messages = _Resolver(raw, log).messages()
    return Dbc(file, raw.version, tuple(raw.nodes), messages, log.result(), encoding)


def last_byte(field: BitField) -> int:
    """Index of the highest byte the field touches (0-based)."""
    if not field.big_endian:
        return (field.start + field.length - 1) // 8
    msb = 8 * (field.start // 8) + 7 - field.start % 8  # position counted from the first bit on the wire
    return (msb + field.length - 1) // 8


@dataclass(frozen=True, slots=True)
class _Group:
    """A message while its signals are made: those kept by name, its switches, those of them that are no m-signal."""

    message: RawMessage
    kept: dict[str, RawSignal]
    switches: list[RawSignal]
    roots: list[RawSignal]


class _Resolver:
    def __init__(self, raw: RawDbc, log: AnomalyLog) -> None:
        self._raw = raw
        self._log = log
        self._notes = Annotations(raw, log)

    def messages(self) -> tuple[DbcMessage, ...]:
        out: list[DbcMessage] = []
        seen: dict[tuple[int, bool], DbcMessage] = {}
        for raw in self._raw.messages:
            message = self._message(raw)
            if message is None:
                continue
            key = (message.frame_id, message.extended)
            if key in seen:
                first = seen[key]
                self._log.add(
                    raw.line, "duplicate-message", f"{raw.name} has the identifier of {first.name} (line {first.line})",
                    "both kept; a frame is decoded as both",
                )  # fmt: skip
            seen.setdefault(key, message)
            out.append(message)
        self._notes.report_unused()
        return tuple(out)

    def _message(self, raw: RawMessage) -> DbcMessage | None:
        if raw.name == _INDEPENDENT:
            found = f"{len(raw.signals)} signals in {_INDEPENDENT}, which stands for signals without a frame"
            self._log.add(raw.line, "no-frame", found, "dropped")
            return None
        frame_id, extended = self._identifier(raw)
        if not 0 <= raw.length <= MAX_LENGTH:
            self._log.add(raw.line, "message-length", f"{raw.name} has {raw.length} bytes", "message dropped")
            return None
        notes = self._notes
        return DbcMessage(
            name=notes.message_name(raw),
            frame_id=frame_id,
            extended=extended,
            length=raw.length,
            signals=self._signals(raw),
            sender="" if raw.sender == "Vector__XXX" else raw.sender,
            comment=notes.comment(raw.raw_id, ""),
            cycle_ms=notes.cycle_ms(raw.raw_id),
            j1939=extended and notes.is_j1939(raw.raw_id),
            line=raw.line,
        )

    def _identifier(self, raw: RawMessage) -> tuple[int, bool]:
        """Bit 31 marks 29-bit identifiers; many hand-written files forget it."""
        if raw.raw_id & 0x80000000:
            frame_id, extended = raw.raw_id & 0x7FFFFFFF, True
        else:
            frame_id, extended = raw.raw_id, raw.raw_id > 0x7FF
            if extended:
                self._log.add(
                    raw.line, "extended-bit-missing", f"{raw.name} has the identifier 0x{raw.raw_id:X} of more than "
                    "11 bits without bit 31", "read as a 29-bit identifier",
                )  # fmt: skip
        if frame_id > 0x1FFFFFFF or raw.raw_id < 0:
            self._log.add(
                raw.line, "identifier-range", f"{raw.name} has the identifier {raw.raw_id} of more than 29 bits",
                f"read as 0x{frame_id & 0x1FFFFFFF:X}",
            )  # fmt: skip
            frame_id, extended = frame_id & 0x1FFFFFFF, True
        return frame_id, extended

    # ---- signals -----------------------------------------------------------------------------------

    def _signals(self, raw: RawMessage) -> tuple[DbcSignal, ...]:
        kept: dict[str, RawSignal] = {}
        for signal in raw.signals:
            if signal.name in kept:
                line = kept[signal.name].line
                self._log.add(
                    signal.line, "duplicate-signal", f"{raw.name} already has a signal {signal.name} (line {line})",
                    "the first one kept",
                )  # fmt: skip
            elif self._decodable(raw, signal):
                kept[signal.name] = signal
        switches = [s for s in kept.values() if s.is_switch]
        roots = [s for s in switches if s.mux_value is None]
        group = _Group(raw, kept, switches, roots)
        return tuple(self._signal(group, s) for s in kept.values())

    def _decodable(self, message: RawMessage, s: RawSignal) -> bool:
        where = f"signal {message.name}.{s.name}"
        if not 1 <= s.length <= 64:
            self._log.add(s.line, "signal-length", f"{where} has {s.length} bits", "dropped")
            return False
        if not all(map(math.isfinite, (s.factor, s.offset, s.minimum, s.maximum))):
            self._log.add(s.line, "not-finite", f"{where} has a number out of range", "dropped")
            return False
        if s.start < 0 or s.start > 8 * MAX_LENGTH:
            self._log.add(s.line, "signal-outside", f"{where} starts at bit {s.start}", "dropped")
            return False
        last = last_byte(BitField(s.start, s.length, s.big_endian))
        if last >= MAX_LENGTH or (last >= MAX_FRAME_BYTES and message.length <= MAX_FRAME_BYTES):
            self._log.add(s.line, "signal-outside", f"{where} ends in byte {last}, no frame is that long", "dropped")
            return False
        if last >= message.length:
            self._log.add(
                s.line, "signal-outside", f"{where} needs {last + 1} bytes, the message has {message.length}",
                "kept; decoded only from frames that are long enough",
            )  # fmt: skip
        if s.factor == 0:
            self._log.add(s.line, "zero-factor", f"{where} has the factor 0", "kept; its value is always the offset")
        return True

    def _signal(self, group: _Group, s: RawSignal) -> DbcSignal:
        notes, message = self._notes, group.message
        unlimited = s.minimum == s.maximum == 0
        return DbcSignal(
            name=notes.signal_name(message.raw_id, s.name),
            field=BitField(s.start, s.length, s.big_endian),
            encoding=self._encoding(message, s),
            factor=s.factor,
            offset=s.offset,
            minimum=None if unlimited else s.minimum,
            maximum=None if unlimited else s.maximum,
            unit=s.unit,
            receivers=s.receivers,
            comment=notes.comment(message.raw_id, s.name),
            choices=notes.choices(message.raw_id, s.name),
            is_switch=s.is_switch,
            mux=self._mux(group, s),
            spn=notes.spn(message.raw_id, s.name),
            start_value=notes.start_value(message.raw_id, s.name),
            line=s.line,
        )

    def _encoding(self, message: RawMessage, s: RawSignal) -> Encoding:
        plain = Encoding.INT if s.signed else Encoding.UINT
        encoding = self._notes.float_encoding(message.raw_id, s.name)
        if encoding is None:
            return plain
        if s.length != _FLOAT_BITS[encoding]:
            self._log.add(
                s.line, "float-length", f"signal {message.name}.{s.name} is a {encoding.name} of {s.length} bits",
                "read as an integer",
            )  # fmt: skip
            return plain
        return encoding

    def _mux(self, group: _Group, s: RawSignal) -> MuxSelector | None:
        """Extended multiplexing where SG_MUL_VAL_ gives it, else the one switch of the message."""
        message, kept = group.message, group.kept
        extended = self._notes.mux_ranges(message.raw_id, s.name)
        if extended is not None and extended[0] not in kept:
            found = f"SG_MUL_VAL_ of {message.name}.{s.name} names the switch {extended[0]}, which does not exist"
            self._log.add(s.line, "unknown-switch", found, "ignored")
            extended = None
        elif extended is not None and not kept[extended[0]].is_switch:
            found = f"{message.name}.{extended[0]} selects {s.name} by SG_MUL_VAL_ but lacks the mark M"
            self._log.add(kept[extended[0]].line, "multiplexer-mark", found, "taken as a switch")
        if s.mux_value is None and extended is None:
            return None
        switch = extended[0] if extended is not None else self._only_switch(group, s)
        if switch is None or self._in_cycle(message, s, switch):
            return None
        ranges = list(extended[1]) if extended is not None else []
        if s.mux_value is not None and (extended is None or (len(group.switches) == 1 and not s.is_switch)):
            ranges.append((s.mux_value, s.mux_value))
        return MuxSelector(self._notes.signal_name(message.raw_id, switch), merge_ranges(ranges))

    def _only_switch(self, group: _Group, s: RawSignal) -> str | None:
        others = len(group.switches) - s.is_switch
        if others == 1:
            return next(switch.name for switch in group.switches if switch is not s)
        if len(group.roots) == 1 and group.roots[0] is not s:
            self._log.add(
                s.line, "ambiguous-switch", f"{group.message.name}.{s.name} is multiplexed, the message has "
                f"{len(group.switches)} switches and no SG_MUL_VAL_ tells which", f"taken to be {group.roots[0].name}",
            )  # fmt: skip
            return group.roots[0].name
        self._log.add(
            s.line, "unknown-switch", f"{group.message.name}.{s.name} is multiplexed, but no switch is to be found",
            "read from every frame",
        )  # fmt: skip
        return None

    def _in_cycle(self, message: RawMessage, s: RawSignal, switch: str) -> bool:
        """Follow SG_MUL_VAL_ upwards: a switch must not depend on what it selects."""
        seen = {s.name}
        current: str | None = switch
        while current is not None:
            if current in seen or len(seen) > MAX_SWITCH_LEVELS:
                self._log.add(
                    s.line,
                    "switch-cycle",
                    f"the switches above {message.name}.{s.name} form a circle or more than {MAX_SWITCH_LEVELS} levels",
                    "read from every frame",
                )
                return True
            seen.add(current)
            above = self._notes.mux_ranges(message.raw_id, current)
            current = above[0] if above is not None else None
        return False


def merge_ranges(ranges: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Sorted, touching and overlapping ranges joined."""
    out: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if out and low <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(out[-1][1], high))
        else:
            out.append((low, high))
    return tuple(out)


def anomaly_counts(dbc: Dbc) -> Counter[str]:
    """How many anomalies of each code."""
    return Counter(a.code for a in dbc.anomalies)
