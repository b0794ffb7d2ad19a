/* motion_api.c: the public functions of outrider/motion.h: checked wrappers, and who gets which sample.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "motion_parts.h"

#define RPM_TAU 0.3

void otr_motion_config_default(otr_motion_config *ret_cfg) {
    memset(ret_cfg, 0, sizeof *ret_cfg);
    ret_cfg->dv150_kmh = 6.5f;
    ret_cfg->dv300_kmh = 10.0f;
    ret_cfg->brake_g = 0.30f;
    ret_cfg->accel_g = 0.25f;
    ret_cfg->corner_g = 0.35f;
    ret_cfg->lane_g = 0.40f;
    ret_cfg->hysteresis = 0.8f;
    ret_cfg->min_hold_s = 0.4f;
    ret_cfg->merge_gap_s = 1.0f;
    ret_cfg->confirm_s = 10.0f;
    ret_cfg->refractory_s = 10.0f;
    ret_cfg->silence_s = 0.5f;
}

size_t otr_motion_size(void) {
    return (sizeof(otr_motion) + 15u) & ~(size_t)15u;
}

static bool inside(float v, float low, float high) {
    return v >= low && v <= high;
}

static bool config_ok(const otr_motion_config *c) {
    return inside(c->imu_range_g, 0, 1000) && inside(c->dv150_kmh, 1, 100) && inside(c->dv300_kmh, 1, 100) &&
           inside(c->brake_g, 0.05f, 2) && inside(c->accel_g, 0.05f, 2) && inside(c->corner_g, 0.05f, 2) &&
           inside(c->lane_g, 0.05f, 2) && inside(c->hysteresis, 0.1f, 1) && inside(c->min_hold_s, 0, 10) &&
           inside(c->merge_gap_s, 0, 30) && inside(c->confirm_s, 1, 60) && inside(c->refractory_s, 0, 600) &&
           inside(c->silence_s, 0.1f, 60) && c->vehicle_class < OTR_CLASS_COUNT;
}

/* Heavy vehicles brake, gain and lean less before it is harsh (docs/internals/detector.md). A threshold that was set by
 * hand is left alone. */
static void apply_class(otr_motion_config *c) {
    static const float SHARE[OTR_CLASS_COUNT] = {1.0f, 0.9f, 0.7f};
    otr_motion_config usual;
    otr_motion_config_default(&usual);
    float share = SHARE[c->vehicle_class];
    c->brake_g *= c->brake_g == usual.brake_g ? share : 1;
    c->accel_g *= c->accel_g == usual.accel_g ? share : 1;
    c->corner_g *= c->corner_g == usual.corner_g ? share : 1;
    c->lane_g *= c->lane_g == usual.lane_g ? share : 1;
}

int otr_motion_init(void *mem, size_t size, const otr_motion_config *cfg, otr_motion **ret) {
    if (!mem || !cfg || !ret || ((uintptr_t)mem & 15u) || !config_ok(cfg))
        return OTR_ERR_INVAL;
    if (size < otr_motion_size())
        return OTR_ERR_NOMEM;
    otr_motion *m = mem;
    memset(m, 0, sizeof *m);
    m->cfg = *cfg;
    apply_class(&m->cfg);
    m->now_us = OTR_MO_NEVER;
    for (int kind = 0; kind < 16; kind++)
        for (int src = 0; src < 8; src++)
            m->kind_us[kind][src] = OTR_MO_NEVER;
    m->imu.last_us = m->imu.saturated_us = m->align.last_us = OTR_MO_NEVER;
    m->attitude.look_us = OTR_MO_NEVER;
    otr_mo_crash_init(m);
    otr_mo_quality_init(m);
    otr_mo_harsh_init(m);
    m->infer.quiet_us = m->infer.start_us = m->infer.stand_us = OTR_MO_NEVER;
    m->gravity.unit2 = m->gravity.unit_s = 1; /* taken for right until it has shown otherwise */
    otr_mo_speed_init(&m->speed);
    m->speed.gnss_us = OTR_MO_NEVER;
    *ret = m;
    return OTR_OK;
}

static void take_imu(otr_motion *m, otr_mo_sink *sink, const otr_sample *s) {
    if ((m->imu.src != (s->src & 15u) && !otr_mo_imu_mine(m, s)) || !otr_mo_imu_take(m, s))
        return;
    otr_mo_gravity_update(m, sink);
    otr_mo_window_push(m);
    otr_mo_attitude_update(m, sink);
    otr_mo_align_imu(m, sink);
    otr_mo_crash_imu(m, sink);
    otr_mo_harsh_imu(m, sink);
}

static void take_speed(otr_motion *m, otr_mo_sink *sink, uint8_t src, double v, double res, uint32_t flags) {
    if (src == OTR_SRC_NONE || src >= OTR_MO_SOURCES || !otr_mo_speed_push(m, src, v, res, flags))
        return;
    otr_mo_infer_speed(m, sink, src);
    otr_mo_slope_speed(m, sink, src);
}

