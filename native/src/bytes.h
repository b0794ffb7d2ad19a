/* bytes.h (private): canonical little-endian loads and stores, independent of the host.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#ifndef OUTRIDER_SRC_BYTES_H
#define OUTRIDER_SRC_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define OTR_BIG_ENDIAN_HOST 1
#else
#define OTR_BIG_ENDIAN_HOST 0
#endif

static inline uint64_t otr_swap64(uint64_t v) {
    return __builtin_bswap64(v);
}

static inline uint64_t otr_load_le64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return OTR_BIG_ENDIAN_HOST ? otr_swap64(v) : v;
}

static inline uint32_t otr_load_le32(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return OTR_BIG_ENDIAN_HOST ? __builtin_bswap32(v) : v;
}

static inline uint16_t otr_load_le16(const uint8_t *p) {
    return (uint16_t)(p[0] | (unsigned)p[1] << 8);
}

static inline void otr_store_le64(uint8_t *p, uint64_t v) {
    if (OTR_BIG_ENDIAN_HOST)
        v = otr_swap64(v);
    memcpy(p, &v, sizeof v);
}

static inline void otr_store_le32(uint8_t *p, uint32_t v) {
    if (OTR_BIG_ENDIAN_HOST)
        v = __builtin_bswap32(v);
    memcpy(p, &v, sizeof v);
}

static inline void otr_store_le16(uint8_t *p, uint16_t v) {
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline double otr_load_f64(const uint8_t *p) {
    uint64_t bits = otr_load_le64(p);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static inline float otr_load_f32(const uint8_t *p) {
    uint32_t bits = otr_load_le32(p);
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static inline void otr_store_f64(uint8_t *p, double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    otr_store_le64(p, bits);
}

static inline void otr_store_f32(uint8_t *p, float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    otr_store_le32(p, bits);
}

/* Hands out 16-byte aligned pieces of the caller's memory, or only counts them when base is NULL. */
typedef struct {
    uint8_t *base;
    size_t used;
} otr_arena;

static inline void *otr_carve(otr_arena *arena, size_t size) {
    void *piece = arena->base ? arena->base + arena->used : NULL;
    arena->used += (size + 15u) & ~(size_t)15u;
    return piece;
}

#endif
