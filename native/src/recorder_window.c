/* recorder_window.c: the windows around events, and what is due of them: step by step, the most valuable first.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "recorder_state.h"

#define ALL_BEFORE INT64_MIN

/* What lies before the trigger, the most valuable first: times before T0 in seconds; to_s 0 means up to the trigger. */
typedef struct {
    uint8_t kind, from_s, to_s;
} stretch;

#define FRAMES_OF(s) {OTR_REC_FRAMES, (s), (s) - 1}
static const stretch BEFORE[] = {
    {OTR_REC_SIGNALS, 30, 0},
    {OTR_REC_IMU, 5, 0},
    {OTR_REC_FIXES, 30, 0},
    {OTR_REC_INPUTS, 30, 0},
    FRAMES_OF(1),
    {OTR_REC_IMU, 10, 5},
    {OTR_REC_IMU, 15, 10},
    FRAMES_OF(2),
    FRAMES_OF(3),
    FRAMES_OF(4),
    FRAMES_OF(5),
    FRAMES_OF(6),
    FRAMES_OF(7),
    FRAMES_OF(8),
    FRAMES_OF(9),
    FRAMES_OF(10),
    FRAMES_OF(11),
    FRAMES_OF(12),
    FRAMES_OF(13),
    FRAMES_OF(14),
    FRAMES_OF(15),
    FRAMES_OF(16),
    FRAMES_OF(17),
    FRAMES_OF(18),
    FRAMES_OF(19),
    FRAMES_OF(20),
    FRAMES_OF(21),
    FRAMES_OF(22),
    FRAMES_OF(23),
    FRAMES_OF(24),
    FRAMES_OF(25),
    FRAMES_OF(26),
    FRAMES_OF(27),
    FRAMES_OF(28),
    FRAMES_OF(29),
    FRAMES_OF(30),
    {OTR_REC_IMU, 20, 15},
    {OTR_REC_IMU, 25, 20},
    {OTR_REC_IMU, 30, 25},
};
#define FIRST 5u /* of these: before anything that came after the trigger */
#define BEFORE_COUNT ((uint32_t)(sizeof BEFORE / sizeof *BEFORE))
static_assert(OTR_PRE_US == 30000000, "the table above reaches so far back");

/* What comes after it, in this order. */
static const uint8_t AFTER[OTR_REC_KINDS] = {OTR_REC_SIGNALS, OTR_REC_IMU, OTR_REC_FIXES, OTR_REC_INPUTS,
                                             OTR_REC_FRAMES};

/* ---- windows ----------------------------------------------------------------------------------- */

static otr_rec_window *window_of(otr_recorder *r, uint32_t event_seq) {
    for (unsigned i = 0; i < OTR_WINDOWS; i++)
        if (r->window[i].open && r->window[i].seq == event_seq)
            return &r->window[i];
    return NULL;
}

static void prolong(otr_rec_window *w, int64_t t0_us) {
    int64_t until = t0_us + OTR_POST_US, limit = w->t0_us + OTR_POST_MAX_US;
    until = until < limit ? until : limit;
    if (until > w->until_us)
        w->until_us = until;
}

int otr_recorder_trigger(otr_recorder *r, uint32_t event_seq, int64_t t0_us, int64_t now_us) {
    otr_rec_window *w = window_of(r, event_seq);
    if (w) {
        prolong(w, t0_us);
        return 0;
    }
    for (unsigned i = 0; i < OTR_WINDOWS; i++) {
        if (r->window[i].open)
            continue;
        if (r->window[i].seq == event_seq)
            return 0; /* its window has had its time: nothing is handed out twice */
        w = w ? w : &r->window[i];
    }
    if (!w)
        return -1;
    *w = (otr_rec_window){.open = 1, .seq = event_seq, .t0_us = t0_us, .trigger_us = now_us, .hurry_us = OTR_NEVER_US};
    int64_t least = now_us + (int64_t)BEFORE_COUNT * OTR_BEFORE_STEP_US; /* so that all of before is handed out */
    w->until_us = t0_us + OTR_POST_US > least ? t0_us + OTR_POST_US : least;
    w->states = 1u << OTR_STEP_TRIGGER;
    w->after_us = now_us + OTR_SOON_US;
    for (unsigned k = 0; k < OTR_REC_KINDS; k++)
        w->begin[k] = w->cursor[k] = r->ring[k].appended;
    return 1;
}

