"""The sending core by itself, in both kinds of acknowledgement, on a log that is thinned and gives things up.

In broker mode a PUBACK frees flash, so nothing may be called final that the broker has not confirmed, whatever went
ahead of its turn; and in both modes all that the log still holds arrives once the link is good.
"""

from __future__ import annotations

import random

import pytest

from outrider.model.record import Lane
from outrider.ports import Stream
from outrider.uplink.budget import SendRules
from outrider.uplink.core import Position, SendCore
from outrider.uplink.flow import Batch, Flow
from outrider.uplink.options import SendOptions

ALL = SendRules(1.0, 5, frozenset(Lane))
SEEDS = 40


class World:
    """One stream. ``held``: numbers of its records; a number after a jump is the GAP record that names the jump."""

    def __init__(self, seed: int, *, broker_final: bool) -> None:
        self.rng = random.Random(seed)
        window = self.rng.choice([1, 2, 4, 8])
        options = SendOptions(
            batch_records=5,
            backfill_records=9,
            batch_bytes=800,
            window_messages=window,
            window_bytes=2000,
            emergency_bytes=600,
            ack_window_bytes=3000,
        )
        self.core = SendCore(options, broker_final=broker_final, rng=random.Random(seed))
        self.broker_final = broker_final
        self.lane = self.rng.choice([Lane.TELEMETRY, Lane.EVENT, Lane.EMERGENCY, Lane.BULK])
        self.held: list[int] = []
        self.durable = self.acknowledged = 0
        self.now = 1_000_000
        self.on_link: dict[int, list[int]] = {}
        self.confirmed: set[int] = set()  # by the broker, or given up and named by the log
        self.arrived: set[int] = set()  # likewise, at the receiver
        self.is_up = False

    def disturb(self) -> None:
        """The log grows or gives up its oldest, rules change, the link breaks."""
        what = self.rng.random()
        if what < 0.15:
            for _ in range(self.rng.randint(1, 30)):
                self.durable += 1 + (self.rng.random() < 0.2) * self.rng.randint(1, 9)
                self.held.append(self.durable)
        elif what < 0.2:
            self.drop_link()
        elif what < 0.22 and self.durable - self.acknowledged > 10:
            self.give_up(self.rng.randint(self.acknowledged + 1, self.durable - 1))
        elif what < 0.25:
            portion = self.rng.choice([1, 5, 30])
            self.core.obey(SendRules(self.rng.choice([1.0, 60.0]), portion, frozenset(self.rng.sample(list(Lane), 3))))

    def give_up(self, up_to: int) -> None:
        self.held = [seq for seq in self.held if seq > up_to]
        for names in (self.confirmed, self.arrived):
            names.update(range(self.acknowledged + 1, self.held[0]))
        self.acknowledged = up_to

    def drop_link(self) -> None:
        self.core.disconnected()
        self.on_link.clear()
        self.is_up = False

    def turn(self, *, good: bool) -> None:
        if not self.is_up:
            self.core.connected(65535)
            self.is_up = True
        done = self.acknowledged == self.durable
        self.core.refresh([] if done else [Stream(1, self.lane, self.acknowledged, self.durable)], self.now)
        for position in self.core.settled():
            self.become_final(position)
        if self.core.tick(self.now):
            self.drop_link()
            return
        self.send(good=good)
        self.answers(good=good)
        self.now += 20_000_000 if good else self.rng.choice([50_000, 1_000_000, 16_000_000])

    def send(self, *, good: bool) -> None:
        for _ in range(500):
            request = self.core.next(self.now)
            if request is None:
                return
            found = [seq for seq in self.held if seq >= request.first_seq][: request.max_records]
            if not good:
                found = found[: self.rng.randint(0, len(found))]
            if not found:
                self.core.nothing_there(request, self.now)
                continue
            token = self.core.admit(request, found[0], found[-1], 40 * len(found), self.now)
            if token is not None:
                self.on_link[token] = found
        pytest.fail("it sends for ever")

    def answers(self, *, good: bool) -> None:
        for token in list(self.on_link):
            if good or self.rng.random() < 0.4:
                told = self.told_by(self.on_link.pop(token))
                self.confirmed |= told
                if good or self.rng.random() < 0.8:
                    self.arrived |= told
                position = self.core.puback(token, self.now)
                if position is not None:
                    self.become_final(position)
        if not self.broker_final and (good or self.rng.random() < 0.4):
            whole = self.acknowledged
            while whole + 1 in self.arrived:
                whole += 1
            self.acknowledge(whole)

    def told_by(self, batch: list[int]) -> set[int]:
        """The numbers of its records, and those that its GAP records name."""
        told: set[int] = set()
        for seq in batch:
            if seq in self.held:
                at = self.held.index(seq)
                told.update(range(self.held[at - 1] + 1 if at else self.acknowledged + 1, seq + 1))
        return told

    def become_final(self, position: Position) -> None:
        assert self.broker_final
        missing = set(range(1, position.up_to_seq + 1)) - self.confirmed
        assert not missing, f"freed, and the broker never confirmed {sorted(missing)[:5]}"
        self.acknowledge(position.up_to_seq)

    def acknowledge(self, up_to: int) -> None:
        if up_to > self.acknowledged:
            self.acknowledged = up_to
            self.core.acknowledged(1, self.lane, up_to, self.now)

    def run(self) -> None:
        for _ in range(300):
            self.disturb()
            self.turn(good=False)
        self.core.obey(ALL)
        for _ in range(500):
            if self.acknowledged == self.durable:
                return
            self.turn(good=True)
        pytest.fail(f"{self.durable - self.acknowledged} numbers are never freed")


