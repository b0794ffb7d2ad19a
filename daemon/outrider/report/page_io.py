"""A page that needs nothing else: one HTML file for a browser, a phone and paper.

Everything put into a template is text to it (autoescape); only pictures of our own are not. Streamed into the file, so
that pictures are drawn one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from outrider.files_io import replacing


def write_page(
    package: str, template: str, content: Mapping[str, Any], path: Path, filters: Mapping[str, Callable[..., Any]]
) -> None:
    """A template of ``package`` (or of this one) into a file, whole or not at all. OSError names the file."""
    loader = ChoiceLoader([PackageLoader(package), PackageLoader("outrider.report")])
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=False)
    environment.filters.update(filters)
    with replacing(path) as part, part.open("w", encoding="utf-8") as file:
        file.writelines(environment.get_template(template).generate(content))
