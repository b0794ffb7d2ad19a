/* outrider/store.h: last value, time and count of each slot.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#ifndef OUTRIDER_STORE_H
#define OUTRIDER_STORE_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    double value;
    int64_t t_us;   /* when it was last written; meaningless while count is 0 */
    uint64_t count; /* how often */
} otr_cell;

static inline void otr_cell_put(otr_cell *cell, double value, int64_t t_us) {
    cell->value = value;
    cell->t_us = t_us;
    cell->count++;
}

/* Age in microseconds at now, -1 when never seen. */
static inline int64_t otr_cell_age(const otr_cell *cell, int64_t now_us) {
    return cell->count ? now_us - cell->t_us : -1;
}

/* 1 when seen and not older than max_age_us. */
static inline int otr_cell_fresh(const otr_cell *cell, int64_t now_us, int64_t max_age_us) {
    return cell->count && now_us - cell->t_us <= max_age_us;
}

#endif
