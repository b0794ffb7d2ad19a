"""A summary in the form of the eCall minimum set of data (EN 15722): its fields, and its UPER bytes where asn1tools is
installed.

Nothing is sent to any emergency service. The ASN.1 below is ours, written after the fields of EN 15722; a test decodes
a message of another maker with it. RELATIVE-OID is written as OCTET STRING: the bytes are the same.
"""

from __future__ import annotations

import struct
from functools import cache
from importlib.util import find_spec
from typing import Any, Final

from outrider.crash.document import CrashDocument, TrackPoint
from outrider.crash.standards.elements import DRIVER_BELT, PASSENGER_BELT, Recorder

MSD_VERSION: Final = 2
UNKNOWN_PLACE: Final = 0x7FFFFFFF
UNKNOWN_DIRECTION: Final = 255
_UNKNOWN_VIN: Final = "0" * 17
_MAS: Final = 3_600_000  # milliarcseconds in a degree
_TRUST_M: Final = 150.0  # EN 15722: within 150 m with 95 % confidence
_SIGMA_95: Final = 2.45  # of a circular error, 95 %
_ADDITIONAL: Final = struct.Struct(">BHhhhBBB")
_OID: Final = b"\x00"

ASN1: Final = """
EcallMsd DEFINITIONS AUTOMATIC TAGS ::= BEGIN
EcallMessage ::= SEQUENCE { msdVersion INTEGER (0..255), msd OCTET STRING }
MsdMessage ::= SEQUENCE { msdStructure MsdStructure, optionalAdditionalData AdditionalData OPTIONAL, ... }
MsdStructure ::= SEQUENCE {
  messageIdentifier INTEGER (0..255), control Control, vehicleIdentificationNumber Vin,
  vehiclePropulsionStorageType Storage, timestamp INTEGER (0..4294967295), vehicleLocation Location,
  vehicleDirection INTEGER (0..255), recentVehicleLocationN1 Delta OPTIONAL, recentVehicleLocationN2 Delta OPTIONAL,
  numberOfPassengers INTEGER (0..255) OPTIONAL, ... }
Control ::= SEQUENCE { automaticActivation BOOLEAN, testCall BOOLEAN, positionCanBeTrusted BOOLEAN, vehicleType Type }
Type ::= ENUMERATED { passengerVehicleClassM1 (1), busesAndCoachesClassM2 (2), busesAndCoachesClassM3 (3),
  lightCommercialVehiclesClassN1 (4), heavyDutyVehiclesClassN2 (5), heavyDutyVehiclesClassN3 (6),
  motorcyclesClassL1e (7), motorcyclesClassL2e (8), motorcyclesClassL3e (9), motorcyclesClassL4e (10),
  motorcyclesClassL5e (11), motorcyclesClassL6e (12), motorcyclesClassL7e (13), ... }
Vin ::= SEQUENCE { isowmi Letters (SIZE (3)), isovds Letters (SIZE (6)), isovisModelyear Letters (SIZE (1)),
  isovisSeqPlant Letters (SIZE (7)) }
Letters ::= PrintableString (FROM ("A".."H" | "J".."N" | "P" | "R".."Z" | "0".."9"))
Storage ::= SEQUENCE { gasolineTankPresent BOOLEAN DEFAULT FALSE, dieselTankPresent BOOLEAN DEFAULT FALSE,
  compressedNaturalGas BOOLEAN DEFAULT FALSE, liquidPropaneGas BOOLEAN DEFAULT FALSE,
  electricEnergyStorage BOOLEAN DEFAULT FALSE, hydrogenStorage BOOLEAN DEFAULT FALSE,
  otherStorage BOOLEAN DEFAULT FALSE, ... }
Location ::= SEQUENCE { positionLatitude INTEGER (-2147483648..2147483647),
  positionLongitude INTEGER (-2147483648..2147483647) }
Delta ::= SEQUENCE { latitudeDelta INTEGER (-512..511), longitudeDelta INTEGER (-512..511) }
AdditionalData ::= SEQUENCE { oid OCTET STRING, data OCTET STRING }
END
"""
_TYPES: Final = {
    "passenger": "passengerVehicleClassM1",
    "light-truck": "lightCommercialVehiclesClassN1",
    "heavy": "heavyDutyVehiclesClassN3",
}


