/* motion_runner.c: feeds a file of otr_sample structs to the detector and prints a line per event, with a hash of all
 * bits of the events and of the state on the way. Runs the same on any CPU, so that outputs can be compared.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outrider/motion.h"

static uint64_t mix(uint64_t hash, const void *data, size_t size) { /* FNV-1a */
    const unsigned char *p = data;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ p[i]) * 0x100000001b3u;
    return hash;
}

/* The sign and payload of a NaN are not specified by IEEE 754 operations: fold them to one. */
static void fold_nans(float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (x[i] != x[i])
            memset(&x[i], 0xff, sizeof x[i]);
}

static uint64_t mix_event(uint64_t hash, otr_event ev) {
    fold_nans(&ev.conf, 17);
    fold_nans(&ev.hacc_m, 2);
    ev.lat_deg = ev.lon_deg = 0;
    return mix(hash, &ev, sizeof ev);
}

int main(int argc, char **argv) {
    FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
    void *mem = aligned_alloc(16, otr_motion_size());
    otr_motion_config cfg;
    otr_motion *m;
    otr_sample s;
    otr_event out[8];
    uint64_t hash = 0xcbf29ce484222325u;
    otr_motion_config_default(&cfg);
    cfg.imu_range_g = 12;
    if (!file || !mem || otr_motion_init(mem, otr_motion_size(), &cfg, &m) != OTR_OK)
        return 1;
    while (fread(&s, sizeof s, 1, file) == 1) {
        int n = otr_motion_push(m, &s, out, 8);
        for (int i = 0; i < n; i++) {
            hash = mix_event(hash, out[i]);
            printf("kind=%d phase=%d t0=%" PRId64 " dv=%a conf=%a hash=%016" PRIx64 "\n", out[i].kind, out[i].phase,
                   out[i].t0_us, (double)out[i].dv_kmh, (double)out[i].conf, hash);
        }
        if (s.kind == OTR_IN_TICK) {
            otr_mount mount;
            otr_motion_get_mount(m, &mount);
            hash = mix(hash, &mount, sizeof mount);
        }
    }
    otr_vehicle v;
    memset(&v, 0, sizeof v);
    otr_motion_vehicle(m, &v);
    printf("distance=%a rho=%a mount=%d hash=%016" PRIx64 "\n", v.distance_m, (double)v.align_rho, v.mount, hash);
    fclose(file);
    free(mem);
    return 0;
}
