/* tape.c: see outrider/tape.h. The output position within a block is kept, so that playing can pause anywhere.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "engine_impl.h"
#include "outrider/crc32c.h"

typedef struct {
    const uint8_t *p, *end;
} reader;

static uint8_t *begin(otr_engine *e, unsigned type, int late, int64_t t_us) {
    uint8_t *p = e->tape.data + OTR_TAPE_HEADER + e->tape.used;
    p[0] = (uint8_t)type;
    p[1] = (uint8_t)(late != 0);
    otr_store_le64(p + 2, (uint64_t)t_us);
    return p + 10;
}

static void finish(otr_engine *e, const uint8_t *end) {
    e->tape.used = (uint32_t)(end - (e->tape.data + OTR_TAPE_HEADER));
}

void otr_tape_frame(otr_engine *e, const otr_frame *frame, int64_t t_us, int late) {
    uint8_t *p = begin(e, OTR_TAPE_FRAME, late, t_us);
    uint8_t len = frame->len > 64 ? 64 : frame->len;
    otr_store_le32(p, frame->id);
    p[4] = frame->bus;
    p[5] = frame->flags;
    p[6] = frame->len;
    memcpy(p + 7, frame->data, len);
    finish(e, p + 7 + len);
}

void otr_tape_fix(otr_engine *e, const otr_fix *fix, int64_t t_us, int late) {
    const float floats[5] = {fix->alt_m, fix->speed_mps, fix->heading_deg, fix->hacc_m, fix->hdop};
    uint8_t *p = begin(e, OTR_TAPE_FIX, late, t_us);
    otr_store_le64(p, (uint64_t)fix->utc_us);
    otr_store_f64(p + 8, fix->lat_deg);
    otr_store_f64(p + 16, fix->lon_deg);
    for (unsigned i = 0; i < 5; i++)
        otr_store_f32(p + 24 + 4 * i, floats[i]);
    p[44] = fix->flags;
    p[45] = fix->fix_type;
    p[46] = fix->sats;
    p[47] = fix->src;
    finish(e, p + 48);
}

void otr_tape_sample(otr_engine *e, unsigned type, const otr_sample *sample, int64_t t_us, int late) {
    uint8_t *p = begin(e, type, late, t_us);
    unsigned n = type == OTR_TAPE_IMU ? 6 : 2;
    otr_store_le16(p, sample->q);
    p[2] = sample->src;
    p += 3;
    if (type == OTR_TAPE_IMU) {
        otr_store_f32(p, sample->res);
        p += 4;
    }
    for (unsigned i = 0; i < n; i++, p += 4)
        otr_store_f32(p, sample->x[i]);
    finish(e, p);
}

void otr_tape_tick(otr_engine *e, int64_t t_us) {
    uint8_t *p = begin(e, OTR_TAPE_TICK, 0, t_us);
    *p++ = t_us % OTR_SNAPSHOT_US == 0;
    finish(e, p);
}

int otr_engine_tape_start(otr_engine *e) {
    if (e->started)
        return OTR_ERR_STATE;
    e->tape.on = 1;
    return OTR_OK;
}

size_t otr_engine_tape_block_max(const otr_engine *e) {
    return OTR_TAPE_HEADER + e->tape.cap;
}

size_t otr_engine_tape_take(otr_engine *e, uint8_t *ret_block, size_t max) {
    tape_state *t = &e->tape;
    size_t size = OTR_TAPE_HEADER + t->used;
    if (!t->used || max < size)
        return 0;
    uint8_t *h = t->data;
    memset(h, 0, OTR_TAPE_HEADER);
    otr_store_le32(h, OTR_TAPE_MAGIC);
    otr_store_le16(h + 4, OTR_TAPE_VERSION);
    otr_store_le32(h + 8, t->block++);
    otr_store_le32(h + 12, t->used);
    otr_store_le64(h + 16, e->tables->hash);
    otr_store_le32(h + 24, otr_crc32c(0, h + OTR_TAPE_HEADER, t->used));
    otr_store_le32(h + 28, otr_crc32c(0, h, 28));
    memcpy(ret_block, h, size);
    t->used = 0;
    return size;
}

/* ---- playing ------------------------------------------------------------------------------------ */

static int play_frame(otr_engine *e, reader *r, int64_t t_us, int late) {
    if (r->end - r->p < 7 || r->end - r->p < 7 + (r->p[6] > 64 ? 64 : r->p[6]))
        return OTR_ERR_CORRUPT;
    otr_frame f = {.t_us = t_us, .id = otr_load_le32(r->p), .bus = r->p[4], .flags = r->p[5], .len = r->p[6]};
    size_t len = f.len > 64 ? 64 : f.len;
    memcpy(f.data, r->p + 7, len);
    r->p += 7 + len;
    otr_input_frame(e, &f, t_us, late);
    return OTR_OK;
}

