"""Emergencies that flash refuses leave the car all the same, and no number ever means two things."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from outrider.clock import SystemClock
from outrider.errors import JournalError
from outrider.model.notice import Notice, NoticeCode
from outrider.model.record import Kind, Lane, Record, StoredRecord
from outrider.record.format import RECORD_HEADER_BYTES
from outrider.record.journal import Journal
from outrider.record.storage_io import DirectoryFile, DirectoryStorage
from outrider.record.storage_memory import MemoryStorage, Operation, refusal
from outrider.record.volatile import MAX_BYTES, MAX_RECORDS, Volatile
from outrider.record.writer_io import HANG_US, JournalWriter, WriterOptions
from outrider.wire.bodies import decode_body
from tests.support.records import SMALL, open_journal, record
from tests.support.year_link import DEVICE, Link, Station


def dead(op: Operation) -> None:
    if op.kind in ("write", "create", "sync"):
        raise refusal(5, "Input/output error")


def refused(journal: Journal, number: int) -> Record:
    """An emergency on a disk that takes nothing."""
    emergency = record(Lane.EMERGENCY, number)
    journal.append(emergency)
    with pytest.raises(JournalError):
        journal.commit(Lane.EMERGENCY)
    return emergency


def sent(journal: Journal) -> dict[int, list[StoredRecord]]:
    """What the sending side is offered of the emergency lane, by epoch."""
    return {
        stream.epoch: journal.read(stream.epoch, Lane.EMERGENCY, stream.acknowledged + 1, 100, 1 << 20)
        for stream in journal.streams()
        if stream.lane is Lane.EMERGENCY
    }


def test_what_flash_refuses_is_offered_under_an_epoch_of_its_own() -> None:
    """The first record says what this epoch is; then the emergencies in order, each once however often it is tried."""
    storage = MemoryStorage()
    journal = open_journal(storage)
    storage.fail = dead
    first = refused(journal, 1)
    with pytest.raises(JournalError):
        journal.commit(Lane.EMERGENCY)
    second = refused(journal, 2)
    assert journal.wait_durable(0), "the sending side is woken"
    ((epoch, offered),) = sent(journal).items()
    assert epoch not in (0, journal.epoch)
    assert [stored.seq for stored in offered] == [1, 2, 3]
    mark = decode_body(Kind.NOTICE, offered[0].record.body)
    assert isinstance(mark, Notice)
    assert mark.code == NoticeCode.STORAGE_FAULT
    assert dict(mark.detail) == {"epoch": "volatile", "flash_epoch": f"{journal.epoch:016x}"}
    assert [stored.record for stored in offered[1:]] == [first, second]
    assert journal.stats().lanes[Lane.EMERGENCY].durable == 0, "nothing of the true epoch is told before it is on flash"
    assert journal.stats().from_memory == 3


def test_what_is_acknowledged_is_freed_and_absurd_positions_are_refused() -> None:
    """As with any stream."""
    storage = MemoryStorage()
    journal = open_journal(storage)
    storage.fail = dead
    refused(journal, 1)
    (epoch,) = sent(journal)
    assert not journal.acknowledge(epoch, Lane.EMERGENCY, 3)
    assert not journal.acknowledge(epoch, Lane.EMERGENCY, -1)
    assert journal.acknowledge(epoch, Lane.EMERGENCY, 2)
    assert journal.acknowledge(epoch, Lane.EMERGENCY, 1), "an old one changes nothing"
    assert sent(journal) == {}
    third = refused(journal, 2)
    assert [(s.seq, s.record) for s in sent(journal)[epoch]] == [(3, third)]


def test_the_disk_takes_it_later_under_its_own_number() -> None:
    """Both are there: the copy that was sent stays what it was, and flash holds the record."""
    storage = MemoryStorage()
    journal = open_journal(storage)
    storage.fail = dead
    first = refused(journal, 1)
    storage.fail = None
    assert journal.commit(Lane.EMERGENCY) == 1
    offered = sent(journal)
    assert [stored.record for stored in offered.pop(journal.epoch)] == [first]
    ((_epoch, copies),) = offered.items()
    assert [stored.record for stored in copies[1:]] == [first]
    again = open_journal(MemoryStorage(storage.files()), seed=2)
    assert again.epoch == journal.epoch
    assert list(sent(again)) == [journal.epoch], "the other one is gone with the memory, and never comes back"


def test_each_run_has_its_own() -> None:
    """What a run sent from memory, the next one does not know: so it must not count on."""
    epochs: set[int] = set()
    for seed in range(20):
        storage = MemoryStorage()
        journal = open_journal(storage, seed=seed)
        storage.fail = dead
        refused(journal, 1)
        epochs.update(sent(journal))
    assert len(epochs) == 20


def test_memory_is_bounded() -> None:
    """Beyond the bounds nothing more is copied; it waits for flash."""
    small = Volatile(Random(1), 7, 5)
    small.add(record(Lane.EMERGENCY, n) for n in range(MAX_RECORDS + 50))
    assert small.durable == MAX_RECORDS
    assert small.refused == 51
    large = Volatile(Random(1), 7, 5)
    large.add([record(Lane.EMERGENCY, n, size=60_000) for n in range(9)])
    held: Sequence[StoredRecord] = large.read(1, 100, 1 << 30)
    assert sum(RECORD_HEADER_BYTES + len(stored.record.body) for stored in held) <= MAX_BYTES
    assert [stored.seq for stored in large.read(2, 100, 70_000)] == [2]


def test_the_receiver_stores_it_like_any_other(tmp_path: Path) -> None:
    """Through core, pump, store and signed acknowledgement, while the disk is dead; later the one on flash as well."""
    storage = MemoryStorage()
    journal = open_journal(storage)
    storage.fail = dead
    emergency = refused(journal, 1)
    station = Station(tmp_path / "store.db")
    link = Link(journal, station, Random(3))
    now = 1
    while journal.streams():
        now += 20_000_000
        link.turn(now, now)
    kinds = [stored.record for stored in station.store.records(DEVICE)]
    assert emergency in kinds
    storage.fail = None
    journal.commit()
    while journal.streams():
        now += 20_000_000
        link.turn(now, now)
    assert [stored.record for stored in station.store.records(DEVICE)].count(emergency) == 2
    assert station.counters["conflicts"] == 0


class HangingClock(SystemClock):
    """Runs ahead when told to."""

    ahead_us = 0

    def boottime_us(self) -> int:
        return super().boottime_us() + self.ahead_us


def test_a_disk_that_does_not_answer_holds_up_no_emergency(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer's thread hangs in a sync of telemetry: an emergency behind it is offered after some seconds."""
    journal = Journal.open(DirectoryStorage(tmp_path), SMALL, boot_id=7, rng=Random(1))
    clock = HangingClock()
    writer = JournalWriter(journal, WriterOptions(telemetry_commit_s=0.001), clock)
    hangs, answers = threading.Event(), threading.Event()
    sync = DirectoryFile.sync

    def hang(file: DirectoryFile) -> None:
        hangs.set()
        assert answers.wait(60)
        sync(file)

    monkeypatch.setattr(DirectoryFile, "sync", hang)
    writer.start()
    try:
        writer.put(record(Lane.TELEMETRY, 1))
        assert hangs.wait(60)
        emergency = record(Lane.EMERGENCY, 2)
        writer.put(emergency)
        assert sent(journal) == {}
        clock.ahead_us = HANG_US
        ((_epoch, offered),) = sent(journal).items()
        assert offered[-1].record == emergency
        assert sent(journal) == {_epoch: offered}, "once"
    finally:
        answers.set()
        writer.stop(60)
    assert journal.stats().lanes[Lane.EMERGENCY].durable == 1
    journal.close()
