"""News of links: waiting ends at its time, when woken, and without netlink."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from outrider.link import watch_io
from outrider.link.watch_io import LinkWatch


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_waking_ends_a_wait_from_another_thread() -> None:
    """And is no news of a link; a wake before the wait counts as well."""
    before = descriptors()
    watch = LinkWatch()
    results: list[bool] = []
    waiter = threading.Thread(target=lambda: results.append(watch.wait(3600)))
    waiter.start()
    watch.wake()
    waiter.join(60)
    assert results == [False]
    watch.wake()
    watch.wake()
    assert watch.wait(3600) is False
    assert watch.wait(0.0) is False
    watch.close()
    assert descriptors() == before


def test_a_message_of_the_kernel_is_news(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, they are one piece of news."""
    kernel, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)

    class Netlink:
        def __init__(self) -> None:
            self.bind = lambda _address: None
            self.setblocking, self.fileno, self.recv, self.close = ours.setblocking, ours.fileno, ours.recv, ours.close

    with kernel:
        monkeypatch.setattr(watch_io.socket, "socket", lambda *_arguments: Netlink())
        watch = LinkWatch()
        assert watch.hears
        for _message in range(5):
            kernel.send(b"link")
        assert watch.wait(3600) is True
        assert watch.wait(0.0) is False
        watch.close()


def test_a_sandbox_without_netlink(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the time is left."""

    def refuse(*_arguments: object) -> None:
        raise OSError(97, "Address family not supported by protocol")

    monkeypatch.setattr(watch_io.socket, "socket", refuse)
    watch = LinkWatch()
    assert not watch.hears
    assert watch.wait(0.0) is False
    watch.wake()
    assert watch.wait(3600) is False
    watch.close()
