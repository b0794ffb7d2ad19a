"""What all report pages share: colours that can be read, pictures that are small and the same each time."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

import outrider.report
from outrider.report.svg import PALETTE, figure_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE = (Path(outrider.report.__file__).parent / "templates" / "style.css").read_text(encoding="utf-8")
GROUNDS = ("--page", "--soft")
TEXT = ("--ink", "--dim", "--good", "--bad", "--link", "--warn")
LINES = ("--first", "--second", "--other", "--edge")


def palettes() -> dict[str, dict[str, str]]:
    """Light and dark, as the style sheet has them."""
    light, dark = (dict(re.findall(r"(--\w+): (#[0-9a-f]{3,6})", block)) for block in STYLE.split("@media screen")[:2])
    return {"light": light, "dark": dark}


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.1."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_colours_can_be_read(name: str) -> None:
    """WCAG 2.1 AA: 4.5 to 1 for text on both grounds, 3 to 1 for lines on the page, in light and dark."""
    palette = palettes()[name]
    for ground in GROUNDS:
        for colour in TEXT:
            assert contrast(palette[colour], palette[ground]) >= 4.5, (colour, ground)
    for colour in LINES:
        assert contrast(palette[colour], palette["--page"]) >= 3.0, colour


def test_pictures_use_the_colours_of_the_page() -> None:
    """Each colour a picture is drawn with is the light one of the style sheet, and both palettes name the same."""
    light, dark = palettes()["light"], palettes()["dark"]
    assert set(light) == set(dark)
    for colour, name in PALETTE.items():
        assert light[name] == colour


def test_texts_without_a_glyph_are_put_in_again() -> None:
    """Chinese in labels, legends and notes: text of the picture, measured by a stand-in, without a warning; markup is
    text; the same figure gives the same bytes; coordinates are short."""

    def fill(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1.23456], label="纵向 <b> $x$")
        axes.set_xlabel("时间/s")
        axes.text(0.5, 0.5, "碰撞 & T0")
        axes.legend()

    svg = figure_svg(fill, (4, 3), 9, 'a "b"', "p")
    assert figure_svg(fill, (4, 3), 9, 'a "b"', "p") == svg
    root = ElementTree.fromstring(svg)
    texts = {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"纵向 <b> $x$", "时间/s", "碰撞 & T0"} <= texts
    assert root.get("aria-label") == 'a "b"'
    assert "var(--ink, #1f2328)" in svg
    assert not re.search(r'\sd="[^"]*\.\d{3}', svg)
    assert all(i.startswith("p-") for i in re.findall(r'\bid="([^"]*)"', svg))
