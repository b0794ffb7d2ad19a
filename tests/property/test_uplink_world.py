"""The sending core against a world that loses, delays and reorders: a link, a broker and a receiver in memory.

The terminal may crash at any moment (what is not in the log is gone), so may broker and receiver (what is not committed
is gone); there is a second broker that knows nothing of the first; rules hold lanes back for a while.
"""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from outrider.ingest.sinks.progress import Progress
from outrider.model.record import Lane
from outrider.uplink.budget import SendRules
from outrider.uplink.core import Request, SendCore
from outrider.uplink.options import SendOptions
from outrider.uplink.pump import Pump
from outrider.wire.codec import decode_batch
from outrider.wire.topics import Topics
from tests.support.memory_log import MemoryLog, opaque, telemetry

OPTIONS = SendOptions(
    batch_records=5,
    backfill_records=9,
    batch_bytes=800,
    window_messages=4,
    window_bytes=2000,
    emergency_bytes=600,
    ack_window_bytes=3000,
)
Stream = tuple[int, Lane]


class NotingCore(SendCore):
    """Notes whether the batch that is published next goes ahead of its turn."""

    ahead = False

    def admit(self, request: Request, first: int, last: int, size: int, now_us: int) -> int | None:
        self.ahead = request.ahead
        return super().admit(request, first, last, size, now_us)


