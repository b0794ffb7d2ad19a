"""The tolerant DBC loader, quirk by quirk: what is kept, what is dropped, what the author is told."""

from __future__ import annotations

import pytest

from outrider.errors import ProfileError
from outrider.model.vehicle import BitField, Encoding
from outrider.profile.anomaly import MAX_ANOMALIES
from outrider.profile.dbc_loader import anomaly_counts, last_byte, load_dbc, merge_ranges
from outrider.profile.dbc_model import Dbc, MuxSelector

PLAIN = """VERSION "7"
NS_ :
\tNS_DESC_
\tCM_
\tBA_
BS_:
BU_: ECU GW
VAL_TABLE_ OnOff 1 "on" 0 "off" ;
BO_ 100 Engine: 8 ECU
 SG_ Rpm : 0|16@1+ (0.25,0) [0|16383.75] "rpm" GW,ECU
 SG_ Torque : 23|12@0- (0.5,-10) [0|0] "Nm" Vector__XXX
 SG_ Ratio : 32|32@1- (1,0) [0|0] "" GW
EV_ Env: 0 [0|1] "" 0 1 DUMMY_NODE_VECTOR0 Vector__XXX;
CM_ "the file";
CM_ BU_ ECU "a node";
CM_ BO_ 100 "the engine";
CM_ SG_ 100 Rpm "crank \\"speed\\"";
BA_DEF_ BO_ "GenMsgCycleTime" INT 0 10000;
BA_DEF_ SG_ "SPN" INT 0 524287;
BA_DEF_DEF_ "GenMsgCycleTime" 0;
BA_ "GenMsgCycleTime" BO_ 100 20;
BA_ "SPN" SG_ 100 Rpm 190;
BA_ "GenSigStartValue" SG_ 100 Rpm 3.5;
VAL_ 100 Rpm 65535 "SNA" 65534 "error" ;
VAL_ 100 Torque OnOff ;
VAL_ Env 0 "zero";
SIG_VALTYPE_ 100 Ratio : 1;
"""


def load(text: str, name: str = "car.dbc") -> Dbc:
    return load_dbc(text.encode(), name)


def message(body: str, extra: str = "", head: str = "BO_ 1 M: 8 X") -> Dbc:
    return load(f"{head}\n{body}\n{extra}\n")


def test_a_plain_file_is_read_whole_and_without_complaint() -> None:
    """Every kind of statement that matters for decoding arrives in the model; nothing is reported."""
    dbc = load(PLAIN)
    assert dbc.anomalies == ()
    assert (dbc.version, dbc.nodes, dbc.encoding) == ("7", ("ECU", "GW"), "utf-8")
    engine = dbc.message("Engine")
    assert engine is not None
    assert (engine.frame_id, engine.extended, engine.length, engine.sender) == (100, False, 8, "ECU")
    assert (engine.comment, engine.cycle_ms, engine.line) == ("the engine", 20, 9)
    rpm, torque, ratio = engine.signals
    assert (rpm.field, rpm.encoding, rpm.factor, rpm.minimum) == (BitField(0, 16), Encoding.UINT, 0.25, 0.0)
    assert (rpm.maximum, rpm.unit, rpm.receivers) == (16383.75, "rpm", ("GW", "ECU"))
    assert (rpm.comment, rpm.spn, rpm.start_value) == ('crank "speed"', 190, 3.5)
    assert rpm.choices == ((65535, "SNA"), (65534, "error"))
    assert (torque.field, torque.encoding) == (BitField(23, 12, big_endian=True), Encoding.INT)
    assert (torque.minimum, torque.maximum, torque.choices) == (None, None, ((1, "on"), (0, "off")))
    assert ratio.encoding == Encoding.FLOAT32


