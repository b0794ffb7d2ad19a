"""A crash judged again from its own evidence: the raw frames, samples, positions and inputs of the package through the
present engine, with the calibration and thresholds of then (or those of now), against what was said then.

What an engine on the road knew from before the window it does not know here: ``limits`` says which fields that touches.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from outrider.crash.build import impact_of, quality_of
from outrider.crash.bundle import CrashBundle
from outrider.crash.verdict import state_of
from outrider.crash.words import QUALITY, TERMS
from outrider.engine import ALGORITHM, Decoder, Engine, EngineOptions, Mount
from outrider.engine.convert import maybe
from outrider.engine.options import MOTION_FIELDS
from outrider.errors import EngineError, InputError
from outrider.model.event import CrashEvidence, Event, EventKind
from outrider.model.evidence import EvidencePart
from outrider.model.fix import Fix, FixType, ImuSample, PowerSample
from outrider.model.frame import FRAME_SIZE
from outrider.model.vehicle import VehicleTables

_SAMPLE: Final = struct.Struct("<qBBHf8f")
_FIX: Final = struct.Struct("<qqddfffffBBBB")
_TIME: Final = struct.Struct("<q")
_IMU, _POWER, _IIO, _SERIAL = 1, 9, 6, 3  # of types.h
_VALID, _SATURATED = 1, 2
_STEP_US: Final = 50_000
_VERDICT: Final = frozenset({"state", "kind", "level", "rule"})
_COUNTED: Final = "counted: "
_SAME_US: Final = 3_000_000  # T0 of the same crash
_BEYOND_US: Final = 60_000_000
_NO_TABLES: Final = VehicleTables("none", (), ())

# What is compared of the impact: name, unit, field of the document.
_IMPACT: Final = (
    ("delta-V", "km/h", "dv_kmh"),
    ("delta-V from", "km/h", "dv_lo_kmh"),
    ("delta-V to", "km/h", "dv_hi_kmh"),
    ("delta-V is a lower bound", "", "lower_bound"),
    ("delta-V longitudinal", "km/h", "dv_long_kmh"),
    ("delta-V lateral", "km/h", "dv_lat_kmh"),
    ("principal direction", "deg", "pdof_deg"),
    ("clock", "", "clock"),
    ("peak", "g", "peak_g"),
    ("ASI", "", "asi"),
    ("duration", "ms", "dur_ms"),
    ("speed before", "km/h", "v_pre_kmh"),
    ("speed at the impact", "km/h", "v_impact_kmh"),
    ("speed after", "km/h", "v_post_kmh"),
    ("impacts", "", "impacts"),
    ("airbag", "", "airbag"),
    ("rollover", "", "rollover"),
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One row: then, now. ``name`` of a term or flag is that of the document."""

    name: str
    unit: str
    then: Any
    now: Any

    @property
    def same(self) -> bool:
        """Equal, numbers to one part in a million."""
        if isinstance(self.then, float) and isinstance(self.now, float):
            return abs(self.then - self.now) <= 1e-6 * max(1.0, abs(self.then))
        return bool(self.then == self.now)


