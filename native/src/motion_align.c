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
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "motion_state.h"

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

static void restart_interval(otr_mo_align *a) {
    a->sum_h[0] = a->sum_h[1] = a->sum_w = a->sum_s = 0;
}

static void forget(otr_mo_align *a) {
    memset(a->hp, 0, sizeof a->hp);
    memset(a->pp, 0, sizeof a->pp);
    memset(a->mean_h, 0, sizeof a->mean_h);
    memset(a->mean_p, 0, sizeof a->mean_p);
    a->hh = a->moving_s = a->past_s = a->rho = 0;
    a->have_past = a->aligned = false;
    a->age_s = 0;
    restart_interval(a);
}

static void make_basis(otr_mo_align *a, const double up[3]) {
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

static void make_axes(otr_mo_align *a) {
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

void otr_mo_align_imu(otr_motion *m) {
    otr_mo_align *a = &m->align;
    if (!m->gravity.known || m->crash.state == OTR_MO_CAPTURE)
        return;
    if (!a->basis) {
        make_basis(a, m->gravity.up);
        forget(a);
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
}

/* The direction that fits best, and how well; false while the sums say nothing. */
static bool solve(otr_mo_align *a, double ret[2]) {
    double energy = a->pp[0] + a->pp[2];
    if (!(energy > 1e-6) || !(a->hh > 1e-6))
        return false;
    double xx = a->pp[0] + RIDGE * energy, yy = a->pp[2] + RIDGE * energy, xy = a->pp[1];
    double det = xx * yy - xy * xy;
    double fit[2][2];
    for (int i = 0; i < 2; i++) {
        fit[i][0] = (a->hp[i][0] * yy - a->hp[i][1] * xy) / det;
        fit[i][1] = (a->hp[i][1] * xx - a->hp[i][0] * xy) / det;
    }
    double c = fit[0][0] + fit[1][1], s = fit[1][0] - fit[0][1], n = sqrt(c * c + s * s);
    if (!(n > 1e-9))
        return false;
    ret[0] = c / n;
    ret[1] = s / n;
    double along = (a->hp[0][0] + a->hp[1][1]) * ret[0] + (a->hp[1][0] - a->hp[0][1]) * ret[1];
    a->rho = along / sqrt(a->hh * energy);
    return true;
}

static void judge(otr_mo_align *a, double dt) {
    double dir[2];
    if (!solve(a, dir))
        return;
    a->past_s += dt;
    bool steady = a->have_past && dir[0] * a->past[0] + dir[1] * a->past[1] > STEADY_COS;
    if (a->past_s >= STEADY_S || !a->have_past) {
        a->past[0] = dir[0];
        a->past[1] = dir[1];
        a->past_s = 0;
        a->have_past = true;
    }
    a->dir[0] = dir[0];
    a->dir[1] = dir[1];
    if (a->aligned && a->rho < LOST_RHO && a->moving_s >= MIN_MOVING_S)
        a->aligned = false;
    if (a->moving_s >= MIN_MOVING_S && a->rho >= MIN_RHO && steady)
        a->aligned = true;
    if (a->aligned) {
        a->age_s += dt;
        make_axes(a);
    }
}

static void pair(otr_mo_align *a, double dv, double v) {
    double dt = a->sum_s, share = dt / (a->moving_s + dt < SLOW_S ? a->moving_s + dt : SLOW_S);
    double h[2] = {a->sum_h[0] / dt, a->sum_h[1] / dt}, p[2] = {dv / dt, v * a->sum_w / dt};
    for (int i = 0; i < 2; i++) {
        a->mean_h[i] += share * (h[i] - a->mean_h[i]);
        a->mean_p[i] += share * (p[i] - a->mean_p[i]);
        h[i] -= a->mean_h[i];
        p[i] -= a->mean_p[i];
    }
    double keep = 1 - dt / FORGET_S;
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++)
            a->hp[i][k] = a->hp[i][k] * keep + h[i] * p[k] * dt;
    a->pp[0] = a->pp[0] * keep + p[0] * p[0] * dt;
    a->pp[1] = a->pp[1] * keep + p[0] * p[1] * dt;
    a->pp[2] = a->pp[2] * keep + p[1] * p[1] * dt;
    a->hh = a->hh * keep + (h[0] * h[0] + h[1] * h[1]) * dt;
    a->moving_s += dt;
    judge(a, dt);
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
    if (whole && v > MIN_V && a->last_v > MIN_V && m->crash.state != OTR_MO_CONFIRM) {
        follow_up(a, m->gravity.up, a->sum_s);
        pair(a, (v - a->last_v) * (a->sum_s / span), 0.5 * (v + a->last_v));
    }
    restart_interval(a);
    a->last_v = v;
    a->last_us = now;
}

/* ---- keeping the mounting over a restart ------------------------------------------------------- */

void otr_motion_get_mount(const otr_motion *m, otr_mount *ret) {
    memset(ret, 0, sizeof *ret);
    if (!m->gravity.known)
        return;
    for (int i = 0; i < 3; i++) {
        ret->up[i] = (float)m->gravity.up[i];
        ret->fwd[i] = m->align.aligned ? (float)m->align.fwd[i] : 0;
    }
    ret->rho = m->align.aligned ? (float)m->align.rho : 0;
    ret->age_s = m->align.aligned ? (float)m->align.age_s : 0;
}

static bool unit(const float v[3], double ret[3]) {
    for (int i = 0; i < 3; i++) {
        if (!(v[i] >= -1.01f && v[i] <= 1.01f))
            return false;
        ret[i] = (double)v[i];
    }
    double n2 = otr_mo_dot(ret, ret);
    return n2 > 0.98 && n2 < 1.02 && otr_mo_normalise(ret);
}

/* The stored fit counts as two minutes of ordinary driving: new data outvotes it within some minutes. */
static void seed(otr_mo_align *a, const double fwd[3], double rho) {
    const double energy = 0.25 * MIN_MOVING_S;
    double c = otr_mo_dot(fwd, a->e1), s = otr_mo_dot(fwd, a->e2), n = sqrt(c * c + s * s);
    a->dir[0] = c / n;
    a->dir[1] = s / n;
    a->pp[0] = a->pp[2] = 0.5 * energy;
    a->hh = energy;
    a->hp[0][0] = a->hp[1][1] = 0.5 * energy * rho * a->dir[0];
    a->hp[1][0] = 0.5 * energy * rho * a->dir[1];
    a->hp[0][1] = -a->hp[1][0];
    a->rho = rho;
    a->past[0] = a->dir[0];
    a->past[1] = a->dir[1];
    a->have_past = a->aligned = true;
    make_axes(a);
}

int otr_motion_set_mount(otr_motion *m, const otr_mount *mount) {
    double up[3], fwd[3];
    if (!m || !mount)
        return OTR_ERR_INVAL;
    if (m->stats.pushed)
        return OTR_ERR_STATE;
    if (!unit(mount->up, up))
        return OTR_ERR_INVAL;
    bool aligned = mount->rho > 0;
    if (aligned && (!unit(mount->fwd, fwd) || !(mount->rho <= 1) || !(mount->age_s >= 0) || otr_mo_dot(up, fwd) > 0.2 ||
                    otr_mo_dot(up, fwd) < -0.2))
        return OTR_ERR_INVAL;
    for (int i = 0; i < 3; i++) {
        m->gravity.up[i] = up[i];
        m->gravity.g[i] = up[i] * OTR_MO_G;
        m->gravity.fast[i] = m->gravity.g[i];
    }
    m->gravity.known = true;
    m->gravity.age_s = 1;
    if (aligned) {
        make_basis(&m->align, up);
        forget(&m->align);
        seed(&m->align, fwd, (double)mount->rho);
        m->align.age_s = (double)mount->age_s;
    }
    return OTR_OK;
}
