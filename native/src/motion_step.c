/* motion_step.c: a sensor that breaks, told from a car that is hit.
 *
 * A hit is a change of velocity: the specific force leaves its rest, moves all
 * the while, and comes back over several samples. A broken sensor jumps, within
 * one sample and out of rest, to a value at which it stays: one axis alone an
 * end of its range, a dead channel, a new zero all three alike              a
 * bus that reads as ones, a register of default values another direction, 1 g
 * long  the device was turned in its mount, or axes were swapped Such a step is
 * open while the value stays. No crash is begun then. It ends as nothing as
 * soon as the value moves (a clipped pulse shakes the other axes and falls off
 * the end of the range over more than one sample), as garbage when it jumps
 * back to where it came from (what it added is forgotten), and as broken after
 * STAYS_US: the axes go on with the step taken off, or gravity is taken to be
 * where it points now.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "motion_parts.h"

#define AXIS_JUMP 8.0              /* m/s2: less reaches no threshold of a crash */
#define FALLING2 0.15              /* g^2: less is free fall, whatever the axes say */
#define BACK 5.0                   /* m/s2 around where it came from */
#define OTHERS 5.0                 /* m/s2: what an axis that has not jumped may move, as on a bad road */
#define STAYS_US 300000            /* recorded pulses stay 130 at the end of the smallest range */
#define ALIKE_MIN (1.5 * OTR_MO_G) /* all axes at one and the same number */
#define CLIPPED_US 40000
#define TURNED_COS 0.86603       /* 30 degrees: a bend of 0.5 g does not reach it, and less rolls nobody over */
#define DEAD_US (4ll * OTR_MO_S) /* an axis that repeats one number meanwhile ... */
#define DEAD_MOVED 6.0 /* ... while both others move: sum of squared steps, (m/s2)^2; a drive at 100 Hz has 5 to 50 */
#define FLAT_US 100000 /* at the end of a capture: no pulse stays so long at one number */
#define FLAT_MIN (1.3 * OTR_MO_G)

static double size_of(double x) {
    return x < 0 ? -x : x;
}

static double apart2(const double a[3], const double b[3]) {
    double d[3] = {a[0] - b[0], a[1] - b[1], a[2] - b[2]};
    return otr_mo_dot(d, d);
}

static bool long_as_gravity(const otr_motion *m, const double a[3]) {
    double n2 = otr_mo_dot(a, a) / (OTR_MO_G * OTR_MO_G);
    return n2 > 0.7 * m->gravity.unit2 && n2 < 1.25 * m->gravity.unit2;
}

static bool all_alike(const otr_motion *m, const double a[3]) {
    double x = size_of(a[0]), y = size_of(a[1]), z = size_of(a[2]);
    double stop = 0.98 * (double)m->cfg.imu_range_g * OTR_MO_G;
    return x > ALIKE_MIN && ((x == y && y == z) || (stop > 0 && x >= stop && y >= stop && z >= stop));
}

static uint8_t jumped_axes(const double a[3], const double before[3]) {
    uint8_t axes = 0;
    for (int i = 0; i < 3; i++)
        axes |= size_of(a[i] - before[i]) > AXIS_JUMP ? (uint8_t)(1u << i) : 0;
    return axes;
}

static enum otr_mo_step_kind kind_of(const otr_motion *m, const double a[3], uint8_t axes) {
    if (long_as_gravity(m, a) && otr_mo_wider(a, m->gravity.up, TURNED_COS))
        return OTR_MO_STEP_TURN;
    if (axes == 1u || axes == 2u || axes == 4u) /* hardly any g: it falls */
        return otr_mo_dot(a, a) > FALLING2 * OTR_MO_G * OTR_MO_G * m->gravity.unit2 ? OTR_MO_STEP_AXIS
                                                                                    : OTR_MO_STEP_NONE;
    return axes == 7u && all_alike(m, a) ? OTR_MO_STEP_ALIKE : OTR_MO_STEP_NONE;
}

