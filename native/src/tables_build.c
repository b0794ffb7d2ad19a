/* tables_build.c: reading and checking the blob of outrider/tables.h. Nothing in it is trusted.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "tables_build.h"

#include <math.h>

#include "outrider/crc32c.h"

#define COUNT_MAX 4000000u /* of anything in a blob: keeps every sum of sizes far from overflow */

static int sections(const uint8_t *data, size_t len, otr_blob *b) {
    const uint32_t sizes[7] = {16, 64, 12, 16, 12, 16, 8};
    const uint8_t *start[7];
    uint32_t count[7];
    size_t at = OTR_TABLES_HEADER;
    for (unsigned i = 0; i < 7; i++) {
        count[i] = otr_load_le32(data + 8 + 4 * i);
        if (count[i] > COUNT_MAX || (size_t)count[i] * sizes[i] > len - at)
            return OTR_ERR_TRUNC;
        start[i] = data + at;
        at += (size_t)count[i] * sizes[i];
    }
    if (at != len)
        return OTR_ERR_FORMAT;
    *b = (otr_blob){.msg = start[0],
                    .sig = start[1],
                    .cond = start[2],
                    .range = start[3],
                    .xform = start[4],
                    .token = start[5],
                    .slot = start[6],
                    .msgs = count[0],
                    .sigs = count[1],
                    .conds = count[2],
                    .ranges = count[3],
                    .xforms = count[4],
                    .tokens = count[5],
                    .slots = count[6]};
    return OTR_OK;
}

int otr_blob_open(const uint8_t *data, size_t len, otr_blob *ret) {
    if (len < OTR_TABLES_HEADER || otr_load_le32(data) != OTR_TABLES_MAGIC)
        return OTR_ERR_FORMAT;
    if (otr_load_le16(data + 4) != OTR_TABLES_VERSION)
        return OTR_ERR_FORMAT;
    otr_blob b;
    int err = sections(data, len, &b);
    if (err)
        return err;
    if (otr_load_le32(data + 40) != otr_crc32c(0, data + OTR_TABLES_HEADER, len - OTR_TABLES_HEADER))
        return OTR_ERR_CORRUPT;
    if (b.msgs > 65534u)
        return OTR_ERR_INVAL;
    *ret = b;
    return OTR_OK;
}

int otr_field_compile(uint32_t start, uint32_t length, uint32_t order, otr_field *ret) {
    if (length < 1 || length > 64 || start > 511 || order > 1)
        return OTR_ERR_INVAL;
    /* first bit in reading order: from the least significant (Intel) or most significant (Motorola) end of byte 0 */
    uint32_t first = order ? (start / 8) * 8 + 7 - start % 8 : start;
    if (first + length > 512)
        return OTR_ERR_INVAL;
    uint32_t window = first + length <= 64 ? 0 : first / 8 < 56 ? first / 8 : 56;
    uint32_t at = first - window * 8;
    otr_field f = {.window = (uint8_t)window,
                   .order = (uint8_t)order,
                   .right = (uint8_t)(64 - length),
                   .need = (uint8_t)((first + length + 7) / 8)};
    if (at + length > 64)
        f.spill = (uint8_t)at; /* 1..7: the field starts in the first byte of its window */
    else
        f.left = (uint8_t)(order ? at : 64 - at - length);
    *ret = f;
    return OTR_OK;
}

static int sig_valid(const otr_blob *b, const otr_blob_sig *s) {
    otr_field field;
    if (s->slot >= b->slots || s->encoding > OTR_ENC_FLOAT64 ||
        otr_field_compile(s->start, s->length, s->order, &field))
        return 0;
    if ((s->encoding == OTR_ENC_FLOAT32 && s->length != 32) || (s->encoding == OTR_ENC_FLOAT64 && s->length != 64))
        return 0;
    if (s->first_condition > b->conds || s->conditions > b->conds - s->first_condition)
        return 0;
    if (s->first_na > b->ranges || s->na > b->ranges - s->first_na)
        return 0;
    return s->transform <= b->xforms && isfinite(s->factor) && isfinite(s->offset) && !isnan(s->low) && !isnan(s->high);
}

int otr_blob_sig_at(const otr_blob *b, uint32_t i, otr_blob_sig *ret) {
    const uint8_t *p = b->sig + (size_t)i * 64;
    otr_blob_sig s = {.slot = otr_load_le32(p),
                      .start = otr_load_le16(p + 4),
                      .length = p[6],
                      .order = p[7],
                      .encoding = p[8],
                      .flags = p[9],
                      .conditions = otr_load_le16(p + 10),
                      .na = otr_load_le16(p + 12),
                      .factor = otr_load_f64(p + 16),
                      .offset = otr_load_f64(p + 24),
                      .low = p[9] & OTR_SIG_MIN ? otr_load_f64(p + 32) : -INFINITY,
                      .high = p[9] & OTR_SIG_MAX ? otr_load_f64(p + 40) : INFINITY,
                      .first_condition = otr_load_le32(p + 48),
                      .first_na = otr_load_le32(p + 52),
                      .transform = otr_load_le32(p + 56)};
    if (!sig_valid(b, &s))
        return OTR_ERR_INVAL;
    *ret = s;
    return OTR_OK;
}

enum otr_sig_class otr_blob_sig_class(const otr_blob_sig *s) {
    otr_field field = {0};
    otr_field_compile(s->start, s->length, s->order, &field);
    if (s->conditions || s->na || s->transform || field.spill || s->encoding > OTR_ENC_INT)
        return OTR_CLASS_SLOW;
    if (s->encoding == OTR_ENC_UINT && s->length == 64)
        return OTR_CLASS_SLOW; /* does not fit the signed conversion of the fast loop */
    return s->flags & (OTR_SIG_MIN | OTR_SIG_MAX) ? OTR_CLASS_RANGED : OTR_CLASS_PLAIN;
}
