"""The core of the detector, slow and plain: windows by summing anew, gravity, trigger, T0, pulse, harsh episodes.

Written from the rules (docs/reference/events.md), not from the C: whole arrays where that keeps running state, a fresh
sum where that keeps running sums. It covers an IMU stream without gaps below 600 Hz, up to the end of the first pulse;
harsh episodes for a known mounting and an even rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

G = 9.80665
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Crash:
    t_trigger: float
    t0: float
    dv_kmh: float  # of the whole pulse
    rule: int
    margin: float  # relative distance of the nearest earlier miss to its threshold: small means a tie


@dataclass(frozen=True)
class Episode:
    kind: int
    begin: float
    end: float
    peak_g: float


def gravity(t: Array, acc: Array, start: Array, age: float, tau: float = 20.0) -> Array:
    """The gravity in force at each sample: a mean that starts from ``start`` with a weight of ``age`` seconds."""
    g, out = start.copy(), np.empty_like(acc)
    unit = unit_s = 1.0  # the sensor's own g, squared, and the weight of what is known of it
    for i, a in enumerate(acc):
        dt = t[i] - t[i - 1] if i else 0.0
        n2 = float(a @ a) / G**2
        unit_s = min(unit_s + dt, tau)
        unit = min(max(unit + dt / unit_s * (min(max(n2, 0.5), 2.0) - unit), 0.6), 1.6)
        if i and 0.7 * unit < n2 < 1.3 * unit:
            age += dt
            g = g + dt / min(max(age, 1.0), tau) * (a - g)
        out[i] = g
    return out


class Track:
    """x = a - g over time, and differences of its integral over any two times."""

    def __init__(self, t: Array, acc: Array, g: Array) -> None:
        self.t, self.acc, self.g = t, acc, g
        self.x = acc - g

    def up(self, i: int) -> Array:
        return np.asarray(self.g[i] / np.linalg.norm(self.g[i]))

    def frozen(self, i: int) -> Track:
        """The same with the gravity of sample ``i`` from there on."""
        return Track(self.t, self.acc, np.concatenate([self.g[: i + 1], np.tile(self.g[i], (len(self.t) - i - 1, 1))]))

    def velocity(self, at: float) -> Array:
        """Sum over all samples up to ``at``, by the trapezoid rule, from the very beginning."""
        n = int(np.searchsorted(self.t, at, side="right"))
        total = np.zeros(3)
        if n > 1:
            total = ((self.x[1:n] + self.x[: n - 1]) / 2 * np.diff(self.t[:n])[:, None]).sum(axis=0)
        if 0 < n < len(self.t):
            total = total + (at - self.t[n - 1]) * (self.x[n - 1] + self.x[n]) / 2
        return np.asarray(total)

    def dv(self, begin: float, end: float, up: Array, before: Array | None = None) -> float:
        d = self.velocity(end) - self.velocity(max(begin, float(self.t[0])))
        if before is not None:
            d = d - before * (end - begin)
        return float(np.linalg.norm(d - d @ up * up)) * 3.6


def first_crash(t: Array, acc: Array, start: Array, *, t150: float = 6.5, t300: float = 10.0) -> Crash | None:
    """The first trigger of a stream whose gravity was known before (weight of one second), with T0 and delta-V."""
    track = Track(t, acc, gravity(t, acc, start, 1.0))
    margin, unit = math.inf, units(t, acc)
    for i in range(8, len(t)):
        up = track.up(i)
        own = unit[i] ** 0.5 if unit[i] < 1 else 1.0  # a sensor that reads short measures pushes short
        short, long = (track.dv(t[i] - w, t[i], up) / own for w in (0.15, 0.3))
        if short < t150 and long < t300:
            margin = min(margin, 1 - max(short / t150, long / t300))
            continue
        rules = [rule for rule, close in candidates(track, i, short / t150, long / t300, own) if rule]
        margin = min(margin, *(c for _, c in candidates(track, i, short / t150, long / t300, own)))
        if rules:
            return describe(track, i, rules[0], margin)
    return None


def candidates(track: Track, i: int, short: float, long: float, own: float) -> list[tuple[int, float]]:
    """(rule or 0, distance to the nearest threshold) of both windows, given as multiples of their thresholds."""
    now, up = float(track.t[i]), track.up(i)
    still = track.frozen(i)
    steps = [k * 0.01 for k in range(26)]
    top = [still.dv(now - s - 0.05, now - s, up) for s in steps]
    calm = before(still, now, up)
    net = [still.dv(now - w, now, up, calm) / 0.75 for w in (0.15, 0.3)]
    first = min(short, max(top[:11]) / (2.4 * own), net[0] / (6.5 * own))
    second = min(long, max(long / 1.35, max(top) / (3.0 * own)), net[1] / (10 * own))
    return [(1 if first >= 1 else 0, abs(first - 1)), (2 if second >= 1 else 0, abs(second - 1))]


def units(t: Array, acc: Array) -> list[float]:
    """The sensor's own g, squared, at each sample."""
    unit = unit_s = 1.0
    out = []
    for k in range(len(t)):
        dt = float(t[k] - t[k - 1]) if k else 0.0
        unit_s = min(unit_s + dt, 20.0)
        n2 = float(acc[k] @ acc[k]) / G**2
        unit = min(max(unit + dt / unit_s * (min(max(n2, 0.5), 2.0) - unit), 0.6), 1.6)
        out.append(unit)
    return out


