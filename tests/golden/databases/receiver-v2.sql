BEGIN TRANSACTION;
CREATE TABLE alarms (
  id             INTEGER PRIMARY KEY,
  device_no      INTEGER NOT NULL,
  kind           TEXT NOT NULL,             -- 'vanished'
  since_utc_us   INTEGER NOT NULL,          -- last sign of life
  raised_utc_us  INTEGER NOT NULL,
  cleared_utc_us INTEGER,                   -- NULL: it stands
  cleared_reason TEXT,
  lat_deg        REAL,                      -- last fix, of fix_utc_us; NULL: unknown, as in the following
  lon_deg        REAL,
  hacc_m         REAL,
  heading_deg    REAL,
  fix_utc_us     INTEGER NOT NULL,
  speed_mps      REAL NOT NULL,             -- the circle around the last fix grows by this
  interval_s     REAL NOT NULL,             -- of its beacons
  place_lat_deg  REAL,                      -- where it most likely stands
  place_lon_deg  REAL,
  place_radius_m REAL NOT NULL,
  score          REAL NOT NULL,             -- decades of surprise
  reasons        TEXT NOT NULL,             -- JSON array of words, the strongest first
  beacons        TEXT NOT NULL              -- JSON array: the last ones before the silence
) STRICT;
CREATE TABLE clock_fixes (
  id             INTEGER PRIMARY KEY,
  device_no      INTEGER NOT NULL,
  boot_id        INTEGER NOT NULL,
  t_us           INTEGER NOT NULL,
  utc_us         INTEGER NOT NULL,
  uncertainty_us INTEGER NOT NULL,
  source         INTEGER NOT NULL,
  UNIQUE (device_no, boot_id, t_us, utc_us, uncertainty_us, source)
) STRICT;
INSERT INTO "clock_fixes" VALUES(1,1,7,0,1790000000000000,1000,1);
CREATE TABLE coverage (                     -- where and for how long cars fall silent in the ordinary course of things
  id           INTEGER PRIMARY KEY CHECK (id = 1),
  saved_utc_us INTEGER NOT NULL,
  map          BLOB NOT NULL
) STRICT;
CREATE TABLE dead_letters (
  id              INTEGER PRIMARY KEY,
  received_utc_us INTEGER NOT NULL,
  topic           TEXT NOT NULL,
  reason          TEXT NOT NULL,
  size            INTEGER NOT NULL,
  payload         BLOB NOT NULL             -- at most the first 64 KiB
) STRICT;
INSERT INTO "dead_letters" VALUES(1,1790000000000000,'t/car','conflict: record 5 of StreamKey(device=''car'', epoch=18364758544493064720, lane=<Lane.EVENT: 2>) is held with other content',37,X'1032547698BADCFE020500000000000000C802010700000000000000000000006F74686572');
INSERT INTO "dead_letters" VALUES(2,1790000000000000,'t/car/e','damaged',2,X'5500');
CREATE TABLE devices (
  device_no   INTEGER PRIMARY KEY,
  name        TEXT NOT NULL UNIQUE,
  seen_utc_us INTEGER NOT NULL,
  online      INTEGER,                      -- by the last birth or will; NULL: never told
  session_id  INTEGER,
  software    TEXT,
  boot_id     INTEGER,
  epoch       INTEGER,
  ack_counter INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO "devices" VALUES(1,'car',1790000000000000,1,-9223372036854775808,'0.1.0',7,-81985529216486896,1790000000000000);
CREATE TABLE gaps (                         -- ranges that will not come
  device_no INTEGER NOT NULL,
  epoch     INTEGER NOT NULL,
  lane      INTEGER NOT NULL,
  first_seq INTEGER NOT NULL,
  last_seq  INTEGER NOT NULL,
  reason    TEXT NOT NULL,                  -- of the gap record; 'released': freed on another acknowledgement
  PRIMARY KEY (device_no, epoch, lane, first_seq, last_seq, reason)
) STRICT, WITHOUT ROWID;
INSERT INTO "gaps" VALUES(1,-81985529216486896,2,1,4,'released');
INSERT INTO "gaps" VALUES(1,-81985529216486896,3,15,20,'quota');
INSERT INTO "gaps" VALUES(1,77,2,1,3,'corrupt');
CREATE TABLE last_beacons (
  device_no       INTEGER PRIMARY KEY,
  received_utc_us INTEGER NOT NULL,
  payload         BLOB NOT NULL             -- as sent
) STRICT;
CREATE TABLE positions (                    -- complete up to here: what is acknowledged
  device_no INTEGER NOT NULL,
  epoch     INTEGER NOT NULL,
  lane      INTEGER NOT NULL,
  up_to_seq INTEGER NOT NULL,
  PRIMARY KEY (device_no, epoch, lane)
) STRICT, WITHOUT ROWID;
INSERT INTO "positions" VALUES(1,-81985529216486896,2,6);
INSERT INTO "positions" VALUES(1,-81985529216486896,3,5);
INSERT INTO "positions" VALUES(1,77,2,3);
CREATE TABLE records (
  device_no       INTEGER NOT NULL,
  epoch           INTEGER NOT NULL,
  lane            INTEGER NOT NULL,
  seq             INTEGER NOT NULL,
  kind            INTEGER NOT NULL,
  category        INTEGER NOT NULL,
  schema          INTEGER NOT NULL,
  boot_id         INTEGER NOT NULL,
  t_us            INTEGER NOT NULL,         -- CLOCK_BOOTTIME of that boot
  body            BLOB NOT NULL,
  received_utc_us INTEGER NOT NULL,
  PRIMARY KEY (device_no, epoch, lane, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO "records" VALUES(1,-81985529216486896,2,5,200,2,1,7,0,X'322035',1790000000000000);
INSERT INTO "records" VALUES(1,-81985529216486896,2,6,7,2,1,7,0,X'094D00000000000000100118032003',1790000000000000);
INSERT INTO "records" VALUES(1,-81985529216486896,3,1,3,2,1,7,0,X'088080AFA2DBFFAD0610E8071801',1790000000000000);
INSERT INTO "records" VALUES(1,-81985529216486896,3,2,4,2,1,7,5000000,X'6414F80B01A413',1790000000000000);
INSERT INTO "records" VALUES(1,-81985529216486896,3,3,200,2,1,7,0,X'332033',1790000000000000);
INSERT INTO "records" VALUES(1,-81985529216486896,3,4,200,2,1,7,0,X'332034',1790000000000000);
INSERT INTO "records" VALUES(1,-81985529216486896,3,5,200,2,1,7,0,X'332035',1790000000000000);
INSERT INTO "records" VALUES(1,-81985529216486896,3,9,200,2,1,7,0,X'332039',1790000000000000);
INSERT INTO "records" VALUES(1,-81985529216486896,3,10,200,2,1,7,0,X'33203130',1790000000000000);
INSERT INTO "records" VALUES(1,-81985529216486896,3,11,200,2,1,7,0,X'33203131',1790000000000000);
INSERT INTO "records" VALUES(1,-81985529216486896,3,20,7,2,1,7,0,X'091032547698BADCFE100F18142001',1790000000000000);
INSERT INTO "records" VALUES(1,-81985529216486896,3,21,200,2,1,7,0,X'33203231',1790000000000000);
CREATE TABLE signal_tables (
  device_no INTEGER NOT NULL,
  table_id  INTEGER NOT NULL,
  body      BLOB NOT NULL,
  PRIMARY KEY (device_no, table_id)
) STRICT, WITHOUT ROWID;
INSERT INTO "signal_tables" VALUES(1,200807524,X'0A220801120D56656869636C652E53706565641A046B6D2F68217B14AE47E17A843F3001');
CREATE VIEW records_utc AS
SELECT d.name AS device, printf('%016x', r.epoch) AS epoch, r.lane, r.seq, r.kind, r.boot_id, r.t_us, r.body,
  f.utc_us + r.t_us - f.t_us AS utc_us,
  min(f.uncertainty_us + abs(r.t_us - f.t_us) / 20000) AS uncertainty_us
FROM records r
JOIN devices d ON d.device_no = r.device_no
LEFT JOIN clock_fixes f ON f.device_no = r.device_no AND f.boot_id = r.boot_id
GROUP BY r.device_no, r.epoch, r.lane, r.seq;
CREATE INDEX alarms_standing ON alarms (device_no) WHERE cleared_utc_us IS NULL;
COMMIT;
PRAGMA user_version = 2;
