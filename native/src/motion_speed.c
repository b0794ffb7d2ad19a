/* motion_speed.c: how fast the vehicle is, by whom, how far it went, and whether it stands.
 *
 * Sources in order of trust: the vehicle's own broadcast, wheels, OBD-II answers, GNSS; a source counts while it is fresh.
 * Each source keeps its own short history, at most one value in 40 ms: the same OBD answer comes twice, 10 ms and
 * 1 km/h apart, and a slope over 10 ms is nonsense. A GNSS speed counts only from 3 s after a first fix on: it
 * jumps from 0 to the true speed there.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "motion_parts.h"

#define SPACING_US 40000
#define TRACE_US 100000
#define SETTLE_US (3ll * OTR_MO_S) /* after a first fix */
#define STAND_MPS 0.5              /* slower than 1.8 km/h for a second: standing */
#define MOVE_MPS 1.389             /* 5 km/h */
#define GNSS_DRIFT_MPS 0.5         /* below it a GNSS speed is jitter, not distance */
#define BRIDGE_US (3ll * OTR_MO_S) /* longest step that distance is integrated over */
#define TUNNEL_US (900ll * OTR_MO_S)
#define TUNNEL_MIN_M 50.0 /* less may be the jitter of a first fix */
#define TUNNEL_MAX_MPS 70.0
#define PLACE_US (1500000ll)
#define DEGREE_M 111195.0 /* of a great circle, mean radius 6371 km */

static const int64_t FRESH_US[OTR_MO_SOURCES] = {0, 1 * OTR_MO_S, 3ll * OTR_MO_S, 3ll * OTR_MO_S, 3ll * OTR_MO_S};

void otr_mo_speed_init(otr_mo_speed *s) {
    memset(s, 0, sizeof *s);
    for (int i = 0; i < OTR_MO_SOURCES; i++) {
        otr_mo_track *t = &s->track[i];
        t->last_us = t->first_us = t->sna_us = t->before_us = OTR_MO_NEVER;
    }
    s->place_us = s->odo_place_us = OTR_MO_NEVER;
    s->odo_us = s->slow_us = s->heading_us = s->wheels_us = s->yaw_us = s->rpm_us = OTR_MO_NEVER;
    s->brake_us = s->ignition_us = s->off_us = s->supply_us = s->bus_us = s->silent_us = OTR_MO_NEVER;
    s->heading = s->heading_rate = s->supply = s->rpm = (double)NAN;
    s->hacc = (float)NAN;
    s->ignition = 255;
}

static bool is_gnss(uint8_t src) {
    return src == OTR_SRC_GNSS_SERIAL || src == OTR_SRC_GNSS_CAN;
}

bool otr_mo_speed_fresh(const otr_motion *m, uint8_t src) {
    const otr_mo_track *t = &m->speed.track[src];
    if (m->now_us - t->last_us > FRESH_US[src])
        return false;
    return !is_gnss(src) || t->last_us - t->first_us >= SETTLE_US || otr_mo_off(m, OTR_RB_FIRST_FIX);
}

static uint8_t most_trusted(const otr_motion *m) {
    for (uint8_t src = OTR_SRC_CAN; src < OTR_MO_SOURCES; src++)
        if (otr_mo_speed_fresh(m, src))
            return src;
    return OTR_SRC_NONE;
}

static void remember(otr_mo_track *t, int64_t now, double v, int64_t spacing) {
    uint32_t newest = (t->n - 1u) % OTR_MO_HIST;
    if (t->n && now - t->t_us[newest] < spacing)
        return;
    t->t_us[t->n % OTR_MO_HIST] = now;
    t->v[t->n % OTR_MO_HIST] = (float)v;
    t->n++;
}

/* No speed for long, and GNSS knows both ends: a tunnel. The straight line is the least it can have been. */
static double tunnel(const otr_mo_speed *s, int64_t now) {
    int64_t step = now - s->odo_us;
    if (step > TUNNEL_US || s->odo_us - s->odo_place_us > PLACE_US || now - s->place_us > PLACE_US)
        return 0;
    double north = s->place[0] - s->odo_place[0], east = s->place[1] - s->odo_place[1];
    east -= east > 180 ? 360 : east < -180 ? -360 : 0;
    east *= otr_mo_cos(s->place[0] * (OTR_MO_PI / 180));
    double line = sqrt(north * north + east * east) * DEGREE_M;
    return line >= TUNNEL_MIN_M && line <= TUNNEL_MAX_MPS * (double)step * 1e-6 ? line : 0;
}

static void add_distance(otr_mo_speed *s, int64_t now, double v) {
    int64_t step = now - s->odo_us;
    double counted = is_gnss(s->src) && v < GNSS_DRIFT_MPS ? 0 : (v < 0 ? -v : v);
    if (s->odo_us != OTR_MO_NEVER && step > 0 && step <= BRIDGE_US)
        s->distance_m += 0.5 * (s->odo_v + counted) * (double)step * 1e-6;
    else if (s->odo_us != OTR_MO_NEVER && step > 0 && is_gnss(s->src))
        s->distance_m += tunnel(s, now);
    s->odo_us = now;
    s->odo_place_us = s->place_us;
    s->odo_place[0] = s->place[0];
    s->odo_place[1] = s->place[1];
    s->odo_v = counted;
}

