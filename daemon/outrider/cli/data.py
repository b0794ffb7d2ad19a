"""``outrider data``: what was sent this month, what it will come to, which plan is in force; ``data watch``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from outrider.cli.common import Number, config_option, emit_json, json_option, stdout_console
from outrider.i18n import _

MAX_MINUTES = 240


@click.group(invoke_without_command=True)
@config_option
@click.option("--month", metavar="YYYY-MM", help=_("Show this month."))
@json_option
@click.pass_context
def cli(ctx: click.Context, file: Path, month: str | None, as_json: bool) -> None:
    """Show what was sent this month and in those before, by class and by path."""
    if ctx.invoked_subcommand is not None:
        return
    document = _document(file)
    if month is not None and month not in {m["month"] for m in document["months"]}:
        known = ", ".join(m["month"] for m in document["months"]) or _("none")
        raise click.UsageError(_("{month}: nothing was counted; known are {known}").format(month=month, known=known))
    if as_json:
        emit_json({"type": "data", **document})
        return
    from outrider.cli.data_view import data_page

    stdout_console(highlight=False).print(data_page(document, month=month))


@cli.command()
@config_option
@click.argument("minutes", type=Number(min=0, max=MAX_MINUTES), default=15.0)
@json_option
def watch(file: Path, minutes: float, as_json: bool) -> None:
    """Have the daemon send every ten seconds for MINUTES (default 15, 0 ends it). It ends by itself."""
    from outrider.app.control import ask
    from outrider.config import load_config

    answer = ask(Path(load_config(file).terminal.control_socket), "watch", seconds=minutes * 60)
    rules = answer["rules"]
    if as_json:
        emit_json({"type": "data-watch", "rules": rules})
        return
    click.echo(_("plan {plan}: a batch every {age:g} s").format(plan=rules["plan"], age=rules["batch_age_s"]))


def _document(file: Path) -> dict[str, Any]:
    """From the running daemon, else from flash."""
    from outrider.app.control import ask_if_running
    from outrider.config import load_config

    config = load_config(file)
    answer = ask_if_running(Path(config.terminal.control_socket), "data")
    if answer is not None:
        return answer
    return _on_flash(file.parent / config.terminal.data_directory, _limit(config))


def _limit(config: Any) -> int | None:
    from outrider.app.options import budget_options

    return None if config.uplink is None else budget_options(config.uplink).monthly_bytes


def _on_flash(data_directory: Path, limit_bytes: int | None) -> dict[str, Any]:
    from outrider.app.budget import month_documents, read_usage, summary
    from outrider.app.meters import DIRECTORY
    from outrider.clock import SystemClock
    from outrider.errors import JournalError
    from outrider.record.storage_io import DirectoryStorage

    directory = data_directory / DIRECTORY
    if not directory.is_dir():
        raise JournalError(
            _("{directory}: nothing was counted yet; does `outrider run` run with this configuration?").format(
                directory=directory
            )
        )
    storage = DirectoryStorage(directory, read_only=True)
    try:
        usage = read_usage(storage)
    finally:
        storage.close()
    return {**summary(usage, limit_bytes, SystemClock().utc_us()), **month_documents(usage)}
