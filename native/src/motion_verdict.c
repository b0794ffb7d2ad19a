/* motion_verdict.c: how sure, how bad, and what it was. Weights and their status: docs/reference/events.md.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "motion_state.h"

#define STAND_US (5ll * OTR_MO_S)
#define POWER_US (2ll * OTR_MO_S)
#define SPUN 1.7453 /* rad/s: 100 degrees a second */

/* Evidence that is missing adds nothing: it is never a veto. */
double otr_mo_verdict(const otr_motion *m) {
    const otr_mo_crash *c = &m->crash;
    const otr_event *ev = &c->ev;
    double sum = -2, dv = (double)ev->dv_kmh;
    sum += dv >= 8 ? 2.5 : 1.5;
    sum += dv >= 25 ? 2 : 0;
    sum += c->airbag ? 5 : 0;
    sum += c->collapse || c->thrust ? 1.5 : 0;
    sum += (ev->flags & OTR_EVF_STANDSTILL) ? 1 : 0;
    sum += c->power_us != OTR_MO_NEVER && c->power_us - c->t0_us < POWER_US ? 1.5 : 0;
    sum += c->gyro_peak > SPUN ? 0.5 : 0;
    sum += (ev->flags & OTR_EVF_ROLLOVER) ? 3 : 0;
    bool vertical = (double)ev->peak_vert_g > 2 * (double)ev->peak_g;
    sum -= vertical && !c->collapse && !c->thrust && c->v_pre == c->v_pre ? 2 : 0;
    sum -= c->parked ? 1.5 : 0;
    sum -= c->moved ? 3 : 0;
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
    ev->conf = (float)otr_mo_verdict(m);
    ev->v_pre_kmh = (float)(c->v_pre * OTR_MO_KMH);
    ev->v_post_kmh = (float)(c->v_min * OTR_MO_KMH);
    bool stood = c->stand_us != OTR_MO_NEVER && m->now_us - c->stand_us >= STAND_US;
    if (stood && !c->parked && c->v_pre > 1.4)
        ev->flags |= OTR_EVF_STANDSTILL;
}
