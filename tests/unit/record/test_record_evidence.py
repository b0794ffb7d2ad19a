"""Evidence of a crash: on flash at once, room kept for it, and the last events never given up."""

from __future__ import annotations

import pytest

from outrider.model.evidence import EvidenceChunk, EvidencePart
from outrider.model.record import Category, Gap, Kind, Lane, Record
from outrider.record.evidence_label import evidence_label, is_evidence
from outrider.record.journal import Journal
from outrider.record.options import JournalOptions, LaneOptions
from outrider.record.retention import KEPT_EVENTS
from outrider.record.storage_memory import MemoryStorage
from outrider.wire.bodies import decode_body, encode_body
from tests.support.records import open_journal, record
from tests.unit.record.test_record_writer import NEVER, Rig

SEGMENT = 32 * 1024
LANES = dict.fromkeys(Lane, LaneOptions(16 * 1024)) | {Lane.BULK: LaneOptions(SEGMENT)}
OPTIONS = JournalOptions(lanes=LANES, reserve_segments=1, spare_segments=0, evidence_segments=2)
TIGHT = JournalOptions(lanes=LANES, quota_bytes=10 * SEGMENT, reserve_segments=1, spare_segments=0)
MARGIN = 64 * 1024


def evidence(event: int, index: int = 0, boot: int = 7) -> Record:
    """8 KiB of the event's IMU."""
    chunk = EvidenceChunk(event, EvidencePart.IMU, index, 100, 1, 2, bytes([index]) * 8000)
    return Record(Lane.BULK, Kind.EVIDENCE, Category.EMERGENCY, boot, index, encode_body(chunk))


def save(journal: Journal, event: int, pieces: int = 6, boot: int = 7) -> None:
    for index in range(pieces):
        journal.append(evidence(event, index, boot))
        journal.commit(Lane.BULK)


def held(journal: Journal) -> dict[tuple[int, int], int]:
    """Pieces by event, over all epochs."""
    found: dict[tuple[int, int], int] = {}
    for stream in journal.streams():
        at = stream.acknowledged + 1
        while batch := journal.read(stream.epoch, stream.lane, at, 1000, 1 << 30):
            for stored in batch:
                label = evidence_label(stored.record)
                if label is not None:
                    found[label] = found.get(label, 0) + 1
            at = batch[-1].seq + 1
    return found


def test_the_last_crashes_stay_whole_whatever_the_quota() -> None:
    """Six crashes, a quota for three: the newest three are whole, telemetry goes for them, also after a restart."""
    storage = MemoryStorage()
    journal = open_journal(storage, TIGHT)
    for event in range(1, 7):
        for n in range(12):
            journal.append(record(Lane.TELEMETRY, n, 3000))
            journal.commit(Lane.TELEMETRY)
        save(journal, event, pieces=9)
    newest = {(7, event): 9 for event in range(7 - KEPT_EVENTS, 7)}
    assert held(journal).items() >= newest.items()
    assert held(journal).get((7, 1)) is None
    journal.close()
    again = open_journal(MemoryStorage(storage.files()), TIGHT, seed=2)
    for n in range(60):
        again.append(record(Lane.EVENT, n, 3000))
        again.commit(Lane.EVENT)
    assert held(again).items() >= newest.items()
    assert again.stats().lanes[Lane.TELEMETRY].evicted + again.stats().lanes[Lane.EVENT].evicted > 0


def test_a_full_device_gives_up_no_kept_evidence_for_others() -> None:
    """Event, telemetry and emergency records find no room that way; older evidence goes as ever."""
    storage = MemoryStorage()
    journal = open_journal(storage, OPTIONS)
    for event in range(1, 6):
        save(journal, event)
    used = sum(len(data) for data in storage.files().values())
    storage.capacity = used + MARGIN
    for n in range(40):
        journal.append(record(Lane.EVENT, n, 3000))
        journal.commit(Lane.EVENT)
    assert journal.stats().lanes[Lane.EVENT].shed > 0
    assert {label[1] for label, pieces in held(journal).items() if pieces == 6} == {3, 4, 5}


