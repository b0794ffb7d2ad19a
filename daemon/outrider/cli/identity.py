"""``outrider identity show|enrol|renew``: who this terminal is at the broker, and what protects its key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from outrider.cli.common import emit_json, json_option, note
from outrider.config import DEFAULT_PATH
from outrider.i18n import _

if TYPE_CHECKING:
    from outrider.trust.client_io import EstClient
    from outrider.trust.enrol_io import Outcome
    from outrider.trust.identity_io import DeviceIdentity


@click.group()
def cli() -> None:
    """The terminal's key and certificate. The private key is made here and never leaves."""


def _place(command: Any) -> Any:
    """Adds ``--config`` and ``--directory``."""
    config = click.option(
        "--config",
        "file",
        type=click.Path(path_type=Path),
        default=DEFAULT_PATH,
        show_default=True,
        help=_("Configuration that says where the identity is."),
    )
    directory = click.option(
        "--directory", type=click.Path(path_type=Path), help=_("The identity's directory, instead of --config.")
    )
    return config(directory(command))


@cli.command()
@_place
@json_option
def show(file: Path, directory: Path | None, as_json: bool) -> None:
    """Certificate, where the key is and what that protects against, trusted roots, brokers. Never the key."""
    from outrider.app.identity import describe

    identity = _identity(file, directory)
    document = describe(identity)
    if as_json:
        emit_json(document)
        return
    click.echo(_("device       {device}").format(**document))
    click.echo(_("certificate  {fingerprint}").format(**document))
    click.echo(_("valid        {starts} to {ends} ({state}); renewed from {due} on").format(**document))
    click.echo(_("key          {key}").format(key=document["key"]["file"]))
    for line in _protection(document["key"]["private"]):
        click.echo(f"             {line}")
    for root in document["roots"]:
        click.echo(_("trusted root {pin}, until {ends}").format(**root))
    for broker in document["brokers"]:
        click.echo(_("broker       {host}:{port}").format(**broker))
    if document["unconfirmed"]:
        click.echo(_("             renewed; the broker has not seen the new certificate yet, the old one is kept"))
    if not document["clock_known"]:
        click.echo(_("             the clock is wrong (behind what is known for certain)"))


@cli.command()
@_place
@click.option("--from", "provisioning", type=click.Path(path_type=Path), required=True, help=_("Provisioning file."))
@json_option
def enrol(file: Path, directory: Path | None, provisioning: Path, as_json: bool) -> None:
    """Claim an identity with a provisioning file. Safe to repeat, also after a power cut at any step."""
    from outrider.app.identity import read_provisioning
    from outrider.trust import enrol_io

    given = read_provisioning(provisioning)
    identity = _identity(file, directory)
    outcome = enrol_io.enrol(identity, given, _client(file, directory, given.url))
    _told(outcome, as_json)
    if not as_json:
        note(_("the token in {file} is used up; the file can be deleted").format(file=provisioning))


@cli.command()
@_place
@json_option
def renew(file: Path, directory: Path | None, as_json: bool) -> None:
    """Get a new key and certificate now; the daemon does so by itself at two thirds of the lifetime."""
    from outrider.trust import enrol_io

    identity = _identity(file, directory)
    _told(enrol_io.renew(identity, _client(file, directory, enrol_io.enrolled_at(identity))), as_json)


def _identity(file: Path, directory: Path | None) -> DeviceIdentity:
    from outrider.app.identity import identity_directory
    from outrider.config import load_config
    from outrider.trust.identity_io import DeviceIdentity

    if directory is not None:
        return DeviceIdentity(directory)
    return DeviceIdentity(identity_directory(load_config(file), file.parent.resolve()))


def _client(file: Path, directory: Path | None, url: str) -> EstClient | None:
    """By the way that the configuration names, where there is one."""
    if directory is not None:
        return None
    from outrider.app.enrolment import est_client
    from outrider.config import load_config

    return est_client(load_config(file), file.parent.resolve(), url)


def _told(outcome: Outcome, as_json: bool) -> None:
    import dataclasses

    if as_json:
        emit_json(dataclasses.asdict(outcome))
    elif outcome.fresh:
        click.echo(_("{device}: certificate {fingerprint}").format(**dataclasses.asdict(outcome)))
    else:
        click.echo(_("{device}: enrolled already; nothing to do").format(device=outcome.device))


def _protection(private: bool) -> list[str]:
    return [
        _("a file on this terminal's storage, readable by its owner only")
        if private
        else _("WARNING: a file that others on this terminal can read; make it mode 0600"),
        _("protects against: other users of the terminal, the network, the broker, the enrolment server"),
        _("does not protect against: whoever has root here, or reads the storage outside of the terminal"),
    ]
