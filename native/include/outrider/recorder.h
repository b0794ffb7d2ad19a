/* outrider/recorder.h: flight recorder: rings of raw frames, IMU samples and signals in RAM, capped in bytes.
 *
 * The memory holds two sets of rings. One records; when a crash is suspected it goes on for OTR_POST_US and is then
 * frozen, while recording continues in the other set. A frozen window stays until it is released. A second crash
 * within the window lengthens it; one that finds no free set is counted as lost. What a ring covers is told, not
 * assumed: when it is too small for the time asked for, the oldest is missing.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#ifndef OUTRIDER_RECORDER_H
#define OUTRIDER_RECORDER_H

#include <stddef.h>

#include "outrider/types.h"

#define OTR_PRE_US 30000000
#define OTR_POST_US 15000000

enum otr_recording { OTR_REC_FRAMES = 0, OTR_REC_IMU = 1, OTR_REC_SIGNALS = 2, OTR_REC_KINDS = 3 };

typedef struct {
    int64_t t_us;
    uint32_t slot;
    uint32_t rsv; /* 0 */
    double value;
} otr_signal_record;
static_assert(sizeof(otr_signal_record) == 24, "otr_signal_record layout");

/* A frozen window. first/last are 0 where count is 0. */
typedef struct {
    int64_t t0_us;
    uint32_t event_seq;
    uint32_t count[OTR_REC_KINDS];
    int64_t first_us[OTR_REC_KINDS], last_us[OTR_REC_KINDS];
} otr_evidence;

typedef struct otr_recorder otr_recorder;

size_t otr_recorder_size(uint64_t bytes);
/* bytes: all rings together, at least 65536. OTR_ERR_INVAL, OTR_ERR_NOMEM. */
int otr_recorder_init(void *mem, size_t size, uint64_t bytes, otr_recorder **ret);

void otr_recorder_frame(otr_recorder *r, const otr_frame *frame, int64_t t_us);
void otr_recorder_imu(otr_recorder *r, const otr_sample *sample);
void otr_recorder_signal(otr_recorder *r, int64_t t_us, uint32_t slot, double value);

/* A crash at t0: 1 a new window is being recorded, 0 it lengthens the running one, -1 lost. */
int otr_recorder_trigger(otr_recorder *r, uint32_t event_seq, int64_t t0_us);

/* Tells the time; 1 when a window has just been frozen. */
int otr_recorder_advance(otr_recorder *r, int64_t now_us);

/* Microseconds between the oldest and newest frame of the running ring. */
int64_t otr_recorder_covers(const otr_recorder *r, enum otr_recording kind);

/* 1 and the window when one is frozen, else 0. */
int otr_recorder_frozen(const otr_recorder *r, otr_evidence *ret);

/* Items of the frozen window, oldest first, as otr_frame, otr_sample or otr_signal_record; returns how many. */
uint32_t otr_recorder_read(const otr_recorder *r, enum otr_recording kind, void *ret_items, uint32_t max);

void otr_recorder_release(otr_recorder *r);

#endif
