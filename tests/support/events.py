"""An event with nothing known, to be filled in with ``dataclasses.replace``."""

from __future__ import annotations

from outrider.model.event import Event, EventFlag, EventKind, Phase

EVENT = Event(
    seq=1,
    kind=EventKind.HARSH_BRAKE,
    phase=Phase.END,
    level=1,
    flags=EventFlag(0),
    src_mask=0,
    rule=0,
    t0_us=0,
    t_detect_us=0,
    t_end_us=0,
    lat_deg=None,
    lon_deg=None,
    hacc_m=None,
    heading_deg=None,
    clock=0,
    impact_no=0,
    conf=0.0,
    dv_kmh=None,
    dv_long_kmh=None,
    dv_lat_kmh=None,
    dv_time_ms=None,
    peak_g=None,
    peak_vert_g=None,
    mean_g=None,
    asi=None,
    pdof_deg=None,
    dur_ms=None,
    v_pre_kmh=None,
    v_post_kmh=None,
    limit=None,
)
