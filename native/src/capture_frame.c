/* capture_frame.c: one datagram of a CAN_RAW socket into an otr_frame. See outrider/capture.h.
 *
 *   struct can_frame,   16 bytes: u32 id and flags | u8 len   | 3 bytes                    |  8 bytes data
 *   struct canfd_frame, 72 bytes: u32 id and flags | u8 len   | u8 flags | 2 bytes reserved | 64 bytes data
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include <linux/can.h>

#include "bytes.h"
#include "outrider/capture.h"

/* CAN FD knows 0..8, 12, 16, 20, 24, 32, 48 and 64 bytes; virtual buses let through what lies between. */
static int length_allowed(unsigned len, int fd) {
    return len <= (fd ? (unsigned)CANFD_MAX_DLEN : (unsigned)CAN_MAX_DLEN);
}

static unsigned fd_flags(uint8_t raw) {
    return OTR_FRAME_FD | (raw & CANFD_BRS ? OTR_FRAME_BRS : 0u) | (raw & CANFD_ESI ? OTR_FRAME_ESI : 0u);
}

int otr_capture_frame(const uint8_t *datagram, size_t size, unsigned origin, otr_frame *ret) {
    int fd = size == CANFD_MTU;
    if (!fd && size != CAN_MTU)
        return OTR_ERR_FORMAT;
    uint32_t id;
    memcpy(&id, datagram, sizeof id);
    unsigned len = datagram[4];
    int error = (id & CAN_ERR_FLAG) != 0, extended = (id & CAN_EFF_FLAG) != 0;
    if (!length_allowed(len, fd) || (!extended && !error && (id & CAN_EFF_MASK) > CAN_SFF_MASK))
        return OTR_ERR_FORMAT;
    unsigned flags = (extended ? OTR_FRAME_EFF : 0u) | (id & CAN_RTR_FLAG && !fd ? OTR_FRAME_RTR : 0u) |
                     (error ? OTR_FRAME_ERR : 0u) | (fd ? fd_flags(datagram[5]) : 0u) |
                     (origin & (OTR_MSG_LOCAL | OTR_MSG_OWN) ? OTR_FRAME_TX : 0u);
    ret->id = id & CAN_EFF_MASK;
    ret->flags = (uint8_t)flags;
    ret->len = (uint8_t)len;
    ret->rsv = 0;
    memset(ret->data, 0, sizeof ret->data);
    if (!(flags & OTR_FRAME_RTR))
        memcpy(ret->data, datagram + 8, len);
    return OTR_OK;
}
