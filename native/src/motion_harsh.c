/* motion_harsh.c: harsh braking, acceleration, cornering and lane changes from the IMU.
 *
 * Horizontal acceleration through a 2 Hz Butterworth low-pass. With the mounting known, along and across the vehicle, an
 * episode per class. Without it, one episode of the magnitude in the horizontal plane against the lowest threshold; its
 * kind is decided by what went on meanwhile: a turn when most of it had yaw, a lane change when the direction was
 * reversed, otherwise braking or acceleration by the slope of the speed. Without any speed the size has to decide: cars
 * hardly accelerate at 0.35 g, and such a guess says so by its confidence of 0.6.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "motion_parts.h"

#define MIN_V (10 / OTR_MO_KMH)
#define TURN_SHARE 0.5
#define PLANE_MIN_G 0.05 /* below, nothing is looked up */
#define SWERVE_RATE 0.06 /* rad/s */
#define TURN_RATE 0.2    /* rad/s */
#define TURN_PART 0.4    /* of an episode: a turn */
#define YAW_TAU_S 0.25
#define FLIP_US (3ll * OTR_MO_S)
#define BUCKET_US 100000
#define SLOPE_SPAN_S 1.0
#define AGREES_SPAN_S 0.4
#define AGREES_SHARE 0.3
#define LIKELY_BRAKE_G 0.35
#define BRISK_SHARE 0.8
#define BRISK_G 0.15 /* gained within BRISK_US: more than an ordinary foot asks for; prior */
#define BRISK_US 500000ll
#define TURNED_COS 0.90631 /* 25 degrees */
#define LONGER 1.1
#define BACK_COS 0.98481 /* 10 degrees */
#define FIRM_G 0.5
#define LONGER_SHARE 0.1

OTR_MO_RARE static void end_all(otr_motion *m, otr_mo_sink *sink) {
    otr_mo_harsh *h = &m->harsh;
    otr_mo_level none = {.value = -1};
    for (int i = 0; i < OTR_MO_CLASSES; i++) {
        if (h->ep[i].state >= 2) { /* on or cooling: let it end properly */
            otr_mo_episode_step(m, sink, &h->ep[i], &none);
            none.gap_s = -1;
            otr_mo_episode_step(m, sink, &h->ep[i], &none);
        }
        h->ep[i].state = 0;
    }
}

static void keep_mean(otr_mo_harsh *h, int64_t now, double dt) {
    if (now >= h->bucket_end_us || now < h->bucket_end_us - BUCKET_US) {
        int64_t no = now / BUCKET_US - (now < 0);
        h->bucket = (int)(((no % 10) + 10) % 10);
        h->bucket_no[h->bucket] = no;
        h->bucket_end_us = (no + 1) * BUCKET_US;
        h->bucket_s[h->bucket] = h->bucket_sum[h->bucket][0] = h->bucket_sum[h->bucket][1] = 0;
    }
    int i = h->bucket;
    h->bucket_s[i] += dt;
    h->bucket_sum[i][0] += h->value[0] * dt;
    h->bucket_sum[i][1] += h->value[1] * dt;
}

static void update_filters(otr_motion *m) {
    otr_mo_harsh *h = &m->harsh;
    const otr_mo_align *a = &m->align;
    const double *axis[2] = {a->aligned ? a->fwd : a->e1, a->aligned ? a->left : a->e2};
    const double *x = m->window.last; /* acceleration without gravity */
    double yaw = m->gravity.yaw;
    if (!h->settled || m->imu.gap) {
        for (int i = 0; i < 2; i++)
            otr_mo_settle(&m->imu.harsh, &h->f[i], 0);
        h->yaw = yaw;
        h->settled = true;
    }
    h->value[0] = otr_mo_filter(&m->imu.harsh, &h->f[0], otr_mo_dot(x, axis[0])) * (1 / OTR_MO_G);
    h->value[1] = otr_mo_filter(&m->imu.harsh, &h->f[1], otr_mo_dot(x, axis[1])) * (1 / OTR_MO_G);
    double share = m->imu.dt_s / YAW_TAU_S;
    h->yaw += (share < 1 ? share : 1) * (yaw - h->yaw);
}

/* The push of half a second ago, a mean over 100 ms; false when there was none.
 */
static bool push_before(const otr_mo_harsh *h, int64_t now, double ret[2]) {
    int64_t no = now / BUCKET_US - (now < 0) - BRISK_US / BUCKET_US;
    int i = (int)(((no % 10) + 10) % 10);
    if (h->bucket_no[i] != no || !(h->bucket_s[i] > 0))
        return false;
    ret[0] = h->bucket_sum[i][0] / h->bucket_s[i];
    ret[1] = h->bucket_sum[i][1] / h->bucket_s[i];
    return true;
}

