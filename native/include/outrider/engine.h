/* outrider/engine.h: inputs merged by time, decoded, fed to the detector; events and snapshots out in order.
 *
 * One engine object per bus set. The caller provides the memory; nothing is allocated, no clock is read, there are no
 * globals. Everything but otr_engine_offer_*() belongs to one owner thread. Each otr_engine_offer_*() may be called
 * by another thread than the owner, but one inbox has one producer: with frame_inboxes > 1 each bus has its own.
 *
 * Order: the oldest waiting item first; at equal times a due tick, then frames (by number of the inbox), fixes, IMU,
 * power. Items older than the engine's time are processed at the engine's time and counted as late; one more than
 * merge_back_us older means that its source's clock jumped back: from then on this source's times are shifted so that
 * they go on at the engine's time (counted as jumps_back), until they catch up by themselves. Times beyond +-2^60 us
 * are refused.
 * An inbox that is full at the start of otr_engine_run() gives up its oldest item even past the watermark (counted as
 * forced), so that a caller that offers, runs and offers the rest always gets on.
 *
 * Steps of the flight recorder that are due at a time come before the inputs and the tick of that time.
 *
 * Ticks fall on whole multiples of 100 ms, starting after the first input; a step of more than 60 s (suspend, a hole
 * in a recording) skips the ticks in between and is counted as a gap. Each whole second makes a snapshot.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#ifndef OUTRIDER_ENGINE_H
#define OUTRIDER_ENGINE_H

#include "outrider/decode.h"
#include "outrider/motion.h"
#include "outrider/recorder.h"

#define OTR_TICK_US 100000
#define OTR_SNAPSHOT_US 1000000
#define OTR_GAP_US 60000000
#define OTR_TIME_MAX ((int64_t)1 << 60)
#define OTR_FRESH_US 1500000 /* how old speed, heading, ... may be when a position on CAN is made into a fix */
#define OTR_FIX_STALE_US 5000000
#define OTR_FIX_LOST_US 3000000
#define OTR_FRAME_INBOXES_MAX 16u
#define OTR_OUTPUT_RESERVE 80u /* most outputs of one input */

typedef struct otr_engine otr_engine;

typedef struct {
    uint32_t output_capacity; /* events and snapshots waiting to be taken; at least 2 * OTR_OUTPUT_RESERVE */
    uint32_t frame_inbox, imu_inbox, fix_inbox, power_inbox;
    uint32_t frame_inboxes;  /* how many inboxes of frame_inbox frames, 1..OTR_FRAME_INBOXES_MAX */
    uint32_t tape_bytes;     /* one block of tape; at least 4096 */
    uint64_t recorder_bytes; /* flight recorder in all, 0 none */
    int64_t merge_back_us;
    otr_motion_config motion;
} otr_engine_config;

void otr_engine_config_default(otr_engine_config *ret);

/* Bytes for an engine, 0 when the configuration is out of range. */
size_t otr_engine_size(const otr_engine_config *cfg, const otr_tables *tables);

/* tables must outlive the engine. mem is 16-byte aligned. OTR_ERR_INVAL, OTR_ERR_NOMEM. */
int otr_engine_init(void *mem, size_t size, const otr_engine_config *cfg, const otr_tables *tables, otr_engine **ret);

/* Any thread, one per inbox: how many were accepted; fewer than n means the inbox is full. */
uint32_t otr_engine_offer_frames(otr_engine *e, const otr_frame *frames, uint32_t n); /* to inbox 0 */
uint32_t otr_engine_offer_frames_to(otr_engine *e, uint32_t inbox, const otr_frame *frames, uint32_t n);
uint32_t otr_engine_offer_fixes(otr_engine *e, const otr_fix *fixes, uint32_t n);
uint32_t otr_engine_offer_imu(otr_engine *e, const otr_sample *samples, uint32_t n);   /* kind OTR_IN_IMU */
uint32_t otr_engine_offer_power(otr_engine *e, const otr_sample *samples, uint32_t n); /* kind OTR_IN_POWER */

