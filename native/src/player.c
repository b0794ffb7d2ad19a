/* player.c: life, time line and the loop of the player. See outrider/player.h.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#define _GNU_SOURCE /* ppoll */
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "player_impl.h"

#define FAR_US 1e15 /* 31 years: no recorded time makes the arithmetic overflow */

/* ---- life ------------------------------------------------------------------------------------------- */
void otr_player_config_default(otr_player_config *ret) {
    *ret = (otr_player_config){.speed = 1.0, .gather_us = 0};
}

size_t otr_player_size(void) {
    return sizeof(otr_player);
}

int otr_player_init(void *mem, size_t size, const otr_player_config *cfg, otr_player **ret) {
    if ((uintptr_t)mem % 16u || !(cfg->speed > 0) || cfg->gather_us < 0 || cfg->gather_us > 1000000)
        return OTR_ERR_INVAL;
    if (size < sizeof(otr_player))
        return OTR_ERR_NOMEM;
    otr_player *p = mem;
    memset(p, 0, sizeof *p);
    p->cfg = *cfg;
    for (unsigned i = 0; i < OTR_PLAYER_BUSES; i++)
        p->route[i].fd = -1;
    for (unsigned i = 0; i < OTR_PLAYER_BATCH; i++) {
        p->piece[i].iov_base = p->datagram[i];
        p->message[i].msg_hdr.msg_iov = &p->piece[i];
        p->message[i].msg_hdr.msg_iovlen = 1;
    }
    p->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (p->stop_fd < 0)
        return OTR_ERR_STATE;
    *ret = p;
    return OTR_OK;
}

void otr_player_close(otr_player *p) {
    close(p->stop_fd);
    p->stop_fd = -1;
}

int otr_player_add(otr_player *p, int fd, uint32_t bus) {
    if (bus >= OTR_PLAYER_BUSES || fd < 0 || p->route[bus].fd >= 0)
        return OTR_ERR_INVAL;
    int type = 0;
    socklen_t length = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length))
        return OTR_ERR_STATE;
    player_route *r = &p->route[bus];
    r->peer_size = sizeof r->peer;
    if (getpeername(fd, (struct sockaddr *)&r->peer, &r->peer_size) || r->peer.sun_family != AF_UNIX ||
        r->peer_size <= offsetof(struct sockaddr_un, sun_path) || r->peer_size > sizeof r->peer)
        r->peer_size = 0; /* CAN, or one of a pair: nowhere to connect to again */
    r->fd = fd;
    p->bus[p->routes++] = (uint8_t)bus;
    return OTR_OK;
}

int otr_player_start(otr_player *p, int64_t start_us, int64_t zero_us) {
    if (p->started)
        return OTR_ERR_STATE;
    p->start_us = start_us;
    p->zero_us = zero_us;
    p->started = 1;
    return OTR_OK;
}

int64_t otr_player_started(const otr_player *p) {
    return p->started ? p->start_us : 0;
}

void otr_player_stop(otr_player *p) {
    uint64_t one = 1;
    atomic_store(&p->stopping, 1);
    ssize_t ignored = write(p->stop_fd, &one, sizeof one); /* a full counter is readable as well */
    (void)ignored;
}

/* ---- counts ------------------------------------------------------------------------------------------ */
static unsigned late_bucket(uint64_t us) {
    if (us < 4)
        return (unsigned)us;
    unsigned octave = 63u - (unsigned)__builtin_clzll(us);
    unsigned found = (octave - 1u) * 4u + (unsigned)(us >> (octave - 2u) & 3u);
    return found < LATE_BUCKETS ? found : LATE_BUCKETS - 1u;
}

/* The largest value of a bucket. */
static int64_t late_edge(unsigned bucket) {
    if (bucket < 4)
        return (int64_t)bucket;
    unsigned octave = bucket / 4u + 1u;
    return ((int64_t)(5u + bucket % 4u) << (octave - 2u)) - 1;
}

