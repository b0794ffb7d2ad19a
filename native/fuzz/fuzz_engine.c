/* fuzz_engine.c: a tables blob, then inputs for the engine made of it: decode, merge, roles, detector, recorder, tape.
 *
 * Input: counts of the sections, their contents (the header is made here, so that the checksum fits), then inputs.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "../src/bytes.h"
#include "outrider/crc32c.h"
#include "outrider/engine.h"
#include "outrider/tape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
    const uint8_t *p;
    size_t left;
} input;

static void eat(input *in, void *to, size_t n) {
    size_t have = in->left < n ? in->left : n;
    memset(to, 0, n);
    memcpy(to, in->p, have);
    in->p += have;
    in->left -= have;
}

/* Most random bytes are no valid tables: bring the fields that are checked into range, unless told not to. */
static void tame(uint8_t *blob, const uint32_t n[7]) {
    uint8_t *p = blob + OTR_TABLES_HEADER;
    uint32_t first = 0;
    for (uint32_t i = 0; i < n[0]; i++, p += 16) {
        uint32_t count = i + 1 == n[0] ? n[1] - first : otr_load_le32(p + 12) % (n[1] - first + 1u);
        otr_store_le32(p, otr_load_le32(p) & (p[4] & OTR_MSG_EXTENDED ? 0x1FFFFFFFu : 0x7u));
        p[4] &= p[4] & OTR_MSG_EXTENDED ? 0xFFu : (uint8_t)~OTR_MSG_J1939;
        otr_store_le32(p + 8, first);
        otr_store_le32(p + 12, count);
        first += count;
    }
    for (uint32_t i = 0; i < n[1]; i++, p += 64) {
        otr_store_le32(p, n[6] ? otr_load_le32(p) % n[6] : 0);
        p[8] &= 3u;
        p[6] = p[8] == OTR_ENC_FLOAT64 ? 64 : p[8] == OTR_ENC_FLOAT32 ? 32 : (uint8_t)(1u + p[6] % 64u);
        otr_store_le16(p + 4, otr_load_le16(p + 4) % (p[5] & 64u ? 448u : 16u));
        p[7] &= 1u;
        otr_store_le32(p + 48, 0);
        otr_store_le32(p + 52, 0);
        otr_store_le16(p + 10, (uint16_t)(n[2] ? otr_load_le16(p + 10) % (n[2] + 1u) : 0));
        otr_store_le16(p + 12, (uint16_t)(n[3] ? otr_load_le16(p + 12) % (n[3] + 1u) : 0));
        otr_store_le32(p + 56, n[4] ? otr_load_le32(p + 56) % (n[4] + 1u) : 0);
        for (unsigned k = 16; k < 48; k += 8)
            otr_store_f64(p + k, (double)(int32_t)otr_load_le32(p + k) / 64.0);
    }
    for (uint32_t i = 0; i < n[2]; i++, p += 12) {
        otr_store_le16(p, otr_load_le16(p) % 64u);
        p[2] = (uint8_t)(1u + p[2] % 8u);
        p[3] &= 1u;
        otr_store_le32(p + 4, 0);
        otr_store_le32(p + 8, n[3]);
    }
    p += 16u * n[3] + 12u * n[4] + 16u * n[5];
    for (uint32_t i = 0; i < n[6]; i++, p += 8)
        p[0] %= OTR_ROLE_COUNT;
}

/* A blob of at most 15 items of each kind, its contents from the input. */
static size_t make_blob(input *in, uint8_t *blob, size_t cap) {
    static const uint8_t SIZE[7] = {16, 64, 12, 16, 12, 16, 8};
    uint8_t counts[8];
    uint32_t numbers[7];
    size_t at = OTR_TABLES_HEADER;
    eat(in, counts, sizeof counts);
    memset(blob, 0, OTR_TABLES_HEADER);
    otr_store_le32(blob, OTR_TABLES_MAGIC);
    otr_store_le16(blob + 4, OTR_TABLES_VERSION);
    for (unsigned i = 0; i < 7; i++) {
        uint32_t n = numbers[i] = counts[i] & 15u;
        otr_store_le32(blob + 8 + 4 * i, n);
        if (at + n * SIZE[i] > cap)
            return 0;
        eat(in, blob + at, n * SIZE[i]);
        at += n * SIZE[i];
    }
    if (counts[7] & 7u)
        tame(blob, numbers);
    otr_store_le32(blob + 40, otr_crc32c(0, blob + OTR_TABLES_HEADER, at - OTR_TABLES_HEADER));
    return at;
}

