/* motion_parts.h: what the files of the detector ask of one another, private to native/src/motion_*.c.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#ifndef OTR_MOTION_PARTS_H
#define OTR_MOTION_PARTS_H

#include "motion_state.h"

/* Is this rule switched off? Asked where rules decide, not for every sample. */
static inline bool otr_mo_off(const otr_motion *m, enum otr_rule_bit rule) {
    return m->cfg.rules_off >> rule & 1u;
}

/* A jump out of rest, of which a broken sensor makes one (motion_step.c): between two samples, from near gravity. */
#define OTR_MO_JUMP 5.0 /* m/s2 */
#define OTR_MO_REST 4.0
static inline bool otr_mo_step_jumps(const otr_motion *m, const double d[3]) {
    if (otr_mo_dot(d, d) <= OTR_MO_JUMP * OTR_MO_JUMP)
        return false;
    const double *last = m->step.last, *g = m->gravity.g;
    double x[3] = {last[0] - g[0], last[1] - g[1], last[2] - g[2]};
    return otr_mo_dot(x, x) <= OTR_MO_REST * OTR_MO_REST;
}

void otr_mo_step_look(otr_motion *m, const double d[3]);
void otr_mo_step_watch(otr_motion *m); /* a capture begins: from now on each axis is seen to move or not */
/* Takes known steps off the newest reading and looks for new ones. */
static inline void otr_mo_step_take(otr_motion *m) {
    otr_mo_step *s = &m->step;
    double *a = m->imu.acc, d[3];
    for (int i = 0; i < 3; i++) {
        a[i] -= s->offset[i];
        d[i] = a[i] - s->last[i];
        s->shaken[i] += d[i] * d[i];
    }
    bool rare = s->kind != OTR_MO_STEP_NONE || m->crash.state == OTR_MO_CAPTURE || m->imu.last_us >= s->epoch_us;
    if (rare || otr_mo_step_jumps(m, d))
        otr_mo_step_look(m, d);
    otr_mo_copy(s->last, a);
}

/* Rule ids: docs/reference/events.md. */
enum otr_mo_rule {
    OTR_RULE_DV150 = 1,
    OTR_RULE_DV300 = 2,
    OTR_RULE_MULTI = 3,
    OTR_RULE_AIRBAG = 11,
    OTR_RULE_CAN_STOP = 12,
    OTR_RULE_STEP_STOP = 13,
    OTR_RULE_SILENCE = 14,
    OTR_RULE_ZERO_SILENCE = 15,
    OTR_RULE_ROLL_HELD = 20,
    OTR_RULE_ROLL_FAR = 21,
    OTR_RULE_TURNED = 25,
    OTR_RULE_REMOUNTED = 26,
    OTR_RULE_TOWED_MOVING = 27,
    OTR_RULE_TOWED_TILT = 28,
    OTR_RULE_JUMPED = 29,
    OTR_RULE_IMU_AXES = 30,  /* + class 1 brake 2 accel 3 corner 4 lane change */
    OTR_RULE_IMU_PLANE = 40, /* same, mounting unknown */
    OTR_RULE_SPEED = 50,     /* same, from speed and heading */
    OTR_RULE_SPIN = 60
};

