"""The layouts of recordings: how a file is told by its content, what it is, and under which licence the known set is.

Nothing depends on the name of a set or of a file, except where the format itself has its meaning in the name (NHTSA).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

HEAD_BYTES: Final = 262_144
_NHTSA_NAME: Final = re.compile(r"v\d{1,6}\.\d{3}")


@dataclass(frozen=True)
class Layout:
    """``key``: how the rows name it; ``what``: how it is recognised, for people; ``licence`` of the set known to us."""

    key: str
    title: str
    what: str
    origin: str
    licence: str


WINDOWS: Final = Layout(
    "windows",
    "windows around crashes, near misses and normal driving",
    "JSON with channels accel_x/y/z and a label",
    "VZCrash sample, Verizon Connect",
    "CC BY-NC 4.0: evaluation only, no picture of it in the documentation",
)
PULSES: Final = Layout(
    "pulses",
    "delta-V curves of real crashes from the cars' own event data recorders",
    "JSON with channels delta_v_long or delta_v_lat",
    "NHTSA Crash Investigation Sampling System (CISS)",
    "US government data",
)
DRIVES: Final = Layout(
    "drives",
    "drives with IMU, GNSS and OBD-II on CAN",
    "MDF4 bus log (.MF4) with the frames of a CANmod.gps (ids 5, 7, 9)",
    "CSS Electronics sample",
    "MIT",
)
CRASH_TESTS: Final = Layout(
    "crash tests",
    "accelerometers of laboratory crash tests, 10 kHz",
    "vNNNNN.CCC: two columns, time [s] and value [g]",
    "NHTSA vehicle crash test database",
    "US government data",
)
STRETCHES: Final = Layout(
    "stretches",
    "vertical acceleration over potholes, bumps and bad road, 50 Hz",
    "CSV with the one column acc_z, in a folder named after the kind of road",
    "Gonzalez et al.",
    "none stated",
)
TRIPS: Final = Layout(
    "trips",
    "a phone's sensors in the earth's frame, with manoeuvres driven on purpose",
    "folder with groundTruth.csv, acelerometro_terra.csv, giroscopio_terra.csv",
    "Jair Ferreira Junior et al.",
    "none stated",
)
OBD_LOGS: Final = Layout(
    "OBD logs",
    "OBD-II values of ordinary driving",
    "CSV with the columns ENGINE_RUN_TINE, ENGINE_RPM, VEHICLE_SPEED",
    "carOBD, Toyota Etios",
    "free with citation",
)
LAYOUTS: Final = (WINDOWS, PULSES, DRIVES, CRASH_TESTS, STRETCHES, TRIPS, OBD_LOGS)
TRIP_FILES: Final = ("groundTruth.csv", "acelerometro_terra.csv", "giroscopio_terra.csv")


def layout_of(path: PurePath, head: bytes) -> Layout | None:
    """The layout of a file by its first bytes; None for what no row reads. A trip is told by its groundTruth.csv."""
    if head.startswith(b"MDF     "):
        return DRIVES
    if path.suffix == ".json":
        if b'"accel_x"' in head:
            return WINDOWS
        return PULSES if b'"delta_v_long"' in head or b'"delta_v_lat"' in head else None
    if path.name == TRIP_FILES[0]:
        return TRIPS
    if path.suffix == ".csv":
        return _csv_layout(head)
    return CRASH_TESTS if _NHTSA_NAME.fullmatch(path.name) else None


def _csv_layout(head: bytes) -> Layout | None:
    first = head.split(b"\n", 1)[0].strip()
    if first == b"acc_z":
        return STRETCHES
    return OBD_LOGS if b"VEHICLE_SPEED" in first and b"ENGINE_RPM" in first else None
