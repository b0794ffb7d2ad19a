"""Robustness: the crash windows and the calm drive once more, through worse sensors than they were recorded with.

Every variant changes the samples at the detector's input only: another mounting, lost samples, a wrong gain, noise,
another rate, no speed. Nothing is tuned on them; the bars say that the verdicts do not move.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.evaluation import loaders as ld
from tests.evaluation import rows
from tests.native import motion_harness as mh

Change = Callable[[mh.Samples, np.random.Generator], mh.Samples]


def _imu(samples: mh.Samples) -> npt.NDArray[np.bool_]:
    return np.asarray(samples["kind"] == mh.IMU)


def rotated(samples: mh.Samples, rng: np.random.Generator) -> mh.Samples:
    """Any mounting: a random rotation of both triads."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    q[:, 0] *= np.sign(np.linalg.det(q))
    out, pick = samples.copy(), _imu(samples)
    for first in (0, 3):
        out["x"][pick, first : first + 3] = samples["x"][pick, first : first + 3] @ q.T
    return out


def dropped(samples: mh.Samples, rng: np.random.Generator) -> mh.Samples:
    """One sample in twenty of the IMU is lost."""
    return samples[~(_imu(samples) & (rng.random(len(samples)) < 0.05))]


def scaled(gain: float) -> Change:
    """Gain error of the accelerometer."""

    def change(samples: mh.Samples, _rng: np.random.Generator) -> mh.Samples:
        out, pick = samples.copy(), _imu(samples)
        out["x"][pick, :3] *= gain
        return out

    return change


def noisy(sigma_g: float) -> Change:
    """White noise on each axis."""

    def change(samples: mh.Samples, rng: np.random.Generator) -> mh.Samples:
        out, pick = samples.copy(), _imu(samples)
        out["x"][pick, :3] += rng.normal(0, sigma_g * mh.G, (int(pick.sum()), 3))
        return out

    return change


def halved(samples: mh.Samples, _rng: np.random.Generator) -> mh.Samples:
    """Half the rate, each sample the mean of two, as a sensor with its own filter gives."""
    pick = _imu(samples)
    part = samples[pick]
    part = part[: len(part) // 2 * 2]
    out: mh.Samples = part[1::2].copy()
    out["x"] = (part["x"][::2] + part["x"][1::2]) / 2
    return mh.merge(out, samples[~pick])


def thinned(samples: mh.Samples, _rng: np.random.Generator) -> mh.Samples:
    """Half the rate, every second sample left out: a sensor without a filter."""
    pick = _imu(samples)
    return mh.merge(samples[pick][::2], samples[~pick])


def speechless(samples: mh.Samples, _rng: np.random.Generator) -> mh.Samples:
    """No speed of any kind."""
    out: mh.Samples = samples[_imu(samples)]
    return out


def jittered(samples: mh.Samples, rng: np.random.Generator) -> mh.Samples:
    """Time stamps off by 2 ms (one sigma), in order."""
    out, pick = samples.copy(), _imu(samples)
    late = rng.normal(0, 2000, len(samples)).astype(np.int64)
    out["t_us"][pick] = np.sort(out["t_us"][pick] + late[pick])
    return mh.merge(out)


VARIANTS: dict[str, Change] = {
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


def robust_a(repeats: int = 5, variants: dict[str, Change] = VARIANTS) -> dict[str, dict[str, Any]]:
    """Per variant: crash windows found, calm windows alarmed, out of ``repeats`` runs a window, and what moved."""
    out: dict[str, dict[str, Any]] = {}
    windows = ld.vzcrash()
    for name, change in variants.items():
        rng = np.random.default_rng(7)
        row: dict[str, Any] = {"crashes": 0, "found": 0, "confirmed": 0, "calm": 0, "false": 0, "wrong": set()}
        for window in windows:
            for _ in range(repeats):
                events = mh.Detector().push(change(window.samples, rng))
                alarmed, crash = len(rows.alarms(events)) > 0, window.label == "crash"
                row["crashes" if crash else "calm"] += 1
                row["found" if crash else "false"] += alarmed
                sure = (events["kind"] == mh.CRASH) & (events["phase"] == mh.CONFIRMED)
                row["confirmed"] += crash and bool(sure.any())
                if alarmed != crash:
                    row["wrong"].add(window.name)
        out[name] = row | {"wrong": sorted(row["wrong"])}
    return out


def robust_d() -> dict[str, dict[str, Any]]:
    """Crash alarms in the calm drive, per variant."""
    out: dict[str, dict[str, Any]] = {}
    variants: dict[str, Change] = {
        "gain 1.2 and noise 0.05 g": lambda s, r: noisy(0.05)(scaled(1.2)(s, r), r),
        "rotated, 5 % lost": lambda s, r: dropped(rotated(s, r), r),
        "no speed, jitter": lambda s, r: jittered(speechless(s, r), r),
    }
    for name, change in variants.items():
        rng, alarms = np.random.default_rng(8), 0
        for drive in ld.canedge():
            alarms += len(rows.alarms(mh.Detector().push(change(drive.samples(), rng))))
        out[name] = {"hours": round(sum(d.seconds for d in ld.canedge()) / 3600, 2), "alarms": alarms}
    return out
