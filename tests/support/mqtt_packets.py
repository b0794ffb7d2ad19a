"""Just enough MQTT to cut a stream into packets, to look into them, and to make wrong ones."""

from __future__ import annotations

from collections.abc import Iterator

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, PINGRESP = 1, 2, 3, 4, 8, 9, 12, 13


def packets(buffer: bytearray) -> Iterator[bytes]:
    """Whole MQTT packets, taken off the front of the buffer."""
    while len(buffer) >= 2:
        length = shift = 0
        for index in range(1, min(5, len(buffer))):
            length |= (buffer[index] & 0x7F) << shift
            shift += 7
            if not buffer[index] & 0x80:
                break
        else:
            return
        end = index + 1 + length
        if len(buffer) < end:
            return
        packet = bytes(buffer[:end])
        del buffer[:end]
        yield packet


def body_at(packet: bytes) -> int:
    """Where the part after the length begins."""
    start = 1
    while packet[start] & 0x80:
        start += 1
    return start + 1


def connect_level(packet: bytes) -> int:
    """Protocol level of a CONNECT: 4 is 3.1.1, 5 is 5.0."""
    start = body_at(packet)
    return packet[start + 2 + int.from_bytes(packet[start : start + 2], "big")]


def publish_parts(packet: bytes, level: int) -> tuple[str, bytes, bytes]:
    """Topic, message id (empty at QoS 0), payload."""
    start = body_at(packet)
    end = start + 2 + int.from_bytes(packet[start : start + 2], "big")
    topic = packet[start + 2 : end].decode()
    ident = packet[end : end + 2] if packet[0] & 0x06 else b""
    body = packet[end + len(ident) :]
    return topic, ident, body[1 + body[0] :] if level == 5 else body  # properties of fewer than 128 bytes


def packet(kind: int, body: bytes, flags: int = 0) -> bytes:
    """A whole packet with its length in front."""
    length, out = len(body), bytearray()
    while True:
        out.append((length & 0x7F) | (0x80 if length > 0x7F else 0))
        length >>= 7
        if not length:
            return bytes([kind << 4 | flags]) + bytes(out) + body


def publish(topic: str, payload: bytes, level: int = 5, *, qos: int = 0, ident: int = 1) -> bytes:
    name = topic.encode()
    head = len(name).to_bytes(2, "big") + name + (ident.to_bytes(2, "big") if qos else b"")
    return packet(PUBLISH, head + (b"\0" if level == 5 else b"") + payload, qos << 1)


def connack(level: int, code: int = 0, properties: bytes = b"") -> bytes:
    """properties: as on the wire, for level 5."""
    return packet(CONNACK, bytes([0, code]) + (bytes([len(properties)]) + properties if level == 5 else b""))