def test_crlf_and_one_line_files_read_the_same() -> None:
    """White space and line ends carry no meaning."""
    crlf = load_dbc(PLAIN.replace("\n", "\r\n").encode(), "car.dbc")
    assert crlf.messages == load(PLAIN).messages
    tight = load('BO_ 1 A:8 X SG_ s:0|8@1+(1,-40)[0|0]""Y SG_ t:8|8@1-(2,0)[0|0]""Y')
    assert [(s.name, s.offset, s.factor) for s in tight.messages[0].signals] == [("s", -40, 1), ("t", 0, 2)]


SIGNAL = ' SG_ s : 0|8@1+ (1,0) [0|0] "" X'


@pytest.mark.parametrize(
    ("head", "frame_id", "extended", "codes"),
    [
        ("BO_ 2047 M: 8 X", 0x7FF, False, []),
        ("BO_ 2147483649 M: 8 X", 1, True, []),
        ("BO_ 2564485397 M: 8 X", 0x18DAF115, True, []),
        ("BO_ 2048 M: 8 X", 0x800, True, ["extended-bit-missing"]),
        ("BO_ 1075054137 M: 8 X", 0x140639, True, ["extended-bit-missing", "identifier-range"]),
        ("BO_ 1 2017_5: 8 X", 1, False, ["name-digit"]),
        ("BO_ 1 2017: 8 X", 1, False, ["name-digit"]),
        ("BO_ 1 M: 8", 1, False, []),
        ("BO_ 1 M: 8 X stray words", 1, False, ["stray-text"]),
    ],
)
def test_identifiers(head: str, frame_id: int, extended: bool, codes: list[str]) -> None:
    """Bit 31 marks 29-bit identifiers; where it was forgotten the message is kept and the author told."""
    dbc = message(SIGNAL, head=head)
    only = dbc.messages[0]
    assert (only.frame_id, only.extended, len(only.signals)) == (frame_id, extended, 1)
    assert sorted(a.code for a in dbc.anomalies) == codes


@pytest.mark.parametrize(
    ("body", "code", "kept"),
    [
        (' SG_ s : 0|0@1+ (1,0) [0|0] "" X', "signal-length", 0),
        (' SG_ s : 0|65@1+ (1,0) [0|0] "" X', "signal-length", 0),
        (' SG_ s : 60|8@1+ (1,0) [0|0] "" X', "signal-outside", 1),
        (' SG_ s : 510|8@1+ (1,0) [0|0] "" X', "signal-outside", 0),
        (' SG_ s : 99999999|8@1+ (1,0) [0|0] "" X', "signal-outside", 0),
        (' SG_ s : 0|8@1+ (1e999,0) [0|0] "" X', "not-finite", 0),
        (' SG_ s : 0|8@1+ (0,5) [0|0] "" X', "zero-factor", 1),
        (' SG_ s : 0|8@2+ (1,0) [0|0] "" X', "syntax", 0),
        (' SG_ s : 0|8@1 (1,0) [0|0] "" X', "syntax", 0),
        (' SG_ s : 0|8@1+ 1,0) [0|0] "" X', "syntax", 0),
        (' SG_ s q : 0|8@1+ (1,0) [0|0] "" X', "multiplexer-mark", 1),
        (' SG_ s m3 : 0|8@1+ (1,0) [0|0] "" X', "unknown-switch", 1),
        (' SG_ 0s : 0|8@1+ (1,0) [0|0] "" X', "name-digit", 1),
        (SIGNAL + "\n" + SIGNAL, "duplicate-signal", 1),
        (SIGNAL + "\nXXX\n YYY ZZZ", "stray-text", 1),
        (SIGNAL + '\nCM_ "no semicolon"', "missing-semicolon", 1),
        (SIGNAL + '\nVAL_ 1 nobody 0 "x" ;', "unknown-target", 1),
        (SIGNAL + '\nVAL_ 2 s 0 "x" ;', "unknown-target", 1),
        (SIGNAL + "\nVAL_ 1 s NoTable ;", "unknown-table", 1),
        (SIGNAL + '\nBA_ "X" SG_ 1 nobody 3;', "unknown-target", 1),
        (SIGNAL + "\nSIG_VALTYPE_ 1 s : 1;", "float-length", 1),
        (SIGNAL + '\nCM_ 1 "kind forgotten";', "syntax", 1),
        (SIGNAL + "\nSG_MUL_VAL_ 1 s nobody 1-2;", "unknown-switch", 1),
        (SIGNAL + "\nSG_MUL_VAL_ 1 s s 2-1;", "syntax", 1),
        (SIGNAL + "\nSG_MUL_VAL_ 1 s s 1-2;", "switch-cycle", 1),
    ],
)
def test_oddities_are_reported_with_their_line_and_the_rest_survives(body: str, code: str, kept: int) -> None:
    """One fault costs at most its own statement: the next message is always read."""
    dbc = load(f'BO_ 1 M: 8 X\n{body}\nBO_ 2 Next: 8 X\n SG_ n : 0|8@1+ (1,0) [0|0] "" X\n')
    assert code in anomaly_counts(dbc)
    first = next(a for a in dbc.anomalies if a.code == code)
    assert first.file == "car.dbc"
    assert 2 <= first.line <= 4
    assert first.found
    assert first.action
    assert str(first).startswith(f"car.dbc:{first.line}: ")
    assert len(dbc.messages[0].signals) == kept
    assert [s.name for s in dbc.messages[1].signals] == ["n"]


