/* decode.c: see outrider/decode.h. The inner loops of the product: measured by tests/bench/bench_decode.py.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "outrider/decode.h"

#include <math.h>

#include "tables_impl.h"

/* Inlined into each version of the batch loop, so that every version is compiled for its own processor. */
#define HOT static inline __attribute__((always_inline))

typedef struct {
    const otr_tables *t;
    otr_decode_stats *stats;
    otr_decode_info info;
} context;

HOT double scale(const otr_plain *s, uint64_t word) {
    uint64_t x = (word << s->left) >> s->right;
    return (double)(int64_t)((x ^ s->sign) - s->sign) * s->factor + s->offset;
}

HOT uint64_t load_word(const uint8_t *data, unsigned window, unsigned order) {
    uint64_t word = otr_load_le64(data + window);
    return order ? otr_swap64(word) : word;
}

/* Last byte + 1 that the signal touches. */
static unsigned plain_need(const otr_plain *s) {
    unsigned bits = s->order ? s->left + (64u - s->right) : 64u - s->left;
    return s->window + (bits + 7u) / 8u;
}

static uint64_t field_raw(const otr_field *f, const uint8_t *data) {
    if (!f->spill)
        return (load_word(data, f->window, f->order) << f->left) >> f->right;
    uint64_t word = load_word(data, f->window, f->order), ninth = data[f->window + 8u];
    if (f->order)
        return ((word << f->spill) | (ninth >> (8u - f->spill))) >> f->right;
    return (((word >> f->spill) | (ninth << (64u - f->spill))) << f->right) >> f->right;
}

static int in_ranges(const otr_range *range, uint32_t count, uint64_t raw) {
    for (uint32_t i = 0; i < count; i++)
        if (raw >= range[i].low && raw <= range[i].high)
            return 1;
    return 0;
}

/* 1 all hold, 0 one does not, -1 the frame is too short to tell. */
static int conditions_hold(const otr_tables *t, const otr_slow *s, const otr_frame *f) {
    for (uint32_t i = 0; i < s->conditions; i++) {
        const otr_condition *c = t->condition + s->first_condition + i;
        if (f->len < c->field.need)
            return -1;
        if (!in_ranges(t->range + c->first_range, c->ranges, field_raw(&c->field, f->data)))
            return 0;
    }
    return 1;
}

static double raw_to_double(const otr_slow *s, uint64_t raw) {
    if (s->encoding == OTR_ENC_FLOAT32) {
        uint32_t bits = (uint32_t)raw;
        float v;
        memcpy(&v, &bits, sizeof v);
        return (double)v;
    }
    if (s->encoding == OTR_ENC_FLOAT64) {
        double v;
        memcpy(&v, &raw, sizeof v);
        return v;
    }
    return s->encoding == OTR_ENC_INT ? (double)(int64_t)((raw ^ s->sign) - s->sign) : (double)raw;
}

/* 1 and the value, or 0: dropped and counted. */
static int slow_value(context *c, const otr_slow *s, const otr_frame *f, double *ret) {
    if (f->len < s->field.need) {
        c->stats->short_signals++;
        return 0;
    }
    uint64_t raw = field_raw(&s->field, f->data);
    if (s->na && in_ranges(c->t->range + s->first_na, s->na, raw)) {
        c->stats->not_available++;
        c->info.not_available_roles |= 1u << c->t->role[s->slot];
        return 0;
    }
    double x = raw_to_double(s, raw) * s->factor + s->offset;
    if (!isfinite(x)) {
        c->stats->not_finite++;
        return 0;
    }
    if (!(x >= s->low && x <= s->high)) {
        c->stats->out_of_range++;
        return 0;
    }
    int unmapped = 0;
    if (s->transform && !otr_transform_apply(c->t, c->t->transform + s->transform - 1u, &x, &unmapped)) {
        if (unmapped)
            c->stats->unmapped++;
        else
            c->stats->not_finite++;
        return 0;
    }
    *ret = x;
    return 1;
}