static int play_fix(otr_engine *e, reader *r, int64_t t_us, int late) {
    const uint8_t *p = r->p;
    if (r->end - p < 48)
        return OTR_ERR_CORRUPT;
    otr_fix f = {.t_us = t_us,
                 .utc_us = (int64_t)otr_load_le64(p),
                 .lat_deg = otr_load_f64(p + 8),
                 .lon_deg = otr_load_f64(p + 16),
                 .alt_m = otr_load_f32(p + 24),
                 .speed_mps = otr_load_f32(p + 28),
                 .heading_deg = otr_load_f32(p + 32),
                 .hacc_m = otr_load_f32(p + 36),
                 .hdop = otr_load_f32(p + 40),
                 .flags = p[44],
                 .fix_type = p[45],
                 .sats = p[46],
                 .src = p[47]};
    r->p += 48;
    otr_input_fix(e, &f, t_us, late);
    return OTR_OK;
}

static int play_sample(otr_engine *e, reader *r, unsigned type, int64_t t_us, int late) {
    ptrdiff_t size = type == OTR_TAPE_IMU ? 31 : 11;
    if (r->end - r->p < size)
        return OTR_ERR_CORRUPT;
    otr_sample s = {.t_us = t_us, .q = otr_load_le16(r->p), .src = r->p[2]};
    const uint8_t *p = r->p + 3;
    if (type == OTR_TAPE_IMU) {
        s.res = otr_load_f32(p);
        p += 4;
    }
    for (unsigned i = 0; p < r->p + size; i++, p += 4)
        s.x[i] = otr_load_f32(p);
    r->p += size;
    if (type == OTR_TAPE_IMU)
        otr_input_imu(e, &s, t_us, late);
    else
        otr_input_power(e, &s, t_us, late);
    return OTR_OK;
}

static int play_record(otr_engine *e, reader *r) {
    if (r->end - r->p < 10)
        return OTR_ERR_CORRUPT;
    unsigned type = r->p[0];
    int late = r->p[1];
    int64_t t_us = (int64_t)otr_load_le64(r->p + 2);
    if (late > 1 || t_us < -OTR_TIME_MAX || t_us > OTR_TIME_MAX || (e->started && t_us < e->now_us))
        return OTR_ERR_CORRUPT;
    r->p += 10;
    if (type == OTR_TAPE_TICK) {
        if (r->p == r->end || t_us % OTR_TICK_US != 0)
            return OTR_ERR_CORRUPT;
        r->p++;
        otr_advance(e, t_us);
        e->next_tick_us = t_us + OTR_TICK_US;
        otr_input_tick(e, t_us);
        return OTR_OK;
    }
    if (type < OTR_TAPE_FRAME || type > OTR_TAPE_TICK)
        return OTR_ERR_CORRUPT;
    otr_advance(e, t_us);
    e->stats.late += (uint64_t)late;
    switch (type) {
    case OTR_TAPE_FRAME:
        return play_frame(e, r, t_us, late);
    case OTR_TAPE_FIX:
        return play_fix(e, r, t_us, late);
    default:
        return play_sample(e, r, type, t_us, late);
    }
}

/* OTR_OK and the size of the block at data, 0 when it is not whole yet. */
static int block_size(const otr_engine *e, const uint8_t *data, size_t len, size_t *ret) {
    *ret = 0;
    if (len >= 6 && (otr_load_le32(data) != OTR_TAPE_MAGIC || otr_load_le16(data + 4) != OTR_TAPE_VERSION))
        return OTR_ERR_FORMAT;
    if (len < OTR_TAPE_HEADER)
        return OTR_OK;
    size_t payload = otr_load_le32(data + 12);
    if (otr_crc32c(0, data, 28) != otr_load_le32(data + 28) || payload > OTR_TAPE_PAYLOAD_MAX)
        return OTR_ERR_CORRUPT;
    if (otr_load_le64(data + 16) != e->tables->hash)
        return OTR_ERR_FORMAT;
    if (otr_load_le32(data + 8) != e->tape.play_block)
        return OTR_ERR_CORRUPT; /* a block is missing or out of order */
    if (len < OTR_TAPE_HEADER + payload)
        return OTR_OK;
    if (!e->tape.play_at && otr_crc32c(0, data + OTR_TAPE_HEADER, payload) != otr_load_le32(data + 24))
        return OTR_ERR_CORRUPT;
    *ret = OTR_TAPE_HEADER + payload;
    return OTR_OK;
}

int otr_engine_play(otr_engine *e, const uint8_t *data, size_t len, size_t *ret_used) {
    *ret_used = 0;
    while (*ret_used < len) {
        const uint8_t *block = data + *ret_used;
        size_t size;
        int err = block_size(e, block, len - *ret_used, &size);
        if (err || !size)
            return err;
        reader r = {block + OTR_TAPE_HEADER + e->tape.play_at, block + size};
        while (r.p < r.end) {
            e->tape.play_at = (size_t)(r.p - (block + OTR_TAPE_HEADER));
            if (otr_output_tight(e))
                return OTR_RUN_OUTPUT;
            if (otr_tape_full(e))
                return OTR_RUN_TAPE;
            if (r.end - r.p >= 10 && otr_evidence_due(e, (int64_t)otr_load_le64(r.p + 2)))
                return OTR_RUN_EVIDENCE;
            err = play_record(e, &r);
            if (err)
                return err;
        }
        e->tape.play_at = 0;
        e->tape.play_block++;
        *ret_used += size;
    }
    return OTR_RUN_DONE;
}
