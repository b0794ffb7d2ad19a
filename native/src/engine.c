/* engine.c: memory, inboxes, the merge by time and the ticks. See outrider/engine.h.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "engine_impl.h"

void otr_engine_config_default(otr_engine_config *ret) {
    memset(ret, 0, sizeof *ret);
    ret->output_capacity = 512;
    ret->frame_inbox = 16384;
    ret->imu_inbox = 4096;
    ret->fix_inbox = 256;
    ret->power_inbox = 256;
    ret->frame_inboxes = 1;
    ret->tape_bytes = 65536;
    ret->recorder_bytes = 8u << 20;
    ret->merge_back_us = 10000000;
    otr_motion_config_default(&ret->motion);
}

static int config_valid(const otr_engine_config *c) {
    const uint32_t inboxes[KIND_COUNT] = {c->frame_inbox, c->fix_inbox, c->imu_inbox, c->power_inbox};
    for (unsigned i = 0; i < KIND_COUNT; i++)
        if (inboxes[i] < 1 || inboxes[i] > 1u << 22)
            return 0;
    return c->frame_inboxes >= 1 && c->frame_inboxes <= OTR_FRAME_INBOXES_MAX &&
           c->output_capacity >= 2 * OTR_OUTPUT_RESERVE && c->output_capacity <= 1u << 20 && c->tape_bytes >= 4096 &&
           c->tape_bytes <= OTR_TAPE_PAYLOAD_MAX && c->merge_back_us >= 0 && c->merge_back_us <= OTR_TIME_MAX &&
           (c->recorder_bytes == 0 || (c->recorder_bytes >= 65536u && c->recorder_bytes <= (uint64_t)1 << 31));
}

static size_t output_size(const otr_tables *t) {
    size_t snapshot = sizeof(otr_vehicle) + sizeof(double) * t->telemetry;
    return OTR_OUTPUT_HEADER + (snapshot > sizeof(otr_event) ? snapshot : sizeof(otr_event));
}

/* Pieces of the engine's memory; with a NULL arena base only counted. */
typedef struct {
    uint8_t *motion, *recorder, *inbox[INBOXES_MAX], *out, *tape;
    otr_cell *cell;
    double *values;
    uint32_t *slots;
    uint64_t *recorded;
    uint32_t inbox_cells[INBOXES_MAX], inbox_item[INBOXES_MAX];
} pieces;

static const uint32_t ITEM[KIND_COUNT] = {sizeof(otr_frame), sizeof(otr_fix), sizeof(otr_sample), sizeof(otr_sample)};

static pieces carve_all(otr_arena *a, const otr_engine_config *c, const otr_tables *t) {
    const uint32_t wanted[KIND_COUNT] = {c->frame_inbox, c->fix_inbox, c->imu_inbox, c->power_inbox};
    pieces p;
    p.motion = otr_carve(a, otr_motion_size());
    p.recorder = c->recorder_bytes ? otr_carve(a, otr_recorder_size(c->recorder_bytes)) : NULL;
    for (unsigned i = 0; i < c->frame_inboxes + KIND_COUNT - 1u; i++) {
        unsigned kind = i < c->frame_inboxes ? (unsigned)KIND_FRAMES : i - c->frame_inboxes + 1u;
        p.inbox_cells[i] = otr_inbox_capacity(wanted[kind]);
        p.inbox_item[i] = ITEM[kind];
        p.inbox[i] = otr_carve(a, (size_t)p.inbox_cells[i] * ITEM[kind]);
    }
    p.out = otr_carve(a, (size_t)c->output_capacity * output_size(t));
    p.tape = otr_carve(a, OTR_TAPE_HEADER + c->tape_bytes);
    p.cell = otr_carve(a, t->slots * sizeof *p.cell);
    p.recorded = otr_carve(a, t->slots * sizeof *p.recorded);
    p.values = otr_carve(a, t->max_values * sizeof *p.values);
    p.slots = otr_carve(a, t->max_values * sizeof *p.slots);
    return p;
}

size_t otr_engine_size(const otr_engine_config *cfg, const otr_tables *tables) {
    if (!config_valid(cfg))
        return 0;
    otr_arena a = {.base = NULL, .used = 0};
    otr_carve(&a, sizeof(otr_engine));
    carve_all(&a, cfg, tables);
    return a.used;
}

