/* outputs.c: events with their place, snapshots, the black-box page and the queue that holds them.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>

#include "engine_impl.h"
#include "outrider/blackbox.h"

#define DEG_TO_RAD 0.017453292519943295
#define SUPPLY_AGAIN_US 10000000
#define WEAK_PAUSE_US 600000000 /* a sensor that fails over and over does not wear out the flash */

static uint8_t *queue_cell(otr_engine *e, uint32_t kind, uint32_t values) {
    output_queue *q = &e->out;
    uint8_t *cell = q->cells + ((q->head + q->count) % q->capacity) * q->cell;
    q->count++;
    memset(cell, 0, q->cell);
    memcpy(cell, &kind, 4);
    memcpy(cell + 4, &values, 4);
    return cell + OTR_OUTPUT_HEADER;
}

/* The newest fix at or before t_us, NULL when none is remembered. */
static const otr_fix *fix_at(const otr_engine *e, int64_t t_us) {
    uint32_t known = e->fix_count < FIX_RING ? e->fix_count : FIX_RING;
    for (uint32_t i = 1; i <= known; i++) {
        const otr_fix *f = &e->fixes[(e->fix_count - i) % FIX_RING];
        if (f->t_us <= t_us)
            return f;
    }
    return NULL;
}

static void add_place(const otr_engine *e, otr_event *event) {
    const otr_fix *f = fix_at(e, event->t0_us);
    event->flags &= (uint16_t)~(OTR_EVF_POS | OTR_EVF_POS_STALE);
    if (!f) {
        event->lat_deg = event->lon_deg = NAN;
        event->hacc_m = event->heading_deg = NAN;
        return;
    }
    event->lat_deg = f->lat_deg;
    event->lon_deg = f->lon_deg;
    event->hacc_m = f->hacc_m;
    event->heading_deg = f->flags & OTR_FIX_HEADING ? f->heading_deg : NAN;
    unsigned stale = event->t0_us - f->t_us > OTR_FIX_STALE_US ? OTR_EVF_POS_STALE : 0u;
    event->flags |= (uint16_t)(OTR_EVF_POS | stale);
}

static int is_crash(const otr_event *event) {
    const uint32_t crashes = 1u << OTR_EV_CRASH | 1u << OTR_EV_CRASH_INFERRED | 1u << OTR_EV_ROLLOVER |
                             1u << OTR_EV_PARKED_IMPACT | 1u << OTR_EV_AIRBAG | 1u << OTR_EV_POWER_LOST_MOVING;
    return event->kind < 32 && (crashes >> event->kind & 1u);
}

/* Once an event, at its first suspicion; an airbag is confirmed at once, without one. A further impact (suspected again)
 * makes its window longer. */
static void ask_for_evidence(otr_engine *e, const otr_event *event) {
    int weak = event->kind == OTR_EV_SPEED_SENSOR_LOST; /* all that a car without an IMU may have left to say */
    if (!is_crash(event) && !weak)
        return;
    if (event->phase == OTR_PH_UPDATE && event->dv_kmh == event->dv_kmh)
        otr_recorder_pulse(e->recorder, event->seq, e->now_us);
    if (event->phase != OTR_PH_SUSPECT && (event->phase != OTR_PH_CONFIRMED || event->seq <= e->evidence_seq))
        return;
    if (weak && e->weak_us && e->now_us - e->weak_us < WEAK_PAUSE_US)
        return;
    e->weak_us = weak ? e->now_us : e->weak_us;
    int opened = otr_recorder_trigger(e->recorder, event->seq, event->t0_us, e->now_us);
    e->stats.evidence += opened > 0;
    e->stats.evidence_lost += opened < 0;
    e->evidence_seq = event->seq > e->evidence_seq ? event->seq : e->evidence_seq;
}

void otr_note_supply(otr_engine *e, const otr_sample *power) {
    float v = power->x[1];
    if (!(power->q & OTR_Q_VALID) || !(v >= 0.0f && v < 100.0f))
        return;
    int low = e->supply_v > 0.0f ? v < (e->supply_low ? 0.8f : 0.6f) * e->supply_v : v < 1.0f;
    if (!low)
        e->supply_v = e->supply_v > 0.0f ? e->supply_v + 0.02f * (v - e->supply_v) : v;
    int dead = v < 1.0f && e->now_us - e->supply_us >= SUPPLY_AGAIN_US; /* told again and again, by a signal */
    if (low && (!e->supply_low || dead)) {
        e->supply_us = e->now_us;
        e->stats.supply_failures++;
        e->alarmed = 1;
        if (e->recorder)
            otr_recorder_hurry(e->recorder, e->now_us);
    }
    e->supply_low = low;
}

