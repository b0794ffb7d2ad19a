"""The black-box page (native/include/outrider/blackbox.h): what survives when power goes with the impact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from outrider.engine.convert import maybe
from outrider.engine.native import ffi, lib
from outrider.errors import InputError


@dataclass(frozen=True, slots=True)
class Moment:
    """A tick of 100 ms. speed_mps: the most trusted; acc: mean since the tick before, m/s2 in the sensor's own axes."""

    t_us: int
    speed_mps: float | None
    acc: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True)
class BlackBox:
    """State at ``t_us``; None = unknown. signals: (slot, age in ms, value). moments: the last 20 s, oldest first.

    boot_id: of the start it belongs to. clean: the terminal was stopped in order, or what the page tells is reported.
    """

    counter: int
    t_us: int
    fix_t_us: int
    utc_us: int
    lat_deg: float | None
    lon_deg: float | None
    speed_mps: float | None
    heading_deg: float | None
    hacc_m: float | None
    last_event: int
    signals: tuple[tuple[int, int, float], ...]
    boot_id: int = 0
    clean: bool = False
    moments: tuple[Moment, ...] = ()


def parse_black_box(page: bytes) -> BlackBox:
    """InputError when the page is torn, of another version, or no page at all."""
    if len(page) != lib.OTR_PAGE_SIZE:
        raise InputError(f"a black-box page has {lib.OTR_PAGE_SIZE} bytes, this has {len(page)}")
    box = ffi.new("otr_black_box *")
    result = lib.otr_black_box_parse(page, box)
    if result == lib.OTR_ERR_CORRUPT:
        raise InputError("the black-box page is torn: its checksum does not match; use the other slot")
    if result < 0:
        raise InputError("this is no black-box page of a version known here")
    signals = tuple((s.slot, s.age_ms, s.value) for s in box.signal[0 : box.signals])
    return BlackBox(
        box.counter,
        box.t_us,
        box.fix_t_us,
        box.utc_us,
        *(maybe(box.lat_deg), maybe(box.lon_deg), maybe(box.speed_mps), maybe(box.heading_deg), maybe(box.hacc_m)),
        box.last_event,
        signals,
        box.boot_id,
        bool(box.flags & lib.OTR_PAGE_CLEAN),
        _moments(box),
    )


def _moments(box: Any) -> tuple[Moment, ...]:
    newest = box.t_us - box.t_us % lib.OTR_TICK_US
    times = (newest - (box.moments - 1 - i) * lib.OTR_TICK_US for i in range(box.moments))
    return tuple(_moment(box.moment[i], t_us) for i, t_us in enumerate(times))


def _moment(raw: Any, t_us: int) -> Moment:
    known = lib.OTR_ACC_UNKNOWN not in tuple(raw.acc)
    return Moment(
        t_us,
        None if raw.speed == lib.OTR_SPEED_UNKNOWN else raw.speed / 100.0,
        (raw.acc[0] / 100.0, raw.acc[1] / 100.0, raw.acc[2] / 100.0) if known else None,
    )
