/* motion_episode.c: one harsh manoeuvre: threshold, hold, hysteresis, merging.
 *
 *   OFF --enters----------> ARMING --for hold_s--> ON (BEGIN) --under limit x hysteresis--> COOLDOWN --gap_s--> OFF (END)
 *                             '--under it--> OFF     '<--over the limit again within gap_s------'
 * It enters at its limit; an acceleration that comes quickly a little lower (motion_harsh.c).
 * BEGIN says that it counts; END, a merge gap later, has all fields final (peak, mean, duration, speeds, level).
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "motion_parts.h"

#define SLACK_S 1e-6 /* the times of the configuration are floats */

enum { OFF, ARMING, ON, COOLDOWN };

static uint8_t level_of(double peak, double limit) {
    return peak >= 1.7 * limit ? 3 : peak >= 1.35 * limit ? 2 : 1;
}

static void arm(const otr_motion *m, otr_mo_episode *e, const otr_mo_level *l) {
    e->state = ARMING;
    e->flipped = false;
    e->over_us = e->last_us = m->now_us;
    e->sum = e->sum_s = e->peak = 0;
    e->sign = l->sign;
    e->limit = l->limit;
    e->enter = l->enter;
    otr_mo_event_init(m, &e->ev, l->kind, l->rule, m->now_us);
    e->ev.v_pre_kmh = (float)(otr_mo_speed_now(m) * OTR_MO_KMH);
    e->ev.limit = (float)l->limit;
}

static void add(otr_mo_episode *e, const otr_mo_level *l) {
    e->peak = l->value > e->peak ? l->value : e->peak;
    e->sum += l->value * l->dt_s;
    e->sum_s += l->dt_s;
}

static void fill(const otr_motion *m, otr_mo_episode *e) {
    otr_event *ev = &e->ev;
    ev->kind = e->flipped ? OTR_EV_LANE_CHANGE : ev->kind;
    ev->level = level_of(e->peak, e->limit);
    if (!e->flipped)
        ev->limit = (float)(e->peak < e->limit ? e->enter : e->limit);
    ev->peak_g = (float)e->peak;
    ev->mean_g = e->sum_s > 0 ? (float)(e->sum / e->sum_s) : (float)e->peak;
    ev->dur_ms = (float)((double)(e->last_us - e->over_us) * 1e-3);
    ev->v_post_kmh = (float)(otr_mo_speed_now(m) * OTR_MO_KMH);
    ev->dv_kmh = (float)(e->sum * OTR_MO_G * OTR_MO_KMH);
    ev->conf = e->sure > 0 ? e->sure : 1;
    if (m->speed.src != OTR_SRC_NONE)
        ev->src_mask |= (uint16_t)(1u << m->speed.src);
}

static void close_episode(otr_motion *m, otr_mo_sink *sink, otr_mo_episode *e) {
    e->ev.t_end_us = e->last_us;
    fill(m, e);
    otr_mo_emit(m, sink, &e->ev, OTR_PH_END);
    e->state = OFF;
}

bool otr_mo_episode_step(otr_motion *m, otr_mo_sink *sink, otr_mo_episode *e, const otr_mo_level *l) {
    double waited = (double)(m->now_us - e->last_us) * 1e-6;
    bool over = l->value >= l->enter;
    switch (e->state) {
    case OFF:
        if (!over || !l->gate)
            return false;
        arm(m, e, l);
        break;
    case ARMING:
        if (!over) {
            e->state = OFF;
            return false;
        }
        break;
    case ON:
        e->last_us = m->now_us;
        if (l->value < e->limit * (double)m->cfg.hysteresis)
            e->state = COOLDOWN;
        else
            add(e, l);
        return true;
    default:
        if (over && waited <= l->gap_s + SLACK_S) {
            e->state = ON;
            e->last_us = m->now_us;
            add(e, l);
        } else if (waited > l->gap_s + SLACK_S) {
            close_episode(m, sink, e);
        }
        return true;
    }
    add(e, l);
    e->last_us = m->now_us;
    if ((double)(m->now_us - e->over_us) * 1e-6 + SLACK_S < l->hold_s)
        return true;
    e->state = ON;
    fill(m, e);
    otr_mo_emit(m, sink, &e->ev, OTR_PH_BEGIN);
    return true;
}
