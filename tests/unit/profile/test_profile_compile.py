"""DBC and overlay to vehicle tables: conversion, conditions, ranges, roles, and what happens when the two disagree."""

from __future__ import annotations

from pathlib import Path

import pytest

from outrider.errors import ProfileError
from outrider.model.record import Category
from outrider.model.vehicle import BitField, Condition, Encoding, Role, SignalDef, Slot, VehicleTables
from outrider.profile.catalogue import Catalogue, parse_catalogue
from outrider.profile.compile import Alias, Compiled, Part, compile_dbc, compile_profile, pgn_of
from outrider.profile.dbc_loader import load_dbc
from outrider.profile.dbc_model import Dbc
from outrider.profile.document import read_document
from outrider.profile.overlay import parse_overlay
from outrider.profile.values import decimal_step

DATA = Path(__file__).parents[3] / "daemon" / "outrider" / "profile" / "data"


def catalogue() -> Catalogue:
    return parse_catalogue(read_document((DATA / "vss.yaml").read_text(), "vss.yaml"), "vss.yaml")


def dbc(*signals: str, extra: str = "", head: str = "BO_ 1 M: 8 X", name: str = "car.dbc") -> Dbc:
    return load_dbc("\n".join([head, *(f" SG_ {s} X" for s in signals), extra, ""]).encode(), name)


def build(database: Dbc, overlay: str, *, j1939: bool | None = None, aliases: tuple[Alias, ...] = ()) -> Compiled:
    mappings = parse_overlay(read_document(overlay, "car.yaml"), "car.yaml")
    return compile_profile("car", [Part("car", mappings, (database,), (), aliases, j1939)], catalogue())


def only(compiled: Compiled) -> tuple[SignalDef, Slot]:
    ((message,), (slot,)) = compiled.tables.messages, compiled.tables.slots
    (signal,) = message.signals
    return signal, slot


def one(signal: str, overlay: str, extra: str = "") -> tuple[SignalDef, Slot, list[str]]:
    compiled = build(dbc(signal, extra=extra), overlay)
    return *only(compiled), [a.code for a in compiled.anomalies]


def test_units_are_converted_and_defaults_come_from_the_catalogue() -> None:
    """m/s becomes km/h in factor and offset; step, role, age and category need not be said."""
    signal, slot, odd = one('v : 0|16@1+ (0.01,-5) [0|0] "m/s"', "Vehicle.Speed: {dbc2vss: {signal: v}}")
    assert (signal.factor, signal.offset) == (0.036000000000000004, -18.0)
    assert slot == Slot("Vehicle.Speed", "km/h", Role.SPEED, 0.1, 1000, Category.DRIVING, True, ())
    assert odd == []


@pytest.mark.parametrize(
    ("signal", "path", "unit", "codes"),
    [
        ('v : 0|16@1+ (1,0) [0|0] "km"', "Vehicle.TraveledDistance", "m", []),
        ('v : 0|16@1+ (1,0) [0|0] "rpm"', "Vehicle.Speed", "km/h", ["unit"]),
        ('v : 0|16@1+ (1,0) [0|0] ""', "Vehicle.Speed", "km/h", ["unit-missing"]),
        ('v : 0|16@1+ (1,0) [0|0] "deg"', "Vehicle.My.Angle", "degrees", []),
        ('v : 0|16@1+ (1,0) [0|0] "smoots"', "Vehicle.My.Length", "smoots", []),
        ('v : 0|16@1+ (1,0) [0|0] ""', "Vehicle.Chassis.ParkingBrake.IsEngaged", "", []),
    ],
)
def test_units_that_do_not_fit_are_told(signal: str, path: str, unit: str, codes: list[str]) -> None:
    """A value is never converted on a guess: it is taken as it is and the author told."""
    _signal, slot, odd = one(signal, f"{path}: {{dbc2vss: {{signal: v}}}}")
    assert (slot.unit, odd) == (unit, codes)


def test_affine_formula_folds_and_carries_the_range_along() -> None:
    """-2x+100 turns the range around; it stays half a step wider than written, so that rounding drops nothing."""
    signal, slot, _odd = one(
        'v : 0|16@1+ (0.5,0) [0|50] ""', 'Vehicle.My: {dbc2vss: {signal: v, transform: {math: "100 - 2*x"}}}'
    )
    assert (signal.factor, signal.offset, signal.transform) == (-1.0, 100.0, None)
    assert (signal.minimum, signal.maximum) == (-0.5, 100.5)
    assert slot.step == 1.0


