"""The way to the enrolment server: as to the broker, through the proxy of ``[uplink]`` where there is one."""

from __future__ import annotations

import socket
from collections import Counter
from pathlib import Path
from typing import Final

from outrider.app.options import uplink_proxy
from outrider.config import Config
from outrider.trust.client_io import EstClient
from outrider.uplink.dial_io import Dial
from outrider.uplink.options import Proxy
from outrider.uplink.resolve_io import Resolver

CONNECT_S: Final = 15.0


def est_client(config: Config, base: Path, url: str) -> EstClient:
    """ConfigError for a proxy that is none."""
    proxy = None if config.uplink is None else uplink_proxy(config.uplink, base)
    return EstClient(url, connect=Way(proxy))


class Way:
    """Opens a connection to a host and port. OSError or LinkError with the reason."""

    def __init__(self, proxy: Proxy | None) -> None:
        self._proxy = proxy
        self._resolver = Resolver(Counter())

    def __call__(self, host: str, port: int) -> socket.socket:
        dial = Dial(self._resolver, self._proxy, CONNECT_S)
        try:
            return dial.open(host, port)
        finally:
            handle = dial.release()  # of its own, to break a connection with; here the client's time does that
            if handle is not None:
                handle.close()
