/* outrider/decode.h: frames to physical values.
 *
 * value = raw * factor + offset in IEEE double, never fused; then range check, then transform. Raw integers of up to
 * 53 bits are exact; wider ones are rounded once to the nearest double (ties to even) before the multiplication.
 * A value is left out and counted when the frame is too short for it, a condition does not hold, the raw value means
 * "not available", the result is outside the range or not finite, or a value map has no entry for it. Remote and
 * error frames never decode.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#ifndef OUTRIDER_DECODE_H
#define OUTRIDER_DECODE_H

#include "outrider/tables.h"

typedef struct {
    uint64_t frames;        /* looked at */
    uint64_t matched;       /* a message of the tables */
    uint64_t unknown;       /* no message of the tables */
    uint64_t not_data;      /* remote or error frames */
    uint64_t malformed;     /* length over 64 or identifier out of range */
    uint64_t values;        /* values written */
    uint64_t short_signals; /* frame too short for the signal */
    uint64_t absent;        /* a condition (multiplexer, validity bit) did not hold */
    uint64_t not_available; /* raw value means "no value" */
    uint64_t out_of_range;  /* outside minimum..maximum */
    uint64_t not_finite;    /* NaN or infinity, also out of a transform */
    uint64_t unmapped;      /* value map without an entry */
} otr_decode_stats;

/* Decodes n frames in order. Value k: values[k] of slots[k]; those of frame i are starts[i] .. starts[i + 1] - 1
 * (n + 1 entries). Stops before a frame whose values might not fit into cap (cap >= otr_tables_max_values()), so
 * nothing is ever cut.
 * Returns the number of values; ret_frames is how many frames were consumed. stats is added to, not cleared.
 * OTR_ERR_INVAL: cap too small for any frame. Within a frame the order of values is fixed by the tables. */
int64_t otr_decode_batch(const otr_tables *t, const otr_frame *frames, uint32_t n, double *values, uint32_t *slots,
                         uint32_t *starts, uint32_t cap, uint32_t *ret_frames, otr_decode_stats *stats);

/* What decoding one frame tells besides the values. */
typedef struct {
    uint32_t not_available_roles; /* bit per enum otr_role whose signal carried its "no value" code */
    uint8_t message_flags;        /* OTR_MSG_* of the messages that matched */
} otr_decode_info;

/* One frame; values and slots hold otr_tables_max_values(). Returns the number of values. */
uint32_t otr_decode_frame(const otr_tables *t, const otr_frame *frame, double *values, uint32_t *slots,
                          otr_decode_info *ret_info, otr_decode_stats *stats);

#endif