static void take_heading(otr_motion *m, const otr_sample *s, uint32_t flags) {
    otr_mo_speed *p = &m->speed;
    if (!(flags & OTR_FIX_HEADING) || !(s->x[1] >= -7 && s->x[1] <= 7))
        return;
    double dt = (double)(s->t_us - p->heading_us) * 1e-6;
    double turn = otr_mo_wrap_pi((double)s->x[1] - p->heading);
    bool close = dt > 0.05 && dt < 2.5 && !(flags & OTR_FIX_FIRST) && turn == turn;
    p->heading_rate = close ? turn / dt : (double)NAN;
    p->heading = (double)s->x[1];
    p->heading_us = s->t_us;
}

/* A first fix, or a speed that grows more quickly than anything on wheels: 0.8 g and 18 km/h. */
static void note_jump(otr_motion *m, const otr_sample *s, uint32_t flags) {
    otr_mo_speed *p = &m->speed;
    double dt = (double)(s->t_us - p->gnss_us) * 1e-6, v = (flags & OTR_FIX_SPEED) ? (double)s->x[0] : p->gnss_v;
    bool known = p->gnss_us != OTR_MO_NEVER && dt < 10;
    if ((flags & OTR_FIX_FIRST) || (known && v - p->gnss_v > 8 * dt + 5))
        otr_mo_quality_note(m, OTR_DQ_GNSS_JUMP);
    if (flags & OTR_FIX_SPEED) {
        p->gnss_v = v;
        p->gnss_us = s->t_us;
    }
}

static void take_gnss(otr_motion *m, otr_mo_sink *sink, const otr_sample *s) {
    uint32_t flags = s->res >= 0 && s->res <= 255 ? (uint32_t)s->res : 0;
    uint8_t src = s->src == OTR_SRC_GNSS_CAN ? OTR_SRC_GNSS_CAN : OTR_SRC_GNSS_SERIAL;
    note_jump(m, s, flags);
    m->speed.hacc = s->x[2] >= 0 && s->x[2] < 1e6f ? s->x[2] : (float)NAN;
    take_heading(m, s, flags);
    if ((flags & OTR_FIX_POS) && s->x[3] >= -90 && s->x[3] <= 90 && s->x[4] >= -180 && s->x[4] <= 180) {
        m->speed.place[0] = (double)s->x[3];
        m->speed.place[1] = (double)s->x[4];
        m->speed.place_us = s->t_us;
    }
    if (flags & OTR_FIX_SPEED)
        take_speed(m, sink, src, (double)s->x[0], 0, flags);
}

/* The mean of the wheels stands in where the vehicle broadcasts no speed of its own. */
static void take_wheels(otr_motion *m, otr_mo_sink *sink, const otr_sample *s) {
    double sum = 0;
    int n = 0;
    for (int i = 0; i < 4; i++) {
        bool good = s->x[i] >= -150 && s->x[i] <= 150;
        m->speed.wheels[i] = good ? (double)s->x[i] : 0;
        sum += m->speed.wheels[i];
        n += good;
    }
    m->speed.wheels_us = s->t_us;
    if (s->t_us - m->kind_us[OTR_IN_SPEED][OTR_SRC_CAN] > OTR_MO_S)
        take_speed(m, sink, OTR_SRC_CAN, sum / n, s->res >= 0 ? (double)s->res : 0, 0);
}

static void take_power(otr_motion *m, const otr_sample *s) {
    otr_mo_speed *p = &m->speed;
    if (s->x[0] == s->x[0]) {
        uint8_t on = s->x[0] > 0.5f;
        if (!on && p->ignition == 1)
            p->off_us = s->t_us;
        p->ignition = on;
        p->ignition_us = s->t_us;
    }
    if (s->x[1] >= 0 && s->x[1] < 100) {
        if (p->supply > 11 && s->x[1] < 9 && m->crash.state != OTR_MO_ARMED && m->crash.power_us == OTR_MO_NEVER)
            m->crash.power_us = s->t_us;
        p->supply = (double)s->x[1];
        p->supply_us = s->t_us;
    }
}

static void take_rpm(otr_motion *m, const otr_sample *s) {
    otr_mo_speed *p = &m->speed;
    p->rpm_before = p->rpm == p->rpm ? p->rpm_before + RPM_TAU * (p->rpm - p->rpm_before) : (double)s->x[0];
    p->rpm = (double)s->x[0];
    p->rpm_us = s->t_us;
}

static void take_bus(otr_motion *m, const otr_sample *s) {
    if (s->x[0] > 0.5f) {
        m->speed.bus_us = s->t_us;
        m->speed.silent_us = OTR_MO_NEVER;
    } else if (m->speed.silent_us == OTR_MO_NEVER && m->speed.bus_us != OTR_MO_NEVER) {
        m->speed.silent_us = s->t_us;
    }
}

