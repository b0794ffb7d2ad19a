/* motion_infer.c: a crash without a pulse on the IMU: speed that ends too quickly, buses that fall silent at speed.
 *
 * Rules C2 to C5 of docs/reference/events.md. Such an incident is said at once (SUSPECT: the power may be about to go)
 * and explained later: the phases share the number of the event, while its kind may become more exact. Whatever
 * explains it harmlessly (the car drives on by GNSS, the engine still turns at road speed, other wheels disagree, the
 * IMU felt nothing) cancels it and names the harmless kind.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "motion_parts.h"

#define MIN_V0 (20 / OTR_MO_KMH)
#define CAN_SLOPE (1.3 * OTR_MO_G)
#define CAN_SPAN_S 0.2
#define CAN_STEP_US 150000 /* 10 Hz with some jitter */
#define STEP_DROP (25 / OTR_MO_KMH)
#define STEP_US 1200000
#define TYRES (1.05 * OTR_MO_G)
#define ZERO (1 / OTR_MO_KMH)
#define STOPPED (3 / OTR_MO_KMH)
#define LOOK_US (1ll * OTR_MO_S)
#define GNSS_DECIDES_US (2ll * OTR_MO_S)
#define GNSS_STOP_US (5ll * OTR_MO_S)
#define CAN_HOLD_US (3ll * OTR_MO_S)
#define STEP_HOLD_US (10ll * OTR_MO_S)
#define END_US (12ll * OTR_MO_S)
#define REST_US (10ll * OTR_MO_S)
#define IMU_ALIVE_US 300000
#define RPM_MIN 1200.0

static bool imu_alive(const otr_motion *m, int64_t since) {
    return m->imu.count > 100 && m->imu.last_us >= since && m->now_us - m->imu.last_us < IMU_ALIVE_US;
}

static bool imu_felt_it(const otr_motion *m, int64_t about) {
    return m->crash.push_us > about - 2 * OTR_MO_S;
}

/* Lives, and felt nothing. */
static bool imu_denies(const otr_motion *m, int64_t since, int64_t about) {
    return imu_alive(m, since) && !imu_felt_it(m, about) && !otr_mo_off(m, OTR_RB_IMU_WITNESS);
}

static bool crash_running(const otr_motion *m) {
    return m->crash.state != OTR_MO_ARMED;
}

static void open_incident(otr_motion *m, otr_mo_sink *sink, int kind, int rule, double v0, float conf, uint8_t src) {
    otr_mo_infer *f = &m->infer;
    bool rests = m->now_us - f->quiet_us < REST_US && !otr_mo_off(m, OTR_RB_REST);
    if (f->open || crash_running(m) || rests)
        return;
    f->open = true;
    f->start_us = m->now_us;
    f->stand_us = OTR_MO_NEVER;
    f->v0 = v0;
    f->low = 0;
    f->braked = false;
    f->rpm0 = m->speed.rpm_before;
    f->src = src;
    otr_mo_event_init(m, &f->ev, kind, rule, m->now_us);
    f->ev.conf = conf;
    f->ev.level = kind == OTR_EV_SPEED_SENSOR_LOST ? 1 : 2;
    f->ev.v_pre_kmh = (float)(v0 * OTR_MO_KMH);
    f->ev.src_mask = (uint16_t)(1u << src);
    otr_mo_emit(m, sink, &f->ev, OTR_PH_SUSPECT);
}

static void finish(otr_motion *m, otr_mo_sink *sink, int kind, float conf, int phase) {
    otr_mo_infer *f = &m->infer;
    f->ev.kind = (uint16_t)kind;
    f->ev.conf = conf;
    f->ev.t_end_us = m->now_us;
    double v = otr_mo_speed_extreme(m, f->start_us, m->now_us, false);
    f->ev.v_post_kmh = (float)(v * OTR_MO_KMH);
    otr_mo_emit(m, sink, &f->ev, phase);
    f->open = false;
    f->quiet_us = m->now_us;
}

