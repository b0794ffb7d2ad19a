/* engine_impl.h (private): the engine's state, and what its files call in each other.
 *
 * engine.c merges and keeps time, inputs.c turns inputs into samples, outputs.c queues what comes out, tape.c writes
 * and plays tapes.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#ifndef OUTRIDER_SRC_ENGINE_IMPL_H
#define OUTRIDER_SRC_ENGINE_IMPL_H

#include "inbox.h"
#include "outrider/blackbox.h"
#include "outrider/engine.h"
#include "outrider/store.h"
#include "outrider/tape.h"
#include "tables_impl.h"

#define FIX_RING 64u
#define EVENTS_PER_SAMPLE 8

/* Inboxes in the order of ties: those of frames first, as many as configured, then one of each other kind. */
enum kind { KIND_FRAMES, KIND_FIXES, KIND_IMU, KIND_POWER, KIND_COUNT };
#define INBOXES_MAX (OTR_FRAME_INBOXES_MAX + KIND_COUNT - 1u)

/* What one frame (or the running wheel set) gave for the roles. */
typedef struct {
    double value[OTR_ROLE_COUNT];
    float step[OTR_ROLE_COUNT];
    uint32_t seen, not_available; /* bit per role */
} role_values;

typedef struct {
    uint8_t *cells;
    size_t cell;
    uint32_t capacity, head, count;
    int urgent; /* holds news of a crash */
} output_queue;

typedef struct {
    uint8_t *data; /* header space, then payload */
    uint32_t cap, used, block;
    int on;
    size_t play_at; /* offset within the block that is being played */
    uint32_t play_block;
} tape_state;

struct otr_engine {
    const otr_tables *tables;
    otr_motion *motion;
    otr_recorder *recorder;
    uint32_t frame_inboxes, inboxes;
    otr_inbox inbox[INBOXES_MAX];
    output_queue out;
    tape_state tape;
    int64_t now_us, next_tick_us, merge_back_us;
    int started, traffic; /* traffic: any data frame since the last tick */
    otr_cell *cell;       /* per slot */
    double *values;       /* scratch of one frame */
    uint32_t *slots;
    uint64_t *recorded; /* per slot: count when it last went to the recorder */
    otr_cell role[OTR_ROLE_COUNT];
    float role_step[OTR_ROLE_COUNT];
    float wheel[4];
    int64_t wheel_t_us[4];
    uint32_t wheel_mask;
    otr_fix fixes[FIX_RING];
    uint32_t fix_count; /* ever; the newest is fixes[(fix_count - 1) % FIX_RING] */
    int64_t fix_seen_us, can_fix_us;
    uint8_t fix_type, fix_sats;
    uint32_t last_event, evidence_seq; /* newest event; newest that asked for evidence */
    uint64_t page_counter;
    otr_page_moment moment[OTR_PAGE_MOMENTS];
    uint32_t moments; /* ever; the newest is moment[(moments - 1) % OTR_PAGE_MOMENTS] */
    double acc_sum[3];
    uint32_t acc_count;      /* samples since the last tick */
    uint8_t acc_src;         /* whose, OTR_SRC_NONE nobody's */
    int64_t weak_us;         /* when a suspicion that is no crash by itself last asked for evidence */
    int64_t supply_us;       /* when it was last seen to fail */
    float supply_v;          /* usual voltage, 0 none known */
    int supply_low, alarmed; /* it fails; and nobody asked yet */
    otr_engine_stats stats;
};

/* inputs.c: one input at engine time t_us */
void otr_input_frame(otr_engine *e, const otr_frame *frame, int64_t t_us, int late);
void otr_input_fix(otr_engine *e, const otr_fix *fix, int64_t t_us, int late);
void otr_input_imu(otr_engine *e, const otr_sample *sample, int64_t t_us, int late);
void otr_input_power(otr_engine *e, const otr_sample *sample, int64_t t_us, int late);
void otr_input_tick(otr_engine *e, int64_t t_us);

/* roles.c: what a frame's roles mean for the detector */
void otr_roles_emit(otr_engine *e, const role_values *r, int64_t t_us, unsigned obd);

/* outputs.c */
void otr_push_sample(otr_engine *e, const otr_sample *sample);
void otr_push_fix(otr_engine *e, const otr_fix *fix); /* ring and detector */
void otr_note_moment(otr_engine *e, int64_t t_us);
void otr_emit_snapshot(otr_engine *e, int64_t t_us);

void otr_note_supply(otr_engine *e, const otr_sample *power);

/* tape.c: append one record; room was checked before */
void otr_tape_frame(otr_engine *e, const otr_frame *frame, int64_t t_us, int late);
void otr_tape_fix(otr_engine *e, const otr_fix *fix, int64_t t_us, int late);
void otr_tape_sample(otr_engine *e, unsigned type, const otr_sample *sample, int64_t t_us, int late);
void otr_tape_tick(otr_engine *e, int64_t t_us);
static inline int otr_tape_full(const otr_engine *e) {
    return e->tape.on && e->tape.cap - e->tape.used < OTR_TAPE_RECORD_MAX;
}

static inline unsigned otr_inbox_kind(const otr_engine *e, uint32_t inbox) {
    return inbox < e->frame_inboxes ? (unsigned)KIND_FRAMES : inbox - e->frame_inboxes + 1u;
}
static inline otr_inbox *otr_inbox_of(otr_engine *e, enum kind kind) {
    return &e->inbox[e->frame_inboxes + (uint32_t)kind - 1u];
}

/* engine.c: the time of an input, wherever it comes from */
void otr_advance(otr_engine *e, int64_t t_us);
/* engine.c: 1 when a step of the recorder is due before the input or tick at t_us; the time is then that of the step */
int otr_evidence_due(otr_engine *e, int64_t t_us);
static inline int otr_output_tight(const otr_engine *e) {
    return e->out.capacity - e->out.count < OTR_OUTPUT_RESERVE;
}

#endif