OTR_MO_RARE static void take_other(otr_motion *m, otr_mo_sink *sink, const otr_sample *s) {
    switch (s->kind) {
    case OTR_IN_SPEED:
        if (s->q & OTR_Q_SNA) {
            if (s->src < OTR_MO_SOURCES)
                otr_mo_infer_sna(m, sink, s->src);
        } else {
            take_speed(m, sink, s->src, (double)s->x[0], s->res >= 0 ? (double)s->res : 0, 0);
        }
        break;
    case OTR_IN_WHEELS:
        take_wheels(m, sink, s);
        break;
    case OTR_IN_YAW:
        m->speed.yaw = (double)s->x[0];
        m->speed.yaw_us = s->t_us;
        break;
    case OTR_IN_BRAKE:
        m->speed.brake = s->x[0] > 0.5f;
        m->speed.brake_us = s->t_us;
        break;
    case OTR_IN_AIRBAG:
        otr_mo_crash_airbag(m, sink, s->x[0] > 0.5f);
        break;
    case OTR_IN_GNSS:
        take_gnss(m, sink, s);
        break;
    case OTR_IN_BUS:
        take_bus(m, s);
        break;
    case OTR_IN_POWER:
        take_power(m, s);
        break;
    case OTR_IN_RPM:
        take_rpm(m, s);
        break;
    default:
        otr_mo_speed_tick(m);
        otr_mo_infer_tick(m, sink);
        otr_mo_towed_tick(m, sink);
        break;
    }
}

int otr_motion_push(otr_motion *m, const otr_sample *s, otr_event *out, int max) {
    if (!m || !s || max < 0 || (max > 0 && !out))
        return OTR_ERR_INVAL;
    otr_mo_sink sink = {out, max, 0};
    if (!otr_mo_check(m, s))
        return 0;
    if (s->kind == OTR_IN_IMU)
        take_imu(m, &sink, s);
    else
        take_other(m, &sink, s);
    if (m->crash.state != OTR_MO_ARMED)
        otr_mo_crash_time(m, &sink);
    return sink.count;
}

int otr_motion_push_n(otr_motion *m, const otr_sample *s, uint32_t n, otr_event *out, int max, uint32_t *ret_done) {
    if (!m || (n && !s) || !out || !ret_done || max < OTR_MOTION_EVENTS_MAX)
        return OTR_ERR_INVAL;
    int count = 0;
    uint32_t i = 0;
    for (; i < n && max - count >= OTR_MOTION_EVENTS_MAX; i++)
        count += otr_motion_push(m, &s[i], out + count, OTR_MOTION_EVENTS_MAX);
    *ret_done = i;
    return count;
}

void otr_motion_get_stats(const otr_motion *m, otr_motion_stats *ret) {
    *ret = m->stats;
}

void otr_motion_get_config(const otr_motion *m, otr_motion_config *ret_cfg) {
    *ret_cfg = m->cfg;
}

int otr_motion_pulse(const otr_motion *m, float *ret_long, float *ret_lat, int max) {
    const otr_mo_curve *pulse = &m->crash.pulse;
    int n = pulse->n < max ? pulse->n : max;
    for (int i = 0; i < n; i++) {
        ret_long[i] = pulse->along[i];
        ret_lat[i] = pulse->across[i];
    }
    return n > 0 ? n : 0;
}

/* ---- the state of motion ------------------------------------------------------------------------ */

static void mean_second(const otr_motion *m, otr_vehicle *ret) {
    const otr_mo_harsh *h = &m->harsh;
    int64_t newest = m->now_us / 100000;
    double sum[2] = {0, 0}, s = 0;
    for (int i = 0; i < 10; i++) {
        if (newest - h->bucket_no[i] > 10)
            continue;
        s += h->bucket_s[i];
        sum[0] += h->bucket_sum[i][0];
        sum[1] += h->bucket_sum[i][1];
    }
    bool good = h->frame_aligned && s > 0;
    ret->acc_long = good ? (float)(sum[0] / s * OTR_MO_G) : (float)NAN;
    ret->acc_lat = good ? (float)(sum[1] / s * OTR_MO_G) : (float)NAN;
}

void otr_motion_vehicle(const otr_motion *m, otr_vehicle *ret) {
    const otr_mo_speed *s = &m->speed;
    bool rpm = m->now_us - s->rpm_us < 3 * OTR_MO_S, turning = rpm && s->rpm > 0;
    ret->t_us = m->now_us;
    ret->distance_m = s->distance_m;
    ret->speed_mps = (float)otr_mo_speed_now(m);
    ret->speed_src = ret->speed_mps == ret->speed_mps ? s->src : OTR_SRC_NONE;
    ret->ignition = s->ignition != 255 ? s->ignition : (turning ? 1 : 255);
    ret->motion = ret->speed_src != OTR_SRC_NONE ? s->motion : 0;
    ret->mount = m->align.aligned ? 2 : m->gravity.known ? 1 : 0;
    mean_second(m, ret);
    ret->align_rho = (float)m->align.rho;
    ret->rpm = rpm ? (float)s->rpm : (float)NAN;
    ret->supply_v = m->now_us - s->supply_us < 60ll * OTR_MO_S ? (float)s->supply : (float)NAN;
    ret->bus_alive = m->now_us - s->bus_us < OTR_MO_S;
}
