"""Cars lost at speed: the simulated world is what its assumptions say, and the score of a watch is what it deserves."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from outrider.app.evaluate import make_lookout
from outrider.cli.main import main
from outrider.evaluate.lost import summary as sm
from outrider.evaluate.lost.drive import Drive, Outage, draw_drive, merge
from outrider.evaluate.lost.link import connected_at, deliver, repeated_at
from outrider.evaluate.lost.page import curve_svg, page
from outrider.evaluate.lost.ride import Course, Loss, Silence
from outrider.evaluate.lost.road import STEP_M, Road, correlated, draw_road
from outrider.evaluate.lost.run import Extent, Fleet
from outrider.evaluate.lost.world import MOTORWAY, RURAL, World
from outrider.evaluate.plot import draw
from outrider.evaluate.results import Evaluation
from outrider.evaluate.rows import lost as row
from outrider.evaluate.rows.effort import Effort
from outrider.model.beacon import Beacon
from outrider.model.event import Event

SMALL = Extent(roads=1, passes=6, loss_km=10.0)
CALM = replace(
    World(), stall_per_h=0.0, glitch_per_h=0.0, restart_per_h=0.0, reboot_per_h=0.0, cut_off_per_h=0.0,
    unserved_times=1e-6, tunnels_times=0.0, lost_beacons=0.0, hard_brake_km=1e9,
)  # fmt: skip


def random(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def a_drive(world: World = CALM, seed: int = 1) -> Drive:
    return draw_drive(draw_road(MOTORWAY, world, random(seed)), world, random(seed + 1))


# ---- the world -----------------------------------------------------------------------------------------------------


def test_noise_is_correlated_as_asked() -> None:
    """Variance 1, and 1/e of it after the length of correlation."""
    x = correlated(random(), 40_000, 500.0)
    lag = round(500.0 / STEP_M)
    assert x.std() == pytest.approx(1.0, abs=0.06)
    assert np.corrcoef(x[:-lag], x[lag:])[0, 1] == pytest.approx(math.exp(-1), abs=0.06)


def test_the_share_of_road_without_service_is_the_assumed_one() -> None:
    """Over many roads, tunnels left out."""
    world = replace(World(), tunnels_times=0.0)
    dbm = np.concatenate([draw_road(RURAL, world, random(seed)).field_dbm for seed in range(60)])
    assert (dbm < world.service_dbm).mean() == pytest.approx(RURAL.unserved, rel=0.35)


def test_a_road_is_a_road() -> None:
    """Its places are 25 m apart along its heading; its limits are those of its kind."""
    road = draw_road(MOTORWAY, World(), random())
    north = np.diff(road.lat) * 111_195
    east = np.diff(road.lon) * 111_195 * np.cos(np.radians(road.lat[1:]))
    assert np.hypot(north, east) == pytest.approx(STEP_M, rel=1e-3)
    assert set(np.round(road.limit * 3.6)) <= set(MOTORWAY.limits_kmh)


def test_speeds_are_driven_speeds() -> None:
    """From and to slow, near the limits, and never braking harder than a car."""
    drive = a_drive()
    acceleration = np.diff(drive.v) / np.diff(drive.t)
    assert np.abs(acceleration).max() < 4.0
    assert drive.v[0] < 20
    assert 60 < np.median(drive.v) * 3.6 < 170


def test_outages_are_apart_and_in_order() -> None:
    """Overlapping ones become one; what ends the connection gives the cause."""
    merged = merge(
        [Outage(5, 9, "stall"), Outage(0, 6, "dead zone"), Outage(8, 8.5, "restart"), Outage(20, 21, "glitch")]
    )
    assert merged == [Outage(0, 9, "restart"), Outage(20, 21, "glitch")]


def test_in_a_calm_world_every_beacon_arrives_on_time() -> None:
    """One every 5 s at speed, then one that says goodbye."""
    drive = a_drive()
    beacons, messages = deliver(drive, CALM, random())
    assert len(messages) == len(beacons.sent_s) > 100
    assert (beacons.arrived_s - beacons.sent_s < 2).all()
    fast = beacons.interval > 0
    assert (drive.speed(beacons.sent_s[fast]) * 3.6 >= CALM.beacon_kmh).all()
    assert beacons.interval[-1] == 0


def test_a_short_gap_puts_beacons_off_and_a_long_one_ends_the_connection() -> None:
    """What was sent in a short gap arrives after it; of a long one only a birth tells."""
    drive = a_drive()
    short = replace_outages(drive, [Outage(300.0, 312.0, "stall")])
    beacons, messages = deliver(short, CALM, random())
    inside = (beacons.sent_s >= 300) & (beacons.sent_s < 312)
    assert inside.sum() >= 2
    assert (beacons.through_s[inside] >= 312).all()
    assert np.isfinite(beacons.through_s).all()
    beacons, messages = deliver(replace_outages(drive, [Outage(300.0, 500.0, "tunnel")]), CALM, random())
    inside = (beacons.sent_s >= 300) & (beacons.sent_s < 500)
    assert np.isinf(beacons.through_s[inside]).all()
    births = [m.at_s for m in messages if m.kind == "birth"]
    assert len(births) == 1
    assert births[0] > 500
    assert not beacons.is_open(450)
    assert beacons.is_open(299)


def replace_outages(drive: Drive, outages: list[Outage]) -> Drive:
    return replace(drive, outages=outages)


def test_a_restart_closes_its_connection_and_a_reboot_does_not() -> None:
    """Only a system that lives sends the last words of TCP."""
    for cause, wills in (("restart", 1), ("reboot", 0)):
        _beacons, messages = deliver(replace_outages(a_drive(), [Outage(300.0, 310.0, cause)]), CALM, random())
        assert [m.kind for m in messages].count("will") == wills
        assert [m.kind for m in messages].count("birth") == 1


def test_thin_linear_timeouts_bring_it_sooner() -> None:
    """The known schedules of TCP: evenly spaced six times, or doubling from the start."""
    linear, doubling = World(), replace(World(), linear_timeouts=0)
    assert repeated_at(0.0, 1.0, linear) == pytest.approx(1.2)
    assert repeated_at(0.0, 1.0, doubling) == pytest.approx(0.3 + 0.6 + 1.2)
    assert repeated_at(5.0, 5.0, linear) == 5.0
    late = [sum(repeated_at(0.0, g, world) - g for g in np.arange(0.05, 2.4, 0.01)) for world in (linear, doubling)]
    assert late[0] < late[1] / 3


def test_the_uplink_backs_off_in_a_long_gap() -> None:
    """Connected after the gap, at most about as long after it as it lasted."""
    for seed in range(50):
        back = connected_at(Outage(0.0, 600.0, "tunnel"), World(), random(seed))
        assert 600.0 < back < 600 + 320


# ---- the fleet -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    score: float
    where: tuple[float, float] | None

    def place(self) -> tuple[float, float] | None:
        return self.where


class Simple:
    """A watch whose score is the seconds of silence: knows nothing, forgets nothing."""

    def __init__(self) -> None:
        self.heard: dict[str, tuple[float, Beacon]] = {}

    def beacon(self, device: str, received_utc_s: float, beacon: Beacon) -> None:
        self.heard[device] = (received_utc_s, beacon)

    def birth(self, device: str, received_utc_s: float) -> None: ...

    def will(self, device: str, received_utc_s: float) -> None: ...

    def crash(self, device: str, received_utc_s: float, event: Event) -> None: ...

    def tick(self, now_utc_s: float) -> None: ...

    def judgement(self, device: str, now_utc_s: float) -> Verdict | None:
        at, last = self.heard[device]
        place = None if last.lat_deg is None or last.lon_deg is None else (last.lat_deg, last.lon_deg)
        return Verdict(now_utc_s - at, place) if last.interval_s else None

    def branch(self, device: str) -> Simple:
        made = Simple()
        made.heard = {device: self.heard[device]}
        return made


def test_in_a_calm_world_a_stop_watch_finds_every_loss_and_errs_never() -> None:
    """Any threshold between an interval and the time allowed: all found and placed, none false."""
    experience = Fleet(replace(CALM, braking_beacon=False), SMALL, Simple, (1,)).run()
    assert len(experience.losses) > 20
    assert all(loss.covered for loss in experience.losses)
    one = sm.point(8.0, *sm.known(experience, 0))
    assert (one.found.value, one.false.count) == (1.0, 0)
    assert sm.point(30.0, *sm.known(experience, 0)).found.hits == 0


def test_gaps_of_the_world_are_false_alarms_of_a_stop_watch() -> None:
    """A world with tunnels and dead zones: the same watch is wrong about as often as there are long gaps."""
    experience = Fleet(World(), SMALL, Simple, (2,)).run()
    one = sm.point(12.0, *sm.known(experience, 0))
    assert one.false.count > 20
    assert set(sm.causes(experience.silences, 12.0)) >= {"dead zone"}


def test_the_same_seed_gives_the_same_experience() -> None:
    one, again, other = (Fleet(World(), SMALL, Simple, (seed,)).run() for seed in (3, 3, 4))
    assert one == again
    assert one.km != other.km


def test_the_event_gets_out_with_stored_energy() -> None:
    """With power gone at the impact nothing gets out; held for a second it does, where there is coverage."""
    lookout = make_lookout()
    experience = Fleet(replace(CALM, cut_s=0.0, brakes_before=0.0), SMALL, lookout.make, (5,)).run()
    assert not any(loss.event_out for loss in experience.losses)
    one = sm.point(lookout.threshold, *sm.known(experience, 0))
    assert one.held.value == 1.0
    assert one.found.hits < one.held.hits


def test_the_dead_man_learns_the_holes_of_a_road() -> None:
    """Silences of a road full of holes surprise it less the more often it met them."""
    world = replace(World(), unserved_times=4.0)
    experience = Fleet(world, Extent(roads=1, passes=24, loss_km=1e9), make_lookout().make, (6,)).run()

    def rate(low: int, high: float) -> float:
        return sm.point(2.5, *sm.between(experience, low, high)).false.value or 0.0

    assert rate(12, math.inf) < rate(0, 4)


# ---- the numbers ---------------------------------------------------------------------------------------------------


def test_points_count_what_they_say() -> None:
    """False, found in time, found near, by what got out, and the rates over kilometres."""
    near, far, late = (Course(((t, 4.0, m),)) for t, m in ((9.0, 100.0), (9.0, 400.0), (40.0, 100.0)))
    losses = [
        Loss("motorway", 5, True, False, False, near, near),
        Loss("motorway", 5, True, False, False, late, near),
        Loss("motorway", 5, True, True, False, far, far),
        Loss("motorway", 5, False, False, False, Course(()), near),
    ]
    silences = [Silence("motorway", 5, "tunnel", 30.0, Course(((9.0, s, math.inf),))) for s in (1.0, 3.0, 5.0)]
    one = sm.point(3.0, silences, losses, 50_000.0)
    assert (one.found.hits, one.found.n) == (1, 3)
    assert (one.silent.hits, one.minute.hits, one.silent.n) == (1, 2, 2)
    assert (one.event.hits, one.held.hits, one.anywhere.n) == (0, 2, 4)
    assert (one.false.count, one.false.value) == (2, 4.0)
    low, high = one.false.interval
    assert low < 4.0 < high
    assert sm.point(4.5, silences, losses, 50_000.0).found.hits == 0


def test_the_assumption_that_moves_most_is_named() -> None:
    """By what is found in time, and by what silence alone tells: not always the same."""
    near, late = Course(((9.0, 4.0, 100.0),)), Course(((40.0, 4.0, 100.0),))

    def of(*courses: Course) -> sm.Point:
        return sm.point(3.0, [], [Loss("motorway", 0, True, False, False, c, c) for c in courses], 1.0)

    told = row.movers([("base", of(near, near)), ("late", of(late, late)), ("half", of(near, Course(())))])
    assert told.index("'late' (1.000 to 0.000)") < told.index("'half' (1.000 to 0.500)")


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row, "QUICK", SMALL)
        patch.setattr(row, "KNOWN_PASSES", {False: 1, True: 1})
        result = row.score(make_lookout(), Effort(seed=1))
    return Evaluation("x", "1.0", "a", 1, {}, {}, [result])


def test_the_page_and_its_curve_say_the_numbers_of_the_row(evaluation: Evaluation) -> None:
    """Every table and assumption stands on the page; the curve is a picture with a text for those who cannot see."""
    (result,) = evaluation.rows
    text = page(evaluation, result, "../images/lost.svg")
    assert all(f"**{table.title}**" in text for table in result.tables)
    assert "3GPP TR 38.901" in text
    assert "![Found against false" in text
    assert max(len(line) for line in text.splitlines() if not line.startswith("|")) < 1000
    svg = curve_svg(result.numbers)
    assert svg.startswith("<svg")
    assert 'aria-label="Share of losses' in svg
    assert "mathdefault" not in svg
    assert json.dumps(result.document(), allow_nan=False)
    assert "Lost at speed" in draw(result.pictures[0], "x")


def test_the_command_writes_page_and_picture(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--lost writes both; without row J it says why it cannot."""
    monkeypatch.setattr(row, "QUICK", SMALL)
    monkeypatch.setattr(row, "KNOWN_PASSES", {False: 1, True: 1})
    (tmp_path / "data").mkdir()
    (tmp_path / "docs" / "reference").mkdir(parents=True)

    def run(*options: str) -> int:
        try:
            main(["evaluate", str(tmp_path / "data"), *options])
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0

    file = tmp_path / "docs" / "reference" / "lost.md"
    assert run("--rows", "J", "--lost", str(file)) == 0
    assert "Lost at speed" in capsys.readouterr().out
    picture = tmp_path / "docs" / "images" / "lost.svg"
    assert re.search(r"\(\.\./images/lost\.svg\)", file.read_text(encoding="utf-8"))
    assert picture.read_text(encoding="utf-8").startswith("<?xml")
    assert run("--rows", "I", "--lost", str(file)) == 65
    assert "row J" in capsys.readouterr().err


def test_a_road_knows_its_tunnels() -> None:
    """In a tunnel with service a car is heard, but tells no place."""
    road = draw_road(MOTORWAY, CALM, random())
    tunnel = np.zeros(len(road.lat))
    tunnel[400:500] = 2
    inside: Road = replace(road, tunnel=tunnel)
    drive = draw_drive(inside, CALM, random())
    assert drive.in_tunnel(np.array([float(drive.t[450]), float(drive.t[300])])).tolist() == [True, False]
