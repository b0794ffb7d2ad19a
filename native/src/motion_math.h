/* motion_math.h: vectors and the few functions the detector needs beyond + - * / and sqrt.
 *
 * Every function here is built from the four basic operations and comparisons in a fixed order, so that any IEEE 754
 * machine returns the same bits when the compiler does not fuse multiply and add (-ffp-contract=off). libm is not used:
 * its results differ between machines and versions. sqrt is correctly rounded by the standard and therefore allowed.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#ifndef OTR_MOTION_MATH_H
#define OTR_MOTION_MATH_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#define OTR_MO_G 9.80665 /* m/s2, ISO 80000-3 standard gravity */
#define OTR_MO_PI 3.14159265358979323846
#define OTR_MO_KMH 3.6 /* km/h in one m/s */

double otr_mo_exp(double x);             /* relative error < 1e-9 for |x| <= 30; clamped beyond */
double otr_mo_atan2(double y, double x); /* radians, absolute error < 2e-9; 0 for (0, 0) */
double otr_mo_tan(double x);             /* relative error < 1e-9 for |x| <= 1.2 */
double otr_mo_cos(double x);             /* absolute error < 1e-9 for |x| <= pi */
double otr_mo_wrap_pi(double angle);     /* into (-pi, pi], for |angle| < 100 */

static inline double otr_mo_dot(const double a[3], const double b[3]) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* Loops over three axes are written out where they run for every sample: at -O2 the compiler leaves them loops. */
static inline void otr_mo_copy(double ret[3], const double v[3]) {
    ret[0] = v[0];
    ret[1] = v[1];
    ret[2] = v[2];
}

/* Moves v by a share of the way to a. */
static inline void otr_mo_approach(double v[3], double share, const double a[3]) {
    v[0] += share * (a[0] - v[0]);
    v[1] += share * (a[1] - v[1]);
    v[2] += share * (a[2] - v[2]);
}

static inline void otr_mo_cross(const double a[3], const double b[3], double ret[3]) {
    ret[0] = a[1] * b[2] - a[2] * b[1];
    ret[1] = a[2] * b[0] - a[0] * b[2];
    ret[2] = a[0] * b[1] - a[1] * b[0];
}

/* Scales v to length 1; false and untouched when it is too short to have a direction. */
static inline bool otr_mo_normalise(double v[3]) {
    double n = sqrt(otr_mo_dot(v, v));
    if (!(n > 1e-6))
        return false;
    double scale = 1 / n;
    v[0] *= scale;
    v[1] *= scale;
    v[2] *= scale;
    return true;
}

/* Is the angle between v (any length) and the unit vector u wider than the one of this cosine (> 0)? Without a root. */
static inline bool otr_mo_wider(const double v[3], const double u[3], double cosine) {
    double along = otr_mo_dot(v, u), n2 = otr_mo_dot(v, v);
    return n2 > 1e-12 && (along <= 0 || along * along < cosine * cosine * n2);
}

/* Length of the part of v that is perpendicular to the unit vector u, squared. */
static inline double otr_mo_horizontal2(const double v[3], const double u[3]) {
    double z = otr_mo_dot(v, u);
    double h2 = otr_mo_dot(v, v) - z * z;
    return h2 > 0 ? h2 : 0;
}

/* Second-order low-pass, Butterworth, direct form II transposed. */
typedef struct {
    double b0, b1, b2, a1, a2;
} otr_mo_coef;

typedef struct {
    double z1, z2;
} otr_mo_biquad;

/* Coefficients for corner [Hz] at rate [Hz]; corner is limited to 0.35 of the rate. */
void otr_mo_lowpass(double corner, double rate, otr_mo_coef *ret);

static inline double otr_mo_filter(const otr_mo_coef *c, otr_mo_biquad *s, double x) {
    double y = c->b0 * x + s->z1;
    s->z1 = c->b1 * x - c->a1 * y + s->z2;
    s->z2 = c->b2 * x - c->a2 * y;
    return y;
}

/* Puts the filter into the state it has after a long input of x. */
static inline void otr_mo_settle(const otr_mo_coef *c, otr_mo_biquad *s, double x) {
    s->z1 = x * (1 - c->b0);
    s->z2 = x * (c->b2 - c->a2);
}

#endif