class World(RuleBasedStateMachine):
    """Link and broker are queues in order; acknowledgements may come late, twice, never or in another order."""

    def __init__(self) -> None:
        super().__init__()
        self.rng = random.Random(5)
        self.now = 1_000_000
        self.log = MemoryLog()
        self.boot()
        self.limit = 0
        self.mid = 0
        self.on_link: list[tuple[int, bytes]] = []  # published, not yet at the broker
        self.pubacks: list[int] = []  # on the way back
        self.outstanding: dict[int, tuple[bool, int]] = {}  # mid -> (urgent, size)
        self.at_broker: list[bytes] = []
        self.received: dict[Stream, dict[int, bytes]] = {}
        self.ahead: set[bytes] = set()  # payloads that went out of their turn
        self.seen: dict[Stream, set[int]] = {}
        self.holes: list[str] = []  # what came in its turn and left a hole
        self.progress: dict[Stream, Progress] = {}
        self.acks: list[tuple[Stream, int]] = []
        self.largest = 0
        self.subscribed = True
        self.is_up = False
        self.allowed = frozenset(Lane)
        self.away: tuple[list[bytes], bool] = ([], True)  # the other broker: what it holds, who is subscribed there
        self.uncommitted: list[tuple[Stream, int, bytes]] = []
        self.unconfirmed: list[bytes] = []  # what a receiver has taken and not committed: the broker keeps it

    def boot(self) -> None:
        self.core = NotingCore(OPTIONS, rng=random.Random(1))
        self.pump = Pump(self.log, self.core, Topics("car"), Counter(), Counter())

    # ---- the outlet the pump writes to ------------------------------------------------------------

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        self.mid += 1
        lane = decode_batch(payload).lane
        assert topic == Topics("car").for_lane(lane)
        self.on_link.append((self.mid, payload))
        if self.core.ahead:
            self.ahead.add(payload)

        batch = decode_batch(payload)
        newest = self.log.durable(batch.epoch, lane)
        assert batch.historical or lane is Lane.EMERGENCY or batch.records[-1].seq >= newest - 30
        assert not (self.core.ahead and batch.historical)
        assert lane in self.allowed or lane is Lane.EMERGENCY, "held back by the rules"
        self.outstanding[self.mid] = (lane is Lane.EMERGENCY, len(payload))
        self.largest = max(self.largest, len(payload))
        return self.mid

    def is_writable(self) -> bool:
        return True

    # ---- the terminal -----------------------------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        self.connect(65535)

    @rule(lane=st.sampled_from(Lane), size=st.integers(0, 900), durable=st.booleans(), count=st.integers(1, 40))
    def append(self, lane: Lane, size: int, durable: bool, count: int) -> None:
        for index in range(count):
            record = telemetry(index, self.rng) if lane is Lane.TELEMETRY else opaque(lane, index, size, self.rng)
            self.log.append(record, durable=durable)

    def commit(self) -> None:
        self.log.commit()

    @rule(
        lanes=st.frozensets(st.sampled_from(Lane)),
        portion=st.sampled_from([(1, 1.0), (5, 60.0), (30, 300.0)]),
    )
    def rules_change(self, lanes: frozenset[Lane], portion: tuple[int, float]) -> None:
        self.allowed = lanes
        self.core.obey(SendRules(portion[1], portion[0], lanes))

    @rule()
    def terminal_crashes(self) -> None:
        """Only the log is left, with what is durable; the broker publishes the will and forgets who it was."""
        self.log.crash()
        self.disconnect()
        self.boot()
        self.allowed = frozenset(Lane)

    @rule()
    def new_epoch(self) -> None:
        self.log.new_epoch(self.rng.getrandbits(64))

    def send(self) -> None:
        self.core.refresh(self.log.streams(), self.now)
        if self.core.tick(self.now):
            self.disconnect()
        self.pump.run(self, lambda: self.now)

    @rule(seconds=st.sampled_from([0.05, 1, 6, 20, 61, 700]))
    def wait(self, seconds: float) -> None:
        self.now += round(seconds * 1e6)

    # ---- the world --------------------------------------------------------------------------------

    @rule(receive_maximum=st.sampled_from([1, 2, 3, 20, 65535]))
    def connect(self, receive_maximum: int) -> None:
        self.disconnect()
        self.limit = min(OPTIONS.window_messages, receive_maximum)
        self.core.connected(receive_maximum)
        self.pump.connected()
        self.is_up = True

    @rule()
    def disconnect(self) -> None:
        """What is still on the link is lost, and so are the PUBACKs."""
        self.on_link.clear()
        self.pubacks.clear()
        self.outstanding.clear()
        self.core.disconnected()
        self.is_up = False

    def broker_takes(self, count: int, swallow: bool) -> None:
        for mid, payload in self.on_link[:count]:
            if self.subscribed:
                self.at_broker.append(payload)
            if not swallow:
                self.pubacks.append(mid)
        del self.on_link[:count]

    def pubacks_arrive(self, count: int) -> None:
        for mid in self.pubacks[:count]:
            self.outstanding.pop(mid)
            token = self.pump.token(mid)
            assert token is not None
            self.core.puback(token, self.now)
        del self.pubacks[:count]

    @rule()
    def broker_dies(self) -> None:
        """It loses what it confirmed, the acknowledgements in it, and who has subscribed: what comes is dropped."""
        self.at_broker.clear()
        self.unconfirmed.clear()
        self.acks.clear()
        self.subscribed = False
        self.disconnect()

    @rule()
    def receiver_subscribes(self) -> None:
        self.subscribed = True

    @rule()
    def fail_over(self) -> None:
        """To the other broker: it has what it had, and nothing of what went to this one. A receiver listens at both."""
        here = (list(self.at_broker), self.subscribed)
        (self.at_broker, self.subscribed), self.away = (list(self.away[0]), self.away[1]), here
        self.connect(20)

    @rule()
    def receiver_crashes(self) -> None:
        """What it had taken and not committed is gone, nobody was told of it, and the broker hands it out again."""
        for key, seq, _digest in self.uncommitted:
            self.received[key].pop(seq, None)
            self.seen[key].discard(seq)
        self.uncommitted.clear()
        self.at_broker[:0] = self.unconfirmed
        self.unconfirmed.clear()
        self.progress.clear()
        for key, held in self.received.items():
            self.progress[key] = Progress(0, [(seq, seq) for seq in sorted(held)])

    def receiver_takes(self, count: int, *, commit: bool = True) -> None:
        """Committed and acknowledged, or taken only: a crash now loses it."""
        for payload in self.at_broker[:count]:
            batch = decode_batch(payload)
            key = (batch.epoch, batch.lane)
            held, seen = self.received.setdefault(key, {}), self.seen.setdefault(key, set())
            first = batch.records[0].seq
            if batch.lane is not Lane.EMERGENCY and payload not in self.ahead and not set(range(1, first)) <= seen:
                self.holes.append(f"{key}: {first} came in its turn, and not all before it is there")
            for stored in batch.records:
                if stored.seq not in held:
                    self.uncommitted.append((key, stored.seq, stored.digest()))
                assert held.setdefault(stored.seq, stored.digest()) == stored.digest()
                seen.add(stored.seq)
            progress = self.progress.setdefault(key, Progress())
            progress.add(first, batch.records[-1].seq)
            assert first - batch.behind <= progress.position + 1, "told to give up what it still lacks"
            if commit:
                self.acks.append((key, progress.position))
        self.unconfirmed += self.at_broker[:count]
        if commit:
            self.uncommitted.clear()
            self.unconfirmed.clear()
        del self.at_broker[:count]

    def ack_arrives(self, which: int, keep: bool) -> None:
        if self.acks:
            (epoch, lane), up_to = self.acks[which % len(self.acks)]
            if not keep:
                del self.acks[which % len(self.acks)]
            if up_to and self.log.acknowledge(epoch, lane, up_to):
                self.core.acknowledged(epoch, lane, up_to, self.now)

    @rule(
        count=st.integers(1, 90),
        lane=st.sampled_from([Lane.TELEMETRY, Lane.TELEMETRY, Lane.EVENT, Lane.BULK, Lane.EMERGENCY]),
        rounds=st.integers(1, 12),
        step_s=st.sampled_from([0.05, 1.0, 16.0, 61.0]),
        subscribed=st.booleans(),
    )
    def drive(self, count: int, lane: Lane, rounds: int, step_s: float, subscribed: bool) -> None:
        """A while in which all goes well: connected, records are made, each party gets some way."""
        self.append(lane, 40, False, count)
        self.subscribed = self.subscribed or subscribed
        if not self.is_up:
            self.connect(20)
        for _ in range(rounds):
            self.turn(4, False, 4, 6, True, [(0, False), (0, False)], False)
            self.wait(step_s)

    def acks_are_lost(self) -> None:
        self.acks.clear()

    @rule(
        taken=st.integers(0, 8),
        swallow=st.booleans(),
        pubacks=st.integers(0, 8),
        received=st.integers(0, 12),
        commit=st.booleans(),
        acks=st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=4),
        lose_acks=st.booleans(),
    )
    def turn(  # noqa: PLR0917  hypothesis passes them by name
        self,
        taken: int,
        swallow: bool,
        pubacks: int,
        received: int,
        commit: bool,
        acks: list[tuple[int, bool]],
        lose_acks: bool,
    ) -> None:
        """A stretch of time in which each party gets some way."""
        self.commit()
        self.send()
        self.window_is_kept()
        self.broker_takes(taken, swallow)
        self.pubacks_arrive(pubacks)
        self.receiver_takes(received, commit=commit)
        for which, keep in acks:
            self.ack_arrives(which, keep)
        if lose_acks:
            self.acks_are_lost()
        self.now += 50_000

    # ---- what must always hold --------------------------------------------------------------------

    @invariant()
    def window_is_kept(self) -> None:
        assert len(self.outstanding) <= max(self.limit, 0)
        for urgent, budget in (
            (True, OPTIONS.emergency_bytes),
            (False, OPTIONS.window_bytes - OPTIONS.emergency_bytes),
        ):
            sizes = [size for is_urgent, size in self.outstanding.values() if is_urgent is urgent]
            assert sum(sizes) <= budget or len(sizes) == 1
        assert self.core.window.messages == len(self.outstanding)

    @invariant()
    def bytes_beyond_the_cursor_are_bounded(self) -> None:
        # three urgent lanes with a quarter each, two others; what went ahead: a quarter for each of two lanes
        bound = OPTIONS.ack_window_bytes * 13 // 4 + (len(Lane) + 2) * self.largest
        assert self.core.unacknowledged_bytes <= bound

    @invariant()
    def nothing_beyond_durable(self) -> None:
        assert self.log.read_beyond_durable == 0
        assert not self.log.refused

    @invariant()
    def order_is_kept(self) -> None:
        """What comes in its turn never leaves a hole behind it; only an emergency does not wait until it is known that
        the one before has arrived, and the newest go ahead of a backlog."""
        assert not self.holes

    def teardown(self) -> None:
        """Once everything works again, everything arrives."""
        self.log.commit()
        self.subscribed = True
        self.rules_change(frozenset(Lane), (5, 60.0))
        self.connect(20)
        for _ in range(3000):
            if not self.log.streams():
                break
            self.send()
            self.broker_takes(8, swallow=False)
            self.pubacks_arrive(8)
            self.receiver_takes(8)
            while self.acks:
                self.ack_arrives(0, keep=False)
            self.wait(1)
            self.window_is_kept()
        assert not self.log.streams(), "something was never delivered"
        for key, (count, _digest) in self.log.digest().items():
            assert len(self.received.get(key, {})) == count
        self.order_is_kept()


World.TestCase.settings = settings(max_examples=50, stateful_step_count=50, deadline=None)
TestDelivery = World.TestCase