/* ---- what speaks against a stop ----------------------------------------------------------------- */

static bool engine_at_speed(const otr_motion *m) {
    const otr_mo_speed *s = &m->speed;
    bool fresh = s->rpm_us > m->infer.start_us && m->now_us - s->rpm_us < 2 * OTR_MO_S;
    return fresh && !otr_mo_off(m, OTR_RB_RPM_WITNESS) && s->rpm >= RPM_MIN && s->rpm >= 0.75 * m->infer.rpm0;
}

static bool wheels_turn(const otr_motion *m) {
    const otr_mo_speed *s = &m->speed;
    bool fresh = m->now_us - s->wheels_us <= OTR_MO_S && s->wheels_us > m->infer.start_us;
    if (!fresh || otr_mo_off(m, OTR_RB_WHEEL_WITNESS))
        return false;
    for (int i = 0; i < 4; i++)
        if (s->wheels[i] > 0.5 * m->infer.v0)
            return true;
    return false;
}

/* GNSS speed of after the begin, NaN none. A source is no witness against itself. */
static double witness(const otr_motion *m) {
    const otr_mo_speed *s = &m->speed;
    if (otr_mo_off(m, OTR_RB_GNSS_WITNESS))
        return (double)NAN;
    for (uint8_t src = OTR_SRC_GNSS_SERIAL; src <= OTR_SRC_GNSS_CAN; src++) {
        const otr_mo_track *t = &s->track[src];
        if (src != m->infer.src && t->last_us > m->infer.start_us && m->now_us - t->last_us < 2 * OTR_MO_S)
            return t->last_v;
    }
    return (double)NAN;
}

/* ---- the rules that open ------------------------------------------------------------------------ */

static void can_stop(otr_motion *m, otr_mo_sink *sink, const otr_mo_track *t) {
    double slope, before;
    if (otr_mo_off(m, OTR_RB_CAN_STOP) || m->now_us - t->before_us > CAN_STEP_US || t->last_v > STOPPED)
        return;
    if (!otr_mo_speed_slope(t, CAN_SPAN_S, &slope, &before) || before < MIN_V0 || -slope < CAN_SLOPE ||
        before - t->last_v < 3 * t->res)
        return;
    open_incident(m, sink, OTR_EV_CRASH_INFERRED, OTR_RULE_CAN_STOP, before, 0.3f, OTR_SRC_CAN);
}

static void step_stop(otr_motion *m, otr_mo_sink *sink, const otr_mo_track *t, uint8_t src) {
    if (otr_mo_off(m, OTR_RB_STEP_STOP) || t->before_us == OTR_MO_NEVER || m->now_us - t->before_us > STEP_US)
        return;
    double drop = t->before_v - t->last_v;
    if (t->before_v < MIN_V0 || drop < STEP_DROP || drop < 3 * t->res)
        return;
    bool imu = imu_alive(m, m->now_us - OTR_MO_S) && !otr_mo_off(m, OTR_RB_IMU_WITNESS);
    bool braked = drop <= TYRES * (double)(m->now_us - t->before_us) * 1e-6, felt = imu && imu_felt_it(m, m->now_us);
    if (felt && braked)
        return; /* a push that tyres can make, and no pulse */
    if (imu && !felt)
        open_incident(m, sink, OTR_EV_SPEED_SENSOR_LOST, OTR_RULE_STEP_STOP, t->before_v, 0.1f, src);
    else
        open_incident(m, sink, OTR_EV_CRASH_INFERRED, OTR_RULE_STEP_STOP, t->before_v, 0.25f, src);
    if (m->infer.start_us == m->now_us) {
        m->infer.low = t->last_v;
        m->infer.braked = braked;
    }
}

void otr_mo_infer_speed(otr_motion *m, otr_mo_sink *sink, uint8_t src) {
    const otr_mo_track *t = &m->speed.track[src];
    if (t->last_us != m->now_us || src != m->speed.src)
        return;
    if (src == OTR_SRC_CAN)
        can_stop(m, sink, t);
    else
        step_stop(m, sink, t, src);
}

