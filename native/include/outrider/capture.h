/* outrider/capture.h: SocketCAN buses straight into the engine, many frames a call, none lost on the way.
 *
 * The one unit of the library that does I/O and reads clocks. It takes descriptors of CAN_RAW sockets that somebody
 * else opened and configured (interface, filters, FD, error mask); any datagram socket that carries struct can_frame
 * (16 bytes) or struct canfd_frame (72 bytes) will do, so that it can be tested without CAN. It sets only receive
 * options: SO_RCVBUFFORCE (else SO_RCVBUF), SO_RXQ_OVFL, SO_TIMESTAMPNS, SO_TIMESTAMPING. It never sends.
 *
 * Everything here belongs to the owner thread of the engine. A frame is read only when the inbox of its bus has room
 * for it: what the owner is late for waits in the kernel's buffer, and what does not fit there is counted by the
 * kernel (socket_lost). Between the socket and the engine nothing can be lost.
 *
 * Time. The kernel stamps with CLOCK_REALTIME, which may be set at any moment; the engine wants CLOCK_BOOTTIME. Both
 * are read after each batch and the stamps moved by their difference. A step of the wall clock makes every bus doubtful
 * until its socket was seen empty. The frames of a doubtful bus, and those of a batch with a stamp from before the
 * socket was last empty or from after now, are placed by their arrival: the last one now, the others at their distance
 * to it, none before the socket was last empty. A hardware stamp (another clock) refines the software stamp while it
 * is not zero, does not fall and stays within OTR_HARDWARE_TOLERANCE_US of it. An adapter that stamps none of the
 * first OTR_HARDWARE_TRIAL frames it receives has no clock: SO_TIMESTAMPING is then taken off, since the kernel would go on looking at each
 * frame for nothing (an eighth of the cost of reading it). The times of a bus never fall and are never ahead of now.
 *
 * A drive may be played faster than it was (outrider/player.h). Then time_scale seconds of engine time pass in one second
 * of the machine: engine time is CLOCK_BOOTTIME times time_scale, for stamps and watermark alike. All of the above is
 * still done with the machine's own clocks, and every span in the configuration is one of the machine.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#ifndef OUTRIDER_CAPTURE_H
#define OUTRIDER_CAPTURE_H

#include <stddef.h>

#include "outrider/engine.h"

#define OTR_CAPTURE_BATCH 64u    /* datagrams a system call */
#define OTR_CAPTURE_BATCHES 16u  /* system calls on one bus before the next has its turn */
#define OTR_CLOCK_STEP_US 1000   /* more than this, beyond what NTP may slew (500 ppm), is a step */
#define OTR_STAMP_AGE_US 2000000 /* how old a frame may be that waited before its socket was added */
#define OTR_STAMP_SLACK_US 20000 /* stamping happens before queueing, and the two clocks are read in turn */
#define OTR_HARDWARE_TOLERANCE_US 50000
#define OTR_HARDWARE_TRIAL 1024u /* frames without a hardware stamp until the socket is no longer asked for any */
#define OTR_TIME_SCALE_MAX 100
#define OTR_ERROR_CLASSES 10u /* bits of CAN_ERR_*, linux/can/error.h */

/* ---- one frame ---------------------------------------------------------------------------------- */
#define OTR_MSG_LOCAL 0x01u /* sent by this host (MSG_DONTROUTE) */
#define OTR_MSG_OWN 0x02u   /* sent by this very socket (MSG_CONFIRM) */

/* Reads one datagram of size bytes. Sets all of ret but t_us and bus. An error frame keeps its class bits in id; a
 * remote frame keeps its length and has no data. OTR_ERR_FORMAT for anything the kernel's layouts do not allow: another
 * size, more than 8 (64) bytes of data, an identifier of more than 11 bits without the extended flag. */
int otr_capture_frame(const uint8_t *datagram, size_t size, unsigned origin, otr_frame *ret);

/* Lets anybody send to a datagram socket again that was connected to one peer. OTR_ERR_STATE (errno). */
int otr_capture_disconnect(int fd);

/* ---- time ----------------------------------------------------------------------------------------- */
typedef struct {
    int64_t offset_us; /* CLOCK_BOOTTIME - CLOCK_REALTIME */
    int64_t sampled_us;
    uint64_t steps;
    int started;
} otr_clock_watch;

/* Notes a reading of both clocks that took gap_us; 1 when the wall clock stepped since the last one. */
int otr_clock_note(otr_clock_watch *w, int64_t boot_us, int64_t real_us, int64_t gap_us);

typedef struct {
    int64_t drained_us; /* boot time at which the socket was last seen empty */
    int64_t last_us;    /* newest time given out */
    int64_t hardware_offset_us, hardware_us;
    int hardware_on, doubtful;
    uint64_t restamped, hardware, hardware_refused; /* frames */
} otr_bus_clock;

