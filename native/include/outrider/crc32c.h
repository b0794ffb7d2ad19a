/* outrider/crc32c.h: CRC-32C (Castagnoli, RFC 3720 appendix B.4), slicing by eight.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#ifndef OUTRIDER_CRC32C_H
#define OUTRIDER_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* CRC of data; seed is the CRC of what came before (0 at the start), so that crc(crc(0, a), b) == crc(0, a + b). */
uint32_t otr_crc32c(uint32_t seed, const void *data, size_t size);

#endif
