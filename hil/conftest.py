"""Fixtures of the rig (docs/internals/hil.md). What a test takes is brought up first; ``health`` looks afterwards.

A missing device is a skip that says how to enable it. A failing case prints the command that repeats it alone.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from hil.rig import strategy
from hil.rig.can import Sja1000, Vcan
from hil.rig.disk import GuestDisk
from hil.rig.gnss import GnssPty
from hil.rig.health import Surroundings, left_behind, terminal_ill
from hil.rig.nursery import Launcher, Nursery, anew
from hil.rig.patience import Patience
from hil.rig.resources import disk_missing, need, sja1000_missing, vcan_missing
from hil.rig.terminal import Terminal
from tests.support.broker import Broker
from tests.support.terminal import ReceiverProcess

collect_ignore = ["suites"]  # suites are run by `outrider hil run`, and whole by tests/pipeline/test_app_suite.py

MakeTerminal = Callable[..., Terminal]
NURSERY_FROM = 4.0  # patience of a machine that starts Python so slowly that the rig helps it
DEVICES = frozenset({"vcan", "sja1000", "gnss_pty", "broker", "guest_disk"})


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """A failure names the command that repeats it alone."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        report.sections.append(("repeat it alone", f"make hil HIL_ARGS={shlex.quote(shlex.quote(item.nodeid))}"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The result file says of each test which devices it needs: hil/verdict.py asks whether they were there."""
    for item in items:
        item.user_properties += [("needs", name) for name in getattr(item, "fixturenames", ()) if name in DEVICES]


@pytest.fixture(scope="session")
def patience() -> Patience:
    """How long to wait on this machine."""
    return Patience.of_this_machine()


@pytest.fixture(scope="session")
def launcher(patience: Patience) -> Iterator[Launcher]:
    """How to start ``outrider``: anew, or where a Python start is dear from a process that has imported it."""
    if patience.factor < NURSERY_FROM or os.environ.get("OUTRIDER_HIL_NURSERY") == "0":
        yield anew
        return
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.fixture(scope="session")
def vcans() -> Iterator[tuple[Vcan, ...]]:
    need(vcan_missing())
    buses = strategy.vcans()
    yield buses
    for bus in buses:
        bus.remove()


@pytest.fixture(scope="session")
def devices(request: pytest.FixtureRequest) -> None:
    """Session-wide devices come up before the first health check looks at what there is."""
    if vcan_missing() is None:
        request.getfixturevalue("vcans")


@pytest.fixture(autouse=True)
def health(devices: None, launcher: Launcher) -> Iterator[list[Terminal]]:
    """After every test: nothing lost, nothing unexpected in a log, nothing left behind, journals sound."""
    before = Surroundings.now()
    terminals: list[Terminal] = []
    yield terminals
    wrong = [text for terminal in terminals for text in terminal_ill(terminal)]
    wrong += left_behind(before, Surroundings.now())
    if wrong:
        pytest.fail("after the test, " + "\n  and ".join(wrong), pytrace=False)


@pytest.fixture
def vcan(vcans: tuple[Vcan, ...], health: list[Terminal]) -> Iterator[tuple[Vcan, ...]]:
    """Four virtual buses, up, with FD. Put back in order afterwards, whatever the test did to them."""
    strategy.bring_up(vcans)
    yield vcans
    strategy.bring_up(vcans)


@pytest.fixture
def sja1000(health: list[Terminal]) -> Iterator[tuple[Sja1000, Sja1000]]:
    """Two emulated controllers on one wire at 500 kbit/s."""
    need(sja1000_missing())
    pair = strategy.sja1000_pair()
    yield pair
    for controller in pair:
        controller.down()


@pytest.fixture
def gnss_pty(tmp_path: Path, health: list[Terminal]) -> Iterator[GnssPty]:
    """A GNSS receiver, plugged in."""
    receiver = GnssPty(tmp_path / "gnss")
    yield receiver
    receiver.pull_out()


@pytest.fixture
def broker(tmp_path: Path, health: list[Terminal]) -> Iterator[Broker]:
    """A real mosquitto on loopback, running."""
    made = Broker(tmp_path)
    yield made
    made.kill()


@pytest.fixture
def guest_disk(tmp_path: Path, health: list[Terminal]) -> Iterator[GuestDisk]:
    """64 MiB of ext4 on a loop device, mounted."""
    need(disk_missing())
    disk = GuestDisk(tmp_path)
    yield disk
    disk.remove()


@pytest.fixture
def terminal(tmp_path: Path, patience: Patience, health: list[Terminal], launcher: Launcher) -> Iterator[MakeTerminal]:
    """Makes terminals: ``terminal(can=["vcan0"], gnss=..., broker_port=...)`` (hil/rig/terminal.py) starts one.

    ``start=False`` only writes its configuration, ``wait=False`` does not wait until it is up. What still runs is
    stopped afterwards and must end with exit code 0.
    """
    made: list[Terminal] = []

    def make(*, start: bool = True, wait: bool = True, directory: Path | None = None, **options: Any) -> Terminal:
        options.setdefault("launcher", launcher)
        box = Terminal(directory or tmp_path / f"terminal{len(made)}", patience, **options)
        made.append(box)
        health.append(box)
        if start:
            box.start(wait=wait)
        return box

    with ExitStack() as stack:
        yield make
        for box in made:
            stack.callback(box.kill)
        codes = [(box, box.stop()) for box in made if box.running]
    bad = [f"{box.directory.name} ended with {code}:\n{box.log()}" for box, code in codes if code]
    assert not bad, "\n".join(bad)


@pytest.fixture
def receiver(tmp_path: Path, broker: Broker) -> Iterator[ReceiverProcess]:
    """``outrider ingest`` for the device RIG1 behind ``broker``."""
    made = ReceiverProcess(tmp_path, broker.port, "RIG1")
    yield made
    made.kill()
