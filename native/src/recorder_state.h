/* recorder_state.h: the recorder's memory, private to native/src/recorder*.c.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#ifndef OTR_RECORDER_STATE_H
#define OTR_RECORDER_STATE_H

#include "outrider/recorder.h"
#include "recorder_ring.h"

typedef struct {
    int open;
    uint32_t seq;
    int64_t t0_us, trigger_us, until_us;
    unsigned states;                /* bits 1 << enum otr_step_what that are due */
    uint32_t before;                /* next of the stretches before */
    uint32_t after;                 /* next of the kinds after; 0 with a slice of time not yet begun */
    int64_t after_us;               /* when the next slice of time after the trigger is due */
    int64_t pulse_us;               /* when the pulse was captured */
    int64_t hurry_us;               /* the supply failed then; OTR_NEVER_US it did not */
    uint64_t begin[OTR_REC_KINDS];  /* serials: what comes from here on is after the trigger */
    uint64_t cursor[OTR_REC_KINDS]; /* first that was not handed out after it */
    uint32_t slices[OTR_REC_KINDS];
    otr_cover given[OTR_REC_KINDS];
} otr_rec_window;

struct otr_recorder {
    otr_ring ring[OTR_REC_KINDS];
    otr_rec_window window[OTR_WINDOWS];
    otr_rec_window *told; /* of the step that was told and is not done; NULL none */
    otr_evidence_step step;
    otr_span span; /* of its items */
};

#endif
