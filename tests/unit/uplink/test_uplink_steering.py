"""Rules, networks and stalls as the sender meets them, second by second."""

from __future__ import annotations

import random

import pytest

from outrider.errors import LinkError
from outrider.model.network import NetworkState, Path
from outrider.model.notice import Notice, NoticeCode
from outrider.model.record import Lane
from outrider.ports import Stream
from outrider.uplink.brokers import Broker, Brokers
from outrider.uplink.budget import Budget, BudgetOptions, Reach, SendRules
from outrider.uplink.core import SendCore
from outrider.uplink.options import SendOptions, UplinkOptions
from outrider.uplink.steering import Steering
from outrider.uplink.tally import Tally

S = 1_000_000


class Net:
    def __init__(self) -> None:
        self.state = NetworkState(Path.CELLULAR, interface="wwan0")

    def network(self) -> NetworkState:
        return self.state


class Scout:
    def __init__(self) -> None:
        self.asked: list[Broker] = []
        self.answer: Broker | None = None

    def start(self, broker: Broker) -> None:
        self.asked.append(broker)

    def found(self) -> Broker | None:
        found, self.answer = self.answer, None
        return found


class Scene:
    """A sender with two brokers, connected to the first."""

    def __init__(self, budget: BudgetOptions | None = None) -> None:
        options = UplinkOptions("a", 1, "car", b"k" * 16, others=(("b", 2),), stall_s=900.0)
        self.core, self.tally, self.net, self.scout = SendCore(SendOptions()), Tally(), Net(), Scout()
        addresses = ((options.host, options.port), *options.others)
        self.brokers = Brokers(addresses, backoff_s=1, cap_s=60, prefer_s=600, rng=random.Random(1))
        self.notices: list[Notice] = []
        self.steering = Steering(
            options,
            self.core,
            self.tally,
            self.brokers,
            self.scout,
            budget=None if budget is None else Budget(budget),
            network=self.net,
            on_notice=self.notices.append,
        )
        self.core.connected(65535)
        self.steering.accepted(self.brokers.first, 0)

    def backlog(self, lane: Lane, now_s: int) -> None:
        self.core.refresh([Stream(1, lane, 0, 5)], now_s * S)

    def pass_time(self, start_s: int, end_s: int) -> None:
        for now in range(start_s, end_s):
            self.steering.turn(now * S)


def test_a_moment_on_another_network_is_no_reason() -> None:
    """A hand-over flickers; no network at all is a tunnel; two seconds of another one are another one."""
    scene = Scene()
    wifi = NetworkState(Path.WIFI, interface="wlan0")
    for at, state in ((10, wifi), (11, scene.net.state), (12, NetworkState(Path.NONE)), (60, wifi), (61, wifi)):
        scene.net.state = state
        scene.steering.turn(at * S)
    with pytest.raises(LinkError, match="another network"):
        scene.steering.turn(62 * S)
    scene.steering.accepted(scene.brokers.first, 63 * S)
    scene.steering.turn(70 * S)


def test_what_the_budget_holds_is_no_stall() -> None:
    """On roaming only emergencies go: bulk waits for weeks, as it should. An emergency that waits is a stall."""
    scene = Scene(BudgetOptions(roaming=Reach.EMERGENCY))
    scene.net.state = NetworkState(Path.CELLULAR, roaming=True, interface="wwan0")
    scene.backlog(Lane.BULK, 0)
    scene.pass_time(0, 5000)
    assert scene.notices == []
    scene.backlog(Lane.EMERGENCY, 5000)
    with pytest.raises(LinkError, match="no acknowledgements"):
        scene.pass_time(5000, 7000)
    assert [notice.code for notice in scene.notices] == [NoticeCode.UPLOAD_STALLED]


def test_it_goes_back_when_the_first_answers_and_no_emergency_is_on_its_way() -> None:
    scene = Scene()
    first, second = scene.brokers.list
    scene.steering.accepted(second, 0)
    scene.pass_time(0, 1000)
    assert scene.scout.asked[0] is first
    scene.backlog(Lane.EMERGENCY, 1000)
    scene.tally.progress_us = 1000 * S
    scene.scout.answer = first
    scene.steering.turn(1001 * S)
    scene.core.refresh([], 1002 * S)
    with pytest.raises(LinkError, match="back to a:1"):
        scene.steering.turn(1003 * S)
    assert dict(scene.notices[0].detail) == {"broker": "b:2", "before": "a:1"}


def test_rows_that_wait_for_company_are_no_stall() -> None:
    """A parked car sends a batch each 15 minutes, and its acknowledgement takes a moment: that is as it should be.
    One that never comes is told."""
    scene = Scene()
    scene.core.obey(SendRules(900.0, 60, frozenset(Lane)))
    scene.backlog(Lane.TELEMETRY, 0)
    for now in range(4000):
        if now % 903 == 0:
            scene.tally.progress_us = now * S
        scene.steering.turn(now * S)
    assert scene.notices == []
    with pytest.raises(LinkError, match="no acknowledgements"):
        scene.pass_time(4000, 6000)
    assert [notice.code for notice in scene.notices] == [NoticeCode.UPLOAD_STALLED]


def test_a_meter_that_comes_late_does_not_cost_the_connection() -> None:
    """The first connection may be there before anybody knows which network carries it."""
    for unknown in (NetworkState(), NetworkState(Path.NONE)):
        scene = Scene()
        cellular, scene.net.state = scene.net.state, unknown
        scene.steering.accepted(scene.brokers.first, 0)
        scene.pass_time(0, 5)
        scene.net.state = cellular
        scene.pass_time(5, 20)
        scene.net.state = NetworkState(Path.WIFI, interface="wlan0")
        with pytest.raises(LinkError, match="another network"):
            scene.pass_time(20, 40)
