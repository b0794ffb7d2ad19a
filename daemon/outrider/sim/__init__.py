"""A simulated vehicle: drive model -> CAN frames, NMEA sentences, and the truth about them.

``generate(scenario, seed)`` is the one entry point. The names are imported on first use, so that looking up the bundled
profile data (``outrider.sim.data``) costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outrider.sim.can import SimFrame as SimFrame
    from outrider.sim.drive import Drive as Drive
    from outrider.sim.drive import generate as generate
    from outrider.sim.scenario import Scenario as Scenario
    from outrider.sim.scenario import parse_scenario as parse_scenario
    from outrider.sim.scenario_io import bundled_scenarios as bundled_scenarios
    from outrider.sim.scenario_io import load_scenario as load_scenario

_HOME = {
    "Drive": "drive",
    "generate": "drive",
    "Scenario": "scenario",
    "parse_scenario": "scenario",
    "bundled_scenarios": "scenario_io",
    "load_scenario": "scenario_io",
    "SimFrame": "can",
}

__all__ = ["Drive", "Scenario", "SimFrame", "bundled_scenarios", "generate", "load_scenario", "parse_scenario"]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
