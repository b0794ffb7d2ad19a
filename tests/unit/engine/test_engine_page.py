"""The black-box page: what stands in its last 20 s when sensors disagree or say nonsense."""

from __future__ import annotations

import math

import pytest

from outrider.engine import Engine, Moment, parse_black_box
from outrider.model.fix import ImuSample
from outrider.model.frame import FrameBatch
from outrider.model.vehicle import BitField, MessageDef, Role, SignalDef, Slot, VehicleTables

S = 1_000_000
ROLES = (Role.ACC_X, Role.ACC_Y, Role.ACC_Z)
CAR = VehicleTables(
    "car",
    (
        MessageDef(
            "IMU",
            0x100,
            False,
            8,
            tuple(SignalDef(role.name, i, BitField(i * 16, 16), factor=0.01) for i, role in enumerate(ROLES)),
        ),
    ),
    tuple(Slot(role.name, role=role) for role in ROLES),
)


def page_of(own: list[ImuSample], on_can: list[int]) -> tuple[Moment, ...]:
    """own: of the terminal's sensor; on_can: times of a frame that says 5, 5, 5 m/s2."""
    frames = FrameBatch()
    for t_us in on_can:
        frames.append(t_us, 0x100, b"".join((500).to_bytes(2, "little") for _ in ROLES) + b"\x00\x00")
    with Engine(CAR) as engine:
        engine.offer_imu(own)
        engine.offer_frames(frames)
        engine.run(3 * S)
        return parse_black_box(engine.black_box_page()).moments


def test_of_two_sensors_the_page_tells_of_one() -> None:
    """No mean over two sensors that hang otherwise; when the one falls silent, the other is told."""
    own = [ImuSample(S + i * 10_000, (1.0, 2.0, 9.0)) for i in range(100)]
    told = [moment.acc for moment in page_of(own, [S + 5_000 + i * 10_000 for i in range(200)])]
    assert told[:9] == [pytest.approx((1.0, 2.0, 9.0))] * 9
    assert told[-5:] == [pytest.approx((5.0, 5.0, 5.0))] * 5


def test_what_is_no_number_or_not_valid_is_not_told() -> None:
    """Neither counts into the mean, and alone they are unknown, not the end of a range."""
    for bad in (
        ImuSample(S + 5_000, (1.0, math.nan, 9.0)),
        ImuSample(S + 5_000, (1.0, 2.0, math.inf)),
        ImuSample(S + 5_000, (99.0, 99.0, 99.0), valid=False),
    ):
        assert {moment.acc for moment in page_of([bad], [])} == {None}
        good = ImuSample(S + 6_000, (1.0, 2.0, 9.0))
        assert page_of([bad, good], [])[0].acc == pytest.approx((1.0, 2.0, 9.0))
