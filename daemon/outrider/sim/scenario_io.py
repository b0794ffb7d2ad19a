"""Finding scenarios: bundled ones by name, others by path."""

from __future__ import annotations

import difflib
from importlib import resources
from pathlib import Path

from outrider.errors import ScenarioError
from outrider.sim.scenario import Scenario, parse_scenario

_MAX_BYTES = 4_000_000


def bundled_scenarios() -> dict[str, Scenario]:
    """All scenarios that come with the package, by name."""
    folder = resources.files("outrider.sim") / "scenarios"
    found = {}
    for item in sorted(folder.iterdir(), key=lambda entry: entry.name.removesuffix(".toml")):
        if item.name.endswith(".toml"):
            scenario = parse_scenario(item.read_text(encoding="utf-8"), item)
            found[scenario.name] = scenario
    return found


def load_scenario(name_or_path: str | Path) -> Scenario:
    """A bundled scenario by name, else the TOML file at this path. ScenarioError says what is known."""
    text = str(name_or_path)
    if "/" not in text and not text.endswith(".toml"):
        bundled = resources.files("outrider.sim") / "scenarios" / f"{text}.toml"
        if bundled.is_file():
            return parse_scenario(bundled.read_text(encoding="utf-8"), bundled)
    path = Path(name_or_path)
    if not path.is_file():
        raise ScenarioError(_unknown(text))
    if path.stat().st_size > _MAX_BYTES:
        raise ScenarioError(f"larger than {_MAX_BYTES} bytes: not a scenario", path=path)
    try:
        return parse_scenario(path.read_text(encoding="utf-8"), path)
    except UnicodeDecodeError as err:
        raise ScenarioError(f"not UTF-8 text (byte {err.start}); a scenario is a TOML file", path=path) from None


def _unknown(text: str) -> str:
    folder = resources.files("outrider.sim") / "scenarios"
    names = sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))
    near = difflib.get_close_matches(text, names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"no scenario {text!r}: neither a bundled name nor a file; {hint}bundled: {', '.join(names)}"
