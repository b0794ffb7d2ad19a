"""The vendored functions keep their documented error bounds, and the windows do not care about the rate."""

from __future__ import annotations

import ctypes
import math

import numpy as np
import pytest

from tests.native import motion_harness as mh
from tests.native.test_motion_crash import aligned


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    lib = ctypes.CDLL(str(mh.build("-shared", "-fPIC", out="libmath.so")))
    for name, args in (("exp", 1), ("tan", 1), ("cos", 1), ("wrap_pi", 1), ("atan2", 2)):
        function = getattr(lib, f"otr_mo_{name}")
        function.restype, function.argtypes = ctypes.c_double, [ctypes.c_double] * args
    return lib


def test_exp(library: ctypes.CDLL) -> None:
    """Relative error below 1e-9 for |x| <= 30; clamped beyond, defined for NaN and infinity."""
    for x in np.linspace(-30, 30, 20011):
        assert library.otr_mo_exp(x) == pytest.approx(math.exp(x), rel=1e-9)
    assert library.otr_mo_exp(1e300) == library.otr_mo_exp(30)
    assert library.otr_mo_exp(-math.inf) == library.otr_mo_exp(-30) == library.otr_mo_exp(math.nan)


def test_atan2(library: ctypes.CDLL) -> None:
    """Absolute error below 2e-9 all around, at any length, with the axes and the origin."""
    for angle in np.linspace(-math.pi, math.pi, 20011):
        for length in (1e-6, 1.0, 1e6):
            y, x = length * math.sin(angle), length * math.cos(angle)
            assert library.otr_mo_atan2(y, x) == pytest.approx(math.atan2(y, x), abs=2e-9)
    for y, x in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        assert library.otr_mo_atan2(y, x) == pytest.approx(math.atan2(y, x), abs=1e-15)
    assert library.otr_mo_atan2(0, 0) == 0


def test_tan_and_cos(library: ctypes.CDLL) -> None:
    """tan to 1e-9 relative for |x| <= 1.2, cos to 1e-9 absolute for |x| <= pi: what filter coefficients need."""
    for x in np.linspace(-1.2, 1.2, 5001):
        assert library.otr_mo_tan(x) == pytest.approx(math.tan(x), rel=1e-9, abs=1e-12)
    for x in np.linspace(-math.pi, math.pi, 5001):
        assert library.otr_mo_cos(x) == pytest.approx(math.cos(x), abs=1e-9)


def test_wrap(library: ctypes.CDLL) -> None:
    """Any angle lands in (-pi, pi] and stays the same angle."""
    for x in np.linspace(-99, 99, 4001):
        y = library.otr_mo_wrap_pi(x)
        assert -math.pi < y <= math.pi + 1e-12
        assert math.cos(x - y) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("rate", [50, 63, 101, 200, 416, 833, 1600])
def test_delta_v_is_the_same_at_any_rate(rate: float) -> None:
    """The same 24 km/h pulse of 120 ms, sampled as a sensor does: delta-V to 1 %, T0 to 15 ms, trigger in 80."""
    t = np.arange(int(15 * rate)) / rate
    edges = np.concatenate([t - 0.5 / rate, [t[-1] + 0.5 / rate]])
    share = np.clip((edges - 12) / 0.12, 0, 1)
    v = -24 / 3.6 * (share - np.sin(2 * math.pi * share) / (2 * math.pi))
    acc = np.stack([np.diff(v) * rate, 0 * t, np.full_like(t, mh.G)], axis=1)
    events = aligned().push(mh.imu(t, acc))
    update = events[events["phase"] == mh.UPDATE][0]
    assert update["dv_kmh"] == pytest.approx(24, rel=0.01)
    assert abs(update["t0_us"] / 1e6 - 12.027) < 0.015
    assert events["t_detect_us"][0] / 1e6 - 12 < 0.08
    assert bool(update["flags"] & mh.CFC60) is (rate >= 600)


def test_dropped_and_jittered_samples_keep_delta_v() -> None:
    """A tenth of the samples missing and stamps that jitter by 3 ms change delta-V by less than 5 %."""
    rng = np.random.default_rng(5)
    sizes = []
    for _ in range(20):
        t = np.arange(1500) / 100 + rng.uniform(-0.0015, 0.0015, 1500)
        share = np.clip((t - 12) / 0.12, 0, 1)
        acc = np.stack([-24 / 3.6 / 0.12 * (1 - np.cos(2 * math.pi * share)), 0 * t, np.full_like(t, mh.G)], axis=1)
        keep = rng.random(1500) > 0.1
        events = aligned().push(mh.imu(t[keep], acc[keep]))
        sizes.append(float(events[events["phase"] == mh.UPDATE]["dv_kmh"][0]))
    assert np.percentile(np.abs(np.array(sizes) / 24 - 1), 90) < 0.05, sizes