static uint32_t decode_slow(context *c, const otr_msg *m, const otr_frame *f, double *values, uint32_t *slots) {
    const otr_slow *s = c->t->slow + m->first_slow, *end = s + m->slow;
    uint32_t w = 0;
    while (s < end) {
        int hold = conditions_hold(c->t, s, f);
        if (hold <= 0) {
            *(hold ? &c->stats->short_signals : &c->stats->absent) += s->run;
            s += s->run;
            continue;
        }
        for (const otr_slow *run_end = s + s->run; s < run_end; s++)
            if (slow_value(c, s, f, values + w))
                slots[w++] = s->slot;
    }
    return w;
}

/* The frame ends before the last plain signal, or signals lie beyond byte 8: look at each. */
static uint32_t decode_careful(context *c, const otr_msg *m, const otr_frame *f, double *values, uint32_t *slots) {
    const otr_plain *p = c->t->plain + m->first_plain;
    const otr_ranged *r = c->t->ranged + m->first_ranged;
    uint32_t w = 0;
    for (unsigned i = 0; i < m->plain; i++, p++) {
        if (f->len < plain_need(p)) {
            c->stats->short_signals++;
            continue;
        }
        values[w] = scale(p, load_word(f->data, p->window, p->order));
        slots[w++] = p->slot;
    }
    for (unsigned i = 0; i < m->ranged; i++, r++) {
        if (f->len < plain_need(&r->plain)) {
            c->stats->short_signals++;
            continue;
        }
        double x = scale(&r->plain, load_word(f->data, r->plain.window, r->plain.order));
        values[w] = x;
        slots[w] = r->plain.slot;
        unsigned inside = x >= r->low && x <= r->high;
        c->stats->out_of_range += 1u - inside;
        w += inside;
    }
    return w;
}

/* Four at a time: up to three more are written than asked for, which otr_tables_max_values() accounts for. */
HOT void copy_slots(uint32_t *to, const uint32_t *from, unsigned n) {
    for (unsigned i = 0; i < n; i += 4)
        memcpy(to + i, from + i, 16);
}

HOT uint32_t decode_fast(context *c, const otr_msg *m, const otr_frame *f, double *values, uint32_t *slots) {
    uint64_t first = otr_load_le64(f->data);
    const uint64_t word[2] = {first, otr_swap64(first)};
    const otr_plain *p = c->t->plain + m->first_plain;
#pragma GCC unroll 4
    for (unsigned i = 0; i < m->plain; i++)
        values[i] = scale(p + i, word[p[i].order]);
    copy_slots(slots, c->t->plain_slot + m->first_plain, m->plain);
    if (m->ranged) {
        const otr_ranged *r = c->t->ranged + m->first_ranged;
        uint32_t w = m->plain;
        for (unsigned i = 0; i < m->ranged; i++, r++) {
            double x = scale(&r->plain, word[r->plain.order]);
            values[w] = x;
            slots[w] = r->plain.slot;
            w += (unsigned)(x >= r->low) & (unsigned)(x <= r->high);
        }
        c->stats->out_of_range += (uint64_t)m->plain + m->ranged - w;
        return w;
    }
    return m->plain;
}

HOT uint32_t decode_msg(context *c, const otr_msg *m, const otr_frame *f, double *values, uint32_t *slots) {
    uint32_t w =
        f->len >= m->need && !m->wide ? decode_fast(c, m, f, values, slots) : decode_careful(c, m, f, values, slots);
    if (m->slow)
        w += decode_slow(c, m, f, values + w, slots + w);
    c->info.message_flags |= m->flags;
    return w;
}

/* Decodes the chain of messages that share an identifier; *ret_hit is set when one is for this bus. */
HOT uint32_t decode_chain(context *c, uint32_t head, const otr_frame *f, double *values, uint32_t *slots,
                          unsigned *ret_hit) {
    uint32_t w = 0;
    while (head) {
        const otr_msg *m = c->t->msg + head - 1u;
        if (m->bus == OTR_BUS_ANY || m->bus == f->bus) {
            *ret_hit = 1;
            w += decode_msg(c, m, f, values + w, slots + w);
        }
        head = m->next;
    }
    return w;
}

