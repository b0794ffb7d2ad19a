"""One beacon on its way, or none: what is old is worth nothing."""

from __future__ import annotations

from outrider.uplink.beacon_io import BeaconSlot
from outrider.uplink.traffic import publish_bytes


class Socket:
    """An outlet that takes or does not take."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.writable = True

    def publish_once(self, topic: str, payload: bytes) -> int:
        self.sent.append((topic, payload))
        return publish_bytes(topic, len(payload), qos=0, v5=True)

    def is_writable(self) -> bool:
        return self.writable


def test_it_goes_out_on_the_connection_there_is() -> None:
    """Once, on the topic of beacons."""
    slot, socket = BeaconSlot("t/car/b"), Socket()
    slot.open()
    assert slot.put(b"one")
    slot.send(socket)
    slot.send(socket)
    assert socket.sent == [("t/car/b", b"one")]
    assert slot.counters() == {"beacons": 1, "beacons_dropped": 0}
    assert slot.sent_bytes() == 3 + 5 + len("t/car/b")


def test_without_a_connection_it_is_dropped() -> None:
    """Nothing waits for the next connection: then it would lie about where the car is."""
    slot, socket = BeaconSlot("t/car/b"), Socket()
    assert not slot.put(b"early")
    slot.open()
    slot.put(b"waiting")
    slot.close()
    slot.open()
    slot.send(socket)
    assert socket.sent == []
    assert slot.counters() == {"beacons": 0, "beacons_dropped": 2}


def test_a_slow_socket_gets_the_newest_only() -> None:
    """What waits gives way, and the loss is counted."""
    slot, socket = BeaconSlot("t/car/b"), Socket()
    slot.open()
    socket.writable = False
    for payload in (b"1", b"2", b"3"):
        slot.put(payload)
        slot.send(socket)
    assert socket.sent == []
    assert slot.is_waiting()
    socket.writable = True
    slot.send(socket)
    assert socket.sent == [("t/car/b", b"3")]
    assert slot.counters() == {"beacons": 1, "beacons_dropped": 2}


def test_the_last_one_of_a_connection_goes_anyway() -> None:
    """Goodbye is said to a full socket as well; DISCONNECT follows it."""
    slot, socket = BeaconSlot("t/car/b"), Socket()
    slot.open()
    socket.writable = False
    slot.put(b"goodbye")
    slot.send(socket, anyway=True)
    assert socket.sent == [("t/car/b", b"goodbye")]
