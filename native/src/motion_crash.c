/* motion_crash.c: the life of a crash found by the IMU.
 *
 *   ARMED --dV150 or dV300 over its threshold--> CAPTURE --T0 + 300 ms--> CONFIRM --10 s--> REFRACTORY --10 s--> ARMED
 *           SUSPECT, at once                             UPDATE, final pulse    | CONFIRMED as soon as P >= 0.7
 *                                                                               | CANCELLED at its end when P < 0.15
 *                                                                               ' CLOSED at its end otherwise
 * A second pulse of 8 km/h inside CONFIRM is impact number n of the same event; inside REFRACTORY it is a new event
 * with the flag MULTI. Time passes by samples of any kind, so that the verdict comes also when the sensor died.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "motion_parts.h"

#define CAPTURE_US 300000
#define LATE_US 100000 /* grace before a capture ends without samples */
#define LOOK_US 100000
#define SLOWEST_S 0.025 /* below 40 Hz a sample is too long for a pulse */
#define YOUNG_S 0.5     /* gravity from less than this is a guess */
#define MULTI_KMH 8.0
#define PUSH_KMH 5.0
#define CONFIRM_P 0.7f
#define CANCEL_P 0.15f
#define PRE_US (3ll * OTR_MO_S)
#define POST_US (4ll * OTR_MO_S)
#define ONSET_US 20000 /* T0 ends the first 20 ms that hold 0.8 km/h: the push began within them */
#define THRUST_US 500000
#define THRUST_KMH 8.0 /* 0.45 g over THRUST_US: no engine does that */
#define PARKED_US (120ll * OTR_MO_S)
#define AIRBAG_US (2ll * OTR_MO_S)
#define TURNED_COS 0.90631 /* 25 degrees */
#define ABRUPT_US 50000
#define ABRUPT150_KMH 2.4 /* 1.36 g */
#define ABRUPT300_KMH 3.0 /* 1.7 g; braking of 1.15 g on a real road reached 2.3 */
#define BEYOND_TYRES 1.35 /* times dv300_kmh: 1.27 g for 300 ms */
#define MORE 0.75         /* of the threshold */
#define LONGER2 1.25      /* g^2 */
#define SHORT2 0.87       /* a gain of 0.93 */
#define LOW_GAIN 0.77     /* of the least that motion_gravity.c believes */
#define TURNED_AFTER_US (3ll * OTR_MO_S)

static bool is_parked(const otr_motion *m) {
    const otr_mo_speed *s = &m->speed;
    if (s->motion == 2)
        return false;
    if (s->ignition != 255)
        return s->ignition == 0;
    bool engine = m->now_us - s->rpm_us < 2 * OTR_MO_S && s->rpm > 0;
    return s->motion == 1 && !engine && s->slow_us != OTR_MO_NEVER && m->now_us - s->slow_us >= PARKED_US;
}

static void look_at_speed(otr_motion *m) {
    otr_mo_crash *c = &m->crash;
    c->v_pre = otr_mo_speed_extreme(m, c->t0_us - PRE_US, c->t0_us, true); /* what came later, the push may have made */
    c->v_min = otr_mo_speed_extreme(m, c->t0_us + 1, c->t0_us + POST_US, false);
    double gain = otr_mo_speed_extreme(m, c->t0_us + 1, c->t0_us + THRUST_US, true) - c->v_pre;
    c->thrust = gain * OTR_MO_KMH >= THRUST_KMH && gain * OTR_MO_KMH >= 0.5 * (double)c->ev.dv_kmh;
    c->collapse = c->v_pre * OTR_MO_KMH >= 15 && c->v_min <= 0.6 * c->v_pre;
    bool stands = otr_mo_speed_now(m) < 0.5;
    if (!stands)
        c->stand_us = OTR_MO_NEVER;
    else if (c->stand_us == OTR_MO_NEVER)
        c->stand_us = m->now_us;
}

