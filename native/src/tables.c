/* tables.c: see outrider/tables.h. Compiles a checked blob into the layout of tables_impl.h.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "outrider/tables.h"

#include <math.h>

#include "tables_build.h"

typedef struct {
    uint32_t plain, ranged, slow;
} group_counts;

static int count_groups(const otr_blob *b, group_counts *ret) {
    group_counts n = {0};
    for (uint32_t i = 0; i < b->sigs; i++) {
        otr_blob_sig s;
        int err = otr_blob_sig_at(b, i, &s);
        if (err)
            return err;
        enum otr_sig_class c = otr_blob_sig_class(&s);
        n.plain += c == OTR_CLASS_PLAIN;
        n.ranged += c == OTR_CLASS_RANGED;
        n.slow += c == OTR_CLASS_SLOW;
    }
    *ret = n;
    return OTR_OK;
}

static uint32_t hash_bits(uint32_t messages) {
    uint32_t bits = 4;
    while ((1u << bits) < 2u * messages)
        bits++;
    return bits;
}

/* Both counts (t->msg == NULL) and places the arrays. */
static size_t place(otr_tables *t, otr_arena *a, const otr_blob *b, const group_counts *n) {
    otr_tables l = *t;
    size_t cells = (size_t)1 << hash_bits(b->msgs);
    l.msg = otr_carve(a, b->msgs * sizeof *l.msg);
    l.plain = otr_carve(a, n->plain * sizeof *l.plain);
    l.plain_slot = otr_carve(a, (n->plain + 3u) * sizeof *l.plain_slot);
    l.ranged = otr_carve(a, n->ranged * sizeof *l.ranged);
    l.slow = otr_carve(a, n->slow * sizeof *l.slow);
    l.condition = otr_carve(a, b->conds * sizeof *l.condition);
    l.range = otr_carve(a, b->ranges * sizeof *l.range);
    l.transform = otr_carve(a, b->xforms * sizeof *l.transform);
    l.token = otr_carve(a, b->tokens * sizeof *l.token);
    l.exact = otr_carve(a, cells * sizeof *l.exact);
    l.pgn = otr_carve(a, cells * sizeof *l.pgn);
    l.step = otr_carve(a, b->slots * sizeof *l.step);
    l.max_age_ms = otr_carve(a, b->slots * sizeof *l.max_age_ms);
    l.role = otr_carve(a, b->slots);
    l.slot_flags = otr_carve(a, b->slots);
    *t = l;
    return a->used;
}

size_t otr_tables_size(const uint8_t *blob, size_t len) {
    otr_blob b;
    group_counts n;
    if (otr_blob_open(blob, len, &b) || count_groups(&b, &n))
        return 0;
    otr_tables layout = {0};
    otr_arena arena = {.base = NULL, .used = (sizeof(otr_tables) + 15u) & ~(size_t)15u};
    return place(&layout, &arena, &b, &n);
}

static int build_shared(otr_tables *t, const otr_blob *b) {
    for (uint32_t i = 0; i < b->ranges; i++)
        t->range[i] = (otr_range){otr_load_le64(b->range + 16u * i), otr_load_le64(b->range + 16u * i + 8u)};
    for (uint32_t i = 0; i < b->tokens; i++)
        t->token[i] = (otr_token){otr_load_le64(b->token + 16u * i), otr_load_f64(b->token + 16u * i + 8u)};
    for (uint32_t i = 0; i < b->conds; i++) {
        const uint8_t *p = b->cond + 12u * i;
        otr_condition *c = t->condition + i;
        *c = (otr_condition){.first_range = otr_load_le32(p + 4), .ranges = otr_load_le32(p + 8)};
        if (otr_field_compile(otr_load_le16(p), p[2], p[3], &c->field) || c->first_range > b->ranges ||
            c->ranges > b->ranges - c->first_range)
            return OTR_ERR_INVAL;
    }
    for (uint32_t i = 0; i < b->xforms; i++) {
        const uint8_t *p = b->xform + 12u * i;
        otr_transform *x = t->transform + i;
        *x = (otr_transform){otr_load_le32(p), otr_load_le32(p + 4), otr_load_le32(p + 8)};
        if (x->first > b->tokens || x->count > b->tokens - x->first || !otr_transform_valid(x, t->token))
            return OTR_ERR_INVAL;
    }
    return OTR_OK;
}

