/* outrider/tape.h: every input in the order in which the engine processed it, so that a drive can be run again.
 *
 * A tape is a sequence of blocks, little-endian:
 *
 *     u32 magic "ORTP" | u16 version | u16 0 | u32 block number, from 0 | u32 payload bytes | u64 tables hash |
 *     u32 crc32c of the payload | u32 crc32c of the 28 bytes before | payload
 *
 * The payload holds whole records; each starts with u8 type | u8 late | i64 t_us (the engine's time for it):
 *
 *     1 frame   u32 id | u8 bus | u8 flags | u8 len | len bytes
 *     2 fix     i64 utc_us | f64 lat lon | f32 alt speed heading hacc hdop | u8 flags fix_type sats src
 *     3 imu     u16 q | u8 src | f32 res | f32 x[6]
 *     4 power   u16 q | u8 src | f32 x[2]
 *     5 tick    u8 1 when a snapshot follows
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#ifndef OUTRIDER_TAPE_H
#define OUTRIDER_TAPE_H

#define OTR_TAPE_MAGIC 0x5054524Fu /* "ORTP" */
#define OTR_TAPE_VERSION 1
#define OTR_TAPE_HEADER 32u
#define OTR_TAPE_RECORD_MAX 96u
#define OTR_TAPE_PAYLOAD_MAX (1u << 24)

enum otr_tape_type { OTR_TAPE_FRAME = 1, OTR_TAPE_FIX = 2, OTR_TAPE_IMU = 3, OTR_TAPE_POWER = 4, OTR_TAPE_TICK = 5 };

#endif
