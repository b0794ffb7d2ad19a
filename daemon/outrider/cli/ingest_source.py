"""Options of ``outrider ingest`` about where messages come from, beside those of the broker."""

from __future__ import annotations

import dataclasses
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from outrider.cli.common import note
from outrider.i18n import _

if TYPE_CHECKING:
    from outrider.ingest.meter import Meter
    from outrider.ingest.options import BrokerOptions, NatsOptions, ReceiverOptions
    from outrider.ingest.receiver_io import Receiver

_SHARED_EXPIRY_S = 300  # what a worker that is gone for good had in hand comes again from the terminals before


def source_options(command: Any) -> Any:
    """Adds ``--shared``, ``--nats`` and what goes with it, ``--watch-only`` and ``--metrics``."""
    options: tuple[Any, ...] = (
        click.option(
            "--shared",
            metavar="GROUP",
            help=_("Share the broker's messages with the other receivers of this group."),
        ),
        click.option(
            "--nats",
            metavar="URL[,URL]",
            help=_("Pull from the stream of this NATS cluster instead of --broker (nats:// or tls://)."),
        ),
        click.option(
            "--nats-durable",
            default="outrider-ingest",
            show_default=True,
            metavar="NAME",
            help=_("Consumer that the receivers of one sink share."),
        ),
        click.option(
            "--nats-replicas",
            type=click.IntRange(1, 5),
            default=3,
            show_default=True,
            help=_("Of the stream, where it must be made."),
        ),
        click.option(
            "--nats-credentials", type=click.Path(path_type=Path), help=_("Credentials file (JWT and seed) for NATS.")
        ),
        click.option(
            "--watch-only",
            is_flag=True,
            help=_("Watch for vanished cars beside other receivers: hear everything, store no record."),
        ),
        click.option(
            "--metrics", metavar="[HOST:]PORT", help=_("Serve Prometheus metrics over HTTP; on 127.0.0.1 unless told.")
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def with_source(options: ReceiverOptions, given: dict[str, Any], client_id: str | None) -> ReceiverOptions:
    """The options with what ``source_options`` collected. ConfigError for what does not go together.

    One of several receivers does not watch for vanished cars: it hears a part of the fleet only.
    """
    from outrider.errors import ConfigError

    shared, servers, alone = given["shared"], given["nats"], given["watch_only"]
    if shared is not None and servers is not None:
        raise ConfigError("--shared divides the messages of an MQTT broker; with --nats receivers share them anyway")
    if alone and shared is not None:
        raise ConfigError("--watch-only hears everything: leave --shared away")
    if alone and options.deadman is None:
        raise ConfigError("--watch-only with --vanished-score 0 would do nothing")
    watching = alone or (shared is None and servers is None)
    return dataclasses.replace(
        options,
        broker=_broker(options.broker, shared, client_id, alone=alone),
        nats=None if servers is None else _nats(servers, given, alone=alone),
        deadman=options.deadman if watching else None,
        watch_only=alone,
    )


def _broker(broker: BrokerOptions, group: str | None, client_id: str | None, *, alone: bool) -> BrokerOptions:
    """A receiver of a group without an id of its own keeps no session: nobody would ever come back for it."""
    from outrider.errors import ConfigError

    if group is not None and (not group or set(group) & set("/+#")):
        raise ConfigError(f"--shared {group!r}: a name without / + #")
    own = f"outrider-{group or 'watch'}-{socket.gethostname()}-{os.getpid()}"
    if alone:
        return dataclasses.replace(broker, client_id=client_id or own, persistent=False, qos=0)
    if group is None:
        return dataclasses.replace(broker, client_id=client_id or broker.client_id)
    return dataclasses.replace(
        broker,
        client_id=client_id or own,
        shared=group,
        persistent=client_id is not None,
        session_expiry_s=_SHARED_EXPIRY_S,
    )


def _nats(servers: str, given: dict[str, Any], *, alone: bool) -> NatsOptions:
    from urllib.parse import urlsplit

    from outrider.cli.ingest import read_secret
    from outrider.errors import ConfigError
    from outrider.ingest.options import NatsOptions

    urls = tuple(server.strip() for server in servers.split(",") if server.strip())
    for url in urls or ("",):
        if urlsplit(url).scheme not in ("nats", "tls") or not urlsplit(url).hostname:
            raise ConfigError(f"--nats {url!r} is no address; write nats://HOST:PORT or tls://HOST:PORT")
    return NatsOptions(
        servers=urls,
        durable=given["nats_durable"],
        replicas=given["nats_replicas"],
        tls=given["tls"],
        ca_file=given["ca_file"],
        certificate_file=given["cert_file"],
        key_file=given["cert_key_file"],
        username=given["username"],
        password=read_secret(given["password_file"]),
        credentials_file=given["nats_credentials"],
        listen_only=alone,
    )


@contextmanager
def serving_metrics(address: str | None) -> Iterator[tuple[Meter, Callable[[Receiver], None]]]:
    """A meter for the receiver, and what begins to serve its numbers; nothing is served without an address."""
    from outrider.ingest.meter import NoMeter

    if address is None:
        yield NoMeter(), lambda _receiver: None
        return
    from outrider.ingest.metrics_io import PrometheusMeter, serve

    meter = PrometheusMeter()
    with ExitStack() as stack:

        def begin(receiver: Receiver) -> None:
            host, port, end = serve(meter, address, receiver.stats, receiver.state)
            stack.callback(end)
            note(_("metrics: http://{host}:{port}/metrics").format(host=host, port=port))

        yield meter, begin
