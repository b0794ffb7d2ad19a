"""Both ways through the whole receiver: what older terminals sent and older receivers stored; what newer ones send."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from outrider.ingest.core import BeaconFrom, DeadLetter, StreamKey, read_message
from outrider.ingest.sinks.letters import replay
from outrider.ingest.sinks.schema import VERSION
from outrider.ingest.sinks.store_io import Store
from outrider.model.event import Trip
from outrider.model.record import Category, Gap, GapReason, Kind, Lane, Record, StoredRecord
from outrider.wire import bodies
from outrider.wire.birth import Birth
from outrider.wire.bodies import decode_body
from outrider.wire.codec import Batch
from outrider.wire.describe import describe

FOLDER = Path(__file__).parent
NOW = 1_790_000_000_000_000
LEAF = {"birth": "s", "beacon": "b", "batch": "d"}
EPOCH = 0xFEDCBA9876543210


def cases(*kinds: str) -> list[Any]:
    found = [(p.stem, json.loads(p.read_text(encoding="utf-8"))) for p in sorted(FOLDER.glob("*.json"))]
    return [pytest.param(case, id=name) for name, case in found if case["type"] in kinds]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "r.db") as made:
        yield made


@pytest.mark.parametrize("case", cases("batch", "birth", "beacon"))
def test_what_terminals_ever_sent_is_received(store: Store, case: dict[str, Any]) -> None:
    """Every vector since the first version: stored as it was, byte for byte."""
    device = case.get("device", "veh-000123")
    content = read_message(f"t/{device}/{LEAF[case['type']]}", bytes.fromhex(case["payload"]), max_bytes=1 << 20)
    match content:
        case Batch():
            assert store.accept(content, NOW).new == len(case["canonical"])
            store.commit()
            assert [s.canonical().hex() for s in store.records(device)] == case["canonical"]
        case Birth():
            store.accept_birth(content, NOW)
            store.commit()
            assert store.devices()[0]["online"] is case["online"]
        case _:
            assert isinstance(content, BeaconFrom)
    assert not store.dead_letters()


@pytest.mark.parametrize("case", cases("newer"))
def test_what_newer_terminals_send_is_kept(store: Store, case: dict[str, Any]) -> None:
    """Stored and acknowledged as it is, without a complaint; or, where the frame itself is not known, a letter with the
    reason and no acknowledgement, so that the terminal keeps it."""
    content = read_message(case["topic"], bytes.fromhex(case["payload"]), max_bytes=1 << 20)
    if "letter" in case:
        assert isinstance(content, DeadLetter)
        assert case["letter"] in content.reason
        return
    assert isinstance(content, Batch)
    store.accept(content, NOW)
    store.commit()
    assert not store.dead_letters()
    [(stream, position)] = store.positions().items()
    assert position == case["acknowledged"]
    stored = list(store.records(stream.device))
    assert [s.canonical().hex() for s in stored] == case["canonical"]
    for s in stored:
        assert "error" not in describe(s.record.kind, s.record.body)


def test_a_receiver_of_before_keeps_what_one_of_after_reads(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver that knows no trips and not the reason ``thinned`` gets both from today's terminal; after its upgrade
    they are readable."""
    trip = bytes.fromhex(json.loads((FOLDER / "body-trip.json").read_text(encoding="utf-8"))["payload"])
    gap = bytes.fromhex(json.loads((FOLDER / "body-gap-thinned.json").read_text(encoding="utf-8"))["payload"])
    with monkeypatch.context() as before:
        before.delitem(bodies._FORMATS, Kind.TRIP)
        before.setattr(GapReason, "_value2member_map_", {int(r): r for r in GapReason if r != GapReason.THINNED})
        assert GapReason(6).name == "GAPREASON_6"
        assert "opaque" in describe(Kind.TRIP, trip)
        records = [
            StoredRecord(EPOCH, n, Record(Lane.EVENT, kind, Category.SYSTEM, 7, 0, body))
            for n, (kind, body) in enumerate([(Kind.TRIP, trip), (Kind.GAP, gap)], 1)
        ]
        store.accept(Batch("car", EPOCH, Lane.EVENT, tuple(records)), NOW)
        store.commit()
        assert [g.reason for g in store.gaps()] == ["gapreason_6"]
        assert not store.dead_letters()
    assert [g.reason for g in store.gaps()] == ["thinned"]
    assert store.position(StreamKey("car", EPOCH, Lane.EVENT)) == 2
    kept = [decode_body(s.record.kind, s.record.body) for s in store.records("car")]
    assert [type(body) for body in kept] == [Trip, Gap]