/* The producer of a frame inbox: frames that it would accept now; 0 for an inbox that there is not. */
uint32_t otr_engine_frame_room(otr_engine *e, uint32_t inbox);

/* Why run and play returned. */
enum otr_run_end {
    OTR_RUN_DONE = 0,   /* everything up to the watermark is processed; play: everything that was whole */
    OTR_RUN_OUTPUT = 1, /* too little room for outputs: take and call again */
    OTR_RUN_TAPE = 2,   /* the tape block is full: take it and call again */
    OTR_RUN_EVIDENCE =
        3 /* a step of the flight recorder is due: save it (otr_recorder_step), mark it done, call again */
};

/* Processes all items with a time up to and including the watermark, and the ticks due by then.
 * enum otr_run_end, or OTR_ERR_INVAL for an absurd watermark. */
int otr_engine_run(otr_engine *e, int64_t watermark_us);

int64_t otr_engine_now(const otr_engine *e); /* time of the last thing processed; 0 before the first */

/* Outputs in order, each otr_engine_output_size() bytes: u32 kind (enum otr_output_kind), u32 number of values,
 * then otr_event, or otr_vehicle and one double per telemetry slot in slot order (NaN: stale or never seen). */
enum otr_output_kind { OTR_OUT_EVENT = 1, OTR_OUT_SNAPSHOT = 2 };
#define OTR_OUTPUT_HEADER 8u
size_t otr_engine_output_size(const otr_engine *e);
uint32_t otr_engine_take(otr_engine *e, void *ret_outputs, uint32_t max); /* how many were written */

/* 1 when a crash was suspected, updated, confirmed or cancelled among the outputs not yet taken, or when the failing of
 * the supply was not yet asked for. */
int otr_engine_urgent(const otr_engine *e);

typedef struct {
    uint64_t frames, fixes, imu, power, ticks; /* inputs processed */
    uint64_t late, jumps_back, gaps, forced, refused;
    uint64_t samples;            /* handed to the detector */
    uint64_t can_imu_incomplete; /* IMU messages of which a role was missing or invalid */
    uint64_t can_fix_invalid;    /* latitude or longitude outside the globe */
    uint64_t events, snapshots;
    uint64_t evidence, evidence_lost; /* windows opened; crashes that found none free */
    uint64_t supply_failures;         /* times the supply was seen to fail */
    otr_decode_stats decode;
    otr_motion_stats motion;
} otr_engine_stats;
void otr_engine_get_stats(const otr_engine *e, otr_engine_stats *ret);

/* The detector inside, for its mounting, pulse and state. */
otr_motion *otr_engine_motion(otr_engine *e);

/* The flight recorder inside; NULL when recorder_bytes is 0. */
otr_recorder *otr_engine_recorder(otr_engine *e);

/* 1 once each time the supply has begun to fail: a power sample below 0.6 of the usual voltage (below 1 V while none
 * is known). It counts again when it was back above 0.8 of it, and each 10 s while it is below 1 V. */
int otr_engine_supply_fails(otr_engine *e);

/* The next page's counter, above that of the pages of an earlier run. */
void otr_engine_count_pages(otr_engine *e, uint64_t start);

/* Renders the black-box page (outrider/blackbox.h) of this moment; each call counts it up, from start on.
 * boot_id, flags: as they shall stand in it. */
void otr_engine_black_box(otr_engine *e, uint32_t boot_id, uint32_t flags, uint8_t *ret_page);

/* ---- tape (see outrider/tape.h for the format) -------------------------------------------------- */
int otr_engine_tape_start(otr_engine *e); /* before the first input is processed, else OTR_ERR_STATE */
size_t otr_engine_tape_take(otr_engine *e, uint8_t *ret_block, size_t max); /* one block, 0 when empty */
size_t otr_engine_tape_block_max(const otr_engine *e);

/* Feeds whole blocks of a tape past the merge. ret_used: bytes consumed; keep the rest and offer it again with more.
 * enum otr_run_end, OTR_ERR_FORMAT (no tape, other version, other tables), OTR_ERR_CORRUPT. */
int otr_engine_play(otr_engine *e, const uint8_t *data, size_t len, size_t *ret_used);

#endif
