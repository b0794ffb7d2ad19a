"""Builds the one extension ``outrider._native`` (cffi API mode, stable ABI cp311). Run through setup.py.

The library's headers are the manual; here stands only what Python calls. ``...`` lets the compiler fill in layouts and
values, so that a change in a header cannot silently disagree with Python.
"""

from __future__ import annotations

from pathlib import Path

from cffi import FFI

HERE = Path("native")  # setup.py runs in the project's root

CDEF = """
typedef struct otr_tables otr_tables;
typedef struct otr_engine otr_engine;
typedef struct otr_motion otr_motion;
typedef struct otr_recorder otr_recorder;
typedef struct { ...; } otr_frame;
typedef struct { ...; } otr_sample;
typedef struct { ...; } otr_event;

/* crc32c.h */
uint32_t otr_crc32c(uint32_t seed, const void *data, size_t size);

/* tables.h, decode.h */
size_t otr_tables_size(const uint8_t *blob, size_t len);
int otr_tables_init(void *mem, size_t size, const uint8_t *blob, size_t len, const otr_tables **ret);
uint64_t otr_tables_hash(const otr_tables *t);
uint32_t otr_tables_max_values(const otr_tables *t);
typedef struct {
    uint64_t frames, matched, unknown, not_data, malformed, values;
    uint64_t short_signals, absent, not_available, out_of_range, not_finite, unmapped;
    ...;
} otr_decode_stats;
int64_t otr_decode_batch(const otr_tables *t, const otr_frame *frames, uint32_t n, double *values, uint32_t *slots,
                         uint32_t *starts, uint32_t cap, uint32_t *ret_frames, otr_decode_stats *stats);

/* candump.h */
typedef struct {
    uint64_t lines, bad_lines, first_bad_line;
    uint32_t buses;
    char bus[32][16];
    ...;
} otr_candump;
uint32_t otr_candump_parse(otr_candump *state, const char *text, size_t len, int final, otr_frame *frames,
                           uint32_t cap, size_t *ret_used);

/* motion.h */
typedef struct {
    float imu_range_g, dv150_kmh, dv300_kmh, brake_g, accel_g, corner_g, lane_g, hysteresis;
    float min_hold_s, merge_gap_s, confirm_s, refractory_s, silence_s;
    uint32_t vehicle_class, evidence_off;
    uint64_t rules_off;
    ...;
} otr_motion_config;
typedef struct { uint64_t pushed, nan, time_back, gap, invalid, jump, events_lost, other_imu; ...; } otr_motion_stats;
typedef struct { float up[3]; float fwd[3]; float rho; float age_s; ...; } otr_mount;
typedef struct { double distance_m; uint8_t mount; ...; } otr_vehicle;
void otr_motion_config_default(otr_motion_config *ret_cfg);
float otr_motion_weights(float *ret_weights);
size_t otr_motion_size(void);
int otr_motion_init(void *mem, size_t size, const otr_motion_config *cfg, otr_motion **ret);
int otr_motion_push_n(otr_motion *m, const otr_sample *s, uint32_t n, otr_event *out, int max, uint32_t *ret_done);
void otr_motion_vehicle(const otr_motion *m, otr_vehicle *ret);
void otr_motion_get_stats(const otr_motion *m, otr_motion_stats *ret);
float otr_motion_reference(const otr_sample *s, uint32_t n);
void otr_motion_get_config(const otr_motion *m, otr_motion_config *ret_cfg);
int otr_motion_pulse(const otr_motion *m, float *ret_long, float *ret_lat, int max);
void otr_motion_get_mount(const otr_motion *m, otr_mount *ret);
int otr_motion_set_mount(otr_motion *m, const otr_mount *mount);

/* engine.h */
typedef struct { ...; } otr_fix;
typedef struct {
    uint32_t output_capacity, frame_inbox, imu_inbox, fix_inbox, power_inbox, frame_inboxes, tape_bytes;
    uint64_t recorder_bytes;
    int64_t merge_back_us;
    otr_motion_config motion;
    ...;
} otr_engine_config;
void otr_engine_config_default(otr_engine_config *ret);
size_t otr_engine_size(const otr_engine_config *cfg, const otr_tables *tables);
int otr_engine_init(void *mem, size_t size, const otr_engine_config *cfg, const otr_tables *tables, otr_engine **ret);
uint32_t otr_engine_offer_frames_to(otr_engine *e, uint32_t inbox, const otr_frame *frames, uint32_t n);
uint32_t otr_engine_offer_fixes(otr_engine *e, const otr_fix *fixes, uint32_t n);
uint32_t otr_engine_offer_imu(otr_engine *e, const otr_sample *samples, uint32_t n);
uint32_t otr_engine_offer_power(otr_engine *e, const otr_sample *samples, uint32_t n);
#define OTR_RUN_DONE ...
#define OTR_RUN_OUTPUT ...
#define OTR_RUN_TAPE ...
#define OTR_RUN_EVIDENCE ...
int otr_engine_run(otr_engine *e, int64_t watermark_us);
int64_t otr_engine_now(const otr_engine *e);
size_t otr_engine_output_size(const otr_engine *e);
uint32_t otr_engine_take(otr_engine *e, void *ret_outputs, uint32_t max);
typedef struct {
    uint64_t frames, fixes, imu, power, ticks, late, jumps_back, gaps, forced, refused, samples;
    uint64_t can_imu_incomplete, can_fix_invalid, events, snapshots, evidence, evidence_lost, supply_failures;
    otr_decode_stats decode;
    otr_motion_stats motion;
    ...;
} otr_engine_stats;
void otr_engine_get_stats(const otr_engine *e, otr_engine_stats *ret);
otr_motion *otr_engine_motion(otr_engine *e);
otr_recorder *otr_engine_recorder(otr_engine *e);
int otr_engine_supply_fails(otr_engine *e);
void otr_engine_black_box(otr_engine *e, uint32_t boot_id, uint32_t flags, uint8_t *ret_page);
void otr_engine_count_pages(otr_engine *e, uint64_t start);
int otr_engine_tape_start(otr_engine *e);
size_t otr_engine_tape_take(otr_engine *e, uint8_t *ret_block, size_t max);
size_t otr_engine_tape_block_max(const otr_engine *e);
int otr_engine_play(otr_engine *e, const uint8_t *data, size_t len, size_t *ret_used);

/* capture.h */
typedef struct otr_capture otr_capture;
typedef struct { int64_t software_us, hardware_us; ...; } otr_stamp;
typedef struct { int64_t offset_us, sampled_us; uint64_t steps; int started; ...; } otr_clock_watch;
typedef struct {
    int64_t drained_us, last_us;
    int doubtful;
    uint64_t restamped, hardware, hardware_refused;
    ...;
} otr_bus_clock;
int otr_capture_frame(const uint8_t *datagram, size_t size, unsigned origin, otr_frame *ret);
int otr_clock_note(otr_clock_watch *w, int64_t boot_us, int64_t real_us, int64_t gap_us);
void otr_stamp_batch(otr_bus_clock *c, const otr_stamp *stamps, uint32_t n, int64_t boot_us, int64_t offset_us,
                     int64_t *ret_us);
typedef struct {
    int stop_fd, wake_fd, receive_buffer;
    int64_t gather_us, merge_window_us;
    int32_t time_scale;
    ...;
} otr_capture_config;
typedef struct {
    uint64_t frames, echoes, error_frames;
    uint64_t error_class[10];
    uint64_t controller_overflows, malformed, socket_lost, held, restamped, hardware, hardware_refused, reads;
    int64_t last_us;
    int32_t receive_buffer, lost_errno;
    ...;
} otr_bus_stats;
void otr_capture_config_default(otr_capture_config *ret);
size_t otr_capture_size(void);
int otr_capture_init(void *mem, size_t size, const otr_capture_config *cfg, otr_capture **ret);
void otr_capture_close(otr_capture *c);
int otr_capture_add(otr_capture *c, int fd, uint32_t bus, int local);
int otr_capture_disconnect(int fd);
int otr_capture_remove(otr_capture *c, uint32_t bus);
int otr_capture_get_stats(const otr_capture *c, uint32_t bus, otr_bus_stats *ret);
uint64_t otr_capture_clock_steps(const otr_capture *c);
int otr_capture_run(otr_capture *c, otr_engine *e, int64_t timeout_us);

/* player.h */
typedef struct otr_player otr_player;
typedef struct { double speed; int64_t gather_us; ...; } otr_player_config;
typedef struct {
    uint64_t sent, refused, unrouted, waits, waited_us, reconnects;
    int64_t late_max_us, late_p99_us;
    int32_t last_errno;
    ...;
} otr_play_stats;
size_t otr_player_datagram(const otr_frame *f, uint8_t *ret);
void otr_player_config_default(otr_player_config *ret);
size_t otr_player_size(void);
int otr_player_init(void *mem, size_t size, const otr_player_config *cfg, otr_player **ret);
void otr_player_close(otr_player *p);
int otr_player_add(otr_player *p, int fd, uint32_t bus);
int otr_player_start(otr_player *p, int64_t start_us, int64_t zero_us);
int64_t otr_player_started(const otr_player *p);
int otr_player_play(otr_player *p, const otr_frame *frames, uint32_t n, uint32_t *ret_done);
void otr_player_stop(otr_player *p);
void otr_player_get_stats(const otr_player *p, otr_play_stats *ret);

/* recorder.h */
typedef struct { int64_t first_us, last_us; uint32_t count; ...; } otr_cover;
typedef struct {
    int64_t t0_us, trigger_us, first_us, last_us;
    uint32_t event_seq, count, slice;
    uint8_t what, kind;
    otr_cover cover[5];
    ...;
} otr_evidence_step;
enum otr_recording { OTR_REC_FRAMES, OTR_REC_IMU, OTR_REC_SIGNALS, OTR_REC_FIXES, OTR_REC_INPUTS, OTR_REC_KINDS, ... };
uint32_t otr_recorder_item(enum otr_recording kind);
void otr_recorder_hurry(otr_recorder *r, int64_t now_us);
void otr_recorder_finish(otr_recorder *r, int64_t now_us);
unsigned otr_recorder_windows(const otr_recorder *r);
int otr_recorder_step(otr_recorder *r, int64_t now_us, otr_evidence_step *ret);
uint32_t otr_recorder_read(const otr_recorder *r, void *ret_items, uint32_t max);
void otr_recorder_done(otr_recorder *r);
otr_cover otr_recorder_covers(const otr_recorder *r, enum otr_recording kind);
float otr_recorder_imu_rate(const otr_recorder *r, uint8_t *ret_src);

/* blackbox.h */
#define OTR_PAGE_SIZE ...
typedef struct { uint32_t slot, age_ms; double value; ...; } otr_page_signal;
typedef struct { uint16_t speed; int16_t acc[3]; ...; } otr_page_moment;
typedef struct {
    uint64_t counter;
    int64_t t_us, fix_t_us, utc_us;
    double lat_deg, lon_deg;
    float speed_mps, heading_deg, hacc_m;
    uint32_t last_event, signals, boot_id, flags, moments;
    otr_page_signal signal[...];
    otr_page_moment moment[...];
    ...;
} otr_black_box;
int otr_black_box_parse(const uint8_t *page, otr_black_box *ret);
"""

