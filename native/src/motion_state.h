/* motion_state.h: the state of the detector, private to native/src/motion_*.c.
 *
 * One struct per noun; the file that owns it is named beside it. Others read it, only the owner writes.
 * Times are microseconds of engine time, OTR_MO_NEVER before the first one. Inside, everything is double and SI.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#ifndef OTR_MOTION_STATE_H
#define OTR_MOTION_STATE_H

#include "motion_math.h"
#include "outrider/motion.h"

#define OTR_MO_NEVER (-((int64_t)1 << 61))
#define OTR_MO_S 1000000 /* one second */

/* Runs for few samples: kept out of what runs for every one, which then has few registers to save. */
#define OTR_MO_RARE __attribute__((noinline))

/* What cannot reach a threshold is not looked up. A test builds the detector without these short cuts as well, and
 * holds that not a bit of any event depends on them. */
#ifndef OTR_MO_SHORT_CUTS
#define OTR_MO_SHORT_CUTS 1
#endif

/* Where events go during one push. */
typedef struct {
    otr_event *out;
    int max, count;
} otr_mo_sink;

/* ---- motion_check.c: what comes in ------------------------------------------------------------ */
typedef struct {
    int64_t last_us;    /* of the last good sample */
    double period_s;    /* running estimate */
    int32_t count;      /* good samples since the start or the last change of rate, saturating */
    double filter_rate; /* rate the coefficients below were made for, 0 none */
    otr_mo_coef cfc60;  /* SAE J211 class 60, forward pass only */
    otr_mo_coef harsh;  /* 2 Hz */
    otr_mo_biquad cfc_state[3];
    bool cfc;              /* rate >= 600 Hz */
    uint8_t src;           /* OTR_SRC_IMU_* */
    bool gyro;             /* the last sample had angular rates */
    bool gap;              /* this sample does not continue the one before */
    double known_period_s; /* before the last change of rate */
    int64_t saturated_us;  /* last sample at the end of the range */
    double dt_s;           /* to the sample before */
    double acc[3];         /* specific force, filtered when cfc */
    double n2;             /* its length in g, squared */
    double rate[3];        /* rad/s, bias removed at standstill; 0 without a gyro */
} otr_mo_imu;

/* ---- motion_step.c: a sensor that breaks -------------------------------------------------------- */
enum otr_mo_step_kind { OTR_MO_STEP_NONE, OTR_MO_STEP_AXIS, OTR_MO_STEP_ALIKE, OTR_MO_STEP_TURN };
typedef struct {
    double last[3];   /* newest reading, steps of before taken off */
    double offset[3]; /* what is taken off */
    double shaken[3]; /* sum of squared changes in the present epoch */
    int64_t epoch_us; /* its end */
    double base[3], level[3];
    int64_t since_us;    /* of the open step */
    int64_t moved_us[3]; /* newest change by a bit, while a step is open or a pulse captured */
    int32_t count;
    uint8_t kind; /* of the open step */
    uint8_t axes; /* a bit for each that jumped */
    bool turned;  /* gravity has to follow */
} otr_mo_step;

/* ---- motion_quality.c --------------------------------------------------------------------------- */
#define OTR_MO_FAULTS 14 /* bits of OTR_DQ_* that are noted when they happen: up to GNSS_JUMP */
typedef struct {
    int64_t seen_us[OTR_MO_FAULTS];
} otr_mo_quality;

/* ---- motion_gravity.c ------------------------------------------------------------------------- */
typedef struct {
    double g[3]; /* m/s2 */
    double up[3];
    double yaw;     /* rate about up, rad/s; 0 without a gyro */
    double age_s;   /* of signal that went into g */
    double still_s; /* for how long the sensor has lain still */
    double mean_n2; /* fast mean of |a|^2 in g^2, and of its square: the stillness test */
    double mean_n4;
    double unit_s;   /* of signal in it, at most its time constant */
    double unit2;    /* slow mean of |a|^2 in g^2: 1 but for the sensor's error of gain */
    double fast[3];  /* 1 s mean of the specific force */
    double bias[3];  /* gyro at standstill, rad/s */
    double bias_s;   /* standstill seconds inside it */
    double turned_s; /* for how long `fast` has pointed elsewhere than `up` */
    bool known;
} otr_mo_gravity;

/* ---- motion_window.c: running sums of x = a - g, as integers: exact differences, no drift ------- */
#define OTR_MO_RING 512u /* power of two; 0.64 s at OTR_MO_ENTRY_US */
#define OTR_MO_ENTRY_US 1250
enum { OTR_MO_W150, OTR_MO_W300, OTR_MO_WINDOWS };
typedef struct {
    uint32_t t;   /* low half of the time; differences are good for 71 minutes */
    int32_t s[3]; /* micrometres per second, modulo 2^32 */
} otr_mo_sum;
typedef struct {
    otr_mo_sum ring[OTR_MO_RING];
    uint32_t head;  /* entries ever written; the newest is head - 1 */
    uint32_t first; /* oldest entry that may be used */
    uint32_t tail[OTR_MO_WINDOWS];
    double last[3]; /* newest x */
    double rest[3]; /* what rounding left over */
} otr_mo_window;

