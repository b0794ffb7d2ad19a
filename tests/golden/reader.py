"""A reader of batches, written from docs/reference/mqtt.md alone: nothing of outrider, no protobuf library.

It is the proof that the page tells enough, and a starting point for other languages. ``read_batch(payload)`` returns
(device, [canonical bytes of each record]), ``read_beacon(payload)`` its fields. It trusts its input; a real reader
bounds sizes and counts as the page says.
"""

from __future__ import annotations

import struct
from collections import defaultdict

import zstandard


def read_batch(payload: bytes) -> tuple[str, list[bytes]]:
    if payload[0] == 0x11:
        zstd = zstandard.ZstdDecompressor().decompressobj()
        message = zstd.decompress(bytes.fromhex("28b52ffd") + payload[1:])
    else:
        assert payload[0] == 0x10
        message = payload[1:]
    batch = fields(message)
    device = batch[1][0].decode()
    epoch = struct.unpack("<Q", batch[2][0])[0] if batch[2] else 0
    lane, count = batch[3][-1] if batch[3] else 0, batch[5][0]
    numbers = sequences([n for packed in batch[12] for n in varints(packed)] or [batch[4][0], count])
    heads = [fields(head) for head in batch[6]]
    runs = [n for packed in batch[7] for n in varints(packed)] or [0, count]
    per_record = [heads[at] for at, n in zip(runs[::2], runs[1::2], strict=True) for _ in range(n)]
    rows = [head for head in per_record if head[5]]
    times, columns = Stream(batch[8][0]).columns(count, len(rows))
    bodies, row_number, out = iter(batch[9]), 0, []
    for index, head in enumerate(per_record):
        if head[5]:
            cells = [(signal, x[row_number]) for signal, x in columns if x[row_number] is not None]
            body = head[5][0] + row(cells)
            row_number += 1
        else:
            body = next(bodies)
        kind, category, schema = (head[n][0] if head[n] else 0 for n in (1, 2, 3))
        boot = struct.unpack("<I", head[4][0])[0] if head[4] else 0
        canonical = struct.pack("<QBQBBBIq", epoch, lane, numbers[index], kind, category, schema, boot, times[index])
        out.append(canonical + body)
    return device, out


def sequences(runs: list[int]) -> list[int]:
    """Pairs (numbers passed over, records) as one number per record."""
    out: list[int] = []
    following = 0
    for skipped, length in zip(runs[::2], runs[1::2], strict=True):
        following += skipped
        out += range(following, following + length)
        following += length
    return out


def read_beacon(payload: bytes) -> dict:
    """Fields by name, in the units of their names; None for unknown."""
    assert payload[0] == 0x12
    interval, boot = struct.unpack_from("<BI", payload, 1)
    t, utc = (int.from_bytes(payload[at:end], "little") for at, end in ((6, 11), (11, 17)))
    lat, lon, hacc, speed, heading, signal, decel = struct.unpack_from("<iiHHHbh", payload, 17)
    return {
        "boot_id": boot,
        "t_us": 1000 * t,
        "utc_us": None if utc == 2**48 - 1 else 1000 * utc,
        "lat_deg": None if lat == -(2**31) else lat / 1e7,
        "lon_deg": None if lat == -(2**31) else lon / 1e7,
        "hacc_m": None if hacc == 65535 else hacc / 10,
        "speed_mps": speed / 100,
        "heading_deg": None if heading == 65535 else heading / 100,
        "signal_dbm": None if signal == -128 else signal,
        "decel_mps2": None if decel == -32768 else decel / 100,
        "interval_s": interval,
    }


# ---- protobuf, as much as is needed -----------------------------------------------------------------------


def varints(data: bytes) -> list[int]:
    out, number, shift = [], 0, 0
    for byte in data:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            out.append(number)
            number = shift = 0
    return out


def fields(data: bytes) -> defaultdict[int, list]:
    """Field number -> values: ints for varints, bytes for everything else."""
    out: defaultdict[int, list] = defaultdict(list)
    at = 0

    def varint() -> int:
        nonlocal at
        end = at
        while data[end] > 0x7F:
            end += 1
        number = varints(data[at : end + 1])[0]
        at = end + 1
        return number

    while at < len(data):
        tag = varint()
        if tag & 7 == 0:
            out[tag >> 3].append(varint())
            continue
        size = {1: 8, 5: 4}.get(tag & 7) or varint()
        out[tag >> 3].append(data[at : at + size])
        at += size
    return out


def row(cells: list[tuple[int, int]]) -> bytes:
    """Telemetry row after its table id."""
    out, last = bytearray(), -1
    for signal, x in cells:
        out += varint_of(signal - last - 1) + varint_of(2 * x if x >= 0 else -2 * x - 1)
        last = signal
    return bytes(out)


