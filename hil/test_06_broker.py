"""The way to the fleet fails in every way a car meets. Promise: every record arrives, once; the crash first; the status
says what is the matter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hil.conftest import MakeTerminal
from hil.rig.can import Vcan
from hil.rig.car import Car
from hil.rig.faults import Fault, during
from hil.rig.faults_net import BlackHole, BrokerKilled, NotAuthorised, ReceiverAway, Refused, SlowNet, slow_net_missing
from hil.rig.fleet import durable, lanes_published, missing
from hil.rig.resources import need
from hil.rig.terminal import Terminal
from hil.rig.unix_bus import UnixBus, any_bus, section
from outrider.model.record import Lane
from outrider.wire.codec import decode_batch
from tests.support.broker import Broker
from tests.support.chaos_proxy import ChaosProxy
from tests.support.terminal import ReceiverProcess

QUICK_UPLINK = {"batch_records": 5, "batch_age_s": 1.0, "keepalive_s": 5}


@pytest.fixture
def bus(request: pytest.FixtureRequest, tmp_path: Path) -> Vcan | UnixBus:
    """Where the car's frames come from."""
    return any_bus(request, tmp_path)


@pytest.fixture
def proxy(broker: Broker) -> Iterator[ChaosProxy]:
    """The network between terminal and broker."""
    made = ChaosProxy(broker.port)
    yield made
    made.close()


@pytest.fixture
def car(bus: Vcan | UnixBus) -> Iterator[Car]:
    """Not yet driving."""
    made = Car(bus)
    yield made
    made.stop()


def uplink(box: Terminal) -> dict[str, Any]:
    return dict(box.status()["uplink"])


def all_arrived(box: Terminal, receiver: ReceiverProcess) -> None:
    """Everything that was durable by now is with the fleet, once."""
    status = box.status()
    wrong: list[str] = []

    def complete() -> bool:
        wrong[:] = missing(status, receiver)
        return not wrong

    try:
        box.wait("everything is with the fleet", complete, 60.0)
    except AssertionError as err:
        raise AssertionError(f"{err}: {wrong}\n{box.log()}\n{receiver.log()}") from None


def test_away_at_the_start_and_the_crash_goes_first(
    terminal: MakeTerminal, bus: Vcan | UnixBus, proxy: ChaosProxy, receiver: ReceiverProcess, car: Car
) -> None:
    """Refused from the first moment: the drive is kept. An accident meanwhile is the first thing sent afterwards."""
    with during(Refused(proxy)):
        box = terminal(can=[section(bus)], broker_port=proxy.port, config={"uplink": QUICK_UPLINK})
        car.start()
        box.wait("telemetry waits", lambda: uplink(box)["backlog"].get("telemetry", 0) >= 5)
        car.bags()
        box.wait("the crash waits", lambda: uplink(box)["backlog"].get("emergency", 0) >= 1)
        state = uplink(box)
        assert not state["connected"]
        assert "refused" in state["last_error"].lower()
    box.wait("connected", lambda: uplink(box)["connected"])
    all_arrived(box, receiver)
    order = lanes_published(proxy)
    assert order[0] == "emergency", order
    assert {"telemetry", "ledger"} & set(order), order


def telemetry(box: Terminal) -> int:
    """Rows on flash."""
    return durable(box.status()).get("telemetry", 0)


def test_broken_in_mid_drive(  # noqa: PLR0917  fixtures
    terminal: MakeTerminal,
    bus: Vcan | UnixBus,
    proxy: ChaosProxy,
    broker: Broker,
    receiver: ReceiverProcess,
    car: Car,
) -> None:
    """The connection stood and breaks, in one way after the other: noticed, named, survived; all arrives, once."""
    box = terminal(can=[section(bus)], broker_port=proxy.port, config={"uplink": QUICK_UPLINK})
    car.start()
    ways: list[tuple[Fault, str]] = [
        (BrokerKilled(broker), r"closed"),
        (NotAuthorised(broker), r"not authori[sz]ed"),
        (BlackHole(proxy), r"no (PUBACK|CONNACK|answer)|keep.?alive"),
    ]
    for fault, words in ways:
        box.wait(f"connected before {fault.name}", lambda: uplink(box)["connected"], 60.0)
        with during(fault):
            box.wait(f"{fault.name} is named", lambda: named(box, words), 60.0)  # noqa: B023  waited for here
            rows = telemetry(box)
            box.wait(f"the drive goes on: {fault.name}", lambda: telemetry(box) > rows + 1)  # noqa: B023  as above
            assert not uplink(box)["connected"], fault.name
        all_arrived(box, receiver)
    assert uplink(box)["alive"]


