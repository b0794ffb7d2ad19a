"""Suites and what was seen of their drives, made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from outrider.suite.load_io import parse_suite
from outrider.suite.model import Drive, Suite
from outrider.suite.observed import Finding, Observed, Point

HEAD = '[suite]\nname = "Fleet"\nprofiles = ["simcar"]\n'


def suite_of(text: str) -> Suite:
    """A suite from its drives' TOML."""
    return parse_suite(HEAD + text, Path("fleet.suite.toml"))


def drive_of(text: str = "", name: str = "d") -> Drive:
    """One drive; ``text`` follows its name."""
    (drive,) = suite_of(f'[[drive]]\nname = "{name}"\nscenario = "short"\n{text}').drive
    return drive


def finding(kind: str = "crash", t_s: float = 100.0, **more: Any) -> Finding:
    """An event with every field known; ``more`` changes some."""
    alarm = not kind.startswith(("harsh", "lane", "wheel_spin"))
    values: dict[str, Any] = {
        "outcome": "confirmed" if alarm else "ended",
        "reported_s": t_s + 0.05 if alarm else None,
        "level": 2,
        "confidence": 0.9,
        "delta_v_kmh": 30.0,
        "peak_g": 12.0 if alarm else 0.5,
        "duration_s": 0.1 if alarm else 2.0,
        "clock": 12 if alarm else None,
        "speed_before_kmh": 60.0,
        "speed_after_kmh": 0.0,
    }
    return Finding(kind=kind, t_s=t_s, **(values | more))


def observed(*findings: Finding, name: str = "d", **more: Any) -> Observed:
    """A drive of ten minutes and five kilometres."""
    values: dict[str, Any] = {"duration_s": 600.0, "distance_m": 5000.0, "trips": 1, "inputs": "ab" * 32}
    values["trace"] = tuple(Point(float(t), 50.0, 0.01, None) for t in range(1, 600, 10))
    ordered = tuple(sorted(findings, key=lambda f: f.t_s))
    return Observed(name=name, findings=ordered, **(values | more))
