/* inbox.h (private): a bounded queue between one producer thread and the owner of the engine, lock-free.
 *
 * head is written by the consumer only, tail by the producer only; both count items and wrap. An item is visible
 * once tail was stored with release; its cell is free again once head was.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#ifndef OUTRIDER_SRC_INBOX_H
#define OUTRIDER_SRC_INBOX_H

#include <stdatomic.h>

#include "bytes.h"

typedef struct {
    uint8_t *cells;
    uint32_t item, mask; /* bytes of an item; capacity - 1, capacity being a power of two */
    _Atomic uint32_t head, tail;
    int64_t shift_us; /* what the consumer adds to this source's times after a jump back */
} otr_inbox;

static inline uint32_t otr_inbox_capacity(uint32_t wanted) {
    uint32_t n = 16;
    while (n < wanted)
        n *= 2u;
    return n;
}

/* Producer: copies up to n items in, returns how many. */
static inline uint32_t otr_inbox_put(otr_inbox *q, const void *items, uint32_t n) {
    uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
    uint32_t room = q->mask + 1u - (tail - atomic_load_explicit(&q->head, memory_order_acquire));
    uint32_t count = n < room ? n : room, first = q->mask + 1u - (tail & q->mask);
    if (first > count)
        first = count;
    if (count) {
        memcpy(q->cells + (size_t)(tail & q->mask) * q->item, items, (size_t)first * q->item);
        memcpy(q->cells, (const uint8_t *)items + (size_t)first * q->item, (size_t)(count - first) * q->item);
    }
    atomic_store_explicit(&q->tail, tail + count, memory_order_release);
    return count;
}

/* Producer: how many items would be accepted; may only grow until the next put. */
static inline uint32_t otr_inbox_room(otr_inbox *q) {
    uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
    return q->mask + 1u - (tail - atomic_load_explicit(&q->head, memory_order_acquire));
}

/* Consumer: items waiting. */
static inline uint32_t otr_inbox_count(otr_inbox *q) {
    return atomic_load_explicit(&q->tail, memory_order_acquire) - atomic_load_explicit(&q->head, memory_order_relaxed);
}

/* Consumer: the oldest item, NULL when empty; stays valid until dropped. Each item begins with its int64 time. */
static inline const void *otr_inbox_peek(otr_inbox *q) {
    uint32_t head = atomic_load_explicit(&q->head, memory_order_relaxed);
    return otr_inbox_count(q) ? q->cells + (size_t)(head & q->mask) * q->item : NULL;
}

static inline void otr_inbox_drop(otr_inbox *q) {
    atomic_store_explicit(&q->head, atomic_load_explicit(&q->head, memory_order_relaxed) + 1u, memory_order_release);
}

#endif
