/* recorder.c: windows and what is due of them. The rings are in recorder_ring.c; see outrider/recorder.h.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "outrider/recorder.h"

#include "recorder_ring.h"

#define ALL_BEFORE INT64_MIN
#define RATE_US 10000000

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

typedef struct {
    int open;
    uint32_t seq;
    int64_t t0_us, trigger_us, until_us;
    unsigned states;                /* bits 1 << enum otr_step_what that are due */
    uint32_t before;                /* next of BEFORE */
    uint32_t after;                 /* next of AFTER; 0 with a slice of time not yet begun */
    int64_t after_us;               /* when the next slice of time after the trigger is due */
    int64_t pulse_us;               /* when the pulse was captured */
    int64_t hurry_us;               /* the supply failed then; OTR_NEVER_US it did not */
    uint64_t begin[OTR_REC_KINDS];  /* serials: what comes from here on is after the trigger */
    uint64_t cursor[OTR_REC_KINDS]; /* first that was not handed out after it */
    uint32_t slices[OTR_REC_KINDS];
    otr_cover given[OTR_REC_KINDS];
} window;

struct otr_recorder {
    otr_ring ring[OTR_REC_KINDS];
    window window[OTR_WINDOWS];
    window *told; /* of the step that was told and is not done; NULL none */
    otr_evidence_step step;
    otr_span span; /* of its items */
};

/* In sixty-fourths of the memory. */
static uint32_t share(uint64_t bytes, unsigned kind) {
    static const uint8_t PARTS[OTR_REC_KINDS] = {44, 12, 6, 1, 1};
    return (uint32_t)(bytes / 64 * PARTS[kind]) & ~7u;
}

size_t otr_recorder_size(uint64_t bytes) {
    otr_arena a = {.base = NULL, .used = 0};
    otr_carve(&a, sizeof(otr_recorder));
    for (unsigned k = 0; k < OTR_REC_KINDS; k++)
        otr_carve(&a, share(bytes, k));
    return a.used;
}

int otr_recorder_init(void *mem, size_t size, uint64_t bytes, otr_recorder **ret) {
    if (bytes < 65536u || bytes > (uint64_t)1 << 31)
        return OTR_ERR_INVAL;
    if (size < otr_recorder_size(bytes))
        return OTR_ERR_NOMEM;
    otr_arena a = {.base = mem, .used = 0};
    otr_recorder *r = otr_carve(&a, sizeof *r);
    memset(r, 0, sizeof *r);
    for (unsigned k = 0; k < OTR_REC_KINDS; k++)
        otr_ring_init(&r->ring[k], otr_carve(&a, share(bytes, k)), share(bytes, k));
    *ret = r;
    return OTR_OK;
}

void otr_recorder_frame(otr_recorder *r, const otr_frame *frame, int64_t t_us) {
    uint8_t len = frame->len > 64 ? 64 : frame->len;
    otr_ring_record head = {.tag = {frame->bus, frame->flags, len}, .meta = frame->id, .t_us = t_us};
    otr_ring_append(&r->ring[OTR_REC_FRAMES], &head, frame->data, len);
}

static void append_whole(otr_ring *q, int64_t t_us, const void *item, uint32_t size) {
    otr_ring_record head = {.t_us = t_us};
    otr_ring_append(q, &head, item, size);
}

void otr_recorder_imu(otr_recorder *r, const otr_sample *sample) {
    append_whole(&r->ring[OTR_REC_IMU], sample->t_us, sample, sizeof *sample);
}

void otr_recorder_signal(otr_recorder *r, int64_t t_us, uint32_t slot, double value) {
    otr_ring_record head = {.meta = slot, .t_us = t_us};
    otr_ring_append(&r->ring[OTR_REC_SIGNALS], &head, &value, sizeof value);
}

void otr_recorder_fix(otr_recorder *r, const otr_fix *fix) {
    append_whole(&r->ring[OTR_REC_FIXES], fix->t_us, fix, sizeof *fix);
}

