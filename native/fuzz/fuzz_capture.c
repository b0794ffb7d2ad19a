/* fuzz_capture.c: datagrams and stamps as a socket could give them.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "outrider/capture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void frame(const uint8_t *data, size_t size, unsigned origin) {
    uint8_t *exact = malloc(size ? size : 1); /* so that reading one byte too far is seen */
    if (size)
        memcpy(exact, data, size);
    otr_frame f;
    if (otr_capture_frame(exact, size, origin, &f) == OTR_OK && (f.len > 64 || f.id > 0x1FFFFFFFu || f.rsv))
        abort();
    free(exact);
}

/* Batches of up to 8 stamps, each after a time of the input's choice. */
static void stamps(const uint8_t *data, size_t size) {
    otr_bus_clock c;
    otr_clock_watch w;
    memset(&c, 0, sizeof c);
    memset(&w, 0, sizeof w);
    int64_t boot_us = 0, last_us = 0;
    otr_stamp batch[8];
    int64_t times[8];
    for (size_t at = 0; at + sizeof batch + 4 <= size; at += sizeof batch + 4) {
        uint32_t step;
        memcpy(&step, data + at, 4);
        memcpy(batch, data + at + 4, sizeof batch);
        boot_us += step >> 1;
        c.doubtful |= otr_clock_note(&w, boot_us, boot_us + (batch[0].software_us & 0xFFFFF), 0);
        otr_stamp_batch(&c, batch, 1 + step % 8, boot_us, w.offset_us, times);
        for (uint32_t i = 0; i < 1 + step % 8; i++) {
            if (times[i] < last_us || times[i] > boot_us)
                abort();
            last_us = times[i];
        }
        c.doubtful = (int)(step & 1u);
        c.drained_us = boot_us;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size)
        return 0;
    frame(data + 1, size - 1, data[0] & 3u);
    stamps(data + 1, size - 1);
    return 0;
}
