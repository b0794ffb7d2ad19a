/* fuzz_tape.c: playing tapes. The first byte chooses: the input as it is, or as the payload of a well-formed block.
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

/* Tables without messages: header and nothing else. */
static size_t empty_tables(uint8_t *blob) {
    memset(blob, 0, OTR_TABLES_HEADER);
    otr_store_le32(blob, OTR_TABLES_MAGIC);
    otr_store_le16(blob + 4, OTR_TABLES_VERSION);
    otr_store_le32(blob + 40, otr_crc32c(0, blob, 0));
    return OTR_TABLES_HEADER;
}

static uint8_t *wrap(const uint8_t *payload, size_t size, uint64_t hash) {
    uint8_t *block = malloc(OTR_TAPE_HEADER + size);
    memset(block, 0, OTR_TAPE_HEADER);
    memcpy(block + OTR_TAPE_HEADER, payload, size);
    otr_store_le32(block, OTR_TAPE_MAGIC);
    otr_store_le16(block + 4, OTR_TAPE_VERSION);
    otr_store_le32(block + 12, (uint32_t)size);
    otr_store_le64(block + 16, hash);
    otr_store_le32(block + 24, otr_crc32c(0, payload, size));
    otr_store_le32(block + 28, otr_crc32c(0, block, 28));
    return block;
}

static void play(otr_engine *e, const uint8_t *tape, size_t size) {
    static uint8_t cells[64 * 512];
    size_t at = 0, used;
    otr_evidence_step step;
    int end;
    while ((end = otr_engine_play(e, tape + at, size - at, &used)) == OTR_RUN_OUTPUT || end == OTR_RUN_EVIDENCE) {
        at += used;
        while (otr_engine_take(e, cells, 64))
            ;
        while (otr_recorder_step(otr_engine_recorder(e), otr_engine_now(e), &step))
            otr_recorder_done(otr_engine_recorder(e));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t blob[OTR_TABLES_HEADER];
    const otr_tables *tables;
    if (!size)
        return 0;
    size_t len = empty_tables(blob), need = otr_tables_size(blob, len);
    void *tables_mem = aligned_alloc(16, need);
    if (otr_tables_init(tables_mem, need, blob, len, &tables))
        abort();
    otr_engine_config cfg;
    otr_engine_config_default(&cfg);
    cfg.frame_inbox = cfg.imu_inbox = 16;
    cfg.output_capacity = 2 * OTR_OUTPUT_RESERVE;
    cfg.recorder_bytes = 65536;
    size_t engine_size = otr_engine_size(&cfg, tables);
    void *mem = aligned_alloc(16, engine_size);
    otr_engine *e;
    if (otr_engine_init(mem, engine_size, &cfg, tables, &e) || otr_engine_output_size(e) > 512)
        abort();
    if (data[0] & 1u) {
        uint8_t *block = wrap(data + 1, size - 1, otr_tables_hash(tables));
        play(e, block, OTR_TAPE_HEADER + size - 1);
        free(block);
    } else {
        play(e, data + 1, size - 1);
    }
    free(mem);
    free(tables_mem);
    return 0;
}