void otr_recorder_input(otr_recorder *r, const otr_sample *sample) {
    append_whole(&r->ring[OTR_REC_INPUTS], sample->t_us, sample, sizeof *sample);
}

static void unpack(uint8_t kind, const otr_ring_record *r, const uint8_t *payload, uint8_t *out) {
    if (kind == OTR_REC_FRAMES) {
        otr_frame f = {.t_us = r->t_us, .id = r->meta, .bus = r->tag[0], .flags = r->tag[1], .len = r->tag[2]};
        memcpy(f.data, payload, f.len);
        memcpy(out, &f, sizeof f);
    } else if (kind == OTR_REC_SIGNALS) {
        otr_signal_record s = {.t_us = r->t_us, .slot = r->meta};
        memcpy(&s.value, payload, sizeof s.value);
        memcpy(out, &s, sizeof s);
    } else {
        memcpy(out, payload, otr_recorder_item((enum otr_recording)kind));
    }
}

uint32_t otr_recorder_item(enum otr_recording kind) {
    static const uint32_t SIZE[OTR_REC_KINDS] = {sizeof(otr_frame), sizeof(otr_sample), sizeof(otr_signal_record),
                                                 sizeof(otr_fix), sizeof(otr_sample)};
    return SIZE[kind];
}

/* ---- windows ----------------------------------------------------------------------------------- */

static window *window_of(otr_recorder *r, uint32_t event_seq) {
    for (unsigned i = 0; i < OTR_WINDOWS; i++)
        if (r->window[i].open && r->window[i].seq == event_seq)
            return &r->window[i];
    return NULL;
}

static void prolong(window *w, int64_t t0_us) {
    int64_t until = t0_us + OTR_POST_US, limit = w->t0_us + OTR_POST_MAX_US;
    until = until < limit ? until : limit;
    if (until > w->until_us)
        w->until_us = until;
}

int otr_recorder_trigger(otr_recorder *r, uint32_t event_seq, int64_t t0_us, int64_t now_us) {
    window *w = window_of(r, event_seq);
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
    *w = (window){.open = 1, .seq = event_seq, .t0_us = t0_us, .trigger_us = now_us, .hurry_us = OTR_NEVER_US};
    int64_t least = now_us + (int64_t)BEFORE_COUNT * OTR_BEFORE_STEP_US; /* so that all of before is handed out */
    w->until_us = t0_us + OTR_POST_US > least ? t0_us + OTR_POST_US : least;
    w->states = 1u << OTR_STEP_TRIGGER;
    w->after_us = now_us + OTR_SOON_US;
    for (unsigned k = 0; k < OTR_REC_KINDS; k++)
        w->begin[k] = w->cursor[k] = r->ring[k].appended;
    return 1;
}