int otr_engine_supply_fails(otr_engine *e) {
    int alarmed = e->alarmed;
    e->alarmed = 0;
    return alarmed;
}

static void emit_event(otr_engine *e, otr_event *event) {
    if (e->out.count == e->out.capacity) { /* cannot happen while OTR_OUTPUT_RESERVE holds */
        e->stats.motion.events_lost++;
        return;
    }
    add_place(e, event);
    if (e->recorder)
        ask_for_evidence(e, event);
    e->out.urgent |= is_crash(event) && event->phase >= OTR_PH_SUSPECT && event->phase <= OTR_PH_CANCELLED;
    e->last_event = event->seq;
    e->stats.events++;
    memcpy(queue_cell(e, OTR_OUT_EVENT, 0), event, sizeof *event);
}

/* For the page: of one sensor, until it says nothing for a tick, and only what is valid and finite. */
static void note_acc(otr_engine *e, const otr_sample *sample) {
    const float *x = sample->x;
    if (!(sample->q & OTR_Q_VALID) || !isfinite(x[0]) || !isfinite(x[1]) || !isfinite(x[2]))
        return;
    if (e->acc_src != OTR_SRC_NONE && e->acc_src != sample->src)
        return;
    for (unsigned i = 0; i < 3; i++)
        e->acc_sum[i] += (double)x[i];
    e->acc_src = sample->src;
    e->acc_count++;
}

void otr_push_sample(otr_engine *e, const otr_sample *sample) {
    otr_event events[EVENTS_PER_SAMPLE];
    if (sample->kind == OTR_IN_IMU)
        note_acc(e, sample);
    int n = otr_motion_push(e->motion, sample, events, EVENTS_PER_SAMPLE);
    e->stats.samples++;
    for (int i = 0; i < n; i++)
        emit_event(e, &events[i]);
}

void otr_push_fix(otr_engine *e, const otr_fix *fix) {
    if (e->recorder)
        otr_recorder_fix(e->recorder, fix);
    e->fix_seen_us = fix->t_us;
    e->fix_type = fix->fix_type;
    e->fix_sats = fix->sats;
    if (fix->flags & OTR_FIX_POS)
        e->fixes[e->fix_count++ % FIX_RING] = *fix;
    otr_sample s = {.t_us = fix->t_us, .kind = OTR_IN_GNSS, .src = fix->src, .res = (float)fix->flags};
    s.q = fix->fix_type ? OTR_Q_VALID : 0;
    s.x[0] = fix->flags & OTR_FIX_SPEED ? fix->speed_mps : NAN;
    s.x[1] = fix->flags & OTR_FIX_HEADING ? (float)(fix->heading_deg * DEG_TO_RAD) : NAN;
    s.x[2] = fix->hacc_m;
    s.x[3] = fix->flags & OTR_FIX_POS ? (float)fix->lat_deg : NAN;
    s.x[4] = fix->flags & OTR_FIX_POS ? (float)fix->lon_deg : NAN;
    otr_push_sample(e, &s);
}

static void fill_place(const otr_engine *e, otr_vehicle *v) {
    const otr_fix *f = fix_at(e, INT64_MAX);
    v->lat_deg = v->lon_deg = NAN;
    v->heading_deg = v->alt_m = v->hacc_m = v->hdop = NAN;
    v->fix_t_us = v->fix_utc_us = 0;
    if (f) {
        v->lat_deg = f->lat_deg;
        v->lon_deg = f->lon_deg;
        v->heading_deg = f->flags & OTR_FIX_HEADING ? f->heading_deg : NAN;
        v->alt_m = f->flags & OTR_FIX_ALT ? f->alt_m : NAN;
        v->hacc_m = f->hacc_m;
        v->hdop = f->hdop;
        v->fix_t_us = f->t_us;
        v->fix_utc_us = f->flags & OTR_FIX_TIME ? f->utc_us : 0;
    }
    int lost = v->t_us - e->fix_seen_us > OTR_FIX_LOST_US;
    v->fix_type = lost ? 0 : e->fix_type;
    v->sats = lost ? 0 : e->fix_sats;
}

static int64_t max_age_us(const otr_engine *e, uint32_t slot) {
    return (int64_t)e->tables->max_age_ms[slot] * 1000;
}

