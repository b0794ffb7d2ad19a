/* capture_read.c: batches of one bus, from its socket to its inbox. See outrider/capture.h.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#define _GNU_SOURCE /* recvmmsg */
#include <time.h>   /* before linux/errqueue.h, which needs it */

#include <errno.h>
#include <linux/errqueue.h>
#include <sys/epoll.h>

#include "capture_impl.h"

#define CLOCK_TRIES 3
#define CLOCK_GAP_US 50 /* a reading of both clocks that took longer is tried again */

/* Reads both clocks, close together. */
int64_t otr_capture_sample_clocks(otr_capture *c) {
    int64_t boot = 0, real = 0, gap = INT64_MAX;
    for (int i = 0; i < CLOCK_TRIES && gap > CLOCK_GAP_US; i++) {
        int64_t before = clock_us(CLOCK_BOOTTIME), now = clock_us(CLOCK_REALTIME), after = clock_us(CLOCK_BOOTTIME);
        if (after - before < gap) {
            boot = after;
            real = now;
            gap = after - before;
        }
    }
    if (otr_clock_note(&c->watch, boot, real, gap))
        for (unsigned i = 0; i < BUSES; i++)
            c->bus[i].clock.doubtful = 1;
    return boot;
}

void otr_capture_give_up(otr_capture *c, bus_state *b) {
    epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, b->fd, NULL);
    b->fd = -1;
    b->backlog = b->trouble = 0;
}

static int receive(otr_capture *c, int fd, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        c->message[i].msg_hdr.msg_control = c->control[i];
        c->message[i].msg_hdr.msg_controllen = CONTROL;
        c->message[i].msg_hdr.msg_flags = 0;
    }
    int got;
    do
        got = recvmmsg(fd, c->message, n, MSG_DONTWAIT, NULL);
    while (got < 0 && errno == EINTR);
    return got;
}

static void read_stamps(const struct cmsghdr *m, otr_stamp *ret) {
    struct scm_timestamping three;
    struct timespec one;
    if (m->cmsg_type == SO_TIMESTAMPING && m->cmsg_len >= CMSG_LEN(sizeof three)) {
        memcpy(&three, CMSG_DATA(m), sizeof three);
        memcpy(&one, &three.ts[2], sizeof one);
        ret->hardware_us = microseconds(&one);
        memcpy(&one, &three.ts[0], sizeof one);
        if (microseconds(&one))
            ret->software_us = microseconds(&one);
    } else if (m->cmsg_type == SO_TIMESTAMPNS && m->cmsg_len >= CMSG_LEN(sizeof one)) {
        memcpy(&one, CMSG_DATA(m), sizeof one);
        ret->software_us = microseconds(&one);
    }
}

/* What came beside the data: stamps, and the kernel's count of what it dropped. */
static void read_control(bus_state *b, struct msghdr *h, otr_stamp *ret) {
    *ret = (otr_stamp){0, 0};
    for (struct cmsghdr *m = CMSG_FIRSTHDR(h); m; m = CMSG_NXTHDR(h, m)) {
        if (m->cmsg_level != SOL_SOCKET)
            continue;
        uint32_t dropped;
        if (m->cmsg_type == SO_RXQ_OVFL && m->cmsg_len >= CMSG_LEN(sizeof dropped)) {
            memcpy(&dropped, CMSG_DATA(m), sizeof dropped);
            b->stats.socket_lost += dropped - b->overflow; /* wraps */
            b->overflow = dropped;
        } else {
            read_stamps(m, ret);
        }
    }
}

static unsigned origin_of(const bus_state *b, int message_flags) {
    unsigned local = message_flags & MSG_DONTROUTE && !b->local ? OTR_MSG_LOCAL : 0u;
    return local | (message_flags & MSG_CONFIRM ? OTR_MSG_OWN : 0u);
}

static void count_frame(otr_bus_stats *s, const otr_frame *f) {
    s->echoes += (f->flags & OTR_FRAME_TX) != 0;
    if (!(f->flags & OTR_FRAME_ERR))
        return;
    s->error_frames++;
    for (unsigned i = 0; i < OTR_ERROR_CLASSES; i++)
        s->error_class[i] += f->id >> i & 1u;
    s->controller_overflows += (f->id & 0x4u) && (f->data[1] & 0x1u); /* CAN_ERR_CRTL, CAN_ERR_CRTL_RX_OVERFLOW */
}

