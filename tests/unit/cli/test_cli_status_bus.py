"""How ``outrider status`` tells of a bus."""

from __future__ import annotations

from typing import Any

from outrider.cli.status import bus_line

BUS: dict[str, Any] = {
    "name": "can0", "condition": "listening", "reason": "frames arrive", "action": "", "link": None,
    "load_percent": None, "lost": {"controller": 1, "socket": 2, "queue": 3}, "held": 0,
}  # fmt: skip


def test_what_is_known_is_told() -> None:
    """Condition and reason, rate and mode, load, the three places of loss apart."""
    link = {"bitrate": 500_000, "mode": "listen-only"}
    line = bus_line({**BUS, "link": link, "load_percent": 41.5, "held": 7})
    assert line == (
        "can0 listening: frames arrive, 500000 bit/s listen-only, load 41.5 %, "
        "lost: controller 1, socket 2, queue 3, held 7"
    )


def test_what_is_unknown_is_left_out_and_the_action_is_told() -> None:
    """A bus without a link; a failure says what to do."""
    assert bus_line(BUS) == "can0 listening: frames arrive, lost: controller 1, socket 2, queue 3"
    assert "(set it up)" in bus_line({**BUS, "condition": "down", "reason": "down", "action": "set it up"})
