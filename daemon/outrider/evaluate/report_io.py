"""The report of a run: one HTML file with the tables and a picture of every hit, miss and false alarm."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from outrider.errors import InputError
from outrider.evaluate.layouts import LAYOUTS
from outrider.evaluate.lost import page as lost_page
from outrider.evaluate.page import page
from outrider.evaluate.plot import draw, finite
from outrider.evaluate.results import Evaluation, Picture, RowResult
from outrider.evaluate.words import GENERAL, NOT_SCORED, bars_of, verdict_of, whole_sentence
from outrider.files_io import replacing
from outrider.report.page_io import write_page

_ORDER = ("miss", "false", "hit", "plain")
_HEADINGS = {"miss": "Missed", "false": "False alarms", "hit": "Found", "plain": "Courses"}


class Pictures:
    """The pictures of a row by verdict, drawn when the template comes to them and kept by nobody."""

    def __init__(self, row: RowResult) -> None:
        self._row = row

    def __iter__(self) -> Iterator[tuple[str, str, list[tuple[Picture, str]]]]:
        numbered = [(picture, f"p{self._row.row}{i}") for i, picture in enumerate(self._row.pictures)]
        for verdict in _ORDER:
            mine = [pair for pair in numbered if pair[0].verdict == verdict and finite(pair[0])]
            if mine:
                yield verdict, _HEADINGS[verdict], mine


def svg(picture: Picture, prefix: str) -> Markup:
    """Our own drawing: numbers, units and names, the names as text; the label is escaped where it is put in."""
    return Markup(draw(picture, prefix))  # see above


def write_report(evaluation: Evaluation, path: Path, made: str) -> None:
    """Write the HTML file, whole or not at all. ``made``: when, for people. OSError names the file."""
    content: Mapping[str, Any] = {
        "run": evaluation,
        "made": made,
        "whole": whole_sentence(evaluation),
        "good": all(bar.met is not False for _, bar in bars_of(evaluation.rows)),
        "general": (GENERAL, NOT_SCORED),
        "layouts": LAYOUTS,
        "pictures": {row.row: Pictures(row) for row in evaluation.rows},
        "bars": bars_of(evaluation.rows),
    }
    write_page("outrider.evaluate", "evaluation.html", content, path, {"verdict": verdict_of, "svg": svg})


def write_markdown(evaluation: Evaluation, path: Path) -> None:
    """Write the Markdown page, whole or not at all."""
    with replacing(path) as part:
        part.write_text(page(evaluation), encoding="utf-8")


def write_lost(evaluation: Evaluation, path: Path) -> None:
    """Write the page of row J and, in ``images`` beside its folder, the curve as SVG. InputError without row J."""
    row = next((one for one in evaluation.rows if one.row == "J" and not one.missing), None)
    if row is None:
        raise InputError("the page of cars lost at speed is about row J, which was not scored")
    image = path.parent.parent / "images" / (path.stem + ".svg")
    image.parent.mkdir(exist_ok=True)
    with replacing(image) as part:
        part.write_text(lost_page.standalone(lost_page.curve_svg(row.numbers)), encoding="utf-8")
    with replacing(path) as part:
        part.write_text(lost_page.page(evaluation, row, f"../images/{image.name}"), encoding="utf-8")


def json_text(evaluation: Evaluation) -> str:
    """The JSON document, a line for people's eyes at a time."""
    return json.dumps(evaluation.document(), ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def write_json(evaluation: Evaluation, path: Path) -> None:
    """Write the JSON document, whole or not at all."""
    with replacing(path) as part:
        part.write_text(json_text(evaluation), encoding="utf-8")
