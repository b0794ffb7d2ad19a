/* recorder_ring.c: see recorder_ring.h.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "recorder_ring.h"

void otr_ring_init(otr_ring *q, uint8_t *data, uint32_t cap) {
    *q = (otr_ring){.data = data, .cap = cap};
}

static void evict(otr_ring *q) {
    q->head = otr_ring_settle(q, q->head);
    q->head += 8u * q->data[q->head];
    if (--q->count == 0) {
        q->head = q->tail = 0;
        return;
    }
    q->head = otr_ring_settle(q, q->head);
    q->first_us = otr_ring_at(q, q->head).t_us;
}

/* Makes room for size bytes in one piece at the tail; the ring must be larger than that. */
static uint8_t *reserve(otr_ring *q, uint32_t size) {
    for (;;) {
        if (!q->count) {
            q->head = q->tail = 0;
            return q->data;
        }
        if (q->tail > q->head) {
            if (q->cap - q->tail >= size)
                return q->data + q->tail;
            if (q->cap - q->tail >= OTR_RING_HEADER)
                memset(q->data + q->tail, 0, OTR_RING_HEADER);
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

static void mark(otr_ring *q, uint32_t at, int64_t t_us) {
    if (q->marks && q->unmarked < q->cap / OTR_RING_MARKS &&
        q->mark[(q->marks - 1) % OTR_RING_MARKS].serial >= q->appended - q->count)
        return;
    q->mark[q->marks++ % OTR_RING_MARKS] = (otr_ring_mark){.serial = q->appended, .t_us = t_us, .at = at};
    q->unmarked = 0;
}

void otr_ring_append(otr_ring *q, const otr_ring_record *head, const void *payload, uint32_t len) {
    uint32_t size = OTR_RING_HEADER + ((len + 7u) & ~7u);
    if (size >= q->cap || len > OTR_RING_PAYLOAD_MAX)
        return;
    uint8_t *at = reserve(q, size);
    otr_ring_record r = *head;
    r.units = (uint8_t)(size / 8u);
    memcpy(at, &r, sizeof r);
    memcpy(at + OTR_RING_HEADER, payload, len);
    mark(q, (uint32_t)(at - q->data), r.t_us);
    q->tail = (uint32_t)(at - q->data) + size;
    q->first_us = q->count ? q->first_us : r.t_us;
    q->last_us = r.t_us;
    q->unmarked += size;
    q->appended++;
    q->count++;
}

/* Where a search for the first record with this serial and time may begin: never behind it. */
static otr_ring_mark begin_of(const otr_ring *q, uint64_t serial, int64_t t_us) {
    otr_ring_mark best = {.serial = q->appended - q->count, .t_us = q->first_us, .at = q->head};
    uint64_t known = q->marks < OTR_RING_MARKS ? q->marks : OTR_RING_MARKS;
    for (uint64_t i = 1; i <= known; i++) {
        const otr_ring_mark *m = &q->mark[(q->marks - i) % OTR_RING_MARKS];
        if (m->serial <= best.serial)
            break;
        if (m->serial <= serial || m->t_us < t_us)
            return *m;
    }
    return best;
}

otr_span otr_ring_find(const otr_ring *q, uint64_t from, uint64_t to, int64_t from_us, int64_t to_us) {
    otr_span span = {.at = 0};
    if (!q->count)
        return span;
    otr_ring_mark m = begin_of(q, from, from_us);
    uint32_t at = m.at;
    for (uint64_t serial = m.serial; serial < q->appended && serial < to; serial++) {
        at = otr_ring_settle(q, at);
        otr_ring_record r = otr_ring_at(q, at);
        if (r.t_us >= to_us)
            break;
        if (serial >= from && r.t_us >= from_us) {
            span.at = span.count ? span.at : at;
            span.first_us = span.count++ ? span.first_us : r.t_us;
            span.last_us = r.t_us;
        }
        at += 8u * r.units;
    }
    return span;
}
