"""Writes a loaded DBC back as text, and hypothesis strategies of whole DBC models: the inverse of the loader."""

from __future__ import annotations

from hypothesis import strategies as st

from outrider.model.vehicle import BitField, Encoding
from outrider.profile.dbc_model import DbcMessage, DbcSignal, MuxSelector

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,30}", fullmatch=True).filter(
    lambda n: n not in ("M", "m") and not n.endswith("_")
)
texts = st.text(st.characters(codec="utf-8", exclude_characters='"\\\r', exclude_categories=["Cs", "Cc"]), max_size=12)
numbers = st.floats(allow_nan=False, allow_infinity=False, width=64).filter(lambda x: x == 0 or 1e-100 < abs(x) < 1e100)


@st.composite
def fields(draw: st.DrawFn, length: int) -> BitField:
    """A field inside ``length`` bytes."""
    bits = draw(st.integers(1, min(64, 8 * length)))
    first = draw(st.integers(0, 8 * length - bits))
    if draw(st.booleans()):
        return BitField(8 * (first // 8) + 7 - first % 8, bits, big_endian=True)
    return BitField(first, bits)


@st.composite
def signals(draw: st.DrawFn, name: str, length: int) -> DbcSignal:
    field = draw(fields(length))
    encodings = [Encoding.UINT, Encoding.INT]
    encodings += [Encoding.FLOAT32] if field.length == 32 else [Encoding.FLOAT64] if field.length == 64 else []
    limits = draw(st.none() | st.tuples(numbers, numbers).filter(lambda pair: pair != (0, 0)))
    return DbcSignal(
        name=name,
        field=field,
        encoding=draw(st.sampled_from(encodings)),
        factor=draw(numbers.filter(bool)),
        offset=draw(numbers),
        minimum=limits[0] if limits else None,
        maximum=limits[1] if limits else None,
        unit=draw(texts),
        receivers=tuple(draw(st.lists(names, max_size=2))),
        comment=draw(texts),
        choices=tuple(draw(st.dictionaries(st.integers(-(2**31), 2**31), texts, max_size=3)).items()),
        spn=draw(st.none() | st.integers(1, 2**19 - 1)),
        start_value=draw(st.none() | numbers),
    )


@st.composite
def messages(draw: st.DrawFn, name: str, identifier: tuple[int, bool]) -> DbcMessage:
    """With simple multiplexing when a switch is drawn."""
    length = draw(st.sampled_from([1, 2, 8, 12, 64]))
    found = [draw(signals(n, length)) for n in draw(st.lists(names, unique=True, max_size=4))]
    if len(found) > 1 and draw(st.booleans()):
        switch = found[0].name
        values = st.integers(0, 2**16).map(lambda v: MuxSelector(switch, ((v, v),)))
        found = [_with(found[0], None, switch=True), *(_with(s, draw(st.none() | values)) for s in found[1:])]
    return DbcMessage(
        name=name,
        frame_id=identifier[0],
        extended=identifier[1],
        length=length,
        signals=tuple(found),
        sender=draw(st.just("") | names),
        comment=draw(texts),
        cycle_ms=draw(st.none() | st.integers(1, 100_000)),
    )


def _with(signal: DbcSignal, mux: MuxSelector | None, *, switch: bool = False) -> DbcSignal:
    from dataclasses import replace

    return replace(signal, mux=mux, is_switch=switch)


identifiers = st.tuples(st.integers(0, 0x7FF), st.just(False)) | st.tuples(st.integers(0, 0x1FFFFFFF), st.just(True))


@st.composite
def databases(draw: st.DrawFn) -> tuple[DbcMessage, ...]:
    ids = draw(st.lists(identifiers, unique=True, min_size=1, max_size=3))
    labels = draw(st.lists(names, unique=True, min_size=len(ids), max_size=len(ids)))
    return tuple(draw(messages(label, identifier)) for label, identifier in zip(labels, ids, strict=True))


def write(found: tuple[DbcMessage, ...], newline: str = "\n") -> str:
    """DBC text of the messages."""
    lines = ['VERSION ""', "NS_ :", "\tCM_", "\tBA_", "BS_:", "BU_:", ""]
    notes: list[str] = []
    for message in found:
        raw = message.frame_id | (0x80000000 if message.extended else 0)
        lines.append(f"BO_ {raw} {message.name}: {message.length} {message.sender or 'Vector__XXX'}")
        lines += [_signal_line(s) for s in message.signals]
        if message.comment:
            notes.append(f'CM_ BO_ {raw} "{message.comment}";')
        if message.cycle_ms:
            notes.append(f'BA_ "GenMsgCycleTime" BO_ {raw} {message.cycle_ms};')
        for signal in message.signals:
            notes += _notes(raw, signal)
    return newline.join([*lines, "", *notes, ""])


def _signal_line(s: DbcSignal) -> str:
    mark = " M" if s.is_switch else f" m{s.mux.ranges[0][0]}" if s.mux else ""
    order = f"{0 if s.field.big_endian else 1}{'-' if s.encoding == Encoding.INT else '+'}"
    limits = f"[{s.minimum or 0!r}|{s.maximum or 0!r}]" if s.minimum is not None else "[0|0]"
    receivers = ",".join(s.receivers) or "Vector__XXX"
    numbers_text = f"({s.factor!r},{s.offset!r}) {limits}"
    return f' SG_ {s.name}{mark} : {s.field.start}|{s.field.length}@{order} {numbers_text} "{s.unit}" {receivers}'


def _notes(raw: int, s: DbcSignal) -> list[str]:
    found = [f'CM_ SG_ {raw} {s.name} "{s.comment}";'] if s.comment else []
    if s.choices:
        found.append(f"VAL_ {raw} {s.name} " + " ".join(f'{value} "{text}"' for value, text in s.choices) + " ;")
    if s.encoding in (Encoding.FLOAT32, Encoding.FLOAT64):
        found.append(f"SIG_VALTYPE_ {raw} {s.name} : {1 if s.encoding == Encoding.FLOAT32 else 2};")
    if s.spn is not None:
        found.append(f'BA_ "SPN" SG_ {raw} {s.name} {s.spn};')
    if s.start_value is not None:
        found.append(f'BA_ "GenSigStartValue" SG_ {raw} {s.name} {s.start_value!r};')
    return found
