"""What is sent next, and when: order of lanes, windows, time-outs, economy while nobody answers."""

from __future__ import annotations

import random

import pytest

from outrider.errors import ConfigError
from outrider.model.record import Lane
from outrider.ports import Stream
from outrider.uplink.budget import SendRules
from outrider.uplink.core import Position, Request, SendCore
from outrider.uplink.options import SendOptions, UplinkOptions

S = 1_000_000


def core(**changes: object) -> SendCore:
    """Connected."""
    made = SendCore(SendOptions(**changes), rng=random.Random(1))  # type: ignore[arg-type]  # test convenience
    made.connected(65535)
    return made


def proved(made: SendCore, *streams: Stream) -> None:
    """These streams, each one acknowledged by a record on this connection already."""
    made.refresh([Stream(s.epoch, s.lane, s.acknowledged - 1, s.durable) for s in streams], 0)
    for s in streams:
        assert made.acknowledged(s.epoch, s.lane, s.acknowledged, 0)
    made.refresh(streams, 0)


def in_turn(made: SendCore, now: int) -> Request | None:
    """The next request; what goes ahead of a backlog is sent and confirmed before."""
    while (request := made.next(now)) is not None and request.ahead:
        token = made.admit(request, request.first_seq, request.first_seq + request.max_records - 1, 1, now)
        assert token is not None
        made.puback(token, now)
    return request


def take(made: SendCore, now: int, size: int = 100) -> tuple[Request, int]:
    """The next request in turn, admitted whole; its token."""
    request = in_turn(made, now)
    assert request is not None
    last = request.first_seq + request.max_records - 1
    token = made.admit(request, request.first_seq, last, size, now)
    assert token is not None
    return request, token


def test_lanes_go_in_order_of_urgency() -> None:
    """Emergency, ledger, event, telemetry, bulk."""
    made = core()
    made.refresh([Stream(1, lane, 0, 60 if lane is Lane.TELEMETRY else 16) for lane in reversed(Lane)], 0)
    lanes = []
    for _ in range(5):
        request = made.next(0)
        assert request is not None
        made.admit(request, request.first_seq, 60, 100, 0)
        lanes.append(request.lane)
    assert lanes == list(Lane)


def test_telemetry_waits_for_company_but_not_for_ever() -> None:
    """Less than a batch is held back until it is a minute old; a flush ends the waiting."""
    made = core()
    made.refresh([Stream(1, Lane.TELEMETRY, 0, 59)], 5 * S)
    assert made.next(5 * S) is None
    assert made.wake_us(5 * S) == 65 * S
    assert made.next(64 * S) is None
    assert made.next(65 * S) == Request(1, Lane.TELEMETRY, 1, 59, 65536)
    made.flushing = True
    assert made.next(6 * S) is not None


def test_a_backlog_is_cut_larger() -> None:
    made = core()
    made.refresh([Stream(1, Lane.TELEMETRY, 0, 1000)], 0)
    assert take(made, 0)[0].max_records == 300


def test_the_last_slot_and_the_reserved_bytes_are_for_emergencies() -> None:
    """However much waits, an emergency is admitted at once."""
    made = core(window_messages=3, window_bytes=1000, emergency_bytes=200)
    proved(made, Stream(1, Lane.BULK, 1, 900))
    take(made, 0, 400)
    request = made.next(0)
    assert request is not None
    assert made.admit(request, 62, 121, 500, 0) is None, "900 of 800 bytes"
    assert made.next(0) is None, "and it is not asked for again while it does not fit"
    assert made.admit(request, 62, 62, 400, 0) is not None
    made.refresh([Stream(1, Lane.BULK, 1, 900), Stream(1, Lane.EMERGENCY, 0, 1)], 0)
    assert take(made, 0, 200)[0].lane is Lane.EMERGENCY
    assert made.window.messages == 3


def test_receive_maximum_of_one_still_sends() -> None:
    made = core()
    made.connected(1)
    proved(made, Stream(1, Lane.BULK, 1, 900))
    _request, token = take(made, 0)
    assert made.next(0) is None
    made.puback(token, 1)
    assert made.next(1) is not None