void otr_recorder_pulse(otr_recorder *r, uint32_t event_seq, int64_t now_us) {
    otr_rec_window *w = window_of(r, event_seq);
    if (!w)
        return;
    w->states |= 1u << OTR_STEP_PULSE;
    w->pulse_us = now_us;
}

void otr_recorder_hurry(otr_recorder *r, int64_t now_us) {
    for (unsigned i = 0; i < OTR_WINDOWS; i++)
        if (r->window[i].open) {
            r->window[i].hurry_us = now_us;
            r->window[i].after_us = now_us;
        }
}

void otr_recorder_finish(otr_recorder *r, int64_t now_us) {
    otr_recorder_hurry(r, now_us);
    for (unsigned i = 0; i < OTR_WINDOWS; i++)
        if (r->window[i].until_us > now_us + 1)
            r->window[i].until_us = r->window[i].after_us = now_us + 1;
}

unsigned otr_recorder_windows(const otr_recorder *r) {
    unsigned n = 0;
    for (unsigned i = 0; i < OTR_WINDOWS; i++)
        n += r->window[i].open != 0;
    return n;
}

static int64_t before_due(const otr_rec_window *w) {
    if (w->before >= BEFORE_COUNT)
        return OTR_NEVER_US;
    int64_t due = w->trigger_us + (int64_t)w->before * OTR_BEFORE_STEP_US;
    return w->hurry_us < due ? w->hurry_us : due;
}

static int64_t after_due(const otr_rec_window *w) {
    return w->after_us < w->until_us ? w->after_us : w->until_us;
}

static int64_t window_due(const otr_rec_window *w) {
    if (!w->open)
        return OTR_NEVER_US;
    if (w->states)
        return w->trigger_us;
    int64_t before = before_due(w), after = after_due(w);
    return before < after ? before : after;
}

int64_t otr_recorder_due(const otr_recorder *r) {
    if (r->told) /* nothing may be recorded over its items */
        return r->told->trigger_us;
    int64_t due = OTR_NEVER_US;
    for (unsigned i = 0; i < OTR_WINDOWS; i++) {
        int64_t own = window_due(&r->window[i]);
        due = own < due ? own : due;
    }
    return due;
}

static otr_rec_window *most_due(otr_recorder *r, int64_t now_us) {
    otr_rec_window *best = NULL;
    for (unsigned i = 0; i < OTR_WINDOWS; i++) {
        otr_rec_window *w = &r->window[i];
        if (window_due(w) <= now_us && (!best || window_due(w) < window_due(best)))
            best = w;
    }
    return best;
}

/* ---- steps ------------------------------------------------------------------------------------- */

static void tell_slice(otr_recorder *r, otr_rec_window *w, uint8_t kind, const otr_span *span) {
    r->span = *span;
    r->told = w;
    r->step = (otr_evidence_step){.t0_us = w->t0_us,
                                  .trigger_us = w->trigger_us,
                                  .first_us = span->first_us,
                                  .last_us = span->last_us,
                                  .event_seq = w->seq,
                                  .count = span->count,
                                  .slice = w->slices[kind],
                                  .what = OTR_STEP_SLICE,
                                  .kind = kind};
}

static void note_given(otr_rec_window *w, uint8_t kind, const otr_span *span) {
    otr_cover *g = &w->given[kind];
    if (!g->count || span->first_us < g->first_us)
        g->first_us = span->first_us;
    if (!g->count || span->last_us > g->last_us)
        g->last_us = span->last_us;
    g->count += span->count;
    w->slices[kind]++;
}

