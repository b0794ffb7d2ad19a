"""Brokers with limits, and faults inside the uplink: sending goes on."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import pytest

from outrider.clock import SystemClock
from outrider.model.record import Lane, SignalSpec, SignalTable
from outrider.uplink.link_io import Link
from outrider.uplink.session_io import Uplink
from tests.support.broker import Broker
from tests.support.delivery import birth, fill, make_uplink, receiver, running, stored, uplink_options
from tests.support.memory_log import MemoryLog, opaque


def test_a_broker_that_takes_small_packets_only(tmp_path: Path) -> None:
    """2000 bytes: batches are cut to fit, the birth leaves its table out, the will never has one; all arrives, and a
    record that cannot fit holds up its own lane only."""
    broker = Broker(tmp_path, "max_packet_size 2000")
    try:
        log, rng, database = MemoryLog(), random.Random(1), tmp_path / "r.db"
        fill(log, rng, telemetry_rows=400, events=40)
        specs = tuple(SignalSpec(n, f"Vehicle.Signal{rng.getrandbits(128):032x}", "m", 1.0, 0.0) for n in range(200))
        doc = dataclasses.replace(birth(log), table=SignalTable(specs))
        with receiver(broker.port, database) as received:
            uplink = Uplink(log, uplink_options(broker.port), SystemClock(), lambda: doc)
            with running(uplink):
                assert log.wait_acknowledged(60)
                log.append(opaque(Lane.LEDGER, 1, 4000, rng))
                log.append(opaque(Lane.EVENT, 41, 100, rng))
                assert log.wait_acknowledged(60, Lane.EVENT)
                status = uplink.status()
            assert received.stats()["births"] >= 1
        assert status.counters["connects"] == 1, "the broker never had a reason to hang up"
        assert status.counters["too_large"] >= 1
        assert status.backlog["ledger"] == 1
        expected = {key: value for key, value in log.digest().items() if key[1] is not Lane.LEDGER}
        assert stored(database) == expected
    finally:
        broker.kill()


def test_a_fault_while_closing_does_not_end_the_sending(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever closing a broken connection raises: the next one is made."""
    log, rng, database = MemoryLog(), random.Random(1), tmp_path / "r.db"
    close = Link.close
    left = [2]

    def failing(self: Link) -> None:
        close(self)
        if left[0]:
            left[0] -= 1
            raise ValueError("not foreseen")

    monkeypatch.setattr(Link, "close", failing)
    with running(make_uplink(log, broker.port)) as uplink:
        for turn in range(3):
            with receiver(broker.port, database):
                log.append(opaque(Lane.EVENT, turn, 50, rng))
                assert log.wait_acknowledged(60)
            broker.kill()
            broker.start()
        status = uplink.status()
        assert status.alive
        assert status.counters["faults"] == 2
    assert stored(database) == log.digest()