static void drain(otr_engine *e) {
    static uint8_t cells[4 * 8192];
    size_t cell = otr_engine_output_size(e);
    while (cell <= sizeof cells && otr_engine_take(e, cells, (uint32_t)(sizeof cells / cell)))
        ;
}

/* Saves what is due, and checks that it is whole and of the window. */
static void save_evidence(otr_engine *e, int64_t now) {
    otr_recorder *r = otr_engine_recorder(e);
    otr_evidence_step step;
    while (otr_recorder_step(r, now, &step)) {
        if (step.what == OTR_STEP_SLICE) {
            size_t item = otr_recorder_item((enum otr_recording)step.kind);
            uint8_t *items = malloc(item * step.count);
            if (!step.count || otr_recorder_read(r, items, step.count) != step.count)
                abort();
            int64_t first, last;
            memcpy(&first, items, sizeof first);
            memcpy(&last, items + item * (step.count - 1u), sizeof last);
            if (first != step.first_us || last != step.last_us || first > last)
                abort();
            free(items);
        }
        otr_recorder_done(r);
    }
}

static int64_t small_time(input *in, int64_t *clock) {
    int16_t step;
    eat(in, &step, sizeof step);
    *clock += (int64_t)step * 997;
    return *clock;
}

static void feed(otr_engine *e, input *in, int64_t *clock, uint8_t what) {
    otr_frame f;
    otr_fix x;
    otr_sample s;
    switch (what & 7u) {
    case 0:
        eat(in, &x, sizeof x);
        x.t_us = small_time(in, clock);
        otr_engine_offer_fixes(e, &x, 1);
        break;
    case 1:
    case 2:
        eat(in, &s, sizeof s);
        s.t_us = small_time(in, clock);
        if (what & 1u)
            otr_engine_offer_imu(e, &s, 1);
        else
            otr_engine_offer_power(e, &s, 1);
        break;
    case 3:
        eat(in, &f, sizeof f); /* with its own, possibly absurd time */
        otr_engine_offer_frames(e, &f, 1);
        break;
    default:
        memset(&f, 0, sizeof f);
        eat(in, &f.id, 4);
        eat(in, f.data, 8);
        f.flags = what >> 3;
        f.len = (uint8_t)(what & 4u ? 8 : f.data[0] & 63);
        f.id &= f.flags & OTR_FRAME_EFF ? 0x1FFFFFFFu : 0x7u;
        f.t_us = small_time(in, clock);
        otr_engine_offer_frames(e, &f, 1);
    }
}

static void drive(otr_engine *e, input *in) {
    static uint8_t block[OTR_TAPE_HEADER + 4096];
    int64_t clock = 0;
    while (in->left) {
        uint8_t what;
        eat(in, &what, 1);
        feed(e, in, &clock, what);
        while (otr_engine_run(e, clock) > 0) {
            drain(e);
            save_evidence(e, otr_engine_now(e));
            otr_engine_tape_take(e, block, sizeof block);
        }
    }
    while (otr_engine_run(e, clock + 20000000) > 0) {
        drain(e);
        save_evidence(e, otr_engine_now(e));
        otr_engine_tape_take(e, block, sizeof block);
    }
    drain(e);
    uint8_t page[4096];
    otr_engine_black_box(e, 1, 0, page);
    otr_recorder_finish(otr_engine_recorder(e), otr_engine_now(e));
    save_evidence(e, otr_engine_now(e) + 1);
    if (otr_recorder_windows(otr_engine_recorder(e)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t blob[8192];
    input in = {data, size};
    size_t len = make_blob(&in, blob, sizeof blob), need = otr_tables_size(blob, len);
    if (!len || !need)
        return 0;
    void *tables_mem = aligned_alloc(16, need);
    const otr_tables *tables;
    if (!otr_tables_init(tables_mem, need, blob, len, &tables)) {
        otr_engine_config cfg;
        otr_engine_config_default(&cfg);
        cfg.frame_inbox = cfg.imu_inbox = cfg.fix_inbox = cfg.power_inbox = 16;
        cfg.output_capacity = 2 * OTR_OUTPUT_RESERVE;
        cfg.recorder_bytes = 65536;
        cfg.tape_bytes = 4096;
        size_t engine_size = otr_engine_size(&cfg, tables);
        void *mem = aligned_alloc(16, engine_size);
        otr_engine *e;
        if (!otr_engine_init(mem, engine_size, &cfg, tables, &e)) {
            otr_engine_tape_start(e);
            drive(e, &in);
        }
        free(mem);
    }
    free(tables_mem);
    return 0;
}