def view(document: CrashDocument) -> dict[str, Any]:
    """Fields under their names in EN 15722, the bytes as hexadecimal."""
    structure = msd_structure(document)
    data = additional_data(document)
    message = {"msdStructure": structure, "optionalAdditionalData": {"oid": _OID.hex(), "data": data.hex()}}
    encoded = encode(structure, data)
    return {
        "standard": "EN 15722 (eCall minimum set of data), version 2",
        "statement": (
            "In the form of the minimum set of data, for a service desk. The terminal is no eCall in-vehicle system "
            "and no approved AECS; nothing was sent to an emergency service."
        ),
        "device": document.device,
        "event_id": document.event_id,
        "msdVersion": MSD_VERSION,
        "msd": message,
        "unknown": _unknown(document),
        "additional_data": _additional_fields(document),
        "uper_hex": None if encoded is None else encoded.hex(),
        "uper_note": "" if encoded is not None else "asn1tools is not installed: pip install 'outrider[workstation]'",
    }


def msd_structure(document: CrashDocument) -> dict[str, Any]:
    """``MSDStructure``; what is unknown has the value that EN 15722 gives for it."""
    place, utc_us = document.place, document.time.t0_utc_us
    structure: dict[str, Any] = {
        "messageIdentifier": 1,
        "control": {
            "automaticActivation": True,
            "testCall": False,
            "positionCanBeTrusted": _trusted(document),
            "vehicleType": _TYPES.get(document.calibration.vehicle_class, _TYPES["passenger"]),
        },
        "vehicleIdentificationNumber": {
            "isowmi": _UNKNOWN_VIN[:3],
            "isovds": _UNKNOWN_VIN[3:9],
            "isovisModelyear": _UNKNOWN_VIN[9:10],
            "isovisSeqPlant": _UNKNOWN_VIN[10:],
        },
        "vehiclePropulsionStorageType": {},
        "timestamp": 0 if utc_us is None else min(max(0, utc_us // 1_000_000), 0xFFFFFFFF),
        "vehicleLocation": {
            "positionLatitude": UNKNOWN_PLACE if place is None else round(place.lat_deg * _MAS),
            "positionLongitude": UNKNOWN_PLACE if place is None else round(place.lon_deg * _MAS),
        },
        "vehicleDirection": _direction(document),
    }
    recent = _recent(document)
    structure |= {f"recentVehicleLocationN{i}": delta for i, delta in enumerate(recent, 1)}
    belts = _belts(document)
    return structure if belts is None else structure | {"numberOfPassengers": belts}


def _trusted(document: CrashDocument) -> bool:
    place = document.place
    return place is not None and not place.stale and place.hacc_m is not None and place.hacc_m * _SIGMA_95 <= _TRUST_M


def _direction(document: CrashDocument) -> int:
    place = document.place
    if place is None or place.heading_deg is None:
        return UNKNOWN_DIRECTION
    return round((place.heading_deg % 360) / 2) % 180


def _recent(document: CrashDocument) -> list[dict[str, int]]:
    """Where it was 5 s and 10 s before, as steps of 100 milliarcseconds from the place after it."""
    if document.place is None:
        return []
    found = []
    lat, lon = document.place.lat_deg, document.place.lon_deg
    for before_s in (5.0, 10.0):
        point = _point_at(document.track, -before_s)
        if point is None:
            break
        step = (round((point.lat_deg - lat) * _MAS / 100), round((point.lon_deg - lon) * _MAS / 100))
        if not all(-512 <= part <= 511 for part in step):
            break
        found.append({"latitudeDelta": step[0], "longitudeDelta": step[1]})
        lat, lon = point.lat_deg, point.lon_deg
    return found


def _point_at(track: tuple[TrackPoint, ...], t_s: float) -> TrackPoint | None:
    near = [point for point in track if abs(point.t_s - t_s) <= 2.0]
    return min(near, key=lambda point: abs(point.t_s - t_s), default=None)


def _belts(document: CrashDocument) -> int | None:
    recorder = Recorder(document)
    values = [recorder.at("", paths, -1.0).get("value") for paths in (DRIVER_BELT, PASSENGER_BELT)]
    told = [value for value in values if value is not None]
    return sum(value >= 1 for value in told) if told else None


def additional_data(document: CrashDocument) -> bytes:
    """12 bytes, big-endian: u8 version 1 | u16 delta-V | i16 longitudinal | i16 lateral (0.1 km/h, ISO 8855) | i16 PDOF
    in degrees | u8 confidence in percent | u8 level | u8 flags; 0xFFFF and 0x7FFF unknown."""
    impact = document.impact
    flags = impact.lower_bound | impact.airbag << 1 | impact.rollover << 2 | (impact.impacts > 1) << 3
    return _ADDITIONAL.pack(
        1,
        0xFFFF if impact.dv_kmh is None else max(0, min(round(impact.dv_kmh * 10), 0xFFFE)),
        _tenths(impact.dv_long_kmh),
        _tenths(impact.dv_lat_kmh),
        0x7FFF if impact.pdof_deg is None else _whole(impact.pdof_deg),
        max(0, min(round(document.verdict.confidence * 100), 255)),
        min(document.level, 255),
        flags,
    )


def _tenths(kmh: float | None) -> int:
    return 0x7FFF if kmh is None else max(-32768, min(round(kmh * 10), 32766))


def _whole(degrees: float) -> int:
    return max(-360, min(round(degrees), 360))


def _additional_fields(document: CrashDocument) -> dict[str, Any]:
    impact = document.impact
    return {
        "layout": "docs/reference/crash-package.md, eCall",
        "oid": "none is registered for it; 0 stands in its place",
        "delta_v_kmh": impact.dv_kmh,
        "delta_v_long_kmh": impact.dv_long_kmh,
        "delta_v_lat_kmh": impact.dv_lat_kmh,
        "pdof_deg": impact.pdof_deg,
        "confidence": document.verdict.confidence,
        "level": document.level,
        "at_least": impact.lower_bound,
        "airbag": impact.airbag,
        "rollover": impact.rollover,
        "several_impacts": impact.impacts > 1,
        "signs": "ISO 8855: x forward, y to the left; PDOF 0 frontal, +90 from the left",
    }


def _unknown(document: CrashDocument) -> list[str]:
    found = ["vehicleIdentificationNumber (zeros stand for it)", "vehiclePropulsionStorageType (none is named)"]
    if document.time.t0_utc_us is None:
        found.append("timestamp (0 stands for it)")
    if document.place is None:
        found.append("vehicleLocation (0x7FFFFFFF stands for it)")
    if document.place is None or document.place.heading_deg is None:
        found.append("vehicleDirection (255 stands for it)")
    else:
        found.append("magnetic declination: vehicleDirection is from true north")
    return found


def encode(structure: dict[str, Any], data: bytes) -> bytes | None:
    """The UPER bytes; None without asn1tools."""
    if find_spec("asn1tools") is None:
        return None
    spec = specification()
    message = {"msdStructure": structure, "optionalAdditionalData": {"oid": _OID, "data": data}}
    inner = spec.encode("MsdMessage", message)
    return bytes(spec.encode("EcallMessage", {"msdVersion": MSD_VERSION, "msd": inner}))


@cache
def specification() -> Any:
    """The compiled ASN.1."""
    import asn1tools

    return asn1tools.compile_string(ASN1, "uper")
