"""The same rows in the layouts of others, each really encoded, and read back where that is cheap.

* JSON: an array of objects, names and physical values; with gzip level 6.
* Teltonika Codec 8 Extended (wiki.teltonika-gps.com, "Codec"): GPS element and IO elements with two-byte ids, sized by
  what each signal needs; its count is one byte, so there is no packet of 300.
* JT/T 808-2019: 0x0200 one position a message, 0x0704 a batch; engine values in vendor items (id, length, value).
* AWS IoT FleetWise Edge ``VehicleData`` (interfaces/protobuf/schemas/edgeToCloud/vehicle_data.proto): a tagged double a
  value; with raw snappy, as its ``compression`` has it.
"""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from itertools import groupby
from typing import Any

from drives import Drive
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

FIXED = ("lat", "lon", "alt", "heading", "speed", "satellites")
CODEC8E_MOST = 255


def as_json(drive: Drive, begin: int, end: int) -> bytes:
    rows = []
    for number in range(begin, end):
        row: dict[str, Any] = {"ts": drive.times[number]}
        for column, name in enumerate(drive.names):
            value = drive.value(number, column)
            if value is not None:
                row[name] = round(value, 7) if drive.steps[column] != 1 else drive.rows[number][column]
        rows.append(row)
    return json.dumps(rows, separators=(",", ":")).encode()


def as_json_gzip(drive: Drive, begin: int, end: int) -> bytes:
    return gzip.compress(as_json(drive, begin, end), 6, mtime=0)


# ---- Teltonika Codec 8 Extended ----------------------------------------------------------------------


def as_codec8e(drive: Drive, begin: int, end: int) -> bytes:
    records = b"".join(_avl(drive, number) for number in range(begin, end))
    body = bytes([0x8E, end - begin]) + records + bytes([end - begin])
    return struct.pack(">II", 0, len(body)) + body + struct.pack(">I", crc16_ibm(body))


def _avl(drive: Drive, number: int) -> bytes:
    place = {name: _fixed(drive, number, name) for name in FIXED}
    head = struct.pack(">QB", drive.times[number], 0)
    gps = struct.pack(
        ">iihHBH",
        round((place["lon"] or 0.0) * 1e7),
        round((place["lat"] or 0.0) * 1e7),
        round(place["alt"] or 0.0),
        round(place["heading"] or 0.0) % 360,
        round(place["satellites"] or 0.0),
        round(place["speed"] or 0.0),
    )
    items = sorted((width, column, value) for column, width, value in _others(drive, number))
    out = struct.pack(">HH", 0, len(items))
    by_width = {width: list(group) for width, group in groupby(items, key=lambda item: item[0])}
    for width in (1, 2, 4, 8):
        found = by_width.get(width, [])
        out += struct.pack(">H", len(found))
        for _width, column, value in found:
            out += struct.pack(">H", 256 + column) + value.to_bytes(width, "big", signed=True)
    return head + gps + out + struct.pack(">H", 0)


def read_codec8e(data: bytes) -> list[tuple[int, float, float, dict[int, int]]]:
    """(time, lon, lat, io by id) of each record; ValueError for what does not add up."""
    _preamble, length = struct.unpack_from(">II", data)
    body = data[8 : 8 + length]
    if struct.unpack(">I", data[8 + length :])[0] != crc16_ibm(body) or body[0] != 0x8E or body[1] != body[-1]:
        raise ValueError("codec 8E: frame")
    at, out = 2, []
    for _ in range(body[1]):
        time, _priority, lon, lat = struct.unpack_from(">QBii", body, at)
        at += 9 + 15 + 2
        (total,) = struct.unpack_from(">H", body, at)
        at += 2
        values: dict[int, int] = {}
        for width in (1, 2, 4, 8):
            (count,) = struct.unpack_from(">H", body, at)
            at += 2
            for _ in range(count):
                (key,) = struct.unpack_from(">H", body, at)
                values[key] = int.from_bytes(body[at + 2 : at + 2 + width], "big", signed=True)
                at += 2 + width
        at += 2  # no elements of variable size
        if total != len(values):
            raise ValueError("codec 8E: elements")
        out.append((time, lon / 1e7, lat / 1e7, values))
    if at != len(body) - 1:
        raise ValueError("codec 8E: length")
    return out


def crc16_ibm(data: bytes) -> int:
    table = _crc_table()
    crc = 0
    for byte in data:
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    return crc


