"""Are many cars silent at once? Then a cell, a network or a broker is down, and no car lost. Reckoned once a tick."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection
from functools import cached_property

from outrider.ingest.watch.deadman_car import Car
from outrider.ingest.watch.deadman_options import DeadManOptions


class Crowd:
    """All cars at one moment. Walked through once, however many are then asked about."""

    def __init__(self, options: DeadManOptions, cars: Collection[Car], now: float) -> None:
        self._options = options
        self._cars = cars
        self._now = now

    def is_common(self, car: Car) -> bool:
        """So many others fell silent within ``common_window_s`` of this one that it is no matter of its own."""
        armed, late = self._silent
        window = self._options.common_window_s
        near = bisect_right(late, car.heard_s + window) - bisect_left(late, car.heard_s - window)
        others = near - self._is_late(car)
        return others >= self._options.common_count and others >= self._options.common_share * (armed - car.armed)

    @cached_property
    def _silent(self) -> tuple[int, list[float]]:
        """How many are expected to speak, and since when those who are late did not, in order."""
        armed = [car for car in self._cars if car.armed]
        return len(armed), sorted(car.heard_s for car in armed if self._is_late(car))

    def _is_late(self, car: Car) -> bool:
        return car.armed and self._now - car.heard_s > car.interval_s + self._options.delay_s
