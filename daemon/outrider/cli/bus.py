"""``outrider bus list|status|detect|set|up|down|restart|helper``: the links of CAN buses.

Looking needs no rights. Changing needs CAP_NET_ADMIN, or the helper that has it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from outrider.cli.common import Number, emit_json, json_option, note, stop_on_signals
from outrider.config import Bus, Terminal
from outrider.i18n import _

if TYPE_CHECKING:
    from outrider.link.detect import Detection
    from outrider.link.set_io import LinkSetter
    from outrider.link.settings import LinkRequest

FOUND_FILE: Final = Path(Terminal().data_directory) / "bitrates.json"
_PATH = click.Path(path_type=Path)
_device = click.argument("device", metavar="INTERFACE")


def _control_option(command: Any) -> Any:
    return click.option(
        "--socket",
        "control",
        type=_PATH,
        default=Path(Terminal().control_socket),
        show_default=True,
        help=_("Control socket of the daemon."),
    )(command)


def _helper_option(command: Any) -> Any:
    return click.option(
        "--helper",
        "helper_socket",
        type=_PATH,
        help=_(
            "Ask the helper at this socket. Default: set the link directly where that is allowed, else {path}."
        ).format(path=Bus().helper_socket),
    )(command)


@click.group()
def cli() -> None:
    """Look at the links of CAN buses, find bit rates, set links."""


@cli.command("list")
@json_option
def list_links(as_json: bool) -> None:
    """List the CAN interfaces of this machine."""
    from outrider.cli.bus_view import list_lines, report_document
    from outrider.link.state_io import IpLinkState

    reports = IpLinkState().read_all()
    if as_json:
        emit_json([report_document(report) for report in reports])
        return
    if not reports:
        note(_("there is no CAN interface; is the adapter plugged in, its driver loaded?"))
    for line in list_lines(reports):
        click.echo(line)


@cli.command()
@click.argument("device", metavar="[INTERFACE]", required=False)
@_control_option
@json_option
def status(device: str | None, control: Path, as_json: bool) -> None:
    """Show mode, bit rate, state, error counters and losses of one bus or all; with what the daemon knows, if it runs.

    Exit code 69 when there is no such interface.
    """
    from outrider.app.control import ask
    from outrider.cli.bus_view import report_document, status_lines
    from outrider.errors import LinkError
    from outrider.link.state_io import IpLinkState

    state = IpLinkState()
    reports = state.read_all() if device is None else [state.read(device)]
    try:
        daemon: dict[str, Any] | None = ask(control, "status")
    except LinkError:
        daemon = None
    documents = [report_document(report, daemon) for report in reports if report is not None]
    if device is not None and not documents:
        raise LinkError(f"there is no interface {device}; `outrider bus list` names what there is")
    if as_json:
        emit_json(documents)
        return
    for number, document in enumerate(documents):
        click.echo(("" if number == 0 else "\n") + "\n".join(status_lines(document)))
    if daemon is None:
        note(_("no daemon runs: what it would know (condition, losses in the socket) is not shown"))


@cli.command()
@_device
@click.option("--bitrate", "bitrates", type=int, multiple=True, metavar="BIT/S", help=_("Try only these, in order."))
@click.option("--window", type=Number(0.1, 60), default=1.0, show_default=True, help=_("Seconds to listen at each."))
@click.option(
    "--found", type=_PATH, default=FOUND_FILE, show_default=True, help=_("File that keeps what was found, tried first.")
)
@_helper_option
@_control_option
@json_option
def detect(device: str, helper_socket: Path | None, control: Path, as_json: bool, **search: Any) -> None:
    """Find the bit rate of a bus by listening only. The ignition must be on: a bus that sleeps tells nothing.

    Exit code 0: found, and the link is left listening at it. 1: not found, and the link is left down.
    """
    from outrider.cli.bus_view import detection_document, trial_line, verdict_lines
    from outrider.errors import LinkError
    from outrider.link.detect import BITRATES, Detection, Outcome
    from outrider.link.detect_io import FoundBitrates, Search
    from outrider.link.listen_io import SocketListener
    from outrider.link.state_io import IpLinkState

    state = IpLinkState()
    report = state.read(device)
    if report is None:
        raise LinkError(f"there is no interface {device}; `outrider bus list` names what there is")
    _not_in_use(device, control)
    known = FoundBitrates(search["found"])
    detection = Detection(report, cached=known.get(device), bitrates=search["bitrates"] or BITRATES)
    tries = Search(device, state, _setter(helper_socket), SocketListener(), search["window"])
    tries.run(detection, None if as_json else lambda trial: click.echo(trial_line(trial)))
    if as_json:
        emit_json(detection_document(device, detection))
    else:
        for line in verdict_lines(device, detection):
            click.echo(line)
    _remember(known, device, detection, search["found"])
    if detection.outcome is not Outcome.FOUND:
        click.get_current_context().exit(1)


def _not_in_use(device: str, control: Path) -> None:
    """A running daemon would lose the bus with every rate that is tried."""
    from outrider.app.control import ask
    from outrider.errors import LinkError

    try:
        buses = ask(control, "status").get("buses", [])
    except LinkError:
        return
    if any(bus.get("name") == device for bus in buses):
        raise LinkError(f"the daemon reads {device}; stop it first (systemctl stop outrider)")


def _remember(known: Any, device: str, detection: Detection, file: Path) -> None:
    if detection.best is None:
        return
    try:
        known.put(device, detection.best)
    except OSError as err:
        note(_("{file}: not kept for the next time: {reason}").format(file=file, reason=err.strerror))


@cli.command("set")
@_device
@click.option("--bitrate", type=int, required=True, metavar="BIT/S", help=_("Arbitration bit rate."))
@click.option("--data-bitrate", type=int, metavar="BIT/S", help=_("Data bit rate; switches CAN FD on."))
@click.option(
    "--restart-ms", type=int, default=0, show_default=True, help=_("The kernel restarts after bus-off; 0 off.")
)
@click.option("--active", is_flag=True, help=_("Acknowledge frames and be able to send. Needs --yes."))
@click.option("--yes", is_flag=True, help=_("Yes, take part in the traffic of this bus."))
@_helper_option
def set_link(device: str, active: bool, yes: bool, helper_socket: Path | None, **rates: Any) -> None:
    """Take a link down, set it, bring it up; listen-only unless --active."""
    from outrider.link.settings import SetLink

    if active and not yes:
        raise click.UsageError(_("--active lets the terminal disturb the car's traffic; add --yes if that is meant"))
    _request(SetLink(device, listen_only=not active, **rates), helper_socket, allow_active=active)


@cli.command()
@_device
@_helper_option
def up(device: str, helper_socket: Path | None) -> None:
    """Bring a link up as it is set; only one that listens."""
    from outrider.link.settings import LinkUp

    _request(LinkUp(device), helper_socket)


@cli.command()
@_device
@_helper_option
def down(device: str, helper_socket: Path | None) -> None:
    """Take a link off the bus."""
    from outrider.link.settings import LinkDown

    _request(LinkDown(device), helper_socket)


@cli.command()
@_device
@click.option("--yes", is_flag=True, help=_("Also where the link acknowledges and can send."))
@_helper_option
def restart(device: str, yes: bool, helper_socket: Path | None) -> None:
    """Bring a controller back after bus-off."""
    from outrider.link.settings import RestartLink

    _request(RestartLink(device), helper_socket, allow_active=yes)


def _request(request: LinkRequest, helper_socket: Path | None, *, allow_active: bool = False) -> None:
    from outrider.cli.bus_view import report_document, status_lines
    from outrider.link.settings import decode_request, encode_request
    from outrider.link.state_io import IpLinkState

    checked = decode_request(encode_request(request))  # the limits of the wire hold for the command line as well
    _setter(helper_socket, allow_active=allow_active).request(checked)
    report = IpLinkState().read(request.device)
    if report is not None:
        for line in status_lines(report_document(report)):
            note(line)


def _setter(helper_socket: Path | None, *, allow_active: bool = False) -> LinkSetter:
    from outrider.errors import LinkError
    from outrider.link.helper_client_io import HelperClient
    from outrider.link.helper_io import may_set_links
    from outrider.link.set_io import IpLinkSetter

    if helper_socket is not None:
        return HelperClient(helper_socket)
    if may_set_links():
        return IpLinkSetter(allow_active=allow_active)
    default = Path(Bus().helper_socket)
    if default.exists():
        return HelperClient(default)
    raise LinkError(f"setting a link needs root, or a helper at {default} (`outrider bus helper`)")


@cli.command()
@click.option("--allow", required=True, metavar="CAN0,CAN1", help=_("Interfaces that may be set; no others."))
@click.option(
    "--socket", "path", type=_PATH, default=Path(Bus().helper_socket), show_default=True, help=_("Where to listen.")
)
@click.option("--group", help=_("Group whose members may ask. Default: only root."))
@click.option("--allow-active", is_flag=True, help=_("Also links that acknowledge and can send."))
def helper(allow: str, path: Path, group: str | None, allow_active: bool) -> None:
    """Run the privileged helper: sets links for a daemon that has no rights. Until SIGTERM or SIGINT."""
    import logging
    import os

    from outrider.link.helper_io import BusHelper, HelperOptions, allowed_names, may_set_links
    from outrider.link.set_io import IpLinkSetter

    logging.basicConfig(level="INFO", format="%(levelname)s %(name)s: %(message)s")
    if not may_set_links():
        note(_("warning: without CAP_NET_ADMIN every request will be refused by the kernel"))
    names = frozenset(allowed_names(allow))
    service = BusHelper(HelperOptions(path, names, group), IpLinkSetter(allow_active=allow_active))
    wake = os.eventfd(0, os.EFD_CLOEXEC)
    stop = stop_on_signals(lambda: os.eventfd_write(wake, 1))
    service.open()
    note(_("bus helper: {names} at {path}").format(names=", ".join(sorted(names)), path=path))
    try:
        service.serve(stop, wake)
    finally:
        service.close()
        os.close(wake)
