/* motion_verdict.c: how sure, how bad, and what it was. Weights and their status: docs/reference/events.md.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "motion_parts.h"

#define STAND_US (5ll * OTR_MO_S)
#define POWER_US (2ll * OTR_MO_S)
#define SPUN 1.7453 /* rad/s: 100 degrees a second */

#define BIAS (-2.0f)
static const float WEIGHTS[OTR_EW_TERMS] = {
    1.5f,  /* DV_LOW */
    2.5f,  /* DV8 */
    2.0f,  /* DV25 */
    5.0f,  /* AIRBAG */
    1.5f,  /* COLLAPSE */
    1.5f,  /* THRUST */
    1.0f,  /* STANDING */
    1.5f,  /* SILENCE */
    0.5f,  /* TURN */
    3.0f,  /* ROLLOVER */
    -2.0f, /* VERTICAL */
    -1.5f, /* PARKED */
    -3.0f  /* TURNED */
};

float otr_motion_weights(float ret_weights[OTR_EW_TERMS]) {
    for (int i = 0; i < OTR_EW_TERMS; i++)
        ret_weights[i] = WEIGHTS[i];
    return BIAS;
}

/* Evidence that is missing adds nothing: it is never a veto. */
static uint32_t evidence_of(const otr_motion *m) {
    const otr_mo_crash *c = &m->crash;
    const otr_event *ev = &c->ev;
    bool vertical = (double)ev->peak_vert_g > 2 * (double)ev->peak_g;
    uint32_t found = ev->dv_kmh >= 8 ? OTR_EW_DV8 : OTR_EW_DV_LOW;
    found |= ev->dv_kmh >= 25 ? OTR_EW_DV25 : 0;
    found |= c->airbag ? OTR_EW_AIRBAG : 0;
    found |= c->collapse ? OTR_EW_COLLAPSE : c->thrust ? OTR_EW_THRUST : 0;
    found |= (ev->flags & OTR_EVF_STANDSTILL) ? OTR_EW_STANDING : 0;
    found |= c->power_us != OTR_MO_NEVER && c->power_us - c->t0_us < POWER_US ? OTR_EW_SILENCE : 0;
    found |= c->gyro_peak > SPUN ? OTR_EW_TURN : 0;
    found |= (ev->flags & OTR_EVF_ROLLOVER) ? OTR_EW_ROLLOVER : 0;
    found |= vertical && !c->collapse && !c->thrust && c->v_pre == c->v_pre ? OTR_EW_VERTICAL : 0;
    found |= c->parked ? OTR_EW_PARKED : 0;
    found |= c->moved ? OTR_EW_TURNED : 0;
    return found & ~m->cfg.evidence_off;
}

static double confidence(uint32_t evidence) {
    double sum = (double)BIAS;
    for (int i = 0; i < OTR_EW_TERMS; i++)
        sum += evidence >> i & 1u ? (double)WEIGHTS[i] : 0;
    return 1 / (1 + otr_mo_exp(-sum));
}

/* Level by the EDR rules: 8 km/h is the recording threshold, 25 the locking one (GB 39732-2020 4.1.1, 4.1.2). */
void otr_mo_classify(otr_motion *m) {
    otr_mo_crash *c = &m->crash;
    otr_event *ev = &c->ev;
    ev->level = (float)ev->dv_kmh < 8 ? 1 : ev->dv_kmh < 25 ? 2 : 3;
    if (ev->asi >= 1.0f && ev->level < 3)
        ev->level++;
    if (c->airbag || (ev->flags & OTR_EVF_ROLLOVER))
        ev->level = 3;
    if (ev->level < c->worst)
        ev->level = c->worst;
    if (c->airbag)
        ev->flags |= OTR_EVF_AIRBAG;
    if (c->v_pre == c->v_pre && m->speed.src != OTR_SRC_NONE)
        ev->src_mask |= (uint16_t)(1u << m->speed.src);
    ev->kind = c->moved ? OTR_EV_DEVICE_MOVED : c->parked ? OTR_EV_PARKED_IMPACT : OTR_EV_CRASH;
    ev->evidence = evidence_of(m);
    ev->conf = (float)confidence(ev->evidence);
    ev->v_pre_kmh = (float)(c->v_pre * OTR_MO_KMH);
    ev->v_post_kmh = (float)(c->v_min * OTR_MO_KMH);
    bool stood = c->stand_us != OTR_MO_NEVER && m->now_us - c->stand_us >= STAND_US;
    if (stood && !c->parked && c->v_pre > 1.4)
        ev->flags |= OTR_EVF_STANDSTILL;
}
