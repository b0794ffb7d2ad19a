/* motion_align.c: which way is forward, by a closed-form fit of one angle in O(1) memory.
 *
 * Between two speeds the sensor's mean horizontal acceleration h is paired with p = (dv/dt, v w): the change of speed
 * along the vehicle and the centripetal acceleration across it, w being the turn rate about up. Both are means over
 * the very same interval, so that the rate of the speed does not matter. A vehicle pointing along angle th in the plane
 * has h = R(th) p. Fitted is the 2 x 2 matrix A of h = A p, and th is the angle of the rotation nearest to A:
 *     A = (sum h p') (sum p p' + ridge)^-1      th = direction of (A00 + A11, A10 - A01)
 * The plain one-angle fit on sum h p' alone is bent when braking and bends come together (body roll, banked
 * roads and pitch scale the two axes differently); dividing by the covariance of p removes that. The ridge, 5 % of
 * the energy, keeps it defined on a straight road. A slow mean (30 s) is taken off both sides: it holds grade, bank
 * and the zero of the gyro. The sums forget with 30 minutes of driving.
 * Quality: rho = |sum h . R p| / sqrt(sum h^2 sum p^2).
 *
 * A restored fit (motion_mount.c) counts as two minutes of driving and is claimed at once. The new trip alone has to agree
 * with it: what it adds to the sums is told apart from what was restored, and two minutes of driving that say more than
 * 20 degrees else end the claim (DEVICE_MOVED, rule 26). Without any speed motion_turns.c finds forward from bends.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "motion_parts.h"

#define MIN_V 2.0
#define SHORT_S 0.5 /* interval for a broadcast or a quick GNSS */
#define LONG_S 0.95 /* for OBD: 1 km/h steps */
#define MAX_S 2.5
#define SLOW_S 30.0
#define RIDGE 0.05
#define FORGET_S 1800.0
#define MIN_MOVING_S 120.0
#define MIN_RHO 0.70
#define LOST_RHO 0.50
#define STEADY_COS 0.98481 /* 10 degrees */
#define STEADY_S 60.0
#define UP_S 120.0
#define TYRES (1.1 * OTR_MO_G) /* what changes faster is no driving */
#define AGREE_COS 0.93969      /* 20 degrees */
#define TURNS_S 0.5

static void restart_interval(otr_mo_align *a) {
    a->sum_h[0] = a->sum_h[1] = a->sum_w = a->sum_s = 0;
}

void otr_mo_align_forget(otr_mo_align *a) {
    memset(a->hp, 0, sizeof a->hp);
    memset(a->pp, 0, sizeof a->pp);
    memset(a->mean_h, 0, sizeof a->mean_h);
    memset(a->mean_p, 0, sizeof a->mean_p);
    a->hh = a->moving_s = a->past_s = a->rho = 0;
    a->have_past = a->aligned = a->by_turns = false;
    a->age_s = a->kept_share = 0;
    otr_mo_turns_forget(&a->turns);
    restart_interval(a);
}

void otr_mo_align_basis(otr_mo_align *a, const double up[3]) {
    int k = 0;
    for (int i = 0; i < 3; i++) {
        a->up[i] = up[i];
        if ((up[i] < 0 ? -up[i] : up[i]) < (up[k] < 0 ? -up[k] : up[k]))
            k = i;
    }
    double along = up[k];
    for (int i = 0; i < 3; i++)
        a->e1[i] = (i == k ? 1.0 : 0.0) - along * up[i];
    otr_mo_normalise(a->e1);
    otr_mo_cross(up, a->e1, a->e2);
    a->basis = true;
}

void otr_mo_align_axes(otr_mo_align *a) {
    for (int i = 0; i < 3; i++) {
        a->fwd[i] = a->dir[0] * a->e1[i] + a->dir[1] * a->e2[i];
        a->left[i] = a->dir[0] * a->e2[i] - a->dir[1] * a->e1[i];
    }
}

/* The plane follows the slow mean of up (120 s of driving): the first estimate of gravity, from ten seconds perhaps of
 * braking, may be off by some degrees. The basis turns with it, so that the sums stay good. */
static void follow_up(otr_mo_align *a, const double up[3], double dt) {
    double weight = a->moving_s + dt + (a->aligned ? UP_S / 2 : 0), share = dt / (weight < UP_S ? weight : UP_S);
    for (int i = 0; i < 3; i++)
        a->up[i] += share * (up[i] - a->up[i]);
    otr_mo_normalise(a->up);
    double along = otr_mo_dot(a->e1, a->up);
    for (int i = 0; i < 3; i++)
        a->e1[i] -= along * a->up[i];
    otr_mo_normalise(a->e1);
    otr_mo_cross(a->up, a->e1, a->e2);
}

static void tell_given_up(otr_motion *m, otr_mo_sink *sink);
static void use_turns(otr_motion *m);

