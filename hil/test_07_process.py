"""The process dies, sleeps, or is started twice. Promise: nothing that was on flash is lost, nothing arrives twice."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hil.conftest import MakeTerminal
from hil.rig.can import Vcan
from hil.rig.car import Car
from hil.rig.faults import Frozen, Killed, during
from hil.rig.fleet import durable, missing
from hil.rig.nursery import Launcher
from hil.rig.patience import Patience
from hil.rig.terminal import Terminal
from hil.rig.unix_bus import UnixBus, any_bus, section
from outrider.errors import LinkError
from tests.support.broker import Broker
from tests.support.terminal import ReceiverProcess

KILLS = int(os.environ.get("OUTRIDER_HIL_KILLS", "6"))
QUICK_UPLINK = {"batch_records": 5, "batch_age_s": 1.0, "keepalive_s": 5}


@pytest.fixture
def bus(request: pytest.FixtureRequest, tmp_path: Path) -> Vcan | UnixBus:
    """Where the car's frames come from."""
    return any_bus(request, tmp_path)


@pytest.fixture
def car(bus: Vcan | UnixBus) -> Iterator[Car]:
    """Driving."""
    made = Car(bus)
    made.start()
    yield made
    made.stop()


def answers(box: Terminal) -> dict[str, Any] | None:
    """Its status; None while it does not answer."""
    try:
        return box.status()
    except LinkError:
        return None


def test_killed_again_and_again_in_a_drive(
    terminal: MakeTerminal, bus: Vcan | UnixBus, broker: Broker, receiver: ReceiverProcess, car: Car
) -> None:
    """SIGKILL at any moment: what the status called durable is there afterwards, under the same numbers, for ever; the
    fleet gets every record once, although it is sent again."""
    box = terminal(can=[section(bus)], broker_port=broker.port, config={"uplink": QUICK_UPLINK})
    box.tolerate("descriptors")  # of a process that lived a moment
    dice = random.Random(7)
    epoch = box.status()["journal"]["epoch"]
    promised: dict[str, int] = {}
    for kill in range(KILLS):
        grown = sum(promised.values()) + dice.randint(1, 5)

        def more(grown: int = grown) -> bool:
            status = answers(box)
            return status is not None and sum(durable(status).values()) >= grown

        box.wait(f"records before kill {kill}", more, 60.0)
        promised = durable(box.status())
        with during(Killed(box, wait=False)):
            pass
        box.wait(f"it is back after kill {kill}", lambda: answers(box) is not None, 60.0)
        status = box.status()
        assert status["journal"]["epoch"] == epoch, "a kill ended the epoch"
        lost = {lane: count for lane, count in promised.items() if durable(status).get(lane, 0) < count}
        assert not lost, f"after kill {kill}: {lost} of {durable(status)}"
    box.wait_up()
    status = box.status()
    wrong: list[str] = ["not looked yet"]

    def complete() -> bool:
        wrong[:] = missing(status, receiver)
        return not wrong

    try:
        box.wait("everything is with the fleet", complete, 60.0)
    except AssertionError as err:
        raise AssertionError(f"{err}: {wrong}") from None


def test_two_daemons(
    terminal: MakeTerminal, bus: Vcan | UnixBus, car: Car, launcher: Launcher, patience: Patience
) -> None:
    """On one journal, and on one control socket: the second ends with one clear error, the first does not notice."""
    box = terminal(can=[section(bus)])
    pid, before = box.pid, durable(box.status())
    code, words = refused(launcher, box.config_file, patience)
    assert code == 75, words
    assert str(pid) in words
    elsewhere = box.config_file.with_name("second.toml")
    text = box.config_file.read_text(encoding="utf-8").replace('data_directory = "data"', 'data_directory = "data2"')
    elsewhere.write_text(text, encoding="utf-8")
    code, words = refused(launcher, elsewhere, patience)
    assert code == 69, words
    assert str(box.socket) in words
    assert box.pid == pid
    assert box.status()["journal"]["lanes"], "the first still answers on its socket"
    box.wait("the first goes on", lambda: sum(durable(box.status()).values()) > sum(before.values()) + 1)


def refused(launcher: Launcher, config: Path, patience: Patience) -> tuple[int, str]:
    """Exit code and words of a daemon that is expected to end by itself, with one error."""
    log = config.with_suffix(".log")
    code = launcher(["run", "--config", config], log).wait(patience.bound_s(20.0))
    words = log.read_text(encoding="utf-8")
    assert "Traceback" not in words
    assert len([line for line in words.splitlines() if line.startswith("error: ")]) == 1, words
    return code, words


def test_asleep_for_a_while(
    terminal: MakeTerminal, bus: Vcan | UnixBus, broker: Broker, receiver: ReceiverProcess, patience: Patience
) -> None:
    """The process does not run for seconds, as in suspend, while frames and an accident come: it wakes and has them."""
    box = terminal(can=[section(bus)], broker_port=broker.port, config={"uplink": QUICK_UPLINK})
    car = Car(bus)
    car.start()
    try:
        box.wait("it drives", lambda: durable(box.status()).get("telemetry", 0) >= 2)
        rows = durable(box.status())["telemetry"]
        with during(Frozen(box)):
            sent = car.sent
            car.bags()
            patience.wait("the car drove on", lambda: car.sent >= sent + 100 or isinstance(bus, UnixBus))
        box.wait("the crash is on flash", lambda: durable(box.status()).get("emergency", 0) >= 1)
        box.wait("it drives on", lambda: durable(box.status())["telemetry"] > rows + 3)
        box.wait("the crash is with the fleet", lambda: not missing(box.status(), receiver), 60.0)
    finally:
        car.stop()
