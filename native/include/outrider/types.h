/* outrider/types.h: the plain data that crosses the border of the native library.
 *
 * Every struct is fixed-width, has no hidden padding (checked by static_assert) and no pointer.
 * Time is int64 microseconds of CLOCK_BOOTTIME (live) or of the recording's own time line (replay);
 * the library never reads a clock. SI units. Axes are ISO 8855: x forward, y left, z up, once the
 * mounting is known; before that x, y, z are the sensor's own axes.
 *
 * Copyright 2026 The Outrider authors. SPDX-License-Identifier: Apache-2.0
 */
#ifndef OUTRIDER_TYPES_H
#define OUTRIDER_TYPES_H

#include <assert.h>
#include <stdint.h>

/* Result codes: 0 or a count on success, one of these on failure; outputs stay untouched then. */
enum otr_err {
    OTR_OK = 0,
    OTR_ERR_INVAL = -1,   /* an argument is outside its documented range */
    OTR_ERR_NOMEM = -2,   /* the memory handed over at init is too small */
    OTR_ERR_FULL = -3,    /* a bounded queue is full: drain it and offer again */
    OTR_ERR_TRUNC = -4,   /* input ends in the middle of an item */
    OTR_ERR_FORMAT = -5,  /* input is not of the announced format or version */
    OTR_ERR_CORRUPT = -6, /* a checksum does not match */
    OTR_ERR_TIME = -7,    /* time went back further than the merge window allows */
    OTR_ERR_STATE = -8    /* the call is not allowed in this state */
};

/* ---- CAN ------------------------------------------------------------------------------------ */
#define OTR_FRAME_EFF 0x01u /* 29-bit identifier */
#define OTR_FRAME_RTR 0x02u /* remote request, no data */
#define OTR_FRAME_ERR 0x04u /* error frame: id holds the CAN_ERR_* class bits */
#define OTR_FRAME_FD 0x08u  /* CAN FD frame */
#define OTR_FRAME_BRS 0x10u /* FD: bit-rate switch */
#define OTR_FRAME_ESI 0x20u /* FD: error state indicator */
#define OTR_FRAME_TX 0x40u  /* sent by this host (own echo) */

typedef struct {
    int64_t t_us;
    uint32_t id;   /* 11 or 29 bits, no flag bits inside */
    uint8_t bus;   /* index of the bus within the bus set */
    uint8_t flags; /* OTR_FRAME_* */
    uint8_t len;   /* bytes of data, 0..64 */
    uint8_t rsv;   /* 0 */
    uint8_t data[64];
} otr_frame;
static_assert(sizeof(otr_frame) == 80, "otr_frame layout");

/* ---- GNSS ----------------------------------------------------------------------------------- */
#define OTR_FIX_POS 0x01u     /* lat_deg, lon_deg hold a position, WGS-84 */
#define OTR_FIX_SPEED 0x02u   /* speed_mps is valid */
#define OTR_FIX_HEADING 0x04u /* heading_deg is valid (course over ground) */
#define OTR_FIX_ALT 0x08u     /* alt_m is valid (above mean sea level) */
#define OTR_FIX_TIME 0x10u    /* utc_us is valid */
#define OTR_FIX_FIRST 0x20u   /* first fix after none: speed and place may still jump */

typedef struct {
    int64_t t_us;            /* instant the fix is valid for, engine time */
    int64_t utc_us;          /* the same instant, UTC since 1970, without leap seconds */
    double lat_deg, lon_deg; /* WGS-84 */
    float alt_m, speed_mps, heading_deg;
    float hacc_m;     /* 1 sigma horizontal accuracy; NaN unknown */
    float hdop;       /* NaN unknown */
    uint8_t flags;    /* OTR_FIX_* */
    uint8_t fix_type; /* 0 none, 2 2D, 3 3D, 1 dead reckoning */
    uint8_t sats;     /* satellites used, 0 unknown */
    uint8_t src;      /* OTR_SRC_GNSS_SERIAL or OTR_SRC_GNSS_CAN */
} otr_fix;
static_assert(sizeof(otr_fix) == 56, "otr_fix layout");