void otr_mo_align_imu(otr_motion *m, otr_mo_sink *sink) {
    otr_mo_align *a = &m->align;
    if (a->given_up)
        tell_given_up(m, sink);
    if (!m->gravity.known || m->crash.state == OTR_MO_CAPTURE)
        return;
    if (!a->basis) {
        otr_mo_align_basis(a, m->gravity.up);
        otr_mo_align_forget(a);
    }
    if (m->imu.gap) {
        restart_interval(a);
        a->last_us = OTR_MO_NEVER;
        return;
    }
    double dt = m->imu.dt_s;
    double w =
        m->imu.gyro ? m->gravity.yaw : (m->speed.heading_rate == m->speed.heading_rate ? -m->speed.heading_rate : 0);
    a->sum_h[0] += otr_mo_dot(m->imu.acc, a->e1) * dt;
    a->sum_h[1] += otr_mo_dot(m->imu.acc, a->e2) * dt;
    a->sum_w += w * dt;
    a->sum_s += dt;
    if (a->sum_s >= TURNS_S && m->speed.src == OTR_SRC_NONE && m->imu.gyro)
        use_turns(m);
}

/* No speed is known: what bends say becomes the claim, once it may. */
OTR_MO_RARE static void use_turns(otr_motion *m) {
    otr_mo_align *a = &m->align;
    double push[2] = {a->sum_h[0] / a->sum_s, a->sum_h[1] / a->sum_s}, dt = a->sum_s;
    double rate = a->sum_w / dt;
    restart_interval(a);
    a->last_us = OTR_MO_NEVER;
    if (otr_mo_off(m, OTR_RB_TURN_AXES) || m->crash.state == OTR_MO_CONFIRM)
        return;
    otr_mo_turns_add(&a->turns, push, rate, dt);
    if (a->aligned && !a->by_turns)
        return;
    a->aligned = a->by_turns = a->turns.good;
    if (!a->aligned)
        return;
    a->dir[0] = a->turns.dir[0];
    a->dir[1] = a->turns.dir[1];
    a->rho = a->turns.rho;
    a->age_s += dt;
    follow_up(a, m->gravity.up, dt);
    otr_mo_align_axes(a);
}

OTR_MO_RARE static void tell_given_up(otr_motion *m, otr_mo_sink *sink) {
    otr_event ev;
    otr_mo_event_init(m, &ev, OTR_EV_DEVICE_MOVED, OTR_RULE_REMOUNTED, m->now_us);
    ev.conf = 0.8f;
    ev.level = 1;
    ev.limit = 20;
    ev.t_end_us = m->now_us;
    ev.src_mask = (uint16_t)(1u << m->imu.src);
    otr_mo_emit(m, sink, &ev, OTR_PH_CONFIRMED);
    m->align.given_up = false;
}

/* The direction of hp and pp that fits best, with what a restored fit put in
 * taken off by `share`; and its rho. */
static bool solve(const otr_mo_align *a, double share, double ret[2], double *ret_rho) {
    double seed = share * 0.5 * OTR_MO_SEED_ENERGY, hh = a->hh - 2 * seed;
    double hp[2][2], pp[3] = {a->pp[0] - seed, a->pp[1], a->pp[2] - seed}, energy = pp[0] + pp[2];
    if (!(energy > 1e-6) || !(hh > 1e-6))
        return false;
    double turn[2] = {seed * a->kept_rho * a->kept[0], seed * a->kept_rho * a->kept[1]};
    hp[0][0] = a->hp[0][0] - turn[0];
    hp[1][1] = a->hp[1][1] - turn[0];
    hp[1][0] = a->hp[1][0] - turn[1];
    hp[0][1] = a->hp[0][1] + turn[1];
    double xx = pp[0] + RIDGE * energy, yy = pp[2] + RIDGE * energy, xy = pp[1];
    double det = xx * yy - xy * xy;
    double fit[2][2];
    for (int i = 0; i < 2; i++) {
        fit[i][0] = (hp[i][0] * yy - hp[i][1] * xy) / det;
        fit[i][1] = (hp[i][1] * xx - hp[i][0] * xy) / det;
    }
    double c = fit[0][0] + fit[1][1], s = fit[1][0] - fit[0][1], n = sqrt(c * c + s * s);
    if (!(n > 1e-9))
        return false;
    ret[0] = c / n;
    ret[1] = s / n;
    double along = (hp[0][0] + hp[1][1]) * ret[0] + (hp[1][0] - hp[0][1]) * ret[1];
    *ret_rho = along / sqrt(hh * energy);
    return true;
}

/* Does the new trip by itself agree with the restored fit? Asked once it has an
 * answer worth the name. */