void otr_mo_infer_sna(otr_motion *m, otr_mo_sink *sink, uint8_t src) {
    otr_mo_track *t = &m->speed.track[src];
    bool first = t->sna_us < t->last_us;
    t->sna_us = m->now_us;
    bool asked = first && !otr_mo_off(m, OTR_RB_ZERO_SILENCE);
    if (asked && m->now_us - t->last_us < STEP_US && t->last_v >= MIN_V0)
        open_incident(m, sink, OTR_EV_SPEED_SENSOR_LOST, OTR_RULE_ZERO_SILENCE, t->last_v, 0.1f, src);
}

/* The last speed before the silence; a zero that came in one step is not believed (rule C5). */
static double speed_before(const otr_motion *m, bool *ret_zero, bool *ret_obd) {
    const otr_mo_speed *s = &m->speed;
    *ret_zero = false;
    for (uint8_t src = OTR_SRC_CAN; src < OTR_MO_SOURCES; src++) {
        const otr_mo_track *t = &s->track[src];
        if (m->now_us - t->last_us > 3 * OTR_MO_S)
            continue;
        *ret_obd = src == OTR_SRC_OBD;
        bool step = t->before_us != OTR_MO_NEVER && t->last_us - t->before_us <= STEP_US;
        *ret_zero = step && t->last_v < ZERO && t->before_v >= MIN_V0 && !otr_mo_off(m, OTR_RB_ZERO_SILENCE);
        return *ret_zero ? t->before_v : t->last_v;
    }
    return (double)NAN;
}

static void silence(otr_motion *m, otr_mo_sink *sink) {
    const otr_mo_speed *s = &m->speed;
    bool zero, obd = false;
    double v0 = speed_before(m, &zero, &obd);
    bool switched_off = s->ignition == 0 || m->now_us - s->off_us < 2 * OTR_MO_S;
    switched_off = switched_off && !otr_mo_off(m, OTR_RB_SWITCHED_OFF);
    if (!(v0 >= MIN_V0) || switched_off || otr_mo_off(m, OTR_RB_SILENCE))
        return;
    if (m->infer.open) {
        if (m->infer.ev.kind != OTR_EV_POWER_LOST_MOVING) /* a stop, then silence: rule C5 */
            m->infer.ev.rule = OTR_RULE_ZERO_SILENCE;
        return;
    }
    open_incident(m, sink, OTR_EV_POWER_LOST_MOVING, zero ? OTR_RULE_ZERO_SILENCE : OTR_RULE_SILENCE, v0, 0.3f,
                  obd ? OTR_SRC_OBD : OTR_SRC_CAN);
}

/* ---- what it was --------------------------------------------------------------------------------- */

static void explain_silence(otr_motion *m, otr_mo_sink *sink) {
    otr_mo_infer *f = &m->infer;
    int64_t age = m->now_us - f->start_us;
    double gnss = witness(m);
    bool back = m->speed.silent_us == OTR_MO_NEVER, off = m->speed.off_us > f->start_us && age < 2 * OTR_MO_S;
    if (off || (back && otr_mo_speed_now(m) > 0.5 * f->v0) || (gnss > 0.5 * f->v0 && age >= GNSS_DECIDES_US)) {
        finish(m, sink, OTR_EV_BUS_LOST_MOVING, 0, OTR_PH_CANCELLED);
    } else if (imu_denies(m, f->start_us, f->start_us) && age >= LOOK_US) {
        finish(m, sink, OTR_EV_BUS_LOST_MOVING, 0.1f, OTR_PH_CANCELLED);
    } else if (gnss < STOPPED && age <= GNSS_STOP_US) {
        f->ev.flags |= OTR_EVF_STANDSTILL;
        finish(m, sink, OTR_EV_CRASH_INFERRED, 0.6f, OTR_PH_CLOSED);
    } else if (age >= GNSS_STOP_US) {
        finish(m, sink, OTR_EV_POWER_LOST_MOVING, 0.3f, OTR_PH_CLOSED);
    }
}

