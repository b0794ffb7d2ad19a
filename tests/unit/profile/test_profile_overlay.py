"""Overlays in kuksa's format: both shapes, our extension keys, and complaints that help."""

from __future__ import annotations

import json
from typing import Any

import pytest

from outrider.errors import ProfileError
from outrider.model.record import Category
from outrider.model.vehicle import Role
from outrider.profile.document import read_document
from outrider.profile.formula import Formula
from outrider.profile.overlay import Mapping, Selector, parse_overlay


def parse(text: str, name: str = "car.yaml") -> tuple[Mapping, ...]:
    return parse_overlay(read_document(text, name), name)


FULL = """
Vehicle.Speed:
  type: sensor
  datatype: float
  unit: km/h
  description: whatever
  dbc2vss:
    signal: DI_uiSpeed
    interval_ms: 100
    on_change: true
    transform: {math: "x * 2"}
    multiplexer:
      - {signal: Kind, value: 3}
  vss2dbc: {signal: Wanted}
  outrider:
    role: SPEED
    step: 0.01
    max_age_ms: 500
    category: driving
    telemetry: false
    message: DI_speed
    valid: {signal: Ok, equals: 1}
    not_available: [255, [250, 252]]
"""


def test_every_key_arrives() -> None:
    """kuksa's keys and ours, with the line they stand on."""
    (mapping,) = parse(FULL)
    assert mapping == Mapping(
        path="Vehicle.Speed", signal="DI_uiSpeed", file="car.yaml", line=8, unit="km/h", datatype="float",
        interval_ms=100, on_change=True, formula=Formula(2.0, 0.0), table=(),
        selectors=(Selector("Kind", ((3, 3),)), Selector("Ok", ((1, 1),))), message="DI_speed", role=Role.SPEED,
        step=0.01, max_age_ms=500, category=Category.DRIVING, telemetry=False,
        not_available=((255, 255), (250, 252)), vss2dbc={"signal": "Wanted"},
    )  # fmt: skip


def test_the_exported_tree_and_the_synonym_read_the_same() -> None:
    """JSON of the VSS tools, branches with children, ``dbc`` for ``dbc2vss``; paths without a mapping are skipped."""
    tree = {
        "Vehicle": {
            "type": "branch",
            "children": {
                "Speed": {"datatype": "float", "dbc": {"signal": "V"}, "type": "sensor", "uuid": "1"},
                "Mass": {"datatype": "float", "type": "attribute", "x-other-tool": {"a": [1]}},
                "Body": {"children": {"Hood": {"dbc2vss": {"signal": "H"}}}},
            },
        }
    }
    found = parse(json.dumps(tree), "vss.json")
    assert [(m.path, m.signal) for m in found] == [("Vehicle.Speed", "V"), ("Vehicle.Body.Hood", "H")]


def test_mapping_transform() -> None:
    """from/to pairs of texts, numbers and booleans keep their order."""
    (mapping,) = parse("A.b: {dbc: {signal: s, transform: {mapping: [{from: X, to: P}, {from: 2, to: R}]}}}")
    assert mapping.table == (("X", "P"), (2, "R"))


