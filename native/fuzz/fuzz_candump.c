/* fuzz_candump.c: candump logs, cut at a place that the first byte chooses, and black-box pages.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "outrider/blackbox.h"
#include "outrider/candump.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(const uint8_t *text, size_t size, uint32_t cap) {
    otr_frame *frames = malloc(cap * sizeof *frames);
    otr_candump state;
    memset(&state, 0, sizeof state);
    size_t at = 0, used = 0;
    do {
        uint32_t n = otr_candump_parse(&state, (const char *)text + at, size - at, 1, frames, cap, &used);
        for (uint32_t i = 0; i < n; i++)
            if (frames[i].len > 64 || frames[i].bus >= OTR_CANDUMP_BUSES || frames[i].id > 0x1FFFFFFFu)
                abort();
        at += used;
    } while (used && at < size);
    if (at != size || state.bad_lines > state.lines)
        abort();
    free(frames);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size)
        return 0;
    uint8_t *exact = malloc(size); /* so that reading one byte too far is seen */
    memcpy(exact, data + 1, size - 1);
    parse(exact, size - 1, 1u + data[0] % 7u);
    if (size > OTR_PAGE_SIZE) {
        otr_black_box box;
        otr_black_box_parse(exact, &box);
    }
    free(exact);
    return 0;
}