def test_a_program_runs_after_the_signal_of_the_dbc() -> None:
    """factor, offset and range stay those of the DBC; floor makes whole numbers."""
    signal, slot, _odd = one(
        'v : 0|16@1+ (0.5,0) [0|50] ""', 'Vehicle.My: {dbc2vss: {signal: v, transform: {math: "floor(x)"}}}'
    )
    assert (signal.factor, signal.minimum, signal.maximum) == (0.5, -0.25, 50.25)
    assert signal.transform is not None
    assert signal.transform.program == ("x", "floor")
    assert slot.step == 1.0


GEAR = 'VAL_ 1 v 4 "D" 1 "P" 2 "R" ;'


def test_texts_of_a_mapping_become_codes_with_labels() -> None:
    """Text targets are numbered in order of appearance, text sources are looked up in the DBC."""
    overlay = (
        "Vehicle.My: {dbc2vss: {signal: v, transform: {mapping: [{from: D, to: DRIVE}, {from: P, to: PARK}, "
        "{from: R, to: DRIVE}, {from: 11, to: OTHER}]}}}"
    )
    signal, slot, _odd = one('v : 0|8@1+ (2,1) [0|0] ""', overlay, GEAR)
    assert signal.transform is not None
    assert signal.transform.table == ((3.0, 1.0), (5.0, 0.0), (9.0, 0.0), (11.0, 2.0))
    assert (slot.labels, slot.step) == (((0, "DRIVE"), (1, "PARK"), (2, "OTHER")), 1.0)


def test_numbers_and_booleans_of_a_mapping_stay_numbers() -> None:
    """true is 1, half steps keep a fine step, and the first of two equal sources counts."""
    overlay = (
        "Vehicle.My: {dbc2vss: {signal: v, transform: {mapping: "
        "[{from: 1, to: true}, {from: 1, to: 7}, {from: 2, to: 0.5}]}}}"
    )
    signal, slot, _odd = one('v : 0|8@1+ (1,0) [0|0] ""', overlay)
    assert signal.transform is not None
    assert (signal.transform.table, slot.step, slot.labels) == (((1.0, 1.0), (2.0, 0.5)), 0.01, ())


def test_value_texts_of_the_dbc_become_labels_only_where_values_are_raw() -> None:
    """A scaled value has no texts: they belong to raw values."""
    _signal, slot, _odd = one('v : 0|8@1+ (1,0) [0|0] ""', "Vehicle.My: {dbc2vss: {signal: v}}", GEAR)
    assert slot.labels == ((4, "D"), (1, "P"), (2, "R"))
    _signal, slot, _odd = one('v : 0|8@1+ (0.5,0) [0|0] ""', "Vehicle.My: {dbc2vss: {signal: v}}", GEAR)
    assert slot.labels == ()


MUX = (
    's1 M : 0|4@1+ (1,0) [0|0] ""',
    's2 m0M : 4|4@1+ (1,0) [0|0] ""',
    'leaf m3 : 8|8@1+ (1,0) [0|0] ""',
    'ok : 16|2@1+ (1,0) [0|0] ""',
)
MUX_EXTRA = 'SG_MUL_VAL_ 1 s2 s1 0-0;\nSG_MUL_VAL_ 1 leaf s2 3-5;\nVAL_ 1 ok 1 "good" 2 "fair" ;'


def test_multiplexing_and_validity_become_conditions_outermost_first() -> None:
    """Nested switches, then kuksa's multiplexer, then the validity bit, its texts looked up in the DBC."""
    overlay = (
        "Vehicle.My: {dbc2vss: {signal: leaf, multiplexer: [{signal: ok, value: 2}]}, "
        "outrider: {valid: {signal: ok, in: [good, fair]}}}"
    )
    signal, _slot = only(build(dbc(*MUX, extra=MUX_EXTRA), overlay))
    assert signal.conditions == (
        Condition(BitField(0, 4), ((0, 0),)),
        Condition(BitField(4, 4), ((3, 5),)),
        Condition(BitField(16, 2), ((2, 2),)),
        Condition(BitField(16, 2), ((1, 2),)),
    )


