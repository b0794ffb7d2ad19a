/* motion_turns.c: which way is forward where no speed is known: from bends
 * alone.
 *
 * In a bend the vehicle's push h is sideways and as large as speed times turn
 * rate w: to the left when it turns left. What is along the vehicle (braking
 * into a bend, gaining out of it) has no fixed sign against w. So over some
 * bends left = direction of sum(h w),    rho = |sum(h w)| / sqrt(sum h^2 sum
 * w^2) Only stretches that turn count; slow means hold the tilt (30 s) and the
 * gyro's zero (taken while it hardly turns). A fit with a speed
 * (motion_align.c) is better and takes over as soon as it may be claimed.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "motion_parts.h"

#define SPAN_S 0.5
#define TURN_MIN 0.08 /* rad/s: at 30 km/h a bend of 100 m */
#define ZERO_MAX 0.05 /* a turn rate that may be the gyro's zero */
#define SLOW_S 30.0
#define FORGET_S 600.0 /* of turning */
#define MIN_TURN_S 30.0
#define MIN_RHO 0.70
#define LOST_RHO 0.50
#define STEADY_S 10.0      /* of turning */
#define STEADY_COS 0.98481 /* 10 degrees */

void otr_mo_turns_forget(otr_mo_turns *t) {
    *t = (otr_mo_turns){0};
}

static void take_means(otr_mo_turns *t, double h[2], double *w, double dt) {
    t->seen_s = t->seen_s + dt < SLOW_S ? t->seen_s + dt : SLOW_S;
    double share = dt / t->seen_s;
    for (int i = 0; i < 2; i++) {
        t->mean_h[i] += share * (h[i] - t->mean_h[i]);
        h[i] -= t->mean_h[i];
    }
    if (*w < ZERO_MAX && *w > -ZERO_MAX)
        t->mean_w += share * (*w - t->mean_w);
    *w -= t->mean_w;
}

static bool steady(otr_mo_turns *t, double dt) {
    bool same = t->have_past && t->dir[0] * t->past[0] + t->dir[1] * t->past[1] > STEADY_COS;
    t->past_s += dt;
    if (t->past_s >= STEADY_S || !t->have_past) {
        t->past[0] = t->dir[0];
        t->past[1] = t->dir[1];
        t->past_s = 0;
        t->have_past = true;
    }
    return same;
}

/* One stretch of SPAN_S: mean push (m/s2, in the basis of the plane) and turn
 * rate (rad/s). */
void otr_mo_turns_add(otr_mo_turns *t, const double push[2], double rate, double dt) {
    double h[2] = {push[0], push[1]}, w = rate;
    take_means(t, h, &w, dt);
    if (w < TURN_MIN && w > -TURN_MIN)
        return;
    double keep = 1 - dt / FORGET_S;
    for (int i = 0; i < 2; i++)
        t->hw[i] = t->hw[i] * keep + h[i] * w * dt;
    t->hh = t->hh * keep + (h[0] * h[0] + h[1] * h[1]) * dt;
    t->ww = t->ww * keep + w * w * dt;
    t->turn_s += dt;
    double n = sqrt(t->hw[0] * t->hw[0] + t->hw[1] * t->hw[1]);
    if (!(n > 1e-6))
        return;
    t->rho = n / sqrt(t->hh * t->ww);
    t->dir[0] = t->hw[1] / n; /* forward is a quarter turn to the right of left */
    t->dir[1] = -t->hw[0] / n;
    bool same = steady(t, dt);
    if (t->turn_s >= MIN_TURN_S && t->rho >= MIN_RHO && same)
        t->good = true;
    if (t->rho < LOST_RHO)
        t->good = false;
}