def varint_of(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


# ---- columns -------------------------------------------------------------------------------------------------


class Contexts:
    """Probability of a 0 and number of bits seen, per context; new contexts start at one half."""

    def __init__(self) -> None:
        self.p: defaultdict[object, int] = defaultdict(lambda: 32768)
        self.n: defaultdict[object, int] = defaultdict(int)


class Stream:
    def __init__(self, data: bytes) -> None:
        self.data = data + bytes(4)
        self.at = 4
        self.code = int.from_bytes(self.data[:4], "big")
        self.range = 0xFFFFFFFF
        self.headers = Contexts()

    def refill(self) -> None:
        while self.range < 1 << 24:
            self.code = (self.code << 8 | self.data[self.at]) & 0xFFFFFFFF
            self.range <<= 8
            self.at += 1

    def bit(self, contexts: Contexts, name: object) -> int:
        p, n = contexts.p[name], contexts.n[name]
        rate = 65536 // (n + 3)
        bound = (self.range >> 16) * p
        if self.code < bound:
            self.range = bound
            contexts.p[name] = p + ((65536 - p) * rate >> 16)
            bit = 0
        else:
            self.code -= bound
            self.range -= bound
            contexts.p[name] = p - (p * rate >> 16)
            bit = 1
        contexts.n[name] = min(n + 1, 61)
        self.refill()
        return bit

    def raw(self, size: int) -> int:
        value = 0
        while size:
            some = min(16, size)
            self.range >>= some
            part = self.code // self.range
            self.code -= part * self.range
            self.refill()
            value = value << some | part
            size -= some
        return value

    def tree(self, name: str, size: int) -> int:
        node = 1
        for _ in range(size):
            node = node << 1 | self.bit(self.headers, (name, node))
        return node - (1 << size)

    def number(self, name: str) -> int:
        if not self.bit(self.headers, (name, "not 0")):
            return 0
        length = self.tree(name, 6)
        return 1 << length | self.raw(length)

    def signed(self, name: str) -> int:
        number = self.number(name)
        return number >> 1 if number % 2 == 0 else -(number >> 1) - 1

    def columns(self, count: int, rows: int) -> tuple[list[int], list[tuple[int, list]]]:
        times, _ = self.column(Contexts(), count, {})
        out: list[tuple[int, list]] = []
        full: dict[int, list[int]] = {}
        signal = -1
        for index in range(self.number("columns")):
            signal += self.number("id") + 1
            contexts = Contexts()
            if self.bit(self.headers, "sparse"):
                present, last = [], 1
                for _ in range(rows):
                    last = self.bit(contexts, ("present", last))
                    present.append(last)
                values = iter(self.column(contexts, sum(present), {})[0])
                out.append((signal, [next(values) if here else None for here in present]))
            else:
                x, full[index] = self.column(contexts, rows, full)
                out.append((signal, x))
        return times, out

    def column(self, contexts: Contexts, count: int, full: dict[int, list[int]]) -> tuple[list[int], list[int]]:
        scale = self.number("scale") + 1
        first = self.signed("first")
        predictor = self.tree("predictor", 3)
        reference, factor = None, 0
        if self.bit(self.headers, "referenced"):
            reference = full[self.number("reference")]
            factor = self.signed("factor")
        usual = self.tree("usual", 6) + 1
        r = self.residuals(contexts, count - 1, usual)
        z = [0]
        d = before = 0
        for v in r:
            if predictor == 0:
                z.append(v)
                continue
            expected = [None, 0, d, d >> 1, (d + before) >> 1][predictor]
            before, d = d, expected + v
            z.append(z[-1] + d)
        y = z if reference is None else [a + ((factor * w + 32768) >> 16) for a, w in zip(z, reference, strict=True)]
        x = [(first + scale * v + (1 << 63)) % (1 << 64) - (1 << 63) for v in y]
        return x, y

    def residuals(self, contexts: Contexts, count: int, usual: int) -> list[int]:
        out: list[int] = []
        last = 0
        for _ in range(count):
            last_sign = (last > 0) - (last < 0)
            last = 0
            if self.bit(contexts, ("not 0", last_sign != 0)):
                negative = self.bit(contexts, ("sign", last_sign))
                length = usual
                while length < 64 and self.bit(contexts, ("longer", length)):
                    length += 1
                while length <= usual and length > 1 and self.bit(contexts, ("shorter", length)):
                    length -= 1
                last = 1
                if length > 1:
                    last = 2 | self.bit(contexts, ("second", length))
                    last = last << (length - 2) | self.raw(length - 2)
                last = -last if negative else last
            out.append(last)
        return out
