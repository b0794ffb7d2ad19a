/* outrider/player.h: recorded frames back onto buses, each at its time, many frames a call.
 *
 * For test rigs: what a drive's recording holds is sent on sockets that somebody else opened (CAN_RAW sockets bound to
 * an interface, or any connected datagram socket that takes struct can_frame and struct canfd_frame, such as an AF_UNIX
 * one). Whether sending there is a good idea is the caller's business.
 *
 * Time. A frame of time t is due at start_us + (t - zero_us) / speed on CLOCK_BOOTTIME, and never leaves earlier. What
 * is due by now goes out with one sendmmsg a bus. Each bus keeps the order of its frames; frames of different buses
 * keep it as far as they are OTR_PLAYER_SPAN_US apart, on the clock of the machine or, when there is no pace, on that
 * of the recording.
 *
 * Nothing is left out for being late: a socket that has no room (EAGAIN, ENOBUFS, ENOMEM) is waited for, and the wait is
 * counted. A frame that the socket refuses for another reason (an FD frame on a classic bus, an interface that is down,
 * nobody listening) is counted and passed over. An AF_UNIX socket whose peer has gone is connected to its path again, so
 * that a receiver may be started anew in the middle of a drive.
 *
 * One thread plays; otr_player_stop and otr_player_get_stats may be called from any (the counts are then a moment old).
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#ifndef OUTRIDER_PLAYER_H
#define OUTRIDER_PLAYER_H

#include <stddef.h>

#include "outrider/types.h"

#define OTR_PLAYER_BUSES 256u    /* bus numbers of frames */
#define OTR_PLAYER_BATCH 128u    /* frames looked at together */
#define OTR_PLAYER_SPAN_US 1000  /* ... and no further apart than this */
#define OTR_PLAYER_DATAGRAM 72u  /* the larger of the two layouts */
#define OTR_PLAYER_RETRY_US 200  /* between attempts while a transmit queue is full: no socket tells when it is not */
#define OTR_PLAYER_SPEED_MAX 1e6 /* beyond it there is no pace */

/* The datagram of a frame, into 72 bytes at ret; its size (16 or 72), 0 for a frame that no layout can hold: more than
 * 8 (FD: 64) bytes, a standard identifier of more than 11 bits. An error frame carries its class bits, a remote frame
 * its length and no data. The inverse of otr_capture_frame. */
size_t otr_player_datagram(const otr_frame *f, uint8_t *ret);

typedef struct otr_player otr_player;

typedef struct {
    double speed; /* recorded seconds a second, above 0; from OTR_PLAYER_SPEED_MAX on: as fast as the receivers take */
    int64_t
        gather_us; /* after sending, sleep at least so long, so that frames gather; 0: each is sent when it is due */
} otr_player_config;

void otr_player_config_default(otr_player_config *ret); /* 1.0, 0 */

size_t otr_player_size(void);

/* Makes an eventfd. mem is 16-byte aligned. OTR_ERR_INVAL, OTR_ERR_NOMEM; OTR_ERR_STATE: the system refused (errno). */
int otr_player_init(void *mem, size_t size, const otr_player_config *cfg, otr_player **ret);
void otr_player_close(otr_player *p); /* the descriptors of buses stay the caller's */

/* Where frames of this bus number go. OTR_ERR_INVAL; OTR_ERR_STATE: no datagram socket (errno). */
int otr_player_add(otr_player *p, int fd, uint32_t bus);

/* Fixes the time line: recorded time zero_us is due at start_us of CLOCK_BOOTTIME. OTR_ERR_STATE when it is fixed. */
int otr_player_start(otr_player *p, int64_t start_us, int64_t zero_us);
int64_t otr_player_started(const otr_player *p); /* start_us; 0 before */

enum otr_player_end {
    OTR_PLAYER_DONE = 0, /* all frames were sent or counted */
    OTR_PLAYER_STOP = 1,
    OTR_PLAYER_SIGNAL = 2 /* interrupted by a signal: call again with the rest */
};

/* Sends n frames in the order of their times; without otr_player_start the first one is due now. Blocks. enum
 * otr_player_end; ret_done: how many frames are behind, so that the next call begins with frames + ret_done. */
int otr_player_play(otr_player *p, const otr_frame *frames, uint32_t n, uint32_t *ret_done);

/* Makes play return now and at once from now on. From any thread. */
void otr_player_stop(otr_player *p);

typedef struct {
    uint64_t sent;
    uint64_t refused;    /* passed over: no layout for them, or the socket said no */
    uint64_t unrouted;   /* passed over: no socket for their bus */
    uint64_t waits;      /* times that a socket had no room */
    uint64_t waited_us;  /* ... and how long that took in all */
    uint64_t reconnects; /* an AF_UNIX receiver was there again */
    int64_t late_max_us; /* of a frame's first attempt behind its due time */
    int64_t late_p99_us; /* 99 of 100 frames were no later; to a fifth of its value */
    int32_t last_errno;  /* why the last frame was refused, 0 none or no layout */
    int32_t rsv;
} otr_play_stats;

void otr_player_get_stats(const otr_player *p, otr_play_stats *ret);

#endif