static void begin(otr_motion *m, otr_mo_sink *sink, int rule, double limit, bool same) {
    otr_mo_crash *c = &m->crash;
    bool again = c->state != OTR_MO_ARMED;
    const otr_event last = c->ev;
    otr_event before; /* what the vehicle or another rule said about this accident before the pulse */
    bool joins = !same && otr_mo_alarm_join(m, &before);
    c->t0_us = otr_mo_pulse_t0(m, &c->base_us);
    otr_mo_event_init(m, &c->ev, OTR_EV_CRASH, rule, c->t0_us);
    c->impacts = again && c->impacts < 255 ? (uint8_t)(c->impacts + 1) : 1;
    c->ev.seq = same ? last.seq : joins ? before.seq : 0;
    c->ev.impact_no = c->impacts;
    c->ev.flags = again ? OTR_EVF_MULTI : 0;
    c->ev.limit = (float)limit;
    c->ev.v_impact_kmh = (float)(otr_mo_speed_at(m, c->t0_us - ONSET_US) * OTR_MO_KMH);
    c->ev.src_mask = (uint16_t)(1u << m->imu.src);
    if (same || joins) {
        const otr_event *known = same ? &last : &before;
        c->ev.flags |= known->flags & (OTR_EVF_AIRBAG | OTR_EVF_ROLLOVER);
        c->ev.src_mask |= known->src_mask;
    }
    c->worst = same ? last.level : 0;
    c->kept_ev = last;
    c->kept_pulse = c->pulse;
    if (!same) {
        c->confirmed = c->moved = c->collapse = c->thrust = false;
        c->parked = is_parked(m);
        c->airbag = m->now_us - c->airbag_us < AIRBAG_US || (c->ev.flags & OTR_EVF_AIRBAG);
        c->power_us = c->stand_us = OTR_MO_NEVER;
        for (int i = 0; i < 3; i++)
            c->before_up[i] = m->gravity.up[i];
    }
    c->gyro_peak = sqrt(otr_mo_dot(m->imu.rate, m->imu.rate));
    c->state = OTR_MO_CAPTURE;
    c->until_us = c->t0_us + CAPTURE_US;
    otr_mo_step_watch(m);
    otr_mo_pulse_measure(m, m->imu.last_us);
    look_at_speed(m);
    otr_mo_classify(m);
    otr_mo_emit(m, sink, &c->ev, joins && before.phase != OTR_PH_SUSPECT ? OTR_PH_UPDATE : OTR_PH_SUSPECT);
}

static void maybe_confirm(otr_motion *m, otr_mo_sink *sink) {
    otr_mo_crash *c = &m->crash;
    if (c->confirmed || c->ev.conf < CONFIRM_P)
        return;
    c->confirmed = true;
    otr_mo_emit(m, sink, &c->ev, OTR_PH_CONFIRMED);
}

/* A crash is not undone by a sensor that breaks after it: the impact before stands as it was told. */
static void drop_impact(otr_motion *m, otr_mo_sink *sink) {
    otr_mo_crash *c = &m->crash;
    const otr_event dropped = c->ev; /* what others saw meanwhile is true all the same */
    c->ev = c->kept_ev;
    c->ev.flags |= dropped.flags & (OTR_EVF_AIRBAG | OTR_EVF_ROLLOVER);
    c->ev.src_mask |= dropped.src_mask;
    c->pulse = c->kept_pulse;
    c->t0_us = c->ev.t0_us;
    c->impacts = c->ev.impact_no;
    c->until_us = c->t0_us + (int64_t)((double)m->cfg.confirm_s * 1e6);
    look_at_speed(m);
    otr_mo_classify(m);
    otr_mo_emit(m, sink, &c->ev, OTR_PH_UPDATE);
    maybe_confirm(m, sink);
}

/* It was the sensor. What was measured is not worth saying, and the axis goes on without its step. */
static void take_back(otr_motion *m, otr_mo_sink *sink) {
    otr_mo_crash *c = &m->crash;
    otr_mo_step_give_up(m);
    if (c->impacts > 1 && c->worst > 0) { /* a further impact of the same event */
        drop_impact(m, sink);
        return;
    }
    c->ev.dv_kmh = c->ev.dv_long_kmh = c->ev.dv_lat_kmh = c->ev.dv_lo_kmh = c->ev.dv_hi_kmh = (float)NAN;
    c->ev.conf = 0;
    c->ev.evidence = 0;
    otr_mo_emit(m, sink, &c->ev, OTR_PH_CANCELLED);
    c->state = OTR_MO_ARMED;
}

