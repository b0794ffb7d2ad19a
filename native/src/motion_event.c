/* motion_event.c: events leave the detector here: numbering, defaults, the bounded output.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "motion_parts.h"

#define HEADING_AGE_US (5ll * OTR_MO_S)

void otr_mo_event_init(const otr_motion *m, otr_event *ret, int kind, int rule, int64_t t0_us) {
    const float unknown = (float)NAN;
    memset(ret, 0, sizeof *ret);
    ret->kind = (uint16_t)kind;
    ret->rule = (uint16_t)rule;
    ret->t0_us = t0_us;
    ret->lat_deg = ret->lon_deg = (double)unknown; /* the engine knows the place */
    ret->hacc_m = m->speed.hacc;
    bool fresh = m->now_us - m->speed.heading_us < HEADING_AGE_US;
    ret->heading_deg = fresh ? (float)(m->speed.heading * (180 / OTR_MO_PI)) : unknown;
    ret->dv_kmh = ret->dv_long_kmh = ret->dv_lat_kmh = ret->dv_time_ms = unknown;
    ret->peak_g = ret->peak_vert_g = ret->mean_g = ret->asi = ret->pdof_deg = ret->dur_ms = unknown;
    ret->v_pre_kmh = ret->v_post_kmh = ret->limit = ret->v_impact_kmh = unknown;
    ret->dv_lo_kmh = ret->dv_hi_kmh = unknown;
}

void otr_mo_emit(otr_motion *m, otr_mo_sink *sink, otr_event *ev, int phase) {
    if (!ev->seq)
        ev->seq = ++m->seq;
    ev->phase = (uint8_t)phase;
    ev->t_detect_us = m->now_us;
    ev->quality = otr_mo_quality_of(m, ev);
    if (sink->count < sink->max)
        sink->out[sink->count++] = *ev;
    else
        m->stats.events_lost++;
}