/* ---- motion_turns.c
 * ----------------------------------------------------------------------------
 */
typedef struct {
    double hw[2], hh, ww; /* sums over what turns */
    double mean_h[2], mean_w;
    double seen_s, turn_s;
    double past[2], past_s; /* direction 10 s of turning ago */
    double dir[2], rho;     /* the answer */
    bool have_past, good;   /* good: may be claimed */
} otr_mo_turns;

/* ---- motion_align.c --------------------------------------------------------------------------- */
typedef struct {
    double hp[2][2], pp[3], hh;    /* sums of h p', p p' (xx, xy, yy) and h'h */
    double e1[3], e2[3];           /* basis of the plane, fixed until gravity turns */
    double up[3];                  /* the up direction it was made for */
    double sum_h[2], sum_w, sum_s; /* of the running interval between two speeds */
    double last_v;
    int64_t last_us;
    uint8_t src;                 /* whose speed */
    double mean_h[2], mean_p[2]; /* slow means, taken off */
    double moving_s;
    double past[2]; /* direction 60 s of driving ago, as cos, sin */
    double past_s;
    double dir[2]; /* current answer */
    double rho;
    double fwd[3], left[3]; /* valid when aligned */
    double age_s;           /* of driving since the fit was accepted */
    double kept[2];         /* direction of a restored fit, until the new trip has agreed
                     with it */
    double kept_share;      /* what the restored sums still weigh, 1 at first; 0: none,
                        or agreed with */
    double kept_rho;
    otr_mo_turns turns;
    bool basis, aligned, have_past;
    bool by_turns; /* the claim rests on bends alone */
    bool given_up; /* a restored fit that the new trip contradicts: to be told */
} otr_mo_align;

/* ---- motion_speed.c --------------------------------------------------------------------------- */
#define OTR_MO_SOURCES 5 /* enum otr_src up to OTR_SRC_GNSS_CAN */
#define OTR_MO_HIST 32u
#define OTR_MO_TRACE 128u
typedef struct {
    int64_t t_us[OTR_MO_HIST];
    float v[OTR_MO_HIST];      /* m/s */
    uint32_t n;                /* entries ever written; at least 40 ms apart */
    int64_t last_us, first_us; /* last good sample; start of the present unbroken stretch */
    int64_t sna_us;            /* last default code */
    double last_v, before_v;   /* last value and the one before it */
    int64_t before_us;
    double res; /* quantisation, m/s */
} otr_mo_track;
typedef struct {
    otr_mo_track track[OTR_MO_SOURCES];
    int64_t trace_us[OTR_MO_TRACE]; /* trusted speed, 10 Hz */
    float trace_v[OTR_MO_TRACE];
    uint32_t trace_n;
    uint8_t src; /* trusted source, OTR_SRC_NONE none */
    double distance_m;
    double odo_v;
    int64_t odo_us;
    double place[2], odo_place[2]; /* lat, lon in degrees: newest, and where distance was last counted */
    int64_t place_us, odo_place_us;
    double gnss_v; /* newest of any receiver, m/s */
    int64_t gnss_us;
    uint8_t motion;  /* 0 unknown 1 standing 2 moving */
    int64_t slow_us; /* since when it has been slow */
    double heading;  /* rad, NaN unknown */
    int64_t heading_us;
    double heading_rate; /* rad/s, + to the right; NaN unknown */
    float hacc;
    double wheels[4];
    int64_t wheels_us;
    double yaw;
    int64_t yaw_us;
    double rpm;
    int64_t rpm_us;
    double rpm_before; /* slow mean */
    bool brake;
    int64_t brake_us;
    uint8_t ignition; /* 0 1 255 */
    int64_t ignition_us, off_us;
    double supply;
    int64_t supply_us;
    int64_t bus_us;    /* last tick with traffic */
    int64_t silent_us; /* first tick of the present silence, OTR_MO_NEVER none */
} otr_mo_speed;

/* ---- motion_attitude.c ------------------------------------------------------------------------ */
typedef struct {
    double up[3]; /* quick estimate from gyro and accelerometer */
    bool known, over;
    double over_s;
    int64_t look_us; /* when a rollover that was said is looked at again */
    double angle;    /* to gravity, rad */
} otr_mo_attitude;

