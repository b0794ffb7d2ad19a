"""Worse sensors than those the recordings were made with: changes of samples at the detector's input. Pure, seeded.

``WORSE`` are sensors as they are sold: the verdict should not move. ``BROKEN`` are faults: they may cost an event, but
must never make one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from outrider.evaluate import samples as sm
from outrider.evaluate.samples import Samples, is_imu, merge

Change = Callable[[Samples, np.random.Generator], Samples]


def rotation(rng: np.random.Generator) -> sm.Array:
    """A random rotation (Haar measure: QR of normal numbers, sign set right)."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    q[:, 0] *= np.sign(np.linalg.det(q))
    return np.asarray(q)


def turned(samples: Samples, matrix: sm.Array) -> Samples:
    """Both triads of the IMU turned by a rotation matrix."""
    out, pick = samples.copy(), is_imu(samples)
    for first in (0, 3):
        out["x"][pick, first : first + 3] = samples["x"][pick, first : first + 3] @ matrix.T
    return out


def rotated(samples: Samples, rng: np.random.Generator) -> Samples:
    """Any mounting."""
    return turned(samples, rotation(rng))


def dropped(samples: Samples, rng: np.random.Generator) -> Samples:
    """One sample in twenty of the IMU is lost."""
    return samples[~(is_imu(samples) & (rng.random(len(samples)) < 0.05))]


def scaled(gain: float) -> Change:
    """Gain error of the accelerometer."""

    def change(samples: Samples, _rng: np.random.Generator) -> Samples:
        out, pick = samples.copy(), is_imu(samples)
        out["x"][pick, :3] *= gain
        return out

    return change


def noisy(sigma_g: float) -> Change:
    """White noise on each axis."""

    def change(samples: Samples, rng: np.random.Generator) -> Samples:
        out, pick = samples.copy(), is_imu(samples)
        out["x"][pick, :3] += rng.normal(0, sigma_g * sm.G, (int(pick.sum()), 3))
        return out

    return change