/* ---- what the detector is fed (detector.md 3.1) ---------------------------------------------- */
enum otr_kind {
    OTR_IN_IMU = 1,    /* x: ax ay az [m/s2, specific force, +1 g up at rest] gx gy gz [rad/s] */
    OTR_IN_SPEED = 2,  /* x[0]: m/s; src says whose */
    OTR_IN_WHEELS = 3, /* x[0..3]: FL FR RL RR m/s */
    OTR_IN_YAW = 4,    /* x[0]: rad/s, + to the left */
    OTR_IN_BRAKE = 5,  /* x[0]: 0/1 */
    OTR_IN_AIRBAG = 6, /* x[0]: 0/1 restraint deployed or crash bit */
    OTR_IN_GNSS = 7,   /* x: speed m/s, heading rad clockwise from north, hacc m, lat deg, lon deg; res = OTR_FIX_* */
    OTR_IN_BUS = 8,    /* x[0]: 1 traffic on any bus since the last tick, 0 silent */
    OTR_IN_POWER = 9,  /* x[0]: ignition 0/1 or NaN, x[1]: supply V or NaN */
    OTR_IN_RPM = 10,   /* x[0]: 1/min */
    OTR_IN_TICK = 11   /* 100 ms of engine time have passed */
};
enum otr_src {
    OTR_SRC_NONE = 0,
    OTR_SRC_CAN = 1, /* vehicle's own broadcast */
    OTR_SRC_OBD = 2, /* answer to an OBD-II request, 1..2 Hz, may repeat */
    OTR_SRC_GNSS_SERIAL = 3,
    OTR_SRC_GNSS_CAN = 4,
    OTR_SRC_IMU_CAN = 5,
    OTR_SRC_IMU_IIO = 6
};
#define OTR_Q_VALID 0x0001u
#define OTR_Q_SATURATED 0x0002u
#define OTR_Q_SNA 0x0004u /* not-available or default code */
#define OTR_Q_STALE 0x0008u

typedef struct {
    int64_t t_us;
    uint8_t kind; /* enum otr_kind */
    uint8_t src;  /* enum otr_src */
    uint16_t q;   /* OTR_Q_* */
    float res;    /* quantisation step of x[0], 0 unknown */
    float x[8];
} otr_sample;
static_assert(sizeof(otr_sample) == 48, "otr_sample layout");

/* ---- what the detector says (docs/reference/events.md) ----------------------------------------- */
enum otr_event_kind {
    OTR_EV_CRASH = 1,          /* delta-V path; level 1 minor 2 crash 3 severe */
    OTR_EV_CRASH_INFERRED = 2, /* no IMU evidence: speed or silence rules */
    OTR_EV_ROLLOVER = 3,
    OTR_EV_PARKED_IMPACT = 4,
    OTR_EV_DEVICE_MOVED = 5,
    OTR_EV_AIRBAG = 6,
    OTR_EV_BUS_LOST_MOVING = 7,   /* all buses silent at speed, GNSS says the car drives on */
    OTR_EV_POWER_LOST_MOVING = 8, /* all silent at speed, nothing else known */
    OTR_EV_SPEED_SENSOR_LOST = 9, /* 0 or a default code in one step, other evidence says moving */
    OTR_EV_WHEEL_LOCKUP = 10,
    OTR_EV_TOWED = 11, /* moved or tilted while parked: jack, tow truck, theft */
    OTR_EV_HARSH_BRAKE = 20,
    OTR_EV_HARSH_ACCEL = 21,
    OTR_EV_HARSH_CORNER = 22,
    OTR_EV_LANE_CHANGE = 23,
    OTR_EV_WHEEL_SPIN = 24
};
enum otr_phase {
    OTR_PH_BEGIN = 1,   /* harsh: it has lasted long enough to count */
    OTR_PH_END = 2,     /* harsh: over, all fields final */
    OTR_PH_SUSPECT = 3, /* crash: triggered, sent at once */
    OTR_PH_UPDATE = 4,  /* crash: pulse captured, delta-V final */
    OTR_PH_CONFIRMED = 5,
    OTR_PH_CANCELLED = 6,
    OTR_PH_CLOSED = 7 /* crash: confirm window over without a change of verdict */
};
#define OTR_EVF_DV_LOWER_BOUND 0x0001u /* the sensor saturated: the true delta-V is larger */
#define OTR_EVF_ALIGNED 0x0002u        /* long/lat/pdof are in vehicle axes */
#define OTR_EVF_CFC60 0x0004u
#define OTR_EVF_ROLLOVER 0x0008u
#define OTR_EVF_MULTI 0x0010u      /* a further impact, within the confirm or the refractory time */
#define OTR_EVF_POS 0x0020u        /* lat_deg, lon_deg are known */
#define OTR_EVF_POS_STALE 0x0040u  /* ... but older than 5 s at t0 */
#define OTR_EVF_STANDSTILL 0x0080u /* vehicle stood within the confirm window */
#define OTR_EVF_AIRBAG 0x0100u     /* a restraint or crash bit of the vehicle belongs to the event */

