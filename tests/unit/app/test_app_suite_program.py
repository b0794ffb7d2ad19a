"""Another release as a program: what it prints is checked, and what is not right is the drive's error in one line."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from outrider.app.suite import DriveTask, run_task
from outrider.suite.observed import Observed

EVENT: dict[str, Any] = {
    "type": "event",
    "seq": 1,
    "kind": "crash",
    "phase": "confirmed",
    "level": 2,
    "flags": ["dv_lower_bound"],
    "t0_us": 5_000_000,
    "t_detect_us": 5_050_000,
    "clock": 12,
    "conf": 0.9,
    "peak_g": 12,
}
TRIP = {"type": "trip", "t_end_us": 60_000_000}
SUMMARY: dict[str, Any] = {
    "type": "summary",
    "seconds": 60.0,
    "distance_m": 900,
    "engine": {"frames": 7},
    "sources": {"a.log": {"items": 7, "malformed": 2}},
}


def seen(tmp_path: Path, *lines: object, code: int = 0) -> Observed:
    """What is made of a program that prints these lines (bytes as they are) and ends."""
    said = tmp_path / "said"
    said.write_bytes(b"".join((x if isinstance(x, bytes) else json.dumps(x).encode()) + b"\n" for x in lines))
    program = tmp_path / "other"
    program.write_text(f"#!/bin/sh\ncat {shlex.quote(str(said))}\necho why >&2\nexit {code}\n", encoding="utf-8")
    program.chmod(0o755)
    log = tmp_path / "a.log"
    log.write_bytes(b"")
    task = DriveTask("d", (log,), None, 1, 0.0, ("simcar",), (), (), "replay", 1, program=(str(program),))
    return run_task(task)


def without(document: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != name}


def test_what_another_release_says(tmp_path: Path) -> None:
    """Events, trips, distance, frames and doubts are taken; fields and lines that are new are passed over."""
    found = seen(tmp_path, {"type": "news"}, EVENT | {"more": [1]}, TRIP, SUMMARY)
    assert (found.error, found.duration_s, found.distance_m, found.trips, found.frames) == (None, 60.0, 900.0, 1, 7)
    (crash,) = found.findings
    assert (crash.kind, crash.t_s, crash.reported_s, crash.delta_v_at_least) == ("crash", 5.0, 5.05, True)
    assert found.notes == ("a.log: not all of it could be used: malformed 2",)
    assert seen(tmp_path, without(without(SUMMARY, "engine"), "sources")).error is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"Traceback (most recent call last):", "no JSON Lines: line 2"),
        (b"[1]", "no JSON Lines"),
        (b'{"type": "event", "conf": NaN}', "no JSON Lines"),
        (b'{"type": "\xff"}', "no JSON Lines"),
        (b'{"type": "\\ud800"}', "no JSON Lines"),
        (b"[" * 100_000, "no JSON Lines"),
        (b"{" + b" " * (1 << 20) + b"}", "no JSON Lines"),
        (b"", "no JSON Lines"),
        (without(SUMMARY, "seconds"), "`seconds`"),
        (without(SUMMARY, "distance_m"), "`distance_m`"),
        (SUMMARY | {"seconds": None}, "$.seconds"),
        (SUMMARY | {"seconds": 1e300}, "duration_s"),
        (SUMMARY | {"distance_m": "far"}, "$.distance_m"),
        (SUMMARY | {"engine": []}, "$.engine"),
        (SUMMARY | {"engine": {"frames": "many"}}, "$.engine.frames"),
        (SUMMARY | {"engine": {"frames": 10**400}}, "frames"),
        (SUMMARY | {"sources": [1]}, "$.sources"),
        (SUMMARY | {"sources": {"a": 1}}, "$.sources"),
        ({"type": "trip", "t_end_us": "late"}, "$.t_end_us"),
        ({"type": "trip", "t_end_us": None}, "$.t_end_us"),
        (EVENT | {"t0_us": 10**30}, "t0_us"),
        (EVENT | {"t_detect_us": 10**18}, "$.t_detect_us"),
        (EVENT | {"seq": []}, "$.seq"),
        (EVENT | {"kind": {}}, "$.kind"),
        (EVENT | {"kind": "x" * 1000}, "findings[0].kind"),
        (EVENT | {"flags": 3}, "$.flags"),
        (EVENT | {"level": 10**6}, "findings[0].level"),
        (EVENT | {"clock": "noon"}, "$.clock"),
        (EVENT | {"conf": "sure"}, "$.conf"),
        (EVENT | {"dv_kmh": 1e300}, "findings[0].delta_v_kmh"),
        (EVENT | {"dur_ms": 1e300}, "findings[0].duration_s"),
        (EVENT | {"lat_deg": "N"}, "$.lat_deg"),
        *((without(EVENT, name), f"`{name}`") for name in ("seq", "kind", "phase", "flags", "t0_us", "conf")),
    ],
)
def test_what_is_not_right_is_the_drives_error(tmp_path: Path, line: object, words: str) -> None:
    """One line naming the program, exit code 65; never a bug of ours."""
    last = [] if isinstance(line, dict) and line["type"] == "summary" else [SUMMARY]
    found = seen(tmp_path, TRIP, line, *last)
    assert found.error is not None
    assert found.error_code == 65
    assert found.error.startswith(f"{tmp_path / 'other'}: prints ")
    assert words in found.error
    assert "\n" not in found.error


def test_a_program_that_ends_early(tmp_path: Path) -> None:
    """Without a summary it was cut short; with an exit code its last word is told."""
    assert "no summary" in str(seen(tmp_path, EVENT).error)
    assert "no summary" in str(seen(tmp_path).error)
    failed = seen(tmp_path, EVENT, code=3)
    assert (failed.error_code, "ended with 3: why" in str(failed.error)) == (69, True)