static void open_step(otr_motion *m, const double a[3]) {
    otr_mo_step *s = &m->step;
    if (!(m->gravity.age_s > 0))
        return;
    s->axes = jumped_axes(a, s->last);
    s->kind = (uint8_t)kind_of(m, a, s->axes);
    if (s->kind == OTR_MO_STEP_NONE)
        return;
    s->since_us = m->imu.last_us;
    otr_mo_copy(s->base, s->last);
    otr_mo_copy(s->level, a);
    s->count = 1;
}

/* Does the reading stay where it jumped to? */
static bool stays(const otr_mo_step *s, const double a[3]) {
    double jump2 = apart2(s->level, s->base);
    if (s->kind == OTR_MO_STEP_TURN) {
        double room2 = 0.25 * jump2;
        return apart2(a, s->level) < (room2 < 9 ? 9 : room2 > 36 ? 36 : room2);
    }
    for (int i = 0; i < 3; i++) {
        double jump = size_of(s->level[i] - s->base[i]), room = 0.1 * jump > 1.5 ? 0.1 * jump : 1.5;
        if (size_of(a[i] - s->level[i]) > (s->axes >> i & 1u ? room : OTHERS))
            return false;
    }
    return true;
}

static bool came_back(const otr_mo_step *s, const double a[3]) {
    double jump2 = apart2(s->level, s->base), room2 = 0.04 * jump2;
    return apart2(a, s->base) < (room2 < BACK * BACK ? BACK * BACK : room2) && apart2(a, s->last) > 0.5 * jump2;
}

/* What the garbage has added to the sums must not be found by a window: they
 * begin anew. */
static void forget(otr_motion *m) {
    otr_mo_window_reset(&m->window);
    m->imu.gap = true; /* this sample continues nothing */
    m->imu.dt_s = 0;
    m->imu.cfc = false;
}

/* A pulse cut off by a small range can look like that as well: alone on one axis, steep on both sides, and at the end of
 * the range (or of an unknown one) for as long as pulses last. Its alarm is late, not lost. */
static bool may_be_clipped(const otr_motion *m) {
    const otr_mo_step *s = &m->step;
    bool at_end = m->cfg.imu_range_g > 0 ? m->imu.saturated_us >= s->since_us : true;
    return s->kind == OTR_MO_STEP_AXIS && at_end && m->imu.last_us - s->since_us >= CLIPPED_US;
}

static void close_garbage(otr_motion *m) {
    otr_mo_step *s = &m->step;
    if (apart2(s->level, s->base) * m->imu.period_s * m->imu.period_s * s->count * s->count < 0.25) /* (m/s)^2 */
        return;
    otr_mo_quality_note(m, OTR_DQ_STUCK);
    if (!may_be_clipped(m))
        forget(m);
}

static void close_broken(otr_motion *m) {
    otr_mo_step *s = &m->step;
    s->turned = s->kind == OTR_MO_STEP_TURN;
    bool still = s->kind == OTR_MO_STEP_ALIKE;
    for (int i = 0; i < 3 && !s->turned; i++) {
        if (!(s->axes >> i & 1u))
            continue;
        double step = s->level[i] - s->base[i];
        s->offset[i] += step;
        still = still || s->moved_us[i] <= s->since_us;
    }
    otr_mo_quality_note(m, still ? OTR_DQ_STUCK : OTR_DQ_AXES_TURNED);
    forget(m);
}

static void note_flat(otr_motion *m, const double d[3]) {
    for (int i = 0; i < 3; i++)
        if (d[i] < 0 || d[i] > 0)
            m->step.moved_us[i] = m->imu.last_us;
}

