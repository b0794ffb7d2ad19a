/* motion_slope.c: harsh driving from speed and heading alone, and spinning wheels.
 *
 * Works only while there is no IMU. A slope is taken over a second (OBD, GNSS) or 0.4 s (broadcast), never from two
 * neighbouring values, and has to be worth three steps of the source's resolution. Some OBD adapters repeat an answer until
 * they have a new one: the older value is taken for as old as its first appearance (up to 1.5 s more), otherwise two
 * seconds of gentle driving read as one of harsh.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "motion_parts.h"

#define SLOW_SPAN_S 0.9
#define FAST_SPAN_S 0.4
#define SLOW_SHARE 0.8 /* a second's mean is below the peak */
#define SLOW_GAP_S 2.1
#define HELD_US 1500000ll
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
                      .enter = limit,
                      .sign = 1,
                      .hold_s = slow ? 0 : (double)m->cfg.min_hold_s,
                      .gap_s = slow ? SLOW_GAP_S : (double)m->cfg.merge_gap_s,
                      .dt_s = dt < 2 ? dt : 2,
                      .gate = true};
    if (otr_mo_off(m, (enum otr_rule_bit)(OTR_RB_SLOPE_BRAKE + which)))
        return;
    bool was_off = m->slope.ep[which].state == 0;
    if (otr_mo_episode_step(m, sink, &m->slope.ep[which], &l) && was_off)
        m->slope.ep[which].ev.src_mask = (uint16_t)(1u << src);
}

static void spin(otr_motion *m, otr_mo_sink *sink, double slope_g) {
    if (otr_mo_off(m, OTR_RB_SPIN))
        return;
    const double *push = m->harsh.value; /* along the vehicle, or in the plane */
    double size2 = push[0] * push[0] + push[1] * push[1];
    bool felt = m->harsh.frame_aligned ? push[0] >= SPIN_FELT_G : size2 >= SPIN_FELT_G * SPIN_FELT_G;
    otr_mo_level l = {.kind = OTR_EV_WHEEL_SPIN,
                      .rule = OTR_RULE_SPIN,
                      .value = felt ? 0 : slope_g,
                      .limit = SPIN_G,
                      .enter = SPIN_G,
                      .sign = 1,
                      .hold_s = SPIN_HOLD_S,
                      .gap_s = (double)m->cfg.merge_gap_s,
                      .dt_s = 0.02,
                      .gate = true};
    otr_mo_episode_step(m, sink, &m->slope.spin, &l);
}

/* Seconds from the first appearance of the value that was current `age` seconds ago to now. */
static double since_it_came(const otr_mo_track *t, double value, double age) {
    uint32_t have = t->n < OTR_MO_HIST ? t->n : OTR_MO_HIST;
    int64_t begin = t->last_us - (int64_t)(age * 1e6 + 0.5), first = begin;
    for (uint32_t back = 1; back <= have; back++) {
        uint32_t i = (t->n - back) % OTR_MO_HIST;
        if (t->t_us[i] > begin)
            continue;
        if ((double)t->v[i] != value || begin - t->t_us[i] > HELD_US)
            break;
        first = t->t_us[i];
    }
    return (double)(t->last_us - first) * 1e-6;
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
        if (!slow && m->harsh.settled)
            spin(m, sink, slope / OTR_MO_G);
        return;
    }
    double change = t->last_v - before, share = slow ? SLOW_SHARE : 1;
    bool coarse = (change < 0 ? -change : change) < 3 * t->res && !otr_mo_off(m, OTR_RB_COARSE);
    bool from_zero = !(before > 0) && !otr_mo_off(m, OTR_RB_FROM_ZERO);
    double age = slope < 0 || slope > 0 ? change / slope : 1; /* s between the two values */
    if (slow && t->res > 0 && change != 0 && !otr_mo_off(m, OTR_RB_HELD)) {
        age = since_it_came(t, before, age);
        slope = change / age;
    }
    double g = coarse || from_zero ? 0 : slope / OTR_MO_G;
    bool any = otr_mo_off(m, OTR_RB_MIN_V), gained = any || t->last_v >= MIN_V, was = any || before >= MIN_V;
    double blur = slow ? t->res / age / OTR_MO_G : 0; /* what one step of the source may add */
    step(m, sink, OTR_MO_BRAKE, was ? -g - blur : 0, (double)m->cfg.brake_g * share, src);
    step(m, sink, OTR_MO_ACCEL, gained ? g - blur : 0, (double)m->cfg.accel_g * 1.2 * share, src);
    double rate = m->speed.heading_rate, lateral = t->last_v * (rate < 0 ? -rate : rate) / OTR_MO_G;
    bool fast = t->last_v >= CORNER_V || otr_mo_off(m, OTR_RB_CORNER_V);
    bool turned = m->now_us - m->speed.heading_us < OTR_MO_S && lateral == lateral;
    step(m, sink, OTR_MO_CORNER, turned && fast ? lateral : 0, (double)m->cfg.corner_g, src);
}
