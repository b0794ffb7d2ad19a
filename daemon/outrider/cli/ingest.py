"""``outrider ingest``: the receiver beside a broker; and the options ``outrider watch`` shares with it."""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from outrider.cli.common import Number, emit_json, json_option, note, stop_on_signals
from outrider.cli.ingest_sink import COMMANDS, sink_options
from outrider.cli.ingest_source import serving_metrics, source_options, with_source
from outrider.i18n import _

if TYPE_CHECKING:
    from outrider.ingest.keys import KeyRing
    from outrider.ingest.options import BrokerOptions
    from outrider.ingest.receiver_io import Receiver
    from outrider.ingest.watch.deadman import DeadManOptions
    from outrider.ingest.watch.watchkeeper_io import News

_FILE = click.Path(path_type=Path)


def broker_options(command: Any) -> Any:
    """Adds ``--broker``, ``--tls`` and what goes with them."""
    options: tuple[Any, ...] = (
        click.option("--broker", default="127.0.0.1:1883", show_default=True, metavar="HOST:PORT", help=_("Broker.")),
        click.option("--tls", is_flag=True, help=_("Use TLS and verify the broker.")),
        click.option("--ca-file", type=_FILE, help=_("Authorities to trust (PEM); implies --tls.")),
        click.option("--cert-file", type=_FILE, help=_("Our certificate (PEM); implies --tls.")),
        click.option("--cert-key-file", type=_FILE, help=_("Its private key (PEM).")),
        click.option("--username", help=_("User name at the broker.")),
        click.option("--password-file", type=_FILE, help=_("File that holds the password.")),
    )
    for option in reversed(options):
        command = option(command)
    return command


def make_broker(client_id: str, *, persistent: bool, **given: Any) -> BrokerOptions:
    """Options from what ``broker_options`` collected; ConfigError for a bad address or unreadable password."""
    from outrider.ingest.options import BrokerOptions

    tls = bool(given["tls"] or given["ca_file"] or given["cert_file"])
    host, port = _split(given["broker"], 8883 if tls else 1883)
    return BrokerOptions(
        host=host,
        port=port,
        client_id=client_id,
        tls=tls,
        ca_file=given["ca_file"],
        certificate_file=given["cert_file"],
        key_file=given["cert_key_file"],
        username=given["username"],
        password=read_secret(given["password_file"]),
        persistent=persistent,
    )


@click.group(invoke_without_command=True)
@broker_options
@source_options
@sink_options
@click.option("--key-file", type=_FILE, help=_("Acknowledgement keys (TOML); without, nothing is acknowledged."))
@click.option(
    "--client-id", metavar="ID", help=_("MQTT client id; outrider-ingest unless told, of its own with --shared.")
)
@click.option("--interval-s", type=Number(0.1, 86_400), default=5.0, show_default=True, help=_("Between reports."))
@click.option(
    "--vanished-score",
    type=Number(0, 100),
    help=_("Surprise (decades) from which a car silent at speed has vanished; 0: do not watch."),
)
@json_option
@click.pass_context
def cli(
    ctx: click.Context,
    /,
    *,
    db: Path,
    sink: str | None,
    register: str | None,
    key_file: Path | None,
    client_id: str | None,
    interval_s: float,
    vanished_score: float | None,
    as_json: bool,
    metrics: str | None,
    **source: Any,
) -> None:
    """Receive, store and acknowledge what terminals send, until SIGTERM or SIGINT; tell when a moving car vanishes.

    With a command: look into what is stored, instead.
    """
    if ctx.invoked_subcommand is not None:  # which takes the place from here, unless it is told another
        given = {"db": db, "sink": sink, "register": register}
        ctx.default_map = {ctx.invoked_subcommand: {name: value for name, value in given.items() if value is not None}}
        return
    from outrider.clock import SystemClock
    from outrider.ingest.options import ReceiverOptions
    from outrider.ingest.receiver_io import Receiver

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    options = ReceiverOptions(
        broker=make_broker("outrider-ingest", persistent=True, **source),
        database=db,
        sink=sink,
        register=register,
        keys=_read_keys(key_file),
        deadman=_deadman(vanished_score),
    )
    with serving_metrics(metrics) as (meter, watch_receiver):
        receiver = Receiver(
            with_source(options, source, client_id),
            SystemClock(),
            on_alarm=lambda news: _tell(news, as_json),
            meter=meter,
        )
        watch_receiver(receiver)
        stop = stop_on_signals()
        reporter = threading.Thread(target=_report, args=(receiver, stop, interval_s, as_json), daemon=True)
        reporter.start()
        try:
            receiver.run(stop)
        finally:
            stop.set()
            reporter.join()
    _show(receiver, as_json, final=True)


