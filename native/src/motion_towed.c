/* motion_towed.c: a parked car that is moved or tilted: a tow truck, a jack, a thief.
 *
 * Parked: ignition off; without that line, two minutes of standing and no engine. Once it has stood for half a minute
 * with the ignition off, a GNSS that moves at more than 5 km/h for five seconds is somebody else's doing (rule 27). The
 * lie of the car is kept ten seconds after it came to rest; more than 3 degrees elsewhere for a minute is a jack or a
 * loading ramp (rule 28): people and luggage tilt a car by 1 to 1.5 degrees. A slammed door is over at once, and what turns
 * by more than 25 degrees is the box, not the car (rule 25). Looked at with each tick. Said once: again only after the car has
 * been driven, or, for a tilt, from the new lie on.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "motion_parts.h"

#define ENGINE_US (2ll * OTR_MO_S)
#define STANDING_US (120ll * OTR_MO_S)
#define REST_US (30ll * OTR_MO_S)
#define LIE_US (10ll * OTR_MO_S)
#define MOVING (5 / OTR_MO_KMH)
#define MOVING_US (5ll * OTR_MO_S)
#define FIX_US (2500000ll)
#define TILT_COS 0.99863 /* 3 degrees */
#define BOX_COS 0.90631  /* 25 degrees */
#define TILT_US (60ll * OTR_MO_S)
#define IMU_US (1ll * OTR_MO_S)

static bool is_parked(const otr_motion *m) {
    const otr_mo_speed *s = &m->speed;
    if (s->ignition != 255)
        return s->ignition == 0;
    bool engine = m->now_us - s->rpm_us < ENGINE_US && s->rpm > 0;
    return !engine && s->motion == 1 && s->slow_us != OTR_MO_NEVER && m->now_us - s->slow_us >= STANDING_US;
}

static void say(otr_motion *m, otr_mo_sink *sink, int rule, int64_t t0_us, float limit, uint8_t src) {
    otr_event ev;
    otr_mo_event_init(m, &ev, OTR_EV_TOWED, rule, t0_us);
    ev.level = 2;
    ev.conf = 0.8f;
    ev.limit = limit;
    ev.src_mask = (uint16_t)(1u << src);
    ev.v_post_kmh = (float)(otr_mo_gnss_speed(m, FIX_US) * OTR_MO_KMH);
    otr_mo_emit(m, sink, &ev, OTR_PH_CONFIRMED);
}

/* Somebody else moves it: the ignition line says off, and a GNSS goes. */
static void look_at_place(otr_motion *m, otr_mo_sink *sink) {
    otr_mo_towed *t = &m->towed;
    double v = otr_mo_gnss_speed(m, FIX_US);
    if (!(v > MOVING)) {
        t->move_us = OTR_MO_NEVER;
        t->rested = t->rested || m->now_us - t->parked_us >= REST_US;
        return;
    }
    if (!t->rested) { /* it still rolls */
        t->parked_us = m->now_us;
        return;
    }
    if (t->move_us == OTR_MO_NEVER)
        t->move_us = m->now_us;
    if (t->moved || m->speed.ignition != 0 || m->now_us - t->move_us < MOVING_US)
        return;
    t->moved = true;
    uint8_t src = otr_mo_speed_fresh(m, OTR_SRC_GNSS_SERIAL) ? OTR_SRC_GNSS_SERIAL : OTR_SRC_GNSS_CAN;
    say(m, sink, OTR_RULE_TOWED_MOVING, t->move_us, 5, src);
}

static void look_at_lie(otr_motion *m, otr_mo_sink *sink) {
    otr_mo_towed *t = &m->towed;
    double now[3];
    otr_mo_copy(now, m->gravity.fast);
    bool felt = m->gravity.known && m->now_us - m->imu.last_us < IMU_US && otr_mo_normalise(now);
    if (!felt || !t->rested || t->move_us != OTR_MO_NEVER)
        return;
    if (!t->lies) {
        t->lies = m->gravity.still_s * 1e6 >= (double)LIE_US;
        otr_mo_copy(t->up, now);
        t->tilt_us = OTR_MO_NEVER;
        return;
    }
    double cosine = otr_mo_dot(now, t->up);
    if (cosine >= TILT_COS || cosine < BOX_COS) {
        t->tilt_us = OTR_MO_NEVER;
        return;
    }
    if (t->tilt_us == OTR_MO_NEVER)
        t->tilt_us = m->now_us;
    if (m->now_us - t->tilt_us < TILT_US)
        return;
    say(m, sink, OTR_RULE_TOWED_TILT, t->tilt_us, 3, m->imu.src);
    t->lies = false;
}

void otr_mo_towed_tick(otr_motion *m, otr_mo_sink *sink) {
    otr_mo_towed *t = &m->towed;
    if (!is_parked(m)) {
        t->parked = false;
        return;
    }
    if (!t->parked) {
        *t = (otr_mo_towed){.parked = true, .parked_us = m->now_us, .move_us = OTR_MO_NEVER, .tilt_us = OTR_MO_NEVER};
        return;
    }
    if (!otr_mo_off(m, OTR_RB_TOWED_MOVING))
        look_at_place(m, sink);
    else
        t->rested = t->rested || m->now_us - t->parked_us >= REST_US;
    if (!otr_mo_off(m, OTR_RB_TOWED_TILT))
        look_at_lie(m, sink);
}