/* motion_event.c */
void otr_mo_event_init(const otr_motion *m, otr_event *ret, int kind, int rule, int64_t t0_us);
void otr_mo_emit(otr_motion *m, otr_mo_sink *sink, otr_event *ev, int phase);
/* motion_check.c */
bool otr_mo_check(otr_motion *m, const otr_sample *s);
bool otr_mo_imu_mine(otr_motion *m, const otr_sample *s); /* of the sensor that is listened to */
bool otr_mo_imu_take(otr_motion *m, const otr_sample *s);
/* motion_step.c */
void otr_mo_step_settle(otr_motion *m, otr_mo_sink *sink);
bool otr_mo_step_flat(const otr_motion *m);
void otr_mo_step_give_up(otr_motion *m);
/* motion_quality.c */
void otr_mo_quality_init(otr_motion *m);
void otr_mo_quality_note(otr_motion *m, uint32_t flag);
uint32_t otr_mo_quality_of(const otr_motion *m, const otr_event *ev);
/* motion_gravity.c */
void otr_mo_gravity_adopt(otr_motion *m, const double g[3]); /* the device lies otherwise from now on */
void otr_mo_gravity_update(otr_motion *m, otr_mo_sink *sink);
/* motion_window.c */
void otr_mo_window_push(otr_motion *m);
void otr_mo_window_reset(otr_mo_window *w);
bool otr_mo_window_dull(otr_mo_window *w, int which, uint64_t limit2);    /* (um/s)^2: is delta-V certainly shorter? */
void otr_mo_window_dv(const otr_mo_window *w, int which, double ret[3]);  /* m/s vector; after otr_mo_window_dull */
bool otr_mo_window_at(const otr_mo_window *w, uint32_t t, double ret[3]); /* sum at time t relative to the newest */
/* motion_pulse.c */
int64_t otr_mo_pulse_t0(otr_motion *m, int64_t *ret_base_us);
void otr_mo_pulse_before(otr_motion *m);
double otr_mo_pulse_dv(const otr_motion *m, int64_t from, int64_t to); /* horizontal, m/s */
void otr_mo_pulse_measure(otr_motion *m, int64_t to_us);
/* motion_interval.c */
void otr_mo_interval(otr_motion *m, double dv, double peak, double rise_s, bool open);
/* motion_attitude.c */
void otr_mo_attitude_update(otr_motion *m, otr_mo_sink *sink);
/* motion_turns.c */
void otr_mo_turns_forget(otr_mo_turns *t);
void otr_mo_turns_add(otr_mo_turns *t, const double push[2], double rate, double dt);
/* motion_align.c */
#define OTR_MO_SEED_ENERGY 30.0 /* of a restored fit, (m/s2)^2 s: 120 s at 0.05 g */
void otr_mo_align_forget(otr_mo_align *a);
void otr_mo_align_basis(otr_mo_align *a, const double up[3]);
void otr_mo_align_axes(otr_mo_align *a);
void otr_mo_align_imu(otr_motion *m, otr_mo_sink *sink);
void otr_mo_align_speed(otr_motion *m, double v, uint8_t src);
/* motion_speed.c */
void otr_mo_speed_init(otr_mo_speed *s);
bool otr_mo_speed_push(otr_motion *m, uint8_t src, double v, double res, uint32_t fix_flags);
bool otr_mo_speed_fresh(const otr_motion *m, uint8_t src);
void otr_mo_speed_tick(otr_motion *m);
double otr_mo_speed_now(const otr_motion *m);                                         /* m/s, NaN unknown */
double otr_mo_speed_at(const otr_motion *m, int64_t t_us);                            /* size, of lately; NaN unknown */
double otr_mo_speed_extreme(const otr_motion *m, int64_t from, int64_t to, bool max); /* of the trace; NaN none */
bool otr_mo_speed_slope(const otr_mo_track *t, double span_s, double *ret_slope, double *ret_before);
double otr_mo_gnss_speed(const otr_motion *m, int64_t max_age_us); /* NaN unknown */
/* motion_crash.c, motion_verdict.c */
void otr_mo_crash_init(otr_motion *m);
void otr_mo_crash_imu(otr_motion *m, otr_mo_sink *sink);
void otr_mo_crash_time(otr_motion *m, otr_mo_sink *sink);
void otr_mo_crash_airbag(otr_motion *m, otr_mo_sink *sink, bool fired);
void otr_mo_crash_evidence(otr_motion *m, otr_mo_sink *sink, const otr_event *alarm);
/* motion_alarm.c */
bool otr_mo_alarm_join(otr_motion *m, otr_event *ret);
void otr_mo_alarm_say(otr_motion *m, otr_mo_sink *sink, otr_event *ev);
void otr_mo_classify(otr_motion *m);
/* motion_infer.c */
void otr_mo_infer_speed(otr_motion *m, otr_mo_sink *sink, uint8_t src);
void otr_mo_infer_sna(otr_motion *m, otr_mo_sink *sink, uint8_t src);
void otr_mo_infer_tick(otr_motion *m, otr_mo_sink *sink);
/* motion_towed.c */
void otr_mo_towed_tick(otr_motion *m, otr_mo_sink *sink);
/* motion_harsh.c, motion_slope.c */
void otr_mo_harsh_init(otr_motion *m);
void otr_mo_harsh_imu(otr_motion *m, otr_mo_sink *sink);
void otr_mo_slope_speed(otr_motion *m, otr_mo_sink *sink, uint8_t src);
/* motion_episode.c */
typedef struct {
    int kind, rule;
    double value;        /* m/s2 or g: same unit as limit */
    double limit, enter; /* enter: what is over counts from here on, at most the limit */
    double sign;
    double hold_s, gap_s, dt_s;
    bool gate;
} otr_mo_level;
bool otr_mo_episode_step(otr_motion *m, otr_mo_sink *sink, otr_mo_episode *e, const otr_mo_level *l);

#endif