/* The threshold of an acceleration of this size (g) in this direction: lower when it came quickly. An engine has little
 * more than the threshold to give at the speeds of a town, so size alone says little of the foot; firm but smooth driving
 * takes its time, a pedal that is stamped on does not. */
static double brisk_limit(otr_motion *m, double size, const double way[2], double limit) {
    otr_mo_harsh *h = &m->harsh;
    double before[2];
    if (size < BRISK_SHARE * limit || size >= limit || otr_mo_off(m, OTR_RB_BRISK))
        return limit;
    if (push_before(h, m->imu.last_us, before) && size - (before[0] * way[0] + before[1] * way[1]) >= BRISK_G)
        h->brisk_us = m->imu.last_us;
    return m->imu.last_us - h->brisk_us <= BRISK_US ? BRISK_SHARE * limit : limit;
}

/* -1 slowing, +1 gaining, 0 unknown */
static int trend(const otr_motion *m) {
    double slope, before;
    if (m->speed.src == OTR_SRC_NONE ||
        !otr_mo_speed_slope(&m->speed.track[m->speed.src], SLOPE_SPAN_S, &slope, &before))
        return 0;
    return slope < -0.3 ? -1 : slope > 0.3 ? 1 : 0;
}

/* In the plane all classes share the episode of the corner. */
static bool is_off(const otr_motion *m, int which) {
    if (!m->harsh.frame_aligned)
        return otr_mo_off(m, OTR_RB_PLANE);
    return otr_mo_off(m, which == OTR_MO_BRAKE ? OTR_RB_BRAKE : which == OTR_MO_ACCEL ? OTR_RB_ACCEL : OTR_RB_CORNER);
}

/* The sensor's own 1 g, squared; not what much hard driving makes of its mean. */
static double own_unit2(const otr_motion *m) {
    return m->gravity.unit2 < 1 ? m->gravity.unit2 : 1;
}

/* A firm push that has armed an episode must have made the specific force longer: by a third of its square in 0.4 s. If it
 * has not, it is the gravity of a box that turns, and the episode waits. */
static bool is_longer(const otr_motion *m, const otr_mo_episode *e) {
    double mean = e->sum_s > 0 ? e->sum / e->sum_s : 0;
    return mean < FIRM_G || m->gravity.mean_n2 >= own_unit2(m) + LONGER_SHARE * mean * mean ||
           otr_mo_off(m, OTR_RB_BOX_TURNED);
}

/* In the plane: the vehicle's broadcast speed neither changes by a third of what is felt nor makes a bend of the yaw rate.
 * Then the vehicle does not push, whatever the box feels, and the episode waits. A slower source may just be late. */
static bool is_denied(const otr_motion *m, const otr_mo_episode *e) {
    if (m->harsh.frame_aligned || m->speed.src != OTR_SRC_CAN || e->turn_s > TURN_PART * e->sum_s)
        return false;
    double slope, before, felt = e->sum_s > 0 ? e->sum / e->sum_s * OTR_MO_G : 0;
    if (otr_mo_off(m, OTR_RB_SPEED_AGREES) ||
        !otr_mo_speed_slope(&m->speed.track[OTR_SRC_CAN], AGREES_SPAN_S, &slope, &before))
        return false;
    return (slope < 0 ? -slope : slope) < AGREES_SHARE * felt;
}

static void step(otr_motion *m, otr_mo_sink *sink, int which, double value, double limit, double enter, double sign) {
    static const uint8_t kinds[OTR_MO_CLASSES] = {OTR_EV_HARSH_BRAKE, OTR_EV_HARSH_ACCEL, OTR_EV_HARSH_CORNER};
    otr_mo_harsh *h = &m->harsh;
    double v = otr_mo_speed_now(m);
    otr_mo_level l = {.kind = kinds[which],
                      .rule = (h->frame_aligned ? OTR_RULE_IMU_AXES : OTR_RULE_IMU_PLANE) + which + 1,
                      .value = value,
                      .limit = limit,
                      .enter = enter,
                      .sign = sign,
                      .hold_s = (double)m->cfg.min_hold_s,
                      .gap_s = (double)m->cfg.merge_gap_s,
                      .dt_s = m->imu.dt_s,
                      .gate = !(v < MIN_V) || otr_mo_off(m, OTR_RB_MIN_V)};
    otr_mo_episode *e = &h->ep[which];
    bool was_off = e->state == 0;
    if (e->state == 1 && (!is_longer(m, e) || is_denied(m, e)))
        l.hold_s = 1e9;
    e->sure = h->frame_aligned || was_off ? 1 : e->sure;
    if (is_off(m, which) || !otr_mo_episode_step(m, sink, e, &l))
        return;
    if (was_off) {
        e->ev.src_mask = (uint16_t)(1u << m->imu.src);
        e->ev.flags = h->frame_aligned ? OTR_EVF_ALIGNED : 0;
        e->first[0] = h->value[0];
        e->first[1] = h->value[1];
    }
}

