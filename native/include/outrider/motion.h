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
    float silence_s;        /* bus silence that counts, 0.5 */
    uint32_t vehicle_class; /* enum otr_vehicle_class: scales the harsh thresholds that are left at their defaults */
    uint32_t evidence_off;  /* OTR_EW_* that never count; 0: all do */
    uint64_t rules_off;     /* 1 << enum otr_rule_bit: rules that are switched off; 0: all on */
} otr_motion_config;

enum otr_vehicle_class {
    OTR_CLASS_PASSENGER = 0,
    OTR_CLASS_LIGHT_TRUCK = 1, /* harsh thresholds x 0.9 */
    OTR_CLASS_HEAVY = 2,       /* truck or bus: x 0.7 */
    OTR_CLASS_COUNT = 3
};

/* Rules and gates that can be switched off one at a time, to see what each is worth. For each of them
 * tests/evaluation/test_rules.py names a recording or scenario whose verdict changes without it, and
 * docs/reference/events.md says so. Not for use on the road. */
enum otr_rule_bit {
    OTR_RB_DV150, /* rule 1, and so on */
    OTR_RB_DV300,
    OTR_RB_MULTI,
    OTR_RB_AIRBAG,
    OTR_RB_CAN_STOP,
    OTR_RB_STEP_STOP,
    OTR_RB_SILENCE,
    OTR_RB_ZERO_SILENCE,
    OTR_RB_ROLL_HELD,
    OTR_RB_ROLL_FAR,
    OTR_RB_TURNED,
    OTR_RB_TOWED_MOVING,
    OTR_RB_TOWED_TILT,
    OTR_RB_BRAKE, /* rules 31 and 41 */
    OTR_RB_ACCEL,
    OTR_RB_CORNER,
    OTR_RB_LANE,
    OTR_RB_BRISK,       /* an acceleration that comes quickly counts from a lower threshold */
    OTR_RB_PLANE,       /* rules 41 to 44: no mounting */
    OTR_RB_PLANE_YAW,   /* a turn by its yaw rate */
    OTR_RB_PLANE_BEND,  /* a turn by speed x yaw rate */
    OTR_RB_PLANE_TREND, /* brake or acceleration by the slope of the speed */
    OTR_RB_PLANE_SIZE,  /* by the size alone */
    OTR_RB_SWERVE,      /* a lane change needs a yaw rate of both signs */
    OTR_RB_SLOPE_BRAKE, /* rules 51 to 53: no IMU */
    OTR_RB_SLOPE_ACCEL,
    OTR_RB_SLOPE_CORNER,
    OTR_RB_SPIN,
    OTR_RB_FIRST_FIX,    /* GNSS counts from 3 s after a first fix on */
    OTR_RB_SPACING,      /* at most one speed in 40 ms */
    OTR_RB_COARSE,       /* a slope has to be worth three steps of the source's resolution */
    OTR_RB_FROM_ZERO,    /* no slope from a speed of exactly 0 */
    OTR_RB_HELD,         /* an OBD value that repeats is as old as its first appearance */
    OTR_RB_MIN_V,        /* harsh only from 10 km/h on */
    OTR_RB_CORNER_V,     /* corners without an IMU only from 30 km/h on */
    OTR_RB_CRASH_PAUSE,  /* no harsh driving while a crash is captured or confirmed */
    OTR_RB_IMU_WITNESS,  /* an IMU that felt nothing speaks against a stop */
    OTR_RB_GNSS_WITNESS, /* so does a GNSS that goes on */
    OTR_RB_RPM_WITNESS,
    OTR_RB_WHEEL_WITNESS,
    OTR_RB_SWITCHED_OFF, /* silence after the ignition went off is none */
    OTR_RB_REST,         /* no second incident within 10 s */
    OTR_RB_ROLL_FELT,    /* a rollover needs the accelerometer's word */
    OTR_RB_ROLL_MOVED,   /* and a vehicle that has moved or was hit */
    OTR_RB_DRIVES_ON,    /* and that does not drive on as before */
    OTR_RB_ONE_ACCIDENT, /* rules about one accident share its number */
    OTR_RB_AIRBAG_OFF,   /* a restraint bit that was never seen at 0 counts only while driving */
    OTR_RB_TURN_AXES,    /* the mounting from turns alone where no speed is known */
    OTR_RB_MOUNT_AGREES, /* a restored mounting has to agree with the new trip */
    OTR_RB_BOX_TURNED,   /* no harsh driving while the box lies otherwise than it did */
    OTR_RB_STEP,         /* a reading that jumps out of rest and stays is a broken sensor */
    OTR_RB_ABRUPT,       /* a hit has a peak that tyres cannot give */
    OTR_RB_MORE,         /* and most of it comes on top of the braking before */
    OTR_RB_FLAT,         /* an axis at one number far from rest takes a crash back */
    OTR_RB_SPEED_AGREES, /* no harsh driving, mounting unknown, that the broadcast speed knows nothing of */
    OTR_RB_COUNT
};
static_assert(OTR_RB_COUNT <= 64, "one bit each");

void otr_motion_config_default(otr_motion_config *ret_cfg);
/* The thresholds as they hold: what was configured, with those of the vehicle's class. */
void otr_motion_get_config(const otr_motion *m, otr_motion_config *ret_cfg);

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
    uint64_t other_imu;   /* of a second IMU, while the first lives */
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