static void set_up(otr_engine *e, const otr_engine_config *cfg, const pieces *p) {
    e->frame_inboxes = cfg->frame_inboxes;
    e->inboxes = cfg->frame_inboxes + KIND_COUNT - 1u;
    for (unsigned i = 0; i < e->inboxes; i++) {
        e->inbox[i].cells = p->inbox[i];
        e->inbox[i].item = p->inbox_item[i];
        e->inbox[i].mask = p->inbox_cells[i] - 1u;
    }
    e->out = (output_queue){.cells = p->out, .cell = output_size(e->tables), .capacity = cfg->output_capacity};
    e->tape = (tape_state){.data = p->tape, .cap = cfg->tape_bytes};
    e->merge_back_us = cfg->merge_back_us;
    e->cell = p->cell;
    e->recorded = p->recorded;
    e->values = p->values;
    e->slots = p->slots;
    memset(p->cell, 0, e->tables->slots * sizeof *p->cell);
    memset(p->recorded, 0, e->tables->slots * sizeof *p->recorded);
}

int otr_engine_init(void *mem, size_t size, const otr_engine_config *cfg, const otr_tables *tables, otr_engine **ret) {
    if (!config_valid(cfg) || (uintptr_t)mem % 16u)
        return OTR_ERR_INVAL;
    if (size < otr_engine_size(cfg, tables))
        return OTR_ERR_NOMEM;
    otr_arena a = {.base = mem, .used = 0};
    otr_engine *e = otr_carve(&a, sizeof *e);
    memset(e, 0, sizeof *e);
    e->tables = tables;
    pieces p = carve_all(&a, cfg, tables);
    set_up(e, cfg, &p);
    int err = otr_motion_init(p.motion, otr_motion_size(), &cfg->motion, &e->motion);
    if (!err && p.recorder)
        err = otr_recorder_init(p.recorder, otr_recorder_size(cfg->recorder_bytes), cfg->recorder_bytes, &e->recorder);
    if (err)
        return err;
    *ret = e;
    return OTR_OK;
}

uint32_t otr_engine_offer_frames(otr_engine *e, const otr_frame *frames, uint32_t n) {
    return otr_inbox_put(&e->inbox[0], frames, n);
}

uint32_t otr_engine_offer_frames_to(otr_engine *e, uint32_t inbox, const otr_frame *frames, uint32_t n) {
    return inbox < e->frame_inboxes ? otr_inbox_put(&e->inbox[inbox], frames, n) : 0;
}

uint32_t otr_engine_frame_room(otr_engine *e, uint32_t inbox) {
    return inbox < e->frame_inboxes ? otr_inbox_room(&e->inbox[inbox]) : 0;
}

uint32_t otr_engine_offer_fixes(otr_engine *e, const otr_fix *fixes, uint32_t n) {
    return otr_inbox_put(otr_inbox_of(e, KIND_FIXES), fixes, n);
}

uint32_t otr_engine_offer_imu(otr_engine *e, const otr_sample *samples, uint32_t n) {
    return otr_inbox_put(otr_inbox_of(e, KIND_IMU), samples, n);
}

uint32_t otr_engine_offer_power(otr_engine *e, const otr_sample *samples, uint32_t n) {
    return otr_inbox_put(otr_inbox_of(e, KIND_POWER), samples, n);
}

int64_t otr_engine_now(const otr_engine *e) {
    return e->now_us;
}

otr_motion *otr_engine_motion(otr_engine *e) {
    return e->motion;
}

otr_recorder *otr_engine_recorder(otr_engine *e) {
    return e->recorder;
}

void otr_advance(otr_engine *e, int64_t t_us) {
    e->now_us = t_us;
    if (!e->started) {
        e->started = 1;
        int64_t rest = t_us % OTR_TICK_US;
        e->next_tick_us = t_us - (rest < 0 ? rest + OTR_TICK_US : rest) + OTR_TICK_US;
    }
}

int otr_evidence_due(otr_engine *e, int64_t t_us) {
    int64_t due = e->recorder ? otr_recorder_due(e->recorder) : OTR_NEVER_US;
    if (due == OTR_NEVER_US || due > t_us)
        return 0;
    if (due > e->now_us)
        otr_advance(e, due);
    return 1;
}

static int64_t item_time(const void *item) {
    int64_t t_us;
    memcpy(&t_us, item, sizeof t_us);
    return t_us;
}

static int time_valid(int64_t t_us) {
    return t_us >= -OTR_TIME_MAX && t_us <= OTR_TIME_MAX;
}

/* The engine's time for an item that says t_us, given what its source did before. */
static int64_t placed(const otr_engine *e, const otr_inbox *q, int64_t t_us, int *ret_jump) {
    *ret_jump = 0;
    if (!e->started || t_us >= e->now_us)
        return t_us;
    if (t_us >= e->now_us - e->merge_back_us)
        return e->now_us;
    int64_t shifted = t_us + q->shift_us;
    if (q->shift_us && shifted >= e->now_us - e->merge_back_us)
        return shifted > e->now_us ? shifted : e->now_us;
    *ret_jump = 1;
    return e->now_us;
}