/* otr_event.quality: what was wrong with the data from 30 s before t0 to the phase said. */
#define OTR_DQ_NAN 0x0001u            /* numbers that are none, or beyond any sensor */
#define OTR_DQ_SATURATED 0x0002u      /* the IMU was at the end of its range */
#define OTR_DQ_STUCK 0x0004u          /* an axis does not move while others do, or sits at an end of its range */
#define OTR_DQ_AXES_TURNED 0x0008u    /* gravity jumped: the mounting turned, or axes were swapped */
#define OTR_DQ_RATE_CHANGED 0x0010u   /* the IMU's rate changed */
#define OTR_DQ_TIME_BACK 0x0020u      /* time repeated itself or went back */
#define OTR_DQ_INVALID 0x0040u        /* samples marked invalid or stale */
#define OTR_DQ_GAP 0x0080u            /* IMU samples are missing */
#define OTR_DQ_IMU_STOPPED 0x0100u    /* the IMU fell silent and has not come back */
#define OTR_DQ_NO_IMU 0x0200u         /* no IMU at all */
#define OTR_DQ_LOW_RATE 0x0400u       /* an IMU below 40 Hz: no pulses are looked for */
#define OTR_DQ_NOT_ALIGNED 0x0800u    /* the mounting is not known: no directions */
#define OTR_DQ_NO_SPEED 0x1000u       /* no speed was known before the event */
#define OTR_DQ_GNSS_JUMP 0x2000u      /* first fix after none, or a speed that no car can reach */
#define OTR_DQ_NO_GNSS 0x4000u        /* no fix */
#define OTR_DQ_SPEED_LATE 0x8000u     /* only OBD or GNSS speed: up to a second old */
#define OTR_DQ_UNKNOWN_RANGE 0x10000u /* the IMU's range is not configured: saturation cannot be told */

/* otr_event.evidence: which terms of the confidence counted; weights by otr_motion_weights(). */
#define OTR_EW_DV_LOW 0x0001u   /* a pulse over its trigger and below 8 km/h */
#define OTR_EW_DV8 0x0002u      /* 8 km/h and more */
#define OTR_EW_DV25 0x0004u     /* 25 km/h and more, beside DV8 */
#define OTR_EW_AIRBAG 0x0008u   /* a restraint or crash bit of the vehicle */
#define OTR_EW_COLLAPSE 0x0010u /* the speed collapsed */
#define OTR_EW_THRUST 0x0020u   /* pushed from behind */
#define OTR_EW_STANDING 0x0040u
#define OTR_EW_SILENCE 0x0080u /* buses or supply gone */
#define OTR_EW_TURN 0x0100u    /* more than 100 degrees a second */
#define OTR_EW_ROLLOVER 0x0200u
#define OTR_EW_VERTICAL 0x0400u /* against: a pothole or kerb */
#define OTR_EW_PARKED 0x0800u   /* against */
#define OTR_EW_TURNED 0x1000u   /* against: the device was turned */
#define OTR_EW_TERMS 13

/* bits of src_mask: 1u << enum otr_src */
typedef struct {
    int64_t t0_us;       /* begin of the event (GB 39732 T0 for a crash) */
    int64_t t_detect_us; /* engine time at which this phase was decided */
    int64_t t_end_us;    /* end, 0 while it lasts */
    double lat_deg, lon_deg;
    float hacc_m;      /* NaN unknown */
    float heading_deg; /* NaN unknown */
    uint32_t seq;      /* number of the event since init; all phases share it */
    uint16_t kind;     /* enum otr_event_kind */
    uint8_t phase;     /* enum otr_phase */
    uint8_t level;     /* crash 1..3; harsh 1..3 = x1.0, x1.35, x1.7 of the threshold */
    uint16_t flags;    /* OTR_EVF_* */
    uint16_t src_mask;
    uint8_t clock;                 /* principal direction of force, 1..12 o'clock, 0 unknown */
    uint8_t impact_no;             /* 1.. within a multi-impact event */
    uint16_t rule;                 /* id of the rule that decided, see docs/reference/events.md */
    float conf;                    /* 0..1 */
    float dv_kmh;                  /* max |delta-V| over the pulse */
    float dv_long_kmh, dv_lat_kmh; /* at the time of the maximum; NaN without alignment */
    float dv_time_ms;              /* t0 to maximum */
    float peak_g;                  /* horizontal, 10 ms mean (or one sample where slower); harsh: filtered */
    float peak_vert_g;
    float mean_g;
    float asi;      /* EN 1317, 50 ms moving mean; NaN when the rate is too low */
    float pdof_deg; /* 0 frontal, +90 from the left; NaN unknown */
    float dur_ms;
    float v_pre_kmh;    /* harsh: at begin; crash: max of the last 3 s */
    float v_post_kmh;   /* harsh: at end; crash: min of the next 4 s */
    float limit;        /* threshold that was crossed, in its own unit */
    float v_impact_kmh; /* speed at t0, the newest known of just before; NaN unknown, or no impact */
    float dv_lo_kmh;    /* 90 % interval of dv_kmh; NaN unknown */
    float dv_hi_kmh;    /* NaN unknown: nothing above dv_lo_kmh can be excluded */
    uint32_t quality;   /* OTR_DQ_* */
    uint32_t evidence;  /* OTR_EW_* */
    uint32_t rsv;       /* 0 */
} otr_event;
static_assert(sizeof(otr_event) == 144, "otr_event layout");

