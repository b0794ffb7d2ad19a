/* motion_attitude.c: has the vehicle rolled over?
 *
 * A complementary estimate of up: turned by the gyro, drawn to the accelerometer with 5 s, and only while its length
 * is within 10 % of 1 g: a fast bend (0.45 g and more) must not look like a bank. Compared with the slow gravity of
 * motion_gravity.c. More than 30 degrees for a second (the default of JT/T 808 parameter 0x5E), or 60 at once.
 * The 1 s mean of the accelerometer has to agree (25 degrees): a car that lies on its side feels it, while a wrong gyro
 * or a phone's own attitude filter in a bend does not. Without a gyro the accelerometer alone (1 s mean) has to say more
 * than 45 degrees for two seconds. A sensor that is too slow for pulses (below 40 Hz) has not seen the jolt with which a
 * box falls off its mount: it needs two seconds as well, and a vehicle that does not drive on as before.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "motion_parts.h"

#define TAU_S 5.0
#define HELD_COS 0.86603 /* 30 degrees */
#define FAR_COS 0.5      /* 60 degrees */
#define BLIND_COS 0.70711
#define FELT_COS 0.90631 /* 25 degrees */
#define HELD_S 1.0
#define BLIND_S 2.0
#define SLOWEST_S 0.025 /* 40 Hz */
#define DRIVES_MPS 2.8
#define LATER_US (5ll * OTR_MO_S)
#define WITNESS_US 1500000ll
#define MOVED_RECENTLY_US (10ll * OTR_MO_S)
#define LEVEL_COS 0.93969 /* 20 degrees: upright again */

static void turn(otr_mo_attitude *t, const otr_motion *m) {
    const otr_mo_imu *imu = &m->imu;
    double moved[3], n2 = imu->n2, dt = imu->dt_s;
    otr_mo_cross(imu->rate, t->up, moved); /* a fixed direction turns by -w x up in the sensor's frame */
    bool steady = n2 > 0.81 * m->gravity.unit2 && n2 < 1.21 * m->gravity.unit2;
    double share = imu->gyro ? (steady ? dt / TAU_S : 0) : dt;
    double scale = n2 > 0.0025 ? share / (sqrt(n2) * OTR_MO_G) : 0, keep = n2 > 0.0025 ? share : 0;
    double up[3] = {t->up[0] - moved[0] * dt, t->up[1] - moved[1] * dt, t->up[2] - moved[2] * dt};
    up[0] += scale * imu->acc[0] - keep * up[0];
    up[1] += scale * imu->acc[1] - keep * up[1];
    up[2] += scale * imu->acc[2] - keep * up[2];
    otr_mo_normalise(up);
    otr_mo_copy(t->up, up);
}

static bool in_crash(const otr_motion *m) {
    return m->crash.state == OTR_MO_CAPTURE || m->crash.state == OTR_MO_CONFIRM;
}

/* Up as it was before: after an impact gravity follows the wreck (motion_gravity.c), and would hide that it rolled. */
static const double *upright(const otr_motion *m) {
    return in_crash(m) ? m->crash.before_up : m->gravity.up;
}

/* A box that was knocked off its mount turns as well, in a car that drives on as before. */
static bool drives_on(const otr_motion *m) {
    double v = otr_mo_speed_now(m), before = m->crash.v_pre;
    if (otr_mo_off(m, OTR_RB_DRIVES_ON) || (!in_crash(m) && m->imu.period_s <= SLOWEST_S))
        return false;
    if (!in_crash(m))
        before = otr_mo_speed_extreme(m, m->now_us - MOVED_RECENTLY_US, m->now_us, true);
    return v >= 0.8 * before && (in_crash(m) || v > DRIVES_MPS);
}

/* A box in a parked car that is lifted out has not rolled over: the vehicle must have moved lately, or crashed. */
static bool plausible(const otr_motion *m) {
    if (otr_mo_off(m, OTR_RB_ROLL_MOVED))
        return true;
    double v = otr_mo_speed_extreme(m, m->now_us - MOVED_RECENTLY_US, m->now_us, true);
    return m->crash.state != OTR_MO_ARMED || v >= 1.4 || (m->speed.src == OTR_SRC_NONE && m->speed.ignition != 0);
}

