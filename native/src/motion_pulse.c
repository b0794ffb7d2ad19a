/* motion_pulse.c: measures a pulse on the ring: its begin T0, delta-V, peaks, severity and direction.
 *
 * Works on the interpolated running sums in steps of one millisecond of time, so that the answer depends on the pulse
 * and not on the sampling rate; runs twice a crash (at the trigger and at the end of the capture).
 * Gravity is frozen meanwhile, thus the frame is that of the moment before.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "motion_parts.h"

#define STEP_US 1000
#define BACK_US 300000
#define LULL_US 100000 /* a pulse may pause that long */
#define PAUSE_US 40000 /* ... and its begin that long */
#define WINDOW_US 20000
#define WHOLE_US 300000          /* a pulse ends, for the record, that long after T0 */
#define T0_DV (0.8 / OTR_MO_KMH) /* GB 39732-2020 4.1.3: 0.8 km/h within 20 ms */
#define BEFORE_US 300000
#define BEFORE_AGO_US 340000
#define TYRES (1.2 * OTR_MO_G)
#define STEADY (0.15 * OTR_MO_G) /* each half may be that far from the mean */
#define SOFT_DV (0.3 / OTR_MO_KMH)
#define ASI_PERIOD_S 0.0126 /* EN 1317: 50 ms mean needs at least four samples */

static double dv_between(const otr_motion *m, int64_t from, int64_t to, double ret[3]) {
    double a[3], b[3];
    otr_mo_window_at(&m->window, (uint32_t)(uint64_t)from, a);
    otr_mo_window_at(&m->window, (uint32_t)(uint64_t)to, b);
    double dt = (double)(to - from) * 1e-6;
    for (int i = 0; i < 3; i++)
        ret[i] = b[i] - a[i] - m->crash.before[i] * dt;
    return sqrt(otr_mo_horizontal2(ret, m->gravity.up));
}

static int64_t oldest(const otr_motion *m) {
    const otr_mo_window *w = &m->window;
    uint32_t now = (uint32_t)(uint64_t)m->imu.last_us;
    return m->imu.last_us - (int64_t)(uint32_t)(now - w->ring[w->first & (OTR_MO_RING - 1u)].t);
}

double otr_mo_pulse_dv(const otr_motion *m, int64_t from, int64_t to) {
    double d[3];
    return dv_between(m, from, to, d);
}

/* What the car did before the impact could have begun: it brakes, bends, or stands on a slope that gravity has not
 * followed. Pushes that tyres cannot give are none of it. */
void otr_mo_pulse_before(otr_motion *m) {
    double *b = m->crash.before, d[3];
    b[0] = b[1] = b[2] = 0;
    int64_t to = m->imu.last_us - BEFORE_AGO_US, from = to - BEFORE_US, edge = oldest(m);
    from = from > edge ? from : edge;
    if (to - from < BEFORE_US / 2)
        return;
    double dt = (double)(to - from) * 1e-6, size = dv_between(m, from, to, d) / dt, half[3];
    dv_between(m, from, from + (to - from) / 2, half);
    for (int i = 0; i < 3; i++)
        half[i] = (2 * half[i] - d[i]) / dt;
    if (size > TYRES || otr_mo_horizontal2(half, m->gravity.up) > STEADY * STEADY)
        return;
    for (int i = 0; i < 3; i++)
        b[i] = d[i] / dt;
}

/* Walks back from `from`: the earliest time whose 20 ms window reaches `least`, pauses of lull_us allowed. */
static int64_t walk_back(const otr_motion *m, int64_t from, double least, int64_t lull_us, bool *ret_found,
                         double *ret_top) {
    int64_t edge = oldest(m), last = m->imu.last_us - BACK_US, t0 = from;
    double dv[3];
    for (int64_t t = from; t >= last && t - WINDOW_US >= edge && (!*ret_found || t0 - t <= lull_us); t -= STEP_US) {
        double size = dv_between(m, t - WINDOW_US, t, dv);
        *ret_top = size > *ret_top ? size : *ret_top;
        if (size < least)
            continue;
        t0 = t;
        *ret_found = true;
    }
    return t0;
}

/* T0 is GB 39732's, on top of what the car did before. The integration begins earlier on a soft pulse: at a third of its
 * own steepest 20 ms, since it may have taken a good part of its delta-V before 0.8 km/h in 20 ms was reached. */
int64_t otr_mo_pulse_t0(otr_motion *m, int64_t *ret_base_us) {
    otr_mo_pulse_before(m);
    int64_t now = m->imu.last_us, edge = oldest(m);
    bool found = false;
    double top = 0;
    int64_t t0 = walk_back(m, now, T0_DV, PAUSE_US, &found, &top);
    if (!found) /* a long soft push: no 20 ms of it are worth the name */
        t0 = now - BACK_US + WINDOW_US > edge + WINDOW_US ? now - BACK_US + WINDOW_US : edge + WINDOW_US;
    double least = top / 3 < SOFT_DV ? SOFT_DV : top / 3;
    int64_t base = found && least < T0_DV ? walk_back(m, t0, least, LULL_US, &found, &top) : t0;
    *ret_base_us = base - WINDOW_US > edge ? base - WINDOW_US : edge;
    return t0;
}

typedef struct {
    double dv, vec[3], peak, vert, asi;
    int64_t top_us, end_us;
} measure;