@pytest.mark.parametrize(
    ("overlay", "complaint"),
    [
        (
            "Vehicle.My: {dbc: {signal: leaf}, outrider: {valid: {signal: okk, equals: 1}}}",
            "no signal okk; did you mean",
        ),
        ("Vehicle.My: {dbc: {signal: leaf}, outrider: {valid: {signal: ok, equals: god}}}", "did you mean good"),
        ("Vehicle.My: {dbc: {signal: leaf}, outrider: {valid: {signal: ok, equals: 4}}}", "does not fit the 2 bits"),
        ("Vehicle.My: {dbc: {signal: leaf}, outrider: {not_available: 256}}", "does not fit the 8 bits"),
        ("Vehicle.My: {dbc: {signal: ok, transform: {mapping: [{from: goood, to: 1}]}}}", "did you mean good"),
        ("Vehicle.My: {unit: m/s, dbc: {signal: leaf}, outrider: {role: SPEED}}", "role SPEED needs the unit km/h"),
        (
            "Vehicle.My: {dbc: {signal: ok, transform: {mapping: [{from: 1, to: 'ON'}]}}, outrider: {role: IGNITION}}",
            "needs numbers, but the mapping gives texts",
        ),
        ("Vehicle.My: {dbc: {signal: leef}}", r"none of the 1 signals of car .*--dbc"),
    ],
)
def test_contradictions_are_errors_with_file_and_line(overlay: str, complaint: str) -> None:
    """What cannot be meant is refused when the profile is loaded, not found missing on the road."""
    with pytest.raises(ProfileError, match=complaint) as caught:
        build(dbc(*MUX, extra=MUX_EXTRA), overlay)
    assert str(caught.value).startswith("car.yaml")


@pytest.mark.parametrize(
    ("signal", "extra", "limits", "codes"),
    [
        ('v : 0|8@1+ (1,0) [0|0] ""', "", (None, None), []),
        ('v : 0|8@1+ (1,0) [0|255] ""', "", (None, None), []),
        ('v : 0|8@1+ (0.5,0) [0|100] ""', "", (-0.25, 100.25), []),
        ('v : 0|8@1+ (1,0) [5|5] ""', "", (None, None), ["range"]),
        ('v : 0|8@1+ (1,0) [9|3] ""', "", (None, None), ["range"]),
        ('v : 0|8@1+ (1,0) [1000|2000] ""', "", (None, None), ["range"]),
        ('v : 0|2@1+ (1,0) [0|1] ""', 'VAL_ 1 v 0 "?" 1 "in" 2 "out" ;', (None, None), ["range"]),
        ('v : 0|16@1+ (1,0) [0|100] ""', 'VAL_ 1 v 65535 "SNA" ;', (-0.5, 100.5), []),
        ('v : 0|8@1- (1,0) [-128|127] ""', "", (None, None), []),
        ('v : 0|32@1- (1,0) [-1|1] ""', "SIG_VALTYPE_ 1 v : 1;", (-1.0, 1.0), []),
    ],
)
def test_ranges_of_the_dbc_are_used_only_where_they_make_sense(
    signal: str, extra: str, limits: tuple[float | None, float | None], codes: list[str]
) -> None:
    """A range that contradicts its own signal is put aside, and that is told; values are dropped, never clipped."""
    definition, _slot, odd = one(signal, "Vehicle.My: {dbc2vss: {signal: v}}", extra)
    assert ((definition.minimum, definition.maximum), odd) == (limits, codes)


J1939 = "BO_ 2364540158 EEC1: 8 X"


@pytest.mark.parametrize(
    ("signal", "own", "ranges"),
    [
        ('v : 0|8@1+ (1,0) [0|0] ""', "", ((0xFB, 0xFF),)),
        ('v : 0|16@1+ (1,0) [0|0] ""', "", ((0xFB00, 0xFFFF),)),
        ('v : 0|32@1+ (1,0) [0|0] ""', "", ((0xFB000000, 0xFFFFFFFF),)),
        ('v : 0|2@1+ (1,0) [0|0] ""', "", ()),
        ('v : 0|8@1- (1,0) [0|0] ""', "", ()),
        ('v : 0|8@1+ (1,0) [0|0] ""', "not_available: [7]", ((7, 7),)),
        ('v : 0|8@1+ (1,0) [0|0] ""', "not_available: []", ()),
        ('v : 0|8@1- (1,0) [0|0] ""', "not_available: [[-2, 1], -128]", ((0, 1), (128, 128), (254, 255))),
    ],
)
def test_not_available_codes(signal: str, own: str, ranges: tuple[tuple[int, int], ...]) -> None:
    """J1939's codes by default in whole bytes, the overlay's instead where it gives some; signed ones as raw bits."""
    outrider = f", outrider: {{{own}}}" if own else ""
    compiled = build(dbc(signal, head=J1939), f"Vehicle.My: {{dbc: {{signal: v}}{outrider}}}", j1939=True)
    assert compiled.tables.messages[0].j1939
    assert only(compiled)[0].not_available == ranges


