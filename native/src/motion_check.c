/* motion_check.c: what comes in. Malformed samples are counted by reason and dropped here, once; the rest of the
 * detector trusts what it gets.
 *
 * The rate of the IMU is taken from its time stamps and never assumed: a sample after more than 3.5 periods (and more
 * than 20 ms) does not continue the one before, and the windows start anew.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "motion_parts.h"

#define TIME_LIMIT ((int64_t)1 << 60)
#define SPEED_LIMIT 150.0f /* m/s: nothing on wheels */
#define ACC_LIMIT 20000.0f /* m/s2: beyond any sensor */
#define RATE_LIMIT 200.0f  /* rad/s */
#define GAP_PERIODS 3.5
#define GAP_MIN_S 0.02
#define OTHER_US OTR_MO_S /* silence after which another sensor takes over */
#define CFC60_HZ 124.65   /* SAE J211: 60 * 2.0775 */
#define CFC60_MIN_RATE 600.0
#define HARSH_HZ 2.0

/* Both are false for NaN as well. */
static inline bool within3(const float *x, float limit) {
    return fabsf(x[0]) <= limit && fabsf(x[1]) <= limit && fabsf(x[2]) <= limit;
}

static bool within(const float *x, int n, float limit) {
    for (int i = 0; i < n; i++)
        if (!(x[i] >= -limit && x[i] <= limit))
            return false;
    return true;
}

static bool any_within(const float *x, int n, float limit) {
    for (int i = 0; i < n; i++)
        if (within(x + i, 1, limit))
            return true;
    return false;
}

static bool numbers_ok(const otr_sample *s) {
    switch (s->kind) {
    case OTR_IN_SPEED:
        return within(s->x, 1, SPEED_LIMIT);
    case OTR_IN_WHEELS:
        return any_within(s->x, 4, SPEED_LIMIT);
    case OTR_IN_GNSS: /* a heading outside its range is left unused later */
        return within(s->x, 1, SPEED_LIMIT) || !(s->res >= 0 && s->res <= 255) || !((uint32_t)s->res & OTR_FIX_SPEED);
    case OTR_IN_YAW:
        return within(s->x, 1, RATE_LIMIT);
    case OTR_IN_BRAKE:
    case OTR_IN_AIRBAG:
    case OTR_IN_BUS:
        return within(s->x, 1, 1e6f);
    case OTR_IN_RPM:
        return within(s->x, 1, 1e6f);
    default:
        return true;
    }
}

bool otr_mo_check(otr_motion *m, const otr_sample *s) {
    m->stats.pushed++;
    if (s->kind < OTR_IN_IMU || s->kind > OTR_IN_TICK || s->t_us < -TIME_LIMIT || s->t_us > TIME_LIMIT) {
        m->stats.invalid++;
        otr_mo_quality_note(m, OTR_DQ_INVALID);
        return false;
    }
    int64_t *newest = &m->kind_us[s->kind & 15u][s->src & 7u];
    if (s->t_us < *newest) {
        m->stats.time_back++;
        otr_mo_quality_note(m, OTR_DQ_TIME_BACK);
        return false;
    }
    bool default_code = (s->q & OTR_Q_SNA) != 0 && s->kind == OTR_IN_SPEED;
    if (s->kind != OTR_IN_TICK && !default_code && (!(s->q & OTR_Q_VALID) || (s->q & (OTR_Q_SNA | OTR_Q_STALE)))) {
        m->stats.invalid++;
        otr_mo_quality_note(m, OTR_DQ_INVALID);
        return false;
    }
    if (s->kind == OTR_IN_IMU ? !within3(s->x, ACC_LIMIT) : !default_code && !numbers_ok(s)) {
        m->stats.nan++;
        otr_mo_quality_note(m, OTR_DQ_NAN);
        return false;
    }
    *newest = s->t_us;
    if (s->t_us > m->now_us)
        m->now_us = s->t_us;
    return true;
}

/* Learns the period: quick in the first samples, then slow; an outlier counts as three periods at most. */
static void learn_period(otr_mo_imu *imu, double dt) {
    if (imu->count < 2) {
        imu->period_s = dt > 0 ? dt : imu->period_s;
        return;
    }
    double limited = dt > 3 * imu->period_s ? 3 * imu->period_s : dt;
    double share = imu->count < 16 ? 1.0 / imu->count : 1.0 / 32;
    imu->period_s += share * (limited - imu->period_s);
    if (imu->period_s < 1e-5)
        imu->period_s = 1e-5;
}

static bool filters_fit(const otr_mo_imu *imu) {
    double ratio = imu->filter_rate * imu->period_s;
    return imu->count < 4 || (imu->count > 8 && ratio > 0.95 && ratio < 1.05);
}