def test_a_letter_is_of_use_after_the_upgrade(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of a lane that was not known then."""
    case = json.loads((FOLDER / "batch-telemetry-60.json").read_text(encoding="utf-8"))
    payload, topic = bytes.fromhex(case["payload"]), f"t/{case['device']}/d"
    with monkeypatch.context() as before:
        known = {name: lane for name, lane in Lane.__members__.items() if lane != Lane.TELEMETRY}
        before.setattr(Lane, "_member_map_", known)
        content = read_message(topic, payload, max_bytes=1 << 20)
        assert isinstance(content, DeadLetter)
        store.dead_letter(topic, content.reason, payload, NOW)
        store.commit()
        assert replay(store, list(store.letters())).still == 1
    done = replay(store, list(store.letters()))
    assert (done.letters, done.records) == (1, 60)
    assert not store.dead_letters()
    assert [s.canonical().hex() for s in store.records(case["device"])] == case["canonical"]


@pytest.mark.parametrize("version", [1, 2])
def test_databases_of_older_receivers_go_on(tmp_path: Path, version: int) -> None:
    """Files that versions 1 and 2 wrote, with holes, gaps, a conflict and another epoch: the same content, and the
    streams go on where they were."""
    folder, path = FOLDER / "databases", tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript((folder / f"receiver-v{version}.sql").read_text(encoding="utf-8"))
    told = json.loads((folder / f"receiver-v{version}.json").read_text(encoding="utf-8"))
    with Store.open(path) as store:
        assert store.sql.rows("PRAGMA user_version") == [(VERSION,)]
        digests = {f"{e:016x} {int(lane)}": list(v) for (e, lane), v in store.digest("car").items()}
        positions = {f"{k.epoch:016x} {int(k.lane)}": n for k, n in store.positions().items()}
        gaps = [[f"{g.stream.epoch:016x}", int(g.stream.lane), g.first_seq, g.last_seq, g.reason] for g in store.gaps()]
        assert (digests, positions) == (told["digest"], told["positions"])
        assert sorted(gaps) == sorted(told["gaps"])
        assert [reason.split(":")[0] for _topic, reason, _payload in store.dead_letters()] == ["conflict", "damaged"]
        assert store.next_ack_counter("car", 0) > NOW
        key = StreamKey("car", EPOCH, Lane.TELEMETRY)
        for first, last, position in ((6, 8, 11), (12, 14, 21)):  # what came ahead of a hole was not forgotten
            records = [record(n) for n in range(first, last + 1)]
            assert store.accept(Batch("car", EPOCH, Lane.TELEMETRY, tuple(records), first - 1), NOW).new == 3
            assert store.position(key) == position
        store.commit()
        assert not store.sql.rows("SELECT * FROM ahead")
        assert store.accept(Batch("car", EPOCH, Lane.TELEMETRY, (record(9), record(10)), 8), NOW).duplicates == 2
        assert not store.alarms.listing()
        store.commit()


def record(seq: int) -> StoredRecord:
    return StoredRecord(
        EPOCH, seq, Record(Lane.TELEMETRY, Kind(200), Category.DRIVING, 7, 0, f"{Lane.TELEMETRY} {seq}".encode())
    )