def test_j1939_follows_the_profile_then_the_dbc() -> None:
    """The profile may overrule what the DBC says; 11-bit messages are never J1939."""
    signal, overlay = 'v : 0|8@1+ (1,0) [0|0] ""', "Vehicle.My: {dbc: {signal: v}}"
    told = dbc(signal, head=J1939, extra='BA_ "ProtocolType" "J1939";')
    for database, choice, expected in (
        (told, None, True), (told, False, False), (dbc(signal, head=J1939), None, False), (dbc(signal), True, False)
    ):  # fmt: skip
        assert build(database, overlay, j1939=choice).tables.messages[0].j1939 is expected


def test_pgn() -> None:
    """PDU2 has its group extension, PDU1 a destination that does not count."""
    assert pgn_of(0x0CF00400) == 0xF004
    assert pgn_of(0x18DAF110) == pgn_of(0x18DA10F1) == 0xDA00


def test_aliases_repeat_a_message_under_other_identifiers() -> None:
    """One description, many ECUs: the same slots are fed."""
    aliases = (Alias("M", 0x7E9, False), Alias("M", 0x18DAF110, True, True))
    compiled = build(dbc('v : 0|8@1+ (1,0) [0|0] ""'), "Vehicle.OBD.Speed: {dbc: {signal: v}}", aliases=aliases)
    found = [(m.frame_id, m.extended, m.j1939, m.obd, [s.slot for s in m.signals]) for m in compiled.tables.messages]
    assert found == [
        (1, False, False, True, [0]),
        (0x7E9, False, False, True, [0]),
        (0x18DAF110, True, True, True, [0]),
    ]
    assert compiled.tables.slots[0].role == Role.SPEED_OBD
    with pytest.raises(ProfileError, match="alias of an unknown message MM; did you mean M"):
        build(dbc('v : 0|8@1+ (1,0) [0|0] ""'), "Vehicle.My: {dbc: {signal: v}}", aliases=(Alias("MM", 1, False),))


@pytest.mark.parametrize(
    ("head", "obd"),
    [("BO_ 2024 M: 8 X", True), ("BO_ 2031 M: 8 X", True), ("BO_ 2016 M: 8 X", False),
     (f"BO_ {0x98DAF110} M: 8 X", True), (f"BO_ {0x98DA10F1} M: 8 X", False)],
)  # fmt: skip
def test_the_speed_of_an_obd_answer_is_never_taken_for_a_broadcast(head: str, obd: bool) -> None:
    """Whatever path it is mapped to: the identifier tells that it is polled, slow and repeated."""
    compiled = build(dbc('v : 0|8@1+ (1,0) [0|0] "km/h"', head=head), "Vehicle.Speed: {dbc: {signal: v}}")
    assert compiled.tables.messages[0].obd is obd
    assert compiled.tables.slots[0].role == (Role.SPEED_OBD if obd else Role.SPEED)


def test_a_signal_in_two_messages_must_be_told_apart() -> None:
    """Ambiguity is an error that names the messages; ``message`` settles it."""
    text = 'BO_ 1 A: 8 X\n SG_ v : 0|8@1+ (1,0) [0|0] "" X\nBO_ 2 B: 8 X\n SG_ v : 0|8@1+ (1,0) [0|0] "" X\n'
    database = load_dbc(text.encode(), "car.dbc")
    with pytest.raises(ProfileError, match=r"in several messages \(A, B\)"):
        build(database, "Vehicle.My: {dbc: {signal: v}}")
    compiled = build(database, "Vehicle.My: {dbc: {signal: v}, outrider: {message: B}}")
    assert [m.name for m in compiled.tables.messages] == ["B"]


def test_one_signal_may_feed_several_paths() -> None:
    """As in kuksa: each path once, a signal as often as wanted."""
    compiled = build(dbc('v : 0|8@1+ (1,0) [0|0] ""'), "Vehicle.A: {dbc: {signal: v}}\nVehicle.B: {dbc: {signal: v}}")
    assert [s.slot for s in compiled.tables.messages[0].signals] == [0, 1]


