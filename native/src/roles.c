/* roles.c: what the roles of a decoded frame mean for the detector; units of enum otr_role to those of otr_sample.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>

#include "engine_impl.h"

#define KMH_TO_MPS (1.0 / 3.6)
#define DEG_TO_RAD 0.017453292519943295
#define WHEEL_SPREAD_US 200000 /* the four of a set are no further apart */

#define BIT(role) (1u << (role))
#define ACC_BITS (BIT(OTR_ROLE_ACC_X) | BIT(OTR_ROLE_ACC_Y) | BIT(OTR_ROLE_ACC_Z))
#define GYRO_BITS (BIT(OTR_ROLE_GYRO_X) | BIT(OTR_ROLE_GYRO_Y) | BIT(OTR_ROLE_GYRO_Z))
#define WHEEL_BITS (0xFu << OTR_ROLE_WHEEL_FL)
#define PLACE_BITS (BIT(OTR_ROLE_LAT) | BIT(OTR_ROLE_LON))

static otr_sample sample_of(int64_t t_us, unsigned kind, unsigned src) {
    return (otr_sample){.t_us = t_us, .kind = (uint8_t)kind, .src = (uint8_t)src, .q = OTR_Q_VALID};
}

static void emit_imu(otr_engine *e, const role_values *r, int64_t t_us) {
    if (!(r->seen & (ACC_BITS | GYRO_BITS)))
        return;
    if ((r->seen & ACC_BITS) != ACC_BITS || ((r->seen & GYRO_BITS) && (r->seen & GYRO_BITS) != GYRO_BITS) ||
        (r->not_available & (ACC_BITS | GYRO_BITS))) {
        e->stats.can_imu_incomplete++;
        return;
    }
    otr_sample s = sample_of(t_us, OTR_IN_IMU, OTR_SRC_IMU_CAN);
    s.res = r->step[OTR_ROLE_ACC_X];
    for (unsigned i = 0; i < 3; i++) {
        s.x[i] = (float)r->value[OTR_ROLE_ACC_X + i];
        s.x[3 + i] = r->seen & GYRO_BITS ? (float)(r->value[OTR_ROLE_GYRO_X + i] * DEG_TO_RAD) : NAN;
    }
    if (e->recorder)
        otr_recorder_imu(e->recorder, &s);
    otr_push_sample(e, &s);
}

/* One value scaled; a "no value" code is passed on as such, since losing a sensor at speed is evidence. */
static void emit_one(otr_engine *e, const role_values *r, int64_t t_us, unsigned role, unsigned kind, unsigned src,
                     double factor) {
    if (!((r->seen | r->not_available) & BIT(role)))
        return;
    otr_sample s = sample_of(t_us, kind, src);
    if (r->seen & BIT(role)) {
        s.x[0] = (float)(r->value[role] * factor);
        s.res = (float)(r->step[role] * factor);
    } else {
        s.q = OTR_Q_SNA;
    }
    otr_push_sample(e, &s);
}

static void emit_flag(otr_engine *e, const role_values *r, int64_t t_us, unsigned role, unsigned kind) {
    if (!(r->seen & BIT(role)))
        return;
    otr_sample s = sample_of(t_us, kind, OTR_SRC_CAN);
    s.x[0] = r->value[role] != 0.0 ? 1.0f : 0.0f;
    otr_push_sample(e, &s);
}

/* Wheels may come in one message or in two: a set is complete when all four are new and close in time. */
static void emit_wheels(otr_engine *e, const role_values *r, int64_t t_us) {
    if (!(r->seen & WHEEL_BITS))
        return;
    for (unsigned i = 0; i < 4; i++) {
        if (r->seen & BIT(OTR_ROLE_WHEEL_FL + i)) {
            e->wheel[i] = (float)(r->value[OTR_ROLE_WHEEL_FL + i] * KMH_TO_MPS);
            e->wheel_t_us[i] = t_us;
            e->wheel_mask |= 1u << i;
        } else if (t_us - e->wheel_t_us[i] > WHEEL_SPREAD_US) {
            e->wheel_mask &= ~(1u << i);
        }
    }
    if (e->wheel_mask != 0xFu)
        return;
    e->wheel_mask = 0;
    otr_sample s = sample_of(t_us, OTR_IN_WHEELS, OTR_SRC_CAN);
    for (unsigned i = 0; i < 4; i++) {
        float step = (float)(e->role_step[OTR_ROLE_WHEEL_FL + i] * KMH_TO_MPS);
        s.x[i] = e->wheel[i];
        s.res = step > s.res ? step : s.res;
    }
    otr_push_sample(e, &s);
}