/* The other sign within three seconds: a lane change, not a bend. In the plane the yaw rate has to swing both ways, too:
 * the car's nodding back after a brake reverses the direction as well. */
static void look_for_flip(otr_motion *m, double value) {
    otr_mo_harsh *h = &m->harsh;
    otr_mo_episode *e = &h->ep[OTR_MO_CORNER];
    bool open = e->state >= 2 && m->now_us - e->over_us <= FLIP_US;
    double along = h->value[0] * e->first[0] + h->value[1] * e->first[1];
    bool other = h->frame_aligned ? h->value[1] * e->first[1] < 0 : along < 0;
    bool both =
        h->frame_aligned || otr_mo_off(m, OTR_RB_SWERVE) || (e->yaw_low < -SWERVE_RATE && e->yaw_high > SWERVE_RATE);
    if (otr_mo_off(m, OTR_RB_LANE))
        return;
    if (open && other && both && value >= (double)m->cfg.lane_g && e->peak >= (double)m->cfg.lane_g) {
        e->flipped = true;
        e->ev.rule = (uint16_t)((h->frame_aligned ? OTR_RULE_IMU_AXES : OTR_RULE_IMU_PLANE) + 4);
        e->ev.limit = m->cfg.lane_g;
    }
}

OTR_MO_RARE static void judge_axes(otr_motion *m, otr_mo_sink *sink) {
    const otr_mo_harsh *h = &m->harsh;
    double along = h->value[0], across = fabs(h->value[1]);
    static const double FORTH[2] = {1, 0};
    double brake = (double)m->cfg.brake_g, accel = (double)m->cfg.accel_g;
    step(m, sink, OTR_MO_BRAKE, -along, brake, brake, -1);
    step(m, sink, OTR_MO_ACCEL, along, accel, brisk_limit(m, along, FORTH, accel), 1);
    look_for_flip(m, across);
    double corner = (double)m->cfg.corner_g;
    step(m, sink, OTR_MO_CORNER, across, corner, corner, h->value[1] < 0 ? -1 : 1);
}

/* Is the push sideways? By the yaw rate alone, or by what it makes with the speed: at 110 km/h a bend needs little. */
static bool is_turning(const otr_motion *m, double size) {
    double yaw = m->harsh.yaw < 0 ? -m->harsh.yaw : m->harsh.yaw;
    bool turns = yaw > TURN_RATE && !otr_mo_off(m, OTR_RB_PLANE_YAW);
    bool bends = otr_mo_speed_now(m) * yaw > TURN_SHARE * size * OTR_MO_G && !otr_mo_off(m, OTR_RB_PLANE_BEND);
    return turns || bends;
}

static double lowest(const otr_motion_config *c) {
    float low = c->brake_g < c->accel_g ? c->brake_g : c->accel_g;
    return (double)(low < c->corner_g ? low : c->corner_g);
}

/* The threshold in the plane: that of the class where the speed helps to tell it, the lowest of the three otherwise. */
static double plane_limit(const otr_motion *m, bool turning, int way) {
    const otr_motion_config *c = &m->cfg;
    if (m->speed.src != OTR_SRC_NONE)
        return (double)(turning ? c->corner_g : way > 0 ? c->accel_g : c->brake_g);
    return lowest(c);
}

/* What a manoeuvre in the plane is, as far as known. */
static void name_plane(const otr_motion *m, otr_mo_episode *e) {
    int kind;
    if (e->turn_s > TURN_PART * e->sum_s)
        kind = OTR_EV_HARSH_CORNER;
    else if (e->trend_s != 0)
        kind = e->trend_s < 0 ? OTR_EV_HARSH_BRAKE : OTR_EV_HARSH_ACCEL;
    else
        kind = e->peak >= LIKELY_BRAKE_G && !otr_mo_off(m, OTR_RB_PLANE_SIZE) ? OTR_EV_HARSH_BRAKE : OTR_EV_HARSH_ACCEL;
    e->sure = kind == OTR_EV_HARSH_CORNER || e->trend_s != 0 ? 1 : 0.6f;
    if (!e->flipped) {
        e->ev.kind = (uint16_t)kind;
        e->ev.rule = (uint16_t)(OTR_RULE_IMU_PLANE + 1 + (kind - OTR_EV_HARSH_BRAKE));
    }
}

