"""The dead-man against any order of messages, silences, outages of ours and clocks: its promises, a state machine."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from outrider.ingest.watch.deadman import Cleared, CoverageMap, DeadMan, DeadManOptions, Vanished
from outrider.model.beacon import Beacon
from outrider.model.event import EventKind, Phase
from tests.support.events import EVENT

CARS = st.sampled_from(["a", "b", "c"])
ODD = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True))
OPTIONS = DeadManOptions(threshold=0.5, common_count=100, max_devices=3)  # nearly every silence is an alarm
PATIENCE_S = 1 + OPTIONS.delay_s  # of the shortest interval, with evidence


class DeadManMachine(RuleBasedStateMachine):
    """Two dead-men get the same; what they say is held against a plain record of what was heard when."""

    def __init__(self) -> None:
        super().__init__()
        self.men = [DeadMan(OPTIONS, CoverageMap(64)) for _ in range(2)]
        self.t = 1_790_000_000.0
        self.heard: dict[str, float] = {}
        self.watched: set[str] = set()  # announced a beacon, or a crash, since our last outage
        self.vanished: set[str] = set()

    def say(self, car: str) -> None:
        self.heard[car] = self.t

    @rule(car=CARS, interval=st.sampled_from([0, 1, 5, 10]), boot=st.integers(1, 2), step=st.integers(-5, 50))
    def beacon(self, car: str, interval: int, boot: int, step: int) -> None:
        t_us = int((self.t + step - 1_789_000_000) * 1e6)
        known = Beacon(boot, t_us, None, 50.0, 8.0, 3.0, 30.0, 90.0, -90, 0.0, interval)
        for man in self.men:
            man.beacon(car, self.t, known)
        self.say(car)
        self.watched.add(car)

    @rule(car=CARS, lat=ODD, lon=ODD, heading=ODD, speed=st.floats(), decel=ODD, interval=st.integers())
    def hostile(self, **odd: object) -> None:
        car = str(odd["car"])
        sent = Beacon(
            9, int(self.t), odd["interval"], odd["lat"], odd["lon"], None, odd["speed"],  # type: ignore[arg-type]  # odd
            odd["heading"], None, odd["decel"], odd["interval"],  # type: ignore[arg-type]  # on purpose
        )  # fmt: skip
        for man in self.men:
            man.beacon(car, self.t, sent)
        self.say(car)
        self.watched.add(car)

    @rule(car=CARS, how=st.sampled_from(["seen", "birth"]))
    def seen(self, car: str, how: str) -> None:
        for man in self.men:
            getattr(man, how)(car, self.t)
        self.say(car)

    @rule(car=CARS)
    def will(self, car: str) -> None:
        for man in self.men:
            man.will(car, self.t)

    @rule(car=CARS, phase=st.sampled_from([Phase.SUSPECT, Phase.CONFIRMED, Phase.CANCELLED]))
    def crash(self, car: str, phase: Phase) -> None:
        for man in self.men:
            man.crash(car, self.t, replace(EVENT, kind=EventKind.CRASH, phase=phase))
        self.say(car)
        self.watched.add(car)

    @rule(down=st.booleans())
    def link(self, down: bool) -> None:
        for man in self.men:
            (man.link_down if down else man.link_up)(self.t)
        self.watched.clear()

    @rule(jump=st.sampled_from([-1e6, -3600.0, -2.0, 60.0, 1e6]))
    def clock(self, jump: float) -> None:
        """Steps of our own clock; a step forward is taken for sleep."""
        self.t += jump
        self.heard = {car: min(at + jump, self.t) if jump < 0 else at for car, at in self.heard.items()}
        self.tick(0.0)
        if jump > OPTIONS.stall_s:
            self.watched.clear()

    @rule(seconds=st.integers(1, 200))
    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.tick(1.0)

    def tick(self, seconds: float) -> None:
        self.t += seconds
        said, again = (man.tick(self.t) for man in self.men)
        assert [str(one) for one in said] == [str(one) for one in again], "the same messages, other words"
        for one in said:
            self.check(one)

    def check(self, one: Vanished | Cleared) -> None:
        if isinstance(one, Cleared):
            assert one.device in self.vanished, "cleared twice, or never raised"
            self.vanished.discard(one.device)
            return
        assert one.device not in self.vanished, "raised twice"
        assert one.device in self.watched, "nobody expected it"
        self.vanished.add(one.device)
        assert self.t - self.heard[one.device] >= PATIENCE_S - 1e-3, "heard a moment ago"
        assert math.isfinite(one.radius_m(self.t))
        assert 0 <= one.radius_m(self.t) <= one.radius_m(self.t + 60)
        place = one.place()
        assert place is None or (abs(place[0]) <= 90 and math.isfinite(place[1]))
        assert all(one.reasons)

    @invariant()
    def alarms_that_stand_are_those_that_were_told(self) -> None:
        pending = self.men[0].branch("nobody")  # a copy has no effect on what is pending
        assert list(pending.vanished()) == []
        assert {one.device for one in self.men[0].vanished()} <= self.vanished

    @invariant()
    def memory_is_bounded(self) -> None:
        counters = self.men[0].counters()
        assert counters["cars"] <= OPTIONS.max_devices
        assert counters["cells"] <= 64

    def teardown(self) -> None:
        """Whoever is heard again is cleared: nothing stands for ever."""
        for car in list(self.vanished):
            for man in self.men:
                man.seen(car, self.t)
        for _ in range(20):
            self.tick(1.0)
        assert not self.vanished - {one.device for one in self.men[0].vanished()}


TestDeadMan = DeadManMachine.TestCase
TestDeadMan.settings = settings(max_examples=40, stateful_step_count=25)