static void emit_power(otr_engine *e, const role_values *r, int64_t t_us) {
    if (!(r->seen & (BIT(OTR_ROLE_IGNITION) | BIT(OTR_ROLE_SUPPLY_V))))
        return;
    otr_sample s = sample_of(t_us, OTR_IN_POWER, OTR_SRC_CAN);
    s.x[0] = !(r->seen & BIT(OTR_ROLE_IGNITION)) ? NAN : r->value[OTR_ROLE_IGNITION] != 0.0 ? 1.0f : 0.0f;
    s.x[1] = r->seen & BIT(OTR_ROLE_SUPPLY_V) ? (float)r->value[OTR_ROLE_SUPPLY_V] : NAN;
    otr_note_supply(e, &s);
    otr_push_sample(e, &s);
}

/* The value of a role that another message of the receiver gave lately; NaN when too old. */
static double recent(const otr_engine *e, unsigned role, int64_t t_us) {
    return otr_cell_fresh(&e->role[role], t_us, OTR_FRESH_US) ? e->role[role].value : NAN;
}

static int64_t recent_utc(const otr_engine *e, int64_t t_us) {
    double utc_s = recent(e, OTR_ROLE_UTC, t_us);
    if (!(utc_s > 0.0 && utc_s < 4.0e9))
        return 0;
    return (int64_t)(utc_s * 1e6 + 0.5) + (t_us - e->role[OTR_ROLE_UTC].t_us);
}

static uint8_t small_count(double x, uint8_t otherwise) {
    return x >= 0.0 && x <= 255.0 ? (uint8_t)x : otherwise;
}

static void emit_fix(otr_engine *e, const role_values *r, int64_t t_us) {
    if ((r->seen & PLACE_BITS) != PLACE_BITS)
        return;
    double lat = r->value[OTR_ROLE_LAT], lon = r->value[OTR_ROLE_LON];
    if (!(lat >= -90.0 && lat <= 90.0 && lon >= -180.0 && lon <= 180.0)) {
        e->stats.can_fix_invalid++;
        return;
    }
    double speed = recent(e, OTR_ROLE_GNSS_SPEED, t_us), heading = recent(e, OTR_ROLE_HEADING, t_us);
    double alt = recent(e, OTR_ROLE_ALT, t_us);
    otr_fix f = {.t_us = t_us,
                 .utc_us = recent_utc(e, t_us),
                 .lat_deg = lat,
                 .lon_deg = lon,
                 .alt_m = (float)alt,
                 .speed_mps = (float)(speed * KMH_TO_MPS),
                 .heading_deg = (float)heading,
                 .hacc_m = (float)recent(e, OTR_ROLE_HACC, t_us),
                 .hdop = (float)recent(e, OTR_ROLE_HDOP, t_us),
                 .fix_type = small_count(recent(e, OTR_ROLE_FIX_TYPE, t_us), 3),
                 .sats = small_count(recent(e, OTR_ROLE_SATS, t_us), 0),
                 .src = OTR_SRC_GNSS_CAN};
    f.flags = (uint8_t)((isnan(speed) ? 0u : OTR_FIX_SPEED) | (isnan(heading) ? 0u : OTR_FIX_HEADING) |
                        (isnan(alt) ? 0u : OTR_FIX_ALT) | (f.utc_us ? OTR_FIX_TIME : 0u) | OTR_FIX_POS);
    if (f.fix_type == 0)
        f.flags &= OTR_FIX_TIME;
    else if (!e->can_fix_us || t_us - e->can_fix_us > OTR_FIX_LOST_US)
        f.flags |= OTR_FIX_FIRST;
    if (f.flags & OTR_FIX_POS)
        e->can_fix_us = t_us;
    otr_push_fix(e, &f);
}

void otr_roles_emit(otr_engine *e, const role_values *r, int64_t t_us, unsigned obd) {
    for (unsigned role = 1; role < OTR_ROLE_COUNT; role++)
        if (r->seen & BIT(role)) {
            otr_cell_put(&e->role[role], r->value[role], t_us);
            e->role_step[role] = r->step[role];
        }
    emit_imu(e, r, t_us);
    emit_one(e, r, t_us, OTR_ROLE_SPEED, OTR_IN_SPEED, obd ? OTR_SRC_OBD : OTR_SRC_CAN, KMH_TO_MPS);
    emit_one(e, r, t_us, OTR_ROLE_SPEED_OBD, OTR_IN_SPEED, OTR_SRC_OBD, KMH_TO_MPS);
    emit_wheels(e, r, t_us);
    emit_one(e, r, t_us, OTR_ROLE_YAW, OTR_IN_YAW, OTR_SRC_CAN, DEG_TO_RAD);
    emit_flag(e, r, t_us, OTR_ROLE_BRAKE, OTR_IN_BRAKE);
    emit_flag(e, r, t_us, OTR_ROLE_AIRBAG, OTR_IN_AIRBAG);
    emit_one(e, r, t_us, OTR_ROLE_RPM, OTR_IN_RPM, obd ? OTR_SRC_OBD : OTR_SRC_CAN, 1.0);
    emit_power(e, r, t_us);
    emit_fix(e, r, t_us);
}
