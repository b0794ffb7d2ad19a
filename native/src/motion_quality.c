/* motion_quality.c: what was wrong with the data, for the field `quality` of an
 * event.
 *
 * Faults are noted when they are seen and forgotten after REMEMBER_US before
 * the event's begin; what is missing is looked up when an event is said.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "motion_parts.h"

#define REMEMBER_US (30ll * OTR_MO_S)
#define SLOWEST_S 0.025 /* below 40 Hz a sample is too long for a pulse */
#define STOPPED_US 200000
#define FIX_AGE_US (5ll * OTR_MO_S)
#define PRE_US (3ll * OTR_MO_S)

OTR_MO_RARE void otr_mo_quality_note(otr_motion *m, uint32_t flag) {
    for (int i = 0; i < OTR_MO_FAULTS; i++)
        if (flag >> i & 1u)
            m->quality.seen_us[i] = m->now_us;
}

static uint32_t of_imu(const otr_motion *m) {
    const otr_mo_imu *imu = &m->imu;
    if (!imu->count)
        return OTR_DQ_NO_IMU;
    uint32_t found = m->cfg.imu_range_g > 0 ? 0 : OTR_DQ_UNKNOWN_RANGE;
    found |= m->now_us - imu->last_us > STOPPED_US ? OTR_DQ_IMU_STOPPED : 0;
    found |= imu->count > 2 && imu->period_s > SLOWEST_S ? OTR_DQ_LOW_RATE : 0;
    found |= m->align.aligned ? 0 : OTR_DQ_NOT_ALIGNED;
    return found;
}

static uint32_t of_speed(const otr_motion *m, const otr_event *ev) {
    const int64_t *fix = m->kind_us[OTR_IN_GNSS];
    int64_t newest =
        fix[OTR_SRC_GNSS_SERIAL] > fix[OTR_SRC_GNSS_CAN] ? fix[OTR_SRC_GNSS_SERIAL] : fix[OTR_SRC_GNSS_CAN];
    uint32_t found = m->now_us - newest > FIX_AGE_US ? OTR_DQ_NO_GNSS : 0;
    double v = otr_mo_speed_extreme(m, ev->t0_us - PRE_US, m->now_us, true);
    if (!(v == v))
        return found | OTR_DQ_NO_SPEED;
    uint8_t src = m->speed.src;
    return found | (src > OTR_SRC_CAN && src <= OTR_SRC_GNSS_CAN ? OTR_DQ_SPEED_LATE : 0);
}

uint32_t otr_mo_quality_of(const otr_motion *m, const otr_event *ev) {
    uint32_t found = of_imu(m) | of_speed(m, ev);
    int64_t since = ev->t0_us - REMEMBER_US;
    for (int i = 0; i < OTR_MO_FAULTS; i++)
        found |= m->quality.seen_us[i] >= since ? 1u << i : 0;
    if (m->imu.saturated_us >= since)
        found |= OTR_DQ_SATURATED;
    return found;
}

void otr_mo_quality_init(otr_motion *m) {
    for (int i = 0; i < OTR_MO_FAULTS; i++)
        m->quality.seen_us[i] = OTR_MO_NEVER;
}
