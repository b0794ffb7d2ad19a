/* tables_build.h (private): reading the blob of outrider/tables.h.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#ifndef OUTRIDER_SRC_TABLES_BUILD_H
#define OUTRIDER_SRC_TABLES_BUILD_H

#include "tables_impl.h"

typedef struct {
    const uint8_t *msg, *sig, *cond, *range, *xform, *token, *slot;
    uint32_t msgs, sigs, conds, ranges, xforms, tokens, slots;
} otr_blob;

typedef struct {
    uint32_t slot, start, length, order, encoding, flags, conditions, na;
    uint32_t first_condition, first_na, transform;
    double factor, offset, low, high;
} otr_blob_sig;

enum otr_sig_class { OTR_CLASS_PLAIN, OTR_CLASS_RANGED, OTR_CLASS_SLOW };

/* Checks frame, counts and checksum and finds the sections. */
int otr_blob_open(const uint8_t *data, size_t len, otr_blob *ret);

/* Signal i, checked; OTR_ERR_INVAL when out of range. */
int otr_blob_sig_at(const otr_blob *b, uint32_t i, otr_blob_sig *ret);

/* Where a field sits; OTR_ERR_INVAL when not within 64 bytes. */
int otr_field_compile(uint32_t start, uint32_t length, uint32_t order, otr_field *ret);

enum otr_sig_class otr_blob_sig_class(const otr_blob_sig *s);

#endif
