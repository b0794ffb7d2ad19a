"""``outrider modem [reset]``: the technician's page of the cellular modem, and one step by hand.

Looking needs no rights and no daemon. A step goes to ModemManager directly, which asks polkit whether the caller may;
the daemon's control socket changes nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from outrider.cli.common import Number, emit_json, json_option, note, stdout_console
from outrider.config import Terminal
from outrider.i18n import _

if TYPE_CHECKING:
    from outrider.app.modem_look import Look, ModemWindow

BACK_S: Final = 180.0
GONE_S: Final = 20.0  # until a modem that was told to start anew does so
STEPS: Final = ("reconnect", "toggle", "reset")


def _reach(command: Any) -> Any:
    """Options that say where ModemManager, the modem and the daemon are."""
    for option in (
        click.option("--bus", metavar="ADDRESS", help=_("D-Bus address. Default: the system bus.")),
        click.option("--port", metavar="PORT", help=_("Port of the modem, such as cdc-wdm0, where there are several.")),
        click.option(
            "--socket",
            "control",
            type=click.Path(path_type=Path),
            default=Path(Terminal().control_socket),
            show_default=True,
            help=_("Control socket of the daemon."),
        ),
    ):
        command = option(command)
    return command


@click.group(invoke_without_command=True)
@_reach
@click.option("--apn", help=_("Say when the connection uses another APN."))
@click.option("--show-ids", is_flag=True, help=_("Show IMEI, ICCID and IMSI unmasked."))
@click.option("--watch", is_flag=True, help=_("Go on until interrupted."))
@click.option("--interval", type=Number(0.2, 3600), default=2.0, show_default=True, help=_("Seconds, with --watch."))
@json_option
def cli(**options: Any) -> None:
    """Show the cellular modem: what it is doing, how well it hears, what to do.

    Exit code 0: it carries or could. 1: it does not. 69: no D-Bus, no ModemManager, or no modem.
    """
    ctx = click.get_current_context()
    ctx.obj = {**(ctx.obj or {}), "modem": options}
    if ctx.invoked_subcommand is not None:
        return
    from outrider.app.modem_look import exit_code, modem_window
    from outrider.clock import SystemClock

    with modem_window(options["bus"], options["port"], options["control"], SystemClock()) as window, window.measuring():
        look = _watch(window, options) if options["watch"] else _once(window, options)
    sys.exit(exit_code(look))


def _once(window: ModemWindow, options: dict[str, Any]) -> Look:
    from outrider.app.modem_look import look_document
    from outrider.cli.modem_view import page_lines

    look = window.look()
    document = look_document(look, options["apn"], show_ids=options["show_ids"])
    if options["as_json"]:
        emit_json(document)
    else:
        for line in page_lines(document):
            click.echo(line)
    return look


def _watch(window: ModemWindow, options: dict[str, Any]) -> Look:
    """Until interrupted."""
    if options["as_json"]:
        while True:
            _once(window, options)
            window.wait(options["interval"])
    from rich.live import Live
    from rich.text import Text

    from outrider.app.modem_look import look_document
    from outrider.cli.modem_view import page_lines

    with Live(console=stdout_console(), auto_refresh=False, screen=False) as live:
        while True:
            document = look_document(window.look(), options["apn"], show_ids=options["show_ids"])
            live.update(Text.from_ansi("\n".join(page_lines(document))), refresh=True)
            window.wait(options["interval"])


@cli.command()
@click.option(
    "--step",
    type=click.Choice(STEPS),
    default="reset",
    show_default=True,
    help=_("reconnect: the data connection. toggle: radio off and on. reset: the modem starts anew."),
)
@click.option("--yes", is_flag=True, help=_("Yes, the terminal loses its network for up to some minutes."))
@click.pass_context
def reset(ctx: click.Context, step: str, yes: bool) -> None:
    """Take one step of the recovery ladder by hand, then wait until the modem carries again.

    Exit code 0: it does. 1: it does not within three minutes. 69: the step was refused or failed.
    """
    from outrider.app.modem_look import modem_window
    from outrider.clock import SystemClock
    from outrider.errors import LinkError
    from outrider.network.trouble import Rung

    if not yes:
        raise click.UsageError(_("the terminal loses its network for up to some minutes; add --yes if that is meant"))
    options = ctx.obj["modem"]
    with modem_window(options["bus"], options["port"], options["control"], SystemClock()) as window:
        look = window.look()
        if look.modem is None:
            raise LinkError(look.view.bus_error or look.view.manager_error or look.diagnosis.reason)
        _warn(look)
        window.thread.carry_out(Rung[step.upper()], look.modem.path)
        note(_("{step}: done; waiting for the modem").format(step=step))
        if step == "reset":
            _goes_away(window, look.modem.path)
        came = _comes_back(window)
    sys.exit(0 if came else 1)


def _warn(look: Look) -> None:
    """A crash on its way is the one thing that must not be cut."""
    uplink = (look.daemon or {}).get("uplink") or {}
    if uplink.get("backlog", {}).get("emergency"):
        note(_("warning: emergency records wait for delivery; they go on when the network is back"))


def _goes_away(window: ModemWindow, path: str) -> None:
    """The answer to a reset comes before the modem goes down: what it says until then is from before."""
    import time

    from outrider.app.modem_look import WELL

    deadline = time.monotonic() + GONE_S
    while (left := deadline - time.monotonic()) > 0:
        look = window.look(known=True)
        if look.modem is None or look.modem.path != path or look.diagnosis.condition not in WELL:
            return
        window.wait(min(left, 1.0))


def _comes_back(window: ModemWindow) -> bool:
    import time

    from outrider.app.modem_look import WELL

    deadline = time.monotonic() + BACK_S
    while True:
        look = window.look(known=True)
        if look.diagnosis.condition in WELL:
            break
        left = deadline - time.monotonic()
        if left <= 0:
            break
        window.wait(min(left, 1.0))
    note(f"{look.diagnosis.condition}: {look.diagnosis.reason}")
    return look.diagnosis.condition in WELL
