/* outrider/candump.h: the log format of candump -l (can-utils), classic and FD.
 *
 *     (1436509052.249713) vcan0 044#2A366C2BBA      data
 *     (1436509052.249713) vcan0 18FEF100#R8         remote request
 *     (1436509052.249713) vcan0 123##5AABBCC        FD, one digit of flags: 1 BRS, 2 ESI
 *     (1436509052.249713) vcan0 20000004#0000...    error frame
 *
 * An identifier of more than three digits is a 29-bit one. What follows the data after a space (candump -x) is
 * ignored; "T" there marks a frame sent by the host. Lines that are empty or start with # or ; are skipped. Any other
 * line is counted as bad and left out.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#ifndef OUTRIDER_CANDUMP_H
#define OUTRIDER_CANDUMP_H

#include <stddef.h>

#include "outrider/types.h"

#define OTR_CANDUMP_BUSES 32
#define OTR_CANDUMP_NAME 16 /* IFNAMSIZ */

/* State of a file that is parsed piece by piece; zero it at the start. */
typedef struct {
    uint64_t lines, bad_lines, first_bad_line; /* first_bad_line: 1-based, 0 none */
    uint32_t buses;
    uint32_t rsv;
    char bus[OTR_CANDUMP_BUSES][OTR_CANDUMP_NAME]; /* interface names in order of appearance: the bus index */
} otr_candump;

/* Parses whole lines into frames, at most cap. ret_used: bytes consumed, always whole lines; with final set a last
 * line without line feed is taken too. Returns the number of frames. */
uint32_t otr_candump_parse(otr_candump *state, const char *text, size_t len, int final, otr_frame *frames, uint32_t cap,
                           size_t *ret_used);

#endif
