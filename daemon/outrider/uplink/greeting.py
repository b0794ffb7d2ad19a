"""``Greeting``: the status document of one connection: will, birth and goodbye, of one session id."""

from __future__ import annotations

import dataclasses
import random

from outrider.uplink.pump import Outlet, Pump
from outrider.wire.birth import Birth, encode_birth
from outrider.wire.topics import Topics


class Greeting:
    """birth: as the house tells it now; its session_id is chosen here, new for each connection."""

    def __init__(self, birth: Birth, topics: Topics, pump: Pump) -> None:
        self._birth = dataclasses.replace(birth, session_id=random.SystemRandom().getrandbits(64))
        self._topics = topics
        self._pump = pump

    def will(self) -> tuple[str, bytes]:
        """Topic and payload that the broker publishes when the connection is lost."""
        return self._topics.status, encode_birth(dataclasses.replace(self._birth, online=False, table=None))

    def send(self, outlet: Outlet, now_us: int, *, online: bool) -> int | None:
        """Publish, retained; its message id, or None while the window is full."""
        return self._pump.send_status(outlet, self._document(online), now_us)

    def _document(self, online: bool) -> bytes:
        """Without the table where the broker takes no packet of that size: it comes as a record as well."""
        payload = encode_birth(dataclasses.replace(self._birth, online=online))
        if self._pump.fits(self._topics.status, payload):
            return payload
        return encode_birth(dataclasses.replace(self._birth, online=online, table=None))
