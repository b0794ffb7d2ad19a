"""The database of the receiver in SQLite, version 3, and the way to it from versions 1 and 2.

Epochs are unsigned 64 bits kept as the signed number of the same bits.
"""

from __future__ import annotations

from typing import Final

VERSION: Final = 3

TABLES: Final = """
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

CREATE TABLE positions (                    -- complete up to here: what is acknowledged
  device_no INTEGER NOT NULL,
  epoch     INTEGER NOT NULL,
  lane      INTEGER NOT NULL,
  up_to_seq INTEGER NOT NULL,
  PRIMARY KEY (device_no, epoch, lane)
) STRICT, WITHOUT ROWID;

CREATE TABLE gaps (                         -- ranges that will not come
  device_no INTEGER NOT NULL,
  epoch     INTEGER NOT NULL,
  lane      INTEGER NOT NULL,
  first_seq INTEGER NOT NULL,
  last_seq  INTEGER NOT NULL,
  reason    TEXT NOT NULL,                  -- of the gap record; 'released': freed on another acknowledgement
  PRIMARY KEY (device_no, epoch, lane, first_seq, last_seq, reason)
) STRICT, WITHOUT ROWID;

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

CREATE TABLE signal_tables (
  device_no INTEGER NOT NULL,
  table_id  INTEGER NOT NULL,
  body      BLOB NOT NULL,
  PRIMARY KEY (device_no, table_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE dead_letters (
  id              INTEGER PRIMARY KEY,
  received_utc_us INTEGER NOT NULL,
  topic           TEXT NOT NULL,
  reason          TEXT NOT NULL,
  size            INTEGER NOT NULL,
  payload         BLOB NOT NULL             -- at most the first 64 KiB
) STRICT;

-- By the clock fix of that boot that gives the smallest uncertainty (with min(), SQLite takes the other columns from
-- the row of the minimum); utc_us is NULL while there is none.
CREATE VIEW records_utc AS
SELECT d.name AS device, printf('%016x', r.epoch) AS epoch, r.lane, r.seq, r.kind, r.boot_id, r.t_us, r.body,
  f.utc_us + r.t_us - f.t_us AS utc_us,
  min(f.uncertainty_us + abs(r.t_us - f.t_us) / 20000) AS uncertainty_us
FROM records r
JOIN devices d ON d.device_no = r.device_no
LEFT JOIN clock_fixes f ON f.device_no = r.device_no AND f.boot_id = r.boot_id
GROUP BY r.device_no, r.epoch, r.lane, r.seq;
"""

# New in version 2: cars that fell silent at speed.
ALARM_TABLES: Final = """
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
CREATE INDEX alarms_standing ON alarms (device_no) WHERE cleared_utc_us IS NULL;

CREATE TABLE last_beacons (
  device_no       INTEGER PRIMARY KEY,
  received_utc_us INTEGER NOT NULL,
  payload         BLOB NOT NULL             -- as sent
) STRICT;

CREATE TABLE coverage (                     -- where and for how long cars fall silent in the ordinary course of things
  id           INTEGER PRIMARY KEY CHECK (id = 1),
  saved_utc_us INTEGER NOT NULL,
  map          BLOB NOT NULL
) STRICT;
"""

# New in version 3: what came ahead of a hole, and what the database is.
AHEAD_TABLES: Final = """
CREATE TABLE ahead (                        -- ranges beyond positions.up_to_seq that are accounted for
  device_no INTEGER NOT NULL,
  epoch     INTEGER NOT NULL,
  lane      INTEGER NOT NULL,
  first_seq INTEGER NOT NULL,
  last_seq  INTEGER NOT NULL,
  PRIMARY KEY (device_no, epoch, lane, first_seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE meta (                         -- 'shelf': where records are moved to; none: they stay here
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""

# Runs of records, and gaps, beyond the position; a range that overlaps another is merged when it is read.
_FILL_AHEAD: Final = """
INSERT OR IGNORE INTO ahead
SELECT device_no, epoch, lane, min(seq), max(seq) FROM (
  SELECT r.device_no, r.epoch, r.lane, r.seq,
    r.seq - row_number() OVER (PARTITION BY r.device_no, r.epoch, r.lane ORDER BY r.seq) AS island
  FROM positions p JOIN records r
    ON r.device_no = p.device_no AND r.epoch = p.epoch AND r.lane = p.lane AND r.seq > p.up_to_seq
) GROUP BY device_no, epoch, lane, island;
INSERT INTO ahead
SELECT g.device_no, g.epoch, g.lane, max(g.first_seq, p.up_to_seq + 1) AS first, max(g.last_seq)
FROM positions p JOIN gaps g
  ON g.device_no = p.device_no AND g.epoch = p.epoch AND g.lane = p.lane AND g.last_seq > p.up_to_seq
WHERE true GROUP BY g.device_no, g.epoch, g.lane, first
ON CONFLICT DO UPDATE SET last_seq = max(last_seq, excluded.last_seq);
"""

LATEST: Final = TABLES + ALARM_TABLES + AHEAD_TABLES

# From version n to n + 1.
MIGRATIONS: Final = {1: ALARM_TABLES, 2: AHEAD_TABLES + _FILL_AHEAD}