static void note_peaks(const otr_motion *m, int64_t t, measure *r) {
    const otr_mo_align *a = &m->align;
    int64_t span = m->imu.period_s > 0.01 ? (int64_t)(m->imu.period_s * 1e6) : 10000;
    double d[3], scale = 1 / ((double)span * 1e-6 * OTR_MO_G);
    double h = dv_between(m, t - span, t, d) * scale, z = otr_mo_dot(d, m->gravity.up) * scale;
    r->peak = h > r->peak ? h : r->peak;
    z = z < 0 ? -z : z;
    r->vert = z > r->vert ? z : r->vert;
    if (dv_between(m, t - WINDOW_US, t, d) >= T0_DV)
        r->end_us = t;
    if (!a->aligned || m->imu.period_s > ASI_PERIOD_S)
        return;
    dv_between(m, t - 50000, t, d);
    scale = 1 / (0.05 * OTR_MO_G);
    double x = otr_mo_dot(d, a->fwd) * scale / 12, y = otr_mo_dot(d, a->left) * scale / 9;
    z = otr_mo_dot(d, m->gravity.up) * scale / 10;
    double asi = sqrt(x * x + y * y + z * z);
    r->asi = asi > r->asi ? asi : r->asi;
}

/* Two directions in the plane: of the vehicle, of the fit that is under way, or any. */
static void axes_of(const otr_motion *m, double ret_x[3], double ret_y[3]) {
    const otr_mo_align *a = &m->align;
    const double *up = m->gravity.up;
    if (a->basis) {
        otr_mo_copy(ret_x, a->aligned ? a->fwd : a->e1);
        otr_mo_copy(ret_y, a->aligned ? a->left : a->e2);
        return;
    }
    double x[3] = {1, 0, 0}, y[3] = {0, 1, 0}, along = up[0] * up[0] < 0.5 ? up[0] : up[1];
    double *seed = up[0] * up[0] < 0.5 ? x : y;
    for (int i = 0; i < 3; i++)
        seed[i] -= along * up[i];
    otr_mo_normalise(seed);
    otr_mo_copy(ret_x, seed);
    otr_mo_cross(up, seed, ret_y);
}

static void split(const otr_motion *m, const double v[3], double *ret_long, double *ret_lat) {
    double x[3], y[3];
    axes_of(m, x, y);
    *ret_long = otr_mo_dot(v, x);
    *ret_lat = otr_mo_dot(v, y);
}

static void record_curve(otr_motion *m, int64_t to_us) {
    otr_mo_crash *c = &m->crash;
    int32_t n = 0;
    for (int64_t t = c->t0_us; n < 31 && t <= to_us; t += 10000, n++) {
        double d[3], along, across;
        dv_between(m, c->base_us, t, d);
        split(m, d, &along, &across);
        c->pulse.along[n] = (float)(along * OTR_MO_KMH);
        c->pulse.across[n] = (float)(across * OTR_MO_KMH);
    }
    c->pulse.n = n;
}

static void fill_direction(otr_motion *m, const measure *r) {
    otr_event *ev = &m->crash.ev;
    if (!m->align.aligned)
        return;
    double along, across;
    split(m, r->vec, &along, &across);
    double pdof = otr_mo_atan2(-across, -along) * (180 / OTR_MO_PI);
    int hour = (int)(pdof / 30 + (pdof < 0 ? -0.5 : 0.5)); /* +90 degrees, from the left, is nine o'clock */
    hour = (12 - hour) % 12;
    ev->flags |= OTR_EVF_ALIGNED;
    ev->dv_long_kmh = (float)(along * OTR_MO_KMH);
    ev->dv_lat_kmh = (float)(across * OTR_MO_KMH);
    ev->pdof_deg = (float)pdof;
    ev->clock = (uint8_t)(hour ? hour : 12);
    if (m->imu.period_s <= ASI_PERIOD_S)
        ev->asi = (float)r->asi;
}

void otr_mo_pulse_measure(otr_motion *m, int64_t to_us) {
    otr_mo_crash *c = &m->crash;
    otr_event *ev = &c->ev;
    measure r = {0, {0, 0, 0}, 0, 0, 0, c->t0_us, c->t0_us};
    for (int64_t t = c->base_us + STEP_US; t <= to_us; t += STEP_US) {
        double d[3], dv = dv_between(m, c->base_us, t, d);
        if (dv > r.dv) {
            r.dv = dv;
            r.top_us = t;
            for (int i = 0; i < 3; i++)
                r.vec[i] = d[i];
        }
        note_peaks(m, t, &r);
    }
    if (oldest(m) > c->base_us && r.dv * OTR_MO_KMH < (double)ev->dv_kmh)
        return; /* the begin was lost with missing samples: what was measured before stands, without an upper end */
    double rise_s = (double)(r.top_us > c->t0_us ? r.top_us - c->base_us : WINDOW_US) * 1e-6;
    ev->dv_kmh = (float)(r.dv * OTR_MO_KMH);
    ev->dv_time_ms = (float)((double)(r.top_us > c->t0_us ? r.top_us - c->t0_us : 0) * 1e-3);
    ev->peak_g = (float)r.peak;
    ev->peak_vert_g = (float)r.vert;
    ev->mean_g = (float)(r.dv / rise_s / OTR_MO_G);
    ev->dur_ms = (float)((double)(r.end_us - c->t0_us) * 1e-3);
    if (m->imu.cfc)
        ev->flags |= OTR_EVF_CFC60;
    if (m->imu.saturated_us >= c->base_us)
        ev->flags |= OTR_EVF_DV_LOWER_BOUND;
    otr_mo_interval(m, r.dv, r.peak, rise_s, to_us < c->t0_us + WHOLE_US || oldest(m) > c->base_us);
    fill_direction(m, &r);
    record_curve(m, to_us);
}