@dataclass(frozen=True, slots=True)
class Reanalysis:
    """algorithm_then None: not recorded. found: the crash was raised again. limits: what the window cannot tell."""

    algorithm_then: str | None
    algorithm_now: str
    thresholds: str  # "package" or "present"
    found: bool
    rows: tuple[Difference, ...]
    limits: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Not one row differs."""
        return self.found and all(row.same for row in self.rows)

    @property
    def same_verdict(self) -> bool:
        """State, kind, level, rule and what counted for and against are the same; numbers may differ a little."""
        weighed = [row for row in self.rows if row.name in _VERDICT or row.name.startswith(_COUNTED)]
        return self.found and all(row.same for row in weighed)


def reanalyse(bundle: CrashBundle, tables: VehicleTables | None, *, present_thresholds: bool = False) -> Reanalysis:
    """``tables``: of the car's profile; without them only what is recorded as samples is judged, not what the frames
    say. InputError when the bundle holds nothing to judge, or what it holds cannot be used."""
    if bundle.event is None:
        raise InputError("the package holds no verdict to compare with")
    if not any(bundle.items(part) for part in (EvidencePart.FRAMES, EvidencePart.IMU, EvidencePart.FIXES)):
        raise InputError("the package holds no raw evidence: nothing can be judged again")
    try:
        events = _run(bundle, tables, present_thresholds=present_thresholds)
    except EngineError as err:
        raise InputError(f"mounting or thresholds of the package cannot be used: {err}") from None
    again = _of_same_crash(events, bundle)
    rows = _rows(bundle, replace(bundle, events=tuple(again))) if again else ()
    algorithm = bundle.state.algorithm if bundle.state else bundle.boot.algorithm if bundle.boot else None
    limits = _limits(bundle, tables)
    return Reanalysis(algorithm, ALGORITHM, "present" if present_thresholds else "package", bool(again), rows, limits)


# -- the run ----------------------------------------------------------------------------------------


def _run(bundle: CrashBundle, tables: VehicleTables | None, *, present_thresholds: bool) -> list[Event]:
    with Engine(tables or _NO_TABLES, _options(bundle, present_thresholds=present_thresholds)) as engine:
        _set_mount(engine, bundle)
        feeds = _feeds(engine, bundle, decoded=tables is not None)
        events: list[Event] = []
        times = [t_us for feed in feeds for t_us in feed.times]
        end_us = _end_us(bundle, max(times, default=bundle.t0_us))
        at_us = min(times, default=bundle.t0_us)
        while at_us <= end_us:
            at_us += _STEP_US
            for feed in feeds:
                feed.offer_until(at_us)
            more = True
            while more:
                more = engine.run(min(at_us, end_us))
                events += [output for output in engine.take() if isinstance(output, Event)]
        return events


def _end_us(bundle: CrashBundle, last_us: int) -> int:
    """The engine of then had gone on at least until it said its last word; a minute beyond the evidence at most."""
    return max(last_us, min(bundle.events[-1].t_detect_us + 100_000, last_us + _BEYOND_US))


def _options(bundle: CrashBundle, *, present_thresholds: bool) -> EngineOptions:
    state = bundle.states[0] if bundle.states else None
    if state is None:
        return EngineOptions(recorder_bytes=0)
    motion: Mapping[str, float] = {} if present_thresholds else dict(state.thresholds)
    return EngineOptions(
        recorder_bytes=0,
        imu_range_g=state.imu_range_g,
        vehicle_class=state.vehicle_class if 0 <= state.vehicle_class <= 2 else 0,
        motion={name: value for name, value in motion.items() if name in MOTION_FIELDS},
    )


def _set_mount(engine: Engine, bundle: CrashBundle) -> None:
    mount = next((state.mount for state in bundle.states if state.mount is not None), None)
    if mount is not None and any(mount.up):
        engine.set_mount(Mount(mount.up, mount.forward, mount.rho, mount.age_s))


class _Feed:
    """Items of one inbox by time, offered as far as they are due; never more than the inbox takes in a step."""

    def __init__(self, times: Sequence[int], offer: Callable[[int, int], int]) -> None:
        self.times = times
        self._offer = offer
        self._at = 0

    def offer_until(self, t_us: int) -> None:
        end = bisect_right(self.times, t_us)
        if end > self._at:
            self._at += self._offer(self._at, end)


def _feeds(engine: Engine, bundle: CrashBundle, *, decoded: bool) -> list[_Feed]:
    frames = bundle.items(EvidencePart.FRAMES)
    imu = [s for s in map(_imu_sample, _SAMPLE.iter_unpack(bundle.items(EvidencePart.IMU))) if s]
    samples = [sample for src, sample in imu if not decoded or src == _IIO]  # IMU on CAN comes with the frames
    fixes = [
        f for src, f in map(_fix, _FIX.iter_unpack(bundle.items(EvidencePart.FIXES))) if not decoded or src == _SERIAL
    ]
    power = [p for p in map(_power, _SAMPLE.iter_unpack(bundle.items(EvidencePart.INPUTS))) if p]
    return [
        _Feed(
            [_TIME.unpack_from(frames, at)[0] for at in range(0, len(frames), FRAME_SIZE)],
            lambda i, j: engine.offer_frames(frames[i * FRAME_SIZE : j * FRAME_SIZE]),
        ),
        _Feed([s.t_us for s in samples], lambda i, j: engine.offer_imu(samples[i:j])),
        _Feed([f.t_us for f in fixes], lambda i, j: sum(engine.offer_fix(fix) for fix in fixes[i:j])),
        _Feed([p.t_us for p in power], lambda i, j: sum(engine.offer_power(one) for one in power[i:j])),
    ]


def _imu_sample(fields: tuple[Any, ...]) -> tuple[int, ImuSample] | None:
    t_us, kind, src, quality, _res, ax, ay, az, gx, gy, gz, _t, _r = fields
    if kind != _IMU:
        return None
    gyro = None if gx != gx else (gx, gy, gz)  # noqa: PLR0124  # NaN
    return src, ImuSample(t_us, (ax, ay, az), gyro, bool(quality & _VALID), bool(quality & _SATURATED))


def _fix(fields: tuple[Any, ...]) -> tuple[int, Fix]:
    t_us, utc, lat, lon, alt, speed, heading, hacc, hdop, flags, fix_type, sats, src = fields
    known = FixType(fix_type) if 0 <= fix_type <= 3 else FixType.NONE
    return src, Fix(
        t_us=t_us,
        fix_type=known,
        utc_us=utc if flags & 0x10 else None,
        lat_deg=maybe(lat) if flags & 0x01 else None,
        lon_deg=maybe(lon) if flags & 0x01 else None,
        alt_m=maybe(alt) if flags & 0x08 else None,
        speed_mps=maybe(speed) if flags & 0x02 else None,
        heading_deg=maybe(heading) if flags & 0x04 else None,
        hacc_m=maybe(hacc),
        hdop=maybe(hdop),
        sats=sats,
        first=bool(flags & 0x20),
    )


def _power(fields: tuple[Any, ...]) -> PowerSample | None:
    t_us, kind, _src, _quality, _res, ignition, supply, *_x = fields
    if kind != _POWER:
        return None
    known = maybe(ignition)
    return PowerSample(t_us, None if known is None else known > 0.5, maybe(supply))


# -- the comparison ---------------------------------------------------------------------------------


def _of_same_crash(events: Sequence[Event], bundle: CrashBundle) -> list[Event]:
    """All phases of the event that begins nearest to the old T0; none when it is not near."""
    crashes = {event.seq for event in events if event.kind.is_crash}
    near = [event for event in events if event.seq in crashes and abs(event.t0_us - bundle.t0_us) <= _SAME_US]
    if not near:
        return []
    best = min(near, key=lambda event: abs(event.t0_us - bundle.t0_us)).seq
    return [event for event in events if event.seq == best]


def _rows(then: CrashBundle, now: CrashBundle) -> tuple[Difference, ...]:
    """The verdict is the last word, the numbers are those of the strongest impact: as in a document."""
    old, new = then.events[-1], now.events[-1]
    impact_then, impact_now = impact_of(then), impact_of(now)
    rows = [
        Difference("state", "", state_of(then.events), state_of(now.events)),
        Difference("kind", "", old.kind.name.lower(), new.kind.name.lower()),
        Difference("level", "", old.level, new.level),
        Difference("rule", "", old.rule, new.rule),
        Difference("confidence", "", old.conf, new.conf),
        Difference("t0", "us", then.t0_us, now.t0_us),
    ]
    rows += [
        Difference(name, unit, getattr(impact_then, field), getattr(impact_now, field)) for name, unit, field in _IMPACT
    ]
    rows += [
        Difference(_COUNTED + TERMS[term], "", bool(old.evidence & term), bool(new.evidence & term))
        for term in CrashEvidence
        if (old.evidence | new.evidence) & term
    ]
    flags_then, flags_now = ({note.words for note in quality_of(one.events)} for one in (then, now))
    rows += [
        Difference(f"data: {words}", "", words in flags_then, words in flags_now)
        for words, _effect in QUALITY.values()
        if words in flags_then | flags_now
    ]
    return tuple(rows)


def _limits(bundle: CrashBundle, tables: VehicleTables | None) -> tuple[str, ...]:
    found = []
    state = bundle.state
    if tables is None:
        found.append(
            "no vehicle profile: what the frames say (speed, brake, airbag, ignition) was not judged; give it with "
            "--profile"
        )
    elif state is not None and Decoder(tables).tables_hash != state.tables_hash:
        found.append("the profile is not the one of then: what the frames say may differ")
    if state is None:
        found.append("no crash state is recorded: mounting, range and thresholds of then are not known")
    elif state.mount is None or not any(state.mount.forward):
        found.append("the mounting was not known then: it is not known here either")
    frames = bundle.part(EvidencePart.FRAMES)
    if frames is not None and frames.first_us > bundle.t0_us - 3_500_000:
        found.append("the window begins less than 3.5 s before T0: the speed before may be unknown")
    if bundle.part(EvidencePart.FIXES) is None:
        found.append("positions are not among the raw evidence: what rests on the satellite receiver was not judged")
    last_us = max((part.last_us for part in bundle.parts), default=bundle.t0_us)
    if last_us < bundle.t0_us + 10_000_000:
        found.append("the window ends less than 10 s after T0: the verdict may have had no time to be confirmed")
    found.append("gravity is learnt anew within the window: delta-V, direction and peak may differ by about a percent")
    if bundle.event is not None and bundle.event.kind is EventKind.PARKED_IMPACT:
        found.append("that the car was parked was known from before the window: here it may not be")
    found.append("what needs more history than the window holds cannot be told anew")
    return tuple(found)
