"""What to send next. Pure: time-stamped calls in, requests out; no log, no socket, no clock.

The shell (``session_io``) asks ``next``, reads and encodes what was asked for, offers it to ``admit`` and publishes
what was admitted. PUBACKs move the send window only; acknowledgements move the cursor (the log's own, told here by
``acknowledged``). Emergencies go at once and past everything that waits. Where more waits than a batch, the newest
events and the newest telemetry go next: where the car is now comes before where it was. Then lane by lane ledger,
event, telemetry, bulk; within a lane the oldest epoch first, each in sequence. On a new connection each stream begins
with one batch in the air (beside one that went ahead), until a receiver has acknowledged it: a broker that came back
empty drops what nobody has subscribed to yet.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from outrider.model.record import Lane
from outrider.ports import Stream
from outrider.uplink.budget import SendRules
from outrider.uplink.flow import Batch, Flow
from outrider.uplink.options import SendOptions
from outrider.uplink.window import SendWindow

_URGENT = (Lane.EMERGENCY, Lane.LEDGER, Lane.EVENT)
_RETRY_READ_US = 1_000_000
_PATIENCE = 3  # strikes of a flow before its batches get smaller
_URGENT_RECORDS = 16
_ORDER = (
    (Lane.EMERGENCY, False),
    (Lane.EVENT, True),  # True: the newest, ahead of a backlog
    (Lane.TELEMETRY, True),
    (Lane.LEDGER, False),
    (Lane.EVENT, False),
    (Lane.TELEMETRY, False),
    (Lane.BULK, False),
)


@dataclass(frozen=True, slots=True)
class Request:
    """Read these records and offer them: at most max_records and max_bytes (bodies), from first_seq on.

    plain: without columns; nobody took the usual form. ahead: out of turn, before a backlog.
    """

    epoch: int
    lane: Lane
    first_seq: int
    max_records: int
    max_bytes: int
    plain: bool = False
    ahead: bool = False


@dataclass(frozen=True, slots=True)
class Position:
    epoch: int
    lane: Lane
    up_to_seq: int


class SendCore:
    """See the module. ``broker_final``: a PUBACK is the acknowledgement (broker mode)."""

    def __init__(self, options: SendOptions, *, broker_final: bool = False, rng: random.Random | None = None) -> None:
        self._options = options
        self._broker_final = broker_final
        self._rng = rng or random.Random()
        self._window = SendWindow(options)
        self._flows: dict[tuple[int, Lane], Flow] = {}
        self._tokens: dict[int, tuple[int, Lane]] = {}
        self._blocked: dict[tuple[Lane, bool], int] = {}  # size that did not fit
        self._rules = SendRules(options.batch_age_s, options.batch_records, frozenset(Lane))
        self._connected = False
        self._puback_us = 0  # the last one of any message
        self.flushing = False
        self.timeouts = 0

    # ---- what happens -----------------------------------------------------------------------------

    def connected(self, receive_maximum: int) -> None:
        """CONNACK came. receive_maximum: the broker's limit, 65535 when it named none."""
        self._connected = True
        self._window.open(receive_maximum)
        self._tokens.clear()
        self._blocked.clear()
        for flow in self._flows.values():
            flow.proved = False

    def disconnected(self) -> None:
        """Whatever was on the way may be lost: everything beyond the cursor will be sent again."""
        if not self._connected:
            return
        self._connected = False
        self._window.open(self._options.window_messages)
        self._tokens.clear()
        self._blocked.clear()
        for flow in self._flows.values():
            flow.lose_link()

    def refresh(self, streams: Iterable[Stream], now_us: int) -> None:
        """The log's view: what is durable, what is acknowledged. Streams no longer listed are done."""
        flows: dict[tuple[int, Lane], Flow] = {}
        for stream in streams:
            key = (stream.epoch, stream.lane)
            flow = self._flows.get(key)
            if flow is None:
                flow = Flow(stream, self._timeouts(stream.lane))
            flow.update(stream.acknowledged, stream.durable, now_us)
            flows[key] = flow
        self._flows = flows

    def obey(self, rules: SendRules) -> None:
        """From now on: which lanes may go, and in what portions telemetry does. Emergencies always go, at once."""
        self._rules = rules

    def puback(self, token: int, now_us: int) -> Position | None:
        """The broker has it. In broker mode: the position that became final, if any."""
        if not self._window.release(token, now_us):
            return None
        self._puback_us = now_us
        self._blocked.clear()
        flow = self._flows.get(self._tokens.pop(token, (0, Lane.BULK)))
        if flow is None or not flow.puback(token, now_us) or not self._broker_final:
            return None
        position = flow.broker_position()
        return None if position is None else Position(flow.epoch, flow.lane, position)

    def settled(self) -> list[Position]:
        """Broker mode: positions that became final without a PUBACK of their own; the log gave up what lay before."""
        found = ((flow, flow.broker_position()) for flow in self._flows.values() if self._broker_final)
        return [Position(f.epoch, f.lane, seq) for f, seq in found if seq is not None and seq > f.acknowledged]

    def acknowledged(self, epoch: int, lane: Lane, up_to_seq: int, now_us: int) -> bool:
        """The log accepted this position. True when it was news."""
        flow = self._flows.get((epoch, lane))
        if flow is None or not flow.acknowledge(up_to_seq, now_us):
            return False
        for other in self._flows.values():
            other.encourage()
        return True

    def tick(self, now_us: int) -> bool:
        """Run the timers. True: a PUBACK is overdue, drop the link."""
        for flow in self._flows.values():
            deadline = flow.deadline_us()
            if deadline is not None and now_us >= deadline and not self._broker_final:
                flow.time_out(self._rng.uniform(0.9, 1.1))
                self.timeouts += 1
        deadline = self._puback_deadline_us()
        return deadline is not None and now_us >= deadline

    # ---- what to do -------------------------------------------------------------------------------

    def next(self, now_us: int, *, urgent_only: bool = False) -> Request | None:
        """What to read and offer now; None: nothing may or need be sent."""
        if not self._connected:
            return None
        for lane, ahead in _ORDER[:1] if urgent_only else _ORDER:
            urgent = lane is Lane.EMERGENCY
            size = self._blocked.get((lane, ahead))
            if not self._window.has_slot(urgent) or (size is not None and not self._window.fits(size, urgent)):
                if urgent:
                    continue
                return None  # nothing slips in front of a batch that waits for its turn
            if not urgent and lane not in self._rules.lanes:
                continue
            request = self._next_ahead(lane, now_us) if ahead else self._next_of_lane(lane, now_us)
            if request is not None:
                return request
        return None

    def admit(self, request: Request, first: int, last: int, size: int, now_us: int) -> int | None:
        """May this batch (records first..last, ``size`` payload bytes) go now? A token to be named at its PUBACK, or
        None: keep it, ``next`` will ask for it again when it fits."""
        flow = self._flows[request.epoch, request.lane]
        token = self._window.take(size, request.lane is Lane.EMERGENCY, now_us)
        if token is None:
            self._blocked[request.lane, request.ahead] = size
            return None
        self._blocked.pop((request.lane, request.ahead), None)
        self._tokens[token] = (request.epoch, request.lane)
        if request.ahead:
            flow.record_ahead(Batch(first, last, size, token), self._ack_window(Lane.EVENT), now_us)
        else:
            flow.record_sent(first, last, size, token, now_us)
        return token

    def admit_status(self, size: int, now_us: int) -> int | None:
        """A token for a status message, which is no record."""
        return self._window.take(size, False, now_us)

    def nothing_there(self, request: Request, now_us: int) -> None:
        """The log had nothing to read (it moved on); ask again after a refresh or a second."""
        flow = self._flows.get((request.epoch, request.lane))
        if flow is not None:
            flow.retry_read_us = now_us + _RETRY_READ_US

    def behind(self, request: Request, first: int) -> int:
        """How many records before ``first`` the terminal still holds unacknowledged."""
        flow = self._flows[request.epoch, request.lane]
        return 0 if request.first_seq == flow.floor else first - flow.floor

    def is_historical(self, request: Request, last: int) -> bool:
        """Newer records of the lane than those up to ``last`` went before, or are more than a batch that waits."""
        if request.ahead or request.lane is Lane.EMERGENCY:
            return False
        flow = self._flows[request.epoch, request.lane]
        *_older, newest = self._of(request.lane)
        return newest is not flow or bool(flow.ahead) or flow.durable - last > self._whole(request.lane)

    def wake_us(self, now_us: int) -> int | None:
        """The next moment after now when ``tick`` or ``next`` has something new without anything happening."""
        times: list[int | None] = []
        if self._connected:
            times.append(self._puback_deadline_us())
            for flow in self._flows.values():
                times.append(flow.deadline_us())
                if flow.lane is Lane.TELEMETRY:
                    waiting = (flow.waiting_since_us if flow.unsent else None, flow.last_ahead_us)
                    times += (since + self._age_us for since in waiting if since is not None)
        return min((t for t in times if t is not None and t > now_us), default=None)

    # ---- state ------------------------------------------------------------------------------------

    @property
    def window(self) -> SendWindow:
        return self._window

    @property
    def probing(self) -> bool:
        return any(flow.probing for flow in self._flows.values())

    @property
    def unacknowledged_bytes(self) -> int:
        return sum(flow.unacknowledged_bytes for flow in self._flows.values())

    def unsent(self, lane: Lane) -> int:
        return sum(flow.unsent for flow in self._of(lane))

    def backlog(self) -> dict[Lane, int]:
        """Durable records not acknowledged, by lane."""
        return {lane: sum(f.durable - f.acknowledged for f in self._of(lane)) for lane in Lane}

    def company_s(self, waiting: Mapping[Lane, int]) -> float:
        """How long all that waits (records by lane) may do so for want of a full batch."""
        is_few = set(waiting) == {Lane.TELEMETRY} and waiting[Lane.TELEMETRY] < self._rules.batch_records
        return self._rules.batch_age_s if is_few else 0.0

    # ---- leaves -----------------------------------------------------------------------------------

    def _puback_deadline_us(self) -> int | None:
        """The oldest message's; sooner where an emergency is on the way and the broker says nothing at all."""
        oldest, urgent = self._window.oldest_us(), self._window.oldest_us(urgent=True)
        if oldest is None:
            return None
        deadline = oldest + round(self._options.puback_timeout_s * 1e6)
        if urgent is None:
            return deadline
        return min(deadline, max(urgent, self._puback_us) + round(self._options.emergency_puback_timeout_s * 1e6))

    def _of(self, lane: Lane) -> Iterator[Flow]:
        return (flow for flow in self._flows.values() if flow.lane is lane)

    def _timeouts(self, lane: Lane) -> tuple[int, int]:
        """First and longest wait for an acknowledgement."""
        o = self._options
        if lane is Lane.EMERGENCY:
            return round(o.emergency_ack_timeout_s * 1e6), round(o.emergency_ack_timeout_cap_s * 1e6)
        return round(o.ack_timeout_s * 1e6), round(o.ack_timeout_cap_s * 1e6)

    def _ack_window(self, lane: Lane) -> int:
        return self._options.ack_window_bytes // (4 if lane in _URGENT else 1)

    @property
    def _age_us(self) -> int:
        return round(self._rules.batch_age_s * 1e6)

    def _next_ahead(self, lane: Lane, now_us: int) -> Request | None:
        """The newest records of the lane, while more than a batch waits before them in turn; then the next newest when
        there are enough of them. Not from a stream that has trouble: its backlog must show what the matter is."""
        flows = list(self._of(lane))
        if not flows or sum(flow.unsent for flow in flows) <= self._whole(lane):
            return None
        flow, whole = flows[-1], self._whole(lane)
        if flow.probing or flow.strikes > _PATIENCE or now_us < flow.retry_read_us:
            return None
        new = flow.durable - flow.ahead_from + 1
        since = flow.last_ahead_us
        is_enough = new >= whole or lane is not Lane.TELEMETRY or since is None or now_us - since >= self._age_us
        if new <= 0 or not is_enough:
            return None
        first = max(flow.ahead_from, flow.durable - whole + 1)
        return Request(flow.epoch, lane, first, flow.durable - first + 1, self._cut(flow)[1], ahead=True)

    def _whole(self, lane: Lane) -> int:
        """Records in a usual batch of the lane."""
        return self._rules.batch_records if lane is Lane.TELEMETRY else _URGENT_RECORDS

    def _next_of_lane(self, lane: Lane, now_us: int) -> Request | None:
        used = sum(flow.unacknowledged_bytes - flow.ahead_bytes for flow in self._of(lane))
        if used >= self._ack_window(lane) and not self._broker_final:
            return None
        for flow in self._of(lane):
            careful = not self._broker_final and (flow.probing or flow.is_settling or not flow.proved)
            waits = careful and flow.sent and not (lane is Lane.EMERGENCY and flow.durable > flow.highest_sent)
            if not waits and not flow.unsent:
                continue
            if not waits and now_us >= flow.retry_read_us and self._is_ready(flow, now_us):
                return self._request(flow)
            if lane is not Lane.EMERGENCY:
                return None  # its turn, and one batch in the air; only an emergency waits for no older epoch
        return None

    def _is_ready(self, flow: Flow, now_us: int) -> bool:
        """Telemetry waits for company; everything else, and what is sent again or late, goes at once."""
        if flow.lane is not Lane.TELEMETRY or self.flushing or flow.resending or flow.ahead:
            return True
        if flow.unsent >= self._rules.batch_records:
            return True
        since = flow.waiting_since_us
        return since is not None and now_us - since >= self._age_us

    def _request(self, flow: Flow) -> Request:
        """What is not taken again and again is tried in another form, and in pieces that halve down to one record: a
        limit of the broker, or a record that trips the receiver, holds up no more than it must."""
        records, size = self._cut(flow)
        halvings = max(0, flow.strikes - _PATIENCE)
        records = max(1, min(records, flow.turn_end - flow.next_seq + 1) >> halvings)
        return Request(flow.epoch, flow.lane, flow.next_seq, records, size, plain=halvings > 0)

    def _cut(self, flow: Flow) -> tuple[int, int]:
        o = self._options
        if flow.lane in _URGENT:
            return min(flow.unsent, _URGENT_RECORDS), min(o.batch_bytes, o.emergency_bytes // 2)
        whole = self._rules.batch_records
        if flow.lane is Lane.BULK:
            return min(flow.unsent, whole), min(o.batch_bytes, 8192)
        if flow.unsent >= o.backfill_records:
            whole = max(whole, o.backfill_records)
        return min(flow.unsent, whole), o.batch_bytes
