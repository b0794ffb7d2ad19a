"""Encodings, line ends and quotes of DBC files."""

from __future__ import annotations

import pytest

from outrider.errors import ProfileError
from outrider.profile.anomaly import AnomalyLog
from outrider.profile.dbc_lexer import MAX_OPEN_STRINGS, Kind, decode, tokenize


def tokens(text: str) -> list[tuple[Kind, str, int, bool]]:
    return [tuple(t) for t in tokenize(text, AnomalyLog("x.dbc"))]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("data", "encoding", "text"),
    [
        ("Öl °C".encode(), "utf-8", "Öl °C"),
        (b"\xef\xbb\xbfVERSION", "utf-8-sig", "VERSION"),
        ("Temperatur °C für Öl".encode("cp1252"), "cp1252", "Temperatur °C für Öl"),
        ("发动机转速".encode("gb18030"), "gb18030", "发动机转速"),
        ("VERSION".encode("utf-16"), "utf-16", "VERSION"),
        (b"a\x81 \xe4\xf6 \xff", "latin-1", "a\x81 äö ÿ"),
    ],
)
def test_encoding_is_recognised_and_reported(data: bytes, encoding: str, text: str) -> None:
    """Text in any usual encoding is read right; all but UTF-8 leave a note."""
    log = AnomalyLog("x.dbc")
    assert decode(data, log) == (text, encoding)
    assert [a.code for a in log.result()] == ([] if encoding.startswith("utf-8") else ["encoding"])


def test_all_line_ends_count_as_one() -> None:
    """CRLF and lone CR files have the same line numbers as LF ones."""
    for end in (b"\r\n", b"\r", b"\n"):
        text, _encoding = decode(end.join([b"a", b"b", b"c"]), AnomalyLog("x"))
        assert [t.line for t in tokenize(text, AnomalyLog("x"))[:3]] == [1, 2, 3]


def test_numbers_signs_and_names_are_told_apart() -> None:
    """1+ is a number and a sign, -40 is one number, 0_COUNTER and m0M are names."""
    found = [(k, t) for k, t, _line, _first in tokens('0_COUNTER m0M : 7|8@1+ (1E-3,-40) [.5|2.] ""')]
    assert found == [
        (Kind.WORD, "0_COUNTER"), (Kind.WORD, "m0M"), (Kind.PUNCT, ":"), (Kind.NUMBER, "7"), (Kind.PUNCT, "|"),
        (Kind.NUMBER, "8"), (Kind.PUNCT, "@"), (Kind.NUMBER, "1"), (Kind.PUNCT, "+"), (Kind.PUNCT, "("),
        (Kind.NUMBER, "1E-3"), (Kind.PUNCT, ","), (Kind.NUMBER, "-40"), (Kind.PUNCT, ")"), (Kind.PUNCT, "["),
        (Kind.NUMBER, ".5"), (Kind.PUNCT, "|"), (Kind.NUMBER, "2."), (Kind.PUNCT, "]"), (Kind.STRING, ""),
        (Kind.END, ""),
    ]  # fmt: skip


def test_a_string_may_span_lines_and_hold_quotes() -> None:
    """Line numbers stay right behind a comment of several lines."""
    found = tokens('CM_ "one\n\\"two\\"\nthree";\nBO_')
    assert found[1] == (Kind.STRING, 'one\n"two"\nthree', 1, False)
    assert found[3] == (Kind.WORD, "BO_", 4, True)


def test_a_lost_quote_costs_one_line() -> None:
    """A quote that swallows statements ends at its line, and the statements survive."""
    log = AnomalyLog("x.dbc")
    found = tokenize('CM_ "lost;\nBO_ 1 A: 8 X\nCM_ BO_ 1 "text";\n', log)
    assert [t.text for t in found if t.first] == ["CM_", "BO_", "CM_", ""]
    assert found[1].text == "lost"
    assert [(a.line, a.code) for a in log.result()] == [(1, "unterminated-string")]


def test_hundreds_of_open_quotes_are_no_dbc() -> None:
    """A hostile file is refused with its line, not read for minutes."""
    with pytest.raises(ProfileError, match=r"x\.dbc:\d+: too many unclosed quotes"):
        tokenize('"\nBO_ 1\n' * (2 * MAX_OPEN_STRINGS + 10), AnomalyLog("x.dbc"))