OTR_MO_RARE static void make_filters(otr_motion *m) {
    otr_mo_imu *imu = &m->imu;
    double rate = 1 / imu->period_s, ratio = imu->period_s / imu->known_period_s;
    if (imu->count > 64 && imu->known_period_s > 0 && (ratio < 0.8 || ratio > 1.25))
        otr_mo_quality_note(m, OTR_DQ_RATE_CHANGED);
    if (imu->count <= 64 || ratio < 0.8 || ratio > 1.25)
        imu->known_period_s = imu->period_s;
    imu->filter_rate = rate;
    otr_mo_lowpass(HARSH_HZ, rate, &imu->harsh);
    otr_mo_lowpass(CFC60_HZ, rate, &imu->cfc60);
}

static void pre_filter(otr_mo_imu *imu) {
    bool was = imu->cfc;
    imu->cfc = imu->filter_rate >= CFC60_MIN_RATE && imu->count >= 16;
    for (int i = 0; i < 3 && imu->cfc; i++) {
        if (!was || imu->gap)
            otr_mo_settle(&imu->cfc60, &imu->cfc_state[i], imu->acc[i]);
        imu->acc[i] = otr_mo_filter(&imu->cfc60, &imu->cfc_state[i], imu->acc[i]);
    }
}

static bool at_the_stop(const otr_motion *m, const otr_sample *s) {
    if (s->q & OTR_Q_SATURATED)
        return true;
    float stop = 0.98f * m->cfg.imu_range_g * (float)OTR_MO_G;
    return stop > 0 && !within3(s->x, stop);
}

static void take_axes(otr_motion *m, const float x[6]) {
    otr_mo_imu *imu = &m->imu;
    const double *bias = m->gravity.bias;
    imu->gyro = within3(x + 3, RATE_LIMIT);
    imu->acc[0] = (double)x[0];
    imu->acc[1] = (double)x[1];
    imu->acc[2] = (double)x[2];
    imu->rate[0] = imu->gyro ? (double)x[3] - bias[0] : 0;
    imu->rate[1] = imu->gyro ? (double)x[4] - bias[1] : 0;
    imu->rate[2] = imu->gyro ? (double)x[5] - bias[2] : 0;
}

/* Another sensor hangs in other axes and has another rate: all that was learnt is void. */
static void change_imu(otr_motion *m) {
    otr_mo_imu fresh = {.last_us = OTR_MO_NEVER, .saturated_us = m->imu.saturated_us};
    otr_mo_gravity gravity = {.unit2 = 1, .unit_s = 1};
    otr_mo_step step = {.kind = OTR_MO_STEP_NONE};
    m->imu = fresh;
    m->gravity = gravity;
    m->step = step;
    m->align.aligned = m->align.basis = false;
    m->attitude.known = false;
    otr_mo_window_reset(&m->window);
    otr_mo_quality_note(m, OTR_DQ_RATE_CHANGED);
}

/* Of two sensors (on CAN and our own) the first one heard is listened to while it lives. */
bool otr_mo_imu_mine(otr_motion *m, const otr_sample *s) {
    const otr_mo_imu *imu = &m->imu;
    if (!imu->count || imu->src == (s->src & 15u))
        return true;
    if (s->t_us - imu->last_us < OTHER_US || m->crash.state == OTR_MO_CAPTURE) {
        m->stats.other_imu++;
        return false;
    }
    change_imu(m);
    return true;
}

bool otr_mo_imu_take(otr_motion *m, const otr_sample *s) {
    otr_mo_imu *imu = &m->imu;
    int64_t step = s->t_us - imu->last_us;
    double dt = imu->count ? (step > 3600ll * OTR_MO_S ? 3600.0 : (double)step * 1e-6) : 0;
    double limit = GAP_PERIODS * imu->period_s;
    imu->gap = !imu->count || (imu->count > 2 && dt > (limit > GAP_MIN_S ? limit : GAP_MIN_S)) || dt > 1;
    if (imu->gap && imu->count) {
        m->stats.gap++;
        otr_mo_quality_note(m, OTR_DQ_GAP);
    }
    if (imu->count)
        learn_period(imu, dt);
    imu->dt_s = imu->gap ? 0 : dt;
    imu->last_us = s->t_us;
    imu->src = s->src & 15u;
    if (imu->count < 1000000)
        imu->count++;
    if (at_the_stop(m, s))
        imu->saturated_us = s->t_us;
    take_axes(m, s->x);
    otr_mo_step_take(m);
    if (!filters_fit(imu))
        make_filters(m);
    pre_filter(imu);
    imu->n2 = otr_mo_dot(imu->acc, imu->acc) / (OTR_MO_G * OTR_MO_G);
    return imu->count >= 2 && imu->filter_rate > 0;
}