static void end_capture(otr_motion *m, otr_mo_sink *sink) {
    otr_mo_crash *c = &m->crash;
    int64_t to = c->until_us < m->imu.last_us ? c->until_us : m->imu.last_us;
    otr_mo_pulse_measure(m, to);
    look_at_speed(m);
    otr_mo_classify(m);
    c->ev.t_end_us = c->t0_us + (int64_t)((double)c->ev.dur_ms * 1e3);
    c->state = OTR_MO_CONFIRM;
    c->until_us = c->t0_us + (int64_t)((double)m->cfg.confirm_s * 1e6);
    c->next_us = m->now_us;
    otr_mo_window_reset(&m->window);
    if (!c->airbag && !otr_mo_off(m, OTR_RB_FLAT) && otr_mo_step_flat(m)) {
        take_back(m, sink);
        return;
    }
    otr_mo_emit(m, sink, &c->ev, OTR_PH_UPDATE);
    maybe_confirm(m, sink);
}

/* An alarm of its own right within a running crash: it joins the event and is told at once, or, while the pulse is
 * being captured, with it. */
void otr_mo_crash_evidence(otr_motion *m, otr_mo_sink *sink, const otr_event *alarm) {
    otr_mo_crash *c = &m->crash;
    c->ev.flags |= alarm->flags;
    c->ev.src_mask |= alarm->src_mask;
    c->airbag = c->airbag || (alarm->flags & OTR_EVF_AIRBAG);
    if (c->state != OTR_MO_CONFIRM)
        return;
    look_at_speed(m);
    otr_mo_classify(m);
    if (c->confirmed || c->ev.conf < CONFIRM_P)
        otr_mo_emit(m, sink, &c->ev, OTR_PH_UPDATE);
    maybe_confirm(m, sink);
}

/* The box itself was knocked off: up has turned for good and the vehicle drove on as before. */
static void look_at_mount(otr_motion *m) {
    otr_mo_crash *c = &m->crash;
    if (m->imu.last_us - c->t0_us < TURNED_AFTER_US) /* a sensor that died in the pulse tells no new attitude */
        return;
    bool turned = otr_mo_wider(m->gravity.fast, c->before_up, TURNED_COS);
    bool unchanged = c->v_pre == c->v_pre && (c->v_min >= 0.8 * c->v_pre || c->v_pre < 0.5);
    c->moved = turned && unchanged && !c->airbag;
}

static void end_confirm(otr_motion *m, otr_mo_sink *sink) {
    otr_mo_crash *c = &m->crash;
    bool cancel = !c->confirmed && c->ev.conf < CANCEL_P;
    otr_mo_emit(m, sink, &c->ev, cancel ? OTR_PH_CANCELLED : OTR_PH_CLOSED);
    c->state = OTR_MO_REFRACTORY;
    c->until_us = m->now_us + (int64_t)((double)m->cfg.refractory_s * 1e6);
}

void otr_mo_crash_time(otr_motion *m, otr_mo_sink *sink) {
    otr_mo_crash *c = &m->crash;
    if (c->state == OTR_MO_CAPTURE) {
        if (m->now_us >= c->until_us + LATE_US || m->imu.last_us >= c->until_us)
            end_capture(m, sink);
        return;
    }
    if (c->state == OTR_MO_REFRACTORY) {
        if (m->now_us >= c->until_us)
            c->state = OTR_MO_ARMED;
        return;
    }
    if (m->now_us < c->next_us && m->now_us < c->until_us)
        return;
    c->next_us = m->now_us + LOOK_US;
    look_at_speed(m);
    look_at_mount(m);
    otr_mo_classify(m);
    maybe_confirm(m, sink);
    if (m->now_us >= c->until_us)
        end_confirm(m, sink);
}

static bool ready(const otr_motion *m) {
    return m->gravity.age_s >= YOUNG_S && m->imu.period_s <= SLOWEST_S && m->imu.count >= 8;
}