/* The datagrams that are frames, packed to the front with their stamps; how many. */
static uint32_t unpack(otr_capture *c, bus_state *b, uint32_t bus, uint32_t n) {
    uint32_t good = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct msghdr *h = &c->message[i].msg_hdr;
        otr_frame *f = &c->frame[good];
        read_control(b, h, &c->stamp[good]);
        size_t size = h->msg_flags & MSG_TRUNC ? DATAGRAM : c->message[i].msg_len;
        if (otr_capture_frame(c->datagram[i], size, origin_of(b, h->msg_flags), f)) {
            b->stats.malformed++;
            continue;
        }
        f->bus = (uint8_t)bus;
        count_frame(&b->stats, f);
        good++;
    }
    return good;
}

/* Ends asking for hardware stamps when the adapter has shown that it has no clock. */
static void try_adapter(const otr_capture *c, bus_state *b, uint32_t n) {
    for (uint32_t i = 0; i < n && b->trial; i++) {
        if (c->stamp[i].hardware_us)
            b->trial = 0;
        else if (!(c->frame[i].flags & (OTR_FRAME_ERR | OTR_FRAME_TX)) && --b->trial == 0) /* received, not made here */
            setsockopt(b->fd, SOL_SOCKET, SO_TIMESTAMPING, &(int){0}, sizeof(int));
    }
}

static void hand_over(otr_capture *c, otr_engine *e, uint32_t bus, uint32_t got) {
    bus_state *b = &c->bus[bus];
    int64_t boot = otr_capture_sample_clocks(c);
    uint32_t n = unpack(c, b, bus, got);
    try_adapter(c, b, n);
    otr_stamp_batch(&b->clock, c->stamp, n, boot, c->watch.offset_us, c->time_us);
    for (uint32_t i = 0; i < n; i++)
        c->frame[i].t_us = c->time_us[i] * c->cfg.time_scale;
    b->stats.frames += otr_engine_offer_frames_to(e, bus, c->frame, n); /* there was room for all */
    b->stats.reads++;
    if (n)
        b->stats.last_us = c->frame[n - 1].t_us;
    c->busy = 1;
}

static void failed(otr_capture *c, bus_state *b, int error) {
    b->stats.lost_errno = error;
    c->lost = 1;
    otr_capture_give_up(c, b);
}

/* What made epoll speak of trouble when reading does not say. */
static int reason(int fd) {
    int error = 0;
    socklen_t length = sizeof error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error ? error : EPIPE;
}

/* A socket that was shut down gives empty datagrams without end. */
static int ended(const otr_capture *c, const bus_state *b, uint32_t got) {
    for (uint32_t i = 0; i < got; i++)
        if (c->message[i].msg_len)
            return 0;
    return b->trouble;
}

/* The socket was empty, at boot_us or later: what is read from now on arrived after that. */
static void drained(otr_capture *c, bus_state *b, int64_t boot_us) {
    b->backlog = 0;
    b->clock.drained_us = boot_us;
    b->clock.doubtful = 0;
    if (b->trouble && !b->error)
        b->error = reason(b->fd);
    if (b->error)
        failed(c, b, b->error);
}

void otr_capture_read_bus(otr_capture *c, otr_engine *e, uint32_t bus) {
    bus_state *b = &c->bus[bus];
    for (unsigned turn = 0; turn < OTR_CAPTURE_BATCHES; turn++) {
        uint32_t room = otr_engine_frame_room(e, bus), n = room < OTR_CAPTURE_BATCH ? room : OTR_CAPTURE_BATCH;
        if (!n) {
            b->stats.held++;
            break;
        }
        int64_t before_us = clock_us(CLOCK_BOOTTIME);
        int got = receive(c, b->fd, n);
        if (got > 0 && ended(c, b, (uint32_t)got)) {
            failed(c, b, EPIPE);
            return;
        }
        if (got > 0)
            hand_over(c, e, bus, (uint32_t)got);
        else if (errno != EAGAIN && !b->error) { /* told once; what was queued before is still there */
            b->error = errno;
            continue;
        }
        if (got < (int)n) {
            drained(c, b, before_us);
            return;
        }
    }
    b->backlog = 1;
}
