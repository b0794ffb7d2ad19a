"""Formulas of overlays: what is accepted, what it computes, and that the native engine computes the same."""

from __future__ import annotations

import pytest

from outrider.engine import Decoder
from outrider.model.frame import FrameBatch
from outrider.model.vehicle import BitField, Encoding, MessageDef, SignalDef, Slot, Transform, VehicleTables
from outrider.profile.formula import MAX_DEPTH, Formula, FormulaError, evaluate, parse_formula


@pytest.mark.parametrize(
    ("text", "factor", "offset"),
    [
        ("x", 1.0, 0.0),
        ("(x*40)-100", 40.0, -100.0),
        ("-(2 - x) / 4", 0.25, -0.5),
        ("x^1", 1.0, 0.0),
        ("3*x - x", 2.0, 0.0),
        ("+x", 1.0, 0.0),
        ("0*x + 7", 0.0, 7.0),
        ("x / (2 * 5)", 0.1, 0.0),
    ],
)
def test_affine_formulas_cost_nothing(text: str, factor: float, offset: float) -> None:
    """They fold into factor and offset: no program is run for a frame."""
    assert parse_formula(text) == Formula(factor, offset)


@pytest.mark.parametrize(
    ("text", "x", "expected"),
    [
        ("floor((x*40)-100)", 2.51, 0.0),
        ("ceil(x / 2)", 3.0, 2.0),
        ("round(x)", 2.5, 2.0),
        ("round(x)", 3.5, 4.0),
        ("abs(x) + sqrt(4)", -3.0, 5.0),
        ("min(x, 5, 3)", 4.0, 3.0),
        ("max(1, x)", -4.0, 1.0),
        ("x % 3", -1.0, 2.0),
        ("x^3 - x**2", 2.0, 4.0),
        ("x**-2", 2.0, 0.25),
        ("x**0", 9.0, 1.0),
        ("2^3 * x", 1.5, 12.0),
        ("PI * x * x", 1.0, 3.141592653589793),
        ("1 / x", 0.0, None),
        ("sqrt(x)", -1.0, None),
        ("x * x", 1e200, None),
        ("x % 0", 1.0, None),
    ],
)
def test_programs_compute_the_same_here_and_in_the_engine(text: str, x: float, expected: float | None) -> None:
    """What a profile check explains is what the terminal does; a result that is not finite drops the sample."""
    formula = parse_formula(text)
    assert evaluate(formula, x) == expected
    transform = Transform(program=formula.program) if formula.program else None
    signal = SignalDef("M.s", 0, BitField(0, 64), Encoding.FLOAT64, transform=transform)
    tables = VehicleTables("t", (MessageDef("M", 1, False, 8, (signal,)),), (Slot("s"),))
    import struct

    batch = FrameBatch()
    batch.append(0, 1, struct.pack("<d", x))
    values = [v * formula.factor + formula.offset for v in Decoder(tables).decode(batch).values]
    assert values == ([] if expected is None else [expected])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "cannot be read"),
        ("x +", "cannot be read"),
        ("import os", "cannot be read"),
        ("y + 1", "unknown name y"),
        ("__import__('os')", "unknown function __import__"),
        ("x.real", "not allowed"),
        ("x if x else 1", "not allowed"),
        ("[x]", "not allowed"),
        ("'a'", "not allowed"),
        ("True", "not allowed"),
        ("x // 2", "not allowed"),
        ("~x", "only \\+ and -"),
        ("sin(x)", "unknown function sin"),
        ("floor(x, 2)", "floor takes one value"),
        ("min(x)", "min takes two or more"),
        ("min(x, y=2)", "min takes"),
        ("x ** 0.5", "exponent"),
        ("x ** 99", "exponent"),
        ("2 ** x", "exponent"),
        ("1e999 * x", "out of range"),
        ("1" + "0" * 400, "out of range"),
        ("x+" * 300 + "x", "longer than"),
        ("(" * 240 + "x" + ")" * 240, "cannot be read|nested"),
        ("floor(" + "x+(" * (MAX_DEPTH + 1) + "x%2" + ")" * (MAX_DEPTH + 2), "values at once"),
        ("((x^8)^8)^8", "steps"),
    ],
)
def test_everything_else_is_refused_with_a_reason(text: str, complaint: str) -> None:
    """No name, attribute, call or structure outside the list; never a traceback, never a long computation."""
    with pytest.raises(FormulaError, match=complaint):
        parse_formula(text)