static bool felt(const otr_motion *m) {
    return otr_mo_off(m, OTR_RB_ROLL_FELT) || otr_mo_wider(m->gravity.fast, upright(m), FELT_COS);
}

static void report(otr_motion *m, otr_mo_sink *sink, double cosine, bool far) {
    otr_event ev;
    double sine2 = 1 - cosine * cosine;
    m->attitude.angle = otr_mo_atan2(sine2 > 0 ? sqrt(sine2) : 0, cosine);
    otr_mo_event_init(m, &ev, OTR_EV_ROLLOVER, far ? OTR_RULE_ROLL_FAR : OTR_RULE_ROLL_HELD, m->imu.last_us);
    if (!far)
        ev.t0_us -= (int64_t)(m->attitude.over_s * 1e6);
    ev.flags = OTR_EVF_ROLLOVER;
    ev.level = 3;
    ev.conf = 0.9f;
    ev.limit = far ? 60 : 30;
    ev.src_mask = (uint16_t)(1u << m->imu.src);
    ev.v_pre_kmh = (float)(otr_mo_speed_extreme(m, ev.t0_us - 3 * OTR_MO_S, m->now_us, true) * OTR_MO_KMH);
    ev.v_impact_kmh = (float)(otr_mo_speed_at(m, ev.t0_us) * OTR_MO_KMH);
    otr_mo_alarm_say(m, sink, &ev);
    m->attitude.look_us = in_crash(m) ? OTR_MO_NEVER : m->now_us + LATER_US;
}

/* Five seconds later: a vehicle that goes on as fast as before has not rolled over; somebody has the box in his hand. GNSS
 * decides where there is one: wheels in the air turn for long. */
OTR_MO_RARE static void look_again(otr_motion *m, otr_mo_sink *sink) {
    otr_event *ev = &m->alarm.ev;
    double gnss = otr_mo_gnss_speed(m, WITNESS_US), v = gnss == gnss ? gnss : otr_mo_speed_now(m);
    m->attitude.look_us = OTR_MO_NEVER;
    bool open = ev->seq != 0 && ev->kind == OTR_EV_ROLLOVER && !in_crash(m) && !(ev->flags & OTR_EVF_AIRBAG);
    bool goes_on = v > DRIVES_MPS && v * OTR_MO_KMH >= 0.8 * (double)ev->v_pre_kmh;
    if (!open || !goes_on || otr_mo_off(m, OTR_RB_DRIVES_ON))
        return;
    ev->kind = OTR_EV_DEVICE_MOVED;
    ev->conf = 0.1f;
    ev->v_post_kmh = (float)(v * OTR_MO_KMH);
    ev->t_end_us = m->now_us;
    otr_mo_emit(m, sink, ev, OTR_PH_CANCELLED);
    ev->seq = 0;
}

void otr_mo_attitude_update(otr_motion *m, otr_mo_sink *sink) {
    otr_mo_attitude *t = &m->attitude;
    if (!m->gravity.known)
        return;
    if (t->look_us != OTR_MO_NEVER && m->now_us >= t->look_us)
        look_again(m, sink);
    if (!t->known || m->imu.gap) {
        for (int i = 0; i < 3; i++)
            t->up[i] = m->gravity.up[i];
        t->known = true;
        t->over_s = 0;
        t->over = false;
        return;
    }
    turn(t, m);
    double cosine = otr_mo_dot(t->up, upright(m));
    if (t->over) {
        t->over_s = cosine > LEVEL_COS ? t->over_s + m->imu.dt_s : 0;
        if (t->over_s > HELD_S)
            t->over = false;
        return;
    }
    bool leaning = cosine < (m->imu.gyro ? HELD_COS : BLIND_COS);
    t->over_s = leaning ? t->over_s + m->imu.dt_s : 0;
    bool quick = m->imu.gyro && m->imu.period_s <= SLOWEST_S;
    bool far = quick && cosine < FAR_COS, held = t->over_s >= (quick ? HELD_S : BLIND_S);
    far = far && !otr_mo_off(m, OTR_RB_ROLL_FAR);
    held = held && !otr_mo_off(m, OTR_RB_ROLL_HELD);
    if ((far || held) && felt(m) && plausible(m) && !drives_on(m)) {
        report(m, sink, cosine, far);
        t->over = true;
        t->over_s = 0;
    }
}
