/* bench_motion.c: cost of one IMU sample in the detector as a ratio to a reference loop timed in the same run.
 *
 * The reference is otr_motion_reference(): three biquads a sample. Prints one line of JSON. The best of
 * many short rounds is taken of both: the least disturbed ones.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#define _POSIX_C_SOURCE 199309L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "outrider/motion.h"

#define SAMPLES 20000
#define ROUNDS 150

static double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* A drive at 100 Hz: gravity, a slow swing of acceleration, noise from a small generator. */
static void make_drive(otr_sample *s, int n) {
    uint32_t r = 1;
    for (int i = 0; i < n; i++) {
        s[i] = (otr_sample){.t_us = i * 10000ll, .kind = OTR_IN_IMU, .src = OTR_SRC_IMU_IIO, .q = OTR_Q_VALID};
        for (int k = 0; k < 6; k++) {
            r = r * 1664525u + 1013904223u;
            float noise = (float)(r >> 8) / 16777216.0f - 0.5f;
            s[i].x[k] = k < 3 ? noise + (k == 2 ? 9.81f : (float)(i % 800 - 400) / 400.0f) : noise * 0.05f;
        }
    }
}

static double reference(const otr_sample *s, int n, float *ret_sum) {
    double begin = now_ns();
    *ret_sum = otr_motion_reference(s, (uint32_t)n);
    return (now_ns() - begin) / n;
}

static double detector(const otr_sample *s, int n, void *mem, int *ret_events) {
    otr_motion_config cfg;
    otr_motion *m;
    otr_event out[8];
    int events = 0;
    otr_motion_config_default(&cfg);
    cfg.imu_range_g = 16;
    if (otr_motion_init(mem, otr_motion_size(), &cfg, &m) != OTR_OK)
        return -1;
    double begin = now_ns();
    for (int i = 0; i < n; i++)
        events += otr_motion_push(m, &s[i], out, 8);
    *ret_events = events;
    return (now_ns() - begin) / n;
}

int main(void) {
    otr_sample *s = malloc(SAMPLES * sizeof *s);
    void *mem = aligned_alloc(16, otr_motion_size());
    double best_ref = 1e9, best_det = 1e9;
    float sum = 0;
    int events = 0;
    if (!s || !mem)
        return 1;
    make_drive(s, SAMPLES);
    for (int i = 0; i < ROUNDS; i++) {
        double ref = reference(s, SAMPLES, &sum), det = detector(s, SAMPLES, mem, &events);
        best_ref = ref < best_ref ? ref : best_ref;
        best_det = det < best_det ? det : best_det;
    }
    printf("{\"bench\": \"motion\", \"ns_per_imu_sample\": %.1f, \"reference_ns\": %.2f, \"ratio\": %.2f, "
           "\"state_bytes\": %zu, \"events\": %d, \"check\": %.3f}\n",
           best_det, best_ref, best_det / best_ref, otr_motion_size(), events, (double)sum);
    free(mem);
    free(s);
    return 0;
}
