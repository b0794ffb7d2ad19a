"""Commit, then confirm, then acknowledge; and what is put off, counted and refused on the way."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from outrider.clock import ManualClock
from outrider.errors import JournalError
from outrider.ingest.intake import Intake
from outrider.ingest.keys import KeyRing
from outrider.ingest.meter import NoMeter
from outrider.ingest.options import BrokerOptions, ReceiverOptions
from outrider.ingest.sinks.sink import Sink
from outrider.ingest.sinks.store_io import Store
from outrider.ingest.sources.source import Incoming
from outrider.model.record import Category, Gap, GapReason, Kind, Lane, Record, StoredRecord
from outrider.wire.ack import Ack, LanePosition, verify_ack
from outrider.wire.bodies import encode_body
from outrider.wire.codec import encode_batch
from tests.support.memory_log import MemoryLog, opaque, telemetry

KEY = bytes(range(32))
EPOCH = 0x1122334455667788


class Desk:
    """A source that writes down what it is told, in the order with the sink's commits."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.acks: list[tuple[str, bytes]] = []
        self.publishing = 0

    def backlog(self) -> int | None:
        return None

    def poll(self, timeout_s: float) -> list[Incoming]:
        return []

    def confirm(self, messages: Iterable[Incoming]) -> None:
        self.told += [f"confirm {message.token}" for message in messages]

    def publish(self, topic: str, payload: bytes) -> bool:
        self.told.append(f"publish {topic}")
        self.acks.append((topic, payload))
        return True

    def is_answered(self) -> bool:
        return True

    def close(self) -> None:
        pass


class Bench:
    """An intake over a real store, a desk and a clock driven by hand."""

    def __init__(self, directory: Path, **changes: object) -> None:
        directory.mkdir(exist_ok=True)
        self.store = Store.open(directory / "r.db")
        self.desk = Desk()
        self.clock = ManualClock()
        self.counters: Counter[str] = Counter()
        options = ReceiverOptions(keys=KeyRing(master=KEY), **changes)  # type: ignore[arg-type]  # test convenience
        self.keys = options.keys
        commit = self.store.commit

        def noted() -> None:
            commit()
            self.desk.told.append("commit")

        self.store.commit = noted  # type: ignore[method-assign]  # of this one object
        sink: Sink = self.store
        self.intake = Intake(sink, options, self.clock, self.counters, NoMeter())

    def handle(self, *messages: Incoming, crowded: bool = False) -> None:
        self.intake.handle(self.desk, messages, self.clock.boottime_us(), crowded=crowded)

    def last_ack(self, device: str) -> Ack:
        payload = [payload for topic, payload in self.desk.acks if topic == f"t/{device}/a"][-1]
        key = self.keys.key(device)
        assert key is not None
        return verify_ack(payload, key, device)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.store.close()


def batch(device: str, first: int = 1, count: int = 3, *, lane: Lane = Lane.TELEMETRY, token: object = 1) -> Incoming:
    log, rng = MemoryLog(EPOCH), random.Random(7)
    for index in range(first + count - 1):
        log.append(telemetry(index, rng) if lane is Lane.TELEMETRY else opaque(lane, index, 20, rng), durable=False)
    log.commit()
    payload = encode_batch(device, log.read(EPOCH, lane, first, count, 1 << 20))
    return Incoming(f"t/{device}/{'d' if lane >= Lane.TELEMETRY else 'e'}", payload, token=token)


def test_the_order_is_commit_then_confirm_then_acknowledge(bench: Bench) -> None:
    """A power cut between two of them loses nothing; any other order could. (Seen to fail with ``confirm`` before
    ``commit`` in ``Intake._finish``.)"""
    bench.handle(batch("a", token=1), batch("b", token=2))
    assert bench.desk.told == ["commit", "confirm 1", "confirm 2", "publish t/a/a", "publish t/b/a"]


