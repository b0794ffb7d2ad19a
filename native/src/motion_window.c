/* motion_window.c: delta-V over sliding time windows in O(1) a sample, for any rate and any jitter.
 *
 * The ring holds the running integral S of x = a - g by the trapezoid rule, in whole micrometres per second modulo
 * 2^32 with the rounding rest carried on: differences are exact, nothing drifts and nothing has to be re-based. A
 * window begins at a time, not at a sample: S is interpolated between the two entries around it. One tail index a
 * window only ever moves forward.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "motion_parts.h"

#define MASK (OTR_MO_RING - 1u)
#define UNIT 1e-6    /* m/s */
#define STEP_MAX 1e9 /* 1000 m/s in one step: no sensor; keeps the conversion defined */

static const uint32_t WINDOW_US[OTR_MO_WINDOWS] = {150000, 300000};

void otr_mo_window_reset(otr_mo_window *w) {
    w->first = w->head ? w->head - 1u : 0;
    for (int i = 0; i < OTR_MO_WINDOWS; i++)
        w->tail[i] = w->first;
}

/* Rounds half away from zero, and without a branch: its way would be as good as random. */
static inline int32_t step_of(otr_mo_window *w, int axis, double x, double dt) {
    double exact = (w->last[axis] + x) * 0.5 * dt / UNIT + w->rest[axis];
    exact = exact > STEP_MAX ? STEP_MAX : exact;
    exact = exact < -STEP_MAX ? -STEP_MAX : exact;
    int32_t whole = (int32_t)(exact + copysign(0.5, exact));
    w->rest[axis] = exact - (double)whole;
    return whole;
}

static inline int32_t wrapping_sum(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

/* Entries are OTR_MO_ENTRY_US apart at least, but for the newest: at 1600 Hz each second one is written over. */
static bool merges(const otr_mo_window *w, uint32_t t) {
    return w->head - w->first >= 2u && t - w->ring[(w->head - 2u) & MASK].t < OTR_MO_ENTRY_US;
}

void otr_mo_window_push(otr_motion *m) {
    otr_mo_window *w = &m->window;
    const double *acc = m->imu.acc, *g = m->gravity.g;
    double x[3] = {acc[0] - g[0], acc[1] - g[1], acc[2] - g[2]}, dt = m->imu.dt_s;
    otr_mo_sum next = w->ring[(w->head - 1u) & MASK];
    next.t = (uint32_t)(uint64_t)m->imu.last_us;
    if (!m->imu.gap) {
        next.s[0] = wrapping_sum(next.s[0], step_of(w, 0, x[0], dt));
        next.s[1] = wrapping_sum(next.s[1], step_of(w, 1, x[1], dt));
        next.s[2] = wrapping_sum(next.s[2], step_of(w, 2, x[2], dt));
    }
    otr_mo_copy(w->last, x);
    w->head -= merges(w, next.t) ? 1u : 0;
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

static uint32_t begin_of(const otr_mo_window *w, int which) {
    return w->ring[(w->head - 1u) & MASK].t - WINDOW_US[which];
}

/* The window's tail goes to the last entry at or before its begin. */
static uint32_t follow(otr_mo_window *w, int which) {
    uint32_t want = begin_of(w, which), tail = w->tail[which];
    if (w->head - tail > OTR_MO_RING)
        tail = w->first;
    while (tail + 1u != w->head && (int32_t)(w->ring[(tail + 1u) & MASK].t - want) <= 0)
        tail++;
    w->tail[which] = tail;
    return tail;
}

static inline uint64_t length2(const otr_mo_sum *a, const otr_mo_sum *b) {
    int64_t x = (int32_t)((uint32_t)a->s[0] - (uint32_t)b->s[0]);
    int64_t y = (int32_t)((uint32_t)a->s[1] - (uint32_t)b->s[1]);
    int64_t z = (int32_t)((uint32_t)a->s[2] - (uint32_t)b->s[2]);
    return (uint64_t)(x * x) + (uint64_t)(y * y) + (uint64_t)(z * z);
}

/* Delta-V lies on the straight line between the differences to the two entries around the begin: when both are short
 * it is short, and nothing has to be interpolated. So it is in all but a few samples of a drive. */
bool otr_mo_window_dull(otr_mo_window *w, int which, uint64_t limit2) {
    uint32_t i = follow(w, which), after = i + 1u != w->head ? i + 1u : i;
    const otr_mo_sum *now = &w->ring[(w->head - 1u) & MASK];
    return OTR_MO_SHORT_CUTS && length2(now, &w->ring[i & MASK]) < limit2 &&
           length2(now, &w->ring[after & MASK]) < limit2;
}

void otr_mo_window_dv(const otr_mo_window *w, int which, double ret[3]) {
    difference(w, w->tail[which], begin_of(w, which), ret);
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
