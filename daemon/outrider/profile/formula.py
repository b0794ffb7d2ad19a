"""The ``math`` of an overlay: parsed once, folded into factor and offset where it is affine, else a postfix program.

Grammar: numbers, ``x``, ``PI``, ``E``, + - * / % ^ ** ( ) and floor ceil round abs min max sqrt. ``^`` means power, as
in py-expression-eval, whose formulas the overlay format was made for. Exponents are small integers. ``%`` has the sign
of the divisor and ``round`` goes half to even, as in Python and as in the native engine.
"""

from __future__ import annotations

import ast
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from outrider.errors import ProfileError

MAX_CHARS: Final = 500
MAX_TOKENS: Final = 256
MAX_DEPTH: Final = 16  # OTR_STACK_MAX of the native engine
MAX_EXPONENT: Final = 8

_OPERATORS: Final[dict[type[ast.operator], str]] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Mod: "%",
}
_CALLS: Final = {"floor": 1, "ceil": 1, "round": 1, "abs": 1, "sqrt": 1, "min": 2, "max": 2}
_CONSTANTS: Final = {"PI": math.pi, "E": math.e}

Token = str | float


class FormulaError(ProfileError):
    """What is wrong with a formula; the caller adds file and line."""


@dataclass(frozen=True, slots=True)
class Formula:
    """Either affine (``factor * x + offset``, ``program`` empty) or a postfix ``program``.

    whole: the result is always an integer (the outermost step is floor, ceil or round).
    """

    factor: float = 1.0
    offset: float = 0.0
    program: tuple[Token, ...] = ()
    whole: bool = False


