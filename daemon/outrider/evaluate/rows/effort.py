"""How much of the random work a run does; the same effort and recordings give the same numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Effort:
    """seed: of every random choice. injections: pulses injected for each sensor range. repeats: of each worse sensor
    and window. cuts: places for each kind of cut in each log. pictures: at most so many hits drawn for each row. full:
    the long simulation of row J and every variant of row K, minutes instead of seconds."""

    seed: int = 1
    injections: int = 400
    repeats: int = 5
    cuts: int = 6
    pictures: int = 200
    full: bool = False

    def random(self, *place: int) -> np.random.Generator:
        """A generator of its own for each place in the work, so that no part depends on how much another drew."""
        return np.random.default_rng([self.seed, *place])
