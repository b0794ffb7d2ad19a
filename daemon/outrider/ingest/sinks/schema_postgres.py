"""The receiver's database in PostgreSQL, version 1: the tables of SQLite's version 3, in one schema of their own.

``{schema}`` is the name of that schema. Epochs are unsigned 64 bits kept as the signed number of the same bits.
"""

from __future__ import annotations

from typing import Final

VERSION: Final = 1

TABLES: Final = """
CREATE TABLE meta (
  name  text PRIMARY KEY,
  value text NOT NULL
);
CREATE TABLE devices (
  device_no   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name        text COLLATE "C" NOT NULL UNIQUE,  -- sorted as the receiver does: locks are taken in one order
  seen_utc_us bigint NOT NULL,
  online      smallint,
  session_id  bigint,
  software    text,
  boot_id     bigint,
  epoch       bigint,
  ack_counter bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 70);  -- updated with every message, in place
CREATE TABLE records (
  device_no       bigint NOT NULL,
  epoch           bigint NOT NULL,
  lane            smallint NOT NULL,
  seq             bigint NOT NULL,
  kind            smallint NOT NULL,
  category        smallint NOT NULL,
  schema          smallint NOT NULL,
  boot_id         bigint NOT NULL,
  t_us            bigint NOT NULL,
  body            bytea NOT NULL,
  received_utc_us bigint NOT NULL,
  PRIMARY KEY (device_no, epoch, lane, seq)
);
CREATE TABLE positions (
  device_no bigint NOT NULL,
  epoch     bigint NOT NULL,
  lane      smallint NOT NULL,
  up_to_seq bigint NOT NULL,
  PRIMARY KEY (device_no, epoch, lane)
) WITH (fillfactor = 70);
CREATE TABLE ahead (
  device_no bigint NOT NULL,
  epoch     bigint NOT NULL,
  lane      smallint NOT NULL,
  first_seq bigint NOT NULL,
  last_seq  bigint NOT NULL,
  PRIMARY KEY (device_no, epoch, lane, first_seq)
);
CREATE TABLE gaps (
  device_no bigint NOT NULL,
  epoch     bigint NOT NULL,
  lane      smallint NOT NULL,
  first_seq bigint NOT NULL,
  last_seq  bigint NOT NULL,
  reason    text NOT NULL,
  PRIMARY KEY (device_no, epoch, lane, first_seq, last_seq, reason)
);
CREATE TABLE clock_fixes (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  device_no      bigint NOT NULL,
  boot_id        bigint NOT NULL,
  t_us           bigint NOT NULL,
  utc_us         bigint NOT NULL,
  uncertainty_us bigint NOT NULL,
  source         smallint NOT NULL,
  UNIQUE (device_no, boot_id, t_us, utc_us, uncertainty_us, source)
);
CREATE TABLE signal_tables (
  device_no bigint NOT NULL,
  table_id  bigint NOT NULL,
  body      bytea NOT NULL,
  PRIMARY KEY (device_no, table_id)
);
CREATE TABLE dead_letters (
  id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  received_utc_us bigint NOT NULL,
  topic           text NOT NULL,
  reason          text NOT NULL,
  size            bigint NOT NULL,
  payload         bytea NOT NULL
);
CREATE TABLE alarms (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  device_no      bigint NOT NULL,
  kind           text NOT NULL,
  since_utc_us   bigint NOT NULL,
  raised_utc_us  bigint NOT NULL,
  cleared_utc_us bigint,
  cleared_reason text,
  lat_deg        double precision,
  lon_deg        double precision,
  hacc_m         double precision,
  heading_deg    double precision,
  fix_utc_us     bigint NOT NULL,
  speed_mps      double precision NOT NULL,
  interval_s     double precision NOT NULL,
  place_lat_deg  double precision,
  place_lon_deg  double precision,
  place_radius_m double precision NOT NULL,
  score          double precision NOT NULL,
  reasons        text NOT NULL,
  beacons        text NOT NULL
);
CREATE INDEX alarms_standing ON alarms (device_no) WHERE cleared_utc_us IS NULL;
CREATE TABLE last_beacons (
  device_no       bigint PRIMARY KEY,
  received_utc_us bigint NOT NULL,
  payload         bytea NOT NULL
);
CREATE TABLE coverage (
  id           bigint PRIMARY KEY CHECK (id = 1),
  saved_utc_us bigint NOT NULL,
  map          bytea NOT NULL
);
-- By the clock fix of that boot that gives the smallest uncertainty, as in outrider.ingest.clock; numeric, because an
-- absurd fix of one terminal must not make the view unreadable for all.
CREATE VIEW records_utc AS
SELECT d.name AS device, lpad(to_hex(r.epoch), 16, '0') AS epoch, r.lane, r.seq, r.kind, r.boot_id, r.t_us, r.body,
  f.utc_us, f.uncertainty_us
FROM records r JOIN devices d USING (device_no)
LEFT JOIN LATERAL (
  SELECT c.utc_us::numeric + r.t_us - c.t_us AS utc_us,
    c.uncertainty_us + div(abs(r.t_us::numeric - c.t_us), 20000) AS uncertainty_us
  FROM clock_fixes c WHERE c.device_no = r.device_no AND c.boot_id = r.boot_id
  ORDER BY 2, c.t_us LIMIT 1
) f ON true;
"""

# From version n to n + 1.
MIGRATIONS: Final[dict[int, str]] = {}
