/* motion_gravity.c: where up is, and when the sensor lies still.
 *
 * Gravity is a slow mean of the specific force, taken only while its length is near 1 g (| |a|^2 - 1 | < 0.3 g^2, in
 * units of the sensor's own g: a gain that is 20 % off must not keep the detector blind) and
 * never while a crash is being captured or confirmed: the pulse and what follows must not bend the frame it is
 * measured in. The first seconds are a plain mean, so that a young stream is usable at once; then the time constant
 * is 20 s: a brake of 0.4 g over three seconds tilts it by 3 degrees, 10 s would be 6.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "motion_parts.h"

#define TAU_S 20.0
#define STILL_VAR 4e-4  /* variance of |a|^2 in g^4: about 0.01 g of noise */
#define STILL_RATE 0.05 /* rad/s */
#define KNOWN_STILL_S 1.0
#define KNOWN_MOVING_S 10.0
#define TURNED_COS 0.90631 /* 25 degrees */
#define TURNED_S 30.0
#define WRECK_COS 0.93969 /* 20 degrees */
#define TURN_RATE 0.35    /* rad/s: a device that is being handled */

static void note_stillness(otr_mo_gravity *g, const otr_mo_imu *imu, double n2) {
    if (imu->gap) {
        g->mean_n2 = n2;
        g->mean_n4 = n2 * n2;
        g->still_s = 0;
        return;
    }
    double share = imu->dt_s < 1 ? imu->dt_s : 1; /* of a mean over one second */
    g->mean_n2 += share * (n2 - g->mean_n2);
    g->mean_n4 += share * (n2 * n2 - g->mean_n4);
    double var = g->mean_n4 - g->mean_n2 * g->mean_n2;
    bool quiet = !imu->gyro || otr_mo_dot(imu->rate, imu->rate) < STILL_RATE * STILL_RATE;
    g->still_s = var < STILL_VAR && quiet && n2 > 0.8 * g->unit2 && n2 < 1.2 * g->unit2 ? g->still_s + imu->dt_s : 0;
}

/* The sensor's own 1 g: a mean of |a|^2 over all that is not an impact, between 0.6 and 1.6 (gain errors of a quarter). */
static void note_unit(otr_mo_gravity *g, double n2, double dt) {
    double limited = n2 < 0.5 ? 0.5 : n2 > 2 ? 2 : n2, age = g->unit_s + dt;
    g->unit2 += dt / (age < TAU_S ? age : TAU_S) * (limited - g->unit2);
    g->unit2 = g->unit2 < 0.6 ? 0.6 : g->unit2 > 1.6 ? 1.6 : g->unit2;
    g->unit_s = age < TAU_S ? age : TAU_S;
}

/* The gyro's zero, from stretches in which the sensor lies still and the vehicle is not known to move. */
static void note_bias(otr_motion *m) {
    otr_mo_gravity *g = &m->gravity;
    if (!m->imu.gyro || g->still_s < 1.0 || m->speed.motion == 2)
        return;
    g->bias_s = g->bias_s < 30 ? g->bias_s + m->imu.dt_s : g->bias_s;
    double share = m->imu.dt_s / (g->bias_s > 1 ? g->bias_s : 1);
    g->bias[0] += share * m->imu.rate[0];
    g->bias[1] += share * m->imu.rate[1];
    g->bias[2] += share * m->imu.rate[2];
}

static void adopt_up(otr_mo_gravity *g) {
    double up[3] = {g->g[0], g->g[1], g->g[2]};
    if (otr_mo_normalise(up))
        otr_mo_copy(g->up, up);
}

/* The box has been turned in its mount: the quick mean has pointed elsewhere for long. Start over. */
static void note_turned(otr_motion *m, otr_mo_sink *sink) {
    otr_mo_gravity *g = &m->gravity;
    if (!g->known || otr_mo_off(m, OTR_RB_TURNED))
        return;
    bool elsewhere = otr_mo_wider(g->fast, m->align.aligned ? m->align.up : g->up, TURNED_COS);
    if (!elsewhere) {
        g->turned_s = 0;
        return;
    }
    bool rolling = otr_mo_dot(m->imu.rate, m->imu.rate) > TURN_RATE * TURN_RATE;
    if (rolling)
        return;
    g->turned_s += m->imu.dt_s;
    if (g->turned_s < TURNED_S)
        return;
    otr_event ev;
    otr_mo_event_init(m, &ev, OTR_EV_DEVICE_MOVED, OTR_RULE_TURNED, m->imu.last_us - (int64_t)(TURNED_S * 1e6));
    ev.conf = 0.9f;
    ev.level = 1;
    ev.limit = 25;
    ev.t_end_us = m->imu.last_us;
    otr_mo_emit(m, sink, &ev, OTR_PH_CONFIRMED);
    otr_mo_gravity_adopt(m, g->fast);
}

void otr_mo_gravity_adopt(otr_motion *m, const double to[3]) {
    otr_mo_gravity *g = &m->gravity;
    double now[3] = {to[0], to[1], to[2]};
    otr_mo_copy(g->g, now);
    otr_mo_copy(g->fast, now);
    adopt_up(g);
    g->turned_s = 0;
    m->align.aligned = false;
    m->align.basis = false;
    m->attitude.known = false;
}

/* After an impact the box or the car may lie otherwise: the frozen gravity would then read as a steady push and every
 * window as a new impact. Once the quick mean has settled elsewhere, it is the better one. */
static void follow_wreck(otr_motion *m) {
    otr_mo_gravity *g = &m->gravity;
    if (!otr_mo_wider(g->fast, g->up, WRECK_COS))
        return;
    otr_mo_copy(g->g, g->fast);
    adopt_up(g);
    otr_mo_window_reset(&m->window);
}

void otr_mo_gravity_update(otr_motion *m, otr_mo_sink *sink) {
    otr_mo_gravity *g = &m->gravity;
    const double *a = m->imu.acc;
    double dt = m->imu.dt_s, n2 = m->imu.n2;
    bool first = !(otr_mo_dot(g->g, g->g) > 0);
    if (m->step.turned)
        otr_mo_step_settle(m, sink);
    bool frozen = m->crash.state == OTR_MO_CAPTURE || m->crash.state == OTR_MO_CONFIRM || m->attitude.over ||
                  m->step.kind != OTR_MO_STEP_NONE;
    if (!frozen)
        note_unit(g, n2, dt);
    bool calm = n2 > 0.6 * g->unit2 && n2 < 1.5 * g->unit2; /* a pulse must not turn `fast` */
    if (first)
        otr_mo_copy(g->fast, a);
    else if (calm)
        otr_mo_approach(g->fast, dt < 1 ? dt : 1, a);
    note_stillness(g, &m->imu, n2);
    note_bias(m);
    if (first || (!frozen && n2 > 0.7 * g->unit2 && n2 < 1.3 * g->unit2)) {
        double age = g->age_s + dt, share = first ? 1 : dt / (age < TAU_S ? (age > dt ? age : 1) : TAU_S);
        otr_mo_approach(g->g, share, a);
        g->age_s = age < 1e6 ? age : 1e6;
        adopt_up(g);
    }
    if (m->crash.state == OTR_MO_CONFIRM)
        follow_wreck(m);
    if (!g->known)
        g->known = g->still_s >= KNOWN_STILL_S || g->age_s >= KNOWN_MOVING_S;
    if (!frozen)
        note_turned(m, sink);
    g->yaw = m->imu.gyro ? otr_mo_dot(m->imu.rate, g->up) : 0;
}
