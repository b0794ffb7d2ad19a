"""hil/rig/punctual.py: which parts of a drive a busy machine has spoiled."""

from __future__ import annotations

import pytest

from hil.rig.punctual import late_spans

TENTHS = [n * 100_000 for n in range(100)]
ZERO = 7_000_000


def heard(late_us: dict[int, int]) -> list[int]:
    """When each frame of ``TENTHS`` was heard."""
    return [ZERO + due + late_us.get(n, 1_000) for n, due in enumerate(TENTHS)]


def test_what_is_late_is_told() -> None:
    """From when it was due to when it came; neighbours are one span; what is nearly in time is none."""
    assert late_spans([(TENTHS, heard({}))], ZERO) == []
    assert late_spans([(TENTHS, heard({5: 29_000}))], ZERO) == []
    assert late_spans([(TENTHS, heard({5: 300_000}))], ZERO) == [(0.5, 0.8)]
    assert late_spans([(TENTHS, heard({5: 400_000, 6: 300_000, 7: 260_000, 50: 300_000}))], ZERO) == [
        (0.5, 0.96),
        (5.0, 5.3),
    ]


def test_buses_are_told_together() -> None:
    """Each is compared with itself, the spans are of the drive."""
    assert late_spans([(TENTHS, heard({50: 300_000})), (TENTHS, heard({5: 300_000}))], ZERO) == [(0.5, 0.8), (5.0, 5.3)]


def test_a_missing_frame_is_no_lateness() -> None:
    """Something else is wrong then."""
    with pytest.raises(ValueError, match="shorter"):
        late_spans([(TENTHS, heard({})[:-1])], ZERO)