# Constants that Python repeats (model/, engine/): a test compares them with these.
CONSTANTS = """
OTR_OK OTR_ERR_INVAL OTR_ERR_NOMEM OTR_ERR_FULL OTR_ERR_TRUNC OTR_ERR_FORMAT OTR_ERR_CORRUPT OTR_ERR_TIME OTR_ERR_STATE
OTR_FRAME_EFF OTR_FRAME_RTR OTR_FRAME_ERR OTR_FRAME_FD OTR_FRAME_BRS OTR_FRAME_ESI OTR_FRAME_TX
OTR_FIX_POS OTR_FIX_SPEED OTR_FIX_HEADING OTR_FIX_ALT OTR_FIX_TIME OTR_FIX_FIRST
OTR_IN_IMU OTR_IN_POWER OTR_SRC_NONE OTR_SRC_CAN OTR_SRC_OBD OTR_SRC_GNSS_SERIAL OTR_SRC_GNSS_CAN OTR_SRC_IMU_CAN
OTR_SRC_IMU_IIO OTR_Q_VALID OTR_Q_SATURATED OTR_Q_SNA OTR_Q_STALE
OTR_EV_CRASH OTR_EV_CRASH_INFERRED OTR_EV_ROLLOVER OTR_EV_PARKED_IMPACT OTR_EV_DEVICE_MOVED OTR_EV_AIRBAG
OTR_EV_BUS_LOST_MOVING OTR_EV_POWER_LOST_MOVING OTR_EV_SPEED_SENSOR_LOST OTR_EV_WHEEL_LOCKUP OTR_EV_TOWED
OTR_EV_HARSH_BRAKE OTR_EV_HARSH_ACCEL OTR_EV_HARSH_CORNER OTR_EV_LANE_CHANGE OTR_EV_WHEEL_SPIN
OTR_PH_BEGIN OTR_PH_END OTR_PH_SUSPECT OTR_PH_UPDATE OTR_PH_CONFIRMED OTR_PH_CANCELLED OTR_PH_CLOSED
OTR_EVF_DV_LOWER_BOUND OTR_EVF_ALIGNED OTR_EVF_CFC60 OTR_EVF_ROLLOVER OTR_EVF_MULTI OTR_EVF_POS OTR_EVF_POS_STALE
OTR_EVF_STANDSTILL OTR_EVF_AIRBAG
OTR_DQ_NAN OTR_DQ_SATURATED OTR_DQ_STUCK OTR_DQ_AXES_TURNED OTR_DQ_RATE_CHANGED OTR_DQ_TIME_BACK OTR_DQ_INVALID
OTR_DQ_GAP OTR_DQ_IMU_STOPPED OTR_DQ_NO_IMU OTR_DQ_LOW_RATE OTR_DQ_NOT_ALIGNED OTR_DQ_NO_SPEED OTR_DQ_GNSS_JUMP
OTR_DQ_NO_GNSS OTR_DQ_SPEED_LATE OTR_DQ_UNKNOWN_RANGE
OTR_EW_DV_LOW OTR_EW_DV8 OTR_EW_DV25 OTR_EW_AIRBAG OTR_EW_COLLAPSE OTR_EW_THRUST OTR_EW_STANDING OTR_EW_SILENCE
OTR_EW_TURN OTR_EW_ROLLOVER OTR_EW_VERTICAL OTR_EW_PARKED OTR_EW_TURNED OTR_EW_TERMS
OTR_ROLE_NONE OTR_ROLE_SPEED OTR_ROLE_SPEED_OBD OTR_ROLE_WHEEL_FL OTR_ROLE_WHEEL_FR OTR_ROLE_WHEEL_RL
OTR_ROLE_WHEEL_RR OTR_ROLE_YAW OTR_ROLE_BRAKE OTR_ROLE_AIRBAG OTR_ROLE_RPM OTR_ROLE_IGNITION OTR_ROLE_SUPPLY_V
OTR_ROLE_ODOMETER OTR_ROLE_ACC_X OTR_ROLE_ACC_Y OTR_ROLE_ACC_Z OTR_ROLE_GYRO_X OTR_ROLE_GYRO_Y OTR_ROLE_GYRO_Z
OTR_ROLE_LAT OTR_ROLE_LON OTR_ROLE_ALT OTR_ROLE_GNSS_SPEED OTR_ROLE_HEADING OTR_ROLE_HACC OTR_ROLE_SATS
OTR_ROLE_FIX_TYPE OTR_ROLE_UTC OTR_ROLE_HDOP OTR_ROLE_COUNT
OTR_ENC_UINT OTR_ENC_INT OTR_ENC_FLOAT32 OTR_ENC_FLOAT64 OTR_XF_MAP OTR_XF_PROGRAM
OTR_OP_CONST OTR_OP_X OTR_OP_ADD OTR_OP_SUB OTR_OP_MUL OTR_OP_DIV OTR_OP_MOD OTR_OP_NEG OTR_OP_ABS OTR_OP_FLOOR
OTR_OP_CEIL OTR_OP_ROUND OTR_OP_SQRT OTR_OP_MIN OTR_OP_MAX OTR_STACK_MAX
OTR_MSG_EXTENDED OTR_MSG_J1939 OTR_MSG_OBD OTR_BUS_ANY OTR_SIG_MIN OTR_SIG_MAX OTR_SLOT_TELEMETRY
OTR_CAPTURE_TIMEOUT OTR_CAPTURE_OUTPUT OTR_CAPTURE_TAPE OTR_CAPTURE_URGENT OTR_CAPTURE_WAKE OTR_CAPTURE_STOP
OTR_CAPTURE_LOST OTR_CAPTURE_SIGNAL OTR_MSG_LOCAL OTR_MSG_OWN OTR_FRAME_INBOXES_MAX OTR_ERROR_CLASSES OTR_TIME_SCALE_MAX
OTR_HARDWARE_TRIAL
OTR_PLAYER_DONE OTR_PLAYER_STOP OTR_PLAYER_SIGNAL
OTR_TICK_US OTR_PAGE_CLEAN OTR_SPEED_UNKNOWN OTR_ACC_UNKNOWN OTR_STEP_TRIGGER OTR_STEP_PULSE OTR_STEP_CLOSED
OTR_STEP_SLICE OTR_OUT_EVENT OTR_OUT_SNAPSHOT OTR_OUTPUT_HEADER OTR_TABLES_MAGIC OTR_TABLES_VERSION
""".split()  # noqa: SIM905  # reads better than a hundred quoted names


def sources() -> list[str]:
    return sorted(str(path) for path in (HERE / "src").glob("*.c"))


def headers() -> list[str]:
    found = [*(HERE / "src").glob("*.h"), *(HERE / "include" / "outrider").glob("*.h"), HERE / "build_ffi.py"]
    return sorted(str(path) for path in found)


def make() -> FFI:
    builder = FFI()
    builder.cdef(CDEF + "".join(f"#define {name} ...\n" for name in CONSTANTS))
    builder.set_source(
        "outrider._native",
        '#include "outrider/engine.h"\n#include "outrider/capture.h"\n#include "outrider/player.h"\n'
        '#include "outrider/candump.h"\n'
        '#include "outrider/crc32c.h"\n#include "outrider/blackbox.h"\n#include "outrider/tables.h"\n',
        sources=sources(),
        depends=headers(),
        include_dirs=[str(HERE / "include")],
        define_macros=[("Py_LIMITED_API", "0x030b0000")],
        extra_compile_args=["-O2", "-std=c11", "-ffp-contract=off", "-fvisibility=hidden"],
        py_limited_api=True,
    )
    return builder


ffi = make()
