/* outrider/motion.h: the crash and harsh-driving detector and the state of motion.
 *
 * A pure, deterministic function of the samples pushed in time order: no clock, no I/O, no malloc
 * after init, no globals; only + - x / and sqrt (and vendored functions), so that x86-64 and aarch64 agree to
 * the bit. The caller provides the memory and owns it.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#ifndef OUTRIDER_MOTION_H
#define OUTRIDER_MOTION_H

#include <stddef.h>

#include "outrider/types.h"

typedef struct otr_motion otr_motion;

/* Thresholds and times; otr_motion_config_default() fills the values of docs/reference/events.md. */
typedef struct {
    float imu_range_g;                        /* measuring range per axis, saturation at 0.98 of it; 0 unknown */
    float dv150_kmh, dv300_kmh;               /* crash trigger */
    float brake_g, accel_g, corner_g, lane_g; /* harsh thresholds, level 1 */
    float hysteresis;                         /* end under this share of the threshold */
    float min_hold_s;                         /* how long a threshold must be exceeded */
    float merge_gap_s;
    float confirm_s, refractory_s;
    float silence_s;   /* bus silence that counts, 0.5 */
    float reserved[4]; /* 0 */
} otr_motion_config;

void otr_motion_config_default(otr_motion_config *ret_cfg);
size_t otr_motion_size(void); /* bytes of state, aligned to 16 */

/* Initialises mem (>= otr_motion_size(), 16-byte aligned). OTR_ERR_INVAL names a config field out of range. */
int otr_motion_init(void *mem, size_t size, const otr_motion_config *cfg, otr_motion **ret);

/* Feeds one sample; writes up to max events, returns how many. Malformed samples are counted and dropped. */
int otr_motion_push(otr_motion *m, const otr_sample *s, otr_event *out, int max);

/* Feeds n samples in one call; stops early, before a sample, when fewer than OTR_MOTION_EVENTS_MAX places are left in
 * out. ret_done: samples fed. Returns the number of events written. max >= OTR_MOTION_EVENTS_MAX. */
#define OTR_MOTION_EVENTS_MAX 16 /* more than one sample can cause; what is beyond is counted in events_lost */
int otr_motion_push_n(otr_motion *m, const otr_sample *s, uint32_t n, otr_event *out, int max, uint32_t *ret_done);

/* The yardstick of the detector's cost: three biquads a sample over x[0..2], the least that a filter bank would take.
 * Timed in the same run as the detector (bench/bench_motion.c, outrider evaluate). Returns the sum of the outputs. */
float otr_motion_reference(const otr_sample *s, uint32_t n);

/* Fills the fields that motion knows: t_us distance_m speed_* ignition motion mount acc_* align_rho rpm supply_v bus_alive. */
void otr_motion_vehicle(const otr_motion *m, otr_vehicle *ret);

/* The confidence of a crash is 1 / (1 + exp(-sum)), sum = bias + the weights of the terms in otr_event.evidence: weight i
 * belongs to bit i of OTR_EW_*. Writes OTR_EW_TERMS weights, returns the bias. */
float otr_motion_weights(float ret_weights[OTR_EW_TERMS]);

/* Counters: samples dropped by reason. */
typedef struct {
    uint64_t pushed;
    uint64_t nan, time_back, gap, invalid, jump;
    uint64_t events_lost; /* max was too small */
} otr_motion_stats;
void otr_motion_get_stats(const otr_motion *m, otr_motion_stats *ret);

/* Cumulative delta-V of the last captured pulse at 100 Hz, 0..300 ms: long, lat (or sensor-plane x, y without
 * alignment) in km/h. Returns the number of points (0 none, at most 31). */
int otr_motion_pulse(const otr_motion *m, float *ret_long, float *ret_lat, int max);

/* Mounting to be kept over a restart: gravity direction, forward direction, quality. */
typedef struct {
    float up[3];
    float fwd[3];
    float rho;
    float age_s;
} otr_mount;
void otr_motion_get_mount(const otr_motion *m, otr_mount *ret);
int otr_motion_set_mount(otr_motion *m, const otr_mount *mount); /* before the first sample */

#endif
