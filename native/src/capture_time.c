/* capture_time.c: stamps of the kernel and of adapters to engine time. Pure. See outrider/capture.h.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "outrider/capture.h"

#define SLEW_PER_SECOND_US 500      /* NTP's fastest */
#define HARDWARE_DRIFT_DIVISOR 5000 /* a crystal's 100 ppm on each side: 1/5000 */
#define STAMP_LIMIT ((int64_t)1 << 60)

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b) {
    return a > b ? a : b;
}

int otr_clock_note(otr_clock_watch *w, int64_t boot_us, int64_t real_us, int64_t gap_us) {
    int64_t offset = boot_us - real_us, moved = offset - w->offset_us;
    int64_t elapsed = most(0, boot_us - w->sampled_us);
    int64_t allowed = OTR_CLOCK_STEP_US + gap_us + elapsed / 1000000 * SLEW_PER_SECOND_US;
    int stepped = w->started && (moved > allowed || moved < -allowed);
    w->offset_us = offset;
    w->sampled_us = boot_us;
    w->started = 1;
    w->steps += (uint64_t)stepped;
    return stepped;
}

static int stamp_possible(const otr_stamp *s) {
    return s->software_us > 0 && s->software_us < STAMP_LIMIT;
}

/* All stamps exist and lie between "the socket was empty" and now. */
static int plausible(const otr_bus_clock *c, const otr_stamp *stamps, uint32_t n, int64_t boot_us, int64_t offset_us) {
    for (uint32_t i = 0; i < n; i++) {
        if (!stamp_possible(&stamps[i]))
            return 0;
        int64_t t = stamps[i].software_us + offset_us;
        if (t < c->drained_us - OTR_STAMP_SLACK_US || t > boot_us + OTR_STAMP_SLACK_US)
            return 0;
    }
    return 1;
}

/* By arrival: the last frame now, the others at their distance to it, none before the socket was empty. */
static void by_arrival(otr_bus_clock *c, const otr_stamp *stamps, uint32_t n, int64_t boot_us, int64_t *ret_us) {
    int64_t last = stamps[n - 1].software_us;
    for (uint32_t i = 0; i < n; i++) {
        int known = stamp_possible(&stamps[i]) && stamp_possible(&stamps[n - 1]);
        int64_t age = known ? most(0, last - stamps[i].software_us) : 0;
        ret_us[i] = most(boot_us - age, c->drained_us);
    }
    c->restamped += n;
    c->hardware_on = 0;
}

/* The time of a frame by the adapter's clock, or t_us where that cannot be trusted. The distance of the two clocks is
 * the smallest seen (the software stamp can only be late), let go by the drift of crystals. */
static int64_t refined(otr_bus_clock *c, int64_t hardware_us, int64_t t_us) {
    if (hardware_us <= 0 || hardware_us >= STAMP_LIMIT) {
        c->hardware_refused += c->hardware_on != 0; /* adapters without a clock are no news */
        return t_us;
    }
    int64_t elapsed = hardware_us - c->hardware_us, distance = t_us - hardware_us;
    if (c->hardware_on && elapsed >= 0) {
        int64_t offset = least(c->hardware_offset_us + elapsed / HARDWARE_DRIFT_DIVISOR + 1, distance);
        if (distance - offset <= OTR_HARDWARE_TOLERANCE_US &&
            distance >= c->hardware_offset_us - OTR_HARDWARE_TOLERANCE_US) {
            c->hardware_offset_us = offset;
            c->hardware_us = hardware_us;
            c->hardware++;
            return hardware_us + offset;
        }
    }
    c->hardware_refused += c->hardware_on != 0;
    c->hardware_on = 1;
    c->hardware_us = hardware_us;
    c->hardware_offset_us = distance;
    return t_us;
}

void otr_stamp_batch(otr_bus_clock *c, const otr_stamp *stamps, uint32_t n, int64_t boot_us, int64_t offset_us,
                     int64_t *ret_us) {
    if (!n)
        return;
    if (c->doubtful || !plausible(c, stamps, n, boot_us, offset_us))
        by_arrival(c, stamps, n, boot_us, ret_us);
    else
        for (uint32_t i = 0; i < n; i++)
            ret_us[i] = refined(c, stamps[i].hardware_us, stamps[i].software_us + offset_us);
    for (uint32_t i = 0; i < n; i++) {
        ret_us[i] = least(most(ret_us[i], c->last_us), boot_us);
        c->last_us = ret_us[i];
    }
}