def halved(samples: Samples, _rng: np.random.Generator) -> Samples:
    """Half the rate, each sample the mean of two, as a sensor with its own filter gives."""
    pick = is_imu(samples)
    part = samples[pick]
    part = part[: len(part) // 2 * 2]
    out: Samples = part[1::2].copy()
    out["x"] = (part["x"][::2] + part["x"][1::2]) / 2
    return merge(out, samples[~pick])


def thinned(samples: Samples, _rng: np.random.Generator) -> Samples:
    """Half the rate, every second sample left out: a sensor without a filter."""
    pick = is_imu(samples)
    return merge(samples[pick][::2], samples[~pick])


def speechless(samples: Samples, _rng: np.random.Generator) -> Samples:
    """No speed of any kind."""
    return np.asarray(samples[is_imu(samples)])


def jittered(samples: Samples, rng: np.random.Generator) -> Samples:
    """Time stamps off by 2 ms (one sigma), in order."""
    out, pick = samples.copy(), is_imu(samples)
    late = rng.normal(0, 2000, len(samples)).astype(np.int64)
    out["t_us"][pick] = np.sort(out["t_us"][pick] + late[pick])
    return merge(out)


def both(first: Change, second: Change) -> Change:
    return lambda samples, rng: second(first(samples, rng), rng)


WORSE: Final[Mapping[str, Change]] = {
    "as recorded": lambda samples, _rng: samples,
    "rotated": rotated,
    "5 % lost": dropped,
    "gain 0.9": scaled(0.9),
    "gain 1.1": scaled(1.1),
    "noise 0.05 g": noisy(0.05),
    "half the rate, filtered": halved,
    "half the rate, thinned": thinned,
    "no speed": speechless,
    "jitter 2 ms": jittered,
}
WORSE_DRIVES: Final[Mapping[str, Change]] = {
    "gain 1.2 and noise 0.05 g": both(scaled(1.2), noisy(0.05)),
    "rotated, 5 % lost": both(rotated, dropped),
    "no speed, jitter": both(speechless, jittered),
}


# -- faults --------------------------------------------------------------------------------------------------------


def _some(samples: Samples, rng: np.random.Generator, one_in: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.asarray(is_imu(samples) & (rng.random(len(samples)) * one_in < 1))


def not_numbers(samples: Samples, rng: np.random.Generator) -> Samples:
    """One IMU sample in a hundred holds NaN or infinity on one axis."""
    out = samples.copy()
    hit = np.flatnonzero(_some(samples, rng, 100))
    out["x"][hit, rng.integers(0, 6, len(hit))] = rng.choice([np.nan, np.inf, -np.inf], len(hit))
    return out


def invalid_peaks(samples: Samples, rng: np.random.Generator) -> Samples:
    """One IMU sample in fifty is flagged as invalid and reads 11 g, as the CANmod's own default does."""
    out, hit = samples.copy(), _some(samples, rng, 50)
    out["q"][hit] = 0
    out["x"][hit, :3] = -6.5 * sm.G
    return out


def time_back(samples: Samples, rng: np.random.Generator) -> Samples:
    """One IMU sample in fifty bears a time up to 0.2 s too early; the order of arrival stays."""
    out, hit = samples.copy(), _some(samples, rng, 50)
    out["t_us"][hit] -= rng.integers(1_000, 200_000, int(hit.sum()))
    return out


def gaps(samples: Samples, rng: np.random.Generator) -> Samples:
    """Twice a minute the IMU is silent for 0.1 to 1.5 s."""
    pick, t = is_imu(samples), samples["t_us"]
    lost = np.zeros(len(samples), dtype=bool)
    count = max(1, int((t[-1] - t[0]) / 30e6))
    for begin in rng.integers(int(t[0]), int(t[-1]), count):
        lost |= pick & (t >= begin) & (t < begin + int(rng.integers(100_000, 1_500_000)))
    return np.asarray(samples[~lost])


def doubled_speed(samples: Samples, _rng: np.random.Generator) -> Samples:
    """Every OBD speed comes again 10 ms later, 1 km/h lower, as two control units answer."""
    again = samples[(samples["kind"] == sm.SPEED) & (samples["src"] == sm.OBD)].copy()
    again["t_us"] += 10_000
    again["x"][:, 0] = np.maximum(again["x"][:, 0] - 1 / 3.6, 0)
    return merge(samples, again)


def first_fixes(samples: Samples, rng: np.random.Generator) -> Samples:
    """Each minute GNSS is lost for 10 s; the first fix after it says 0 m/s, the next the true speed."""
    out = samples.copy()
    fix = np.flatnonzero(out["kind"] == sm.GNSS)
    keep = np.ones(len(out), dtype=bool)
    if not len(fix):
        return out
    t = out["t_us"][fix]
    for begin in np.arange(int(t[0]) + int(rng.integers(5_000_000, 60_000_000)), int(t[-1]), 60_000_000):
        keep[fix[(t >= begin) & (t < begin + 10_000_000)]] = False
        back = fix[t >= begin + 10_000_000][:1]
        out["x"][back, 0] = 0
        out["res"][back] = (out["res"][back].astype(int) | sm.FIX_FIRST).astype(np.float32)
    return np.asarray(out[keep])


def stuck(samples: Samples, rng: np.random.Generator) -> Samples:
    """From a random time on one axis of the accelerometer repeats its last value."""
    out = samples.copy()
    rows = np.flatnonzero(is_imu(samples))
    begin = int(rng.integers(len(rows) // 4, len(rows)))
    axis = int(rng.integers(3))
    out["x"][rows[begin:], axis] = out["x"][rows[begin], axis]
    return out


def full_scale(samples: Samples, rng: np.random.Generator) -> Samples:
    """From a random time on one axis of the accelerometer reads the end of its range, 2 g to 6.5 g."""
    out = samples.copy()
    rows = np.flatnonzero(is_imu(samples))
    begin = int(rng.integers(len(rows) // 4, len(rows)))
    out["x"][rows[begin:], int(rng.integers(3))] = float(rng.choice([-6.5, -2.0, 2.0, 6.5])) * sm.G
    return out


def other_rate(samples: Samples, rng: np.random.Generator) -> Samples:
    """From a random time on the IMU comes at half its rate, a minute later at the full rate again."""
    t = samples["t_us"]
    begin = int(rng.integers(int(t[0]), int(t[-1])))
    slow = is_imu(samples) & (t >= begin) & (t < begin + 60_000_000)
    lost = np.flatnonzero(slow)[::2]
    keep = np.ones(len(samples), dtype=bool)
    keep[lost] = False
    return np.asarray(samples[keep])


def stopping(samples: Samples, rng: np.random.Generator) -> Samples:
    """The IMU stops for good at a random time."""
    t = samples["t_us"]
    end = int(rng.integers(int(t[0]), int(t[-1])))
    return np.asarray(samples[~(is_imu(samples) & (t > end))])


def remounted(samples: Samples, rng: np.random.Generator) -> Samples:
    """At a random time the device is turned to another mounting within one sample (axes swapped)."""
    t = samples["t_us"]
    after = t > int(rng.integers(int(t[0]), int(t[-1])))
    return merge(samples[~after], rotated(samples[after], rng))


def _after(samples: Samples, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Rows of the IMU from a random time on, the first quarter left sound."""
    rows = np.flatnonzero(is_imu(samples))
    return rows[int(rng.integers(len(rows) // 4, len(rows))) :]


def new_zero(samples: Samples, rng: np.random.Generator) -> Samples:
    """From a random time on one axis reads 1 to 4 g more, with all its noise."""
    out = samples.copy()
    step = float(rng.uniform(1, 4) * rng.choice([-1, 1])) * sm.G
    out["x"][_after(samples, rng), int(rng.integers(3))] += step
    return out


def flipped_sign(samples: Samples, rng: np.random.Generator) -> Samples:
    """From a random time on one axis has the wrong sign."""
    out = samples.copy()
    out["x"][_after(samples, rng), int(rng.integers(3))] *= -1
    return out


def frozen(samples: Samples, rng: np.random.Generator) -> Samples:
    """From a random time on the sensor repeats its last reading."""
    out = samples.copy()
    rows = _after(samples, rng)
    out["x"][rows] = out["x"][rows[0]]
    return out


def zeros(samples: Samples, rng: np.random.Generator) -> Samples:
    """Ten times a drive all axes read 0 for 10 to 500 ms."""
    out = samples.copy()
    for _ in range(10):
        rows = _after(samples, rng)
        out["x"][rows[: int(rng.integers(1, 50))], :3] = 0
    return out


def garbage(samples: Samples, rng: np.random.Generator) -> Samples:
    """Ten times a drive one to three numbers in a row are an end of the range, on one axis or on all."""
    out = samples.copy()
    for _ in range(10):
        rows = _after(samples, rng)[: int(rng.integers(1, 4))]
        axes = slice(0, 3) if rng.random() < 0.5 else int(rng.integers(3))
        out["x"][rows, axes] = float(rng.choice([-1, 1])) * 6.5 * sm.G
    return out


def twice(samples: Samples, rng: np.random.Generator) -> Samples:
    """One IMU sample in ten comes twice, with the same time."""
    return merge(samples, samples[_some(samples, rng, 10)])


BROKEN: Final[Mapping[str, Change]] = {
    "not a number, 1 in 100": not_numbers,
    "invalid frames of 11 g, 1 in 50": invalid_peaks,
    "time goes back, 1 in 50": time_back,
    "gaps of 0.1 to 1.5 s": gaps,
    "OBD speed twice, 10 ms apart": doubled_speed,
    "GNSS first fixes at 0 m/s": first_fixes,
    "one axis stuck": stuck,
    "one axis at the end of its range": full_scale,
    "rate halves for a minute": other_rate,
    "IMU stops": stopping,
    "mounting turned within a sample": remounted,
    "one axis with a new zero": new_zero,
    "one axis with the wrong sign": flipped_sign,
    "frozen": frozen,
    "zeros for up to 0.5 s": zeros,
    "full scale for one to three samples": garbage,
    "one IMU sample in ten twice": twice,
}