def test_what_the_sink_refuses_is_neither_confirmed_nor_acknowledged(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And leaves nothing owed: the next group speaks of itself only."""

    def full() -> None:
        raise JournalError("database: disk full")

    with monkeypatch.context() as broken:
        broken.setattr(bench.store, "commit", full)
        with pytest.raises(JournalError):
            bench.handle(batch("a"))
    bench.intake.forget()
    assert bench.desk.told == []
    assert bench.counters["records"] == 0, "it comes again, and counts then"
    bench.handle(batch("b", token=2))
    assert bench.desk.told == ["commit", "confirm 2", "publish t/b/a"]
    assert bench.store.digest("a") == {}


def test_events_of_a_group_go_before_telemetry(bench: Bench) -> None:
    """They are decoded, stored and answered first, even in a commit of their own."""
    bench.intake._options = ReceiverOptions(keys=bench.keys, group_limit_s=-1.0)
    bench.handle(batch("a", token="slow"), batch("b", lane=Lane.EVENT, token="urgent"))
    assert bench.desk.told[1] == "confirm urgent"


def test_a_flood_is_confirmed_and_not_stored_while_others_wait(bench: Bench) -> None:
    """So it costs nobody else's time, and its records come again from the terminal, which has no acknowledgement."""
    bench.intake._fairness.spend("flood", 5e6)
    bench.intake._fairness.spend("car", 2e5)
    bench.handle(batch("flood", token="put off"), batch("car", token="stored"), crowded=True)
    assert bench.counters["shed"] == 1
    assert "confirm put off" in bench.desk.told
    assert bench.store.digest("flood") == {}
    assert bench.last_ack("car").positions[0].up_to_seq == 3
    bench.handle(batch("flood"), crowded=False)
    assert bench.last_ack("flood").positions[0].up_to_seq == 3


def test_garbage_of_one_terminal_fills_no_shelf(bench: Bench) -> None:
    """Of a thousand useless payloads fifty are kept; all are counted, and confirmed so that they do not come again."""
    bench.handle(*[Incoming("t/bad/d", bytes((0xFF, n % 256)), token=n) for n in range(1000)])
    bench.handle(Incoming("t/other/d", b"\xff", token="other"))
    assert bench.counters["dead_letters"] == 1001
    assert bench.counters["letters_not_kept"] == 950
    assert len(list(bench.store.letters())) == 51
    assert sum(told.startswith("confirm") for told in bench.desk.told) == 1001


def test_conflicts_of_one_terminal_fill_no_shelf(bench: Bench) -> None:
    """Other content under stored numbers, again and again: all are counted, the batches of fifty are kept."""
    bench.handle(Incoming("t/car/e", conflicting(b"first"), token=0))
    for n in range(60):
        bench.handle(Incoming("t/car/e", conflicting(b"%d" % n), token=n))
    assert bench.counters["conflicts"] == 600
    assert len(list(bench.store.letters())) == 50
    bench.handle(Incoming("t/other/d", b"\xff", token="other"))
    assert len(list(bench.store.letters())) == 51


def conflicting(body: bytes) -> bytes:
    records = [
        StoredRecord(EPOCH, n, Record(Lane.EVENT, Kind(200), Category.DRIVING, 7, 0, body)) for n in range(1, 11)
    ]
    return encode_batch("car", records)


def test_a_terminal_that_speaks_for_another_is_refused(bench: Bench) -> None:
    """The batch of one device on the topic of another is a dead letter that names both; nothing of it is stored."""
    forged = batch("victim")
    bench.handle(Incoming("t/thief/d", forged.payload, token=1))
    (letter,) = bench.store.letters()
    assert "victim" in letter.reason
    assert "thief" in letter.reason
    assert bench.store.digest("victim") == {}
    assert bench.desk.acks == []


def test_a_huge_retained_message_is_refused_unread(bench: Bench) -> None:
    """Whatever stands on a status topic for ever: counted, its head kept, the rest of the fleet served."""
    huge = Incoming("t/big/s", bytes(4 << 20), retained=True, token=1)
    bench.handle(huge, batch("car", token=2))
    (letter,) = bench.store.letters()
    assert letter.size == 4 << 20
    assert len(letter.payload) == 65_536
    assert bench.last_ack("car").positions[0].up_to_seq == 3


def test_a_batch_that_names_thousands_of_epochs_gets_an_acknowledgement_that_can_be_read(bench: Bench) -> None:
    """Its gaps are of other epochs, each of which would be told; its own stream is among those that are."""
    bodies = [encode_body(Gap(epoch, 1, 1, GapReason.CORRUPT)) for epoch in range(1, 5001)]
    gaps = [
        StoredRecord(EPOCH, n, Record(Lane.EVENT, Kind.GAP, Category.SYSTEM, 7, 0, body))
        for n, body in enumerate(bodies, 1)
    ]
    bench.handle(Incoming("t/car/e", encode_batch("car", gaps), token=1))
    positions = bench.last_ack("car").positions
    assert len(positions) == 256
    assert LanePosition(EPOCH, Lane.EVENT, 5000) in positions


def test_one_of_several_receivers_tells_all_lanes_of_the_epoch(tmp_path: Path) -> None:
    """Acknowledgements of two receivers may overtake each other, and a terminal takes the newest alone: so each says
    all. (Of one receiver alone each says what changed; that is shorter.)"""
    alone, shared = (
        Bench(tmp_path / "a", broker=BrokerOptions()),
        Bench(tmp_path / "b", broker=BrokerOptions(shared="g")),
    )
    for bench, told in ((alone, 1), (shared, 2)):
        bench.handle(batch("car"))
        bench.handle(batch("car", lane=Lane.EVENT))
        assert len(bench.last_ack("car").positions) == told
        bench.store.close()
