"""Numbers on their way into C: what a C float or an int64 cannot hold is refused and counted, not thrown."""

from __future__ import annotations

from outrider.engine import Engine
from outrider.model.fix import Fix, FixType, ImuSample, PowerSample
from outrider.model.vehicle import VehicleTables

S = 1_000_000


def test_numbers_beyond_c_are_counted_drops() -> None:
    """An acceleration or speed of 1e300 (a recording can say so) is a number beyond any sensor."""
    with Engine(VehicleTables("none", (), ())) as engine:
        assert engine.offer_imu(
            [ImuSample(S, (1e300, 0.0, 9.8)), ImuSample(S + 1, (0.0, 0.0, 9.8), (0.0, -1e300, 0.0))]
        )
        assert engine.offer_fix(Fix(S, FixType.FIX_3D, lat_deg=50.0, lon_deg=8.0, speed_mps=1e300, hacc_m=1e300))
        assert engine.offer_power(PowerSample(S, None, 1e300))
        engine.run(2 * S)
        stats = engine.stats()
    assert (stats.imu, stats.fixes, stats.power) == (2, 1, 1)
    assert stats.motion.nan == 2, "the acceleration and the speed; a rate that is none is a sample without rates"


def test_times_beyond_c_are_refused() -> None:
    """Both ends."""
    with Engine(VehicleTables("none", (), ())) as engine:
        assert engine.offer_imu([ImuSample(2**63, (0.0, 0.0, 9.8)), ImuSample(-(2**70), (0.0, 0.0, 9.8))]) == 2
        assert engine.offer_fix(Fix(2**64, FixType.NONE, utc_us=2**64))
        engine.run(S)
        assert engine.stats().refused == 3
