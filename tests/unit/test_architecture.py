"""The rules of docs/internals/architecture.md, executed: who may import whom, and where the world may be touched."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "daemon" / "outrider"
GROUND = {"errors", "model", "ports", "clock", "i18n", "files_io", "__init__"}
LEAVES = {"engine", "wire", "profile", "report"}
STAGES = {
    "sources",
    "link",
    "drive",
    "record",
    "uplink",
    "ingest",
    "sim",
    "suite",
    "evaluate",
    "crash",
    "trust",
    "network",
}
HOUSE = {"app", "config"}
HANDS = {"cli"}

# What may be imported from inside the package, by the top-level part that imports.
ALLOWED: dict[str, set[str]] = {
    **dict.fromkeys(GROUND, GROUND),
    **{part: GROUND | {part} for part in LEAVES},
    **{part: GROUND | {"engine", "wire", part} for part in STAGES},
    **{part: GROUND | {"engine", "report", part} for part in ("suite", "evaluate")},
    "crash": GROUND | {"engine", "wire", "report", "crash"},
    "config": GROUND,
    "app": GROUND | LEAVES | STAGES | HOUSE,
    "__main__": {"cli"},
    "cli": GROUND | LEAVES | STAGES | HOUSE | HANDS,
}

# Modules of the world: devices, network, threads, wall clock. Only *_io.py, clock.py, app/ and cli/ may use them.
WORLD = {"socket", "threading", "subprocess", "serial", "paho", "sqlite3", "select", "selectors", "asyncio", "tempfile"}
WORLD_CALLS = {"time.time", "time.time_ns", "time.monotonic", "time.sleep", "time.clock_gettime_ns"}


def modules() -> list[Path]:
    return sorted(p for p in ROOT.rglob("*.py") if not p.name.endswith("_pb2.py"))


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def violations(part: str, names: set[str]) -> set[str]:
    """Imports of ``names`` that a module of ``part`` must not make."""
    bad = set()
    for name in names:
        bits = name.split(".")
        if bits[0] != "outrider" or len(bits) < 2:
            continue
        target = bits[1]
        if target == "_native":
            if part != "engine":
                bad.add(name)
        elif target != "__version__" and target not in ALLOWED[part]:
            bad.add(name)
    return bad


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_follow_the_direction_of_data(path: Path) -> None:
    """No stage imports another stage, no leaf imports a stage, only the engine imports the extension."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    bad = violations(part_of(path), imports(tree))
    assert not bad, f"{path.relative_to(ROOT)} must not import {sorted(bad)}"


def test_the_rule_bites() -> None:
    """The checker itself finds a forbidden import."""
    assert violations("uplink", {"outrider.record.journal.Journal"})
    assert violations("drive", {"outrider._native"})
    assert violations("wire", {"outrider.sim"})
    assert not violations("app", {"outrider.record.journal.Journal", "outrider.uplink.session_io"})


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_world_is_touched_only_at_the_edge(path: Path) -> None:
    """Devices, threads, network and clocks live in *_io.py, clock.py, app/ and cli/."""
    if path.name.endswith("_io.py") or path.name == "clock.py" or part_of(path) in {"app", "cli"}:
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    world = {name for name in imports(tree) if name.split(".")[0] in WORLD}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            call = f"{node.value.id}.{node.attr}"
            if call in WORLD_CALLS:
                world.add(call)
    assert not world, f"{path.relative_to(ROOT)} touches the world: {sorted(world)}; move it to a *_io.py module"


def test_every_module_says_what_it_owns() -> None:
    """Each module starts with a docstring."""
    silent = [
        str(p.relative_to(ROOT)) for p in modules() if not ast.get_docstring(ast.parse(p.read_text(encoding="utf-8")))
    ]
    assert not silent
