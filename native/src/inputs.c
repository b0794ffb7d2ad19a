/* inputs.c: one input of each kind, at the engine's time.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>

#include "engine_impl.h"

void otr_input_frame(otr_engine *e, const otr_frame *frame, int64_t t_us, int late) {
    if (e->tape.on)
        otr_tape_frame(e, frame, t_us, late);
    const otr_tables *t = e->tables;
    otr_decode_info info;
    uint32_t n = otr_decode_frame(t, frame, e->values, e->slots, &info, &e->stats.decode);
    e->stats.frames++;
    if (!(frame->flags & (OTR_FRAME_ERR | OTR_FRAME_TX)))
        e->traffic = 1;
    if (e->recorder)
        otr_recorder_frame(e->recorder, frame, t_us);
    role_values r;
    r.seen = 0;
    r.not_available = info.not_available_roles & ~1u;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t slot = e->slots[i];
        unsigned role = t->role[slot];
        otr_cell_put(&e->cell[slot], e->values[i], t_us);
        if (role) {
            r.seen |= 1u << role;
            r.value[role] = e->values[i];
            r.step[role] = (float)t->step[slot];
        }
    }
    if (r.seen | r.not_available)
        otr_roles_emit(e, &r, t_us, info.message_flags & OTR_MSG_OBD);
}

void otr_input_fix(otr_engine *e, const otr_fix *fix, int64_t t_us, int late) {
    if (e->tape.on)
        otr_tape_fix(e, fix, t_us, late);
    otr_fix placed = *fix;
    placed.t_us = t_us;
    e->stats.fixes++;
    otr_push_fix(e, &placed);
}

void otr_input_imu(otr_engine *e, const otr_sample *sample, int64_t t_us, int late) {
    if (e->tape.on)
        otr_tape_sample(e, OTR_TAPE_IMU, sample, t_us, late);
    otr_sample s = *sample;
    s.t_us = t_us;
    s.kind = OTR_IN_IMU;
    e->stats.imu++;
    if (e->recorder)
        otr_recorder_imu(e->recorder, &s);
    otr_push_sample(e, &s);
}

void otr_input_power(otr_engine *e, const otr_sample *sample, int64_t t_us, int late) {
    if (e->tape.on)
        otr_tape_sample(e, OTR_TAPE_POWER, sample, t_us, late);
    otr_sample s = *sample;
    s.t_us = t_us;
    s.kind = OTR_IN_POWER;
    e->stats.power++;
    if (e->recorder)
        otr_recorder_input(e->recorder, &s);
    otr_note_supply(e, &s);
    otr_push_sample(e, &s);
}

/* Slots that have changed since the last tick go to the recorder. */
static void record_signals(otr_engine *e, int64_t t_us) {
    for (uint32_t i = 0; i < e->tables->slots; i++)
        if (e->cell[i].count != e->recorded[i]) {
            e->recorded[i] = e->cell[i].count;
            otr_recorder_signal(e->recorder, t_us, i, e->cell[i].value);
        }
}

void otr_input_tick(otr_engine *e, int64_t t_us) {
    if (e->tape.on)
        otr_tape_tick(e, t_us);
    e->stats.ticks++;
    if (e->recorder)
        record_signals(e, t_us);
    otr_sample s = {.t_us = t_us, .kind = OTR_IN_BUS, .q = OTR_Q_VALID, .x = {e->traffic ? 1.0f : 0.0f}};
    otr_push_sample(e, &s);
    e->traffic = 0;
    s = (otr_sample){.t_us = t_us, .kind = OTR_IN_TICK, .q = OTR_Q_VALID};
    otr_push_sample(e, &s);
    otr_note_moment(e, t_us);
    if (t_us % OTR_SNAPSHOT_US == 0)
        otr_emit_snapshot(e, t_us);
}
