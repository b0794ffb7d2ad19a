"""Body of a CRASH record: ``CrashState`` <-> protobuf. Bounded: names, thresholds, pulse and covers have limits.

Numbers from the engine are 32-bit floats and stored as such. A stage or a part of the evidence that a newer version
added does not make the state unreadable: such a stage keeps its number, such a cover is passed over.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Final

from outrider.errors import WireError
from outrider.model.crash import Cover, CrashStage, CrashState, MountState, SlotName
from outrider.model.evidence import EvidencePart
from outrider.wire import outrider_pb2 as pb

MAX_PULSE: Final = 256  # points of the curve
_PLAIN: Final = (
    *("event_seq", "stage", "t0_us", "t_trigger_us", "software", "algorithm", "profile_id", "tables_hash"),
    *("imu_range_g", "imu_src", "vehicle_class", "holdup_ms"),
)


def state_message(state: CrashState) -> pb.CrashState:
    """The message; WireError for a number out of range, or one that is none (NaN, infinite)."""
    _check_numbers(state)
    try:
        message = pb.CrashState(**{name: getattr(state, name) for name in _PLAIN})
        if state.imu_rate_hz is not None:
            message.imu_rate_hz = state.imu_rate_hz
        for name, value in state.thresholds:
            message.thresholds.add(name=name, value=value)
        if state.mount is not None:
            mount = state.mount
            message.mount.CopyFrom(pb.MountState(up=mount.up, forward=mount.forward, rho=mount.rho, age_s=mount.age_s))
        message.pulse_long_kmh.extend(state.pulse_long_kmh)
        message.pulse_lat_kmh.extend(state.pulse_lat_kmh)
        for slot in state.slots:
            message.slots.add(slot=slot.slot, path=slot.path, unit=slot.unit)
        for cover in state.covers:
            message.covers.add(part=cover.part, first_us=cover.first_us, last_us=cover.last_us, bytes=cover.bytes)
    except (ValueError, TypeError) as err:
        raise WireError(f"CrashState: {err}") from None
    return message


def _check_numbers(state: CrashState) -> None:
    """WireError: unknown is None or an empty curve, never NaN; the curve has two components of one length."""
    numbers = [state.imu_range_g, state.imu_rate_hz or 0.0, *state.pulse_long_kmh, *state.pulse_lat_kmh]
    numbers += [value for _name, value in state.thresholds]
    if state.mount is not None:
        numbers += [*state.mount.up, *state.mount.forward, state.mount.rho, state.mount.age_s]
    if not all(math.isfinite(number) for number in numbers):
        raise WireError("CrashState: a number in it is none; unknown is None")
    if len(state.pulse_long_kmh) != len(state.pulse_lat_kmh) or len(state.pulse_long_kmh) > MAX_PULSE:
        raise WireError(f"CrashState: a pulse has two components of one length, at most {MAX_PULSE} points")


def state_from_message(message: pb.CrashState) -> CrashState:
    """The state in a message; WireError when a vector has not three components, or the pulse is none."""
    state = CrashState(
        event_seq=message.event_seq,
        stage=_stage(message.stage),
        t0_us=message.t0_us,
        t_trigger_us=message.t_trigger_us,
        software=message.software,
        algorithm=message.algorithm,
        profile_id=message.profile_id,
        tables_hash=message.tables_hash,
        thresholds=tuple((each.name, each.value) for each in message.thresholds),
        imu_range_g=message.imu_range_g,
        imu_rate_hz=message.imu_rate_hz if message.HasField("imu_rate_hz") else None,
        imu_src=message.imu_src,
        mount=_mount(message.mount) if message.HasField("mount") else None,
        vehicle_class=message.vehicle_class,
        holdup_ms=message.holdup_ms,
        pulse_long_kmh=tuple(message.pulse_long_kmh),
        pulse_lat_kmh=tuple(message.pulse_lat_kmh),
        slots=tuple(SlotName(each.slot, each.path, each.unit) for each in message.slots),
        covers=tuple(_covers(message)),
    )
    _check_numbers(state)
    return state


def _stage(number: int) -> CrashStage:
    try:
        return CrashStage(number)
    except ValueError:
        raise WireError(f"CrashState: stage {number}") from None


def _mount(message: pb.MountState) -> MountState:
    up, forward = tuple(message.up), tuple(message.forward)
    if len(up) != 3 or len(forward) != 3:
        raise WireError("CrashState: a direction of the mounting has not three components")
    return MountState((up[0], up[1], up[2]), (forward[0], forward[1], forward[2]), message.rho, message.age_s)


def _covers(message: pb.CrashState) -> list[Cover]:
    covers = []
    for each in message.covers:
        with suppress(ValueError):  # a part that a newer version added
            covers.append(Cover(EvidencePart(each.part), each.first_us, each.last_us, each.bytes))
    return covers
