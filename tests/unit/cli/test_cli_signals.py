"""How a daemon hears that it is to end."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from outrider.cli.common import stop_on_signals

NUMBERS = (signal.SIGTERM, signal.SIGINT)


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = [signal.getsignal(number) for number in NUMBERS]
    yield
    for number, handler in zip(NUMBERS, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("first", NUMBERS)
def test_a_second_signal_does_not_hang_the_first(first: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C of a terminal and SIGTERM of who supervises come within a millisecond: the second finds the event being
    set, its lock held, and would wait for itself."""
    plain, woken = threading.Event.set, []

    def interrupted(event: threading.Event) -> None:
        with event._cond:  # type: ignore[attr-defined]  # the lock that ``set`` holds when the second one comes
            for number in NUMBERS:
                os.kill(os.getpid(), number)
        plain(event)

    monkeypatch.setattr(threading.Event, "set", interrupted)
    stop = stop_on_signals(lambda: woken.append(1))
    os.kill(os.getpid(), first)
    assert stop.is_set()
    assert woken == [1]
