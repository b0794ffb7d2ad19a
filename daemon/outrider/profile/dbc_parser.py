"""Tokens of a DBC file to raw statements. Owns the grammar and the recovery after an error; resolves nothing.

Rule: a statement that cannot be read becomes one anomaly, and reading resumes at the next line that opens a statement.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from outrider.profile.anomaly import AnomalyLog
from outrider.profile.dbc_lexer import KEYWORDS, Kind, Token

_MUX: Final = re.compile(r"M|m(?P<value>[0-9]{1,18})(?P<switch>M)?")
Pairs = tuple[tuple[int, str], ...]


@dataclass(slots=True)
class RawSignal:
    name: str
    line: int
    start: int
    length: int
    big_endian: bool
    signed: bool
    factor: float
    offset: float
    minimum: float
    maximum: float
    unit: str
    receivers: tuple[str, ...]
    mux_value: int | None  # m5 -> 5
    is_switch: bool  # M, m5M


@dataclass(slots=True)
class RawMessage:
    raw_id: int  # as written, bit 31 = 29-bit identifier
    name: str
    length: int
    sender: str
    line: int
    signals: list[RawSignal] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Attached:
    """A value that belongs to (raw_id, signal); signal "" = the message, raw_id None = the file."""

    raw_id: int | None
    signal: str
    line: int


@dataclass(slots=True)
class RawDbc:
    version: str = ""
    nodes: list[str] = field(default_factory=list)
    messages: list[RawMessage] = field(default_factory=list)
    comments: list[tuple[Attached, str]] = field(default_factory=list)
    choices: list[tuple[Attached, Pairs | str]] = field(default_factory=list)  # a str names a VAL_TABLE_
    tables: dict[str, Pairs] = field(default_factory=dict)
    value_types: list[tuple[Attached, int]] = field(default_factory=list)
    mux_ranges: list[tuple[Attached, str, tuple[tuple[int, int], ...]]] = field(default_factory=list)
    enums: dict[str, tuple[str, ...]] = field(default_factory=dict)
    defaults: dict[str, str] = field(default_factory=dict)
    attributes: list[tuple[str, Attached, str]] = field(default_factory=list)


class _SyntaxError(Exception):
    """Inside this module only: what was expected and the token found instead."""


class DbcParser:
    """One pass over the tokens. ``parse`` may be called once."""

    def __init__(self, tokens: list[Token], log: AnomalyLog) -> None:
        self._tokens = tokens
        self._pos = 0
        self._log = log
        self._out = RawDbc()
        self._statements = {
            "VERSION": self._version,
            "NS_": self._new_symbols,
            "BU_": self._nodes,
            "BO_": self._message,
            "SG_": self._signal,
            "CM_": self._comment,
            "VAL_": self._values,
            "VAL_TABLE_": self._value_table,
            "SIG_VALTYPE_": self._value_type,
            "SG_MUL_VAL_": self._mux_range,
            "BA_DEF_": self._attribute_definition,
            "BA_DEF_DEF_": self._attribute_default,
            "BA_": self._attribute,
        }

    def parse(self) -> RawDbc:
        while (token := self._peek()).kind != Kind.END:
            if token.kind != Kind.WORD or token.text not in KEYWORDS:
                self._stray(token)
                continue
            self._pos += 1
            statement = self._statements.get(token.text)
            if statement is None:  # a section that says nothing about decoding
                self._skip()
                continue
            try:
                statement(token.line)
            except _SyntaxError as err:
                self._log.add(token.line, "syntax", f"{token.text} {err}", "statement skipped")
                self._skip()
        return self._out

    # ---- tokens ------------------------------------------------------------------------------------

    def _peek(self) -> Token:
        return self._tokens[self._pos]

    def _next(self) -> Token:
        token = self._tokens[self._pos]
        if token.kind != Kind.END:
            self._pos += 1
        return token

    def _at_statement(self) -> bool:
        """At the end, or before a line that opens a statement."""
        token = self._peek()
        return token.kind == Kind.END or (token.first and token.kind == Kind.WORD and token.text in KEYWORDS)

    def _skip(self) -> None:
        """To behind the next ``;`` or before the next line that opens a statement."""
        while not self._at_statement():
            if self._is(";") and self._next():
                return
            self._pos += 1

    def _stray(self, token: Token) -> None:
        """Text outside any statement: one anomaly for the whole run."""
        while not self._at_statement():
            self._pos += 1
        if token.text != ";":
            self._log.add(token.line, "stray-text", f"{token.text[:40]!r} outside any statement", "skipped")

    def _is(self, punct: str) -> bool:
        token = self._peek()
        return token.kind == Kind.PUNCT and token.text == punct

    def _accept(self, punct: str) -> bool:
        if self._is(punct):
            self._pos += 1
            return True
        return False

    def _expect(self, punct: str) -> None:
        if not self._accept(punct):
            raise self._wrong(f"'{punct}'")

    def _wrong(self, wanted: str) -> _SyntaxError:
        token = self._peek()
        found = "end of file" if token.kind == Kind.END else repr(token.text[:40])
        return _SyntaxError(f"needs {wanted} but has {found} (line {token.line})")

    def _name(self, *, digits: bool = True) -> str:
        token = self._peek()
        if token.kind != Kind.WORD and not (digits and token.kind == Kind.NUMBER):
            raise self._wrong("a name")
        self._pos += 1
        return token.text

    def _string(self) -> str:
        if self._peek().kind != Kind.STRING:
            raise self._wrong("a text in quotes")
        return self._next().text

    def _float(self) -> float:
        if self._peek().kind != Kind.NUMBER:
            raise self._wrong("a number")
        return float(self._next().text)

    def _int(self) -> int:
        token = self._peek()
        if token.kind != Kind.NUMBER or len(token.text) > 40:
            raise self._wrong("an integer")
        try:
            value = int(token.text)
        except ValueError:
            number = float(token.text)
            if not number.is_integer():
                raise self._wrong("an integer") from None
            value = int(number)
        self._pos += 1
        return value

    def _end(self) -> None:
        if not self._accept(";"):
            token = self._tokens[self._pos - 1]
            self._log.add(token.line, "missing-semicolon", "a statement without ';'", "read as if it were there")
            self._skip()

    # ---- statements --------------------------------------------------------------------------------

    def _version(self, _line: int) -> None:
        if self._peek().kind == Kind.STRING:
            self._out.version = self._string()

    def _new_symbols(self, _line: int) -> None:
        """``NS_ :`` lists keywords, each alone on its line; they open no statement."""
        self._accept(":")
        while (token := self._peek()).kind == Kind.WORD and (not token.first or self._tokens[self._pos + 1].first):
            self._pos += 1

    def _nodes(self, _line: int) -> None:
        self._accept(":")
        while not self._at_statement() and self._peek().kind in (Kind.WORD, Kind.NUMBER):
            self._out.nodes.append(self._next().text)

    def _declared(self, line: int) -> str:
        name = self._name()
        if name[0].isdigit():
            self._log.add(line, "name-digit", f"the name {name[:40]} starts with a digit", "accepted")
        return name

    def _message(self, line: int) -> None:
        raw_id = self._int()
        name = self._declared(line)
        self._expect(":")
        message = RawMessage(raw_id, name, self._int(), "", line)
        if not self._peek().first and self._peek().kind in (Kind.WORD, Kind.NUMBER):
            message.sender = self._next().text
        self._out.messages.append(message)
        if not self._at_statement() and self._peek().text not in KEYWORDS:
            token = self._peek()
            self._log.add(token.line, "stray-text", f"{token.text[:40]!r} behind message {name}", "skipped")
            self._skip()

    def _signal(self, line: int) -> None:
        name = self._declared(line)
        mux_value, is_switch = self._mux_mark(name, line)
        self._expect(":")
        start = self._int()
        self._expect("|")
        length = self._int()
        self._expect("@")
        order = self._int()
        sign = self._next().text
        if order not in (0, 1) or sign not in ("+", "-"):
            raise _SyntaxError(f"{name} needs a byte order and a sign such as 1+ but has {order}{sign}")
        factor, offset = self._pair("(", ",", ")")
        minimum, maximum = self._pair("[", "|", "]")
        unit = self._string()
        if not self._out.messages:
            self._log.add(line, "orphan-signal", f"signal {name} before any message", "dropped")
            self._skip()
            return
        signal = RawSignal(
            name, line, start, length, order == 0, sign == "-", factor, offset, minimum, maximum, unit,
            self._receivers(), mux_value, is_switch,
        )  # fmt: skip
        self._out.messages[-1].signals.append(signal)

    def _mux_mark(self, name: str, line: int) -> tuple[int | None, bool]:
        if self._is(":"):
            return None, False
        mark = self._name(digits=False)
        match = _MUX.fullmatch(mark)
        if match is None:
            self._log.add(line, "multiplexer-mark", f"signal {name} has the mark {mark[:40]!r}", "mark ignored")
            return None, False
        value = match["value"]
        return (None, True) if value is None else (int(value), match["switch"] is not None)

    def _pair(self, opening: str, between: str, closing: str) -> tuple[float, float]:
        self._expect(opening)
        one = self._float()
        self._expect(between)
        two = self._float()
        self._expect(closing)
        return one, two

    def _receivers(self) -> tuple[str, ...]:
        names: list[str] = []
        more = True
        while (token := self._peek()).kind in (Kind.WORD, Kind.NUMBER) and token.text not in KEYWORDS:
            if token.first and not more:
                break
            names.append(self._next().text)
            more = self._accept(",")
        self._accept(";")
        return tuple(n for n in names if n != "Vector__XXX")

    def _comment(self, line: int) -> None:
        target = self._target(line, tolerant=True)
        text = self._string()
        if target is not None and target.raw_id is not None:
            self._out.comments.append((target, text))
        self._end()

    def _target(self, line: int, *, tolerant: bool = False) -> Attached | None:
        """``BO_ id``, ``SG_ id name``, ``BU_ node``, ``EV_ name`` or nothing (the file). None = nothing of ours."""
        token = self._peek()
        if tolerant and token.kind == Kind.NUMBER:
            self._log.add(line, "syntax", f"a comment on {token.text} without BO_", "taken as a comment on the message")
            return Attached(self._int(), "", line)
        if token.kind != Kind.WORD:
            return Attached(None, "", line)
        self._pos += 1
        if token.text == "BO_":
            return Attached(self._int(), "", line)
        if token.text == "SG_":
            return Attached(self._int(), self._name(), line)
        if token.text in ("BU_", "EV_"):
            self._name()
            return None
        self._pos -= 1
        raise self._wrong("BO_, SG_, BU_ or EV_")

    def _value_pairs(self) -> Pairs:
        pairs: list[tuple[int, str]] = []
        while self._peek().kind == Kind.NUMBER:
            value = self._int()
            pairs.append((value, self._string()))
        return tuple(pairs)

    def _values(self, line: int) -> None:
        if self._peek().kind != Kind.NUMBER:  # of an environment variable
            self._skip()
            return
        target = Attached(self._int(), self._name(), line)
        table = self._name(digits=False) if self._peek().kind == Kind.WORD and not self._at_statement() else None
        self._out.choices.append((target, table if table is not None else self._value_pairs()))
        self._end()

    def _value_table(self, _line: int) -> None:
        name = self._name()
        self._out.tables[name] = self._value_pairs()
        self._end()

    def _value_type(self, line: int) -> None:
        target = Attached(self._int(), self._name(), line)
        self._accept(":")
        self._out.value_types.append((target, self._int()))
        self._end()

    def _mux_range(self, line: int) -> None:
        target = Attached(self._int(), self._name(), line)
        switch = self._name()
        ranges: list[tuple[int, int]] = []
        while True:
            low = self._int()
            self._accept("-")
            high = abs(self._int())  # "3-5" reads as the numbers 3 and -5
            if high < low:
                raise _SyntaxError(f"range {low}-{high} of {target.signal} is backwards")
            ranges.append((low, high))
            if not self._accept(","):
                break
        self._out.mux_ranges.append((target, switch, tuple(ranges)))
        self._end()

    # ---- attributes --------------------------------------------------------------------------------

    def _attribute_definition(self, _line: int) -> None:
        if self._peek().kind == Kind.WORD:
            self._pos += 1  # BU_, BO_, SG_, EV_
        name = self._string()
        if self._name() == "ENUM":
            texts: list[str] = []
            while self._peek().kind == Kind.STRING:
                texts.append(self._string())
                self._accept(",")
            self._out.enums[name] = tuple(texts)
        self._skip()

    def _attribute_default(self, _line: int) -> None:
        name = self._string()
        self._out.defaults[name] = self._value()
        self._end()

    def _attribute(self, line: int) -> None:
        name = self._string()
        target = self._target(line)
        value = self._value()
        if target is not None:
            self._out.attributes.append((name, target, value))
        self._end()

    def _value(self) -> str:
        token = self._peek()
        if token.kind not in (Kind.NUMBER, Kind.STRING, Kind.WORD) or self._at_statement():
            raise self._wrong("a value")
        return self._next().text
