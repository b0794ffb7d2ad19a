"""What the fleet has taught about silences that ended well: where they begin, how long they last, at which signal.

``CoverageMap`` counts, and answers with rates; clean cells are forgotten before holes. Two kinds of silence are apart:
those bound to a place (tunnels, dead zones) by cell of the grid, and those that come anywhere (cells that reload,
terminals that start again), told by where they happened: on ground that the fleet has passed often without a silence.
Pure.

    to_bytes:  "ORCM" 01, u32 length of JSON (the fleet's own record), JSON, then 16 bytes a cell: u64 name, u64 counts
    counts:    bits 0-19 passes, 20-33 silences, 34-45 the longest silence in units of 4 s
"""

from __future__ import annotations

import json
import math
import struct
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from outrider.errors import WireError
from outrider.ingest.watch.deadman_place import (
    Spot,
    ahead,
    block_of,
    cell_of,
    is_cell,
    region_of,
    sector_of,
    sectors_near,
)

# A silence is counted by its excess over the interval of the beacons, at each of these steps that it reached [s].
EXCESS_S: Final = (1.5, 3.0, 4.5, 6.0, 7.5, 9.0, 12.0, 15.0, 25.0, 40.0, 60.0, 120.0, 300.0, 900.0)
SILENT_S: Final = 3.0  # excess from which a silence is one: a beacon is missing

_PASS_MAX: Final = (1 << 20) - 1
_SILENCE_ONE, _SILENCE_MAX = 1 << 20, (1 << 14) - 1
_LONGEST_SHIFT, _LONGEST_UNIT_S, _LONGEST_MAX = 34, 4.0, (1 << 12) - 1
_MAGIC: Final = b"ORCM\x01"
_CELL: Final = struct.Struct("<QQ")

# Priors, each with the weight (in beacons) that the fleet's own record must outweigh.
_PLACE_RATE: Final = 0.01  # of an unknown place: share of beacons that a silence follows
_REGION_WEIGHT: Final = 200.0
_BLOCK_WEIGHT: Final = 20.0
_CELL_WEIGHT: Final = 5.0
_RANDOM_RATE, _RANDOM_WEIGHT = 1e-3, 30_000.0  # of EXCESS_S[0] anywhere; falls with the square of the excess
_BOUND_WEIGHT: Final = 20.0  # in silences
_CLEAN_PASSES, _CLEAN_SHARE, _CLEAN_AROUND = 40, 0.01, 0.002
_SIGNAL_WEIGHT: Final = 300.0
_SIGNAL_STEP_DB: Final = 4
_SIGNAL_RATIO: Final = ((-112, 10.0), (-105, 2.0), (-95, 0.3))  # below so many dBm: times as many silences
_STRONG_RATIO: Final = 0.1
_RATIO_RANGE: Final = (0.01, 30.0)


@dataclass(frozen=True, slots=True)
class PlaceRecord:
    """What is known of the next stretch. passes: beacons there that were followed in time (mean over its cells);
    silences that began there and ended well; longest_s of them; around_rate: share of silences around."""

    passes: float
    silences: int
    longest_s: float
    around_rate: float

    @property
    def rate(self) -> float:
        """Share of beacons here that a silence follows."""
        return (_CELL_WEIGHT * self.around_rate + self.silences) / (_CELL_WEIGHT + self.passes + self.silences)

    @property
    def is_clean(self) -> bool:
        """Passed often, with hardly a silence here or around: a silence here is bound to no place."""
        return _is_clean(self.passes, self.silences, self.around_rate)


