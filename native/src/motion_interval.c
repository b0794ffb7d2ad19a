/* motion_interval.c: between what delta-V lies with 90 % probability, from what is known of its errors.
 *
 * One sigma, m/s, over the T seconds from the begin of the integration to the maximum, added as squares:
 *   DRIFT T        ordinary driving changes its push meanwhile (measured on drives)
 *   ONSET          where the pulse begins and ends (measured on recorded pulses)
 *   GAIN dv        sensitivity of the sensor (prior: 0.7 % either way)
 *   SAMPLE a dt    the peak between two samples (prior)
 *   SWAY g w T^2/2 gravity turns into the plane with the box (prior; w the largest turn rate)
 *   BRAKED b T     the brakes of before fall away, or hold on (prior; b what of them is over 0.3 g)
 * There is no upper end where the sensor was at the end of its range, where samples are missing, and while the pulse
 * goes on: pulses that look the same below the end of a range differ tenfold above it (docs/internals/detector.md).
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "motion_parts.h"

#define Z90 1.645
#define DRIFT 0.10 /* m/s2 */
#define ONSET (0.06 / OTR_MO_KMH)
#define GAIN 0.004
#define SAMPLE 0.02
#define SWAY 0.5
#define BLIND_RATE 0.5 /* rad/s, without a gyro */
#define BRAKED 0.3
#define ORDINARY (0.3 * OTR_MO_G)

static double sigma2(const otr_motion *m, double dv, double peak, double t) {
    const otr_mo_crash *c = &m->crash;
    double braked = sqrt(otr_mo_dot(c->before, c->before)) - ORDINARY, rate = m->imu.gyro ? c->gyro_peak : BLIND_RATE;
    double parts[6] = {DRIFT * t,
                       ONSET,
                       GAIN * dv,
                       SAMPLE * peak * OTR_MO_G * m->imu.period_s,
                       SWAY * OTR_MO_G * rate * t * t / 2,
                       braked > 0 ? BRAKED * braked * t : 0};
    double sum = 0;
    for (int i = 0; i < 6; i++)
        sum += parts[i] * parts[i];
    return sum;
}

/* dv: m/s; peak: g, horizontal; rise_s: T; open: more may have followed. */
void otr_mo_interval(otr_motion *m, double dv, double peak, double rise_s, bool open) {
    otr_event *ev = &m->crash.ev;
    double half = Z90 * sqrt(sigma2(m, dv, peak, rise_s)), low = dv - half;
    bool bound = (ev->flags & OTR_EVF_DV_LOWER_BOUND) != 0;
    ev->dv_lo_kmh = (float)((low > 0 ? low : 0) * OTR_MO_KMH);
    ev->dv_hi_kmh = open || bound ? (float)NAN : (float)((dv + half) * OTR_MO_KMH);
}