OTR_MO_RARE static void look(otr_motion *m, const double a[3], const double d[3]) {
    otr_mo_step *s = &m->step;
    note_flat(m, d);
    if (s->kind == OTR_MO_STEP_NONE) {
        if (!m->imu.gap && otr_mo_step_jumps(m, d) && !otr_mo_off(m, OTR_RB_STEP))
            open_step(m, a);
        return;
    }
    if (!m->imu.gap && stays(s, a)) {
        s->count++;
        for (int i = 0; i < 3; i++)
            s->level[i] += (a[i] - s->level[i]) / s->count;
        if (m->imu.last_us - s->since_us < STAYS_US)
            return;
        close_broken(m);
    } else if (came_back(s, a)) {
        close_garbage(m);
    }
    s->kind = OTR_MO_STEP_NONE;
}

/* Which axis has not changed by a bit for seconds while the others shook? */
static void look_for_dead(otr_motion *m) {
    otr_mo_step *s = &m->step;
    const double *q = s->shaken;
    bool dead = false;
    for (int i = 0; i < 3; i++)
        dead = dead || (!(q[i] > 0) && q[(i + 1) % 3] > DEAD_MOVED && q[(i + 2) % 3] > DEAD_MOVED);
    if (dead)
        otr_mo_quality_note(m, OTR_DQ_STUCK);
    s->shaken[0] = s->shaken[1] = s->shaken[2] = 0;
    s->epoch_us = m->imu.last_us + DEAD_US;
}

/* Called for few samples; the others are dealt with in otr_mo_step_take (motion_parts.h). */
OTR_MO_RARE void otr_mo_step_look(otr_motion *m, const double d[3]) {
    otr_mo_step *s = &m->step;
    double *a = m->imu.acc, taken[3] = {s->offset[0], s->offset[1], s->offset[2]};
    if (m->imu.last_us >= s->epoch_us)
        look_for_dead(m);
    look(m, a, d);
    for (int i = 0; i < 3; i++) { /* a step that was just taken off must not look like the next one */
        a[i] -= s->offset[i] - taken[i];
        s->last[i] = a[i];
    }
}

/* Gravity is where the turned device says it is; the mounting has to be learnt
 * anew. */
void otr_mo_step_settle(otr_motion *m, otr_mo_sink *sink) {
    otr_mo_step *s = &m->step;
    s->turned = false;
    otr_mo_gravity_adopt(m, s->level);
    if (m->crash.state == OTR_MO_CAPTURE || m->crash.state == OTR_MO_CONFIRM)
        return; /* it belongs to the crash, whose verdict looks at the mounting itself */
    otr_event ev;
    otr_mo_event_init(m, &ev, OTR_EV_DEVICE_MOVED, OTR_RULE_JUMPED, s->since_us);
    ev.conf = 0.9f;
    ev.level = 1;
    ev.limit = 30;
    ev.t_end_us = m->imu.last_us;
    otr_mo_emit(m, sink, &ev, OTR_PH_CONFIRMED);
}

/* Before, samples are not looked at one by one: an axis that has not been seen to move is not yet flat. */
void otr_mo_step_watch(otr_motion *m) {
    for (int i = 0; i < 3; i++)
        m->step.moved_us[i] = m->imu.last_us;
}

static bool is_flat(const otr_motion *m, int axis) {
    const otr_mo_step *s = &m->step;
    return m->imu.last_us - s->moved_us[axis] >= FLAT_US && size_of(s->last[axis] - m->gravity.g[axis]) > FLAT_MIN;
}

/* At the end of a capture: has an axis been at one number for longer than a pulse can be, far from rest? Then what was
 * measured is the sensor's and not the car's. */
bool otr_mo_step_flat(const otr_motion *m) {
    return is_flat(m, 0) || is_flat(m, 1) || is_flat(m, 2);
}

/* The axes that are flat go on from where gravity was. */
void otr_mo_step_give_up(otr_motion *m) {
    for (int i = 0; i < 3; i++) {
        if (!is_flat(m, i))
            continue;
        double step = m->step.last[i] - m->gravity.g[i];
        m->step.offset[i] += step;
        m->step.last[i] -= step;
    }
    otr_mo_quality_note(m, OTR_DQ_STUCK);
    forget(m);
}