typedef struct {
    int64_t software_us; /* CLOCK_REALTIME; 0 none */
    int64_t hardware_us; /* a clock of the adapter's own; 0 none */
} otr_stamp;

/* Times of the n frames of one batch, read at boot_us, into ret_us. */
void otr_stamp_batch(otr_bus_clock *c, const otr_stamp *stamps, uint32_t n, int64_t boot_us, int64_t offset_us,
                     int64_t *ret_us);

/* ---- capture --------------------------------------------------------------------------------------- */
typedef struct otr_capture otr_capture;

typedef struct {
    int stop_fd;             /* eventfd: run returns at once while it is readable; -1 none */
    int wake_fd;             /* eventfd: run empties it and returns; -1 none */
    int receive_buffer;      /* bytes of kernel buffer wanted for each bus */
    int64_t gather_us;       /* after frames, wait so long for more before the next read; 0: read at once */
    int64_t merge_window_us; /* the engine runs so far behind now, so that other sources can keep up */
    int32_t time_scale;      /* 1..OTR_TIME_SCALE_MAX seconds of engine time a second; for rigs, 1 in a car */
} otr_capture_config;

void otr_capture_config_default(otr_capture_config *ret); /* 8 MiB, 5 ms, 20 ms, 1, no descriptors */

size_t otr_capture_size(void);

/* Makes an epoll descriptor. mem is 16-byte aligned. OTR_ERR_INVAL, OTR_ERR_NOMEM; OTR_ERR_STATE: the system refused
 * (errno). */
int otr_capture_init(void *mem, size_t size, const otr_capture_config *cfg, otr_capture **ret);
void otr_capture_close(otr_capture *c); /* the descriptors of buses stay the caller's */

typedef struct {
    uint64_t frames; /* handed to the engine, error frames and echoes included */
    uint64_t echoes; /* sent by this host */
    uint64_t error_frames;
    uint64_t error_class[OTR_ERROR_CLASSES]; /* frames in which bit k was set */
    uint64_t controller_overflows;           /* error frames telling that the controller's own buffer overflowed */
    uint64_t malformed;                      /* datagrams that are no CAN frame, dropped */
    uint64_t socket_lost; /* dropped by the kernel since the socket was opened: its buffer was full */
    uint64_t held;        /* times that reading paused, the engine's inbox being full; nothing is lost by it */
    uint64_t restamped, hardware, hardware_refused; /* frames by how they got their time */
    uint64_t reads;                                 /* system calls that brought frames */
    int64_t last_us;                                /* engine time of the newest frame, 0 none */
    int32_t receive_buffer;                         /* bytes the kernel granted */
    int32_t lost_errno;                             /* why the bus was given up; 0: it is being read */
} otr_bus_stats;

/* Adds a bus, 0..OTR_FRAME_INBOXES_MAX-1, whose number is that of its inbox in the engine and stands in its frames.
 * local: frames of other programs on this host are traffic, not echoes (virtual buses). Counters begin at zero.
 * OTR_ERR_INVAL, OTR_ERR_STATE (the number is in use, or the descriptor was refused: errno). */
int otr_capture_add(otr_capture *c, int fd, uint32_t bus, int local);
int otr_capture_remove(otr_capture *c, uint32_t bus); /* OTR_ERR_STATE: it is not there */

/* OTR_ERR_INVAL for a number out of range. Stay readable after removal. */
int otr_capture_get_stats(const otr_capture *c, uint32_t bus, otr_bus_stats *ret);
uint64_t otr_capture_clock_steps(const otr_capture *c);

/* Why run returned. Whatever it is, outputs may be waiting. */
enum otr_capture_end {
    OTR_CAPTURE_TIMEOUT = 0, /* the time is over */
    OTR_CAPTURE_OUTPUT = 1,  /* too little room for outputs, or a step of the flight recorder is due: take them */
    OTR_CAPTURE_TAPE = 2,    /* the tape block is full: take it */
    OTR_CAPTURE_URGENT = 3,  /* news of a crash among the outputs */
    OTR_CAPTURE_WAKE = 4,
    OTR_CAPTURE_STOP = 5,
    OTR_CAPTURE_LOST = 6,  /* a bus failed: see lost_errno of each; it is no longer read */
    OTR_CAPTURE_SIGNAL = 7 /* interrupted by a signal */
};

/* Reads all buses and runs the engine for at most timeout_us (up to an hour). enum otr_capture_end, OTR_ERR_INVAL,
 * OTR_ERR_STATE (epoll failed, errno). */
int otr_capture_run(otr_capture *c, otr_engine *e, int64_t timeout_us);

#endif