def test_evidence_has_room_on_a_full_device() -> None:
    """First what was kept for it, then the place of old telemetry; nothing of the newest crash is shed."""
    storage = MemoryStorage()
    journal = open_journal(storage, OPTIONS)
    for n in range(40):
        journal.append(record(Lane.TELEMETRY, n, 3000))
        journal.commit(Lane.TELEMETRY)
    storage.capacity = sum(len(data) for data in storage.files().values()) + MARGIN
    save(journal, 1, pieces=14)
    assert held(journal) == {(7, 1): 14}
    assert journal.stats().lanes[Lane.BULK].shed == 0
    assert journal.stats().lanes[Lane.TELEMETRY].evicted > 0


def test_evidence_waits_for_no_file_to_be_written() -> None:
    """The first segments of a crash are files that lie ready; they are made again afterwards, one at a time."""
    journal = open_journal(MemoryStorage(), OPTIONS)
    before = journal.stats().segments_written
    save(journal, 1, pieces=6)
    assert journal.stats().segments_written == before
    journal.maintain()
    assert journal.stats().segments_written == before + 1
    journal.maintain()
    journal.maintain()
    assert journal.stats().segments_written == before + 2


def test_an_acknowledgement_frees_kept_evidence() -> None:
    """Kept is what nobody else has: what the receiver holds makes room."""
    journal = open_journal(MemoryStorage(), TIGHT)
    save(journal, 1, pieces=9)
    save(journal, 2, pieces=9)
    [stream] = journal.streams()
    assert journal.acknowledge(stream.epoch, Lane.BULK, stream.durable)
    journal.maintain()
    assert journal.stats().lanes[Lane.BULK].bytes == SEGMENT, "the newest segment alone"


def test_only_evidence_is_evidence() -> None:
    """By kind, lane and category; a body that is none has no label, and does no harm."""
    assert evidence_label(evidence(4)) == (7, 4)
    assert not is_evidence(record(Lane.BULK))
    damaged = Record(Lane.BULK, Kind.EVIDENCE, Category.EMERGENCY, 7, 1, b"\xff")
    assert is_evidence(damaged)
    assert evidence_label(damaged) is None
    journal = open_journal(MemoryStorage(), OPTIONS)
    journal.append(damaged)
    assert journal.commit(Lane.BULK) == 1


@pytest.mark.parametrize("hurry", [False, True])
def test_evidence_is_committed_at_once_and_with_the_supply_failing_all_is(hurry: bool) -> None:
    """Telemetry and ordinary bulk records wait for their hour; ``hurry`` waits for none."""
    rig = Rig(NEVER, OPTIONS)
    rig.writer.start()
    rig.writer.put(record(Lane.TELEMETRY))
    rig.writer.put(evidence(1))
    assert rig.wait() == (Lane.BULK, 1)
    if hurry:
        rig.writer.hurry()
        assert rig.wait() == (Lane.TELEMETRY, 1)
    else:
        assert [stream.lane for stream in rig.journal.streams()] == [Lane.BULK]
        rig.writer.put(record(Lane.BULK))
        rig.writer.put(record(Lane.EMERGENCY))
        assert rig.wait() == (Lane.EMERGENCY, 1)
        assert rig.journal.stats().lanes[Lane.BULK].durable == 1
    rig.writer.stop()


def test_gaps_of_evidence_are_readable() -> None:
    """What goes for a newer crash is named like everything else."""
    journal = open_journal(MemoryStorage(), TIGHT)
    for event in range(1, 9):
        save(journal, event, pieces=9)
    first = journal.read(journal.epoch, Lane.BULK, 1, 1, 1)[0]
    gap = decode_body(first.record.kind, first.record.body)
    assert isinstance(gap, Gap)
    assert gap.last_seq <= 5 * 9
