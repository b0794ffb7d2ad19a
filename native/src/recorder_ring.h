/* recorder_ring.h (private): a ring of records of any size in RAM, with an index by time.
 *
 * A ring holds records: u8 size in units of 8 bytes | u8 tag[3] | u32 meta | i64 t_us | payload. A record never wraps: the
 * room left at the end is skipped by a record of size 0. Tag and meta are the caller's. Each record has a serial number, counted from 0 since the start. Times
 * never go back. Every sixty-fourth of the ring has a mark, so that no search walks further than that.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#ifndef OUTRIDER_SRC_RECORDER_RING_H
#define OUTRIDER_SRC_RECORDER_RING_H

#include "bytes.h"
#include "outrider/types.h"

#define OTR_RING_HEADER 16u
#define OTR_RING_PAYLOAD_MAX (255u * 8u - OTR_RING_HEADER)
#define OTR_RING_MARKS 64u

typedef struct {
    uint8_t units, tag[3];
    uint32_t meta;
    int64_t t_us;
} otr_ring_record;
static_assert(sizeof(otr_ring_record) == OTR_RING_HEADER, "record layout");

typedef struct {
    uint64_t serial;
    int64_t t_us;
    uint32_t at;
} otr_ring_mark;

typedef struct {
    uint8_t *data;
    uint32_t cap, head, tail; /* head: oldest; tail: where the next goes */
    uint32_t count, unmarked; /* records held; bytes since the last mark */
    uint64_t appended;        /* records ever; the oldest held is appended - count */
    int64_t first_us, last_us;
    uint64_t marks; /* ever; the newest is mark[(marks - 1) % OTR_RING_MARKS] */
    otr_ring_mark mark[OTR_RING_MARKS];
} otr_ring;

/* Consecutive records: place of the first, how many, their first and last time; all 0 where there is none. */
typedef struct {
    uint32_t at, count;
    int64_t first_us, last_us;
} otr_span;

void otr_ring_init(otr_ring *q, uint8_t *data, uint32_t cap);

/* Drops the oldest to make room; a record larger than the ring or OTR_RING_PAYLOAD_MAX is dropped itself. The units of
 * the head are filled in. */
void otr_ring_append(otr_ring *q, const otr_ring_record *head, const void *payload, uint32_t len);

/* Records with serials from .. to - 1 and times from_us <= t < to_us that are still held. */
otr_span otr_ring_find(const otr_ring *q, uint64_t from, uint64_t to, int64_t from_us, int64_t to_us);

/* Place of the record at `at`, past a skip to the start. */
static inline uint32_t otr_ring_settle(const otr_ring *q, uint32_t at) {
    if (at + OTR_RING_HEADER > q->cap)
        return 0;
    return q->data[at] ? at : 0;
}

static inline otr_ring_record otr_ring_at(const otr_ring *q, uint32_t at) {
    otr_ring_record r;
    memcpy(&r, q->data + at, sizeof r);
    return r;
}

#endif
