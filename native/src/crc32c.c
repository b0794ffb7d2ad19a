/* crc32c.c: see outrider/crc32c.h.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "outrider/crc32c.h"

#include "bytes.h"
#include "crc32c_table.h"

static uint32_t step_byte(uint32_t crc, uint8_t byte) {
    return (crc >> 8) ^ CRC32C_TABLE[0][(crc ^ byte) & 0xFFu];
}

static uint32_t step_eight(uint32_t crc, const uint8_t *p) {
    uint32_t low = otr_load_le32(p) ^ crc, high = otr_load_le32(p + 4);
    return CRC32C_TABLE[7][low & 0xFFu] ^ CRC32C_TABLE[6][(low >> 8) & 0xFFu] ^ CRC32C_TABLE[5][(low >> 16) & 0xFFu] ^
           CRC32C_TABLE[4][low >> 24] ^ CRC32C_TABLE[3][high & 0xFFu] ^ CRC32C_TABLE[2][(high >> 8) & 0xFFu] ^
           CRC32C_TABLE[1][(high >> 16) & 0xFFu] ^ CRC32C_TABLE[0][high >> 24];
}

uint32_t otr_crc32c(uint32_t seed, const void *data, size_t size) {
    const uint8_t *p = data;
    uint32_t crc = ~seed;
    for (; size >= 8; size -= 8, p += 8)
        crc = step_eight(crc, p);
    for (; size; size--, p++)
        crc = step_byte(crc, *p);
    return ~crc;
}