def test_the_first_source_of_a_path_and_of_a_role_counts() -> None:
    """Combined profiles may overlap: the earlier one is used, the later one is told."""
    database = dbc('v : 0|8@1+ (1,0) [0|0] "rpm"', 'w : 8|8@1+ (1,0) [0|0] "rpm"')
    first = parse_overlay(read_document("Vehicle.A: {dbc: {signal: v}, outrider: {role: RPM}}", "1.yaml"), "1.yaml")
    second = parse_overlay(
        read_document("Vehicle.A: {dbc: {signal: w}}\nVehicle.B: {dbc: {signal: w}, outrider: {role: RPM}}", "2.yaml"),
        "2.yaml",
    )
    parts = [Part("one", first, (database,)), Part("two", second, (database,))]
    compiled = compile_profile("x", parts, catalogue())
    assert [(s.path, s.role) for s in compiled.tables.slots] == [("Vehicle.A", Role.RPM), ("Vehicle.B", Role.NONE)]
    odd = [(a.code, a.file, a.line) for a in compiled.anomalies]
    assert odd == [("path-twice", "2.yaml", 1), ("role-twice", "2.yaml", 2)]


def test_a_missing_signal_costs_its_own_path_only() -> None:
    """A DBC of another model year lacks a signal: the rest works, the report says what is missing and what is near."""
    overlay = "Vehicle.A: {dbc: {signal: speed}}\nVehicle.B: {dbc: {signal: sped}}"
    compiled = build(dbc('speed : 0|8@1+ (1,0) [0|0] ""'), overlay)
    assert [s.path for s in compiled.tables.slots] == ["Vehicle.A"]
    (anomaly,) = compiled.anomalies
    assert anomaly.code == "missing-signal"
    assert "did you mean speed?" in anomaly.found


def test_signals_of_transport_messages_are_left_out_and_told() -> None:
    """What lies behind the longest frame cannot be decoded from one."""
    database = dbc('v : 600|8@1+ (1,0) [0|0] ""', 'w : 0|8@1+ (1,0) [0|0] ""', head="BO_ 2364540158 DM: 200 X")
    compiled = build(database, "Vehicle.A: {dbc: {signal: v}}\nVehicle.B: {dbc: {signal: w}}")
    assert [s.path for s in compiled.tables.slots] == ["Vehicle.B"]
    assert [a.code for a in compiled.anomalies] == ["transport"]


@pytest.mark.parametrize(
    ("factor", "step"),
    [(1.0, 1.0), (0.25, 0.2), (0.125, 0.1), (0.00390625, 0.002), (0.39215686274509803, 0.2), (-0.5, 0.5),
     (1000.0, 1000.0),
     (1e-7, 1e-7), (3.0, 2.0), (0.1, 0.1), (0.0, 1.0), (7e-10, 5e-10)],
)  # fmt: skip
def test_decimal_step(factor: float, step: float) -> None:
    """The largest 1, 2 or 5 times a power of ten that loses nothing of the signal."""
    assert decimal_step(factor) == step


def test_max_age_grows_with_a_stated_interval() -> None:
    """A signal expected every 20 s is not stale after one."""
    _signal, slot, _odd = one('v : 0|8@1+ (1,0) [0|0] "km/h"', "Vehicle.Speed: {dbc: {signal: v, interval_ms: 20000}}")
    assert slot.max_age_ms == 60000


def test_compile_dbc_takes_every_signal_as_it_is() -> None:
    """Slots named Message.Signal, no range, no "no value" codes: for tools and for comparison with other decoders."""
    database = load_dbc(
        b'BO_ 1 A: 8 X\n SG_ v M : 7|8@0- (0.5,1) [0|1] "u" X\n SG_ w m2 : 8|64@1+ (1,0) [0|0] "" X\n'
        b'BO_ 1 B: 8 X\n SG_ v : 0|8@1+ (1,0) [0|0] "" X\nBO_ 3 B: 8 X\n SG_ v : 0|8@1+ (1,0) [0|0] "" X\n',
        "car.dbc",
    )
    tables = compile_dbc(database)
    assert isinstance(tables, VehicleTables)
    assert [s.path for s in tables.slots] == ["A.v", "A.w", "B@1.v", "B@3.v"]
    assert [(m.frame_id, len(m.signals)) for m in tables.messages] == [(1, 3), (3, 1)]
    first, second = tables.messages[0].signals[:2]
    assert (first.encoding, first.minimum, first.not_available) == (Encoding.INT, None, ())
    assert second.conditions == (Condition(BitField(7, 8, True), ((2, 2),)),)
