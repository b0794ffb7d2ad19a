/* tables_impl.h (private): the compiled tables, shared by tables.c (writes) and decode.c (reads).
 *
 * Signals of a message are kept in three groups, cheapest first: plain (integer, always there), ranged (plain with
 * minimum or maximum) and slow (everything else), so that what is rare costs the common case nothing.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#ifndef OUTRIDER_SRC_TABLES_IMPL_H
#define OUTRIDER_SRC_TABLES_IMPL_H

#include "bytes.h"
#include "outrider/tables.h"

/* Bits of a frame: load 8 bytes at window (byte-swapped when order is 1), shift left, shift right. */
typedef struct {
    uint8_t window, left, right, order;
    uint8_t spill; /* 0, or (start within the first byte) of a field that reaches into a ninth byte */
    uint8_t need;  /* bytes of data the frame must have */
} otr_field;

typedef struct {
    double factor, offset;
    uint64_t sign; /* 1 << (length - 1) when signed, else 0 */
    uint8_t left, right, window, order;
    uint32_t slot;
} otr_plain;

typedef struct {
    otr_plain plain;
    double low, high;
} otr_ranged;

typedef struct {
    otr_field field;
    uint8_t encoding;
    uint16_t conditions, na;
    uint16_t run; /* signals from here on that share these conditions */
    uint32_t first_condition, first_na;
    uint32_t transform; /* index + 1 */
    uint32_t slot;
    uint64_t sign;
    double factor, offset, low, high;
} otr_slow;

typedef struct {
    otr_field field;
    uint32_t first_range, ranges;
} otr_condition;

typedef struct {
    uint64_t low, high;
} otr_range;

typedef struct {
    uint32_t kind, first, count;
} otr_transform;

typedef struct {
    uint64_t op; /* value map: bits of "from" */
    double value;
} otr_token;

typedef struct {
    uint32_t first_plain, first_ranged, first_slow;
    uint16_t plain, ranged, slow;
    uint8_t need; /* bytes that satisfy all plain and ranged signals */
    uint8_t wide; /* some plain or ranged signal sits beyond byte 8 */
    uint8_t bus, flags;
    uint16_t next; /* next message of the same identifier + 1 */
    uint32_t key;
} otr_msg;

typedef struct {
    uint32_t key, msg; /* msg: index + 1, 0 free */
} otr_hash_cell;

struct otr_tables {
    uint64_t hash;
    uint32_t messages, slots, telemetry, max_values;
    uint32_t hash_bits; /* of exact and pgn */
    uint32_t has_pgn;
    otr_msg *msg;
    otr_plain *plain;
    uint32_t *plain_slot; /* slots of plain once more, side by side; three spare at the end */
    otr_ranged *ranged;
    otr_slow *slow;
    otr_condition *condition;
    otr_range *range;
    otr_transform *transform;
    otr_token *token;
    otr_hash_cell *exact, *pgn;
    double *step; /* per slot: quantisation of the raw signal, 0 unknown */
    uint32_t *max_age_ms;
    uint8_t *role, *slot_flags;
    uint16_t standard[2048]; /* 11-bit identifier to message + 1 */
};

static inline uint32_t otr_hash_start(uint32_t key, uint32_t bits) {
    return (key * 2654435761u) >> (32u - bits);
}

static inline uint32_t otr_pgn_key(uint32_t id) {
    return ((id >> 16) & 0xFFu) < 240u ? id & 0x03FF0000u : id & 0x03FFFF00u;
}

static inline uint32_t otr_hash_find(const otr_hash_cell *cells, uint32_t bits, uint32_t key) {
    uint32_t mask = (1u << bits) - 1u, at = otr_hash_start(key, bits);
    while (cells[at].msg && cells[at].key != key)
        at = (at + 1u) & mask;
    return cells[at].msg;
}

/* Runs a transform; 1 and *x replaced, or 0: drop (ret_unmapped tells a missing map entry from a non-finite value). */
int otr_transform_apply(const otr_tables *t, const otr_transform *xf, double *x, int *ret_unmapped);

/* 1 when the program leaves exactly one value and never over- or underflows the stack. */
int otr_transform_valid(const otr_transform *xf, const otr_token *tokens);

#endif
