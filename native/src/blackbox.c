/* blackbox.c: see outrider/blackbox.h.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#include "outrider/blackbox.h"

#include "bytes.h"
#include "outrider/crc32c.h"

#define PAGE_MAGIC 0x4252544Fu /* "OTRB" */
#define PAGE_VERSION 2
#define PAGE_HEADER 80u
#define PAGE_HISTORY 2488u
#define PAGE_CRC (OTR_PAGE_SIZE - 4)
static_assert(PAGE_HEADER + OTR_PAGE_SIGNALS * 16 <= PAGE_HISTORY, "signals fit the page");
static_assert(PAGE_HISTORY + OTR_PAGE_MOMENTS * 8 <= PAGE_CRC, "moments fit the page");

static void render_header(const otr_black_box *box, uint32_t signals, uint32_t moments, uint8_t *p) {
    otr_store_le32(p, PAGE_MAGIC);
    otr_store_le16(p + 4, PAGE_VERSION);
    otr_store_le16(p + 6, (uint16_t)signals);
    otr_store_le64(p + 8, box->counter);
    otr_store_le64(p + 16, (uint64_t)box->t_us);
    otr_store_le64(p + 24, (uint64_t)box->fix_t_us);
    otr_store_le64(p + 32, (uint64_t)box->utc_us);
    otr_store_f64(p + 40, box->lat_deg);
    otr_store_f64(p + 48, box->lon_deg);
    otr_store_f32(p + 56, box->speed_mps);
    otr_store_f32(p + 60, box->heading_deg);
    otr_store_f32(p + 64, box->hacc_m);
    otr_store_le32(p + 68, box->last_event);
    otr_store_le32(p + 72, box->boot_id);
    otr_store_le16(p + 76, (uint16_t)box->flags);
    otr_store_le16(p + 78, (uint16_t)moments);
}

void otr_black_box_render(const otr_black_box *box, uint8_t *ret_page) {
    uint32_t signals = box->signals < OTR_PAGE_SIGNALS ? box->signals : OTR_PAGE_SIGNALS;
    uint32_t moments = box->moments < OTR_PAGE_MOMENTS ? box->moments : OTR_PAGE_MOMENTS;
    memset(ret_page, 0, OTR_PAGE_SIZE);
    render_header(box, signals, moments, ret_page);
    for (uint32_t i = 0; i < signals; i++) {
        uint8_t *p = ret_page + PAGE_HEADER + 16u * i;
        otr_store_le32(p, box->signal[i].slot);
        otr_store_le32(p + 4, box->signal[i].age_ms);
        otr_store_f64(p + 8, box->signal[i].value);
    }
    for (uint32_t i = 0; i < moments; i++) {
        uint8_t *p = ret_page + PAGE_HISTORY + 8u * i;
        otr_store_le16(p, box->moment[i].speed);
        for (uint32_t k = 0; k < 3; k++)
            otr_store_le16(p + 2 + 2 * k, (uint16_t)box->moment[i].acc[k]);
    }
    otr_store_le32(ret_page + PAGE_CRC, otr_crc32c(0, ret_page, PAGE_CRC));
}

static void parse_header(const uint8_t *page, otr_black_box *ret) {
    ret->counter = otr_load_le64(page + 8);
    ret->t_us = (int64_t)otr_load_le64(page + 16);
    ret->fix_t_us = (int64_t)otr_load_le64(page + 24);
    ret->utc_us = (int64_t)otr_load_le64(page + 32);
    ret->lat_deg = otr_load_f64(page + 40);
    ret->lon_deg = otr_load_f64(page + 48);
    ret->speed_mps = otr_load_f32(page + 56);
    ret->heading_deg = otr_load_f32(page + 60);
    ret->hacc_m = otr_load_f32(page + 64);
    ret->last_event = otr_load_le32(page + 68);
    ret->boot_id = otr_load_le32(page + 72);
    ret->flags = otr_load_le16(page + 76);
    ret->moments = otr_load_le16(page + 78);
}

int otr_black_box_parse(const uint8_t *page, otr_black_box *ret) {
    if (otr_load_le32(page) != PAGE_MAGIC || otr_load_le16(page + 4) != PAGE_VERSION)
        return OTR_ERR_FORMAT;
    if (otr_load_le32(page + PAGE_CRC) != otr_crc32c(0, page, PAGE_CRC))
        return OTR_ERR_CORRUPT;
    uint32_t signals = otr_load_le16(page + 6);
    if (signals > OTR_PAGE_SIGNALS || otr_load_le16(page + 78) > OTR_PAGE_MOMENTS)
        return OTR_ERR_FORMAT;
    memset(ret, 0, sizeof *ret);
    parse_header(page, ret);
    ret->signals = signals;
    for (uint32_t i = 0; i < signals; i++) {
        const uint8_t *p = page + PAGE_HEADER + 16u * i;
        ret->signal[i] = (otr_page_signal){otr_load_le32(p), otr_load_le32(p + 4), otr_load_f64(p + 8)};
    }
    for (uint32_t i = 0; i < ret->moments; i++) {
        const uint8_t *p = page + PAGE_HISTORY + 8u * i;
        ret->moment[i].speed = otr_load_le16(p);
        for (uint32_t k = 0; k < 3; k++)
            ret->moment[i].acc[k] = (int16_t)otr_load_le16(p + 2 + 2 * k);
    }
    return OTR_OK;
}