/* ---- roles: how a decoded signal feeds motion ------------------------------------------------ */
enum otr_role {
    OTR_ROLE_NONE = 0,
    OTR_ROLE_SPEED = 1,     /* km/h, vehicle broadcast */
    OTR_ROLE_SPEED_OBD = 2, /* km/h, mode 01 PID 0D */
    OTR_ROLE_WHEEL_FL = 3,  /* km/h */
    OTR_ROLE_WHEEL_FR = 4,
    OTR_ROLE_WHEEL_RL = 5,
    OTR_ROLE_WHEEL_RR = 6,
    OTR_ROLE_YAW = 7, /* deg/s */
    OTR_ROLE_BRAKE = 8,
    OTR_ROLE_AIRBAG = 9,
    OTR_ROLE_RPM = 10,
    OTR_ROLE_IGNITION = 11, /* 0/1 */
    OTR_ROLE_SUPPLY_V = 12,
    OTR_ROLE_ODOMETER = 13, /* m */
    OTR_ROLE_ACC_X = 14,    /* m/s2, the six in one message */
    OTR_ROLE_ACC_Y = 15,
    OTR_ROLE_ACC_Z = 16,
    OTR_ROLE_GYRO_X = 17, /* deg/s */
    OTR_ROLE_GYRO_Y = 18,
    OTR_ROLE_GYRO_Z = 19,
    OTR_ROLE_LAT = 20, /* deg WGS-84; a message with LAT and LON makes a fix */
    OTR_ROLE_LON = 21,
    OTR_ROLE_ALT = 22,        /* m */
    OTR_ROLE_GNSS_SPEED = 23, /* km/h */
    OTR_ROLE_HEADING = 24,    /* deg */
    OTR_ROLE_HACC = 25,       /* m */
    OTR_ROLE_SATS = 26,
    OTR_ROLE_FIX_TYPE = 27, /* 0 none 1 dead reckoning 2 2D 3 3D */
    OTR_ROLE_UTC = 28,      /* s since 1970 */
    OTR_ROLE_HDOP = 29,
    OTR_ROLE_COUNT = 30
};

/* ---- state of the drive, once a second -------------------------------------------------------- */
typedef struct {
    int64_t t_us;
    double lat_deg, lon_deg;                /* last fix; NaN none */
    double distance_m;                      /* integral of the most trusted speed since init */
    double odometer_m;                      /* vehicle's own; NaN unknown */
    int64_t fix_t_us;                       /* time of the last fix, 0 none */
    int64_t fix_utc_us;                     /* its UTC, 0 unknown */
    float speed_mps;                        /* most trusted current speed; NaN unknown */
    float heading_deg, alt_m, hacc_m, hdop; /* NaN unknown */
    float rpm;                              /* NaN unknown */
    float supply_v;                         /* NaN unknown */
    float acc_long, acc_lat;                /* m/s2, mean of the last second, vehicle axes; NaN unaligned */
    float align_rho;                        /* quality of the mounting fit, 0 none */
    uint8_t speed_src;                      /* enum otr_src */
    uint8_t ignition;                       /* 0 off 1 on 255 unknown */
    uint8_t motion;                         /* 0 unknown 1 standing 2 moving */
    uint8_t mount;                          /* 0 none 1 gravity known 2 aligned */
    uint8_t bus_alive;                      /* any frame within the last second */
    uint8_t fix_type, sats;
    uint8_t rsv;
} otr_vehicle;
static_assert(sizeof(otr_vehicle) == 104, "otr_vehicle layout");

#endif
