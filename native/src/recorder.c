/* recorder.c: see outrider/recorder.h.
 *
 * A ring holds records of 8-byte multiples: u32 size | u32 meta | i64 t_us | payload. A record never wraps: the room
 * left at the end is skipped by a record of size 0. Frames keep only the data bytes they have.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "outrider/recorder.h"

#include "bytes.h"

#define RECORD_HEADER 16u

typedef struct {
    uint8_t *data;
    uint32_t cap, head, tail; /* head: oldest; tail: where the next goes */
    uint32_t count;
    int64_t first_us, last_us;
} ring;

struct otr_recorder {
    ring set[2][OTR_REC_KINDS];
    unsigned active;   /* the set that records */
    int armed, frozen; /* a window is running; the other set holds one */
    uint32_t event_seq, frozen_seq;
    int64_t t0_us, until_us, frozen_t0_us, frozen_until_us;
};

typedef struct {
    uint32_t size, meta;
    int64_t t_us;
} record;
static_assert(sizeof(record) == RECORD_HEADER, "record layout");

/* Place of the record at `at`, past a skip to the start. */
static uint32_t settle(const ring *q, uint32_t at) {
    record r;
    if (at + RECORD_HEADER > q->cap)
        return 0;
    memcpy(&r, q->data + at, sizeof r);
    return r.size ? at : 0;
}

static record record_at(const ring *q, uint32_t at) {
    record r;
    memcpy(&r, q->data + at, sizeof r);
    return r;
}

static void evict(ring *q) {
    q->head = settle(q, q->head);
    q->head += record_at(q, q->head).size;
    if (--q->count == 0) {
        q->head = q->tail = 0;
        return;
    }
    q->head = settle(q, q->head);
    q->first_us = record_at(q, q->head).t_us;
}

/* Makes room for size bytes in one piece at the tail; the ring must be larger than that. */
static uint8_t *reserve(ring *q, uint32_t size) {
    for (;;) {
        if (!q->count) {
            q->head = q->tail = 0;
            return q->data;
        }
        if (q->tail > q->head) {
            if (q->cap - q->tail >= size)
                return q->data + q->tail;
            if (q->cap - q->tail >= RECORD_HEADER)
                memset(q->data + q->tail, 0, RECORD_HEADER);
            if (q->head > size) { /* keep head != tail */
                q->tail = 0;
                return q->data;
            }
        } else if (q->head - q->tail > size) {
            return q->data + q->tail;
        }
        evict(q);
    }
}

static void append(ring *q, int64_t t_us, uint32_t meta, const void *payload, uint32_t len) {
    uint32_t size = RECORD_HEADER + ((len + 7u) & ~7u);
    if (size >= q->cap)
        return;
    uint8_t *at = reserve(q, size);
    record r = {size, meta, t_us};
    memcpy(at, &r, sizeof r);
    memcpy(at + RECORD_HEADER, payload, len);
    q->tail = (uint32_t)(at - q->data) + size;
    q->first_us = q->count ? q->first_us : t_us;
    q->last_us = t_us;
    q->count++;
}

static uint32_t share(uint64_t bytes, unsigned kind) {
    uint64_t half = bytes / 2, eighth = half / 8;
    return (uint32_t)(kind == OTR_REC_FRAMES ? half - 2 * eighth : eighth) & ~7u;
}

static void clear_set(ring *set) {
    for (unsigned k = 0; k < OTR_REC_KINDS; k++)
        set[k] = (ring){.data = set[k].data, .cap = set[k].cap};
}

size_t otr_recorder_size(uint64_t bytes) {
    otr_arena a = {.base = NULL, .used = 0};
    otr_carve(&a, sizeof(otr_recorder));
    for (unsigned i = 0; i < 2 * OTR_REC_KINDS; i++)
        otr_carve(&a, share(bytes, i % OTR_REC_KINDS));
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
    for (unsigned i = 0; i < 2 * OTR_REC_KINDS; i++) {
        ring *q = &r->set[i / OTR_REC_KINDS][i % OTR_REC_KINDS];
        q->cap = share(bytes, i % OTR_REC_KINDS);
        q->data = otr_carve(&a, q->cap);
    }
    *ret = r;
    return OTR_OK;
}

static uint32_t frame_meta(const otr_frame *f) {
    return (uint32_t)f->bus | (uint32_t)f->flags << 8 | (uint32_t)f->len << 16;
}

