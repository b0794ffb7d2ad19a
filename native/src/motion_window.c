/* motion_window.c: delta-V over sliding time windows in O(1) a sample, for any rate and any jitter.
 *
 * The ring holds the running integral S of x = a - g by the trapezoid rule, in whole micrometres per second modulo
 * 2^32 with the rounding rest carried on: differences are exact, nothing drifts and nothing has to be re-based. A
 * window begins at a time, not at a sample: S is interpolated between the two entries around it. One tail index a
 * window only ever moves forward.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "motion_state.h"

#define MASK (OTR_MO_RING - 1u)
#define UNIT 1e-6 /* m/s */

static const uint32_t WINDOW_US[OTR_MO_WINDOWS] = {10000, 20000, 50000, 150000, 300000};

void otr_mo_window_reset(otr_mo_window *w) {
    w->first = w->head ? w->head - 1u : 0;
    for (int i = 0; i < OTR_MO_WINDOWS; i++)
        w->tail[i] = w->first;
}

static int32_t step_of(otr_mo_window *w, int axis, double x, double dt) {
    double exact = (w->last[axis] + x) * 0.5 * dt / UNIT + w->rest[axis];
    if (exact > 1e9) /* 1000 m/s in one step: no sensor; keeps the conversion defined */
        exact = 1e9;
    if (exact < -1e9)
        exact = -1e9;
    int32_t whole = (int32_t)(exact + (exact < 0 ? -0.5 : 0.5));
    w->rest[axis] = exact - (double)whole;
    return whole;
}

void otr_mo_window_push(otr_motion *m) {
    otr_mo_window *w = &m->window;
    const otr_mo_sum *before = &w->ring[(w->head - 1u) & MASK];
    otr_mo_sum next = {(uint32_t)(uint64_t)m->imu.last_us, {0, 0, 0}};
    for (int i = 0; i < 3; i++) {
        double x = m->imu.acc[i] - m->gravity.g[i];
        int32_t step = m->imu.gap ? 0 : step_of(w, i, x, m->imu.dt_s);
        next.s[i] = (int32_t)((uint32_t)before->s[i] + (uint32_t)step);
        w->last[i] = x;
    }
    w->ring[w->head & MASK] = next;
    w->head++;
    if (m->imu.gap)
        otr_mo_window_reset(w);
    if (w->head - w->first > OTR_MO_RING)
        w->first = w->head - OTR_MO_RING;
}

static double between(int32_t newer, int32_t older) {
    return (double)(int32_t)((uint32_t)newer - (uint32_t)older) * UNIT;
}

/* newest - S(t), t between entries i and i + 1 (or before the first: the first) */
static void difference(const otr_mo_window *w, uint32_t i, uint32_t t, double ret[3]) {
    const otr_mo_sum *now = &w->ring[(w->head - 1u) & MASK], *a = &w->ring[i & MASK];
    double share = 0;
    int32_t into = (int32_t)(t - a->t);
    const otr_mo_sum *b = a;
    if (into > 0 && i + 1u != w->head) {
        b = &w->ring[(i + 1u) & MASK];
        int32_t span = (int32_t)(b->t - a->t);
        share = span > 0 ? (into < span ? (double)into / (double)span : 1) : 0;
    }
    for (int k = 0; k < 3; k++)
        ret[k] = between(now->s[k], a->s[k]) - share * between(b->s[k], a->s[k]);
}

double otr_mo_window_dv(otr_mo_window *w, int which, double ret[3]) {
    uint32_t now = w->ring[(w->head - 1u) & MASK].t, want = now - WINDOW_US[which];
    uint32_t *tail = &w->tail[which];
    if (w->head - *tail > OTR_MO_RING)
        *tail = w->first;
    while (*tail + 1u != w->head && (int32_t)(w->ring[(*tail + 1u) & MASK].t - want) <= 0)
        (*tail)++;
    difference(w, *tail, want, ret);
    int32_t span = (int32_t)(now - w->ring[*tail & MASK].t);
    return (double)(span < (int32_t)WINDOW_US[which] ? span : (int32_t)WINDOW_US[which]) * 1e-6;
}

/* Binary search: the last entry at or before t. */
bool otr_mo_window_at(const otr_mo_window *w, uint32_t t, double ret[3]) {
    uint32_t low = 0, high = w->head - w->first;
    if (!high)
        return false;
    while (high - low > 1u) {
        uint32_t mid = (low + high) / 2u;
        if ((int32_t)(w->ring[(w->first + mid) & MASK].t - t) <= 0)
            low = mid;
        else
            high = mid;
    }
    double back[3];
    difference(w, w->first + low, t, back);
    for (int k = 0; k < 3; k++)
        ret[k] = -back[k];
    return (int32_t)(w->ring[w->first & MASK].t - t) <= 0;
}
