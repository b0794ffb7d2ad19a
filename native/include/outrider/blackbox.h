/* outrider/blackbox.h: the black-box page: 4096 bytes that survive when power goes with the impact.
 *
 * Written to one of two slots in turn each second while moving; on reading, the valid page with the larger counter
 * wins. Little-endian:
 *
 *     u32 magic "OTRB" | u16 version 1 | u16 signals | u64 counter | i64 t_us | i64 fix_t_us | i64 utc_us |
 *     f64 lat | f64 lon | f32 speed m/s | f32 heading deg | f32 hacc m | u32 last event seq | u64 0 |
 *     signals x (u32 slot | u32 age ms | f64 value), newest first | zeros | u32 crc32c of bytes 0..4091
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#ifndef OUTRIDER_BLACKBOX_H
#define OUTRIDER_BLACKBOX_H

#include "outrider/types.h"

#define OTR_PAGE_SIZE 4096
#define OTR_PAGE_SIGNALS 249

typedef struct {
    uint32_t slot, age_ms;
    double value;
} otr_page_signal;
static_assert(sizeof(otr_page_signal) == 16, "otr_page_signal layout");

typedef struct {
    uint64_t counter;
    int64_t t_us, fix_t_us, utc_us; /* utc of the fix, 0 unknown */
    double lat_deg, lon_deg;        /* NaN unknown */
    float speed_mps, heading_deg, hacc_m;
    uint32_t last_event; /* seq of the last event, 0 none */
    uint32_t signals;
    uint32_t rsv;
    otr_page_signal signal[OTR_PAGE_SIGNALS];
} otr_black_box;

void otr_black_box_render(const otr_black_box *box, uint8_t *ret_page);

/* OTR_ERR_FORMAT: not a page or another version; OTR_ERR_CORRUPT: checksum (a torn write). */
int otr_black_box_parse(const uint8_t *page, otr_black_box *ret);

#endif
