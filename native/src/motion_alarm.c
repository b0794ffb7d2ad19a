/* motion_alarm.c: one accident, one number.
 *
 * Several rules may speak about one accident: a restraint bit, a roll, a speed that ended too quickly, and the pulse on
 * the IMU, in any order. Whoever comes first opens the event; the others join it under its seq. A pulse gives the
 * event its kind and its numbers (motion_crash.c); what the others saw stays on it as flags and sources.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "motion_parts.h"

#define SAME_US (10ll * OTR_MO_S) /* an alarm and a pulse this close are one accident */

/* The event that a new alarm or pulse belongs to; false when there is none. It is handed over: an incident of
 * motion_infer.c that was open ends here and says no more of its own. */
bool otr_mo_alarm_join(otr_motion *m, otr_event *ret) {
    if (otr_mo_off(m, OTR_RB_ONE_ACCIDENT))
        return false;
    if (m->infer.open) {
        *ret = m->infer.ev;
        m->infer.open = false;
        m->infer.quiet_us = m->now_us;
        return true;
    }
    *ret = m->alarm.ev;
    bool fresh = m->alarm.ev.seq != 0 && m->now_us - m->alarm.said_us < SAME_US;
    m->alarm.ev.seq = 0;
    return fresh;
}

static void merge(otr_event *ev, const otr_event *before) {
    ev->seq = before->seq;
    ev->flags |= before->flags;
    ev->src_mask |= before->src_mask;
    if (before->t0_us < ev->t0_us) {
        ev->t0_us = before->t0_us;
        ev->v_impact_kmh = before->v_impact_kmh; /* of that time, or unknown */
    }
    if (before->kind == OTR_EV_ROLLOVER)
        ev->kind = OTR_EV_ROLLOVER;
    if (before->v_pre_kmh > ev->v_pre_kmh || !(ev->v_pre_kmh == ev->v_pre_kmh))
        ev->v_pre_kmh = before->v_pre_kmh;
}

/* Says an alarm that is certain by itself: CONFIRMED, or UPDATE of an event that is confirmed already. */
void otr_mo_alarm_say(otr_motion *m, otr_mo_sink *sink, otr_event *ev) {
    if (m->crash.state == OTR_MO_CAPTURE || m->crash.state == OTR_MO_CONFIRM) {
        otr_mo_crash_evidence(m, sink, ev);
        return;
    }
    otr_event before;
    bool more = otr_mo_alarm_join(m, &before), again = more && before.phase != OTR_PH_SUSPECT;
    if (more)
        merge(ev, &before);
    otr_mo_emit(m, sink, ev, again ? OTR_PH_UPDATE : OTR_PH_CONFIRMED);
    m->alarm.ev = *ev;
    m->alarm.said_us = m->now_us;
    m->infer.quiet_us = m->now_us; /* a stop or a silence now belongs to it */
}