def test_valid_takes_lists_and_ranges() -> None:
    """Several validity bits all have to hold; ``in`` takes values and ranges."""
    (mapping,) = parse(
        "A.b: {dbc: {signal: s}, outrider: {valid: [{signal: a, in: [1, [3, 5], on-time]}, {signal: b, equals: true}]}}"
    )
    assert mapping.selectors == (
        Selector("a", ((1, 1), (3, 5), ("on-time", "on-time"))),
        Selector("b", ((1, 1),)),
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("A.b: {dbc2vs: {signal: s}}", r"car\.yaml:1: A\.b: unknown key dbc2vs; did you mean dbc2vss\?"),
        ("A.b: {outridr: {}, dbc: {signal: s}}", "did you mean outrider"),
        ("A.b:\n  dbc: {signal: s, interval: 3}", r"car\.yaml:2: A\.b: unknown key interval; did you mean interval_ms"),
        ("A.b: {dbc: {signal: s}, outrider: {rolle: SPEED}}", "did you mean role"),
        ("A.b: {dbc: {signal: s}, outrider: {role: speed}}", "unknown role speed; did you mean SPEED"),
        ("A.b: {dbc: {signal: s}, outrider: {category: drivng}}", "did you mean driving"),
        ("A.b: {dbc: {signal: s}, outrider: {step: 0}}", "step must be a number above 0"),
        ("A.b: {dbc: {signal: s}, outrider: {step: .nan}}", "step must be"),
        ("A.b: {dbc: {signal: s}, outrider: {max_age_ms: 1.5}}", "max_age_ms must be an integer from 1"),
        ("A.b: {dbc: {signal: s}, outrider: {telemetry: 1}}", "telemetry must be true or false"),
        ("A.b: {dbc: {signal: s}, outrider: {valid: {signal: a}}}", "valid needs signal and equals or in"),
        ("A.b: {dbc: {signal: s}, outrider: {valid: {signal: a, in: []}}}", "in must be a list"),
        ("A.b: {dbc: {signal: s}, outrider: {not_available: [[5, 3]]}}", "backwards"),
        ("A.b: {dbc: {signal: s}, outrider: [1]}", "outrider must be a mapping"),
        ("A.b: {dbc: {}}", "needs the name of a signal"),
        ("A.b: {dbc: {signal: 3}}", "signal must be a text"),
        ("A.b: {dbc: {signal: s}, dbc2vss: {signal: s}}", "has both dbc and dbc2vss"),
        ("A.b: {outrider: {role: SPEED}}", "no dbc2vss"),
        ("A.b: {dbc: {signal: s, transform: {}}}", "either math or mapping"),
        ("A.b: {dbc: {signal: s, transform: {math: x, mapping: []}}}", "either math or mapping"),
        ("A.b: {dbc: {signal: s, transform: {maths: x}}}", "did you mean math"),
        ("A.b: {dbc: {signal: s, transform: {math: y}}}", "math: unknown name y"),
        ("A.b: {dbc: {signal: s, transform: {mapping: []}}}", "must be a list of"),
        ("A.b: {dbc: {signal: s, transform: {mapping: [{from: 1}]}}}", "needs from and to"),
        ("A.b: {dbc: {signal: s, transform: {mapping: [{from: 1, to: [2]}]}}}", "must be a number, a text"),
        (
            "A.b: {dbc: {signal: s, transform: {mapping: [{from: 1, to: a}, {from: 2, to: 3}]}}}",
            "mixes texts and numbers",
        ),
        ("A.b: {dbc: {signal: s, on_change: 1}}", "on_change must be true or false"),
        ("A.b: {dbc: {signal: s, interval_ms: -1}}", "interval_ms must be an integer from 0"),
        ("A.b: {dbc: {signal: s, multiplexer: {signal: a}}}", "multiplexer must be a list"),
        ("A.b: {dbc: {signal: s, message: a}, outrider: {message: b}}", "names the message twice"),
        ("A.b: {dbc: {signal: s}}\nA.b: {dbc: {signal: t}}", r"car\.yaml:2: A\.b appears twice"),
        ("A: {children: {b: {dbc: {signal: s}}}}\nA.b: {dbc: {signal: t}}", r"car\.yaml:2: A\.b is mapped twice"),
        ("A.b: 3", r"car\.yaml:1: A\.b must hold a mapping"),
        ("A: {children: 3}", "children of A must be a mapping"),
        ("- 1", "an overlay is a mapping of VSS paths"),
    ],
)
def test_complaints_name_the_line_and_the_nearest_word(text: str, complaint: str) -> None:
    """Whatever is wrong with an overlay is one ProfileError a person can act on."""
    with pytest.raises(ProfileError, match=complaint):
        parse(text)


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


@pytest.mark.parametrize(
    ("text", "name", "complaint"),
    [
        ("a: [1, 2", "x.yaml", r"x\.yaml:\d+: no valid YAML"),
        ("a: !!python/object/apply:os.system [ls]", "x.yaml", r"x\.yaml:1: the tag"),
        ("a: &a [*a]", "x.yaml", r"\*a refers to nothing before it"),
        ("a: " + "[" * 300_000, "x.yaml", "nested deeper"),
        ("- " * 300_000 + "1", "x.yaml", "nested deeper"),
        ("? " * 300_000 + "1", "x.yaml", "a key must be a plain word"),
        ("a: " + "{a: " * 300_000, "x.yaml", "nested deeper"),
        ("a: 1\n---\nb: 2", "x.yaml", r"x\.yaml:2: more than one document"),
        ("a: " + nested(100), "x.yaml", "nested"),
        ("a: " + nested(20_000), "x.yaml", "nested"),
        ("? [1]\n: 2", "x.yaml", "a key must be a plain word"),
        ("a: 2024-13-45", "x.yaml", "no valid YAML"),
        ("a: \x00", "x.yaml", "no valid YAML"),
        ('{"a": 1,}', "x.json", r"x\.json:1: no valid JSON"),
        ('{"a": 1, "a": 2}', "x.json", "a appears twice"),
        ('{"a": ' + nested(100_000) + "}", "x.json", "nested too deeply"),
        ('{"a": ' + "1" * 5000 + "}", "x.json", "number is too long"),
    ],
)
def test_hostile_documents_are_refused(text: str, name: str, complaint: str) -> None:
    """Depth, references, tags and syntax: an error with a place, not a crash."""
    with pytest.raises(ProfileError, match=complaint):
        read_document(text, name)


def test_references_cannot_blow_a_file_up() -> None:
    """Nine levels of nine references each stop at the limit of nodes."""
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 9)]
    with pytest.raises(ProfileError, match="more than 500000 values"):
        read_document("\n".join(lines), "x.yaml")


def test_references_work() -> None:
    """An anchor may be used again later: the usual way to share a validity bit."""
    document = read_document("a: &v {x: [1, *n]}\nb: *v".replace("*n", "2"), "x.yaml")
    assert document.plain() == {"a": {"x": [1, 2]}, "b": {"x": [1, 2]}}


def test_a_chain_of_references_cannot_get_deep() -> None:
    """Each level refers to the one before: depth counts through references."""
    lines = ["l0: &l0 [x]", *(f"l{i}: &l{i} [*l{i - 1}]" for i in range(1, 100))]
    with pytest.raises(ProfileError, match="nested deeper"):
        read_document("\n".join(lines), "x.yaml")


def test_an_empty_overlay_maps_nothing() -> None:
    """An empty file is no fault."""
    empty: tuple[Any, ...] = ()
    assert parse("") == empty
    assert parse("# only a comment\n") == empty