class CoverageMap:
    """Counts by cell, by length of silence and by signal. Not thread-safe."""

    def __init__(self, max_cells: int = 500_000) -> None:
        self._max_cells = max(max_cells, 16)
        self._cells: dict[int, int] = {}
        self._random = [0] * len(EXCESS_S)
        self._random_beacons = 0
        self._bound = [0] * len(EXCESS_S)
        self._signal: dict[int, list[int]] = {}
        self._beacons = 0
        self._silences = 0

    def __len__(self) -> int:
        return len(self._cells)

    # ---- learning -----------------------------------------------------------------------------------

    def passed(self, spot: Spot, signal: int) -> None:
        """A beacon from here was followed by the next one in time. signal: see ``signal_class``."""
        cell = _own_cell(spot)
        counts = self._cells.get(cell, 0)
        for name in (cell, block_of(cell), region_of(cell)):
            self._add(name, 1, 0.0)
        if _is_clean(counts & _PASS_MAX, counts >> 20 & _SILENCE_MAX, self._around_rate(spot)):
            self._random_beacons += 1
        self._count_signal(signal, silent=False)

    def fell_silent(self, spot: Spot, signal: int, excess_s: float, reach_m: float) -> bool:
        """A silence that began here ended well. True: it came on clean ground, so it is bound to no place."""
        clean = self.place(spot, reach_m).is_clean
        if excess_s >= SILENT_S:
            cell = _own_cell(spot)
            for name in (cell, block_of(cell), region_of(cell)):
                self._add(name, _SILENCE_ONE, excess_s)
            self._count_signal(signal, silent=True)
        self._count_gap(excess_s, self._random if clean else self._bound)
        return clean

    def broke_off(self, excess_s: float) -> None:
        """A silence that says nothing of its place (the terminal started again) ended well."""
        self._count_gap(excess_s, self._random)

    def add_hole(self, spot: Spot, seconds: float, passes: int = 3) -> None:
        """A hole known from elsewhere (a tunnel on a map) that begins here in this heading and takes so long."""
        cell = _own_cell(spot)
        for _ in range(max(1, passes)):
            self._add(cell, _SILENCE_ONE, seconds)

    # ---- asking -------------------------------------------------------------------------------------

    def place(self, spot: Spot, reach_m: float) -> PlaceRecord:
        """What is known of the stretch that begins here, up to where the next beacon was due."""
        spots = {
            tuple(cell_of(*ahead(spot, metres), sector) for sector in sectors_near(spot.heading_deg))
            for metres in (0.0, reach_m / 2, reach_m)
        }
        passes = silences = longest = 0
        for cell in (cell for cells in spots for cell in cells):
            counts = self._cells.get(cell, 0)
            passes += counts & _PASS_MAX
            silences += counts >> 20 & _SILENCE_MAX
            longest = max(longest, counts >> _LONGEST_SHIFT)
        return PlaceRecord(passes / len(spots), silences, longest * _LONGEST_UNIT_S, self._around_rate(spot))

    def random_rate(self, excess_s: float) -> float:
        """Share of beacons on clean ground that are followed by a silence of at least so much excess."""
        step = max(0, bisect_right(EXCESS_S, excess_s) - 1)
        prior = _RANDOM_RATE * (EXCESS_S[0] / EXCESS_S[step]) ** 2
        rate: float = (_RANDOM_WEIGHT * prior + self._random[step]) / (_RANDOM_WEIGHT + self._random_beacons)
        return rate

    def bound_survival(self, excess_s: float) -> float:
        """Of silences bound to a place: the share that lasts at least so long."""
        step = max(0, bisect_right(EXCESS_S, excess_s) - 1)
        prior = math.pow(20.0 / (20.0 + EXCESS_S[step]), 0.7)
        return min(1.0, (_BOUND_WEIGHT * prior + self._bound[step]) / (_BOUND_WEIGHT + self._bound[1]))

    def signal_ratio(self, signal: int) -> float:
        """How much more often than on the whole a silence follows at such a signal."""
        whole = (_REGION_WEIGHT * _PLACE_RATE + self._silences) / (_REGION_WEIGHT + self._beacons)
        beacons, silences = self._signal.get(signal, (0, 0))
        rate = (_SIGNAL_WEIGHT * whole * _prior_ratio(signal) + silences) / (_SIGNAL_WEIGHT + beacons)
        return min(max(rate / whole, _RATIO_RANGE[0]), _RATIO_RANGE[1])

    def counters(self) -> dict[str, int]:
        return {"cells": len(self._cells), "beacons": self._beacons, "silences": self._silences}

    # ---- keeping ------------------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """Everything learnt; the layout is drawn above."""
        record = json.dumps(
            {
                "random": self._random,
                "random_beacons": self._random_beacons,
                "bound": self._bound,
                "signal": self._signal,
                "beacons": self._beacons,
                "silences": self._silences,
            },
            separators=(",", ":"),
        ).encode()
        cells = b"".join(_CELL.pack(cell, counts) for cell, counts in self._cells.items())
        return _MAGIC + struct.pack("<I", len(record)) + record + cells

    @classmethod
    def from_bytes(cls, blob: bytes, max_cells: int = 500_000) -> CoverageMap:
        """WireError for what ``to_bytes`` did not write."""
        made = cls(max_cells)
        try:
            if blob[:5] != _MAGIC:
                raise ValueError("no coverage map")
            (size,) = struct.unpack_from("<I", blob, 5)
            made._take(json.loads(blob[9 : 9 + size]), _CELL.iter_unpack(blob[9 + size :]))
        except (ValueError, struct.error, KeyError, TypeError) as err:
            raise WireError(f"the kept coverage map is not readable: {err}") from None
        return made

    # ---- leaves -------------------------------------------------------------------------------------

    def _take(self, record: dict[str, object], cells: Iterable[tuple[int, int]]) -> None:
        self._random, self._bound = _numbers(record["random"]), _numbers(record["bound"])
        if len(self._random) != len(EXCESS_S) or len(self._bound) != len(EXCESS_S):
            raise ValueError("other steps of silence")
        self._random_beacons, self._beacons, self._silences = _numbers(
            [record["random_beacons"], record["beacons"], record["silences"]]
        )
        signal = record["signal"]
        if not isinstance(signal, dict):
            raise TypeError("signal is no table")
        self._signal = {int(name): _numbers(pair) for name, pair in signal.items() if len(pair) == 2}
        for cell, counts in cells:
            if len(self._cells) < self._max_cells:
                self._cells[cell] = counts

    def _around_rate(self, spot: Spot) -> float:
        """Share of silences in the block, which leans on that in the region, which leans on the prior."""
        cell = _own_cell(spot)
        rate = _PLACE_RATE
        for name, weight in ((region_of(cell), _REGION_WEIGHT), (block_of(cell), _BLOCK_WEIGHT)):
            counts = self._cells.get(name, 0)
            passes, silences = counts & _PASS_MAX, counts >> 20 & _SILENCE_MAX
            rate = (weight * rate + silences) / (weight + passes + silences)
        return rate

    def _count_signal(self, signal: int, *, silent: bool) -> None:
        pair = self._signal.setdefault(signal, [0, 0])
        pair[0] += 1
        pair[1] += silent
        self._beacons += 1
        self._silences += silent

    def _count_gap(self, excess_s: float, steps: list[int]) -> None:
        for step, reached in enumerate(EXCESS_S):
            if excess_s < reached:
                break
            steps[step] += 1

    def _add(self, cell: int, one: int, seconds: float) -> None:
        counts = self._cells.get(cell)
        if counts is None:
            if len(self._cells) >= self._max_cells:
                self._forget()
            counts = 0
        passes, silences = counts & _PASS_MAX, counts >> 20 & _SILENCE_MAX
        longest = max(counts >> _LONGEST_SHIFT, min(_LONGEST_MAX, int(seconds / _LONGEST_UNIT_S + 0.5)))
        if passes >= _PASS_MAX or silences >= _SILENCE_MAX:  # both halved: the share stays, the newest counts more
            passes, silences = passes >> 1, silences >> 1
        self._cells[cell] = (longest << _LONGEST_SHIFT | silences << 20 | passes) + one

    def _forget(self) -> None:
        """Make room: the oldest eighth of cells that never saw a silence goes first, then the oldest of all."""
        wanted = max(1, len(self._cells) // 8)
        clean = [cell for cell, counts in self._cells.items() if not counts >> 20 and is_cell(cell)]
        for cell in clean[:wanted] or list(self._cells)[:wanted]:
            del self._cells[cell]


def _is_clean(passes: float, silences: int, around_rate: float) -> bool:
    return passes >= _CLEAN_PASSES and silences <= _CLEAN_SHARE * passes and around_rate <= _CLEAN_AROUND


def _own_cell(spot: Spot) -> int:
    return cell_of(spot.lat_deg, spot.lon_deg, sector_of(spot.heading_deg))


def signal_class(history: tuple[int | None, ...]) -> int:
    """The class of a car's newest signals, oldest first: steps of 4 dB, apart where it falls; 0 is unknown."""
    if not history or history[-1] is None:
        return 0
    newest = max(-140, min(-40, history[-1]))
    before = [value for value in history[:-1] if value is not None]
    falling = bool(before) and max(before) - newest >= 8
    return (newest // _SIGNAL_STEP_DB) - (1000 if falling else 0)


def is_falling(signal: int) -> bool:
    return signal <= -900


def _prior_ratio(signal: int) -> float:
    if signal == 0:
        return 1.0
    falling = is_falling(signal)
    dbm = (signal + (1000 if falling else 0)) * _SIGNAL_STEP_DB
    ratio = next((ratio for limit, ratio in _SIGNAL_RATIO if dbm < limit), _STRONG_RATIO)
    return ratio * (3.0 if falling else 1.0)


def _numbers(values: object) -> list[int]:
    if not isinstance(values, list) or not all(isinstance(v, int) and 0 <= v < 1 << 62 for v in values):
        raise ValueError("no list of counts")
    return list(values)
