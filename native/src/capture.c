/* capture.c: sockets, epoll and the loop around the engine. See outrider/capture.h.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#define _GNU_SOURCE /* recvmmsg, ppoll */
#include <time.h>   /* before linux/errqueue.h, which needs it */

#include <errno.h>
#include <linux/can.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bytes.h"
#include "outrider/capture.h"

#define BUSES OTR_FRAME_INBOXES_MAX
#define DATAGRAM (CANFD_MTU + 8u) /* a longer one is cut off here and has a wrong size */
#define CONTROL 192u              /* both stamps and the drop counter take 120 bytes */
#define TIMEOUT_MAX_US ((int64_t)3600 * 1000000)
#define CLOCK_TRIES 3
#define CLOCK_GAP_US 50 /* a reading of both clocks that took longer is tried again */
#define STOP_MARK 1000u /* epoll's names of the two eventfds; buses have their number */
#define WAKE_MARK 1001u
#define ASKED_STOP 1u
#define ASKED_WAKE 2u
#define ASKED_SIGNAL 4u

typedef struct {
    int fd;             /* -1: not in use */
    int local, backlog; /* backlog: something is to be read */
    int trouble;        /* EPOLLERR, EPOLLHUP: a reason must show */
    int error;          /* why it must be given up once it was read to the end */
    uint32_t overflow;  /* the kernel's counter when it was last seen */
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

static int64_t microseconds(const struct timespec *t) {
    return (int64_t)t->tv_sec * 1000000 + t->tv_nsec / 1000;
}

static int64_t clock_us(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return microseconds(&t);
}

/* Reads both clocks, close together; a step makes every bus doubtful. Returns boot time. */
static int64_t sample_clocks(otr_capture *c) {
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

/* ---- life ------------------------------------------------------------------------------------------- */
void otr_capture_config_default(otr_capture_config *ret) {
    *ret = (otr_capture_config){
        .stop_fd = -1, .wake_fd = -1, .receive_buffer = 8 << 20, .gather_us = 5000, .merge_window_us = 20000};
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
        cfg->merge_window_us < 0 || cfg->merge_window_us > OTR_GAP_US)
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
    b->stats.receive_buffer = prepare(fd, c->cfg.receive_buffer);
    b->clock.last_us = b->clock.drained_us = sample_clocks(c) - OTR_STAMP_AGE_US;
    return OTR_OK;
}

static void give_up(otr_capture *c, bus_state *b) {
    epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, b->fd, NULL);
    b->fd = -1;
    b->backlog = b->trouble = 0;
}

int otr_capture_remove(otr_capture *c, uint32_t bus) {
    if (bus >= BUSES || c->bus[bus].fd < 0)
        return OTR_ERR_STATE;
    give_up(c, &c->bus[bus]);
    return OTR_OK;
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

/* ---- one batch of one bus ------------------------------------------------------------------------------ */
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

static void hand_over(otr_capture *c, otr_engine *e, uint32_t bus, uint32_t got) {
    bus_state *b = &c->bus[bus];
    int64_t boot = sample_clocks(c);
    uint32_t n = unpack(c, b, bus, got);
    otr_stamp_batch(&b->clock, c->stamp, n, boot, c->watch.offset_us, c->time_us);
    for (uint32_t i = 0; i < n; i++)
        c->frame[i].t_us = c->time_us[i];
    b->stats.frames += otr_engine_offer_frames_to(e, bus, c->frame, n); /* there was room for all */
    b->stats.reads++;
    if (n)
        b->stats.last_us = c->time_us[n - 1];
    c->busy = 1;
}

static void failed(otr_capture *c, bus_state *b, int error) {
    b->stats.lost_errno = error;
    c->lost = 1;
    give_up(c, b);
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

static void read_bus(otr_capture *c, otr_engine *e, uint32_t bus) {
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

/* As far as the engine may go: whatever is still in a socket came after round_us, or after the last frame read of a
 * bus that was not read to its end. */
static int64_t watermark(const otr_capture *c) {
    int64_t mark = c->round_us - c->cfg.merge_window_us;
    for (unsigned i = 0; i < BUSES; i++)
        if (c->bus[i].backlog && c->bus[i].clock.last_us - 1 < mark)
            mark = c->bus[i].clock.last_us - 1;
    return mark;
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
                read_bus(c, e, i);
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
