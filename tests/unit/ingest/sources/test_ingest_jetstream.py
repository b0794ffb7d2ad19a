"""The NATS source where its library or the server does what nobody expects."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from outrider.errors import LinkError
from outrider.ingest.options import NatsOptions
from outrider.ingest.sources import jetstream_io
from outrider.ingest.sources.jetstream_io import JetStreamConnector


class Subscription:
    """Hands out one piece, then trips."""

    def __init__(self, *pieces: list[Any]) -> None:
        self._pieces = list(pieces)

    async def fetch(self, _count: int, timeout: float) -> list[Any]:
        del timeout
        if self._pieces:
            return self._pieces.pop(0)
        raise KeyError("a fault of the library")


class Message:
    """nak() of the first one fails."""

    def __init__(self, number: int, trips: bool = False) -> None:
        self.subject, self.data, self.reply = f"$MQTT.msgs.t.car-{number}.d", b"x", f"reply {number}"
        self.metadata = SimpleNamespace(num_pending=0)
        self._trips = trips

    async def nak(self) -> None:
        if self._trips:
            raise RuntimeError("a fault of the library")


class Connection:
    """Stands in for the client of nats-py."""

    is_connected = True

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self.closed = False

    async def connect(self, *_servers: Any, **_options: Any) -> None: ...

    def jetstream(self, **_options: Any) -> Connection:
        return self

    async def stream_info(self, _name: str) -> None: ...

    async def consumer_info(self, _stream: str, _name: str) -> None: ...

    async def pull_subscribe_bind(self, *_name: Any, **_options: Any) -> Subscription:
        return self._subscription

    async def flush(self, _timeout: float) -> None: ...

    async def close(self) -> None:
        self.closed = True


def test_a_fault_of_fetching_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was fetched is handed out, then the source says that it is gone, and another is made. (It stayed connected
    and was silent for ever.) One message that cannot be given back does not keep the connection open."""
    client = Connection(Subscription([Message(1, trips=True), Message(2)]))
    monkeypatch.setattr(jetstream_io, "Client", lambda: client)
    source = JetStreamConnector(NatsOptions()).connect(())
    assert [m.topic for m in source.poll(60)] == ["t/car-1/d", "t/car-2/d"]
    with pytest.raises(LinkError, match="KeyError"):
        source.poll(60)
    assert not source.is_answered()
    source._held = {"reply 2": source._held["reply 2"], "reply 1": source._held["reply 1"]}
    source.close()
    assert client.closed
