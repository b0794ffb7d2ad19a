"""Names have a time: a resolver that hangs costs that and no more, and is not asked twice."""

from __future__ import annotations

import socket
import threading
from collections import Counter

import pytest

from outrider.errors import LinkError
from outrider.uplink.resolve_io import Addresses, Resolver

V4 = int(socket.AF_INET)


class Names:
    """A resolver of the test's making."""

    def __init__(self) -> None:
        self.calls = 0
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.answer: Addresses | Exception = [(V4, "192.0.2.1")]

    def __call__(self, _host: str) -> Addresses:
        self.calls += 1
        self.may_answer.wait(60)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def names() -> Names:
    return Names()


def test_an_address_is_no_name(names: Names) -> None:
    resolver = Resolver(Counter(), names)
    assert resolver.resolve("192.0.2.7", 1) == [(V4, "192.0.2.7")]
    assert resolver.resolve("2001:db8::7", 1) == [(int(socket.AF_INET6), "2001:db8::7")]
    assert names.calls == 0


def test_one_that_hangs_is_waited_for_and_not_asked_again(names: Names) -> None:
    counters: Counter[str] = Counter()
    resolver = Resolver(counters, names)
    names.may_answer.clear()
    for _ in range(3):
        with pytest.raises(LinkError, match="not resolved"):
            resolver.resolve("b.example", 0.01)
    assert names.calls == 1
    assert counters["dns_timeouts"] == 3
    names.may_answer.set()
    assert resolver.resolve("b.example", 60) == [(V4, "192.0.2.1")]
    assert names.calls == 1


def test_what_was_known_serves_while_there_is_no_answer(names: Names) -> None:
    """The resolver of the network is down; the broker is where it was."""
    counters: Counter[str] = Counter()
    resolver = Resolver(counters, names)
    assert resolver.resolve("b.example", 60)
    names.answer = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    assert resolver.resolve("b.example", 60) == [(V4, "192.0.2.1")]
    assert counters["dns_stale"] == 1
    with pytest.raises(LinkError, match=r"other\.example: Temporary failure"):
        resolver.resolve("other.example", 60)


def test_a_name_that_is_none_is_an_error_with_the_name() -> None:
    with pytest.raises(LinkError, match="a name"):
        Resolver(Counter()).resolve("a name" + "x" * 300 + ".", 60)