def parse_formula(text: str) -> Formula:
    """Raises FormulaError with a message for the author of the overlay."""
    if len(text) > MAX_CHARS:
        raise FormulaError(f"longer than {MAX_CHARS} characters")
    try:
        with warnings.catch_warnings():  # Python would comment on odd literals; our own checks do that
            warnings.simplefilter("ignore")
            tree = ast.parse(text.strip().replace("^", "**"), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as err:
        raise FormulaError(f"cannot be read: {getattr(err, 'msg', None) or err}") from None
    try:
        affine = _affine(tree)
        if affine is not None:
            return _finite(*affine)
        program = tuple(_postfix(tree))
    except RecursionError:
        raise FormulaError("too deeply nested") from None
    except OverflowError:
        raise FormulaError("a number is out of range") from None
    _check_size(program)
    return Formula(program=program, whole=program[-1] in ("floor", "ceil", "round"))


def _finite(factor: float, offset: float) -> Formula:
    if not (math.isfinite(factor) and math.isfinite(offset)):
        raise FormulaError("a number is out of range")
    return Formula(factor, offset)


def _check_size(program: tuple[Token, ...]) -> None:
    if len(program) > MAX_TOKENS:
        raise FormulaError(f"more than {MAX_TOKENS} steps")
    depth = deepest = 0
    for token in program:
        if isinstance(token, float) or token == "x":
            depth += 1
        elif token in ("+", "-", "*", "/", "%", "min", "max"):
            depth -= 1
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        raise FormulaError(f"keeps more than {MAX_DEPTH} values at once; write it with less nesting")


def _affine(node: ast.expr) -> tuple[float, float] | None:
    """(a, b) when the expression is a * x + b, else None. Checks nothing that _postfix checks."""
    constant = _constant(node)
    if constant is not None:
        return 0.0, constant
    if isinstance(node, ast.Name):
        return (1.0, 0.0) if node.id == "x" else None
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        inner = _affine(node.operand)
        sign = -1.0 if isinstance(node.op, ast.USub) else 1.0
        return None if inner is None else (sign * inner[0], sign * inner[1])
    if not isinstance(node, ast.BinOp):
        return None
    left, right = _affine(node.left), _affine(node.right)
    if left is None or right is None:
        return None
    return _combine(node.op, left, right)


def _combine(op: ast.operator, left: tuple[float, float], right: tuple[float, float]) -> tuple[float, float] | None:
    (a, b), (c, d) = left, right
    if isinstance(op, ast.Add):
        return a + c, b + d
    if isinstance(op, ast.Sub):
        return a - c, b - d
    if isinstance(op, ast.Mult) and (a == 0 or c == 0):
        return a * d + c * b, b * d
    if isinstance(op, ast.Div) and c == 0 and d != 0:
        return a / d, b / d
    if isinstance(op, ast.Pow) and c == 0 and d == 1:
        return left
    return None


def _constant(node: ast.expr) -> float | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return float(node.value)
    if isinstance(node, ast.Name):
        return _CONSTANTS.get(node.id)
    return None


def _postfix(node: ast.expr) -> list[Token]:
    constant = _constant(node)
    if constant is not None:
        if not math.isfinite(constant):
            raise FormulaError("a number is out of range")
        return [constant]
    if isinstance(node, ast.Name):
        if node.id != "x":
            raise FormulaError(f"unknown name {node.id}; the value of the signal is called x")
        return ["x"]
    if isinstance(node, ast.UnaryOp):
        return _unary(node)
    if isinstance(node, ast.Call):
        return _call(node)
    if isinstance(node, ast.BinOp):
        if isinstance(node.op, ast.Pow):
            return _power(node)
        operator = _OPERATORS.get(type(node.op))
        if operator is not None:
            return [*_postfix(node.left), *_postfix(node.right), operator]
    raise FormulaError(
        f"'{ast.unparse(node)[:40]}' is not allowed; use numbers, x, + - * / % ^ and {', '.join(_CALLS)}"
    )


def _unary(node: ast.UnaryOp) -> list[Token]:
    if isinstance(node.op, ast.USub):
        return [*_postfix(node.operand), "neg"]
    if isinstance(node.op, ast.UAdd):
        return _postfix(node.operand)
    raise FormulaError("only + and - may stand before a value")


def _call(node: ast.Call) -> list[Token]:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name not in _CALLS:
        raise FormulaError(f"unknown function {ast.unparse(node.func)[:40]}; there are {', '.join(_CALLS)}")
    arity = _CALLS[name]
    if node.keywords or len(node.args) < arity or (arity == 1 and len(node.args) > 1):
        raise FormulaError(f"{name} takes {'one value' if arity == 1 else 'two or more values'}")
    out = _postfix(node.args[0])
    if arity == 1:
        return [*out, name]
    for argument in node.args[1:]:
        out += [*_postfix(argument), name]
    return out


def _power(node: ast.BinOp) -> list[Token]:
    exponent = _affine(node.right)
    if exponent is None or exponent[0] != 0 or not exponent[1].is_integer() or abs(exponent[1]) > MAX_EXPONENT:
        raise FormulaError(f"an exponent must be an integer from -{MAX_EXPONENT} to {MAX_EXPONENT}")
    count = int(abs(exponent[1]))
    if count == 0:
        return [1.0]
    base = _postfix(node.left)
    if len(base) * count > MAX_TOKENS:
        raise FormulaError(f"more than {MAX_TOKENS} steps")
    product = base + [token for _ in range(count - 1) for token in (*base, "*")]
    return product if exponent[1] > 0 else [1.0, *product, "/"]


def evaluate(formula: Formula, x: float) -> float | None:
    """What the engine computes, for checks and explanations; None = dropped (not finite)."""
    if not formula.program:
        value = formula.factor * x + formula.offset
        return value if math.isfinite(value) else None
    stack: list[float] = []
    try:
        for token in formula.program:
            if isinstance(token, float):
                stack.append(token)
            elif token == "x":
                stack.append(x)
            else:
                _step(stack, token)
    except (ArithmeticError, ValueError):
        return None
    return stack[0] if math.isfinite(stack[0]) else None


def _step(stack: list[float], operator: str) -> None:
    b = stack.pop()
    if operator in _ONE:
        stack.append(float(_ONE[operator](b)))
        return
    a = stack.pop()
    stack.append(float(_TWO[operator](a, b)))


_ONE: Final[dict[str, Callable[[float], float]]] = {
    "neg": lambda a: -a,
    "abs": abs,
    "floor": math.floor,
    "ceil": math.ceil,
    "round": round,
    "sqrt": math.sqrt,
}
_TWO: Final[dict[str, Callable[[float, float], float]]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "%": lambda a, b: a % b,
    "min": min,
    "max": max,
}
