/* motion_reference.c: the loop that the detector's cost is told in multiples of. Part of no verdict.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "outrider/motion.h"

typedef struct {
    float b0, b1, b2, a1, a2, z1, z2;
} biquad; /* transposed direct form II */

static float step(biquad *q, float x) {
    float y = q->b0 * x + q->z1;
    q->z1 = q->b1 * x - q->a1 * y + q->z2;
    q->z2 = q->b2 * x - q->a2 * y;
    return y;
}

float otr_motion_reference(const otr_sample *s, uint32_t n) {
    biquad q[3] = {{0.0036f, 0.0072f, 0.0036f, -1.8227f, 0.8372f, 0, 0}}; /* 2 Hz Butterworth at 100 Hz */
    float sum = 0;
    q[1] = q[2] = q[0];
    for (uint32_t i = 0; i < n; i++)
        for (int k = 0; k < 3; k++)
            sum += step(&q[k], s[i].x[k]);
    return sum;
}
