/* capture.c: life, epoll and the loop around the engine. See outrider/capture.h.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#define _GNU_SOURCE /* ppoll */
#include <errno.h>
#include <linux/net_tstamp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "capture_impl.h"

#define TIMEOUT_MAX_US ((int64_t)3600 * 1000000)
#define STOP_MARK 1000u /* epoll's names of the two eventfds; buses have their number */
#define WAKE_MARK 1001u
#define ASKED_STOP 1u
#define ASKED_WAKE 2u
#define ASKED_SIGNAL 4u

/* ---- life ------------------------------------------------------------------------------------------- */
void otr_capture_config_default(otr_capture_config *ret) {
    *ret = (otr_capture_config){.stop_fd = -1,
                                .wake_fd = -1,
                                .receive_buffer = 8 << 20,
                                .gather_us = 5000,
                                .merge_window_us = 20000,
                                .time_scale = 1};
}

size_t otr_capture_size(void) {
    return sizeof(otr_capture);
}

static int watch_fd(otr_capture *c, int fd, uint32_t mark) {
    struct epoll_event event = {.events = EPOLLIN, .data = {.u32 = mark}};
    return epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? OTR_ERR_STATE : OTR_OK;
}

int otr_capture_init(void *mem, size_t size, const otr_capture_config *cfg, otr_capture **ret) {
    if ((uintptr_t)mem % 16u || cfg->receive_buffer < 0 || cfg->gather_us < 0 || cfg->gather_us > 1000000 ||
        cfg->merge_window_us < 0 || cfg->merge_window_us > OTR_GAP_US || cfg->time_scale < 1 ||
        cfg->time_scale > OTR_TIME_SCALE_MAX)
        return OTR_ERR_INVAL;
    if (size < sizeof(otr_capture))
        return OTR_ERR_NOMEM;
    otr_capture *c = mem;
    memset(c, 0, sizeof *c);
    c->cfg = *cfg;
    for (unsigned i = 0; i < BUSES; i++)
        c->bus[i].fd = -1;
    for (unsigned i = 0; i < OTR_CAPTURE_BATCH; i++) {
        c->piece[i] = (struct iovec){.iov_base = c->datagram[i], .iov_len = DATAGRAM};
        c->message[i].msg_hdr.msg_iov = &c->piece[i];
        c->message[i].msg_hdr.msg_iovlen = 1;
    }
    c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (c->epoll_fd < 0)
        return OTR_ERR_STATE;
    if ((cfg->stop_fd >= 0 && watch_fd(c, cfg->stop_fd, STOP_MARK)) ||
        (cfg->wake_fd >= 0 && watch_fd(c, cfg->wake_fd, WAKE_MARK))) {
        int error = errno;
        close(c->epoll_fd);
        errno = error;
        return OTR_ERR_STATE;
    }
    *ret = c;
    return OTR_OK;
}

void otr_capture_close(otr_capture *c) {
    close(c->epoll_fd);
    c->epoll_fd = -1;
}

/* Receive options; each is a help that a socket may refuse. */
static int prepare(int fd, int receive_buffer) {
    int on = 1, granted = 0;
    socklen_t length = sizeof granted;
    int stamps = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_RX_HARDWARE |
                 SOF_TIMESTAMPING_RAW_HARDWARE;
    if (receive_buffer && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer, sizeof receive_buffer))
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &stamps, sizeof stamps);
    getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &granted, &length);
    return granted;
}

int otr_capture_add(otr_capture *c, int fd, uint32_t bus, int local) {
    if (bus >= BUSES || fd < 0)
        return OTR_ERR_INVAL;
    bus_state *b = &c->bus[bus];
    if (b->fd >= 0) {
        errno = EEXIST;
        return OTR_ERR_STATE;
    }
    int type = 0;
    socklen_t length = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) || watch_fd(c, fd, bus))
        return OTR_ERR_STATE;
    memset(b, 0, sizeof *b);
    b->fd = fd;
    b->local = local;
    b->trial = OTR_HARDWARE_TRIAL;
    b->stats.receive_buffer = prepare(fd, c->cfg.receive_buffer);
    b->clock.last_us = b->clock.drained_us = otr_capture_sample_clocks(c) - OTR_STAMP_AGE_US;
    return OTR_OK;
}

int otr_capture_remove(otr_capture *c, uint32_t bus) {
    if (bus >= BUSES || c->bus[bus].fd < 0)
        return OTR_ERR_STATE;
    otr_capture_give_up(c, &c->bus[bus]);
    return OTR_OK;
}

int otr_capture_disconnect(int fd) {
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    return connect(fd, &nobody, sizeof nobody) ? OTR_ERR_STATE : OTR_OK;
}

int otr_capture_get_stats(const otr_capture *c, uint32_t bus, otr_bus_stats *ret) {
    if (bus >= BUSES)
        return OTR_ERR_INVAL;
    const bus_state *b = &c->bus[bus];
    *ret = b->stats;
    ret->restamped = b->clock.restamped;
    ret->hardware = b->clock.hardware;
    ret->hardware_refused = b->clock.hardware_refused;
    return OTR_OK;
}