HOT int frame_usable(const otr_frame *f, otr_decode_stats *stats) {
    if (f->flags & (OTR_FRAME_RTR | OTR_FRAME_ERR)) {
        stats->not_data++;
        return 0;
    }
    if (f->len > 64 || f->id > (f->flags & OTR_FRAME_EFF ? 0x1FFFFFFFu : 0x7FFu)) {
        stats->malformed++;
        return 0;
    }
    return 1;
}

HOT uint32_t decode_one(context *c, const otr_frame *f, double *values, uint32_t *slots) {
    const otr_tables *t = c->t;
    unsigned hit = 0;
    uint32_t w;
    if (!frame_usable(f, c->stats))
        return 0;
    if (!(f->flags & OTR_FRAME_EFF)) {
        w = decode_chain(c, t->standard[f->id], f, values, slots, &hit);
    } else {
        w = decode_chain(c, otr_hash_find(t->exact, t->hash_bits, f->id), f, values, slots, &hit);
        if (t->has_pgn)
            w += decode_chain(c, otr_hash_find(t->pgn, t->hash_bits, otr_pgn_key(f->id)), f, values + w, slots + w,
                              &hit);
    }
    c->stats->matched += hit;
    c->stats->unknown += 1u - hit;
    return w;
}

uint32_t otr_decode_frame(const otr_tables *t, const otr_frame *frame, double *values, uint32_t *slots,
                          otr_decode_info *ret_info, otr_decode_stats *stats) {
    context c = {.t = t, .stats = stats};
    uint32_t w = decode_one(&c, frame, values, slots);
    stats->frames++;
    stats->values += w;
    *ret_info = c.info;
    return w;
}

HOT uint32_t batch(context *c, const otr_frame *frames, uint32_t n, double *values, uint32_t *slots, uint32_t *starts,
                   uint32_t limit, uint32_t *ret_frames) {
    uint32_t w = 0, i = 0;
    for (; i < n && w <= limit; i++) {
        starts[i] = w;
        w += decode_one(c, frames + i, values + w, slots + w);
    }
    starts[i] = w;
    *ret_frames = i;
    return w;
}

static uint32_t batch_any(context *c, const otr_frame *frames, uint32_t n, double *values, uint32_t *slots,
                          uint32_t *starts, uint32_t limit, uint32_t *ret_frames) {
    return batch(c, frames, n, values, slots, starts, limit, ret_frames);
}

#if defined(__x86_64__) && defined(__GNUC__)
/* The same integer and double operations with the three-operand shifts of BMI2; the results are equal. */
__attribute__((target("bmi2"))) static uint32_t batch_bmi2(context *c, const otr_frame *frames, uint32_t n,
                                                           double *values, uint32_t *slots, uint32_t *starts,
                                                           uint32_t limit, uint32_t *ret_frames) {
    return batch(c, frames, n, values, slots, starts, limit, ret_frames);
}
#define HAS_BMI2() __builtin_cpu_supports("bmi2")
#else
#define batch_bmi2 batch_any
#define HAS_BMI2() 0
#endif

int64_t otr_decode_batch(const otr_tables *t, const otr_frame *frames, uint32_t n, double *values, uint32_t *slots,
                         uint32_t *starts, uint32_t cap, uint32_t *ret_frames, otr_decode_stats *stats) {
    if (cap < t->max_values)
        return OTR_ERR_INVAL;
    otr_decode_stats local = *stats;
    context c = {.t = t, .stats = &local};
    uint32_t limit = cap - t->max_values, done = 0;
    uint32_t w = (HAS_BMI2() ? batch_bmi2 : batch_any)(&c, frames, n, values, slots, starts, limit, &done);
    local.frames += done;
    local.values += w;
    *stats = local;
    *ret_frames = done;
    return (int64_t)w;
}