/* Thresholds are compared as squares of m/s: no root a sample. */
static double squared(double kmh) {
    return kmh * kmh / (OTR_MO_KMH * OTR_MO_KMH);
}

static uint64_t dull(double kmh) {
    double micro = 0.999 * kmh / OTR_MO_KMH * 1e6; /* the margin is for rounding, and a thousand times as much */
    return (uint64_t)(micro * micro);
}

void otr_mo_crash_init(otr_motion *m) {
    double dv150 = LOW_GAIN * (double)m->cfg.dv150_kmh, dv300 = LOW_GAIN * (double)m->cfg.dv300_kmh;
    m->crash.push_us = m->crash.airbag_us = m->crash.power_us = m->crash.stand_us = OTR_MO_NEVER;
    dv150 = dv150 < MULTI_KMH ? dv150 : MULTI_KMH;
    dv300 = dv300 < PUSH_KMH ? dv300 : PUSH_KMH;
    m->crash.dull2[OTR_MO_W150] = dull(dv150);
    m->crash.dull2[OTR_MO_W300] = dull(dv300);
    double push150 = dv150 / OTR_MO_KMH / 0.15, push300 = dv300 / OTR_MO_KMH / 0.3;
    double loud = 0.99 * (push150 < push300 ? push150 : push300);
    m->crash.loud2 = loud * loud;
    m->crash.loud_us = OTR_MO_NEVER;
}

/* The horizontal part, squared; 0 stands for all that reaches no threshold. */
static double pushed(const otr_motion *m, int which) {
    double dv[3];
    otr_mo_window_dv(&m->window, which, dv);
    return otr_mo_horizontal2(dv, m->gravity.up);
}

/* Delta-V over a window is at most its length times the longest push in it. So while no sample of the last 300 ms was
 * long enough to reach a threshold by itself if it lasted, none is reached, and nothing has to be looked up. The steps of
 * the sums are means of two samples: either may be the loud one. Times that go back (two sensors) count as loud. */
static bool is_calm(otr_motion *m) {
    otr_mo_crash *c = &m->crash;
    bool before = c->loud;
    c->loud = otr_mo_dot(m->window.last, m->window.last) >= c->loud2 || m->imu.dt_s < 0;
    if (c->loud || before)
        c->loud_us = m->now_us;
    return OTR_MO_SHORT_CUTS && m->imu.last_us - c->loud_us >= 300000;
}

static void look_at_pulse(otr_motion *m, otr_mo_sink *sink);

void otr_mo_crash_imu(otr_motion *m, otr_mo_sink *sink) {
    if (!is_calm(m) || m->crash.state == OTR_MO_CAPTURE)
        look_at_pulse(m, sink);
}

/* Tyres push steadily: 1.1 g and a little more in the sensor's plane, for as long as the driver brakes. A hit of the same
 * mean has a peak: some 50 ms of the window hold more than tyres can give. */
static bool is_abrupt(otr_motion *m, int64_t window_us, double least_kmh) {
    m->crash.before[0] = m->crash.before[1] = m->crash.before[2] = 0;
    for (int64_t ago = 0; ago + ABRUPT_US <= window_us; ago += 10000)
        if (otr_mo_pulse_dv(m, m->imu.last_us - ago - ABRUPT_US, m->imu.last_us - ago) * OTR_MO_KMH >= least_kmh)
            return true;
    return false;
}

/* Braking and a bump are no hit: most of the window must have come on top of what the car did before. */
static bool is_more(otr_motion *m, int64_t window_us, double limit_kmh) {
    if (otr_mo_off(m, OTR_RB_MORE))
        return true;
    otr_mo_pulse_before(m);
    return otr_mo_pulse_dv(m, m->imu.last_us - window_us, m->imu.last_us) * OTR_MO_KMH >= MORE * limit_kmh;
}

static bool is_hit150(otr_motion *m, double gain) {
    bool abrupt = otr_mo_off(m, OTR_RB_ABRUPT) || is_abrupt(m, 150000, gain * ABRUPT150_KMH);
    return abrupt && is_more(m, 150000, gain * (double)m->cfg.dv150_kmh);
}

