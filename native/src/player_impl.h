/* player_impl.h (private): the player's state, and what its files call in each other.
 *
 * player.c keeps the time line, player_send.c fills datagrams and gets them onto the sockets.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#ifndef OUTRIDER_SRC_PLAYER_IMPL_H
#define OUTRIDER_SRC_PLAYER_IMPL_H

#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "bytes.h"
#include "outrider/player.h"

#define LATE_BUCKETS 128u /* four for each doubling */

typedef struct {
    int fd; /* -1: none */
    socklen_t peer_size;
    struct sockaddr_un peer; /* AF_UNIX: whom to connect to again; size 0: nobody */
} player_route;

struct otr_player {
    otr_player_config cfg;
    int stop_fd;
    _Atomic int stopping;
    int started;
    int64_t start_us, zero_us;
    int64_t rested_us;                    /* when frames may be sent again (gather_us) */
    uint32_t window;                      /* frames of the window that was begun and not finished */
    uint32_t routes;                      /* in use, in order of addition */
    uint8_t bus[OTR_PLAYER_BUSES];        /* their numbers */
    player_route route[OTR_PLAYER_BUSES]; /* by bus number */
    uint8_t handled[OTR_PLAYER_BATCH];    /* by place in the window */
    otr_play_stats stats;
    uint64_t late[LATE_BUCKETS];
    struct mmsghdr message[OTR_PLAYER_BATCH];
    struct iovec piece[OTR_PLAYER_BATCH];
    _Alignas(8) uint8_t datagram[OTR_PLAYER_BATCH][OTR_PLAYER_DATAGRAM];
    uint32_t place[OTR_PLAYER_BATCH]; /* of each message in the window */
};

static inline int64_t player_clock_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* player.c: sleeps until wait_us are over, or fd (-1 none) takes data. OTR_PLAYER_DONE, _STOP or _SIGNAL. */
int otr_player_sleep(otr_player *p, int64_t wait_us, int fd);

/* player_send.c: what of the window is not handled yet. OTR_PLAYER_*; on DONE nothing is left. */
int otr_player_send_window(otr_player *p, const otr_frame *frames);

#endif
