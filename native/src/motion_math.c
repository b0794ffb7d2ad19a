/* motion_math.c: see motion_math.h.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "motion_math.h"

#include <string.h>

static double power_of_two(int k) {
    uint64_t bits = (uint64_t)(k + 1023) << 52;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* x = k ln 2 + r with |r| <= ln2/2; Taylor series of degree 9: the rest is below r^10/10! = 7e-12. */
double otr_mo_exp(double x) {
    if (!(x > -30))
        x = -30;
    if (x > 30)
        x = 30;
    int k = (int)(x * 1.44269504088896340736 + (x < 0 ? -0.5 : 0.5));
    double r = x - (double)k * 0.69314718055994530942, sum = 1;
    for (int n = 9; n > 0; n--)
        sum = 1 + r / n * sum;
    return sum * power_of_two(k);
}

/* atan for |t| <= tan(pi/8): Taylor series up to t^21, the rest is below 0.4143^23/23 = 7e-11. */
static double atan_small(double t) {
    double t2 = t * t, sum = 0;
    for (int n = 21; n > 0; n -= 2)
        sum = 1.0 / n - t2 * sum;
    return t * sum;
}

static double atan_unit(double t) { /* 0 <= t <= 1 */
    if (t > 0.41421356237309504880)
        return OTR_MO_PI / 4 + atan_small((t - 1) / (t + 1));
    return atan_small(t);
}

double otr_mo_atan2(double y, double x) {
    double ax = x < 0 ? -x : x, ay = y < 0 ? -y : y, angle;
    if (!(ax > 0) && !(ay > 0))
        return 0;
    angle = ay <= ax ? atan_unit(ay / ax) : OTR_MO_PI / 2 - atan_unit(ax / ay);
    if (x < 0)
        angle = OTR_MO_PI - angle;
    return y < 0 ? -angle : angle;
}

static double sin_small(double x) { /* |x| <= pi/2: rest below 1.58^17/17! = 7e-12 */
    double x2 = x * x, sum = 0;
    for (int n = 15; n > 0; n -= 2)
        sum = 1 - x2 / ((double)(n + 1) * (n + 2)) * sum;
    return x * sum;
}

double otr_mo_cos(double x) {
    if (x < 0)
        x = -x;
    return sin_small(OTR_MO_PI / 2 - x > -OTR_MO_PI / 2 ? OTR_MO_PI / 2 - x : -OTR_MO_PI / 2);
}

double otr_mo_tan(double x) {
    return sin_small(x) / otr_mo_cos(x);
}

double otr_mo_wrap_pi(double angle) {
    while (angle > OTR_MO_PI)
        angle -= 2 * OTR_MO_PI;
    while (angle <= -OTR_MO_PI)
        angle += 2 * OTR_MO_PI;
    return angle;
}

void otr_mo_lowpass(double corner, double rate, otr_mo_coef *ret) {
    double share = corner / rate;
    double w = otr_mo_tan(OTR_MO_PI * (share > 0.35 ? 0.35 : share));
    double d = 1 + 1.41421356237309504880 * w + w * w;
    ret->b0 = w * w / d;
    ret->b1 = 2 * ret->b0;
    ret->b2 = ret->b0;
    ret->a1 = 2 * (w * w - 1) / d;
    ret->a2 = (1 - 1.41421356237309504880 * w + w * w) / d;
}
