/* bench_motion.c: cost of one IMU sample in the detector as a ratio to a reference loop timed in the same run.
 *
 * The reference is otr_motion_reference(): three biquads a sample. Detector and reference take turns for many short
 * rounds, in processor time; the ratio is the median of theirs with its spread beside it, the times are the best. Five
 * kinds of driving, since what has to be looked up depends on it. Prints one line of JSON; its head is the first kind.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#define _POSIX_C_SOURCE 199309L
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "outrider/motion.h"

#define SAMPLES 20000
#define ROUNDS 150

typedef struct {
    const char *name;
    int rate_hz;
    float noise; /* m/s2, from end to end */
    float swing; /* m/s2, top of a slow saw tooth along one axis */
    bool mount;  /* known from the start */
} driving;

static const driving KINDS[] = {
    {"ordinary", 100, 1, 1, false},                             /* mounting not yet known */
    {"mounted", 100, 1, 1, true},   {"harsh", 100, 1, 5, true}, /* a manoeuvre over the thresholds most of the time */
    {"rough", 100, 30, 1, false},                               /* a road so bad that every window is looked up */
    {"quick", 1600, 1, 1, true},                                /* with the class 60 filter */
};
#define KIND_COUNT (sizeof KINDS / sizeof KINDS[0])

typedef struct {
    double ref, det, ratio[ROUNDS];
    int events;
} result;

static double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Gravity, a slow swing of acceleration, noise from a small generator. */
static void make_drive(otr_sample *s, int n, const driving *d) {
    uint32_t r = 1;
    for (int i = 0; i < n; i++) {
        int64_t t_us = (int64_t)i * 1000000 / d->rate_hz;
        s[i] = (otr_sample){.t_us = t_us, .kind = OTR_IN_IMU, .src = OTR_SRC_IMU_IIO, .q = OTR_Q_VALID};
        float saw = (float)(t_us / 10000 % 800 - 400) / 400.0f * d->swing;
        for (int k = 0; k < 6; k++) {
            r = r * 1664525u + 1013904223u;
            float noise = (float)(r >> 8) / 16777216.0f - 0.5f;
            s[i].x[k] = k < 3 ? noise * d->noise + (k == 2 ? 9.81f : saw) : noise * 0.05f;
        }
    }
}

static double reference(const otr_sample *s, uint32_t n, float *ret_sum) {
    double begin = now_ns();
    *ret_sum = otr_motion_reference(s, n);
    return (now_ns() - begin) / n;
}

static double detector(const otr_sample *s, int n, void *mem, const driving *d, int *ret_events) {
    static const otr_mount level = {{0, 0, 1}, {1, 0, 0}, 0.9f, 3600};
    otr_motion_config cfg;
    otr_motion *m;
    otr_event out[8];
    int events = 0;
    otr_motion_config_default(&cfg);
    cfg.imu_range_g = 16;
    if (otr_motion_init(mem, otr_motion_size(), &cfg, &m) != OTR_OK || (d->mount && otr_motion_set_mount(m, &level)))
        abort();
    double begin = now_ns();
    for (int i = 0; i < n; i++)
        events += otr_motion_push(m, &s[i], out, 8);
    *ret_events = events;
    return (now_ns() - begin) / n;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static result measure(otr_sample *s, void *mem, const driving *d, float *ret_sum) {
    result r = {1e9, 1e9, {0}, 0};
    make_drive(s, SAMPLES, d);
    for (int i = 0; i < ROUNDS; i++) {
        double ref = reference(s, SAMPLES, ret_sum), det = detector(s, SAMPLES, mem, d, &r.events);
        r.ref = ref < r.ref ? ref : r.ref;
        r.det = det < r.det ? det : r.det;
        r.ratio[i] = det / ref;
    }
    qsort(r.ratio, ROUNDS, sizeof r.ratio[0], by_size);
    return r;
}

int main(void) {
    otr_sample *s = malloc(SAMPLES * sizeof *s);
    void *mem = aligned_alloc(16, otr_motion_size());
    float sum = 0;
    if (!s || !mem)
        return 1;
    for (size_t k = 0; k < KIND_COUNT; k++) {
        result r = measure(s, mem, &KINDS[k], &sum);
        if (k == 0)
            printf("{\"bench\": \"motion\", \"ns_per_imu_sample\": %.1f, \"reference_ns\": %.2f, \"ratio\": %.2f, "
                   "\"state_bytes\": %zu, \"kinds\": {",
                   r.det, r.ref, r.ratio[ROUNDS / 2], otr_motion_size());
        printf("%s\"%s\": {\"ns\": %.1f, \"ratio\": %.2f, \"ratio_p10_p90\": [%.2f, %.2f], \"events\": %d}",
               k ? ", " : "", KINDS[k].name, r.det, r.ratio[ROUNDS / 2], r.ratio[ROUNDS / 10], r.ratio[ROUNDS * 9 / 10],
               r.events);
    }
    printf("}, \"check\": %.3f}\n", (double)sum);
    free(mem);
    free(s);
    return 0;
}
