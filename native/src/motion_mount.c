/* motion_mount.c: how the sensor sits in the vehicle, handed out and taken back: kept over a restart.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "motion_parts.h"

void otr_motion_get_mount(const otr_motion *m, otr_mount *ret) {
    memset(ret, 0, sizeof *ret);
    if (!m->gravity.known)
        return;
    for (int i = 0; i < 3; i++) {
        ret->up[i] = (float)m->gravity.up[i];
        ret->fwd[i] = m->align.aligned ? (float)m->align.fwd[i] : 0;
    }
    ret->rho = m->align.aligned ? (float)m->align.rho : 0;
    ret->age_s = m->align.aligned ? (float)m->align.age_s : 0;
}

static bool unit(const float v[3], double ret[3]) {
    for (int i = 0; i < 3; i++) {
        if (!(v[i] >= -1.01f && v[i] <= 1.01f))
            return false;
        ret[i] = (double)v[i];
    }
    double n2 = otr_mo_dot(ret, ret);
    return n2 > 0.98 && n2 < 1.02 && otr_mo_normalise(ret);
}

/* The stored fit counts as two minutes of ordinary driving: new data outvotes it within some minutes. */
static void seed(otr_mo_align *a, const double fwd[3], double rho) {
    const double energy = OTR_MO_SEED_ENERGY;
    double c = otr_mo_dot(fwd, a->e1), s = otr_mo_dot(fwd, a->e2), n = sqrt(c * c + s * s);
    a->dir[0] = c / n;
    a->dir[1] = s / n;
    a->pp[0] = a->pp[2] = 0.5 * energy;
    a->hh = energy;
    a->hp[0][0] = a->hp[1][1] = 0.5 * energy * rho * a->dir[0];
    a->hp[1][0] = 0.5 * energy * rho * a->dir[1];
    a->hp[0][1] = -a->hp[1][0];
    a->rho = a->kept_rho = rho;
    a->kept[0] = a->dir[0];
    a->kept[1] = a->dir[1];
    a->kept_share = 1;
    a->past[0] = a->dir[0];
    a->past[1] = a->dir[1];
    a->have_past = a->aligned = true;
    otr_mo_align_axes(a);
}

int otr_motion_set_mount(otr_motion *m, const otr_mount *mount) {
    double up[3], fwd[3];
    if (!m || !mount)
        return OTR_ERR_INVAL;
    if (m->stats.pushed)
        return OTR_ERR_STATE;
    if (!unit(mount->up, up))
        return OTR_ERR_INVAL;
    bool aligned = mount->rho > 0;
    if (aligned && (!unit(mount->fwd, fwd) || !(mount->rho <= 1) || !(mount->age_s >= 0) || otr_mo_dot(up, fwd) > 0.2 ||
                    otr_mo_dot(up, fwd) < -0.2))
        return OTR_ERR_INVAL;
    for (int i = 0; i < 3; i++) {
        m->gravity.up[i] = up[i];
        m->gravity.g[i] = up[i] * OTR_MO_G;
        m->gravity.fast[i] = m->gravity.g[i];
    }
    m->gravity.known = true;
    m->gravity.age_s = 1;
    if (aligned) {
        otr_mo_align_basis(&m->align, up);
        otr_mo_align_forget(&m->align);
        seed(&m->align, fwd, (double)mount->rho);
        m->align.age_s = (double)mount->age_s;
    }
    return OTR_OK;
}
