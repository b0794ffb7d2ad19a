/* capture_impl.h (private): the capture's state, and what its files call in each other.
 *
 * capture.c opens, closes and waits, capture_read.c empties one bus, capture_frame.c and capture_time.c are pure.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#ifndef OUTRIDER_SRC_CAPTURE_IMPL_H
#define OUTRIDER_SRC_CAPTURE_IMPL_H

#include <linux/can.h>
#include <sys/socket.h>
#include <time.h>

#include "bytes.h"
#include "outrider/capture.h"

#define BUSES OTR_FRAME_INBOXES_MAX
#define DATAGRAM (CANFD_MTU + 8u) /* a longer one is cut off here and has a wrong size */
#define CONTROL 192u              /* both stamps and the drop counter take 120 bytes */

typedef struct {
    int fd;             /* -1: not in use */
    int local, backlog; /* backlog: something is to be read */
    int trouble;        /* EPOLLERR, EPOLLHUP: a reason must show */
    int error;          /* why it must be given up once it was read to the end */
    uint32_t overflow;  /* the kernel's counter when it was last seen */
    uint32_t trial;     /* frames that the adapter has left to show a clock of its own; 0: decided */
    otr_bus_clock clock;
    otr_bus_stats stats;
} bus_state;

struct otr_capture {
    otr_capture_config cfg;
    int epoll_fd;
    int64_t round_us; /* when this round began to look at the buses */
    int busy, lost;   /* frames came in the last round; a bus failed since run began */
    otr_clock_watch watch;
    bus_state bus[BUSES];
    struct mmsghdr message[OTR_CAPTURE_BATCH];
    struct iovec piece[OTR_CAPTURE_BATCH];
    _Alignas(struct cmsghdr) uint8_t control[OTR_CAPTURE_BATCH][CONTROL];
    _Alignas(8) uint8_t datagram[OTR_CAPTURE_BATCH][DATAGRAM];
    otr_frame frame[OTR_CAPTURE_BATCH];
    otr_stamp stamp[OTR_CAPTURE_BATCH];
    int64_t time_us[OTR_CAPTURE_BATCH];
};

static inline int64_t microseconds(const struct timespec *t) {
    return (int64_t)t->tv_sec * 1000000 + t->tv_nsec / 1000;
}

static inline int64_t clock_us(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return microseconds(&t);
}

/* capture_read.c */
int64_t otr_capture_sample_clocks(otr_capture *c); /* boot time; a step of the wall clock makes every bus doubtful */
void otr_capture_give_up(otr_capture *c, bus_state *b);
void otr_capture_read_bus(otr_capture *c, otr_engine *e, uint32_t bus);

#endif
