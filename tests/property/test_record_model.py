"""The journal against a model that is obviously right: lists of records by lane."""

from __future__ import annotations

import random
from collections import defaultdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from outrider.errors import JournalError
from outrider.model.record import Gap, GapReason, Kind, Lane, Record
from outrider.record.hole import first_number
from outrider.record.journal import Journal
from outrider.record.storage_memory import MemoryStorage, Operation, refusal
from outrider.wire.bodies import decode_body
from tests.support.powercut import Disk
from tests.support.records import SMALL, record

lanes = st.sampled_from(list(Lane))


class JournalMachine(RuleBasedStateMachine):
    """Content by number, what is pending, what is acknowledged; a gap is the number of records it stands for."""

    @initialize(seed=st.integers(0, 1 << 30))
    def begin(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.storage = MemoryStorage()
        self.disk = Disk()
        self.applied = 0
        self.journal = self._open()
        self.epoch = self.journal.epoch
        self.durable: dict[Lane, dict[int, Record | int]] = defaultdict(dict)
        self.pending: dict[Lane, dict[int, Record | int]] = defaultdict(dict)
        self.next: dict[Lane, int] = dict.fromkeys(Lane, 1)
        self.acknowledged: dict[Lane, int] = dict.fromkeys(Lane, 0)

    def _open(self) -> Journal:
        return Journal.open(self.storage, SMALL, boot_id=7, rng=self.rng)

    @rule(lane=lanes, size=st.sampled_from([0, 40, 900, 6000]), number=st.integers(0, 1 << 32))
    def append(self, lane: Lane, size: int, number: int) -> None:
        new = record(lane, number, size)
        assert self.journal.append(new) == self.next[lane]
        self.pending[lane][self.next[lane]] = new
        self.next[lane] += 1

    @rule(lane=lanes, count=st.integers(1, 5))
    def lose(self, lane: Lane, count: int) -> None:
        self.journal.note_lost(lane, count, GapReason.OVERRUN, 1)
        self.pending[lane][self.next[lane] + count - 1] = count
        self.next[lane] += count

    @rule(lane=st.none() | lanes)
    def commit(self, lane: Lane | None) -> None:
        self.journal.commit(lane)
        for each in Lane if lane is None else (lane,):
            self.durable[each] |= self.pending.pop(each, {})

    @rule(lane=lanes)
    def commit_on_a_failing_disk(self, lane: Lane) -> None:
        """Refused or not needed; what was pending is still pending."""

        def fail(op: Operation) -> None:
            if op.kind == "sync":
                raise refusal(5, "Input/output error")

        self.storage.fail = fail
        try:
            self.journal.commit(lane)
            assert not self.pending[lane]
        except JournalError:
            pass
        self.storage.fail = None

    @rule(lane=lanes, back=st.integers(-2, 30))
    def acknowledge(self, lane: Lane, back: int) -> None:
        durable = max(self.durable[lane], default=0)
        right = 0 <= durable - back <= durable
        assert self.journal.acknowledge(self.epoch, lane, durable - back) == right
        if right:
            self.acknowledged[lane] = max(self.acknowledged[lane], durable - back)

    @rule()
    def maintain(self) -> None:
        self.journal.maintain()

    @rule()
    def close_and_reopen(self) -> None:
        self.commit(None)
        self.journal.close()
        self.journal = self._open()

    @rule()
    def lose_power(self) -> None:
        """What was durable stays; what was pending is gone or, if a failed write reached the disk, still the same."""
        for op in self.storage.log[self.applied :]:
            self.disk.apply(op)
        self.storage = MemoryStorage(self.disk.crash(self.rng))
        self.disk, self.applied = Disk.holding(self.storage.files(), self.storage.nodes()), 0
        self.journal = self._open()
        for lane, stats in self.journal.stats().lanes.items():
            kept = {seq: new for seq, new in self.pending.pop(lane, {}).items() if seq <= stats.durable}
            self.durable[lane] |= kept
            self.next[lane] = max(self.durable[lane], default=0) + 1
            assert stats.acknowledged <= self.acknowledged[lane]
            self.acknowledged[lane] = stats.acknowledged

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        assert self.journal.epoch == self.epoch
        stats = self.journal.stats()
        assert stats.quarantined == 0
        for lane in Lane:
            durable = max(self.durable[lane], default=0)
            assert stats.lanes[lane].durable == durable
            at = self.acknowledged[lane] + 1
            while at <= durable:
                batch = self.journal.read(self.epoch, lane, at, 7, 1 << 20)
                for stored in batch:
                    expected = self.durable[lane][stored.seq]
                    if isinstance(expected, int):
                        first = stored.seq - expected + 1
                        assert decode_body(Kind.GAP, stored.record.body) == Gap(
                            self.epoch, first, stored.seq, GapReason.OVERRUN
                        )
                    else:
                        assert stored.record == expected
                    assert first_number(stored) <= at, "nothing is skipped silently"
                    at = stored.seq + 1


JournalMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestJournal = JournalMachine.TestCase