def test_simple_multiplexing_belongs_to_the_only_switch() -> None:
    """M selects m0 and m5, also when the switch stands behind them."""
    dbc = message(' SG_ a m0 : 8|8@1+ (1,0) [0|0] "" X\n SG_ sw M : 0|4@1+ (1,0) [0|0] "" X\n'
                  ' SG_ b m5 : 8|8@1+ (1,0) [0|0] "" X')  # fmt: skip
    a, switch, b = dbc.messages[0].signals
    assert (a.mux, b.mux) == (MuxSelector("sw", ((0, 0),)), MuxSelector("sw", ((5, 5),)))
    assert switch.is_switch
    assert switch.mux is None
    assert dbc.anomalies == ()


def test_extended_multiplexing_nests_and_has_ranges() -> None:
    """m0M switches and SG_MUL_VAL_ ranges make chains; overlapping ranges are joined."""
    dbc = message(
        ' SG_ s1 M : 0|4@1+ (1,0) [0|0] "" X\n SG_ s2 m0M : 4|4@1+ (1,0) [0|0] "" X\n'
        ' SG_ leaf m3 : 8|8@1+ (1,0) [0|0] "" X',
        "SG_MUL_VAL_ 1 s2 s1 0-0;\nSG_MUL_VAL_ 1 leaf s2 3-5, 4-9, 12-12;",
    )
    _s1, s2, leaf = dbc.messages[0].signals
    assert s2.mux == MuxSelector("s1", ((0, 0),))
    assert leaf.mux == MuxSelector("s2", ((3, 9), (12, 12)))
    assert dbc.anomalies == ()


def test_several_switches_without_ranges_fall_back_to_the_root() -> None:
    """What SG_MUL_VAL_ should have said is guessed only where one plain M exists, and the guess is told."""
    dbc = message(' SG_ s1 M : 0|4@1+ (1,0) [0|0] "" X\n SG_ s2 m0M : 4|4@1+ (1,0) [0|0] "" X\n'
                  ' SG_ leaf m3 : 8|8@1+ (1,0) [0|0] "" X')  # fmt: skip
    assert dbc.messages[0].signals[2].mux == MuxSelector("s1", ((3, 3),))
    assert "ambiguous-switch" in anomaly_counts(dbc)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ('BA_DEF_ BO_ "VFrameFormat" ENUM "StandardCAN","ExtendedCAN","reserved","J1939PG";\n'
         'BA_ "VFrameFormat" BO_ 2364540158 3;', True),
        ('BA_DEF_ BO_ "VFrameFormat" ENUM "StandardCAN","ExtendedCAN","reserved","J1939PG";\n'
         'BA_DEF_DEF_ "VFrameFormat" "J1939PG";', True),
        ('BA_ "VFrameFormat" BO_ 2364540158 3;', True),
        ('BA_ "VFrameFormat" BO_ 2364540158 1;', False),
        ('BA_ "ProtocolType" "J1939";', True),
        ('BA_DEF_DEF_ "ProtocolType" "J1939";', True),
        ('BA_DEF_ BO_ "VFrameFormat" ENUM "StandardCAN","ExtendedCAN";\nBA_ "ProtocolType" "J1939";\n'
         'BA_ "VFrameFormat" BO_ 2364540158 1;', False),
        ("", False),
    ],
)  # fmt: skip
def test_j1939_is_told_by_attributes(attributes: str, expected: bool) -> None:
    """VFrameFormat of the message decides, else ProtocolType of the file."""
    dbc = message(SIGNAL, attributes, head="BO_ 2364540158 EEC1: 8 X")
    assert dbc.messages[0].j1939 is expected


