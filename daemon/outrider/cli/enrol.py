"""``outrider enrol serve|token|tokens|audit``: the enrolment server and its claim tokens; beside an authority."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from outrider.cli.common import emit_json, json_option, note, stop_on_signals
from outrider.i18n import _

if TYPE_CHECKING:
    import threading

    from outrider.trust.desk_io import EnrolmentDesk
    from outrider.trust.server_io import EnrolmentServer

_DIRECTORY = click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
DEFAULT_PORT = 8443


@click.group()
def cli() -> None:
    """Enrolment of terminals by one-time claim tokens (EST, RFC 7030). DIR is that of ``outrider ca init``."""


@cli.command()
@_DIRECTORY
@click.option("--listen", default=f"0.0.0.0:{DEFAULT_PORT}", show_default=True, metavar="HOST:PORT", help=_("Address."))
@click.option("--broker", "brokers", multiple=True, metavar="HOST[:PORT]", help=_("What terminals are told; in order."))
@click.option("--grace-days", type=click.IntRange(0, 3650), default=180, show_default=True, help=_("For renewals."))
@json_option
def serve(directory: Path, listen: str, brokers: tuple[str, ...], grace_days: int, as_json: bool) -> None:
    """Serve until SIGTERM or SIGINT. Certificates that ended up to --grace-days ago can still be renewed."""
    from outrider.app.delivery import split_broker
    from outrider.errors import ConfigError
    from outrider.trust.authority_io import Authority
    from outrider.trust.desk_io import EnrolmentDesk
    from outrider.trust.settings import Broker

    try:
        from outrider.trust.server_io import EnrolmentServer
    except ImportError:
        raise ConfigError(_("the enrolment server needs aiohttp: install outrider[ingest]")) from None

    logging.basicConfig(level="INFO", format="%(levelname)s %(name)s: %(message)s")
    authority = Authority(directory)
    named = [split_broker(text, 8883) for text in brokers] or [(authority.plan.hosts[0], 8883)]
    host, port = split_broker(listen, DEFAULT_PORT)
    with authority.registry() as registry:
        desk = EnrolmentDesk(authority, registry, tuple(Broker(host=h, port=p) for h, p in named), grace_days)
        server = EnrolmentServer(desk, host, port)
        asyncio.run(_serve(server, desk, stop_on_signals(), as_json))


@cli.command()
@_DIRECTORY
@click.argument("device")
@click.option("--url", required=True, help=_("https://HOST:PORT of the enrolment server, as terminals see it."))
@click.option("--days", type=click.IntRange(1, 365), default=14, show_default=True, help=_("Until it expires."))
@click.option("-o", "--output", type=click.Path(path_type=Path), help=_("Provisioning file; else stdout."))
@json_option
def token(  # noqa: PLR0917  click passes them by name
    directory: Path, device: str, url: str, days: int, output: Path | None, as_json: bool
) -> None:
    """Make a claim token for DEVICE: one use, shown once. Tokens of it that were not used are worth nothing then."""
    import secrets
    import time

    from outrider.errors import TrustError
    from outrider.trust.authority_io import Authority
    from outrider.trust.certificates import pin_of
    from outrider.trust.private_io import write_whole
    from outrider.trust.provisioning import Provisioning, check_url, render_provisioning
    from outrider.trust.requests import TOKEN_BYTES, make_token, token_hash
    from outrider.wire.topics import DEVICE_ID

    if not DEVICE_ID.fullmatch(device):
        raise TrustError(_("device {name!r}: use 1 to 64 of A-Z a-z 0-9 _ -").format(name=device[:80]))
    authority = Authority(directory)
    claim = make_token(secrets.token_bytes(TOKEN_BYTES))
    pin = pin_of(authority.root(authority.plan.serving).certificate)  # by which the server can be verified today
    given = Provisioning(check_url(url), device, claim, pin)
    now_s = time.time()
    with authority.registry() as registry:
        registry.drop_tokens(device)
        registry.add_token(token_hash(claim), device, now_s, now_s + days * 86_400)
        registry.note(now_s, "token-made", device, None, f"for {days} days")
    document: dict[str, Any] = {"url": given.url, "device": device, "ca_pin": pin, "days": days}
    if output is not None:
        write_whole(output, render_provisioning(given).encode("ascii"))
    if as_json:
        emit_json(document | ({"token": claim} if output is None else {"file": str(output)}))
    elif output is not None:
        note(_("{file}: for {device}, one use, {days} days").format(file=output, device=device, days=days))
    else:
        click.echo(render_provisioning(given), nl=False)


@cli.command()
@_DIRECTORY
@json_option
def tokens(directory: Path, as_json: bool) -> None:
    """Claim tokens by device: unused, used, expired. What they were is not kept."""
    import time

    from outrider.trust.authority_io import Authority

    now_s = time.time()
    words = {"unused": _("unused"), "used": _("used"), "expired": _("expired")}
    with Authority(directory).registry() as registry:
        for one in registry.tokens():
            state = "used" if one.used_s is not None else "expired" if now_s >= one.expires_s else "unused"
            if as_json:
                emit_json(
                    {"device": one.device, "state": state, "created_s": one.created_s, "expires_s": one.expires_s}
                )
            else:
                click.echo(f"{one.device:24} {words[state]:10} {_time(one.expires_s)}")


@cli.command()
@_DIRECTORY
@click.option("-n", "--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@json_option
def audit(directory: Path, limit: int, as_json: bool) -> None:
    """What was granted and refused, the newest first."""
    import dataclasses

    from outrider.trust.authority_io import Authority

    with Authority(directory).registry() as registry:
        for entry in registry.audit(limit):
            if as_json:
                emit_json(dataclasses.asdict(entry))
            else:
                remote = entry.remote or "-"
                click.echo(
                    f"{_time(entry.utc_s)} {entry.what:24} {entry.device or '-':24} {remote:15} {entry.detail or ''}"
                )


async def _serve(server: EnrolmentServer, desk: EnrolmentDesk, stop: threading.Event, as_json: bool) -> None:
    import dataclasses

    port = await server.start()
    if as_json:
        emit_json({"type": "enrol_listening", "port": port})
    else:
        note(_("enrolment server listens on port {port}").format(port=port))
    try:
        while not stop.is_set():
            await asyncio.sleep(0.1)  # a signal handler can only set the event
    finally:
        await server.stop()
    counts: dict[str, Any] = dataclasses.asdict(desk.counts)
    if as_json:
        emit_json({"type": "enrol_stats", **counts})
    else:
        note(" ".join(f"{name}={count}" for name, count in counts.items()))


def _time(utc_s: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(utc_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
