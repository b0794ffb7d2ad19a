"""Names have a time: a resolver that hangs costs that and no more, and is not asked twice."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable

import pytest

from outrider.errors import LinkError
from outrider.uplink.dial_io import Dial
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


def test_a_name_service_that_hangs_leaves_time_for_what_was_known() -> None:
    """The connection as a whole is broken off at its time: an earlier answer at that moment would come too late."""

    class Asked(Resolver):
        def resolve(self, host: str, timeout_s: float, _is_given_up: Callable[[], bool] = lambda: False) -> Addresses:
            asked.append(timeout_s)
            return [(V4, host)]

    asked: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        dial = Dial(Asked(Counter()), None, 60.0)
        dial.open("127.0.0.1", server.getsockname()[1]).close()
        handle = dial.release()
        assert handle is not None
        handle.close()
    assert asked[0] <= 30.0


def test_waiting_for_a_name_can_be_broken_off(names: Names) -> None:
    """A terminal that is switched off does not wait for a name service that hangs."""
    names.may_answer.clear()
    dial, said = Dial(Resolver(Counter(), names), None, 3600.0), []

    def look() -> None:
        with pytest.raises(LinkError, match="broken off"):
            dial.open("b.example", 1)
        said.append("broken off")

    thread = threading.Thread(target=look)
    thread.start()
    dial.abort()
    thread.join(60)
    names.may_answer.set()
    assert said