def before(track: Track, now: float, up: Array) -> Array:
    """The steady push from 640 to 340 ms ago, if tyres can give it and both halves agree."""
    begin, end = max(now - 0.64, float(track.t[0])), now - 0.34
    if end - begin < 0.15:
        return np.zeros(3)
    middle = begin + (end - begin) / 2
    a, m, b = (track.velocity(s) for s in (begin, middle, end))
    mean, half = (b - a) / (end - begin), 2 * (m - a) / (end - begin)
    sizes = [float(np.linalg.norm(v - v @ up * up)) for v in (mean, half - mean)]
    return mean if sizes[0] <= 1.2 * G and sizes[1] <= 0.15 * G else np.zeros(3)


def describe(track: Track, i: int, rule: int, margin: float) -> Crash:
    """T0 by GB 39732 (0.8 km/h in 20 ms on top of what was before, pauses of 40 ms), delta-V to T0 + 300 ms."""
    now, up, still = float(track.t[i]), track.up(i), track.frozen(i)
    steps = [now - k * 1e-3 for k in range(301) if now - k * 1e-3 - 0.02 >= track.t[0]]
    calm = before(still, now, up)
    sizes = [still.dv(s - 0.02, s, up, calm) for s in steps]
    t0 = walk(steps, sizes, 0.8, 0.04)
    if t0 is None:
        t0, base = now - 0.28, now - 0.3
    else:
        least = max(max(sizes) / 3, 0.3)
        begin = steps.index(t0)
        earlier = walk(steps[begin:], sizes[begin:], least, 0.1) if least < 0.8 else None
        base = (t0 if earlier is None else earlier) - 0.02
    ends = np.arange(base + 1e-3, min(t0 + 0.3, float(track.t[-1])) + 1e-7, 1e-3)
    return Crash(now, t0, max(still.dv(base, e, up, calm) for e in ends), rule, margin)


def walk(steps: list[float], sizes: list[float], least: float, pause: float) -> float | None:
    found: float | None = None
    for s, size in zip(steps, sizes, strict=True):
        if found is not None and found - s > pause + 1e-9:
            break
        if size >= least:
            found = s
    return found


# ---- harsh driving ----------------------------------------------------------------------------------------------


def lowpass(x: Array, rate: float, corner: float = 2.0) -> Array:
    """Butterworth of second order by the bilinear transform, direct form I, from rest."""
    w = math.tan(math.pi * corner / rate)
    d = 1 + math.sqrt(2) * w + w * w
    b0, a1, a2 = w * w / d, 2 * (w * w - 1) / d, (1 - math.sqrt(2) * w + w * w) / d
    y = np.zeros_like(x)
    for n in range(len(x)):
        x1, x2, y1, y2 = (s[n - k] if n >= k else 0.0 for s, k in ((x, 1), (x, 2), (y, 1), (y, 2)))
        y[n] = b0 * (x[n] + 2 * x1 + x2) - a1 * y1 - a2 * y2
    return y


def brisk(t: Array, value: Array, limit: float) -> Array:
    """From where on an acceleration counts, at each sample: 0.8 of the limit for half a second after it grew by 0.15 g
    within half a second, looked at between 0.8 of the limit and the limit itself."""
    bucket = np.floor(np.round(t * 1e6) / 100_000).astype(int)
    means = {int(no): float(value[bucket == no].mean()) for no in np.unique(bucket)}
    enter, last = np.full(len(t), limit), -math.inf
    for i, v in enumerate(value):
        if not 0.8 * limit <= v < limit:
            continue
        before = means.get(int(bucket[i]) - 5)
        if before is not None and v - before >= 0.15:
            last = float(t[i])
        if t[i] - last <= 0.5 + 1e-9:
            enter[i] = 0.8 * limit
    return enter


def episodes(t: Array, value: Array, kind: int, limit: float, enter: Array | None = None) -> list[Episode]:
    """Spells that enter at the limit (or at ``enter``) and last 0.4 s at least, ended under 0.8 of the limit, merged
    over pauses up to a second."""
    out: list[Episode] = []
    i, n = 0, len(t)
    over = value >= (np.full(n, limit) if enter is None else enter)
    while i < n:
        if not over[i]:
            i += 1
            continue
        j = i
        while j < n and over[j]:
            j += 1
        if t[j - 1] - t[i] < 0.4 - 1e-6:
            i = j
            continue
        end, peak, k = spell_end(t, value, over, limit, i)
        if end is None:
            break  # still running at the end of the stream
        out.append(Episode(kind, float(t[i]), end, peak))
        i = k
    return out


def spell_end(
    t: Array, value: Array, over: npt.NDArray[np.bool_], limit: float, i: int
) -> tuple[float | None, float, int]:
    """Where the spell that begins at ``i`` is over, its peak while over, and where to look on."""
    k, peak = i, 0.0
    while True:
        while k < len(t) and value[k] >= 0.8 * limit:
            peak = max(peak, float(value[k]))
            k += 1
        if k == len(t):
            return None, peak, k
        low = k
        while k < len(t) and t[k] - t[low] <= 1.0 + 1e-6 and not over[k]:
            k += 1
        if k == len(t):
            return None, peak, k
        if not over[k] or t[k] - t[low] > 1.0 + 1e-6:
            return float(t[low]), peak, k + 1
