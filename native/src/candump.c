/* candump.c: see outrider/candump.h.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "outrider/candump.h"

#include "bytes.h"

#define SECONDS_MAX 9000000000000LL

/* value of a hex digit + 1, 0 for anything else */
static const uint8_t HEX[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
    ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

typedef struct {
    const char *p, *end;
} cursor;

static inline unsigned hex_at(const char *p) {
    return HEX[(uint8_t)*p];
}

static inline unsigned digit_at(const char *p) {
    return (unsigned)((uint8_t)*p - (uint8_t)'0');
}

static int parse_time(cursor *c, int64_t *ret) {
    if (c->p == c->end || *c->p++ != '(')
        return 0;
    int64_t seconds = 0, micros = 0;
    const char *start = c->p;
    while (c->p < c->end && digit_at(c->p) <= 9 && seconds < SECONDS_MAX / 10)
        seconds = seconds * 10 + (int64_t)digit_at(c->p++);
    if (c->p == start || c->p == c->end)
        return 0;
    if (*c->p == '.') {
        int64_t unit = 100000;
        for (c->p++; c->p < c->end && digit_at(c->p) <= 9; c->p++, unit /= 10)
            micros += (int64_t)digit_at(c->p) * unit;
    }
    if (c->p == c->end || *c->p++ != ')')
        return 0;
    *ret = seconds * 1000000 + micros;
    return 1;
}

static int find_bus(otr_candump *s, const char *name, size_t len, uint8_t *ret) {
    for (uint32_t i = 0; i < s->buses; i++)
        if (!memcmp(s->bus[i], name, len) && !s->bus[i][len]) {
            *ret = (uint8_t)i;
            return 1;
        }
    if (s->buses == OTR_CANDUMP_BUSES)
        return 0;
    memcpy(s->bus[s->buses], name, len);
    *ret = (uint8_t)s->buses++;
    return 1;
}

static void skip_blanks(cursor *c) {
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\t'))
        c->p++;
}

/* The name is registered only once the whole line is known to be good. */
static int parse_word(cursor *c, const char **ret_word, size_t *ret_len) {
    skip_blanks(c);
    *ret_word = c->p;
    while (c->p < c->end && *c->p != ' ' && *c->p != '\t')
        c->p++;
    *ret_len = (size_t)(c->p - *ret_word);
    skip_blanks(c);
    return *ret_len > 0 && *ret_len < OTR_CANDUMP_NAME;
}

static int parse_id(cursor *c, otr_frame *f) {
    const char *start = c->p;
    uint32_t id = 0;
    unsigned digit;
    while (c->p < c->end && c->p - start < 8 && (digit = hex_at(c->p)) != 0) {
        id = id << 4 | (digit - 1u);
        c->p++;
    }
    ptrdiff_t digits = c->p - start;
    if (digits == 0 || c->p == c->end || *c->p++ != '#')
        return 0;
    if (digits > 3 && id & 0x20000000u) {
        f->flags |= OTR_FRAME_ERR;
        f->id = id & 0x1FFFFFFFu;
        return 1;
    }
    if (digits > 3)
        f->flags |= OTR_FRAME_EFF;
    f->id = id;
    return id <= (digits > 3 ? 0x1FFFFFFFu : 0x7FFu);
}

static int parse_data(cursor *c, otr_frame *f, unsigned max) {
    unsigned len = 0;
    while (c->end - c->p >= 2) {
        unsigned high = hex_at(c->p), low = hex_at(c->p + 1);
        if (!high || !low) {
            if (*c->p != '.' || !len) /* candump writes bytes apart with dots on request */
                break;
            c->p++;
            continue;
        }
        if (len == max)
            return 0;
        f->data[len++] = (uint8_t)((high - 1u) << 4 | (low - 1u));
        c->p += 2;
    }
    f->len = (uint8_t)len;
    return 1;
}

static int parse_body(cursor *c, otr_frame *f) {
    if (c->p < c->end && *c->p == '#') {
        unsigned flags = ++c->p < c->end ? hex_at(c->p) : 0;
        if (!flags)
            return 0;
        c->p++;
        flags--;
        f->flags |= (uint8_t)(OTR_FRAME_FD | (flags & 1u ? OTR_FRAME_BRS : 0u) | (flags & 2u ? OTR_FRAME_ESI : 0u));
        return parse_data(c, f, 64);
    }
    if (c->p < c->end && (*c->p == 'R' || *c->p == 'r')) {
        c->p++;
        f->flags |= OTR_FRAME_RTR;
        if (c->p < c->end && digit_at(c->p) <= 8)
            f->len = (uint8_t)digit_at(c->p++);
        return 1;
    }
    return parse_data(c, f, 8);
}

static int parse_line(otr_candump *s, cursor *c, otr_frame *f) {
    const char *name;
    size_t name_len;
    memset(f, 0, sizeof *f);
    if (!parse_time(c, &f->t_us) || !parse_word(c, &name, &name_len) || !parse_id(c, f) || !parse_body(c, f))
        return 0;
    if (c->p < c->end && *c->p == '_') /* raw DLC of a classic frame, e.g. 123#1122334455667788_E */
        c->p += c->end - c->p < 2 ? 1 : 2;
    if (c->p < c->end && *c->p != ' ' && *c->p != '\t')
        return 0;
    skip_blanks(c);
    if (c->p < c->end && *c->p == 'T')
        f->flags |= OTR_FRAME_TX;
    return find_bus(s, name, name_len, &f->bus);
}

static void count_bad(otr_candump *s) {
    if (!s->bad_lines++)
        s->first_bad_line = s->lines;
}

uint32_t otr_candump_parse(otr_candump *state, const char *text, size_t len, int final, otr_frame *frames, uint32_t cap,
                           size_t *ret_used) {
    const char *p = text, *end = text + len;
    uint32_t n = 0;
    while (p < end && n < cap) {
        const char *feed = memchr(p, '\n', (size_t)(end - p));
        if (!feed && !final)
            break;
        const char *stop = feed ? feed : end;
        cursor c = {p, stop > p && stop[-1] == '\r' ? stop - 1 : stop};
        state->lines++;
        if (c.p < c.end && *c.p != '#' && *c.p != ';') {
            if (parse_line(state, &c, frames + n))
                n++;
            else
                count_bad(state);
        }
        p = feed ? feed + 1 : end;
    }
    *ret_used = (size_t)(p - text);
    return n;
}
