"""How much is on the way: budgets that are never passed, and a share that follows what the link can carry."""

from __future__ import annotations

from collections import deque

import pytest

from outrider.uplink.options import SendOptions
from outrider.uplink.window import SendWindow

S = 1_000_000
WHOLE = 32_768 - 8_192


def drain(bytes_per_s: float, latency_s: float, seconds: int, size: int = 2000) -> tuple[SendWindow, float, float]:
    """Messages through a link of that rate; (window, longest wait behind them in the second half, bytes a second)."""
    window = SendWindow(SendOptions())
    window.open(65535)
    now, free, passed, longest = 0.0, 0.0, 0, 0.0
    on_way: deque[tuple[float, int]] = deque()
    while now < seconds:
        while (token := window.take(size, False, round(now * 1e6))) is not None:
            free = max(now, free) + size / bytes_per_s
            on_way.append((free + 2 * latency_s, token))
            if now > seconds / 2:
                longest = max(longest, free - now)
        now, token = on_way.popleft()
        window.release(token, round(now * 1e6))
        passed += size
    return window, longest, passed / now


@pytest.mark.parametrize("kbit", [32, 64, 128, 256])
@pytest.mark.parametrize("latency_s", [0.02, 0.6])
def test_on_a_thin_link_little_waits_and_the_link_is_used(kbit: int, latency_s: float) -> None:
    """An emergency finds three messages or a second in front of it at most, whatever the latency (24 KiB would be 6 s
    at 32 kbit/s); the backlog still gets the link, as far as seven messages on the way can fill it."""
    _window, longest, rate = drain(kbit * 125, latency_s, 300)
    assert longest <= max(1.0, 3 * 2000 / (kbit * 125))
    most = min(kbit * 125, 7 * 2000 / (2 * latency_s + 2000 / (kbit * 125)))
    assert rate > 0.5 * most


def test_on_a_wide_link_all_that_may_be_is_on_the_way() -> None:
    window, _longest, _rate = drain(1e6, 0.05, 60)
    assert window.share == WHOLE


def test_a_share_is_never_less_than_two_segments() -> None:
    """However bad: sending goes on."""
    window = SendWindow(SendOptions())
    window.open(65535)
    for delay in (0.1, *[20.0] * 50):
        token = window.take(1000, False, 0)
        assert token is not None
        window.release(token, round(delay * S))
    assert window.share == 3000


def test_the_share_is_not_the_emergencies() -> None:
    window = SendWindow(SendOptions())
    window.open(65535)
    for delay in (0.1, *[20.0] * 50):
        token = window.take(1000, False, 0)
        assert token is not None
        window.release(token, round(delay * S))
    assert window.take(3000, False, 0) is not None
    assert window.take(100, False, 0) is None
    assert window.take(8192, True, 0) is not None