/* ---- motion_crash.c --------------------------------------------------------------------------- */
typedef struct {
    float along[31], across[31]; /* km/h, each 10 ms from T0 */
    int32_t n;
} otr_mo_curve;
enum otr_mo_crash_state { OTR_MO_ARMED, OTR_MO_CAPTURE, OTR_MO_CONFIRM, OTR_MO_REFRACTORY };
typedef struct {
    enum otr_mo_crash_state state;
    otr_event ev;               /* the running event */
    int64_t t0_us, base_us;     /* T0 and the start of the integration */
    double before[3];           /* m/s2, steady push of before the impact: braking, the error of gravity; taken off */
    int64_t until_us;           /* end of the present state */
    int64_t next_us;            /* next look at the evidence */
    int64_t push_us;            /* last time dV300 reached 5 km/h: a push worth the name */
    double up[3], before_up[3]; /* frozen at the trigger */
    double loud2;               /* (m/s2)^2: a steady push that is shorter reaches no threshold in any window */
    int64_t loud_us;            /* newest time at which it was longer */
    bool loud;                  /* it was in the sample before */
    uint64_t dull2[2];          /* by window: shorter than the root of this, in um/s, reaches no threshold */
    double gyro_peak;           /* rad/s */
    double v_pre, v_min;        /* m/s, NaN unknown */
    int64_t stand_us;           /* since when it has stood after the impact */
    int64_t airbag_us;
    int64_t power_us; /* loss of power or bus within 2 s */
    bool parked, collapse, thrust, airbag, airbag_bit, confirmed, airbag_seen_off, moved;
    uint8_t impacts, worst; /* worst: highest level of the impacts before */
    otr_mo_curve pulse;
    otr_event kept_ev; /* of the impact before: stands when the further one turns out to be the sensor's */
    otr_mo_curve kept_pulse;
} otr_mo_crash;

/* ---- motion_alarm.c: the last alarm that came without a pulse ----------------------------------- */
typedef struct {
    otr_event ev; /* seq 0: none */
    int64_t said_us;
} otr_mo_alarm;

/* ---- motion_infer.c: crash without IMU evidence ------------------------------------------------ */
typedef struct {
    bool open, stopped_seen;
    otr_event ev;
    int64_t start_us, stand_us, quiet_us;
    double v0, low; /* m/s, before and after the stop */
    double rpm0;
    bool braked; /* tyres could have done it */
    uint8_t src;
    uint8_t said_phase;
} otr_mo_infer;

/* ---- motion_towed.c ---------------------------------------------------------------------------- */
typedef struct {
    int64_t parked_us, move_us, tilt_us; /* since when */
    double up[3];                        /* how it lay when it came to rest */
    bool parked, rested, lies, moved;    /* lies: up is known; moved: said */
} otr_mo_towed;

/* ---- motion_harsh.c, motion_slope.c ------------------------------------------------------------ */
enum { OTR_MO_BRAKE, OTR_MO_ACCEL, OTR_MO_CORNER, OTR_MO_CLASSES };
typedef struct {
    uint8_t state; /* off, arming, on, cooldown */
    bool flipped;  /* a lane change: the other sign came too */
    otr_event ev;
    int64_t over_us, last_us; /* first and last instant over the threshold */
    double sum, sum_s, peak, sign;
    double limit, enter;
    double first[2]; /* direction of the first half */
    float sure;
    double yaw_low, yaw_high;
    double turn_s, trend_s; /* plane: time spent turning; gaining minus slowing */
} otr_mo_episode;
typedef struct {
    otr_mo_episode ep[OTR_MO_CLASSES];
    otr_mo_biquad f[2]; /* long and lat, or the two axes of the plane */
    double yaw;         /* rad/s, low-passed */
    bool settled;
    bool box_turned; /* what is felt is gravity in a box that lies otherwise */
    double value[2];
    double calm2;     /* g^2: under the square of every threshold */
    int64_t brisk_us; /* newest time at which an acceleration came quickly */
    bool frame_aligned;
    double bucket_sum[10][2], bucket_s[10];
    int64_t bucket_no[10], bucket_end_us;
    int bucket;
} otr_mo_harsh;
typedef struct {
    otr_mo_episode ep[OTR_MO_CLASSES];
    otr_mo_episode spin;
} otr_mo_slope;

struct otr_motion {
    otr_motion_config cfg;
    otr_motion_stats stats;
    int64_t now_us;
    int64_t kind_us[16][8]; /* newest time by kind and source */
    uint32_t seq;
    otr_mo_imu imu;
    otr_mo_step step;
    otr_mo_quality quality;
    otr_mo_gravity gravity;
    otr_mo_attitude attitude;
    otr_mo_align align;
    otr_mo_speed speed;
    otr_mo_crash crash;
    otr_mo_alarm alarm;
    otr_mo_infer infer;
    otr_mo_towed towed;
    otr_mo_harsh harsh;
    otr_mo_slope slope;
    otr_mo_window window;
};

#endif
