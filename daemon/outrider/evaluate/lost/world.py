"""What the simulation assumes. Every number has a source or is named as a prior; none was fitted to a result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class RoadKind:
    """One kind of road. share: of all kilometres driven; unserved: share of the road without service; tunnel_km: one
    tunnel in so many km; served_tunnels: share of them with service inside; turn_m: typical radius of its curves."""

    name: str
    share: float
    route_km: float
    limits_kmh: tuple[float, ...]
    unserved: float
    tunnel_km: float
    served_tunnels: float
    turn_m: float
    jam_km: float


MOTORWAY: Final = RoadKind("motorway", 0.5, 60.0, (100.0, 120.0, 130.0), 0.01, 60.0, 0.6, 2500.0, 150.0)
RURAL: Final = RoadKind("rural road", 0.4, 30.0, (70.0, 80.0, 100.0), 0.03, 100.0, 0.2, 600.0, 400.0)
TOWN: Final = RoadKind("town ring", 0.1, 12.0, (50.0, 70.0, 80.0), 0.005, 40.0, 0.5, 500.0, 60.0)


@dataclass(frozen=True, slots=True)
class World:
    """The base case; ``dataclasses.replace`` makes another. Rates ``_per_h`` are per hour of driving."""

    kinds: tuple[RoadKind, ...] = (MOTORWAY, RURAL, TOWN)
    unserved_times: float = 1.0
    tunnels_times: float = 1.0
    # the radio field
    service_dbm: float = -122.0
    return_db: float = 3.0
    shadow_db: float = 6.0
    shadow_m: float = 100.0
    terrain_db: float = 8.0
    terrain_m: float = 2000.0
    drive_db: float = 2.0
    drift_db: float = 2.5
    # the modem
    search_s: tuple[float, float] = (1.0, 3.0)
    long_search_s: float = 15.0
    # disturbances that are bound to no place
    stall_per_h: float = 3.0
    stall_s: tuple[float, float] = (1.0, 0.5)
    glitch_per_h: float = 0.05
    glitch_s: tuple[float, float] = (3.0, 0.9)
    restart_per_h: float = 1 / 1000
    reboot_per_h: float = 1 / 5000
    cut_off_per_h: float = 1 / 20_000
    # the connection
    latency_s: tuple[float, float] = (0.1, 0.6)
    lost_beacons: float = 1e-4
    rto_s: float = 0.3
    linear_timeouts: int = 6
    dead_after_s: tuple[float, float] = (30.0, 90.0)
    # the terminal
    beacon_s: float = 5.0
    beacon_kmh: float = 60.0
    signal_known: bool = False
    braking_beacon: bool = True
    holdup_s: float = 0.0
    # driving and crashing
    hard_brake_km: float = 200.0
    brakes_before: float = 0.67
    braking_s: float = 1.3
    cut_s: float = 0.5
    trigger_s: tuple[float, float] = (0.03, 0.12)
    event_s: float = 0.10
    skid_mps2: tuple[float, float] = (4.0, 15.0)
    hacc_m: float = 4.0


@dataclass(frozen=True, slots=True)
class Assumption:
    """For the page: what, how much, where it is from."""

    what: str
    value: str
    source: str


PRIOR: Final = "prior"
ASSUMPTIONS: Final = (
    Assumption(
        "share of the road without service",
        "motorway 1 %, rural road 3 %, town ring 0.5 %",
        "prior: German federal roads were served to 85–95 % per operator in 2021 (government, in firmenauto.de), "
        "motorways nearly whole, with duties to close the gaps until 2024",
    ),
    Assumption(
        "shadowing", "log-normal, 6 dB, correlated over 100 m", "3GPP TR 38.901 table 7.5-6: rural 4–8 dB, 37–120 m"
    ),
    Assumption(
        "slow part of the field (terrain, distance of the next mast)",
        "8 dB over 2 km",
        "prior; masts 1.7 to 5 km apart (3GPP TR 38.913, rural) and some 35 dB a decade of distance give about that",
    ),
    Assumption("differences between drives on one road", "2 dB a drive, 2.5 dB over 100 m", PRIOR),
    Assumption("finding a cell again", "1 s and 3 s more on average; after a minute without up to 15 s more", PRIOR),
    Assumption(
        "tunnels",
        "one in 60 km of motorway, 100 km of rural road, 40 km of town ring; 0.2–10 km, median 0.6 km; with service "
        "in 60 %, 20 %, 50 %",
        PRIOR,
    ),
    Assumption("short stalls anywhere", "3 an hour, log-normal, median 1 s, σ 0.5", PRIOR),
    Assumption(
        "longer gaps anywhere (cell changes that fail, cells that reload)",
        "1 in 20 h, log-normal, median 3 s, σ 0.9: one in 7 lasts over 8 s",
        PRIOR,
    ),
    Assumption("restarts of the terminal's software (connection closed, 5–15 s)", "1 in 1,000 h", PRIOR),
    Assumption("reboots without a word (30–60 s)", "1 in 5,000 h", PRIOR),
    Assumption("SIM barred or plug pulled while driving fast, for the rest of the drive", "1 in 20,000 h", PRIOR),
    Assumption("delay of a message", "log-normal, median 0.1 s, σ 0.6", PRIOR),
    Assumption("beacons lost on a sound connection (QoS 0)", "1 in 10,000", PRIOR),
    Assumption(
        "TCP after a gap", "repeats after 0.3 s, six times, then at doubling distances", "Linux, thin linear timeouts"
    ),
    Assumption(
        "a connection dies in a gap of", "30 to 90 s; then the uplink's own back-off", "docs/internals/uplink.md"
    ),
    Assumption(
        "drivers who brake before the impact", "two thirds, on average for 1.3 s", "EDRs of 170 cars, CASR171 (2020)"
    ),
    Assumption("the terminal sees the braking and sends a beacon", "after 0.7 to 1.7 s of it", "snapshots at 1 Hz"),
    Assumption("ordinary braking of 4 m/s² and more at speed", "once in 200 km", "none in 85 km of the CANedge drive"),
    Assumption("impact to the end of everything", "0 to 0.5 s, evenly", "the case to be scored"),
    Assumption("impact to the crash event on its way", "0.13 to 0.22 s", "detector-scores.md, row B; journal.md"),
    Assumption("jams", "one in 150 km of motorway", PRIOR),
)
