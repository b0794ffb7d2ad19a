/* outrider/blackbox.h: the black-box page: 4096 bytes that survive when power goes with the impact.
 *
 * Written to one of two slots in turn, each second while moving and at once when something is suspected; on reading, the
 * valid page with the larger counter wins. Little-endian:
 *
 *     u32 magic "OTRB" | u16 version 2 | u16 signals | u64 counter | i64 t_us | i64 fix_t_us | i64 utc_us |
 *     f64 lat | f64 lon | f32 speed m/s | f32 heading deg | f32 hacc m | u32 last event seq | u32 boot id | u16 flags |
 *     u16 moments | signals x (u32 slot | u32 age ms | f64 value) | zeros | from byte 2488 on the last 20 s, oldest first:
 *     moments x (u16 speed | i16 x | i16 y | i16 z) | zeros | u32 crc32c of bytes 0..4091
 *
 * A moment is a tick of 100 ms, the newest at t_us or within 100 ms before: speed in 0.01 m/s (65535 unknown), acceleration
 * in the sensor's own axes, mean of the valid samples since the tick before in 0.01 m/s2 (-32768 unknown; beyond the
 * range: its end). Of two sensors one is told, until it says nothing for a tick.
 * Pages of version 1, without boot id, flags and moments, are refused as another version.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#ifndef OUTRIDER_BLACKBOX_H
#define OUTRIDER_BLACKBOX_H

#include "outrider/types.h"

#define OTR_PAGE_SIZE 4096
#define OTR_PAGE_SIGNALS 150
#define OTR_PAGE_MOMENTS 200
#define OTR_PAGE_CLEAN 0x0001u /* flags: the terminal was stopped in order, or what the page tells has been reported */
#define OTR_SPEED_UNKNOWN 65535u
#define OTR_ACC_UNKNOWN (-32768)

typedef struct {
    uint32_t slot, age_ms;
    double value;
} otr_page_signal;
static_assert(sizeof(otr_page_signal) == 16, "otr_page_signal layout");

typedef struct {
    uint16_t speed; /* 0.01 m/s */
    int16_t acc[3]; /* 0.01 m/s2 */
} otr_page_moment;
static_assert(sizeof(otr_page_moment) == 8, "otr_page_moment layout");

typedef struct {
    uint64_t counter;
    int64_t t_us, fix_t_us, utc_us; /* utc of the fix, 0 unknown */
    double lat_deg, lon_deg;        /* NaN unknown */
    float speed_mps, heading_deg, hacc_m;
    uint32_t last_event; /* seq of the last event, 0 none */
    uint32_t signals, boot_id, flags, moments;
    otr_page_signal signal[OTR_PAGE_SIGNALS];
    otr_page_moment moment[OTR_PAGE_MOMENTS]; /* oldest first */
} otr_black_box;

void otr_black_box_render(const otr_black_box *box, uint8_t *ret_page);

/* OTR_ERR_FORMAT: not a page or another version; OTR_ERR_CORRUPT: checksum (a torn write). */
int otr_black_box_parse(const uint8_t *page, otr_black_box *ret);

#endif