static bool is_hit300(otr_motion *m, double dv2, double gain) {
    bool beyond = dv2 >= squared(gain * BEYOND_TYRES * (double)m->cfg.dv300_kmh) || otr_mo_off(m, OTR_RB_ABRUPT);
    bool abrupt = beyond || is_abrupt(m, 300000, gain * ABRUPT300_KMH);
    return abrupt && is_more(m, 300000, gain * (double)m->cfg.dv300_kmh);
}

/* A sensor whose own g reads short measures pushes short as well: the thresholds follow, down to LOW_GAIN. */
static double gain2_of(const otr_motion *m) {
    return m->gravity.unit2 < 1 ? m->gravity.unit2 : 1;
}

OTR_MO_RARE static void look_at_pulse(otr_motion *m, otr_mo_sink *sink) {
    otr_mo_crash *c = &m->crash;
    bool dull150 = otr_mo_window_dull(&m->window, OTR_MO_W150, c->dull2[OTR_MO_W150]);
    bool dull300 = otr_mo_window_dull(&m->window, OTR_MO_W300, c->dull2[OTR_MO_W300]);
    if (dull150 && dull300 && c->state == OTR_MO_ARMED)
        return;
    double dv150 = dull150 ? 0 : pushed(m, OTR_MO_W150), dv300 = dull300 ? 0 : pushed(m, OTR_MO_W300);
    if (dv300 >= squared(PUSH_KMH))
        c->push_us = m->imu.last_us;
    if (c->state == OTR_MO_CAPTURE) {
        double spin = sqrt(otr_mo_dot(m->imu.rate, m->imu.rate));
        c->gyro_peak = spin > c->gyro_peak ? spin : c->gyro_peak;
        return;
    }
    if (!ready(m) || m->step.kind != OTR_MO_STEP_NONE)
        return;
    if (c->state == OTR_MO_ARMED) {
        double gain2 = gain2_of(m);
        if (dv150 >= gain2 * squared((double)m->cfg.dv150_kmh) && is_hit150(m, sqrt(gain2)) &&
            !otr_mo_off(m, OTR_RB_DV150))
            begin(m, sink, OTR_RULE_DV150, (double)m->cfg.dv150_kmh, false);
        else if (dv300 >= gain2 * squared((double)m->cfg.dv300_kmh) && is_hit300(m, dv300, sqrt(gain2)) &&
                 !otr_mo_off(m, OTR_RB_DV300))
            begin(m, sink, OTR_RULE_DV300, (double)m->cfg.dv300_kmh, false);
    } else if (dv150 >= squared(MULTI_KMH) && !otr_mo_off(m, OTR_RB_MULTI)) {
        begin(m, sink, OTR_RULE_MULTI, MULTI_KMH, c->state == OTR_MO_CONFIRM);
    }
}

void otr_mo_crash_airbag(otr_motion *m, otr_mo_sink *sink, bool fired) {
    otr_mo_crash *c = &m->crash;
    bool known_off = c->airbag_seen_off || otr_mo_off(m, OTR_RB_AIRBAG_OFF);
    bool moving = otr_mo_speed_extreme(m, m->now_us - PRE_US, m->now_us, true) >= 1.4;
    if (!fired) {
        c->airbag_seen_off = true;
        c->airbag_bit = false;
        return;
    }
    if (c->airbag_bit || (!known_off && !moving)) /* a bit that was always set is a wrong bit or an old crash */
        return;
    if (otr_mo_off(m, OTR_RB_AIRBAG))
        return;
    c->airbag_bit = true;
    c->airbag_us = m->now_us;
    otr_event ev;
    otr_mo_event_init(m, &ev, OTR_EV_AIRBAG, OTR_RULE_AIRBAG, m->now_us);
    ev.level = 3;
    ev.conf = 0.95f;
    ev.flags = OTR_EVF_AIRBAG;
    ev.src_mask = 1u << OTR_SRC_CAN;
    ev.v_pre_kmh = (float)(otr_mo_speed_extreme(m, m->now_us - PRE_US, m->now_us, true) * OTR_MO_KMH);
    ev.v_impact_kmh = (float)(otr_mo_speed_at(m, m->now_us) * OTR_MO_KMH);
    otr_mo_alarm_say(m, sink, &ev);
}
