"""docs/reference/journal-format.md is enough to read a journal: a reader written from it alone tells what Outrider's
own tells, of journals with every feature, sound and damaged."""

from __future__ import annotations

import random
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.model.record import Gap as ToldGap
from outrider.model.record import GapReason, Kind, Lane, StoredRecord
from outrider.record.inspect import inspect
from outrider.record.storage_memory import MemoryStorage
from outrider.wire.bodies import decode_body
from tests.property.test_record_rot import damaged
from tests.support import journal_reader
from tests.support.journal_reader import CORRUPT, Entry, Gap, Stream, Told
from tests.support.powercut_work import SETUPS


@cache
def journal_of(setup: str, seed: int) -> dict[str, bytes]:
    return SETUPS[setup].run(seed)[0].files()


def by_page(files: dict[str, bytes]) -> dict[Stream, list[Told]]:
    return {stream: merged(told) for stream, told in journal_reader.read_journal(files).items()}


def by_outrider(files: dict[str, bytes]) -> dict[Stream, list[Told]]:
    out: dict[Stream, list[Told]] = {}
    for stored in inspect(MemoryStorage(files)).records():
        out.setdefault((stored.epoch, int(stored.record.lane)), []).append(_told(stored))
    return {stream: merged(told) for stream, told in out.items()}


def _told(stored: StoredRecord) -> Told:
    record = stored.record
    if record.kind == Kind.GAP:
        gap = decode_body(Kind.GAP, record.body)
        assert isinstance(gap, ToldGap)
        own = gap.epoch == stored.epoch and gap.last_seq == stored.seq
        return Gap(gap.first_seq if own else stored.seq, stored.seq, int(gap.reason))
    return Entry(
        stored.seq, int(record.kind), int(record.category), record.schema, record.boot_id, record.t_us, record.body
    )


def merged(told: list[Told]) -> list[Told]:
    """Neighbouring losses as one: how they are cut into gaps is nobody's business."""
    out: list[Told] = []
    for each in told:
        last = out[-1] if out else None
        if isinstance(each, Gap) and isinstance(last, Gap) and each.reason == last.reason == CORRUPT:
            out[-1] = Gap(last.first, each.last, CORRUPT)
        else:
            out.append(each)
    return out


def test_a_reader_written_from_the_page_tells_the_same() -> None:
    """Of journals that are sound: all lanes, several epochs, gaps of every kind, thinned and packed files, evidence."""
    reasons: set[int] = set()
    kinds: set[int] = set()
    epochs = 0
    forms: set[int] = set()
    for setup in SETUPS:
        for seed in range(6):
            files = journal_of(setup, seed)
            forms |= {data[11] for name, data in files.items() if name.endswith(".seg")}
            expected = by_outrider(files)
            assert by_page(files) == expected
            epochs = max(epochs, len({epoch for epoch, _lane in expected}))
            for told in expected.values():
                reasons |= {each.reason for each in told if isinstance(each, Gap)}
                kinds |= {each.kind for each in told if isinstance(each, Entry)}
    assert reasons >= {GapReason.QUOTA, GapReason.OVERRUN, GapReason.THINNED, GapReason.CORRUPT}
    assert kinds >= {Kind.EVENT, Kind.TELEMETRY, Kind.EVIDENCE}
    assert forms == {0, 1, 2}
    assert epochs > 1, "epochs that ended are among them"


def test_it_reads_what_a_quarantined_and_a_shortened_file_leave() -> None:
    """A file set aside, one cut short, one without header, and a lost cursor."""
    files = dict(journal_of("roomy", 1))
    segments = sorted(name for name in files if name.endswith(".seg"))
    lanes = [[name for name in segments if name.startswith(f"{int(lane)}-")] for lane in Lane]
    aside, short, bare, *_rest = max(lanes, key=len)
    files["quarantine/" + aside + ".0"] = files.pop(aside)
    files[short] = files[short][:5000]
    files[bare] = bytes(4096) + files[bare][4096:]
    assert by_page(files) == by_outrider(files)
    assert by_page(files) != by_page(journal_of("roomy", 1))
    del files["cursor.state"]
    assert by_page(files) == by_outrider(files)


@given(
    setup=st.sampled_from(sorted(SETUPS)),
    seed=st.integers(0, 2),
    kinds=st.lists(st.sampled_from(["flip", "blocks", "short", "copy", "delete"]), min_size=1, max_size=5),
    rng=st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_it_tells_the_same_of_damaged_journals(setup: str, seed: int, kinds: list[str], rng: random.Random) -> None:
    """Whatever is flipped, blotted out, cut short, copied over or deleted: the page says what is left, and how."""
    files = damaged(journal_of(setup, seed), kinds, random.Random(rng.getrandbits(64)))
    assert by_page(files) == by_outrider(files)
