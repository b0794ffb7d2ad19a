"""Docs and code say the same."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from outrider import config
from outrider.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SECTIONS = [
    config.Terminal, config.Vehicle, config.CanBus, config.Bus, config.Gnss, config.Engine, config.Journal,
    config.Uplink, config.Budget, config.Modem, config.Telemetry,
]  # fmt: skip


@pytest.mark.parametrize("section", SECTIONS, ids=lambda s: s.__name__)
def test_every_configuration_key_is_documented_with_its_default(section: type[msgspec.Struct]) -> None:
    """docs/reference/config.md names each key; simple defaults stand beside it."""
    text = (DOCS / "reference" / "config.md").read_text(encoding="utf-8")
    for field in msgspec.structs.fields(section):
        rows = [
            line for line in text.splitlines() if line.startswith("| `") and f"`{field.name}`" in line.split("|")[1]
        ]
        assert rows, f"{section.__name__}.{field.name} is not in docs/reference/config.md"
        if isinstance(field.default, int | float) and not isinstance(field.default, bool):
            assert any(f"`{field.default}`" in row for row in rows), f"{field.name}: default {field.default}"


def test_the_example_configuration_is_right() -> None:
    """The example in the docs parses."""
    text = (DOCS / "reference" / "config.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    assert config.parse_config(example, Path("example.toml")).uplink is not None


def test_every_command_is_documented() -> None:
    """docs/reference/cli.md has a section for each command."""
    text = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    for name in COMMANDS:
        assert f"## `outrider {name}" in text, name


def markdown_files() -> list[Path]:
    return sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md"), ROOT / "native" / "README.md", ROOT / "hil" / "README.md"])


@pytest.mark.parametrize("path", markdown_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    """Relative links and images in the docs exist."""
    for target in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith("mailto:"):
            assert (path.parent / target).exists(), f"{path.name}: {target}"