typedef struct {
    int source; /* -1 none */
    int forced;
    int64_t t_us;
} choice;

/* The next item up to the watermark: oldest first, ties in the order of the sources. */
static choice choose(otr_engine *e, int64_t watermark, unsigned full) {
    choice best = {.source = -1};
    for (int i = 0; i < (int)e->inboxes; i++) {
        const void *item = otr_inbox_peek(&e->inbox[i]);
        if (!item)
            continue;
        int64_t raw = item_time(item);
        if (!time_valid(raw)) /* first, so that it is refused at once */
            return (choice){.source = i, .t_us = e->now_us};
        int past = raw > watermark, jump;
        if (past && !(full >> i & 1u))
            continue;
        int64_t t = placed(e, &e->inbox[i], raw, &jump);
        if (best.source < 0 || t < best.t_us)
            best = (choice){.source = i, .t_us = t, .forced = past};
    }
    return best;
}

static void process(otr_engine *e, const choice *c) {
    otr_inbox *q = &e->inbox[c->source];
    const void *item = otr_inbox_peek(q);
    int64_t raw = item_time(item);
    if (!time_valid(raw)) {
        e->stats.refused++;
        otr_inbox_drop(q);
        return;
    }
    int jump, late = e->started && raw < e->now_us;
    int64_t t = placed(e, q, raw, &jump);
    if (jump) {
        q->shift_us = e->now_us - raw;
        e->stats.jumps_back++;
    } else if (!late || raw >= e->now_us - e->merge_back_us) {
        q->shift_us = 0;
    }
    late = late && t == e->now_us;
    e->stats.late += (uint64_t)late;
    e->stats.forced += (uint64_t)c->forced;
    otr_advance(e, t);
    switch (otr_inbox_kind(e, (uint32_t)c->source)) {
    case KIND_FRAMES:
        otr_input_frame(e, item, t, late);
        break;
    case KIND_FIXES:
        otr_input_fix(e, item, t, late);
        break;
    case KIND_IMU:
        otr_input_imu(e, item, t, late);
        break;
    default:
        otr_input_power(e, item, t, late);
        break;
    }
    otr_inbox_drop(q);
}

/* Time of the tick after which nothing else comes before the horizon, past a gap; later than the horizon: none is due. */
static int64_t next_tick(const otr_engine *e, int64_t horizon) {
    if (!e->started)
        return INT64_MAX;
    if (horizon - e->next_tick_us <= OTR_GAP_US)
        return e->next_tick_us;
    int64_t steps = (horizon - e->next_tick_us + OTR_TICK_US - 1) / OTR_TICK_US;
    return e->next_tick_us + steps * OTR_TICK_US;
}

/* 1 when a tick was due by the horizon and has been done. */
static int tick(otr_engine *e, int64_t horizon) {
    int64_t t = next_tick(e, horizon);
    if (e->started && t != e->next_tick_us) {
        e->next_tick_us = t;
        e->stats.gaps++;
    }
    if (t > horizon)
        return 0;
    e->next_tick_us = t + OTR_TICK_US;
    otr_advance(e, t);
    otr_input_tick(e, t);
    return 1;
}

static unsigned full_inboxes(otr_engine *e) {
    unsigned full = 0;
    for (unsigned i = 0; i < e->inboxes; i++)
        full |= (unsigned)(otr_inbox_count(&e->inbox[i]) > e->inbox[i].mask) << i;
    return full;
}

int otr_engine_run(otr_engine *e, int64_t watermark_us) {
    if (!time_valid(watermark_us))
        return OTR_ERR_INVAL;
    unsigned full = full_inboxes(e);
    for (;;) {
        if (otr_output_tight(e))
            return OTR_RUN_OUTPUT;
        if (otr_tape_full(e))
            return OTR_RUN_TAPE;
        choice next = choose(e, watermark_us, full);
        int64_t horizon = next.source < 0 ? watermark_us : next.t_us, tick_us = next_tick(e, horizon);
        if (otr_evidence_due(e, tick_us < horizon ? tick_us : horizon))
            return OTR_RUN_EVIDENCE;
        if (tick(e, horizon))
            continue;
        if (next.source < 0)
            return OTR_RUN_DONE;
        process(e, &next);
        if (next.forced)
            full &= ~(1u << next.source);
    }
}

void otr_engine_get_stats(const otr_engine *e, otr_engine_stats *ret) {
    *ret = e->stats;
    otr_motion_get_stats(e->motion, &ret->motion);
}
