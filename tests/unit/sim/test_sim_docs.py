"""The reference page and the simulator say the same."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from outrider.sim import bundled_scenarios, generate, parse_scenario, tables
from outrider.sim.dbc import layout

TEXT = (Path(__file__).parents[3] / "docs" / "reference" / "simulator.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "table",
    [getattr(tables, name) for name in dir(tables) if isinstance(getattr(tables, name), type)],
    ids=lambda table: table.__name__,
)
def test_every_key_is_documented(table: type) -> None:
    """Each key of each table stands in the page, simple defaults beside it."""
    if not issubclass(table, msgspec.Struct) or table.__name__ in {"Table"}:
        return
    for field in msgspec.structs.fields(table):
        if isinstance(field.default, tables.Table) or field.name == "vin":
            continue
        assert f"`{field.name}`" in TEXT, f"{table.__name__}.{field.name}"
        if isinstance(field.default, float) and field.default:
            number = f"{field.default:g}" if field.default < 10_000 else str(field.default)
            assert re.search(rf"`{field.name}`[^`|]*\([^)]*{re.escape(number)}", TEXT), f"{field.name} ({number})"


def test_the_example_is_driven() -> None:
    """The scenario in the page loads and runs."""
    (example,) = re.findall(r"```toml\n(.*?)```", TEXT, flags=re.DOTALL)
    drive = generate(parse_scenario(example, "example"), 1)
    assert {event["kind"] for event in drive.truth()["events"]} >= {"pothole", "brake"}


def test_messages_and_scenarios_are_all_listed() -> None:
    """Every message with its identifier, every bundled scenario."""
    for message in layout().values():
        number = f"{message.frame_id:08X}" if message.extended else f"{message.frame_id:03X}"
        assert f"| {number} | {message.name}" in TEXT, message.name
    for name in bundled_scenarios():
        assert f"| `{name}` |" in TEXT
