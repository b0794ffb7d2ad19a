"""``outrider run``: the daemon in the foreground, as systemd wants it."""

from __future__ import annotations

import logging
import os
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from outrider.cli.common import config_option, stop_on_signals
from outrider.i18n import _

if TYPE_CHECKING:
    from outrider.app.daemon import Daemon

RIG_NICE = -15


@click.command()
@config_option
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@click.option(
    "--rig-speed",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help=_("Test rigs: drives are played N times as fast as they were, on virtual buses."),
)
def cli(file: Path, log_level: str, rig_speed: int) -> None:
    """Run the terminal daemon until SIGTERM or SIGINT. SIGPWR: the supply fails, save everything now."""
    signal.signal(signal.SIGPWR, signal.SIG_IGN)  # it would end the process; there is nothing to save yet
    from outrider.app.daemon import Daemon
    from outrider.app.options import check_rig_speed
    from outrider.clock import SystemClock
    from outrider.config import load_config

    logging.basicConfig(level=log_level.upper(), format="%(levelname)s %(name)s: %(message)s")
    config = load_config(file)
    check_rig_speed(config, rig_speed, path=file)
    stop = stop_on_signals()
    if rig_speed > 1:
        _hurry()
    again = True
    while again:  # once more, when the terminal has been enrolled
        daemon = Daemon(config, file.parent.resolve(), SystemClock(), rig_speed=rig_speed)
        signal.signal(signal.SIGPWR, partial(_power_fails, daemon))
        again = daemon.run(stop)


def _power_fails(daemon: Daemon, _number: int, _frame: object) -> None:
    daemon.power_signal()


def _hurry() -> None:
    """Before others on this machine, where the system allows it: a millisecond late is a many times longer one here."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, RIG_NICE)
