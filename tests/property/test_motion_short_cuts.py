"""What the detector does not look at because it cannot matter: with and without these short cuts, the same bits."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.native import motion_harness as mh

LOOKS_AT_ALL = "-DOTR_MO_SHORT_CUTS=0"


def driving(rng: np.random.Generator, seconds: float, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Times and specific force: sway, noise up to that of a very bad road, pulses, sometimes a box that turns."""
    n = int(seconds * rate)
    t = np.arange(n) / rate + rng.normal(0, rng.choice([0, 0.05, 0.3]) / rate, n)
    acc = rng.normal(0, rng.choice([0.05, 0.5, 2, 6]), (n, 3)) + np.array([0, 0, mh.G])
    acc[:, 0] += rng.choice([0, 2, 5]) * np.sin(t / 3)
    acc[:, 1] += rng.choice([0, 3]) * np.sin(t / 1.3)
    for _ in range(rng.integers(0, 6)):
        at, width = rng.uniform(0, seconds), rng.uniform(0.01, 0.4)
        acc[(t > at) & (t < at + width)] += rng.normal(0, rng.choice([5, 30, 100]), 3)
    if rng.random() < 0.3:
        acc[t > rng.uniform(0, seconds)] @= np.linalg.qr(rng.normal(size=(3, 3)))[0]
    return t, acc


def stream(rng: np.random.Generator) -> mh.Samples:
    """A drive of half a minute, sometimes with a second sensor in between, losses, jumps of time and broken numbers."""
    rate = float(rng.choice([25, 50, 100, 400, 1600]))
    t, acc = driving(rng, 10 if rate > 400 else 30, rate)
    gyro = None if rng.random() < 0.2 else rng.normal(0, rng.choice([0.001, 0.05, 0.3]), acc.shape)
    speed = np.arange(0, 30, 0.1)
    parts = [
        mh.imu(t, acc, gyro),
        mh.scalar(mh.SPEED, speed, np.maximum(0, 15 + 8 * np.sin(speed)), mh.CAN, res=0.01),
        mh.ticks(0, 30, None if rng.random() < 0.3 else rng.uniform(0, 40)),
    ]
    if rng.random() < 0.25:
        parts.append(mh.imu(t + rng.normal(0, 0.5 / rate), acc[:, [1, 2, 0]], src=mh.IMU_CAN))
    every = mh.merge(*parts)
    if rng.random() < 0.3:
        every["x"][rng.random(len(every)) < 0.02, rng.integers(0, 6)] = rng.choice([np.nan, np.inf, -1e5, 0])
    if rng.random() < 0.3:
        every = every[rng.random(len(every)) > 0.05]
    if rng.random() < 0.2:
        every["t_us"][int(len(every) * rng.random()) :] += int(rng.choice([300_000, 2_000_000, 2**31]))
    return every


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), dv150=st.floats(1, 30), dv300=st.floats(1, 40), harsh=st.floats(0.05, 0.6))
def test_no_bit_of_an_event_depends_on_a_short_cut(seed: int, dv150: float, dv300: float, harsh: float) -> None:
    """Events, counters and the mounting are those of a detector that looks at every window of every sample."""
    rng = np.random.default_rng(seed)
    config = {"dv150_kmh": dv150, "dv300_kmh": dv300, "brake_g": harsh, "lane_g": harsh, "imu_range_g": 8}
    quick, thorough = mh.Detector(**config), mh.Detector(LOOKS_AT_ALL, **config)
    up, forward = [0, 0, 1], [1, 0, 0]
    if rng.random() < 0.5:
        assert quick.set_mount(up, forward, 0.9) == thorough.set_mount(up, forward, 0.9) == 0
    for part in np.array_split(stream(rng), 3):
        assert quick.push(part).tobytes() == thorough.push(part).tobytes()
        assert quick.stats() == thorough.stats()
        assert bytes(quick.ffi.buffer(quick.mount())) == bytes(thorough.ffi.buffer(thorough.mount()))
