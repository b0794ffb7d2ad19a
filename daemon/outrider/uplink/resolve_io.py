"""``Resolver``: names to addresses within a time. ``getaddrinfo`` knows none and can not be interrupted.

Each name is asked on a thread of its own, at most one at a time for a name: one that hangs is waited for again next
time instead of being asked twice. What was last known serves while a resolver gives no answer.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from outrider.errors import LinkError

_KNOWN_MAX: Final = 16
_LOOK_S: Final = 0.2  # so often who waits looks whether it is still to
Addresses = list[tuple[int, str]]  # (family, address), the system's order


def system_lookup(host: str) -> Addresses:
    """What the system's resolver says. OSError otherwise."""
    found: dict[tuple[int, str], None] = {}
    for family, _type, _proto, _name, address in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM):
        if family in (socket.AF_INET, socket.AF_INET6):
            found[int(family), str(address[0])] = None
    return list(found)


class _Question:
    def __init__(self, lookup: Callable[[str], Addresses], host: str) -> None:
        self.answered = threading.Event()
        self.addresses: Addresses = []
        self.error: Exception | None = None
        self._lookup = lookup
        self._host = host
        threading.Thread(target=self._ask, name="uplink-resolve", daemon=True).start()

    def wait(self, timeout_s: float, is_given_up: Callable[[], bool]) -> bool:
        """True: there is an answer."""
        deadline = time.monotonic() + timeout_s
        while not self.answered.wait(min(_LOOK_S, max(0.0, deadline - time.monotonic()))):
            if is_given_up() or time.monotonic() >= deadline:
                return False
        return True

    def _ask(self) -> None:
        try:
            self.addresses = self._lookup(self._host)
        except (OSError, UnicodeError) as err:  # UnicodeError: no name at all
            self.error = err
        finally:
            self.answered.set()


class Resolver:
    """counters: ``dns_timeouts``, ``dns_stale`` (an earlier answer was used). One caller at a time."""

    def __init__(self, counters: Counter[str], lookup: Callable[[str], Addresses] = system_lookup) -> None:
        self._counters = counters
        self._lookup = lookup
        self._asked: dict[str, _Question] = {}
        self._known: dict[str, Addresses] = {}

    def resolve(self, host: str, timeout_s: float, is_given_up: Callable[[], bool] = lambda: False) -> Addresses:
        """At least one address. LinkError when there is none within the time. is_given_up: asked while waiting."""
        literal = _literal(host)
        if literal is not None:
            return [literal]
        question = self._asked.pop(host, None) or _Question(self._lookup, host)
        if not question.wait(timeout_s, is_given_up):
            self._asked[host] = question
            self._counters["dns_timeouts"] += 1
            if is_given_up():
                raise LinkError(f"{host}: name not resolved when the attempt was broken off")
            return self._earlier(host, f"name not resolved within {timeout_s:g} s")
        if question.error is not None or not question.addresses:
            reason: Any = getattr(question.error, "strerror", None) or question.error or "no address"
            return self._earlier(host, str(reason))
        self._known.pop(host, None)
        self._known[host] = question.addresses
        while len(self._known) > _KNOWN_MAX:
            del self._known[next(iter(self._known))]
        return question.addresses

    def _earlier(self, host: str, reason: str) -> Addresses:
        known = self._known.get(host)
        if known is None:
            raise LinkError(f"{host}: {reason}")
        self._counters["dns_stale"] += 1
        return known


def _literal(host: str) -> tuple[int, str] | None:
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return None
    return int(socket.AF_INET if version == 4 else socket.AF_INET6), host