void otr_player_get_stats(const otr_player *p, otr_play_stats *ret) {
    *ret = p->stats;
    uint64_t total = 0, seen = 0;
    for (unsigned i = 0; i < LATE_BUCKETS; i++)
        total += p->late[i];
    unsigned bucket = 0;
    for (; total && bucket < LATE_BUCKETS - 1u; bucket++) {
        seen += p->late[bucket];
        if (seen >= total - total / 100u)
            break;
    }
    ret->late_p99_us = late_edge(bucket) < ret->late_max_us ? late_edge(bucket) : ret->late_max_us;
}

/* ---- the loop ------------------------------------------------------------------------------------------ */
static int paced(const otr_player *p) {
    return p->cfg.speed < OTR_PLAYER_SPEED_MAX;
}

static int64_t due_us(const otr_player *p, int64_t t_us) {
    double after = ((double)t_us - (double)p->zero_us) / p->cfg.speed;
    if (after > FAR_US)
        after = FAR_US;
    if (after < -FAR_US)
        after = -FAR_US;
    return p->start_us + (int64_t)after;
}

int otr_player_sleep(otr_player *p, int64_t wait_us, int fd) {
    struct pollfd fds[2] = {{.fd = p->stop_fd, .events = POLLIN}, {.fd = fd, .events = POLLOUT}};
    struct timespec t = {.tv_sec = wait_us / 1000000, .tv_nsec = (long)(wait_us % 1000000) * 1000};
    if (ppoll(fds, 2, &t, NULL) < 0 && errno == EINTR)
        return OTR_PLAYER_SIGNAL;
    return atomic_load(&p->stopping) ? OTR_PLAYER_STOP : OTR_PLAYER_DONE;
}

/* Until a frame may go, not before due_at. */
static int await(otr_player *p, int64_t due_at) {
    int64_t until = due_at > p->rested_us ? due_at : p->rested_us;
    for (;;) {
        if (atomic_load(&p->stopping))
            return OTR_PLAYER_STOP;
        int64_t left = until - player_clock_us();
        if (left <= 0)
            return OTR_PLAYER_DONE;
        int end = otr_player_sleep(p, left, -1);
        if (end != OTR_PLAYER_DONE)
            return end;
    }
}

static void count_late(otr_player *p, int64_t late_us) {
    if (late_us > p->stats.late_max_us)
        p->stats.late_max_us = late_us;
    p->late[late_bucket(late_us > 0 ? (uint64_t)late_us : 0)]++;
}

/* How many of the n frames go out now, at least one; notes how late they are. */
static uint32_t open_window(otr_player *p, const otr_frame *frames, uint32_t n) {
    int64_t now = player_clock_us(), first = paced(p) ? due_us(p, frames[0].t_us) : frames[0].t_us;
    uint32_t count = 0;
    for (; count < n && count < OTR_PLAYER_BATCH; count++) {
        int64_t due = paced(p) ? due_us(p, frames[count].t_us) : frames[count].t_us;
        if (count && (due - first > OTR_PLAYER_SPAN_US || (paced(p) && due > now)))
            break;
        count_late(p, paced(p) ? now - due : 0);
    }
    memset(p->handled, 0, count);
    p->rested_us = p->cfg.gather_us ? now + p->cfg.gather_us : 0;
    return count;
}

int otr_player_play(otr_player *p, const otr_frame *frames, uint32_t n, uint32_t *ret_done) {
    *ret_done = 0;
    if (n && !p->started)
        otr_player_start(p, player_clock_us(), frames[0].t_us);
    while (*ret_done < n) {
        const otr_frame *rest = frames + *ret_done;
        if (atomic_load(&p->stopping))
            return OTR_PLAYER_STOP;
        if (!p->window) {
            int end = await(p, paced(p) ? due_us(p, rest->t_us) : 0);
            if (end != OTR_PLAYER_DONE)
                return end;
            p->window = open_window(p, rest, n - *ret_done);
        }
        int end = otr_player_send_window(p, rest);
        if (end != OTR_PLAYER_DONE)
            return end;
        *ret_done += p->window;
        p->window = 0;
    }
    return OTR_PLAYER_DONE;
}