static int build_slots(otr_tables *t, const otr_blob *b) {
    for (uint32_t i = 0; i < b->slots; i++) {
        const uint8_t *p = b->slot + 8u * i;
        if (p[0] >= OTR_ROLE_COUNT)
            return OTR_ERR_INVAL;
        t->role[i] = p[0];
        t->slot_flags[i] = p[1];
        t->max_age_ms[i] = otr_load_le32(p + 4);
        t->step[i] = 0.0;
        t->telemetry += p[1] & OTR_SLOT_TELEMETRY;
    }
    return OTR_OK;
}

static otr_plain make_plain(const otr_blob_sig *s, const otr_field *f) {
    return (otr_plain){.factor = s->factor,
                       .offset = s->offset,
                       .sign = s->encoding == OTR_ENC_INT ? (uint64_t)1 << (s->length - 1u) : 0,
                       .left = f->left,
                       .right = f->right,
                       .window = f->window,
                       .order = f->order,
                       .slot = s->slot};
}

static void append_slow(otr_slow *out, const otr_blob_sig *s, const otr_field *f) {
    *out = (otr_slow){.field = *f,
                      .encoding = (uint8_t)s->encoding,
                      .conditions = (uint16_t)s->conditions,
                      .na = (uint16_t)s->na,
                      .run = 1,
                      .first_condition = s->first_condition,
                      .first_na = s->first_na,
                      .transform = s->transform,
                      .slot = s->slot,
                      .sign = s->encoding == OTR_ENC_INT ? (uint64_t)1 << (s->length - 1u) : 0,
                      .factor = s->factor,
                      .offset = s->offset,
                      .low = s->low,
                      .high = s->high};
}

static int append_signal(otr_tables *t, otr_msg *m, const otr_blob_sig *s) {
    otr_field f;
    if (otr_field_compile(s->start, s->length, s->order, &f))
        return OTR_ERR_INVAL;
    enum otr_sig_class c = otr_blob_sig_class(s);
    if (c == OTR_CLASS_SLOW) {
        append_slow(t->slow + m->first_slow + m->slow++, s, &f);
    } else {
        if (c == OTR_CLASS_PLAIN) {
            t->plain_slot[m->first_plain + m->plain] = s->slot;
            t->plain[m->first_plain + m->plain++] = make_plain(s, &f);
        } else {
            t->ranged[m->first_ranged + m->ranged++] = (otr_ranged){make_plain(s, &f), s->low, s->high};
        }
        m->need = f.need > m->need ? f.need : m->need;
        m->wide |= f.window != 0;
    }
    if (!s->transform && s->encoding <= OTR_ENC_INT)
        t->step[s->slot] = fabs(s->factor);
    return OTR_OK;
}

/* Neighbours that name the same conditions are tested once: run counts how many follow. */
static void link_runs(otr_tables *t, const otr_msg *m) {
    otr_slow *s = t->slow + m->first_slow;
    for (unsigned i = m->slow; i-- > 1;)
        if (s[i].first_condition == s[i - 1].first_condition && s[i].conditions == s[i - 1].conditions)
            s[i - 1].run = (uint16_t)(s[i].run + 1u);
}

static void insert(otr_tables *t, uint32_t number) {
    otr_msg *m = t->msg + number;
    uint16_t self = (uint16_t)(number + 1u);
    if (!(m->flags & OTR_MSG_EXTENDED)) {
        m->next = t->standard[m->key];
        t->standard[m->key] = self;
        return;
    }
    otr_hash_cell *cells = m->flags & OTR_MSG_J1939 ? t->pgn : t->exact;
    uint32_t mask = (1u << t->hash_bits) - 1u, at = otr_hash_start(m->key, t->hash_bits);
    while (cells[at].msg && cells[at].key != m->key)
        at = (at + 1u) & mask;
    m->next = (uint16_t)cells[at].msg;
    cells[at] = (otr_hash_cell){m->key, self};
}

