"""Overlays, formulas and profile files over random input: a result or one ProfileError, never a traceback."""

from __future__ import annotations

import json
import math

from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.errors import ProfileError
from outrider.profile.compile import Part, compile_profile
from outrider.profile.dbc_loader import load_dbc
from outrider.profile.document import read_document
from outrider.profile.formula import Formula, evaluate, parse_formula
from outrider.profile.load_io import default_catalogue
from outrider.profile.overlay import parse_overlay
from outrider.profile.profile_file import parse_profile
from outrider.profile.units import canonical, conversion

DBC = load_dbc(
    b'BO_ 1 M: 8 X\n SG_ sw M : 0|4@1+ (1,0) [0|0] "" X\n SG_ s m3 : 8|16@1- (0.5,1) [0|100] "km/h" X\n'
    b'VAL_ 1 sw 3 "three" 1 "one" ;\n',
    "car.dbc",
)
KEYS = [
    *("dbc2vss", "dbc", "vss2dbc", "outrider", "signal", "transform", "math", "mapping", "from", "to", "interval_ms"),
    *(
        "on_change",
        "role",
        "step",
        "max_age_ms",
        "category",
        "telemetry",
        "message",
        "valid",
        "not_available",
        "equals",
    ),
    *("in", "children", "unit", "datatype", "multiplexer", "value"),
]
leaves = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5)
    | st.sampled_from(["s", "sw", "three", "M", "SPEED", "RPM", "driving", "x*2", "floor(x)", "km/h"])
)  # fmt: skip
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=20,
)
entries = st.fixed_dictionaries(
    {
        "dbc2vss": st.fixed_dictionaries(
            {"signal": st.sampled_from(["s", "sw", "nobody"])}, optional={"transform": trees}
        )
    },
    optional={"outrider": st.dictionaries(st.sampled_from(KEYS), trees, max_size=3), "unit": leaves},
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(["Vehicle.Speed", "Vehicle.A", "Vehicle"]), trees | entries, max_size=3))
def test_any_tree_is_mapped_or_refused_with_its_file(tree: dict[str, object]) -> None:
    """Whatever JSON holds in places where an overlay may have it."""
    try:
        mappings = parse_overlay(read_document(json.dumps(tree), "car.json"), "car.json")
        compiled = compile_profile("x", [Part("car", mappings, (DBC,))], default_catalogue())
    except ProfileError as err:
        assert "car.json" in str(err)  # noqa: PT017 - either outcome is right, and this is checked of one
        return
    for message in compiled.tables.messages:
        for signal in message.signals:
            assert math.isfinite(signal.factor)
            assert math.isfinite(signal.offset)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80) | st.text(alphabet="{}[]:,-&*!?|>'\"#%@` \n\tab1.", max_size=80))
def test_any_text_is_a_document_or_refused(text: str) -> None:
    """YAML, TOML and formulas from noise."""
    for read in (
        lambda: parse_overlay(read_document(text, "x.yaml"), "x.yaml"),
        lambda: parse_overlay(read_document(text, "x.json"), "x.json"),
        lambda: parse_profile(text, "x.toml"),
        lambda: parse_formula(text),
    ):
        try:
            read()
        except ProfileError as err:
            assert str(err)  # noqa: PT017 - as above


numbers = st.integers(-9, 9).map(str) | st.sampled_from(["0.5", "x", "x", "2.25"])
formulas = st.recursive(
    numbers,
    lambda inner: (
        st.tuples(inner, st.sampled_from("+-*/%"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
        | st.tuples(st.sampled_from(["floor", "ceil", "round", "abs"]), inner).map(lambda t: f"{t[0]}({t[1]})")
        | st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(lambda t: f"{t[0]}({t[1]}, {t[2]})")
        | inner.map(lambda t: f"-{t}")
    ),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(formulas, st.floats(-1000, 1000))
def test_formulas_mean_what_python_means(text: str, x: float) -> None:
    """A formula has the value of the expression as Python reads it: exactly as a program, to rounding when folded."""
    import builtins

    scope = {
        "x": x,
        "floor": math.floor,
        "ceil": math.ceil,
        "round": builtins.round,
        "abs": abs,
        "min": min,
        "max": max,
    }
    try:
        expected: float | None = float(eval(text, {"__builtins__": {}}, scope))
    except ArithmeticError:
        expected = None
    formula: Formula = parse_formula(text)
    found = evaluate(formula, x)
    if expected is None:
        assert found is None
    elif formula.program:
        assert found == expected
    else:
        assert found is not None
        assert math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-4)


constants = st.integers(-9, 9).filter(bool).map(str) | st.sampled_from(["0.5", "2.25", "(1 + 3)"])
affine = st.recursive(
    st.just("x"),
    lambda inner: (
        st.tuples(inner, st.sampled_from("+-*/"), constants).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
        | st.tuples(constants, st.sampled_from("+-*"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
        | st.tuples(inner, inner).map(lambda t: f"({t[0]} + {t[1]})")
    ),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None)
@given(affine, st.floats(1, 1000))
def test_affine_formulas_fold_to_what_python_computes(text: str, x: float) -> None:
    """Every sum, difference, product and quotient with constants becomes a factor and an offset, and the right ones."""
    formula = parse_formula(text)
    assert formula.program == ()
    expected = eval(text, {"__builtins__": {}}, {"x": x})
    assert math.isclose(formula.factor * x + formula.offset, expected, rel_tol=1e-9, abs_tol=1e-6)


UNITS = ["km/h", "m/s", "mph", "km", "m", "mile", "celsius", "kelvin", "fahrenheit", "kPa", "bar", "psi", "V", "mV"]


@given(st.sampled_from(UNITS), st.sampled_from(UNITS), st.floats(-1e6, 1e6))
def test_conversion_there_and_back_is_nothing(one: str, two: str, value: float) -> None:
    """Factors of the two directions are inverse."""
    there, back = conversion(one, two), conversion(two, one)
    assert (there is None) == (back is None)
    assert canonical(one) == one
    if there is not None and back is not None:
        found = (value * there[0] + there[1]) * back[0] + back[1]
        assert math.isclose(found, value, rel_tol=1e-9, abs_tol=1e-6)
