/* player_send.c: frames of one window onto their sockets. See outrider/player.h.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#define _GNU_SOURCE /* sendmmsg */
#include <errno.h>
#include <linux/can.h>

#include "player_impl.h"

#define ROOM_WAIT_US 100000 /* a socket that tells when it has room is asked again after this, all the same */

static_assert(OTR_PLAYER_DATAGRAM == CANFD_MTU, "the larger layout");

size_t otr_player_datagram(const otr_frame *f, uint8_t *ret) {
    int fd = (f->flags & OTR_FRAME_FD) != 0, extended = (f->flags & OTR_FRAME_EFF) != 0;
    int error = (f->flags & OTR_FRAME_ERR) != 0;
    if (f->len > (fd ? CANFD_MAX_DLEN : CAN_MAX_DLEN) || f->id > CAN_EFF_MASK ||
        (!extended && !error && f->id > CAN_SFF_MASK))
        return 0;
    size_t size = fd ? CANFD_MTU : CAN_MTU;
    uint32_t id = f->id | (extended ? CAN_EFF_FLAG : 0u) | (error ? CAN_ERR_FLAG : 0u) |
                  (f->flags & OTR_FRAME_RTR && !fd ? CAN_RTR_FLAG : 0u);
    memset(ret, 0, size);
    memcpy(ret, &id, sizeof id);
    ret[4] = f->len;
    if (fd)
        ret[5] = (uint8_t)((f->flags & OTR_FRAME_BRS ? CANFD_BRS : 0) | (f->flags & OTR_FRAME_ESI ? CANFD_ESI : 0));
    if (fd || !(f->flags & OTR_FRAME_RTR))
        memcpy(ret + 8, f->data, f->len);
    return size;
}

/* Datagrams of one bus that are not handled yet, in order; frames without a layout are done with. */
static uint32_t collect(otr_player *p, const otr_frame *frames, uint8_t bus) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->window; i++) {
        if (p->handled[i] || frames[i].bus != bus)
            continue;
        p->piece[n].iov_len = otr_player_datagram(&frames[i], p->datagram[n]);
        if (p->piece[n].iov_len) {
            p->place[n++] = i;
        } else {
            p->handled[i] = 1;
            p->stats.refused++;
        }
    }
    return n;
}

static int64_t timed_sleep(otr_player *p, int64_t wait_us, int fd, int *ret_end) {
    int64_t before = player_clock_us();
    *ret_end = otr_player_sleep(p, wait_us, fd);
    return player_clock_us() - before;
}

/* Waits until the socket may have room. */
static int wait_for_room(otr_player *p, int fd, int error) {
    int end;
    p->stats.waits++;
    int64_t took = error == EAGAIN ? timed_sleep(p, ROOM_WAIT_US, fd, &end) /* poll tells */
                                   : timed_sleep(p, OTR_PLAYER_RETRY_US, -1, &end);
    p->stats.waited_us += (uint64_t)took;
    return end;
}

/* Whether there is a receiver at the peer's path again; the reason in error when not. */
static int connected_again(otr_player *p, const player_route *r, int *error) {
    if (!r->peer_size)
        return 0;
    if (connect(r->fd, (const struct sockaddr *)&r->peer, r->peer_size)) {
        *error = errno;
        return 0;
    }
    p->stats.reconnects++;
    return 1;
}

static int no_room(int error) {
    return error == EAGAIN || error == ENOBUFS || error == ENOMEM;
}

static int gone(int error) {
    return error == ECONNREFUSED || error == ENOTCONN || error == ECONNRESET;
}

/* Sends n collected datagrams; each is sent or passed over when it is DONE. */
static int send_all(otr_player *p, const player_route *r, uint32_t n) {
    for (uint32_t at = 0; at < n;) {
        int sent = sendmmsg(r->fd, p->message + at, n - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        int error = sent < 0 ? errno : 0;
        for (int i = 0; i < sent; i++)
            p->handled[p->place[at++]] = 1;
        p->stats.sent += sent > 0 ? (uint64_t)sent : 0u;
        if (!error)
            continue;
        int end = OTR_PLAYER_DONE;
        if (no_room(error)) {
            end = wait_for_room(p, r->fd, error);
        } else if (error == EINTR) {
            end = OTR_PLAYER_SIGNAL;
        } else if (!gone(error) || !connected_again(p, r, &error)) {
            p->handled[p->place[at++]] = 1;
            p->stats.refused++;
            p->stats.last_errno = error;
        }
        if (end != OTR_PLAYER_DONE)
            return end;
    }
    return OTR_PLAYER_DONE;
}

static void pass_over_the_rest(otr_player *p) {
    for (uint32_t i = 0; i < p->window; i++)
        p->stats.unrouted += !p->handled[i];
}

int otr_player_send_window(otr_player *p, const otr_frame *frames) {
    for (uint32_t i = 0; i < p->routes; i++) {
        uint32_t n = collect(p, frames, p->bus[i]);
        int end = send_all(p, &p->route[p->bus[i]], n);
        if (end != OTR_PLAYER_DONE)
            return end;
    }
    pass_over_the_rest(p);
    return OTR_PLAYER_DONE;
}