void otr_emit_snapshot(otr_engine *e, int64_t t_us) {
    const otr_tables *t = e->tables;
    otr_vehicle v;
    memset(&v, 0, sizeof v);
    otr_motion_vehicle(e->motion, &v);
    v.t_us = t_us;
    v.odometer_m = e->role[OTR_ROLE_ODOMETER].count ? e->role[OTR_ROLE_ODOMETER].value : NAN;
    fill_place(e, &v);
    uint8_t *out = queue_cell(e, OTR_OUT_SNAPSHOT, t->telemetry);
    memcpy(out, &v, sizeof v);
    out += sizeof v;
    for (uint32_t i = 0; i < t->slots; i++) {
        if (!(t->slot_flags[i] & OTR_SLOT_TELEMETRY))
            continue;
        double value = otr_cell_fresh(&e->cell[i], t_us, max_age_us(e, i)) ? e->cell[i].value : NAN;
        memcpy(out, &value, sizeof value);
        out += sizeof value;
    }
    e->stats.snapshots++;
}

size_t otr_engine_output_size(const otr_engine *e) {
    return e->out.cell;
}

uint32_t otr_engine_take(otr_engine *e, void *ret_outputs, uint32_t max) {
    output_queue *q = &e->out;
    uint32_t n = q->count < max ? q->count : max;
    for (uint32_t i = 0; i < n; i++) {
        memcpy((uint8_t *)ret_outputs + i * q->cell, q->cells + q->head * q->cell, q->cell);
        q->head = (q->head + 1u) % q->capacity;
    }
    q->count -= n;
    if (!q->count)
        q->urgent = 0;
    return n;
}

int otr_engine_urgent(const otr_engine *e) {
    return e->out.urgent || e->alarmed;
}

/* Telemetry slots that were ever seen, in slot order, until the page is full. */
static uint32_t page_signals(const otr_engine *e, otr_page_signal *out) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < e->tables->slots && n < OTR_PAGE_SIGNALS; i++) {
        if (!e->cell[i].count || !(e->tables->slot_flags[i] & OTR_SLOT_TELEMETRY))
            continue;
        int64_t age_ms = otr_cell_age(&e->cell[i], e->now_us) / 1000;
        out[n++] = (otr_page_signal){i, age_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)age_ms, e->cell[i].value};
    }
    return n;
}

/* Rounded, held at the ends of what fits. */
static int16_t centi(double x) {
    double c = x * 100.0 + (x < 0.0 ? -0.5 : 0.5);
    return c != c ? OTR_ACC_UNKNOWN : c > 32767.0 ? 32767 : c < -32767.0 ? -32767 : (int16_t)c;
}

void otr_note_moment(otr_engine *e, int64_t t_us) {
    otr_vehicle v;
    memset(&v, 0, sizeof v);
    v.t_us = t_us;
    otr_motion_vehicle(e->motion, &v);
    otr_page_moment m = {.speed = OTR_SPEED_UNKNOWN};
    if (v.speed_mps >= 0.0f && v.speed_mps < 655.0f)
        m.speed = (uint16_t)((double)v.speed_mps * 100.0 + 0.5);
    for (unsigned i = 0; i < 3; i++) {
        m.acc[i] = e->acc_count ? centi(e->acc_sum[i] / e->acc_count) : OTR_ACC_UNKNOWN;
        e->acc_sum[i] = 0.0;
    }
    if (!e->acc_count)
        e->acc_src = OTR_SRC_NONE;
    e->acc_count = 0;
    e->moment[e->moments++ % OTR_PAGE_MOMENTS] = m;
}

static uint32_t page_moments(const otr_engine *e, otr_page_moment *out) {
    uint32_t n = e->moments < OTR_PAGE_MOMENTS ? e->moments : OTR_PAGE_MOMENTS;
    for (uint32_t i = 0; i < n; i++)
        out[i] = e->moment[(e->moments - n + i) % OTR_PAGE_MOMENTS];
    return n;
}

void otr_engine_count_pages(otr_engine *e, uint64_t start) {
    if (start > e->page_counter)
        e->page_counter = start;
}

void otr_engine_black_box(otr_engine *e, uint32_t boot_id, uint32_t flags, uint8_t *ret_page) {
    otr_vehicle v;
    memset(&v, 0, sizeof v);
    otr_motion_vehicle(e->motion, &v);
    v.t_us = e->now_us;
    fill_place(e, &v);
    otr_black_box box;
    memset(&box, 0, sizeof box);
    box.counter = ++e->page_counter;
    box.t_us = e->now_us;
    box.fix_t_us = v.fix_t_us;
    box.utc_us = v.fix_utc_us;
    box.lat_deg = v.lat_deg;
    box.lon_deg = v.lon_deg;
    box.speed_mps = v.speed_mps;
    box.heading_deg = v.heading_deg;
    box.hacc_m = v.hacc_m;
    box.last_event = e->last_event;
    box.boot_id = boot_id;
    box.flags = flags;
    box.signals = page_signals(e, box.signal);
    box.moments = page_moments(e, box.moment);
    otr_black_box_render(&box, ret_page);
}