void otr_recorder_pulse(otr_recorder *r, uint32_t event_seq, int64_t now_us) {
    window *w = window_of(r, event_seq);
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

static int64_t before_due(const window *w) {
    if (w->before >= BEFORE_COUNT)
        return OTR_NEVER_US;
    int64_t due = w->trigger_us + (int64_t)w->before * OTR_BEFORE_STEP_US;
    return w->hurry_us < due ? w->hurry_us : due;
}

static int64_t after_due(const window *w) {
    return w->after_us < w->until_us ? w->after_us : w->until_us;
}

static int64_t window_due(const window *w) {
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

static window *most_due(otr_recorder *r, int64_t now_us) {
    window *best = NULL;
    for (unsigned i = 0; i < OTR_WINDOWS; i++) {
        window *w = &r->window[i];
        if (window_due(w) <= now_us && (!best || window_due(w) < window_due(best)))
            best = w;
    }
    return best;
}

/* ---- steps ------------------------------------------------------------------------------------- */

static void tell_slice(otr_recorder *r, window *w, uint8_t kind, const otr_span *span) {
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

static void note_given(window *w, uint8_t kind, const otr_span *span) {
    otr_cover *g = &w->given[kind];
    if (!g->count || span->first_us < g->first_us)
        g->first_us = span->first_us;
    if (!g->count || span->last_us > g->last_us)
        g->last_us = span->last_us;
    g->count += span->count;
    w->slices[kind]++;
}

/* 1 when the stretch holds anything. */
static int step_before(otr_recorder *r, window *w) {
    stretch s = BEFORE[w->before++];
    int64_t from = w->t0_us - s.from_s * 1000000ll, to = s.to_s ? w->t0_us - s.to_s * 1000000ll : INT64_MAX;
    otr_span span = otr_ring_find(&r->ring[s.kind], 0, w->begin[s.kind], from, to);
    if (!span.count)
        return 0;
    tell_slice(r, w, s.kind, &span);
    note_given(w, s.kind, &span);
    return 1;
}

static void next_after(window *w, int64_t now_us) {
    int64_t since = w->hurry_us < OTR_NEVER_US ? w->hurry_us : w->trigger_us;
    int64_t step = now_us - since < OTR_SOON_FOR_US ? OTR_SOON_US : OTR_LATER_US;
    w->after = 0;
    w->after_us = w->after_us + step > now_us ? w->after_us + step : now_us + step;
    if (now_us >= w->until_us)
        w->states |= 1u << OTR_STEP_CLOSED;
}

static int step_after(otr_recorder *r, window *w, int64_t now_us) {
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

static int64_t last_given(const window *w) {
    int64_t last = w->trigger_us;
    for (unsigned k = 0; k < OTR_REC_KINDS; k++)
        if (w->given[k].count && w->given[k].last_us > last)
            last = w->given[k].last_us;
    return last;
}

static void tell_state(otr_recorder *r, window *w, unsigned what) {
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

static int step_state(otr_recorder *r, window *w) {
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
        window *w = most_due(r, now_us);
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

uint32_t otr_recorder_read(const otr_recorder *r, void *ret_items, uint32_t max) {
    if (!r->told || r->step.what != OTR_STEP_SLICE)
        return 0;
    const otr_ring *q = &r->ring[r->step.kind];
    uint32_t size = otr_recorder_item((enum otr_recording)r->step.kind), at = r->span.at;
    uint32_t n = r->span.count < max ? r->span.count : max;
    for (uint32_t i = 0; i < n; i++) {
        at = otr_ring_settle(q, at);
        otr_ring_record rec = otr_ring_at(q, at);
        unpack(r->step.kind, &rec, q->data + at + OTR_RING_HEADER, (uint8_t *)ret_items + (size_t)i * size);
        at += 8u * rec.units;
    }
    return n;
}

void otr_recorder_done(otr_recorder *r) {
    r->told = NULL;
}

/* ---- what there is ------------------------------------------------------------------------------ */

otr_cover otr_recorder_covers(const otr_recorder *r, enum otr_recording kind) {
    const otr_ring *q = &r->ring[kind];
    if (!q->count)
        return (otr_cover){.count = 0};
    return (otr_cover){.first_us = q->first_us, .last_us = q->last_us, .count = q->count};
}

float otr_recorder_imu_rate(const otr_recorder *r, uint8_t *ret_src) {
    const otr_ring *q = &r->ring[OTR_REC_IMU];
    *ret_src = OTR_SRC_NONE;
    otr_span span = otr_ring_find(q, 0, q->appended, q->last_us - RATE_US, INT64_MAX);
    if (span.count < 2 || span.last_us <= span.first_us)
        return 0.0f;
    otr_sample s;
    memcpy(&s, q->data + otr_ring_settle(q, span.at) + OTR_RING_HEADER, sizeof s);
    *ret_src = s.src;
    return (float)((double)(span.count - 1) * 1e6 / (double)(span.last_us - span.first_us));
}