static void judge_motion(otr_mo_speed *s, int64_t now, double v) {
    if (v >= STAND_MPS)
        s->slow_us = OTR_MO_NEVER;
    else if (s->slow_us == OTR_MO_NEVER)
        s->slow_us = now;
    if (v >= MOVE_MPS)
        s->motion = 2;
    else if (s->slow_us != OTR_MO_NEVER && (now - s->slow_us >= OTR_MO_S || s->motion == 0))
        s->motion = 1;
}

static void trace(otr_mo_speed *s, int64_t now, double v) {
    uint32_t newest = (s->trace_n - 1u) % OTR_MO_TRACE;
    if (s->trace_n && now - s->trace_us[newest] < TRACE_US)
        return;
    s->trace_us[s->trace_n % OTR_MO_TRACE] = now;
    s->trace_v[s->trace_n % OTR_MO_TRACE] = (float)v;
    s->trace_n++;
}

bool otr_mo_speed_push(otr_motion *m, uint8_t src, double v, double res, uint32_t fix_flags) {
    otr_mo_speed *s = &m->speed;
    otr_mo_track *t = &s->track[src];
    int64_t now = m->now_us;
    bool again = now - t->last_us > BRIDGE_US || (fix_flags & OTR_FIX_FIRST) != 0;
    if (again) {
        if (is_gnss(src) && t->last_us != OTR_MO_NEVER)
            m->stats.jump++;
        t->first_us = now;
        t->n = 0;
    }
    int64_t spacing = otr_mo_off(m, OTR_RB_SPACING) ? 0 : SPACING_US;
    if (t->n == 0 || now - t->last_us >= spacing) {
        t->before_v = t->last_v;
        t->before_us = again ? OTR_MO_NEVER : t->last_us;
    }
    t->last_v = v;
    t->last_us = now;
    t->res = res;
    remember(t, now, v, spacing);
    uint8_t trusted = most_trusted(m);
    if (trusted != s->src)
        s->src = trusted;
    if (otr_mo_speed_fresh(m, src))
        otr_mo_align_speed(m, v, src);
    if (src != trusted)
        return !again;
    add_distance(s, now, v);
    judge_motion(s, now, v < 0 ? -v : v);
    trace(s, now, v < 0 ? -v : v);
    return !again;
}

void otr_mo_speed_tick(otr_motion *m) {
    m->speed.src = most_trusted(m);
    if (m->speed.src == OTR_SRC_NONE) {
        m->speed.motion = 0;
        m->speed.slow_us = OTR_MO_NEVER;
    }
}

double otr_mo_speed_now(const otr_motion *m) {
    uint8_t src = m->speed.src;
    return src != OTR_SRC_NONE && otr_mo_speed_fresh(m, src) ? m->speed.track[src].last_v : (double)NAN;
}

/* The newest value at or before t, as far back as the history of the trusted source goes (1.3 s of a quick one). */
double otr_mo_speed_at(const otr_motion *m, int64_t t_us) {
    const otr_mo_track *t = &m->speed.track[m->speed.src];
    uint32_t have = m->speed.src == OTR_SRC_NONE ? 0 : t->n < OTR_MO_HIST ? t->n : OTR_MO_HIST;
    for (uint32_t back = 1; back <= have; back++) {
        uint32_t i = (t->n - back) % OTR_MO_HIST;
        if (t->t_us[i] <= t_us)
            return t_us - t->t_us[i] <= FRESH_US[m->speed.src] ? fabs((double)t->v[i]) : (double)NAN;
    }
    return (double)NAN;
}

double otr_mo_gnss_speed(const otr_motion *m, int64_t max_age_us) {
    for (uint8_t src = OTR_SRC_GNSS_SERIAL; src <= OTR_SRC_GNSS_CAN; src++)
        if (m->now_us - m->speed.track[src].last_us <= max_age_us && otr_mo_speed_fresh(m, src))
            return m->speed.track[src].last_v;
    return (double)NAN;
}

double otr_mo_speed_extreme(const otr_motion *m, int64_t from, int64_t to, bool max) {
    const otr_mo_speed *s = &m->speed;
    double best = (double)NAN;
    uint32_t n = s->trace_n < OTR_MO_TRACE ? s->trace_n : OTR_MO_TRACE;
    for (uint32_t i = 0; i < n; i++) {
        if (s->trace_us[i] < from || s->trace_us[i] > to)
            continue;
        double v = (double)s->trace_v[i];
        if (!(best == best) || (max ? v > best : v < best))
            best = v;
    }
    return best;
}

bool otr_mo_speed_slope(const otr_mo_track *t, double span_s, double *ret_slope, double *ret_before) {
    int64_t span = (int64_t)(span_s * 1e6);
    uint32_t have = t->n < OTR_MO_HIST ? t->n : OTR_MO_HIST;
    for (uint32_t back = 2; back <= have; back++) {
        uint32_t i = (t->n - back) % OTR_MO_HIST;
        int64_t age = t->last_us - t->t_us[i];
        if (age < span)
            continue;
        if (age > 2 * span + OTR_MO_S / 2)
            return false;
        *ret_before = (double)t->v[i];
        *ret_slope = (t->last_v - *ret_before) / ((double)age * 1e-6);
        return true;
    }
    return false;
}