@cache
def _crc_table() -> list[int]:
    out = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
        out.append(crc)
    return out


# ---- JT/T 808-2019 -----------------------------------------------------------------------------------


def as_jt808(drive: Drive, begin: int, end: int) -> bytes:
    """One 0x0200 for one row, else 0x0704 messages of at most 1023 bytes of body (without sub-packages)."""
    bodies = [_location(drive, number) for number in range(begin, end)]
    if len(bodies) == 1:
        return _jt808(0x0200, bodies[0])
    out, batch = b"", list[bytes]()
    for body in bodies:
        if 3 + sum(len(b) + 2 for b in batch) + len(body) + 2 > 1023:
            out += _jt808(0x0704, _batch(batch))
            batch = []
        batch.append(body)
    return out + _jt808(0x0704, _batch(batch))


def _batch(bodies: list[bytes]) -> bytes:
    return struct.pack(">HB", len(bodies), 1) + b"".join(struct.pack(">H", len(body)) + body for body in bodies)


def _location(drive: Drive, number: int) -> bytes:
    place = {name: _fixed(drive, number, name) for name in FIXED}
    moment = datetime.fromtimestamp(drive.times[number] / 1000, UTC).astimezone(timezone(timedelta(hours=8)))
    fixed = struct.pack(
        ">IIIIHHH",
        0,
        3,
        abs(round((place["lat"] or 0.0) * 1e6)),
        abs(round((place["lon"] or 0.0) * 1e6)),
        max(0, round(place["alt"] or 0.0)),
        round((place["speed"] or 0.0) * 10),
        round(place["heading"] or 0.0) % 360,
    ) + bytes.fromhex(moment.strftime("%y%m%d%H%M%S"))
    items = b""
    if place["satellites"] is not None:
        items += bytes([0x31, 1, round(place["satellites"])])
    for column, width, value in _others(drive, number):
        items += bytes([0xE0 + column % 32, width]) + value.to_bytes(width, "big", signed=True)
    return fixed + items


def _jt808(message: int, body: bytes) -> bytes:
    head = struct.pack(">HHB", message, len(body) | 1 << 14, 1) + bytes.fromhex("00000000013912345678") + b"\x00\x07"
    data, check = head + body, 0
    for byte in data:
        check ^= byte
    data += bytes([check])
    return b"\x7e" + data.replace(b"\x7d", b"\x7d\x01").replace(b"\x7e", b"\x7d\x02") + b"\x7e"


def read_jt808(data: bytes) -> list[tuple[float, float]]:
    """(lat, lon) of each position; ValueError for what does not add up."""
    out = []
    for framed in (part for part in data.split(b"\x7e") if part):
        plain = framed.replace(b"\x7d\x02", b"\x7e").replace(b"\x7d\x01", b"\x7d")
        check = 0
        for byte in plain:
            check ^= byte
        message, attributes = struct.unpack_from(">HH", plain)
        body = plain[17:-1]
        if check or len(body) != attributes & 0x3FF:
            raise ValueError("JT/T 808: frame")
        parts, at = [body], 3
        if message == 0x0704:
            parts = []
            while at < len(body):
                (length,) = struct.unpack_from(">H", body, at)
                parts.append(body[at + 2 : at + 2 + length])
                at += 2 + length
            if len(parts) != struct.unpack_from(">H", body)[0]:
                raise ValueError("JT/T 808: batch")
        for part in parts:
            lat, lon = struct.unpack_from(">II", part, 8)
            out.append((lat / 1e6, lon / 1e6))
    return out


# ---- FleetWise ---------------------------------------------------------------------------------------


@cache
def _vehicle_data() -> Any:
    """The message class, from the field numbers and types of the published schema."""
    file = descriptor_pb2.FileDescriptorProto(name="bench_vehicle_data.proto", package="bench", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto
    signal = file.message_type.add(name="CapturedSignal")
    for name, number, kind in (
        ("relative_time_ms", 1, kinds.TYPE_SINT64),
        ("signal_id", 2, kinds.TYPE_UINT32),
        ("double_value", 3, kinds.TYPE_DOUBLE),
    ):
        signal.field.add(name=name, number=number, type=kind, label=kinds.LABEL_OPTIONAL)
    signal.oneof_decl.add(name="SignalValue")
    signal.field[2].oneof_index = 0  # written even when 0, as in a oneof
    data = file.message_type.add(name="VehicleData")
    for name, number, kind in (
        ("campaign_sync_id", 1, kinds.TYPE_STRING),
        ("decoder_sync_id", 2, kinds.TYPE_STRING),
        ("collection_event_id", 3, kinds.TYPE_UINT32),
        ("collection_event_time_ms_epoch", 4, kinds.TYPE_UINT64),
    ):
        data.field.add(name=name, number=number, type=kind, label=kinds.LABEL_OPTIONAL)
    data.field.add(
        name="captured_signals",
        number=5,
        type=kinds.TYPE_MESSAGE,
        label=kinds.LABEL_REPEATED,
        type_name=".bench.CapturedSignal",
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)  # type: ignore[no-untyped-call]  # protobuf's own
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("bench.VehicleData"))  # type: ignore[no-untyped-call]


