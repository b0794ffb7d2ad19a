"""VSS overlays in kuksa's format: which DBC signal feeds which VSS path, and how. Text to ``Mapping``; no DBC needed.

Both shapes are read: flat (``Vehicle.Speed: {dbc2vss: ...}``) and the tree VSS tools export (``children``). Rule: what
an author wrote is either used or refused with the line and the nearest known word; only attributes that VSS
itself or other tools own are passed over.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from outrider.errors import ProfileError
from outrider.model.record import Category
from outrider.model.vehicle import Role
from outrider.profile.catalogue import CATEGORIES
from outrider.profile.document import Node
from outrider.profile.formula import Formula, FormulaError, parse_formula

Scalar = bool | int | float | str

OUR_KEYS: Final = ("dbc2vss", "dbc", "vss2dbc", "outrider")
_VSS_WORDS: Final = (
    "type datatype unit min max description comment allowed default deprecation aggregate arraysize uuid pattern "
    "instances children constUID fqn delete instantiate"
)
_VSS_KEYS: Final = frozenset(_VSS_WORDS.split())
_DBC_KEYS: Final = ("signal", "interval_ms", "on_change", "transform", "multiplexer", "message")
_OUTRIDER_KEYS: Final = ("role", "step", "max_age_ms", "category", "telemetry", "message", "valid", "not_available")
_TRANSFORM_KEYS: Final = ("math", "mapping")
MAX_AGE_LIMIT_MS: Final = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Selector:
    """Only while ``signal``, of the same message, has one of these raw values: kuksa's multiplexer, our validity bits.

    values: inclusive pairs; a text stands for the raw value with that text in the DBC.
    """

    signal: str
    values: tuple[tuple[int | str, int | str], ...]


@dataclass(frozen=True, slots=True)
class Mapping:
    """One VSS path fed by one DBC signal. None = not said: the catalogue or the DBC decides.

    table: (from, to) pairs of ``transform.mapping``. interval_ms and on_change are kept as
    written (kuksa: 1000 ms when neither is given).
    """

    path: str
    signal: str
    file: str
    line: int | None
    unit: str | None = None
    datatype: str | None = None
    interval_ms: int | None = None
    on_change: bool = False
    formula: Formula | None = None
    table: tuple[tuple[Scalar, Scalar], ...] = ()
    selectors: tuple[Selector, ...] = ()
    message: str | None = None
    role: Role | None = None
    step: float | None = None
    max_age_ms: int | None = None
    category: Category | None = None
    telemetry: bool | None = None
    not_available: tuple[tuple[int, int], ...] | None = None
    vss2dbc: dict[str, Any] = field(default_factory=dict)


def parse_overlay(document: Node, file: str) -> tuple[Mapping, ...]:
    """All mapped paths in file order. Raises ProfileError with file and line."""
    if not isinstance(document.value, dict):
        raise ProfileError("an overlay is a mapping of VSS paths", path=file, line=document.line)
    found: list[Mapping] = []
    _walk(document, "", file, found)
    seen: dict[str, Mapping] = {}
    for mapping in found:
        if mapping.path in seen:
            raise ProfileError(f"{mapping.path} is mapped twice; keep one of the two", path=file, line=mapping.line)
        seen[mapping.path] = mapping
    return tuple(found)


def _walk(branch: Node, prefix: str, file: str, found: list[Mapping]) -> None:
    for name, node in branch.items():
        path = f"{prefix}.{name}" if prefix else name
        if not isinstance(node.value, dict):
            raise ProfileError(
                f"{path} must hold a mapping such as {{dbc2vss: {{signal: ...}}}}", path=file, line=node.line
            )
        children = node.value.get("children")
        if children is not None:
            if not isinstance(children.value, dict):
                raise ProfileError(f"children of {path} must be a mapping", path=file, line=children.line)
            _walk(children, path, file, found)
        mapping = _Entry(path, node, file).mapping()
        if mapping is not None:
            found.append(mapping)


class _Entry:
    """Reads one path; every complaint carries the path and the line."""

    def __init__(self, path: str, node: Node, file: str) -> None:
        self._path = path
        self._node = node
        self._file = file

    def _fail(self, message: str, node: Node | None = None) -> NoReturn:
        line = node.line if node is not None and node.line is not None else self._node.line
        raise ProfileError(f"{self._path}: {message}", path=self._file, line=line)

    def mapping(self) -> Mapping | None:
        keys = self._node.value
        for key, node in keys.items():
            if key not in _VSS_KEYS and key not in OUR_KEYS and difflib.get_close_matches(key, OUR_KEYS, 1, 0.75):
                self._unknown(key, OUR_KEYS, node)
        if "dbc" in keys and "dbc2vss" in keys:
            self._fail("has both dbc and dbc2vss, which mean the same; keep dbc2vss", keys["dbc"])
        source = keys.get("dbc2vss", keys.get("dbc"))
        if source is None:
            if "outrider" in keys:
                self._fail("has outrider settings but no dbc2vss; name the signal", keys["outrider"])
            return None
        dbc = self._table(source, _DBC_KEYS, "dbc2vss")
        own = self._table(keys["outrider"], _OUTRIDER_KEYS, "outrider") if "outrider" in keys else {}
        return self._build(dbc, own, source)

    def _build(self, dbc: dict[str, Node], own: dict[str, Node], source: Node) -> Mapping:
        if "signal" not in dbc:
            self._fail("dbc2vss needs the name of a signal", source)
        if "message" in dbc and "message" in own:
            self._fail("names the message twice; keep it under outrider", own["message"])
        formula, table = self._transform(dbc.get("transform"))
        on_change = self._bool(dbc["on_change"], "on_change") if "on_change" in dbc else False
        interval = self._int(dbc["interval_ms"], "interval_ms", 0, MAX_AGE_LIMIT_MS) if "interval_ms" in dbc else None
        selectors = self._multiplexer(dbc.get("multiplexer")) + self._valid(own.get("valid"))
        message = own.get("message", dbc.get("message"))
        vss2dbc = self._node.value.get("vss2dbc")
        return Mapping(
            path=self._path,
            signal=self._text(dbc["signal"], "signal"),
            file=self._file,
            line=source.line if source.line is not None else self._node.line,
            unit=self._plain_text("unit"),
            datatype=self._plain_text("datatype"),
            interval_ms=interval,
            on_change=on_change,
            formula=formula,
            table=table,
            selectors=selectors,
            message=None if message is None else self._text(message, "message"),
            role=self._choice(own["role"], "role", {r.name: r for r in Role}) if "role" in own else None,
            step=self._step(own["step"]) if "step" in own else None,
            max_age_ms=self._age(own["max_age_ms"]) if "max_age_ms" in own else None,
            category=self._choice(own["category"], "category", CATEGORIES) if "category" in own else None,
            telemetry=self._bool(own["telemetry"], "telemetry") if "telemetry" in own else None,
            not_available=self._raw_ranges(own["not_available"]) if "not_available" in own else None,
            vss2dbc=vss2dbc.plain() if vss2dbc is not None and isinstance(vss2dbc.value, dict) else {},
        )

    # ---- parts -------------------------------------------------------------------------------------

    def _transform(self, node: Node | None) -> tuple[Formula | None, tuple[tuple[Scalar, Scalar], ...]]:
        if node is None:
            return None, ()
        parts = self._table(node, _TRANSFORM_KEYS, "transform")
        if len(parts) != 1:
            self._fail("transform needs either math or mapping", node)
        if "math" in parts:
            try:
                return parse_formula(self._text(parts["math"], "math", numbers=True)), ()
            except FormulaError as err:
                self._fail(f"math: {err}", parts["math"])
        return None, self._pairs(parts["mapping"])

    def _pairs(self, node: Node) -> tuple[tuple[Scalar, Scalar], ...]:
        if not isinstance(node.value, list) or not node.value:
            self._fail("mapping must be a list of {from: ..., to: ...}", node)
        out: list[tuple[Scalar, Scalar]] = []
        for item in node.value:
            pair = self._table(item, ("from", "to"), "mapping")
            if len(pair) != 2:
                self._fail("each item of mapping needs from and to", item)
            out.append((self._scalar(pair["from"], "from"), self._scalar(pair["to"], "to")))
        texts = [isinstance(to, str) for _from, to in out]
        if any(texts) and not all(texts):
            self._fail("mapping mixes texts and numbers under to", node)
        return tuple(out)

    def _multiplexer(self, node: Node | None) -> tuple[Selector, ...]:
        if node is None:
            return ()
        if not isinstance(node.value, list):
            self._fail("multiplexer must be a list of {signal: ..., value: ...}", node)
        return tuple(self._one_selector(item, ("signal", "value"), "multiplexer") for item in node.value)

    def _valid(self, node: Node | None) -> tuple[Selector, ...]:
        if node is None:
            return ()
        items = node.value if isinstance(node.value, list) else [node]
        return tuple(self._one_selector(item, ("signal", "equals", "in"), "valid") for item in items)

    def _one_selector(self, node: Node, keys: tuple[str, ...], what: str) -> Selector:
        parts = self._table(node, keys, what)
        if "signal" not in parts or len(parts) != 2:
            self._fail(f"{what} needs signal and {' or '.join(keys[1:])}", node)
        signal = self._text(parts.pop("signal"), "signal")
        key, value = parts.popitem()
        if key != "in":
            raw = self._raw(value, key)
            return Selector(signal, ((raw, raw),))
        if not isinstance(value.value, list) or not value.value:
            self._fail("in must be a list of raw values or [low, high] pairs", value)
        return Selector(signal, tuple(self._span(item) for item in value.value))

    def _span(self, node: Node) -> tuple[int | str, int | str]:
        if isinstance(node.value, list):
            low, high = self._low_high(node)
            return low, high
        raw = self._raw(node, "value")
        return raw, raw

    def _raw_ranges(self, node: Node) -> tuple[tuple[int, int], ...]:
        items = node.value if isinstance(node.value, list) else [node]
        return tuple(
            self._low_high(item) if isinstance(item.value, list) else (self._int(item, "not_available"),) * 2
            for item in items
        )

    def _low_high(self, node: Node) -> tuple[int, int]:
        if len(node.value) != 2:
            self._fail("a range is [low, high]", node)
        low, high = (self._int(item, "range") for item in node.value)
        if high < low:
            self._fail(f"the range [{low}, {high}] is backwards", node)
        return low, high

    # ---- scalars -----------------------------------------------------------------------------------

    def _table(self, node: Node, known: Iterable[str], what: str) -> dict[str, Node]:
        if not isinstance(node.value, dict):
            self._fail(f"{what} must be a mapping with the keys {', '.join(known)}", node)
        for key, value in node.items():
            if key not in known:
                self._unknown(key, known, value)
        return dict(node.items())

    def _unknown(self, key: str, known: Iterable[str], node: Node) -> NoReturn:
        self._fail(f"unknown key {key}{nearest(key, known)}", node)

    def _plain_text(self, key: str) -> str | None:
        node = self._node.value.get(key)
        return None if node is None or node.value is None else str(node.value)

    def _text(self, node: Node, what: str, *, numbers: bool = False) -> str:
        if numbers and type(node.value) in (int, float):
            return str(node.value)
        if not isinstance(node.value, str) or not node.value:
            self._fail(f"{what} must be a text", node)
        return node.value

    def _bool(self, node: Node, what: str) -> bool:
        if not isinstance(node.value, bool):
            self._fail(f"{what} must be true or false", node)
        return node.value

    def _int(self, node: Node, what: str, low: int = -(2**63), high: int = 2**64 - 1) -> int:
        if type(node.value) is not int or not low <= node.value <= high:
            limits = f" from {low} to {high}" if low >= 0 else ""
            self._fail(f"{what} must be an integer{limits}", node)
        return int(node.value)

    def _raw(self, node: Node, what: str) -> int | str:
        if isinstance(node.value, str) and node.value:
            return node.value
        return int(node.value) if isinstance(node.value, bool) else self._int(node, what)

    def _scalar(self, node: Node, what: str) -> Scalar:
        if not isinstance(node.value, bool | int | float | str):
            self._fail(f"{what} must be a number, a text, true or false", node)
        if isinstance(node.value, float) and not math.isfinite(node.value):
            self._fail(f"{what} must be finite", node)
        return node.value

    def _step(self, node: Node) -> float:
        if type(node.value) not in (int, float) or not 1e-12 <= node.value <= 1e12:
            self._fail("step must be a number above 0", node)
        return float(node.value)

    def _age(self, node: Node) -> int:
        return self._int(node, "max_age_ms", 1, MAX_AGE_LIMIT_MS)

    def _choice(self, node: Node, what: str, known: dict[str, Any]) -> Any:
        if not isinstance(node.value, str) or node.value not in known:
            self._fail(f"unknown {what} {node.value}{nearest(str(node.value), known)}", node)
        return known[node.value]


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean ...?`` when something known is close, else a list of what is known when it is short."""
    names = list(known)
    close = difflib.get_close_matches(word, names, 1, 0.5)
    if not close:
        folded = {name.lower(): name for name in names}
        close = [folded[word.lower()]] if word.lower() in folded else []
    if close:
        return f"; did you mean {close[0]}?"
    return f"; there are {', '.join(names)}" if 0 < len(names) <= 12 else ""
