/* recorder.c: what goes into the rings, and what is read out of them. The rings are in recorder_ring.c, what is due of
 * them in recorder_window.c; see outrider/recorder.h.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "recorder_state.h"

#define RATE_US 10000000

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
