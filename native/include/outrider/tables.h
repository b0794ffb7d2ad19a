/* outrider/tables.h: decode tables of one vehicle, compiled from a blob into memory of the caller.
 *
 * The blob is the canonical little-endian form of a vehicle profile (packed by outrider.engine.tables):
 *
 *     header   56  u32 magic "OTRT" | u16 version | u16 0 | u32 counts[8]: messages signals conditions ranges
 *                  transforms tokens slots 0 | u32 crc32c of all that follows the header | u32 0 | u64 0
 *     message  16  u32 id | u8 flags | u8 bus, 255 any | u16 length | u32 first signal | u32 signals
 *     signal   64  u32 slot | u16 start bit | u8 length | u8 order | u8 encoding | u8 flags | u16 conditions |
 *                  u16 na ranges | u16 0 | f64 factor | f64 offset | f64 minimum | f64 maximum |
 *                  u32 first condition | u32 first na range | u32 transform + 1, 0 none | u32 0
 *     condition 12 u16 start bit | u8 length | u8 order | u32 first range | u32 ranges
 *     range    16  u64 low | u64 high, inclusive, on the unsigned view of the bits
 *     transform 12 u32 kind | u32 first token | u32 tokens
 *     token    16  value map: f64 from | f64 to, ascending by from; program: u64 enum otr_op | f64 constant
 *     slot      8  u8 role | u8 flags | u16 0 | u32 max age in ms
 *
 * Start bits are those of a DBC file. order 1 is Motorola: the start bit is then the most significant bit.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#ifndef OUTRIDER_TABLES_H
#define OUTRIDER_TABLES_H

#include <stddef.h>
#include <stdint.h>

#include "outrider/types.h"

#define OTR_TABLES_MAGIC 0x5452544Fu
#define OTR_TABLES_VERSION 1
#define OTR_TABLES_HEADER 56

#define OTR_MSG_EXTENDED 0x01u
#define OTR_MSG_J1939 0x02u /* match by PGN: any priority, source and (PDU1) destination */
#define OTR_MSG_OBD 0x04u   /* an answer to an OBD-II request */
#define OTR_BUS_ANY 255u

#define OTR_SIG_MIN 0x01u
#define OTR_SIG_MAX 0x02u
#define OTR_SLOT_TELEMETRY 0x01u

enum otr_encoding { OTR_ENC_UINT = 0, OTR_ENC_INT = 1, OTR_ENC_FLOAT32 = 2, OTR_ENC_FLOAT64 = 3 };
enum otr_transform_kind { OTR_XF_MAP = 0, OTR_XF_PROGRAM = 1 };

/* Postfix operators. % has the sign of the divisor; round goes half to even: both as in Python. */
enum otr_op {
    OTR_OP_CONST = 0,
    OTR_OP_X = 1,
    OTR_OP_ADD = 2,
    OTR_OP_SUB = 3,
    OTR_OP_MUL = 4,
    OTR_OP_DIV = 5,
    OTR_OP_MOD = 6,
    OTR_OP_NEG = 7,
    OTR_OP_ABS = 8,
    OTR_OP_FLOOR = 9,
    OTR_OP_CEIL = 10,
    OTR_OP_ROUND = 11,
    OTR_OP_SQRT = 12,
    OTR_OP_MIN = 13,
    OTR_OP_MAX = 14,
    OTR_OP_COUNT = 15
};
#define OTR_STACK_MAX 16

typedef struct otr_tables otr_tables;

/* Bytes needed for the tables of this blob, 0 if it is malformed. */
size_t otr_tables_size(const uint8_t *blob, size_t len);

/* Compiles the blob into mem (16-byte aligned, >= otr_tables_size()). The blob is not needed afterwards.
 * OTR_ERR_FORMAT: not a tables blob; OTR_ERR_CORRUPT: checksum; OTR_ERR_INVAL: a value out of range;
 * OTR_ERR_NOMEM: mem too small. */
int otr_tables_init(void *mem, size_t size, const uint8_t *blob, size_t len, const otr_tables **ret);

uint64_t otr_tables_hash(const otr_tables *t);            /* FNV-1a 64 of the blob: names the tables in a tape */
uint32_t otr_tables_slots(const otr_tables *t);           /* number of slots */
uint32_t otr_tables_telemetry_slots(const otr_tables *t); /* ... of them marked telemetry */
uint32_t otr_tables_max_values(const otr_tables *t);      /* room that one frame needs */

#endif