static void recheck(otr_motion *m) {
    otr_mo_align *a = &m->align;
    double dir[2], rho;
    if (a->moving_s < MIN_MOVING_S || !solve(a, a->kept_share, dir, &rho) || rho < MIN_RHO)
        return;
    bool agrees = dir[0] * a->kept[0] + dir[1] * a->kept[1] > AGREE_COS;
    if (!agrees && !otr_mo_off(m, OTR_RB_MOUNT_AGREES)) {
        double seed = a->kept_share * 0.5 * OTR_MO_SEED_ENERGY;
        a->pp[0] -= seed;
        a->pp[2] -= seed;
        a->hh -= 2 * seed;
        a->hp[0][0] -= seed * a->kept_rho * a->kept[0];
        a->hp[1][1] -= seed * a->kept_rho * a->kept[0];
        a->hp[1][0] -= seed * a->kept_rho * a->kept[1];
        a->hp[0][1] += seed * a->kept_rho * a->kept[1];
        a->aligned = a->have_past = false;
        a->past_s = a->age_s = 0;
        a->given_up = true;
    }
    a->kept_share = 0;
}

static void judge(otr_motion *m, double dt) {
    otr_mo_align *a = &m->align;
    double dir[2], rho;
    if (a->kept_share > 0)
        recheck(m);
    if (!solve(a, 0, dir, &rho))
        return;
    a->past_s += dt;
    bool steady = a->have_past && dir[0] * a->past[0] + dir[1] * a->past[1] > STEADY_COS;
    if (a->past_s >= STEADY_S || !a->have_past) {
        a->past[0] = dir[0];
        a->past[1] = dir[1];
        a->past_s = 0;
        a->have_past = true;
    }
    bool good = a->moving_s >= MIN_MOVING_S && rho >= MIN_RHO && steady;
    if (a->by_turns && !good)
        return; /* what bends say stands until this is better */
    a->by_turns = false;
    a->rho = rho;
    a->dir[0] = dir[0];
    a->dir[1] = dir[1];
    if (a->aligned && rho < LOST_RHO && a->moving_s >= MIN_MOVING_S)
        a->aligned = false;
    if (good)
        a->aligned = true;
    if (a->aligned) {
        a->age_s += dt;
        otr_mo_align_axes(a);
    }
}

static void pair(otr_motion *m, double dv, double v) {
    otr_mo_align *a = &m->align;
    double dt = a->sum_s, share = dt / (a->moving_s + dt < SLOW_S ? a->moving_s + dt : SLOW_S);
    double h[2] = {a->sum_h[0] / dt, a->sum_h[1] / dt}, p[2] = {dv / dt, v * a->sum_w / dt};
    for (int i = 0; i < 2; i++) {
        a->mean_h[i] += share * (h[i] - a->mean_h[i]);
        a->mean_p[i] += share * (p[i] - a->mean_p[i]);
        h[i] -= a->mean_h[i];
        p[i] -= a->mean_p[i];
    }
    double keep = 1 - dt / FORGET_S;
    a->kept_share *= keep;
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++)
            a->hp[i][k] = a->hp[i][k] * keep + h[i] * p[k] * dt;
    a->pp[0] = a->pp[0] * keep + p[0] * p[0] * dt;
    a->pp[1] = a->pp[1] * keep + p[0] * p[1] * dt;
    a->pp[2] = a->pp[2] * keep + p[1] * p[1] * dt;
    a->hh = a->hh * keep + (h[0] * h[0] + h[1] * h[1]) * dt;
    a->moving_s += dt;
    judge(m, dt);
}

/* GNSS speed (Doppler, fine steps) is better here than OBD's whole km/h, though it counts less elsewhere. */
static bool best_source(const otr_motion *m, uint8_t src) {
    static const uint8_t order[] = {OTR_SRC_CAN, OTR_SRC_GNSS_SERIAL, OTR_SRC_GNSS_CAN, OTR_SRC_OBD};
    for (int i = 0; order[i] != src; i++)
        if (otr_mo_speed_fresh(m, order[i]))
            return false;
    return true;
}

void otr_mo_align_speed(otr_motion *m, double v, uint8_t src) {
    otr_mo_align *a = &m->align;
    int64_t now = m->now_us;
    if (!a->basis || !best_source(m, src))
        return;
    if (src != a->src) {
        restart_interval(a);
        a->last_us = OTR_MO_NEVER;
        a->src = src;
    }
    double span = (double)(now - a->last_us) * 1e-6;
    if (a->last_us != OTR_MO_NEVER && span < (src == OTR_SRC_OBD ? LONG_S : SHORT_S))
        return;
    bool whole = a->last_us != OTR_MO_NEVER && span <= MAX_S && a->sum_s > 0.8 * span && a->sum_s < 1.2 * span;
    double dv = v - a->last_v;
    bool driven = dv <= TYRES * span && -dv <= TYRES * span;
    if (whole && driven && v > MIN_V && a->last_v > MIN_V && m->crash.state != OTR_MO_CONFIRM) {
        follow_up(a, m->gravity.up, a->sum_s);
        pair(m, dv * (a->sum_s / span), 0.5 * (v + a->last_v));
    }
    restart_interval(a);
    a->last_v = v;
    a->last_us = now;
}
