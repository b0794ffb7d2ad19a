/* motion_harsh.c: harsh braking, acceleration, cornering and lane changes from the IMU.
 *
 * Horizontal acceleration through a 2 Hz Butterworth low-pass. With the mounting known, along and across the vehicle; without
 * it, the magnitude in the horizontal plane: a turn when the yaw rate says so, otherwise braking or acceleration by
 * the sign of the speed's slope.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "motion_state.h"

#define MIN_V (10 / OTR_MO_KMH)
#define TURN_RATE 0.2 /* rad/s */
#define YAW_TAU_S 0.25
#define FLIP_US (3ll * OTR_MO_S)
#define BUCKET_US 100000
#define SLOPE_SPAN_S 1.0

static void reset(otr_motion *m, otr_mo_sink *sink) {
    otr_mo_harsh *h = &m->harsh;
    otr_mo_level none = {0, 0, -1, 0, 0, 0, 0, 0, false};
    for (int i = 0; i < OTR_MO_CLASSES; i++) {
        if (h->ep[i].state >= 2) { /* on or cooling: let it end properly */
            otr_mo_episode_step(m, sink, &h->ep[i], &none);
            none.gap_s = -1;
            otr_mo_episode_step(m, sink, &h->ep[i], &none);
        }
        h->ep[i].state = 0;
    }
    h->settled = false;
}

static void keep_mean(otr_mo_harsh *h, int64_t now, double dt) {
    int64_t no = now / BUCKET_US;
    int i = (int)(((no % 10) + 10) % 10);
    if (h->bucket_no[i] != no) {
        h->bucket_no[i] = no;
        h->bucket_s[i] = h->bucket_sum[i][0] = h->bucket_sum[i][1] = 0;
    }
    h->bucket_s[i] += dt;
    h->bucket_sum[i][0] += h->value[0] * dt;
    h->bucket_sum[i][1] += h->value[1] * dt;
}

static void update_filters(otr_motion *m) {
    otr_mo_harsh *h = &m->harsh;
    const otr_mo_align *a = &m->align;
    const double *axis[2] = {a->aligned ? a->fwd : a->e1, a->aligned ? a->left : a->e2};
    double x[3], yaw = m->imu.gyro ? otr_mo_dot(m->imu.rate, m->gravity.up) : 0;
    for (int i = 0; i < 3; i++)
        x[i] = m->imu.acc[i] - m->gravity.g[i];
    if (!h->settled || m->imu.gap) {
        for (int i = 0; i < 2; i++)
            otr_mo_settle(&m->imu.harsh, &h->f[i], 0);
        h->yaw = yaw;
        h->settled = true;
    }
    for (int i = 0; i < 2; i++)
        h->value[i] = otr_mo_filter(&m->imu.harsh, &h->f[i], otr_mo_dot(x, axis[i])) / OTR_MO_G;
    double share = m->imu.dt_s / YAW_TAU_S;
    h->yaw += (share < 1 ? share : 1) * (yaw - h->yaw);
}

/* -1 slowing, +1 gaining, 0 unknown */
static int trend(const otr_motion *m) {
    double slope, before;
    if (m->speed.src == OTR_SRC_NONE ||
        !otr_mo_speed_slope(&m->speed.track[m->speed.src], SLOPE_SPAN_S, &slope, &before))
        return 0;
    return slope < -0.3 ? -1 : slope > 0.3 ? 1 : 0;
}

static void step(otr_motion *m, otr_mo_sink *sink, int which, double value, double limit, double sign) {
    static const uint8_t kinds[OTR_MO_CLASSES] = {OTR_EV_HARSH_BRAKE, OTR_EV_HARSH_ACCEL, OTR_EV_HARSH_CORNER};
    otr_mo_harsh *h = &m->harsh;
    double v = otr_mo_speed_now(m);
    otr_mo_level l = {.kind = kinds[which],
                      .rule = (h->frame_aligned ? OTR_RULE_IMU_AXES : OTR_RULE_IMU_PLANE) + which + 1,
                      .value = value,
                      .limit = limit,
                      .sign = sign,
                      .hold_s = (double)m->cfg.min_hold_s,
                      .gap_s = (double)m->cfg.merge_gap_s,
                      .dt_s = m->imu.dt_s,
                      .gate = !(v < MIN_V) && m->crash.state != OTR_MO_CAPTURE};
    otr_mo_episode *e = &h->ep[which];
    bool was_off = e->state == 0;
    if (!otr_mo_episode_step(m, sink, e, &l))
        return;
    if (was_off) {
        e->ev.src_mask = (uint16_t)(1u << m->imu.src);
        e->ev.flags = h->frame_aligned ? OTR_EVF_ALIGNED : 0;
        e->first[0] = h->value[0];
        e->first[1] = h->value[1];
    }
}

/* The other sign within three seconds: a lane change, not a bend. */
static void look_for_flip(otr_motion *m, double value) {
    otr_mo_harsh *h = &m->harsh;
    otr_mo_episode *e = &h->ep[OTR_MO_CORNER];
    bool open = e->state >= 2 && m->now_us - e->over_us <= FLIP_US;
    double along = h->value[0] * e->first[0] + h->value[1] * e->first[1];
    bool other = h->frame_aligned ? h->value[1] * e->first[1] < 0 : along < 0;
    if (open && other && value >= (double)m->cfg.lane_g && e->peak >= (double)m->cfg.lane_g) {
        e->flipped = true;
        e->ev.rule = (uint16_t)((h->frame_aligned ? OTR_RULE_IMU_AXES : OTR_RULE_IMU_PLANE) + 4);
        e->ev.limit = m->cfg.lane_g;
    }
}

static void judge_axes(otr_motion *m, otr_mo_sink *sink) {
    const otr_mo_harsh *h = &m->harsh;
    double along = h->value[0], across = h->value[1] < 0 ? -h->value[1] : h->value[1];
    step(m, sink, OTR_MO_BRAKE, -along, (double)m->cfg.brake_g, -1);
    step(m, sink, OTR_MO_ACCEL, along, (double)m->cfg.accel_g, 1);
    look_for_flip(m, across);
    step(m, sink, OTR_MO_CORNER, across, (double)m->cfg.corner_g, h->value[1] < 0 ? -1 : 1);
}

static void judge_plane(otr_motion *m, otr_mo_sink *sink) {
    const otr_mo_harsh *h = &m->harsh;
    double size = sqrt(h->value[0] * h->value[0] + h->value[1] * h->value[1]);
    bool turning = h->yaw > TURN_RATE || h->yaw < -TURN_RATE;
    int way = trend(m);
    step(m, sink, OTR_MO_BRAKE, !turning && way <= 0 ? size : 0, (double)m->cfg.brake_g, -1);
    step(m, sink, OTR_MO_ACCEL, !turning && way > 0 ? size : 0, (double)m->cfg.accel_g, 1);
    look_for_flip(m, size);
    step(m, sink, OTR_MO_CORNER, turning ? size : 0, (double)m->cfg.corner_g, 1);
}

void otr_mo_harsh_imu(otr_motion *m, otr_mo_sink *sink) {
    otr_mo_harsh *h = &m->harsh;
    if (!m->gravity.known || !m->align.basis)
        return;
    if (h->frame_aligned != m->align.aligned || m->imu.gap)
        reset(m, sink);
    h->frame_aligned = m->align.aligned;
    update_filters(m);
    keep_mean(h, m->imu.last_us, m->imu.dt_s);
    if (h->frame_aligned)
        judge_axes(m, sink);
    else
        judge_plane(m, sink);
}