def as_fleetwise(drive: Drive, begin: int, end: int) -> bytes:
    """Ids as its console makes them: an ARN of a campaign and of a decoder manifest."""
    message = _vehicle_data()(
        campaign_sync_id="arn:aws:iotfleetwise:eu-central-1:123456789012:campaign/telemetry-1hz",
        decoder_sync_id="arn:aws:iotfleetwise:eu-central-1:123456789012:decoder-manifest/car-7",
        collection_event_id=begin + 1,
        collection_event_time_ms_epoch=drive.times[begin],
    )
    for number in range(begin, end):
        for column in range(len(drive.names)):
            value = drive.value(number, column)
            if value is not None:
                message.captured_signals.add(
                    relative_time_ms=drive.times[number] - drive.times[begin], signal_id=column + 1, double_value=value
                )
    data: bytes = message.SerializeToString()
    return data


def read_fleetwise(data: bytes) -> int:
    """How many values it holds."""
    return len(_vehicle_data().FromString(data).captured_signals)


def as_fleetwise_snappy(drive: Drive, begin: int, end: int) -> bytes:
    import cramjam

    return bytes(cramjam.snappy.compress_raw(as_fleetwise(drive, begin, end)))


LAYOUTS: dict[str, Callable[[Drive, int, int], bytes]] = {
    "json": as_json,
    "json_gzip": as_json_gzip,
    "teltonika_codec8e": as_codec8e,
    "jt808": as_jt808,
    "fleetwise": as_fleetwise,
    "fleetwise_snappy": as_fleetwise_snappy,
}


def check(name: str, payload: bytes, drive: Drive, begin: int, end: int) -> None:
    """SystemExit when a layout does not say what was put into it."""
    good = True
    if name == "teltonika_codec8e":
        read = read_codec8e(payload)
        good = [row[0] for row in read] == drive.times[begin:end]
        lon = drive.roles.get("lon")
        if lon is not None:
            near = [abs(row[1] - (drive.value(begin + n, lon) or 0.0)) < 1e-6 for n, row in enumerate(read)]
            good = good and all(near)
    elif name == "jt808":
        good = len(read_jt808(payload)) == end - begin
    elif name == "fleetwise":
        good = read_fleetwise(payload) == sum(v is not None for row in drive.rows[begin:end] for v in row)
    elif name == "json":
        good = len(json.loads(payload)) == end - begin
    if not good:
        raise SystemExit(f"{name}: rows {begin}..{end} of {drive.name} did not survive")


def _fixed(drive: Drive, number: int, role: str) -> float | None:
    column = drive.roles.get(role)
    return None if column is None else drive.value(number, column)


def _others(drive: Drive, number: int) -> list[tuple[int, int, int]]:
    """(column, bytes, integer) of the values that no fixed field holds."""
    fixed = set(drive.roles.values())
    row, widths = drive.rows[number], _widths(drive)
    return [(c, widths[c], v) for c, v in enumerate(row) if v is not None and c not in fixed]


_KNOWN: dict[int, list[int]] = {}


def _widths(drive: Drive) -> list[int]:
    """1, 2, 4 or 8 bytes: what each column needs over the whole drive."""
    if id(drive) not in _KNOWN:
        out = []
        for column in range(len(drive.names)):
            values = [row[column] for row in drive.rows if row[column] is not None]
            bits = max((((v or 0) if (v or 0) >= 0 else ~(v or 0)).bit_length() + 1 for v in values), default=1)
            out.append(next(width for width in (1, 2, 4, 8) if 8 * width >= bits))
        _KNOWN[id(drive)] = out
    return _KNOWN[id(drive)]