void otr_recorder_frame(otr_recorder *r, const otr_frame *frame, int64_t t_us) {
    uint8_t payload[4 + 64];
    uint32_t len = frame->len > 64 ? 64 : frame->len;
    memcpy(payload, &frame->id, 4);
    memcpy(payload + 4, frame->data, len);
    append(&r->set[r->active][OTR_REC_FRAMES], t_us, frame_meta(frame), payload, 4 + len);
}

void otr_recorder_imu(otr_recorder *r, const otr_sample *sample) {
    append(&r->set[r->active][OTR_REC_IMU], sample->t_us, 0, sample, sizeof *sample);
}

void otr_recorder_signal(otr_recorder *r, int64_t t_us, uint32_t slot, double value) {
    append(&r->set[r->active][OTR_REC_SIGNALS], t_us, slot, &value, sizeof value);
}

int otr_recorder_trigger(otr_recorder *r, uint32_t event_seq, int64_t t0_us) {
    if (r->armed) {
        if (t0_us + OTR_POST_US > r->until_us)
            r->until_us = t0_us + OTR_POST_US;
        return 0;
    }
    if (r->frozen)
        return -1;
    r->armed = 1;
    r->event_seq = event_seq;
    r->t0_us = t0_us;
    r->until_us = t0_us + OTR_POST_US;
    return 1;
}

int otr_recorder_advance(otr_recorder *r, int64_t now_us) {
    if (!r->armed || now_us < r->until_us)
        return 0;
    r->frozen_seq = r->event_seq;
    r->frozen_t0_us = r->t0_us;
    r->frozen_until_us = r->until_us;
    r->armed = 0;
    r->frozen = 1;
    r->active ^= 1u;
    clear_set(r->set[r->active]);
    return 1;
}

int64_t otr_recorder_covers(const otr_recorder *r, enum otr_recording kind) {
    const ring *q = &r->set[r->active][kind];
    return q->count ? q->last_us - q->first_us : 0;
}

static void unpack(enum otr_recording kind, const record *r, const uint8_t *payload, uint8_t *out) {
    if (kind == OTR_REC_FRAMES) {
        otr_frame f = {.t_us = r->t_us,
                       .bus = (uint8_t)r->meta,
                       .flags = (uint8_t)(r->meta >> 8),
                       .len = (uint8_t)(r->meta >> 16)};
        memcpy(&f.id, payload, 4);
        memcpy(f.data, payload + 4, f.len > 64 ? 64 : f.len);
        memcpy(out, &f, sizeof f);
    } else if (kind == OTR_REC_IMU) {
        memcpy(out, payload, sizeof(otr_sample));
    } else {
        otr_signal_record s = {.t_us = r->t_us, .slot = r->meta};
        memcpy(&s.value, payload, sizeof s.value);
        memcpy(out, &s, sizeof s);
    }
}

/* Walks the window; out NULL only counts. */
static uint32_t walk(const otr_recorder *r, enum otr_recording kind, uint8_t *out, uint32_t max, int64_t *ret_first,
                     int64_t *ret_last) {
    static const uint32_t SIZE[OTR_REC_KINDS] = {sizeof(otr_frame), sizeof(otr_sample), sizeof(otr_signal_record)};
    const ring *q = &r->set[r->active ^ 1u][kind];
    uint32_t at = q->head, n = 0;
    for (uint32_t i = 0; i < q->count && n < max; i++) {
        at = settle(q, at);
        record rec = record_at(q, at);
        if (rec.t_us >= r->frozen_t0_us - OTR_PRE_US && rec.t_us <= r->frozen_until_us) {
            if (out)
                unpack(kind, &rec, q->data + at + RECORD_HEADER, out + (size_t)n * SIZE[kind]);
            *ret_first = n ? *ret_first : rec.t_us;
            *ret_last = rec.t_us;
            n++;
        }
        at += rec.size;
    }
    return n;
}

int otr_recorder_frozen(const otr_recorder *r, otr_evidence *ret) {
    if (!r->frozen)
        return 0;
    otr_evidence e = {.t0_us = r->frozen_t0_us, .event_seq = r->frozen_seq};
    for (unsigned k = 0; k < OTR_REC_KINDS; k++)
        e.count[k] = walk(r, (enum otr_recording)k, NULL, UINT32_MAX, &e.first_us[k], &e.last_us[k]);
    *ret = e;
    return 1;
}

uint32_t otr_recorder_read(const otr_recorder *r, enum otr_recording kind, void *ret_items, uint32_t max) {
    int64_t first = 0, last = 0;
    return r->frozen ? walk(r, kind, ret_items, max, &first, &last) : 0;
}

void otr_recorder_release(otr_recorder *r) {
    r->frozen = 0;
}
