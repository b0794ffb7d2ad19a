"""What `outrider status` says of the uplink: a person sees at once whether it gets on, and if not, why."""

from __future__ import annotations

from typing import Any

import pytest

from outrider.cli.uplink_view import age_text, uplink_lines, why_text
from outrider.uplink.stall import Why


def document(**changes: Any) -> dict[str, Any]:
    lanes = dict.fromkeys(("emergency", "ledger", "event", "telemetry", "bulk"), 0)
    return {
        "connected": True, "broker": "b.example:8883", "protocol": "5.0", "last_ack_age_s": 12.4, "backlog": lanes,
        "oldest_age_s": {}, "stalled": None, "paused": None, "last_error": None,
        "counters": {"connects": 1, "acks": 9, "acks_forged": 0},
    } | changes  # fmt: skip


def test_all_is_well() -> None:
    """Connected, the last acknowledgement, nothing waits; counters of normal work are not repeated."""
    assert uplink_lines(document()) == [
        ("uplink", "connected to b.example:8883 (MQTT 5.0), last acknowledgement: 12 s"),
        ("backlog", "nothing waits"),
    ]


def test_a_stall_says_what_waits_since_when_and_why() -> None:
    lines = dict(
        uplink_lines(
            document(
                connected=False,
                last_ack_age_s=None,
                backlog={"event": 3, "telemetry": 86_400},
                oldest_age_s={"event": 90.0, "telemetry": 90_000.0},
                stalled="no_acks",
                paused="roaming",
                last_error="broker refused: Not authorized",
                counters={"acks_forged": 2, "connects": 5},
            )
        )
    )
    assert lines["uplink"] == "not connected, next: b.example:8883, last acknowledgement: never"
    assert lines["backlog"] == "event 3 (oldest 90 s), telemetry 86400 (oldest 25 h)"
    assert "keys" in lines["STALLED"]
    assert "roaming" in lines["paused"]
    assert lines["last error"] == "broker refused: Not authorized"
    assert lines["counted"] == "acks_forged 2"


@pytest.mark.parametrize("why", list(Why))
def test_every_reason_is_explained(why: Why) -> None:
    assert why_text(why.value) != why.value


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (600, "10 min"), (10_800, "3 h"), (864_000, "10 days")])
def test_ages_are_told_as_people_do(seconds: float, text: str) -> None:
    assert age_text(seconds) == text