OTR_MO_RARE static void judge_plane(otr_motion *m, otr_mo_sink *sink) {
    const otr_mo_harsh *h = &m->harsh;
    otr_mo_episode *e = &m->harsh.ep[OTR_MO_CORNER];
    double size = sqrt(h->value[0] * h->value[0] + h->value[1] * h->value[1]);
    bool turning = is_turning(m, size), pushed = size >= PLANE_MIN_G;
    int way = pushed && !otr_mo_off(m, OTR_RB_PLANE_TREND) ? trend(m) : 0;
    double limit = plane_limit(m, turning, way), scale = size > 0 ? 1 / size : 0;
    double ahead[2] = {h->value[0] * scale, h->value[1] * scale};
    bool gains = !turning && (way > 0 || m->speed.src == OTR_SRC_NONE);
    double enter = gains ? brisk_limit(m, size, ahead, limit) : limit;
    if (e->state == 0)
        e->turn_s = e->trend_s = e->yaw_low = e->yaw_high = 0;
    e->yaw_low = h->yaw < e->yaw_low ? h->yaw : e->yaw_low;
    e->yaw_high = h->yaw > e->yaw_high ? h->yaw : e->yaw_high;
    if (size >= enter) {
        e->turn_s += turning ? m->imu.dt_s : 0;
        e->trend_s += way * m->imu.dt_s;
    }
    name_plane(m, e);
    look_for_flip(m, size);
    step(m, sink, OTR_MO_CORNER, size, limit, enter, 1);
}

/* Nothing goes on, and nothing begins: no class is open, and the push is under every threshold in any direction. */
static bool is_calm(const otr_motion *m) {
    const otr_mo_harsh *h = &m->harsh;
    double size2 = h->value[0] * h->value[0] + h->value[1] * h->value[1];
    int open = h->ep[OTR_MO_BRAKE].state | h->ep[OTR_MO_ACCEL].state | h->ep[OTR_MO_CORNER].state;
    return OTR_MO_SHORT_CUTS && !open && size2 < h->calm2;
}

/* Does the box lie otherwise than it did? Then its gravity looks like a push, but not like a longer one (1.22 g^2 at 25
 * degrees). Until up has followed. */
OTR_MO_RARE static bool is_box_turned(otr_motion *m) {
    const otr_mo_gravity *g = &m->gravity;
    const double *up = m->align.aligned ? m->align.up : g->up;
    double felt2 = otr_mo_dot(g->fast, g->fast) / (OTR_MO_G * OTR_MO_G);
    if (otr_mo_wider(g->fast, up, TURNED_COS) && felt2 < LONGER * own_unit2(m))
        m->harsh.box_turned = true;
    else if (!otr_mo_wider(g->fast, up, BACK_COS))
        m->harsh.box_turned = false;
    return m->harsh.box_turned && !otr_mo_off(m, OTR_RB_BOX_TURNED);
}

void otr_mo_harsh_init(otr_motion *m) {
    double low = BRISK_SHARE * lowest(&m->cfg);
    m->harsh.calm2 = 0.999 * low * low;
    m->harsh.brisk_us = OTR_MO_NEVER;
}

void otr_mo_harsh_imu(otr_motion *m, otr_mo_sink *sink) {
    otr_mo_harsh *h = &m->harsh;
    if (!m->gravity.known || !m->align.basis)
        return;
    bool crash = m->crash.state == OTR_MO_CAPTURE || m->crash.state == OTR_MO_CONFIRM;
    bool other = h->frame_aligned != m->align.aligned || m->imu.gap;
    if (otr_mo_off(m, OTR_RB_CRASH_PAUSE))
        crash = false;
    if (other || crash)
        end_all(m, sink); /* what a crash does is not driving */
    if (other)
        h->settled = false;
    h->frame_aligned = m->align.aligned;
    update_filters(m);
    keep_mean(h, m->imu.last_us, m->imu.dt_s);
    if (crash || is_calm(m))
        return;
    double size2 = h->value[0] * h->value[0] + h->value[1] * h->value[1];
    if (size2 >= h->calm2 && is_box_turned(m)) {
        end_all(m, sink);
        return;
    }
    if (h->frame_aligned)
        judge_axes(m, sink);
    else
        judge_plane(m, sink);
}
