"""What all subcommands share: output for people and programs, errors as one line, exit codes.

Data goes to stdout, talk to stderr. ``--json`` prints one JSON document, streams print JSON Lines.
Exit codes are those of sysexits.h where one fits (docs/reference/cli.md).
"""

from __future__ import annotations

import json
import math
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from outrider.errors import OutriderError
from outrider.i18n import _


class Number(click.FloatRange):
    """A number from ``min`` to ``max``; not-a-number is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(_("{value} is no number").format(value=value), param, ctx)
        return number


def config_option(command: Any) -> Any:
    """Adds ``--config`` as the parameter ``file``: Path."""
    from outrider.config import DEFAULT_PATH

    return click.option(
        "--config",
        "file",
        type=click.Path(path_type=Path),
        default=DEFAULT_PATH,
        show_default=True,
        help=_("Configuration."),
    )(command)


def json_option(command: Any) -> Any:
    """Adds ``--json`` (parameter ``as_json``) to a command."""
    return click.option("--json", "as_json", is_flag=True, help=_("Print JSON for programs."))(command)


def stop_on_signals(wake: Callable[[], object] = lambda: None) -> threading.Event:
    """An event that the first SIGTERM or SIGINT sets; ``wake`` is called then too. Later ones change nothing: one that
    came while the event is being set would wait for ever for the lock that the first one holds."""
    stop = threading.Event()
    numbers = (signal.SIGTERM, signal.SIGINT)

    def end(_number: int, _frame: object) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        stop.set()
        wake()

    for number in numbers:
        signal.signal(number, end)
    return stop


def stdout_console(**options: Any) -> Any:
    """A rich console on stdout that leaves a closed pipe (``| head``) to the command tree, as ``click.echo`` does."""
    from rich.console import Console

    class Out(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return Out(**options)


def emit_json(document: object) -> None:
    """One JSON document on one line of stdout; non-finite numbers are a bug and raise ValueError."""
    click.echo(json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")))


def note(message: str) -> None:
    """Talk for a person: stderr."""
    click.echo(message, err=True)


def report_error(err: BaseException) -> int:
    """Print the error as one line, return the exit code."""
    if isinstance(err, click.ClickException):
        err.show(sys.stderr)
        return err.exit_code
    if isinstance(err, click.Abort | KeyboardInterrupt):
        note(_("interrupted"))
        return 130
    if isinstance(err, BrokenPipeError):
        return 0
    if isinstance(err, OutriderError):
        note(f"error: {err}")
        return err.exit_code
    if isinstance(err, OSError):
        what = err.strerror or str(err)
        note(f"error: {err.filename}: {what}" if err.filename else f"error: {what}")
        return 74
    note(
        _("error: internal fault ({kind}: {err}). Please report it; run again with --debug for the traceback.").format(
            kind=type(err).__name__, err=err
        )
    )
    return 70