def test_long_names_replace_cut_ones() -> None:
    """Names cut to 32 characters by editors are restored from their attributes."""
    dbc = message(SIGNAL, 'BA_ "SystemSignalLongSymbol" SG_ 1 s "a_very_long_name";\n'
                  'BA_ "SystemMessageLongSymbol" BO_ 1 "LongMessage";')  # fmt: skip
    assert (dbc.messages[0].name, dbc.messages[0].signals[0].name) == ("LongMessage", "a_very_long_name")


def test_duplicate_messages_are_both_kept_and_reported() -> None:
    """The same identifier twice: both decode, the author learns of it."""
    dbc = load(f"BO_ 1 A: 8 X\n{SIGNAL}\nBO_ 1 B: 8 X\n{SIGNAL}\n")
    assert [m.name for m in dbc.messages] == ["A", "B"]
    assert [(a.code, a.line) for a in dbc.anomalies] == [("duplicate-message", 3)]


def test_signals_without_a_frame_are_left_out() -> None:
    """VECTOR__INDEPENDENT_SIG_MSG is a parking place of editors, not a message."""
    dbc = load(f"BO_ 1 A: 8 X\n{SIGNAL}\nBO_ 3221225472 VECTOR__INDEPENDENT_SIG_MSG: 0 X\n{SIGNAL}\n")
    assert [m.name for m in dbc.messages] == ["A"]
    assert [a.code for a in dbc.anomalies] == ["no-frame"]


@pytest.mark.parametrize("data", [b"", b"\x00" * 1000, b"hello", b'"', b"NS_ :\n CM_\n", b"\xff\xfe\x00"])
def test_what_is_no_dbc_is_one_clear_error(data: bytes) -> None:
    """No message means no DBC: a ProfileError that names the file."""
    with pytest.raises(ProfileError, match=r"^car\.dbc: no message"):
        load_dbc(data, "car.dbc")


def test_anomalies_are_bounded() -> None:
    """A file of nothing but faults does not fill the memory with complaints."""
    dbc = load("BO_ 1 A: 8 X\n" + " SG_ broken\n" * (MAX_ANOMALIES + 10))
    assert len(dbc.anomalies) == MAX_ANOMALIES + 1
    assert dbc.anomalies[-1].found == "10 more anomalies"


@pytest.mark.parametrize(
    ("field", "byte"),
    [(BitField(0, 8), 0), (BitField(7, 2), 1), (BitField(7, 8, True), 0), (BitField(0, 2, True), 1),
     (BitField(7, 64, True), 7), (BitField(504, 8), 63)],
)  # fmt: skip
def test_last_byte(field: BitField, byte: int) -> None:
    """Both byte orders: the last byte a field touches."""
    assert last_byte(field) == byte


def test_merge_ranges() -> None:
    """Touching ranges join, others stay apart."""
    assert merge_ranges([(5, 6), (1, 2), (3, 3), (6, 9)]) == ((1, 3), (5, 9))