def named(box: Terminal, words: str) -> bool:
    """Whether the status says of the last connection what was the matter."""
    state = uplink(box)
    return not state["connected"] and re.search(words, state["last_error"] or "", re.IGNORECASE) is not None


def test_a_receiver_that_is_away(
    terminal: MakeTerminal, bus: Vcan | UnixBus, proxy: ChaosProxy, receiver: ReceiverProcess, car: Car
) -> None:
    """The broker confirms and nobody keeps it: nothing is freed, the status says so; the crash arrives all the same."""
    box = terminal(can=[section(bus)], broker_port=proxy.port, config={"uplink": QUICK_UPLINK})
    box.wait("connected", lambda: uplink(box)["connected"])
    with during(ReceiverAway(receiver)):
        car.start()
        car.bags()
        box.wait("it is probing", lambda: uplink(box)["probing"], 60.0)
        state = uplink(box)
        assert state["connected"]
        assert state["counters"]["pubacks"] > 0
        assert state["backlog"]["emergency"] >= 1
    all_arrived(box, receiver)
    box.wait("no longer probing", lambda: not uplink(box)["probing"])


def test_a_bad_cellular_link(
    terminal: MakeTerminal, bus: Vcan | UnixBus, broker: Broker, receiver: ReceiverProcess, car: Car
) -> None:
    """Half a second there and back, 16 kbit/s, every twentieth packet lost: it takes longer, and all arrives, once."""
    need(slow_net_missing())
    box = terminal(can=[section(bus)], broker_port=broker.port, config={"uplink": QUICK_UPLINK})
    car.start()
    with during(SlowNet(delay_ms=250, jitter_ms=50, rate_kbit=16, loss_percent=5.0)):
        box.wait("some of the drive is on flash", lambda: telemetry(box) >= 5)
        car.bags()
        box.wait("the crash is on flash", lambda: durable(box.status()).get("emergency", 0) >= 1)
        all_arrived(box, receiver)


def test_a_backlog_over_a_link_that_reorders_and_doubles(
    terminal: MakeTerminal,
    bus: Vcan | UnixBus,
    proxy: ChaosProxy,
    receiver: ReceiverProcess,
    car: Car,
) -> None:
    """After an outage, over packets that overtake, come twice and are damaged: the newest rows go before the backlog,
    the crash before both, and all arrives, once."""
    need(slow_net_missing())
    with during(Refused(proxy)):
        box = terminal(can=[section(bus)], broker_port=proxy.port, config={"uplink": QUICK_UPLINK})
        car.start()
        box.wait("a backlog", lambda: uplink(box)["backlog"].get("telemetry", 0) >= 15)
        car.bags()
        box.wait("the crash waits", lambda: uplink(box)["backlog"].get("emergency", 0) >= 1)
        oldest = uplink(box)["oldest_age_s"]
        assert oldest["telemetry"] > oldest["emergency"] >= 0
    with during(
        SlowNet(
            delay_ms=60, jitter_ms=30, rate_kbit=128, loss_percent=1.0,
            reorder_percent=10.0, duplicate_percent=5.0, corrupt_percent=1.0,
        )
    ):  # fmt: skip
        all_arrived(box, receiver)
    sent = [decode_batch(payload) for topic, payload in proxy.publishes if topic.rpartition("/")[2] in ("d", "e")]
    assert sent[0].lane is Lane.EMERGENCY
    rows = [batch for batch in sent if batch.lane is Lane.TELEMETRY]
    assert rows[0].records[0].seq > 1, "the newest first"
    assert not rows[0].historical
    assert any(batch.historical and batch.records[0].seq == 1 for batch in rows), "then the oldest, marked"