for _command in COMMANDS:
    cli.add_command(_command)


def _report(receiver: Receiver, stop: threading.Event, interval_s: float, as_json: bool) -> None:
    """Until stopped: a JSON line each interval, or a line on the terminal that is rewritten."""
    if as_json or not sys.stderr.isatty():
        with suppress(OSError):  # who read the reports is gone; receiving goes on
            while not stop.wait(interval_s):
                _show(receiver, as_json)
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), auto_refresh=False) as live:
        while not stop.wait(min(interval_s, 0.5)):
            live.update(_line(receiver), refresh=True)


def _deadman(score: float | None) -> DeadManOptions | None:
    from outrider.ingest.watch.deadman import DeadManOptions

    if score is None:
        return DeadManOptions()
    return DeadManOptions(threshold=score) if score > 0 else None


def _tell(news: News, as_json: bool) -> None:
    """A car vanished or is back: to stdout, at once."""
    from outrider.cli.alarm_view import cleared_document, cleared_line, vanished_document, vanished_line
    from outrider.ingest.watch.deadman import Vanished

    if isinstance(news, Vanished):
        if as_json:
            emit_json(vanished_document(news, news.raised_utc_s))
        else:
            click.echo(vanished_line(news, news.raised_utc_s))
    elif as_json:
        emit_json(cleared_document(news))
    else:
        click.echo(cleared_line(news))


def _show(receiver: Receiver, as_json: bool, *, final: bool = False) -> None:
    if as_json:
        state = {"connected": receiver.connected.is_set(), "final": final}
        emit_json({"type": "stats", **state, **receiver.stats()})
    else:
        note(_line(receiver))


def _line(receiver: Receiver) -> str:
    state = _("connected") if receiver.connected.is_set() else _("not connected")
    text = _(
        "{state}: {messages} messages, {records} records new, {duplicates} again, {acks} acknowledgements, "
        "{dead_letters} dead letters"
    )
    stats = receiver.stats()
    said = text.format(state=state, **stats)
    if stats["watched"] or stats["vanished"]:
        said += _(", {watched} cars watched, {vanished} vanished, {returned} returned").format(**stats)
    return said


def _split(text: str, default_port: int) -> tuple[str, int]:
    """``HOST``, ``HOST:PORT`` or ``[IPV6]:PORT``; ConfigError otherwise."""
    from urllib.parse import urlsplit

    from outrider.errors import ConfigError

    try:
        parts = urlsplit(f"//{text}")
        if parts.hostname and parts.netloc == text and parts.username is None:
            return parts.hostname, parts.port or default_port
    except ValueError:
        pass  # said below
    raise ConfigError(f"--broker {text!r} is no address; write HOST:PORT")


def _read_keys(path: Path | None) -> KeyRing:
    from outrider.errors import ConfigError
    from outrider.ingest.keys import KeyRing, parse_keys

    if path is None:
        note(_("no --key-file: what arrives is stored but not acknowledged, so terminals keep and repeat it"))
        return KeyRing()
    text = read_secret(path)
    if text is None:
        raise ConfigError("is empty", path=path)
    return parse_keys(text, path)


def read_secret(path: Path | None) -> str | None:
    """Content without surrounding white space; None without a path. ConfigError when it cannot be read."""
    from outrider.errors import ConfigError
    from outrider.files_io import read_text

    if path is None:
        return None
    try:
        return read_text(path).strip() or None
    except OSError as err:
        raise ConfigError(f"cannot be read: {err.strerror}", path=path) from None
    except UnicodeDecodeError as err:
        raise ConfigError(f"not UTF-8 text at byte {err.start}", path=path) from None