static int build_message(otr_tables *t, const otr_blob *b, uint32_t number, otr_msg *next) {
    const uint8_t *p = b->msg + 16u * number;
    uint32_t id = otr_load_le32(p), first = otr_load_le32(p + 8), count = otr_load_le32(p + 12);
    otr_msg *m = t->msg + number;
    *m = *next;
    m->flags = p[4];
    m->bus = p[5];
    m->key = m->flags & OTR_MSG_J1939 ? otr_pgn_key(id) : id;
    if (id > (m->flags & OTR_MSG_EXTENDED ? 0x1FFFFFFFu : 0x7FFu) || count > 65535u || first > b->sigs ||
        count > b->sigs - first || ((m->flags & OTR_MSG_J1939) && !(m->flags & OTR_MSG_EXTENDED)))
        return OTR_ERR_INVAL;
    for (uint32_t i = 0; i < count; i++) {
        otr_blob_sig s;
        if (otr_blob_sig_at(b, first + i, &s) || append_signal(t, m, &s))
            return OTR_ERR_INVAL;
    }
    link_runs(t, m);
    t->has_pgn |= (m->flags & OTR_MSG_J1939) != 0;
    next->first_plain += m->plain;
    next->first_ranged += m->ranged;
    next->first_slow += m->slow;
    return OTR_OK;
}

static uint32_t chain_values(const otr_tables *t, uint32_t head) {
    uint32_t sum = 0;
    for (; head; head = t->msg[head - 1u].next) {
        const otr_msg *m = t->msg + head - 1u;
        sum += (uint32_t)m->plain + m->ranged + m->slow;
    }
    return sum;
}

static void find_max_values(otr_tables *t) {
    uint32_t most = 0, most_exact = 0, most_pgn = 0, n;
    for (uint32_t i = 0; i < 2048; i++)
        most = (n = chain_values(t, t->standard[i])) > most ? n : most;
    for (uint32_t i = 0; i < 1u << t->hash_bits; i++) {
        most_exact = (n = chain_values(t, t->exact[i].msg)) > most_exact ? n : most_exact;
        most_pgn = (n = chain_values(t, t->pgn[i].msg)) > most_pgn ? n : most_pgn;
    }
    t->max_values = most > most_exact + most_pgn ? most : most_exact + most_pgn;
    t->max_values += 4; /* the fast loops write whole fours */
}

static uint64_t fnv1a(const uint8_t *data, size_t len) {
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ data[i]) * 0x100000001B3u;
    return h;
}

/* Messages may share signals only by copying them, so that the groups fit what was counted. */
static int signals_disjoint(const otr_blob *b) {
    uint32_t expected = 0;
    for (uint32_t i = 0; i < b->msgs; i++) {
        if (otr_load_le32(b->msg + 16u * i + 8u) != expected)
            return 0;
        uint32_t count = otr_load_le32(b->msg + 16u * i + 12u);
        if (count > b->sigs - expected)
            return 0;
        expected += count;
    }
    return expected == b->sigs;
}

int otr_tables_init(void *mem, size_t size, const uint8_t *blob, size_t len, const otr_tables **ret) {
    otr_blob b;
    group_counts n;
    int err = otr_blob_open(blob, len, &b);
    if (!err)
        err = count_groups(&b, &n);
    if (err)
        return err;
    if (!signals_disjoint(&b) || (uintptr_t)mem % 16u)
        return OTR_ERR_INVAL;
    if (size < otr_tables_size(blob, len))
        return OTR_ERR_NOMEM;
    otr_tables *t = mem;
    memset(mem, 0, size);
    otr_arena arena = {.base = mem, .used = (sizeof *t + 15u) & ~(size_t)15u};
    place(t, &arena, &b, &n);
    t->messages = b.msgs;
    t->slots = b.slots;
    t->hash_bits = hash_bits(b.msgs);
    t->hash = fnv1a(blob, len);
    if (build_shared(t, &b) || build_slots(t, &b))
        return OTR_ERR_INVAL;
    otr_msg next = {0};
    for (uint32_t i = 0; i < b.msgs; i++)
        if (build_message(t, &b, i, &next))
            return OTR_ERR_INVAL;
    for (uint32_t i = b.msgs; i-- > 0;) /* backwards, so that chains run in the order of the blob */
        insert(t, i);
    find_max_values(t);
    *ret = t;
    return OTR_OK;
}

uint64_t otr_tables_hash(const otr_tables *t) {
    return t->hash;
}

uint32_t otr_tables_slots(const otr_tables *t) {
    return t->slots;
}

uint32_t otr_tables_telemetry_slots(const otr_tables *t) {
    return t->telemetry;
}

uint32_t otr_tables_max_values(const otr_tables *t) {
    return t->max_values;
}
