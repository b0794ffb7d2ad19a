"""``outrider ca init|show|issue|revoke|rotate``: a certificate authority in one directory, with a broker for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from outrider.cli.common import emit_json, json_option, note
from outrider.i18n import _

if TYPE_CHECKING:
    from outrider.trust.authority_io import Authority
    from outrider.trust.registry_io import Issued

_DIRECTORY = click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
_PORT = click.IntRange(1, 65535)
MAX_DEVICE_DAYS = 3650


@click.group()
def cli() -> None:
    """A certificate authority for a fleet, and a broker that enforces it. DIR holds private keys: guard it."""


@cli.command()
@_DIRECTORY
@click.option("--name", default="Outrider CA", show_default=True, help=_("What the roots are called."))
@click.option("--host", "hosts", multiple=True, help=_("Name or address of the broker; several are possible."))
@click.option(
    "--device-days", type=click.IntRange(1, MAX_DEVICE_DAYS), default=365, show_default=True, help=_("Of terminals.")
)
@click.option("--port", type=_PORT, default=8883, show_default=True, help=_("Broker's port for terminals."))
@click.option("--address", default="", help=_("Broker's address for terminals; all unless given."))
@click.option("--receiver-port", type=_PORT, default=8884, show_default=True, help=_("Port for receivers."))
@click.option("--receiver-address", default="127.0.0.1", show_default=True, help=_("Address for receivers."))
@json_option
def init(directory: Path, name: str, hosts: tuple[str, ...], device_days: int, as_json: bool, **listeners: Any) -> None:
    """Make an authority: root, certificates of server and receiver, keys, and DIR/mosquitto.conf, ready to run."""
    from outrider.trust.authority_io import DEFAULT_HOSTS, Authority, Plan
    from outrider.trust.mosquitto import Listeners

    names = tuple(dict.fromkeys((*hosts, *DEFAULT_HOSTS)))
    plan = Plan(name=name[:56], device_days=device_days, hosts=names)
    authority = Authority.create(directory, plan, Listeners(**listeners))
    if not as_json:
        note(_("broker:    mosquitto -c {directory}/mosquitto.conf").format(directory=authority.directory))
        note(_("enrolment: outrider enrol serve {directory}").format(directory=authority.directory))
        note(_("guard {directory}/root-1.key: who has it can be any terminal").format(directory=authority.directory))
    _show(authority, as_json)


@cli.command()
@_DIRECTORY
@json_option
def show(directory: Path, as_json: bool) -> None:
    """Roots with their pins, and what was issued."""
    from outrider.trust.authority_io import Authority

    _show(Authority(directory), as_json)


@cli.command()
@_DIRECTORY
@click.argument("device", required=False)
@click.option("--csr", type=click.Path(path_type=Path), help=_("Certificate request (PEM); its key stays where it is."))
@click.option("-o", "--output", type=click.Path(path_type=Path), help=_("Where the certificate goes (PEM)."))
@click.option("--server", is_flag=True, help=_("Renew the server's certificate instead."))
@click.option("--host", "hosts", multiple=True, help=_("With --server: its names and addresses from now on."))
@click.option("--receiver", is_flag=True, help=_("Renew the receiver's certificate instead."))
@json_option
def issue(  # noqa: PLR0917  click passes them by name
    directory: Path,
    device: str | None,
    csr: Path | None,
    output: Path | None,
    server: bool,
    hosts: tuple[str, ...],
    receiver: bool,
    as_json: bool,
) -> None:
    """Sign a request made elsewhere (a key in hardware), or renew the server's or the receiver's certificate.

    Terminals that make their own key in software enrol instead: outrider enrol token.
    """
    from outrider.trust.authority_io import Authority

    authority = Authority(directory)
    if sum((server, receiver, csr is not None)) != 1 or (csr is not None) != (
        device is not None and output is not None
    ):
        raise click.UsageError(_("give DEVICE with --csr and --output, or --server, or --receiver"))
    if server:
        authority.issue_server(hosts or None)
        authority.tell_broker()
    elif receiver:
        authority.issue_receiver()
    else:
        assert device is not None
        assert csr is not None
        assert output is not None
        _sign(authority, device, csr, output)
    _show(authority, as_json)


@cli.command()
@_DIRECTORY
@click.argument("what", metavar="DEVICE|SERIAL")
@click.option("--reason", default="operator", show_default=True, help=_("For the audit."))
@json_option
def revoke(directory: Path, what: str, reason: str, as_json: bool) -> None:
    """Certificates of a device (or one by its serial) are worth nothing any more; mosquitto is told."""
    from outrider.errors import TrustError
    from outrider.trust.authority_io import Authority

    authority = Authority(directory)
    count = authority.revoke(what, reason)
    if count == 0:
        raise TrustError(_("{what}: no valid certificate of that name or serial").format(what=what[:80]))
    _say_told(authority)
    if as_json:
        emit_json({"revoked": count})
    else:
        click.echo(_("{count} revoked").format(count=count))


@cli.command()
@_DIRECTORY
@click.option("--servers", is_flag=True, help=_("Second step: servers show the new root's certificates."))
@click.option("--retire", is_flag=True, help=_("Third step: the old root is trusted no more."))
@click.option("--force", is_flag=True, help=_("With --servers: also with terminals that do not know the new root yet."))
@json_option
def rotate(directory: Path, servers: bool, retire: bool, force: bool, as_json: bool) -> None:
    """Replace the root in three steps. First (no option): a new one is trusted beside the old one."""
    from outrider.errors import TrustError
    from outrider.trust.authority_io import Authority

    if servers and retire:
        raise click.UsageError(_("one step at a time: --servers or --retire"))
    authority = Authority(directory)
    if servers:
        unaware = authority.unaware()
        if unaware and not force:
            text = _("{count} terminals do not know the new root yet and would be cut off: {names}; wait, or --force")
            raise TrustError(text.format(count=len(unaware), names=", ".join(unaware[:5])))
        authority.serve_newest()
    elif retire:
        authority.retire()
    else:
        authority.rotate()
    _say_told(authority)
    _show(authority, as_json)


def _sign(authority: Authority, device: str, csr: Path, output: Path) -> None:
    import time

    from outrider.errors import TrustError
    from outrider.files_io import naming, read_file
    from outrider.trust.certificates import certificates_pem
    from outrider.trust.requests import MAX_REQUEST_BYTES, request_of_pem

    try:
        request = request_of_pem(read_file(csr, MAX_REQUEST_BYTES))
    except TrustError as err:
        raise TrustError(str(err), path=csr) from None
    if request.device != device:
        raise TrustError(_("names {name!r}, not {device!r}").format(name=request.device, device=device), path=csr)
    certificate = authority.sign_device(request.key, device)
    with naming(output):
        output.write_bytes(certificates_pem([certificate]))
    with authority.registry() as registry:
        registry.remember("device", device, certificate)
        registry.note(time.time(), "signed", device, None, f"serial {certificate.serial_number:x}, by hand")


def _say_told(authority: Authority) -> None:
    if not authority.told:
        note(_("no broker was told (no mosquitto by mosquitto.pid): have yours read its files again"))


def _show(authority: Authority, as_json: bool) -> None:
    document = _document(authority)
    if as_json:
        emit_json(document)
        return
    for root in document["roots"]:
        click.echo(_("root {generation}: {pin}, until {until}").format(**root))
    for one in document["issued"]:
        state = _("revoked: {reason}").format(reason=one["reason"]) if one["revoked"] else one["until"]
        click.echo(f"{one['purpose']:9} {one['name']:24} {one['serial']:40} {state}")


def _document(authority: Authority) -> dict[str, Any]:
    from outrider.trust.certificates import ends_s, pin_of
    from outrider.trust.registry_io import root_id

    roots = list(zip(authority.plan.generations, authority.roots(), strict=True))
    generations = {root_id(root): number for number, root in roots}
    with authority.registry() as registry:
        issued = [_issued(one, generations.get(one.issuer)) for one in registry.all_issued()]
    return {
        "roots": [
            {"generation": number, "pin": pin_of(root), "until": _day(ends_s(root)), "utc_s": ends_s(root)}
            for number, root in roots
        ],
        "serving": authority.plan.serving,
        "hosts": list(authority.plan.hosts),
        "issued": issued,
    }


def _issued(one: Issued, generation: int | None) -> dict[str, Any]:
    return {
        "purpose": one.purpose,
        "name": one.name,
        "serial": one.serial,
        "generation": generation,
        "until": _day(one.ends_s),
        "utc_s": one.ends_s,
        "revoked": one.revoked_s is not None,
        "reason": one.reason,
    }


def _day(utc_s: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(utc_s, UTC).strftime("%Y-%m-%d")
