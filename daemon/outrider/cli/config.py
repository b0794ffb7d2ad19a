"""``outrider config check|show|schema``."""

from __future__ import annotations

import re
from pathlib import Path

import click

from outrider.cli.common import emit_json, json_option
from outrider.config import DEFAULT_PATH, config_document, config_schema, load_config
from outrider.i18n import _

_file = click.argument("file", type=click.Path(path_type=Path), default=DEFAULT_PATH)


@click.group()
def cli() -> None:
    """Check and show the configuration."""


@cli.command()
@_file
@json_option
def check(file: Path, as_json: bool) -> None:
    """Read FILE and say whether it is right. Exit code 78 when it is not."""
    from outrider.drive.precision import check_precision

    config = load_config(file)
    check_precision(config.telemetry.precision)
    if as_json:
        emit_json({"file": str(file), "ok": True})
        return
    click.echo(
        _("{file}: ok ({device}, {buses} CAN bus(es), uplink {uplink})").format(
            file=file,
            device=config.terminal.device,
            buses=len(config.can),
            uplink=f"{config.uplink.host}:{config.uplink.port}" if config.uplink else _("none"),
        )
    )


@cli.command()
@_file
@json_option
def show(file: Path, as_json: bool) -> None:
    """Print FILE with every default filled in."""
    document = config_document(load_config(file))
    if as_json:
        emit_json(document)
        return
    for section, content in document.items():
        if isinstance(content, list | tuple):
            for entry in content:
                _print_table(f"[[{section}]]", entry)
        elif content is not None:
            _print_table(f"[{section}]", content)


@cli.command()
def schema() -> None:
    """Print the JSON Schema of the configuration file."""
    emit_json(config_schema())


def _print_table(title: str, content: dict[str, object]) -> None:
    click.echo(title)
    for key, value in content.items():
        if value is None:
            click.echo(f"# {key} = (not set)")
        else:
            click.echo(f"{key} = {_toml_value(value)}")
    click.echo()


def _toml_value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml_value(v) for v in value) + "]"
    if isinstance(value, dict):
        told = [f"{_toml_key(k)} = {_toml_value(v)}" for k, v in value.items() if v is not None]
        return "{ " + ", ".join(told) + " }" if told else "{}"
    return str(value)


def _toml_key(key: str) -> str:
    return key if re.fullmatch("[A-Za-z0-9_-]+", key) else _toml_value(key)