uint64_t otr_capture_clock_steps(const otr_capture *c) {
    return c->watch.steps;
}

/* ---- the loop ------------------------------------------------------------------------------------------- */
static int any_backlog(const otr_capture *c) {
    for (unsigned i = 0; i < BUSES; i++)
        if (c->bus[i].backlog)
            return 1;
    return 0;
}

/* Lets frames gather; the two eventfds end it. 1 when a signal did. */
static int gather(const otr_capture *c, int64_t limit_us) {
    int64_t wait = c->cfg.gather_us < limit_us ? c->cfg.gather_us : limit_us;
    struct pollfd fds[2] = {{.fd = c->cfg.stop_fd, .events = POLLIN}, {.fd = c->cfg.wake_fd, .events = POLLIN}};
    struct timespec t = {.tv_sec = wait / 1000000, .tv_nsec = (long)(wait % 1000000) * 1000};
    return wait > 0 && ppoll(fds, 2, &t, NULL) < 0 && errno == EINTR;
}

static unsigned note_control(const otr_capture *c, uint32_t mark) {
    uint64_t count;
    if (mark == STOP_MARK)
        return ASKED_STOP;
    ssize_t ignored = read(c->cfg.wake_fd, &count, sizeof count); /* level-triggered: nobody else reads it */
    (void)ignored;
    return ASKED_WAKE;
}

/* Sleeps until there is something to do, at most left_us. 1 when a signal ended it. */
static int sleep_on(otr_capture *c, int64_t left_us) {
    if (any_backlog(c))
        return 0;
    if (c->busy)
        return gather(c, left_us);
    struct epoll_event one;
    return epoll_wait(c->epoll_fd, &one, 1, (int)((left_us + 999) / 1000)) < 0 && errno == EINTR;
}

/* Marks the buses that have frames (as backlog); the others were empty at round_us. ASKED_* bits, or an error. */
static int await(otr_capture *c, int64_t left_us) {
    unsigned asked = sleep_on(c, left_us) ? ASKED_SIGNAL : 0u;
    struct epoll_event event[BUSES + 2];
    c->busy = 0;
    c->round_us = clock_us(CLOCK_BOOTTIME);
    int n;
    do
        n = epoll_wait(c->epoll_fd, event, BUSES + 2, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return OTR_ERR_STATE;
    for (int i = 0; i < n; i++) {
        uint32_t mark = event[i].data.u32;
        if (mark >= BUSES) {
            asked |= note_control(c, mark);
            continue;
        }
        c->bus[mark].backlog = 1;
        c->bus[mark].trouble = (event[i].events & (EPOLLHUP | EPOLLERR)) != 0;
    }
    return (int)asked;
}

/* As far as the engine may go, in engine time: whatever is still in a socket came after round_us, or after the last
 * frame read of a bus that was not read to its end. */
static int64_t watermark(const otr_capture *c) {
    int64_t mark = c->round_us - c->cfg.merge_window_us;
    for (unsigned i = 0; i < BUSES; i++)
        if (c->bus[i].backlog && c->bus[i].clock.last_us - 1 < mark)
            mark = c->bus[i].clock.last_us - 1;
    return mark * c->cfg.time_scale;
}

static int verdict(const otr_capture *c, const otr_engine *e, int asked) {
    if (asked & (int)ASKED_STOP)
        return OTR_CAPTURE_STOP;
    if (c->lost)
        return OTR_CAPTURE_LOST;
    if (otr_engine_urgent(e))
        return OTR_CAPTURE_URGENT;
    if (asked & (int)ASKED_WAKE)
        return OTR_CAPTURE_WAKE;
    return asked & (int)ASKED_SIGNAL ? OTR_CAPTURE_SIGNAL : OTR_CAPTURE_TIMEOUT;
}

int otr_capture_run(otr_capture *c, otr_engine *e, int64_t timeout_us) {
    if (timeout_us < 0 || timeout_us > TIMEOUT_MAX_US)
        return OTR_ERR_INVAL;
    int64_t end = clock_us(CLOCK_BOOTTIME) + timeout_us;
    c->lost = 0;
    for (;;) {
        int64_t left = end - clock_us(CLOCK_BOOTTIME);
        int asked = await(c, left > 0 ? left : 0);
        if (asked < 0)
            return asked;
        for (uint32_t i = 0; i < BUSES; i++)
            if (c->bus[i].backlog)
                otr_capture_read_bus(c, e, i);
        int full = otr_engine_run(e, watermark(c));
        if (full < 0)
            return full;
        int end_by = verdict(c, e, asked);
        if (full && end_by == OTR_CAPTURE_TIMEOUT)
            return full == OTR_RUN_TAPE ? OTR_CAPTURE_TAPE : OTR_CAPTURE_OUTPUT;
        if (end_by != OTR_CAPTURE_TIMEOUT || clock_us(CLOCK_BOOTTIME) >= end)
            return end_by;
    }
}
