"""``outrider wear``: what is really written to the flash under the journal, and how long it may last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from outrider.cli.common import Number, config_option, emit_json, json_option
from outrider.i18n import _


@click.command()
@config_option
@click.option("--cycles", type=Number(min=1, max=1e7), help=_("What a cell of this flash endures (its data sheet)."))
@click.option("--amplification", type=Number(min=1, max=1000), help=_("Bytes programmed for each byte written."))
@json_option
def cli(file: Path, cycles: float | None, amplification: float | None, as_json: bool) -> None:
    """Show bytes written to the device per hour of driving and per day, and the life that may leave."""
    if (cycles is None) != (amplification is None):
        raise click.UsageError(_("--cycles and --amplification go together"))
    document = _document(file)
    if cycles is not None and amplification is not None:
        document["years"]["assumed"] = _assumed(document, cycles, amplification)
    if as_json:
        emit_json({"type": "wear", **document})
        return
    from outrider.cli.wear_view import wear_lines

    for name, text in wear_lines(document, cycles, amplification):
        click.echo(f"{name:<20} {text}".rstrip())


def _assumed(document: dict[str, Any], cycles: float, amplification: float) -> float | None:
    from outrider.app.wear_life import Assumption, life_years

    rate, device = document["device_bytes_per_day"], document["device"]
    if rate is None or device is None:
        return None
    return life_years(device["capacity_bytes"], rate, Assumption(cycles, amplification))


def _document(file: Path) -> dict[str, Any]:
    """From the running daemon, else from flash and the device as it is now."""
    from outrider.app.control import ask_if_running
    from outrider.config import load_config

    config = load_config(file)
    answer = ask_if_running(Path(config.terminal.control_socket), "wear")
    if answer is not None:
        return answer
    return _on_flash(file.parent / config.terminal.data_directory)


def _on_flash(data_directory: Path) -> dict[str, Any]:
    from outrider.app.meters import DIRECTORY
    from outrider.app.wear import KeptWear, read_wear, wear_document
    from outrider.app.wear_device import find_device
    from outrider.errors import JournalError
    from outrider.record.storage_io import DirectoryStorage

    if not data_directory.is_dir():
        raise JournalError(_("{directory}: no such directory").format(directory=data_directory))
    kept, directory = KeptWear(), data_directory / DIRECTORY
    if directory.is_dir():
        storage = DirectoryStorage(directory, read_only=True)
        try:
            kept = read_wear(storage)
        finally:
            storage.close()
    return wear_document(kept, find_device(data_directory))
