"""The database of the receiver, version 1. Epochs are unsigned 64 bits kept as the signed number of the same bits."""

from __future__ import annotations

from typing import Final

VERSION: Final = 1

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