def test_a_puback_moves_the_window_and_not_the_cursor() -> None:
    made = core()
    made.refresh([Stream(1, Lane.EVENT, 0, 10)], 0)
    _request, token = take(made, 0)
    assert made.puback(token, 1) is None
    assert made.puback(token, 2) is None, "twice is once"
    assert made.window.messages == 0
    assert made.backlog()[Lane.EVENT] == 10


def test_without_acknowledgement_it_goes_back_and_asks_less_and_less() -> None:
    """A receiver that is down for six hours costs one batch at growing intervals, up to ten minutes."""
    made = core()
    now, sent = 0, []
    while now < 21_600 * S:
        made.refresh([Stream(1, Lane.TELEMETRY, 0, 60 + now // S)], now)
        made.tick(now)
        while made.next(now) is not None:
            request, token = take(made, now, 700)
            sent.append((now // S, request.first_seq))
            made.puback(token, now + 1)
        now += S
    first_minute = [at for at, _seq in sent if at <= 60]
    assert len(sent) < 50, "six hours at ten minutes, and the beginning"
    assert len(first_minute) <= 5
    assert {seq for at, seq in sent if at > 600} == {1}, "always the oldest batch"
    assert 540 <= sent[-1][0] - sent[-2][0] <= 610
    assert made.probing


def test_an_answer_ends_the_probing() -> None:
    made = core()
    made.refresh([Stream(1, Lane.TELEMETRY, 0, 600)], 0)
    _request, token = take(made, 0)
    made.puback(token, 0)
    made.tick(15 * S)
    assert made.timeouts == 1
    request, token = take(made, 15 * S)
    assert request.first_seq == 1
    assert in_turn(made, 15 * S) is None, "one batch in the air"
    assert made.acknowledged(1, Lane.TELEMETRY, 300, 16 * S)
    assert not made.probing
    assert take(made, 16 * S)[0].first_seq == 301


def test_a_late_acknowledgement_moves_past_what_is_sent_again() -> None:
    made = core()
    made.refresh([Stream(1, Lane.TELEMETRY, 0, 600)], 0)
    _request, token = take(made, 0)
    made.puback(token, 0)
    made.tick(15 * S)
    assert made.acknowledged(1, Lane.TELEMETRY, 300, 15 * S)
    assert take(made, 15 * S)[0].first_seq == 301
    assert not made.acknowledged(1, Lane.TELEMETRY, 200, 15 * S), "old news"


def test_bytes_beyond_the_cursor_are_bounded_per_lane() -> None:
    """A lane that is not acknowledged stops at its window; the others go on."""
    made = core(ack_window_bytes=2000)
    proved(made, Stream(1, Lane.TELEMETRY, 1, 100_000), Stream(1, Lane.BULK, 1, 2))
    for _ in range(4):
        request, token = take(made, 0, 500)
        assert request.lane is Lane.TELEMETRY
        made.puback(token, 0)
    assert made.unacknowledged_bytes == 2001, "and the newest"
    request = made.next(0)
    assert request is not None
    assert request.lane is Lane.BULK


def test_after_reconnecting_it_starts_from_the_cursor() -> None:
    made = core()
    proved(made, Stream(1, Lane.EVENT, 1, 41))
    take(made, 0)
    take(made, 0)
    made.acknowledged(1, Lane.EVENT, 10, 1)
    made.disconnected()
    assert made.next(2) is None
    made.connected(65535)
    assert take(made, 2)[0].first_seq == 11


def test_a_connection_begins_with_one_batch_of_each_lane() -> None:
    """Until a receiver has acknowledged it: links that die early must not carry the whole window each time, and a
    broker that came back empty must not make holes."""
    made = core()
    made.refresh([Stream(1, Lane.EVENT, 0, 100), Stream(1, Lane.TELEMETRY, 0, 6000)], 0)
    made.disconnected()
    made.connected(65535)
    assert [take(made, 1)[0].lane, take(made, 1)[0].lane] == [Lane.EVENT, Lane.TELEMETRY]
    assert in_turn(made, 1) is None
    made.acknowledged(1, Lane.EVENT, 16, 2)
    assert take(made, 2)[0].first_seq == 17, "this lane is known to arrive"
    assert {take(made, 2)[0].lane for _ in range(3)} == {Lane.EVENT}, "of the other it is not known yet"


def test_a_new_emergency_goes_even_while_probing() -> None:
    made = core()
    made.refresh([Stream(1, Lane.EMERGENCY, 0, 1)], 0)
    _request, token = take(made, 0)
    made.puback(token, 0)
    made.tick(5 * S)
    take(made, 5 * S)
    assert made.next(6 * S) is None
    made.refresh([Stream(1, Lane.EMERGENCY, 0, 2)], 6 * S)
    assert take(made, 6 * S)[0].first_seq == 2


def test_behind_tells_how_far_back_records_are_held() -> None:
    """0 at the cursor; the distance after it; and what retention removed is not held."""
    made = core()
    proved(made, Stream(1, Lane.TELEMETRY, 40, 1000))
    request, _token = take(made, 0)
    assert (request.first_seq, made.behind(request, 41)) == (41, 0)
    request = in_turn(made, 0)
    assert request is not None
    assert made.behind(request, request.first_seq) == request.first_seq - 41
    fresh = core()
    fresh.refresh([Stream(1, Lane.TELEMETRY, 40, 1000)], 0)
    request = in_turn(fresh, 0)
    assert request is not None
    assert fresh.behind(request, 90) == 0, "41..89 are gone"


def test_an_overdue_puback_drops_the_link() -> None:
    made = core()
    made.refresh([Stream(1, Lane.EVENT, 0, 1)], 0)
    take(made, 0)
    assert not made.tick(30 * S - 1)
    assert made.tick(30 * S)


def test_an_emergency_does_not_wait_long_for_a_dead_broker() -> None:
    """10 s without any PUBACK; a broker that confirms other messages meanwhile is only slow."""
    made = core()
    made.refresh([Stream(1, Lane.EMERGENCY, 0, 1), Stream(1, Lane.LEDGER, 0, 1)], 0)
    take(made, 0)
    _request, token = take(made, 0)
    assert made.wake_us(0) == 10 * S
    assert not made.tick(10 * S - 1)
    made.puback(token, 8 * S)
    assert not made.tick(18 * S - 1)
    assert made.tick(18 * S)


def test_broker_mode_advances_without_holes_only() -> None:
    """The second PUBACK first: nothing is final until the first one is here."""
    made = SendCore(SendOptions(), broker_final=True)
    made.connected(65535)
    made.refresh([Stream(1, Lane.LEDGER, 0, 32)], 0)
    _request, first = take(made, 0)
    _request, second = take(made, 0)
    assert made.puback(second, 1) is None
    assert made.puback(first, 1) == Position(1, Lane.LEDGER, 32)


def test_the_newest_goes_ahead_of_a_backlog() -> None:
    """After an outage: the newest rows first, then the oldest, marked historical; while the backlog drains, the next
    newest as soon as they are a batch or a minute old."""
    made = core()
    proved(made, Stream(1, Lane.TELEMETRY, 40, 1000))
    request = made.next(0)
    assert request == Request(1, Lane.TELEMETRY, 941, 60, 65536, ahead=True)
    assert made.behind(request, 941) == 900, "a receiver must go on waiting for the backlog"
    made.puback(made.admit(request, 941, 1000, 100, 0) or 0, 0)
    second = made.next(0)
    assert second == Request(1, Lane.TELEMETRY, 41, 300, 65536)
    assert made.is_historical(second, 340)
    assert not made.is_historical(request, 1000)
    made.refresh([Stream(1, Lane.TELEMETRY, 40, 1059)], S)
    request = made.next(S)
    assert request is not None
    assert not request.ahead, "59 rows, a second old"
    assert made.wake_us(S) == 60 * S
    request = made.next(60 * S)
    assert request == Request(1, Lane.TELEMETRY, 1001, 59, 65536, ahead=True)


def test_the_newest_events_go_ahead_of_old_ones() -> None:
    made = core()
    proved(made, Stream(1, Lane.EVENT, 1, 100), Stream(1, Lane.TELEMETRY, 1, 1000))
    asked = []
    for _ in range(4):
        request = made.next(0)
        assert request is not None
        made.admit(request, request.first_seq, request.first_seq + request.max_records - 1, 100, 0)
        asked.append((request.lane, request.first_seq, request.ahead))
    assert asked == [
        (Lane.EVENT, 85, True),
        (Lane.TELEMETRY, 941, True),
        (Lane.EVENT, 2, False),
        (Lane.EVENT, 18, False),
    ]


def test_what_went_ahead_is_not_sent_again_in_turn() -> None:
    """The backlog is sent up to it; then its acknowledgement is awaited, so that nothing beyond it makes a hole."""
    made = core()
    proved(made, Stream(1, Lane.TELEMETRY, 1, 200))
    ahead = made.next(0)
    assert ahead is not None
    made.puback(made.admit(ahead, 141, 200, 100, 0) or 0, 0)
    request, token = take(made, 0)
    assert (request.first_seq, request.max_records) == (2, 60)
    made.puback(token, 0)
    made.puback(take(made, 0)[1], 0)
    request, token = take(made, 0)
    assert (request.first_seq, request.max_records) == (122, 19), "up to what went ahead"
    made.puback(token, 0)
    made.refresh([Stream(1, Lane.TELEMETRY, 1, 400)], S)
    assert in_turn(made, S) is None
    made.acknowledged(1, Lane.TELEMETRY, 200, S)
    assert in_turn(made, S) is not None


def test_what_went_ahead_and_was_lost_is_sent_again() -> None:
    """The receiver says 140 and no more: after the time-out it comes in turn."""
    made = core()
    proved(made, Stream(1, Lane.TELEMETRY, 1, 200))
    ahead = made.next(0)
    assert ahead is not None
    made.puback(made.admit(ahead, 141, 200, 100, 0) or 0, 0)
    for _ in range(3):
        made.puback(take(made, 0)[1], 0)
    made.acknowledged(1, Lane.TELEMETRY, 140, S)
    assert made.next(S) is None
    made.tick(16 * S)
    made.refresh([Stream(1, Lane.TELEMETRY, 140, 200)], 16 * S)
    request = made.next(16 * S)
    assert request is not None
    assert (request.first_seq, request.max_records, request.ahead) == (141, 60, False)


def test_a_long_drain_does_not_stop_at_what_went_ahead() -> None:
    """Hours of backlog over a thin link: the newest keep going ahead; the oldest of them are forgotten, to be sent
    again in turn, and neither the bytes beyond the cursor nor the backlog's own turn depend on how long it takes."""
    made = core(ack_window_bytes=4000)
    proved(made, Stream(1, Lane.TELEMETRY, 1, 100_000))
    for minute in range(200):
        now = 60 * minute * S
        made.refresh([Stream(1, Lane.TELEMETRY, 1, 100_000 + 60 * minute)], now)
        request = made.next(now)
        assert request is not None
        assert request.ahead
        made.puback(made.admit(request, request.first_seq, 100_000 + 60 * minute, 300, now) or 0, now)
        assert made.unacknowledged_bytes <= 1000 + 300
    assert not take(made, now)[0].ahead


def test_in_broker_mode_what_went_ahead_is_final_in_its_turn() -> None:
    made = SendCore(SendOptions(), broker_final=True)
    made.connected(65535)
    made.refresh([Stream(1, Lane.EVENT, 0, 20)], 0)
    ahead = made.next(0)
    assert ahead is not None
    assert made.puback(made.admit(ahead, 5, 20, 100, 0) or 0, 0) is None, "1 to 4 are not there yet"
    _request, token = take(made, 0)
    assert made.puback(token, 0) == Position(1, Lane.EVENT, 20)


def test_a_stream_in_trouble_sends_nothing_ahead() -> None:
    """While nobody acknowledges: one batch in the air, the oldest."""
    made = core()
    made.refresh([Stream(1, Lane.TELEMETRY, 0, 600)], 0)
    made.puback(take(made, 0)[1], 0)
    made.tick(15 * S)
    request = made.next(15 * S)
    assert request is not None
    assert (request.first_seq, request.ahead) == (1, False)


def test_rules_hold_lanes_back_and_change_the_portions() -> None:
    """At once, also for what waits already; an emergency is above them."""
    made = core()
    streams = [Stream(1, Lane.EMERGENCY, 0, 1), Stream(1, Lane.TELEMETRY, 0, 20), Stream(1, Lane.BULK, 0, 1)]
    made.obey(SendRules(300.0, 300, frozenset({Lane.TELEMETRY})))
    made.refresh(streams, S)
    assert take(made, S)[0].lane is Lane.EMERGENCY
    assert made.next(300 * S) is None, "bulk may not go, telemetry waits for 300 s"
    assert made.wake_us(300 * S) == 301 * S
    made.obey(SendRules(10.0, 10, frozenset({Lane.TELEMETRY})))
    request = made.next(11 * S)
    assert request is not None
    assert request.lane is Lane.TELEMETRY
    assert request.max_records == 10


def test_an_older_epoch_goes_first() -> None:
    made = core()
    proved(made, Stream(9, Lane.EVENT, 1, 5), Stream(2, Lane.EVENT, 1, 5))
    assert [take(made, 0)[0].epoch, take(made, 0)[0].epoch] == [9, 2]


def test_an_empty_read_is_not_repeated_at_once() -> None:
    made = core()
    made.refresh([Stream(1, Lane.EVENT, 0, 5)], 0)
    request = made.next(0)
    assert request is not None
    made.nothing_there(request, 0)
    assert made.next(0) is None
    assert made.next(S) is not None


def test_a_lane_that_does_not_fit_is_not_overtaken_by_a_lower_one() -> None:
    made = core(window_bytes=1000, emergency_bytes=200)
    made.refresh([Stream(1, Lane.BULK, 0, 60)], 0)
    _request, token = take(made, 0, 700)
    made.refresh([Stream(1, Lane.EVENT, 0, 1), Stream(1, Lane.BULK, 0, 600)], 0)
    request = made.next(0)
    assert request is not None
    assert made.admit(request, 1, 1, 300, 0) is None
    assert made.next(0) is None
    made.puback(token, 1)
    assert take(made, 1, 300)[0].lane is Lane.EVENT


@pytest.mark.parametrize(
    "changes", [{"batch_records": 0}, {"window_messages": 9}, {"window_messages": 0}, {"emergency_bytes": 32_768}]
)
def test_options_that_could_never_send_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        SendOptions(**changes)  # type: ignore[arg-type]  # one at a time


def test_a_missing_key_is_refused() -> None:
    with pytest.raises(ConfigError, match="acknowledgement key"):
        UplinkOptions("h", 1, "car", b"short")


def test_an_emergency_does_not_wait_for_one_of_an_older_epoch() -> None:
    """The old one is on its way, unanswered, for ever; the new log's first emergency goes at once."""
    made = core()
    made.refresh([Stream(1, Lane.EMERGENCY, 0, 1)], 0)
    _request, token = take(made, 0)
    made.puback(token, 0)
    made.refresh([Stream(1, Lane.EMERGENCY, 0, 1), Stream(2, Lane.EMERGENCY, 0, 1)], S)
    assert take(made, S)[0].epoch == 2
    assert made.next(S) is None, "once"


def test_a_batch_that_nobody_takes_gets_smaller_and_plain_and_an_answer_ends_it() -> None:
    """Down to one record: whatever trips the receiver holds up itself only."""
    made = core()
    made.refresh([Stream(1, Lane.TELEMETRY, 0, 60)], 100 * S)
    made.flushing = True
    now, shapes = 100 * S, []
    for _ in range(11):
        request, token = take(made, now)
        shapes.append((request.first_seq, request.max_records, request.plain))
        made.puback(token, now)
        now += 700 * S
        made.tick(now)
    usual = (1, 60, False)
    assert shapes == [usual] * 4 + [(1, n, True) for n in (30, 15, 7, 3, 1, 1, 1)]
    assert made.acknowledged(1, Lane.TELEMETRY, 1, now)
    assert made.next(now) == Request(1, Lane.TELEMETRY, 2, 59, 65536)


def test_a_broker_that_hangs_up_on_a_batch_gets_smaller_ones() -> None:
    """A 3.1.1 broker tells no limit: it closes the connection."""
    made = core()
    sizes = []
    for turn in range(6):
        made.connected(65535)
        made.refresh([Stream(1, Lane.BULK, 0, 60)], turn)
        sizes.append(take(made, turn)[0].max_records)
        made.disconnected()
    assert sizes == [60, 60, 60, 60, 30, 15]


def test_a_link_that_breaks_while_all_is_confirmed_is_no_reason_for_smaller_batches() -> None:
    made = core()
    for turn in range(9):
        made.connected(65535)
        made.refresh([Stream(1, Lane.BULK, 0, 60)], turn)
        request, token = take(made, turn)
        assert request.max_records == 60
        made.puback(token, turn)
        made.disconnected()
