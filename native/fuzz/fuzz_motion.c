/* fuzz_motion.c: arbitrary sample streams into the detector, under AddressSanitizer and UndefinedBehaviorSanitizer.
 *
 * Two readings of the input. First byte even: raw otr_sample structs, so that every field takes every value (NaN, inf, times
 * of 2^63). Odd: a compact stream of plausible samples, 6 bytes each, that reaches the deep states: captures, confirmations,
 * alignments, silence. After each the invariants that a caller relies on are checked.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "outrider/motion.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_OUT 8

static void demand(int truth) {
    if (!truth)
        abort();
}

static void check_event(const otr_event *ev) {
    demand(ev->seq > 0 && ev->kind > 0 && ev->phase >= OTR_PH_BEGIN && ev->phase <= OTR_PH_CLOSED);
    demand(ev->conf >= 0 && ev->conf <= 1 && ev->level >= 1 && ev->level <= 3 && ev->clock <= 12);
    demand(!(ev->dv_kmh < 0) && !(ev->peak_g < 0) && ev->rule > 0);
    demand(!(ev->dv_lo_kmh < 0) && !(ev->dv_lo_kmh > ev->dv_kmh) && !(ev->dv_hi_kmh < ev->dv_kmh));
    demand(ev->quality < 2 * OTR_DQ_UNKNOWN_RANGE && ev->evidence < 1u << OTR_EW_TERMS && ev->rsv == 0);
}

static void feed(otr_motion *m, const otr_sample *s) {
    otr_event out[MAX_OUT];
    int n = otr_motion_push(m, s, out, MAX_OUT);
    demand(n >= 0 && n <= MAX_OUT);
    for (int i = 0; i < n; i++)
        check_event(&out[i]);
}

/* kind and source | time step in ms | four signed bytes */
static void feed_compact(otr_motion *m, const uint8_t *p, size_t size) {
    int64_t t = 0;
    for (; size >= 6; p += 6, size -= 6) {
        otr_sample s = {.kind = (uint8_t)(1 + p[0] % 11), .src = (uint8_t)((p[0] >> 4) % 7), .q = OTR_Q_VALID};
        int repeat = s.kind == OTR_IN_IMU ? 1 + (p[1] >> 2) : 1;
        for (int i = 0; i < repeat; i++) {
            t += s.kind == OTR_IN_IMU ? 10000 : p[1] * 4000;
            s.t_us = t;
            s.res = s.kind == OTR_IN_GNSS ? 7.0f : 0.28f;
            for (int k = 0; k < 4; k++)
                s.x[k] = (float)(int8_t)p[2 + k] * (s.kind == OTR_IN_IMU ? 1.5f : 0.5f);
            if (s.kind == OTR_IN_IMU)
                s.x[2] += 9.8f;
            feed(m, &s);
        }
    }
}

static void feed_raw(otr_motion *m, const uint8_t *p, size_t size) {
    for (; size >= sizeof(otr_sample); p += sizeof(otr_sample), size -= sizeof(otr_sample)) {
        otr_sample s;
        memcpy(&s, p, sizeof s);
        feed(m, &s);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static _Alignas(16) unsigned char mem[65536];
    otr_motion_config cfg;
    otr_motion *m = NULL;
    if (size < 2)
        return 0;
    otr_motion_config_default(&cfg);
    cfg.imu_range_g = (float)(data[1] & 31);
    demand(otr_motion_init(mem, sizeof mem, &cfg, &m) == OTR_OK);
    otr_mount mount = {{0, 0, 1}, {1, 0, 0}, 0.9f, 100};
    if (data[1] & 64)
        demand(otr_motion_set_mount(m, &mount) == OTR_OK);
    if (data[0] & 1)
        feed_compact(m, data + 2, size - 2);
    else
        feed_raw(m, data + 2, size - 2);
    otr_vehicle v;
    float along[31], across[31];
    otr_motion_vehicle(m, &v);
    otr_motion_get_mount(m, &mount);
    demand(v.mount <= 2 && v.motion <= 2 && v.distance_m >= 0);
    int n = otr_motion_pulse(m, along, across, 31);
    demand(n >= 0 && n <= 31);
    return 0;
}