/* 1 when the stretch holds anything. */
static int step_before(otr_recorder *r, otr_rec_window *w) {
    stretch s = BEFORE[w->before++];
    int64_t from = w->t0_us - s.from_s * 1000000ll, to = s.to_s ? w->t0_us - s.to_s * 1000000ll : INT64_MAX;
    otr_span span = otr_ring_find(&r->ring[s.kind], 0, w->begin[s.kind], from, to);
    if (!span.count)
        return 0;
    tell_slice(r, w, s.kind, &span);
    note_given(w, s.kind, &span);
    return 1;
}

static void next_after(otr_rec_window *w, int64_t now_us) {
    int64_t since = w->hurry_us < OTR_NEVER_US ? w->hurry_us : w->trigger_us;
    int64_t step = now_us - since < OTR_SOON_FOR_US ? OTR_SOON_US : OTR_LATER_US;
    w->after = 0;
    w->after_us = w->after_us + step > now_us ? w->after_us + step : now_us + step;
    if (now_us >= w->until_us)
        w->states |= 1u << OTR_STEP_CLOSED;
}

static int step_after(otr_recorder *r, otr_rec_window *w, int64_t now_us) {
    uint8_t kind = AFTER[w->after++];
    const otr_ring *q = &r->ring[kind];
    otr_span span = otr_ring_find(q, w->cursor[kind], q->appended, ALL_BEFORE, w->until_us);
    w->cursor[kind] = q->appended;
    if (span.count) {
        tell_slice(r, w, kind, &span);
        note_given(w, kind, &span);
    }
    if (w->after == OTR_REC_KINDS)
        next_after(w, now_us);
    return span.count != 0;
}

static int64_t last_given(const otr_rec_window *w) {
    int64_t last = w->trigger_us;
    for (unsigned k = 0; k < OTR_REC_KINDS; k++)
        if (w->given[k].count && w->given[k].last_us > last)
            last = w->given[k].last_us;
    return last;
}

static void tell_state(otr_recorder *r, otr_rec_window *w, unsigned what) {
    r->told = w;
    int64_t when = what == OTR_STEP_TRIGGER ? w->trigger_us : what == OTR_STEP_PULSE ? w->pulse_us : last_given(w);
    r->step = (otr_evidence_step){.t0_us = w->t0_us,
                                  .trigger_us = w->trigger_us,
                                  .first_us = when,
                                  .last_us = when,
                                  .event_seq = w->seq,
                                  .what = (uint8_t)what};
    for (unsigned k = 0; k < OTR_REC_KINDS; k++) {
        if (what == OTR_STEP_CLOSED) {
            r->step.cover[k] = w->given[k];
            continue;
        }
        otr_span span =
            otr_ring_find(&r->ring[k], 0, r->ring[k].appended, w->t0_us - OTR_PRE_US, w->t0_us + OTR_POST_US);
        r->step.cover[k] = (otr_cover){.first_us = span.first_us, .last_us = span.last_us, .count = span.count};
    }
}

static int step_state(otr_recorder *r, otr_rec_window *w) {
    for (unsigned what = OTR_STEP_TRIGGER; what <= OTR_STEP_CLOSED; what++) {
        if (!(w->states >> what & 1u))
            continue;
        w->states &= ~(1u << what);
        tell_state(r, w, what);
        w->open = what != OTR_STEP_CLOSED;
        return 1;
    }
    return 0;
}

int otr_recorder_step(otr_recorder *r, int64_t now_us, otr_evidence_step *ret) {
    while (!r->told) {
        otr_rec_window *w = most_due(r, now_us);
        if (!w)
            return 0;
        if (w->states)
            step_state(r, w);
        else if (!w->after && (before_due(w) < after_due(w) || (w->before < FIRST && before_due(w) <= now_us)))
            step_before(r, w);
        else
            step_after(r, w, now_us);
    }
    *ret = r->step;
    return 1;
}

void otr_recorder_done(otr_recorder *r) {
    r->told = NULL;
}
