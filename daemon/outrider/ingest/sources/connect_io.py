"""Which source the options name: an MQTT broker, or a NATS server's stream."""

from __future__ import annotations

from outrider.ingest.options import ReceiverOptions
from outrider.ingest.sources.source import Connector


def connector_for(options: ReceiverOptions) -> Connector:
    """ConfigError for files that cannot be used."""
    if options.nats is not None:
        from outrider.ingest.sources.jetstream_io import JetStreamConnector

        return JetStreamConnector(options.nats)
    from outrider.ingest.sources.subscriber_io import MqttConnector

    return MqttConnector(options.broker)
