/* motion_slope.c: harsh driving from speed and heading alone, and spinning wheels.
 *
 * Works only while there is no IMU. A slope is taken over a second (OBD, GNSS) or 0.4 s (broadcast), never from two
 * neighbouring values, and has to be worth three steps of the source's resolution.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "motion_state.h"

#define SLOW_SPAN_S 0.9
#define FAST_SPAN_S 0.4
#define SLOW_SHARE 0.5 /* a second's mean reaches half the peak of a manoeuvre */
#define SLOW_GAP_S 2.1
#define MIN_V (10 / OTR_MO_KMH)
#define CORNER_V (30 / OTR_MO_KMH)
#define IMU_DEAD_US (1ll * OTR_MO_S)
#define SPIN_G 0.5
#define SPIN_FELT_G 0.2
#define SPIN_HOLD_S 0.2

static void step(otr_motion *m, otr_mo_sink *sink, int which, double value, double limit, uint8_t src) {
    static const uint8_t kinds[OTR_MO_CLASSES] = {OTR_EV_HARSH_BRAKE, OTR_EV_HARSH_ACCEL, OTR_EV_HARSH_CORNER};
    const otr_mo_track *t = &m->speed.track[src];
    bool slow = src != OTR_SRC_CAN;
    double dt = t->before_us == OTR_MO_NEVER ? 0 : (double)(m->now_us - t->before_us) * 1e-6;
    otr_mo_level l = {.kind = kinds[which],
                      .rule = OTR_RULE_SPEED + which + 1,
                      .value = value,
                      .limit = limit,
                      .sign = 1,
                      .hold_s = slow ? 0 : (double)m->cfg.min_hold_s,
                      .gap_s = slow ? SLOW_GAP_S : (double)m->cfg.merge_gap_s,
                      .dt_s = dt < 2 ? dt : 2,
                      .gate = t->last_v >= (which == OTR_MO_CORNER ? CORNER_V : 0)};
    bool was_off = m->slope.ep[which].state == 0;
    if (otr_mo_episode_step(m, sink, &m->slope.ep[which], &l) && was_off)
        m->slope.ep[which].ev.src_mask = (uint16_t)(1u << src);
}

static void spin(otr_motion *m, otr_mo_sink *sink, double slope_g) {
    bool felt = m->harsh.value[0] >= SPIN_FELT_G;
    otr_mo_level l = {.kind = OTR_EV_WHEEL_SPIN,
                      .rule = OTR_RULE_SPIN,
                      .value = felt ? 0 : slope_g,
                      .limit = SPIN_G,
                      .sign = 1,
                      .hold_s = SPIN_HOLD_S,
                      .gap_s = (double)m->cfg.merge_gap_s,
                      .dt_s = 0.02,
                      .gate = true};
    otr_mo_episode_step(m, sink, &m->slope.spin, &l);
}

void otr_mo_slope_speed(otr_motion *m, otr_mo_sink *sink, uint8_t src) {
    const otr_mo_track *t = &m->speed.track[src];
    double slope, before;
    if (src != m->speed.src || t->last_us != m->now_us)
        return;
    bool slow = src != OTR_SRC_CAN, imu = m->imu.count > 8 && m->now_us - m->imu.last_us < IMU_DEAD_US;
    if (!otr_mo_speed_slope(t, slow ? SLOW_SPAN_S : FAST_SPAN_S, &slope, &before))
        return;
    if (imu) {
        if (!slow && m->harsh.frame_aligned)
            spin(m, sink, slope / OTR_MO_G);
        return;
    }
    double change = t->last_v - before, share = slow ? SLOW_SHARE : 1;
    bool coarse = (change < 0 ? -change : change) < 3 * t->res, from_zero = !(before > 0);
    double g = coarse || from_zero ? 0 : slope / OTR_MO_G;
    bool gained = t->last_v >= MIN_V, was = before >= MIN_V;
    step(m, sink, OTR_MO_BRAKE, was ? -g : 0, (double)m->cfg.brake_g * share, src);
    step(m, sink, OTR_MO_ACCEL, gained ? g : 0, (double)m->cfg.accel_g * 1.2 * share, src);
    double rate = m->speed.heading_rate, lateral = t->last_v * (rate < 0 ? -rate : rate) / OTR_MO_G;
    bool turned = m->now_us - m->speed.heading_us < OTR_MO_S && lateral == lateral;
    step(m, sink, OTR_MO_CORNER, turned && t->last_v >= CORNER_V ? lateral : 0, (double)m->cfg.corner_g, src);
}
