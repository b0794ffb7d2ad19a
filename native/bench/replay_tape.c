/* replay_tape.c: plays a tape and prints a hash of all events and snapshots, to compare builds and processors.
 *
 *     replay_tape TABLES TAPE
 *
 * TABLES is the blob of outrider.engine.pack_tables(), TAPE what Engine.take_tape() gave. Prints one line: FNV-1a 64 of
 * every output cell in order, number of events, number of snapshots.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "outrider/engine.h"

#define OUTPUTS 64

typedef struct {
    uint8_t *data;
    size_t size;
} file;

typedef struct {
    uint64_t hash, events, snapshots;
} digest;

static int read_file(const char *path, file *ret) {
    FILE *f = fopen(path, "rb");
    long size = -1;
    if (f && !fseek(f, 0, SEEK_END) && (size = ftell(f)) >= 0)
        rewind(f);
    uint8_t *data = size < 0 ? NULL : malloc((size_t)size + 1u);
    if (!data || fread(data, 1, (size_t)size, f) != (size_t)size) {
        perror(path);
        free(data);
        if (f)
            fclose(f);
        return -1;
    }
    fclose(f);
    *ret = (file){data, (size_t)size};
    return 0;
}

static void *aligned(size_t size) {
    void *p = aligned_alloc(16, (size + 15u) & ~(size_t)15u);
    if (!p)
        exit(1);
    return p;
}

static void drain(otr_engine *e, uint8_t *outputs, digest *d) {
    size_t cell = otr_engine_output_size(e);
    uint32_t n;
    while ((n = otr_engine_take(e, outputs, OUTPUTS)) > 0) {
        for (size_t i = 0; i < n * cell; i++)
            d->hash = (d->hash ^ outputs[i]) * 0x100000001B3u;
        for (size_t i = 0; i < n; i++) {
            d->events += outputs[i * cell] == OTR_OUT_EVENT;
            d->snapshots += outputs[i * cell] == OTR_OUT_SNAPSHOT;
        }
    }
}

/* What is due of the flight recorder counts as output too. */
static void save(otr_engine *e, digest *d) {
    otr_recorder *r = otr_engine_recorder(e);
    otr_evidence_step step;
    while (r && otr_recorder_step(r, otr_engine_now(e), &step)) {
        size_t size = step.what == OTR_STEP_SLICE ? otr_recorder_item((enum otr_recording)step.kind) * step.count : 0;
        uint8_t *items = aligned(size + 1);
        otr_recorder_read(r, items, step.count);
        for (size_t i = 0; i < size; i++)
            d->hash = (d->hash ^ items[i]) * 0x100000001B3u;
        free(items);
        otr_recorder_done(r);
    }
}

static int play(otr_engine *e, const file *tape, digest *d) {
    uint8_t *outputs = aligned(OUTPUTS * otr_engine_output_size(e));
    size_t at = 0, used;
    int end;
    do {
        end = otr_engine_play(e, tape->data + at, tape->size - at, &used);
        at += used;
        drain(e, outputs, d);
        save(e, d);
    } while (end == OTR_RUN_OUTPUT || end == OTR_RUN_EVIDENCE);
    free(outputs);
    if (end < 0 || at != tape->size)
        return fprintf(stderr, "tape: error %d at byte %zu of %zu\n", end, at, tape->size), -1;
    return 0;
}

int main(int argc, char **argv) {
    file blob, tape;
    if (argc != 3)
        return fprintf(stderr, "usage: replay_tape TABLES TAPE\n"), 2;
    if (read_file(argv[1], &blob) || read_file(argv[2], &tape))
        return 1;
    const otr_tables *tables;
    otr_engine *e;
    size_t size = otr_tables_size(blob.data, blob.size);
    void *tables_mem = aligned(size ? size : 16);
    if (!size || otr_tables_init(tables_mem, size, blob.data, blob.size, &tables))
        return fprintf(stderr, "%s: no tables\n", argv[1]), 1;
    otr_engine_config cfg;
    otr_engine_config_default(&cfg);
    size = otr_engine_size(&cfg, tables);
    void *engine_mem = aligned(size);
    if (otr_engine_init(engine_mem, size, &cfg, tables, &e))
        return 1;
    digest d = {.hash = 0xCBF29CE484222325u};
    int err = play(e, &tape, &d);
    printf("%016" PRIx64 " events %" PRIu64 " snapshots %" PRIu64 "\n", d.hash, d.events, d.snapshots);
    free(engine_mem);
    free(tables_mem);
    free(blob.data);
    free(tape.data);
    return err ? 1 : 0;
}
