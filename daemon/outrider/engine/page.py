"""The black-box page (native/include/outrider/blackbox.h): what survives when power goes with the impact."""

from __future__ import annotations

from dataclasses import dataclass

from outrider.engine.convert import maybe
from outrider.engine.native import ffi, lib
from outrider.errors import InputError


@dataclass(frozen=True, slots=True)
class BlackBox:
    """State at ``t_us``; None = unknown. signals: (slot, age in ms, value)."""

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
    )
