"""``DialScout``: whether a broker can be reached, found out on a thread of its own by a TCP connection."""

from __future__ import annotations

import threading

from outrider.errors import LinkError
from outrider.uplink.brokers import Broker
from outrider.uplink.dial_io import Dial
from outrider.uplink.options import UplinkOptions
from outrider.uplink.resolve_io import Resolver


class DialScout:
    """One look at a time; its own resolver, since the sender's serves one caller."""

    def __init__(self, options: UplinkOptions, resolver: Resolver) -> None:
        self._options = options
        self._resolver = resolver
        self._thread: threading.Thread | None = None
        self._found: Broker | None = None

    def start(self, broker: Broker) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._look, args=(broker,), name="uplink-scout", daemon=True)
            self._thread.start()

    def found(self) -> Broker | None:
        found, self._found = self._found, None
        return found

    def _look(self, broker: Broker) -> None:
        dial = Dial(self._resolver, self._options.proxy, self._options.connect_timeout_s)
        try:
            dial.open(broker.host, broker.port).close()
        except (OSError, LinkError):
            return  # the next look comes later
        finally:
            handle = dial.release()
            if handle is not None:
                handle.close()
        self._found = broker
