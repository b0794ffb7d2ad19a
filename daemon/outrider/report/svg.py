"""A figure as an ``<svg>`` element for a page: texts stay texts, ids of its own, scalable, readable aloud. Pure.

matplotlib draws without a display; the same figure gives the same bytes. Texts are set in the reader's fonts: what the
drawing side has no glyph for (Chinese) is measured by a letter of about its width and put in afterwards. Colours of
``PALETTE`` follow the page's style sheet (light, dark, paper), with their own value where there is none.
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from markupsafe import escape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# colour as drawn -> custom property of style.css
PALETTE: Final = {
    "#1f2328": "--ink",
    "#57606a": "--dim",
    "#8c959f": "--edge",
    "#d8dee4": "--rule",
    "#afb8c1": "--faint",
    "#1a7f37": "--good",
    "#cf222e": "--bad",
    "#0550ae": "--link",
    "#b35900": "--warn",
    "#8250df": "--other",
    "#0969da": "--first",
    "#bf8700": "--second",
}
STYLE: Final = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8c959f",
    "axes.grid": True,
    "grid.color": "#d8dee4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "text.color": "#1f2328",
    "axes.labelcolor": "#1f2328",
    "xtick.color": "#57606a",
    "ytick.color": "#57606a",
}


def figure_svg(
    fill: Callable[[Figure], None], inches: tuple[float, float], font_pt: float, label: str, prefix: str
) -> str:
    """One ``<svg>`` element of what ``fill`` draws. ``prefix`` makes its ids differ from those of the other pictures of
    a page; ``label`` is for those who cannot see it, escaped here."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style: Any = {**STYLE, "font.size": font_pt, "svg.hashsalt": prefix}
    with mpl.rc_context(style):
        figure = Figure(figsize=inches, layout="constrained")
        FigureCanvasSVG(figure)
        fill(figure)
        held = _hold_texts(figure)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _inline(_put_texts(out.getvalue(), held), label, prefix)


def _hold_texts(figure: Figure) -> dict[str, str]:
    """Texts with signs the drawing side has no glyph for give way to letters of about their width: id -> text."""
    from matplotlib.font_manager import findfont, get_font
    from matplotlib.text import Text

    glyphs = get_font(findfont("DejaVu Sans")).get_charmap()
    held: dict[str, str] = {}
    for artist in figure.findobj(Text):
        text = artist.get_text() if isinstance(artist, Text) else ""
        if all(ord(sign) in glyphs for sign in text):
            continue
        name = f"text-{len(held)}"
        held[name] = text
        artist.set_gid(name)
        artist.set_text("".join(_stand_in(sign) if ord(sign) not in glyphs else sign for sign in text))
    return held


def _stand_in(sign: str) -> str:
    if unicodedata.combining(sign):
        return ""
    return "m" if unicodedata.east_asian_width(sign) in "WF" else "n"


def _put_texts(svg: str, held: dict[str, str]) -> str:
    for name, text in held.items():
        pattern = rf'(<g id="{name}">\s*(?:<g[^>]*>\s*)?<text [^>]*>)[^<]*(</text>)'
        svg = re.sub(pattern, lambda found, text=text: f"{found[1]}{escape(text)}{found[2]}", svg)  # type: ignore[misc]  # a default binds it
    return svg


def _inline(svg: str, label: str, prefix: str) -> str:
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = _short(_counted(body))
    body = re.sub(r'\bid="', f'id="{prefix}-', body)
    body = re.sub(r'href="#', f'href="#{prefix}-', body)
    body = re.sub(r"url\(#", f"url(#{prefix}-", body)
    body = re.sub(r"#[0-9a-f]{6}(?=[;\"])", _colour, body)
    head, rest = body.split(">", 1)
    head = re.sub(r'\s(width|height)="[^"]*"', "", head)
    return f'{head} role="img" aria-label="{escape(label)}">{rest}'


def _counted(svg: str) -> str:
    """Ids made from the last bits of coordinates (clips, marks) become numbers in the order they come."""
    made = dict.fromkeys(re.findall(r'\bid="([a-z][0-9a-f]{10})"', svg))
    numbers = {name: f"{name[0]}{number}" for number, name in enumerate(made)}
    return re.sub(r"(?<=[\"#])[a-z][0-9a-f]{10}(?=[\")])", lambda found: numbers.get(found[0], found[0]), svg)


def _short(svg: str) -> str:
    """Coordinates to a hundredth of a point: half the bytes, the same picture."""
    attributes = re.compile(r'(?<=\s)(?:d|x|y)="[^"]*"')
    return attributes.sub(lambda found: re.sub(r"(\.\d\d)\d+", r"\1", found[0]), svg)


def _colour(found: re.Match[str]) -> str:
    name = PALETTE.get(found[0])
    return found[0] if name is None else f"var({name}, {found[0]})"