def run_all(*, broker_final: bool) -> None:
    for seed in range(SEEDS):
        World(seed, broker_final=broker_final).run()


@pytest.mark.parametrize("broker_final", [False, True])
def test_all_that_is_held_arrives_and_nothing_else_is_freed(broker_final: bool) -> None:
    run_all(broker_final=broker_final)


def test_a_position_that_passes_a_hole_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with a core that takes the newest PUBACK for all before it."""

    def newest(flow: Flow) -> int | None:
        return max((batch.last for batch in (*flow.sent, *flow.ahead) if batch.puback_us is not None), default=None)

    monkeypatch.setattr(Flow, "broker_position", newest)
    with pytest.raises(AssertionError, match="never confirmed"):
        run_all(broker_final=True)


def test_what_the_log_gave_up_holds_nothing_back() -> None:
    """Broker mode: a batch that waits for its PUBACK is given up by the log; what came after it is confirmed already,
    and no other PUBACK will say so."""
    core = SendCore(SendOptions(batch_records=5, backfill_records=5), broker_final=True)
    core.connected(65535)
    core.refresh([Stream(1, Lane.EVENT, 0, 10)], 0)
    tokens = []
    for first, last in ((1, 5), (6, 10)):
        request = core.next(0)
        assert request is not None
        assert request.first_seq == first
        tokens.append(core.admit(request, first, last, 100, 0))
    assert tokens[1] is not None
    assert core.puback(tokens[1], 0) is None
    assert core.settled() == []
    core.refresh([Stream(1, Lane.EVENT, 5, 10)], 0)
    assert core.settled() == [Position(1, Lane.EVENT, 10)]


def test_a_batch_over_a_jump_reaches_beyond_what_went_ahead() -> None:
    """Broker mode: the position is that of the one that reaches furthest, not that of the last in the row."""
    flow = Flow(Stream(1, Lane.TELEMETRY, 0, 40), (1, 1))
    flow.record_ahead(Batch(20, 25, 10, token=1), 1000, 0)
    flow.record_sent(1, 40, 10, 2, 0)
    assert flow.puback(1, 0)
    assert flow.broker_position() is None
    assert flow.puback(2, 0)
    assert flow.broker_position() == 40
