/* outrider/recorder.h: flight recorder: rings of raw inputs and decoded signals in RAM, capped in bytes, and what of them
 * is to be saved when a crash is suspected.
 *
 * The rings never stop. A trigger opens a window around T0, from OTR_PRE_US before to OTR_POST_US after (at least until
 * all that lies before the trigger is handed out), and from then on
 * hands it out in slices, the most valuable first, while recording goes on: at the trigger the state, then what lies
 * before it, one slice each OTR_BEFORE_STEP_US; then what comes, each OTR_SOON_US for OTR_SOON_FOR_US, later each
 * OTR_LATER_US; at the end the closing state. When the supply fails everything is due at once. What is due follows from
 * the engine's time alone, so that a replay hands out the same slices. A further impact of the same event makes its
 * window longer; up to OTR_WINDOWS events are served at once, the next finds no window and is told so.
 *
 * An item is in one slice at most. What a ring covers is told, not assumed: when it is too small for the time asked
 * for, the oldest is missing.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#ifndef OUTRIDER_RECORDER_H
#define OUTRIDER_RECORDER_H

#include <stddef.h>

#include "outrider/types.h"

#define OTR_PRE_US 30000000
#define OTR_POST_US 15000000
#define OTR_POST_MAX_US 60000000 /* end of a window after its first T0, whatever follows */
#define OTR_BEFORE_STEP_US 5000
#define OTR_SOON_US 100000
#define OTR_SOON_FOR_US 2000000 /* also after the supply has failed */
#define OTR_LATER_US 1000000
#define OTR_WINDOWS 4u
#define OTR_NEVER_US INT64_MAX

enum otr_recording {
    OTR_REC_FRAMES = 0,  /* otr_frame */
    OTR_REC_IMU = 1,     /* otr_sample, of our own sensor and of one on CAN */
    OTR_REC_SIGNALS = 2, /* otr_signal_record */
    OTR_REC_FIXES = 3,   /* otr_fix, of a receiver of our own and of one on CAN */
    OTR_REC_INPUTS = 4,  /* otr_sample: power as the terminal itself sees it */
    OTR_REC_KINDS = 5
};

typedef struct {
    int64_t t_us;
    uint32_t slot;
    uint32_t rsv; /* 0 */
    double value;
} otr_signal_record;
static_assert(sizeof(otr_signal_record) == 24, "otr_signal_record layout");

/* What there is of a kind; all 0 where there is nothing. */
typedef struct {
    int64_t first_us, last_us;
    uint32_t count;
    uint32_t rsv; /* 0 */
} otr_cover;

enum otr_step_what { OTR_STEP_TRIGGER = 1, OTR_STEP_PULSE = 2, OTR_STEP_CLOSED = 3, OTR_STEP_SLICE = 4 };

/* One thing to be saved. */
typedef struct {
    int64_t t0_us, trigger_us; /* of the window */
    int64_t first_us, last_us; /* of the slice; a state: both its time, for the closing one that of the newest item */
    uint32_t event_seq;
    uint32_t count; /* items of the slice */
    uint32_t slice; /* its number among the slices of its kind and event */
    uint8_t what;   /* enum otr_step_what */
    uint8_t kind;   /* enum otr_recording, of a slice */
    uint16_t rsv;
    otr_cover cover[OTR_REC_KINDS]; /* of a state: trigger and pulse: what the rings hold of the window, closed: what
                                       was handed out */
} otr_evidence_step;

typedef struct otr_recorder otr_recorder;

size_t otr_recorder_size(uint64_t bytes);
/* bytes: all rings together, at least 65536. OTR_ERR_INVAL, OTR_ERR_NOMEM. */
int otr_recorder_init(void *mem, size_t size, uint64_t bytes, otr_recorder **ret);

/* Items come in order of time. */
void otr_recorder_frame(otr_recorder *r, const otr_frame *frame, int64_t t_us);
void otr_recorder_imu(otr_recorder *r, const otr_sample *sample);
void otr_recorder_signal(otr_recorder *r, int64_t t_us, uint32_t slot, double value);
void otr_recorder_fix(otr_recorder *r, const otr_fix *fix);
void otr_recorder_input(otr_recorder *r, const otr_sample *sample);

/* Bytes of an item as otr_recorder_read() gives it. */
uint32_t otr_recorder_item(enum otr_recording kind);

/* A crash is suspected at now: 1 a new window, 0 its event's own window goes on (longer) or has lately been closed, -1
 * there is none free. */
int otr_recorder_trigger(otr_recorder *r, uint32_t event_seq, int64_t t0_us, int64_t now_us);

/* The pulse of the event has been captured: its state is due. Nothing happens without a window of the event. */
void otr_recorder_pulse(otr_recorder *r, uint32_t event_seq, int64_t now_us);

/* The supply fails: all that has not been handed out of any window is due now. */
void otr_recorder_hurry(otr_recorder *r, int64_t now_us);

/* Nothing more will come: every window ends at now, and its rest is due by now + 1 us. */
void otr_recorder_finish(otr_recorder *r, int64_t now_us);

/* Windows that are open. */
unsigned otr_recorder_windows(const otr_recorder *r);

/* When the next step is due; OTR_NEVER_US without a window. A step that was told is due until it is done. */
int64_t otr_recorder_due(const otr_recorder *r);

/* 1 and the step that is due by now, else 0. Empty slices are passed over. The same step until otr_recorder_done(). */
int otr_recorder_step(otr_recorder *r, int64_t now_us, otr_evidence_step *ret);

/* Items of the slice that otr_recorder_step() told, oldest first; how many, at most max. */
uint32_t otr_recorder_read(const otr_recorder *r, void *ret_items, uint32_t max);

/* The step that was told is saved; on to the next. */
void otr_recorder_done(otr_recorder *r);

/* What a ring holds now. */
otr_cover otr_recorder_covers(const otr_recorder *r, enum otr_recording kind);

/* Rate of the IMU in Hz over its last 10 s, and its source; 0 with fewer than two samples. */
float otr_recorder_imu_rate(const otr_recorder *r, uint8_t *ret_src);

#endif