/* The speed is back: for a broadcast that said it stood, at all; for a step, half of what it lost. */
static bool drives_on(const otr_motion *m, double v) {
    const otr_mo_infer *f = &m->infer;
    return f->src == OTR_SRC_CAN ? v > 10 / OTR_MO_KMH : v > 0.5 * (f->v0 + f->low);
}

static void explain_stop(otr_motion *m, otr_mo_sink *sink) {
    otr_mo_infer *f = &m->infer;
    int64_t age = m->now_us - f->start_us;
    double v = otr_mo_speed_now(m), gnss = witness(m);
    bool lost = f->ev.kind == OTR_EV_SPEED_SENSOR_LOST;
    bool braked = m->speed.brake && m->now_us - m->speed.brake_us < 2 * OTR_MO_S;
    if (age >= LOOK_US && gnss > 0.5 * f->v0) {
        bool lockup = !lost && f->src == OTR_SRC_CAN && braked;
        finish(m, sink, lockup ? OTR_EV_WHEEL_LOCKUP : OTR_EV_SPEED_SENSOR_LOST, 0, OTR_PH_CANCELLED);
    } else if (age >= LOOK_US && (engine_at_speed(m) || wheels_turn(m))) {
        finish(m, sink, OTR_EV_SPEED_SENSOR_LOST, 0.1f, OTR_PH_CANCELLED);
    } else if (age >= LOOK_US && !lost && imu_denies(m, f->start_us, f->start_us)) {
        finish(m, sink, braked ? OTR_EV_WHEEL_LOCKUP : OTR_EV_SPEED_SENSOR_LOST, 0.1f, OTR_PH_CANCELLED);
    } else if (age >= LOOK_US && drives_on(m, v)) {
        finish(m, sink, OTR_EV_SPEED_SENSOR_LOST, 0.05f, OTR_PH_CANCELLED);
    } else if (f->stand_us != OTR_MO_NEVER && !lost &&
               m->now_us - f->stand_us >= (f->src == OTR_SRC_CAN ? CAN_HOLD_US : STEP_HOLD_US)) {
        f->ev.flags |= OTR_EVF_STANDSTILL;
        finish(m, sink, OTR_EV_CRASH_INFERRED, f->braked ? 0.25f : 0.5f, OTR_PH_CLOSED);
    } else if (age >= END_US) {
        finish(m, sink, f->ev.kind, f->ev.conf, OTR_PH_CLOSED);
    }
}

void otr_mo_infer_tick(otr_motion *m, otr_mo_sink *sink) {
    otr_mo_infer *f = &m->infer;
    const otr_mo_speed *s = &m->speed;
    int64_t quiet = (int64_t)((double)m->cfg.silence_s * 1e6);
    bool silent = s->silent_us != OTR_MO_NEVER && m->now_us - s->bus_us >= quiet;
    bool just = silent && m->now_us - s->bus_us < quiet + 2 * OTR_MO_S;
    if (just && crash_running(m) && m->crash.power_us == OTR_MO_NEVER)
        m->crash.power_us = s->silent_us;
    if (just)
        silence(m, sink);
    if (!f->open)
        return;
    double v = otr_mo_speed_now(m);
    if (v == v) {
        if (!(v < STOPPED))
            f->stand_us = OTR_MO_NEVER;
        else if (f->stand_us == OTR_MO_NEVER)
            f->stand_us = m->now_us;
    }
    if (silent && f->ev.kind != OTR_EV_SPEED_SENSOR_LOST)
        explain_silence(m, sink);
    else if (f->ev.kind == OTR_EV_POWER_LOST_MOVING)
        explain_silence(m, sink);
    else
        explain_stop(m, sink);
}
