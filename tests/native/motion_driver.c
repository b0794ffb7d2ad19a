/* motion_driver.c: batch calls for the tests, so that Python does not cross the border once a sample.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "outrider/motion.h"

int motion_driver_run(otr_motion *m, const otr_sample *s, long n, otr_event *out, int max) {
    int count = 0;
    for (long i = 0; i < n; i++) {
        int got = otr_motion_push(m, &s[i], out + count, max - count);
        if (got < 0)
            return got;
        count += got;
    }
    return count;
}

/* The state after each sample: t_us, distance, speed, motion, mount, rho, for tests of a course over time. */
void motion_driver_trace(otr_motion *m, const otr_sample *s, long n, long every, otr_vehicle *ret, otr_mount *mounts) {
    otr_event sink[64];
    for (long i = 0; i < n; i++) {
        (void)otr_motion_push(m, &s[i], sink, 64);
        if (i % every == every - 1) {
            otr_motion_vehicle(m, ret++);
            otr_motion_get_mount(m, mounts++);
        }
    }
}
