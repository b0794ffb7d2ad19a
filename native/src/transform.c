/* transform.c: value maps and postfix programs after raw * factor + offset.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>

#include "tables_impl.h"

static const uint8_t ARITY[OTR_OP_COUNT] = {0, 0, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 2, 2};

static double from_bits(uint64_t bits) {
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static int map_find(const otr_token *map, uint32_t count, double *x) {
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (from_bits(map[mid].op) < *x)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == count || !(from_bits(map[low].op) == *x)) /* a NaN finds nothing */
        return 0;
    *x = map[low].value;
    return 1;
}

static double round_half_even(double x) {
    double down = floor(x), rest = x - down;
    if (rest < 0.5)
        return down;
    if (rest > 0.5)
        return down + 1.0;
    return fmod(down, 2.0) == 0.0 ? down : down + 1.0;
}

static double modulo(double a, double b) {
    double rest = fmod(a, b); /* exact by definition, hence equal on every CPU */
    return rest != 0.0 && (rest < 0.0) != (b < 0.0) ? rest + b : rest;
}

static double unary(uint64_t op, double a) {
    switch (op) {
    case OTR_OP_NEG:
        return -a;
    case OTR_OP_ABS:
        return fabs(a);
    case OTR_OP_FLOOR:
        return floor(a);
    case OTR_OP_CEIL:
        return ceil(a);
    case OTR_OP_ROUND:
        return round_half_even(a);
    default:
        return sqrt(a);
    }
}

static double binary(uint64_t op, double a, double b) {
    switch (op) {
    case OTR_OP_ADD:
        return a + b;
    case OTR_OP_SUB:
        return a - b;
    case OTR_OP_MUL:
        return a * b;
    case OTR_OP_DIV:
        return a / b;
    case OTR_OP_MOD:
        return modulo(a, b);
    case OTR_OP_MIN:
        return b < a ? b : a;
    default:
        return b > a ? b : a;
    }
}

static double run_program(const otr_token *token, uint32_t count, double x) {
    double stack[OTR_STACK_MAX] = {0};
    uint32_t depth = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t op = token[i].op;
        if (op <= OTR_OP_X) {
            stack[depth++] = op == OTR_OP_X ? x : token[i].value;
        } else if (ARITY[op] == 1) {
            stack[depth - 1] = unary(op, stack[depth - 1]);
        } else {
            stack[depth - 2] = binary(op, stack[depth - 2], stack[depth - 1]);
            depth--;
        }
    }
    return stack[0];
}

int otr_transform_apply(const otr_tables *t, const otr_transform *xf, double *x, int *ret_unmapped) {
    const otr_token *token = t->token + xf->first;
    *ret_unmapped = 0;
    if (xf->kind == OTR_XF_MAP) {
        *ret_unmapped = !map_find(token, xf->count, x);
        return !*ret_unmapped && isfinite(*x);
    }
    *x = run_program(token, xf->count, *x);
    return isfinite(*x);
}

static int program_valid(const otr_token *token, uint32_t count) {
    uint32_t depth = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (token[i].op >= OTR_OP_COUNT || depth < ARITY[token[i].op])
            return 0;
        depth = depth - ARITY[token[i].op] + 1u;
        if (depth > OTR_STACK_MAX)
            return 0;
    }
    return depth == 1;
}

int otr_transform_valid(const otr_transform *xf, const otr_token *tokens) {
    const otr_token *token = tokens + xf->first;
    if (xf->kind == OTR_XF_PROGRAM)
        return program_valid(token, xf->count);
    for (uint32_t i = 0; i < xf->count; i++)
        if (!isfinite(from_bits(token[i].op)) || (i && !(from_bits(token[i - 1].op) < from_bits(token[i].op))))
            return 0;
    return xf->kind == OTR_XF_MAP;
}
