"""Bytes of a DBC file to tokens with line numbers. Owns encodings, line ends and quotes; knows no grammar.

Linear in the size of the file: every pattern is possessive, so hostile text cannot make it backtrack.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Final, NamedTuple

from outrider.errors import ProfileError
from outrider.profile.anomaly import AnomalyLog

MAX_BYTES: Final = 32 * 1024 * 1024

# Words that open a statement. A line that begins with one is where reading resumes after an error.
_KEYWORDS: Final = (
    "VERSION NS_ BS_ BU_ BO_ SG_ EV_ CM_ BA_DEF_ BA_ VAL_ VAL_TABLE_ BA_DEF_DEF_ SIG_VALTYPE_ SG_MUL_VAL_ BO_TX_BU_ "
    "SIG_GROUP_ SGTYPE_ SGTYPE_VAL_ BA_DEF_SGTYPE_ BA_SGTYPE_ SIG_TYPE_REF_ SIGTYPE_VALTYPE_ BA_DEF_REL_ BA_REL_ "
    "BA_DEF_DEF_REL_ BU_SG_REL_ BU_EV_REL_ BU_BO_REL_ EV_DATA_ ENVVAR_DATA_ CAT_DEF_ CAT_ FILTER NS_DESC_"
)
KEYWORDS: Final = frozenset(_KEYWORDS.split())


class Kind(IntEnum):
    WORD = 1
    NUMBER = 2
    STRING = 3
    PUNCT = 4
    END = 5


class Token(NamedTuple):
    """``first``: the first token on its line. ``text`` of a STRING is without quotes."""

    kind: Kind
    text: str
    line: int
    first: bool


_TOKEN: Final = re.compile(
    r"(?P<newline>\n)"
    r"|(?P<blank>[^\S\n]++)"
    r'|(?P<string>"(?:\\"|[^"]){0,65536}+")'
    r"|(?P<number>[-+]?(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][-+]?[0-9]++)?+(?!\w))"
    r"|(?P<word>\w++)"
    r"|(?P<punct>.)"
)
MAX_OPEN_STRINGS: Final = 500
_STATEMENT_INSIDE: Final = re.compile(r"\n[^\S\n]*+(?:BO_|SG_|BA_|VAL_|CM_|BA_DEF_|BA_DEF_DEF_|VAL_TABLE_|BU_)[ :]")
_SAME_LINE_STRING: Final = re.compile(r'"[^"\n]*+"')
_HIGH_RUN: Final = re.compile(rb"[\x80-\xff]+")


def decode(data: bytes, log: AnomalyLog) -> tuple[str, str]:
    """Text and the name of the encoding it was read with: BOM, else UTF-8, else GB 18030 or Windows-1252 by looks."""
    if len(data) > MAX_BYTES:
        raise ProfileError(f"{len(data)} bytes; a DBC of more than {MAX_BYTES} is refused", path=log.file)
    text, encoding = _decode(data)
    if encoding not in ("utf-8", "utf-8-sig"):
        log.add(0, "encoding", "the text is not UTF-8", f"read as {encoding}")
    return text.replace("\r\n", "\n").replace("\r", "\n"), encoding


def _decode(data: bytes) -> tuple[str, str]:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace"), "utf-16"
    try:
        encoding = "utf-8-sig" if data.startswith(b"\xef\xbb\xbf") else "utf-8"
        return data.decode(encoding), encoding
    except UnicodeDecodeError:
        pass
    if _looks_like_gb(data):
        try:
            return data.decode("gb18030"), "gb18030"
        except UnicodeDecodeError:
            pass
    try:
        return data.decode("cp1252"), "cp1252"
    except UnicodeDecodeError:
        return data.decode("latin-1"), "latin-1"


def _looks_like_gb(data: bytes) -> bool:
    """Chinese text comes in pairs of bytes 0xA1..0xFE; an accented letter or a degree sign stands alone."""
    return all(len(run) % 2 == 0 and min(run) >= 0xA1 for run in _HIGH_RUN.findall(data))


def tokenize(text: str, log: AnomalyLog) -> list[Token]:
    """All tokens, closed by one of kind END. Unterminated quotes become anomalies; hundreds of them, a ProfileError."""
    tokens: list[Token] = []
    add = tokens.append
    line, first, pos, end, open_strings = 1, True, 0, len(text), 0
    match = _TOKEN.match
    while pos < end:
        found = match(text, pos)
        assert found is not None  # the last alternative takes any character
        group, value = found.lastgroup, found.group()
        pos = found.end()
        if group == "blank":
            continue
        if group == "newline":
            line, first = line + 1, True
            continue
        start_line = line
        if group == "string":
            body, pos, line = _string(text, value, found.start(), line, log)
            add(Token(Kind.STRING, body, start_line, first))
            open_strings += pos != found.end()
        elif group == "word":
            add(Token(Kind.WORD, value, line, first))
        elif group == "number":
            add(Token(Kind.NUMBER, value, line, first))
        elif value == '"':
            stop = text.find("\n", pos)
            stop = end if stop < 0 else stop
            log.add(line, "unterminated-string", "a quote that is never closed", "taken up to the end of the line")
            add(Token(Kind.STRING, text[pos:stop].rstrip(" ;"), line, first))
            pos = stop
            open_strings += 1
        else:
            add(Token(Kind.PUNCT, value, line, first))
        first = False
        if open_strings > MAX_OPEN_STRINGS:
            raise ProfileError("too many unclosed quotes: this is no DBC file", path=log.file, line=line)
    add(Token(Kind.END, "", line, True))
    return tokens


def _string(text: str, value: str, start: int, line: int, log: AnomalyLog) -> tuple[str, int, int]:
    """Content, where to read on, and the line there. A string that swallows statements lost its closing quote."""
    lines = value.count("\n")
    if lines and _STATEMENT_INSIDE.search(value):
        log.add(line, "unterminated-string", "a quote is not closed on its line", "taken up to the end of the line")
        closed = _SAME_LINE_STRING.match(text, start)
        stop = closed.end() if closed else text.index("\n", start)
        body = text[start + 1 : stop - 1] if closed else text[start + 1 : stop].rstrip(" ;")
        return body, stop, line
    return value[1:-1].replace('\\"', '"'), start + len(value), line + lines
