"""Entry point: the command tree and the one place where errors become a line and an exit code."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import click

from outrider import __version__
from outrider.cli.common import report_error
from outrider.i18n import _

# name -> (module, one line of help). The module's ``cli`` attribute is the command; it is imported when called.
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "run": ("outrider.cli.run", "Run the terminal daemon."),
    "replay": ("outrider.cli.replay", "Replay recordings through the same pipeline as the daemon."),
    "sim": ("outrider.cli.sim", "Simulate drives."),
    "ingest": ("outrider.cli.ingest", "Receive, store and acknowledge what terminals send."),
    "watch": ("outrider.cli.watch", "Print what terminals send, as it arrives."),
    "alarms": ("outrider.cli.alarms", "List cars that vanished at speed."),
    "status": ("outrider.cli.status", "Show the state of the running daemon."),
    "data": ("outrider.cli.data", "Show what delivery costs: bytes by month, class and path; the plan in force."),
    "wear": ("outrider.cli.wear", "Show what is written to flash and how long it may last."),
    "bus": ("outrider.cli.bus", "Look at the links of CAN buses, find bit rates, set links."),
    "identity": ("outrider.cli.identity", "The terminal's certificate: show, enrol, renew."),
    "ca": ("outrider.cli.ca", "A certificate authority for a fleet, with a broker that enforces it."),
    "enrol": ("outrider.cli.enrol", "Serve enrolment, make claim tokens."),
    "modem": ("outrider.cli.modem", "Look at the cellular modem, bring it back by hand."),
    "journal": ("outrider.cli.journal", "Look into the journal on flash."),
    "profile": ("outrider.cli.profile", "Explain vehicle profiles."),
    "config": ("outrider.cli.config", "Check and show the configuration."),
    "hil": ("outrider.cli.hil", "Replay a suite of drives against this release, or compare two releases."),
    "crash": ("outrider.cli.crash", "List, show, export and judge again the crashes on record."),
    "evaluate": ("outrider.cli.evaluate", "Score the crash and harsh-driving detector on recordings."),
    "demo": ("outrider.cli.demo", "Simulate a drive that ends in a crash and follow it to the receiver."),
}


class LazyGroup(click.Group):
    """Lists commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = importlib.import_module(entry[0]).cli
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section(_("Commands")):
            formatter.write_dl([(name, _(text)) for name, (_module, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """A reader of stdout that has seen enough (``| head``) ends the command, and is no error."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing is left to fail at exit
            return None


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--debug", is_flag=True, help=_("Show the traceback of an error."))
@click.version_option(__version__, prog_name="outrider")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """In-vehicle terminal: CAN and GNSS in, crash and driving events out, nothing lost in between."""
    ctx.obj = {"debug": debug}


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends a command as SIGINT does: what is open is closed. Daemons set handlers of their own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def main(argv: list[str] | None = None) -> Any:
    args = sys.argv[1:] if argv is None else argv
    debug = "--debug" in args
    try:
        with _terminable():
            return cli.main(args=args, prog_name="outrider", standalone_mode=False)
    except Exception as err:  # the last stop of every error
        if debug:
            raise
        sys.exit(report_error(err))
