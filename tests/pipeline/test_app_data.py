"""The data budget with the real journal, uplink, broker and receiver."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from outrider.app.budget import DataKeeper
from outrider.app.delivery import Delivery, DeliveryOptions
from outrider.app.meters import Meters, reading_of
from outrider.clock import SystemClock
from outrider.model.network import NetworkState
from outrider.model.network import Path as NetworkPath
from outrider.model.notice import Notice
from outrider.model.record import Category, Kind, Lane, Record
from outrider.record.storage_memory import MemoryStorage
from outrider.record.writer_io import WriterOptions
from outrider.uplink.budget import BudgetOptions, Portion
from tests.support.broker import Broker
from tests.support.delivery import receiver, stored, uplink_options
from tests.support.terminal import wait_until

QUICK = WriterOptions(telemetry_commit_s=0.05, telemetry_commit_moving_s=0.05)


class Meter:
    """The network that the test says."""

    def __init__(self) -> None:
        self.state = NetworkState(NetworkPath.CELLULAR)

    def network(self) -> NetworkState:
        return self.state


def delivery(tmp_path: Path, broker: Broker, budget: BudgetOptions) -> Delivery:
    options = DeliveryOptions(tmp_path / "journal", 7, writer=QUICK, uplink=uplink_options(broker.port), budget=budget)
    return Delivery(options, SystemClock())


def put(made: Delivery, lane: Lane, count: int = 1) -> None:
    for number in range(count):
        record = Record(lane, Kind.EVENT, Category.SYSTEM, 7, number, bytes(200 + number % 7))
        assert made.writer.put_waiting(record)
    assert made.writer.flush(30)


def held(path: Path, lane: Lane) -> int:
    return sum(count for (_epoch, found), (count, _digest) in stored(path).items() if found is lane)


def test_every_byte_of_the_socket_is_counted_in_a_class(broker: Broker, tmp_path: Path) -> None:
    """Classes, rest and the socket's own count agree over a connection, its end included; headers are estimated from
    segments that the kernel counted; and all of it is there after a restart."""
    database, meters = tmp_path / "r.db", Meters()
    made = delivery(tmp_path, broker, BudgetOptions(moving=Portion(10, 0.1)))
    with receiver(broker.port, database), made:
        meters.open(tmp_path, made, SystemClock(), 7)
        for lane in (Lane.TELEMETRY, Lane.EVENT, Lane.EMERGENCY):
            put(made, lane, 20)
        wait_until("delivered", lambda: not made.journal.streams())
    meters.close()
    assert made.uplink is not None
    status = made.uplink.status()
    again = Meters()
    once_more = delivery(tmp_path, broker, BudgetOptions())
    try:
        again.open(tmp_path, once_more, SystemClock(), 7)
        assert again.data is not None
        (month,) = again.data.document()["months"]
    finally:
        again.close()
        assert once_more.uplink is not None
        once_more.uplink.stop()
        once_more.journal.close()
    row = month["paths"]["unknown"]
    counted = sum(sum(pair.values()) for name, pair in row.items() if name != "ip")
    assert counted == status.sent_bytes["link"] + status.received_bytes["link"]
    assert row["telemetry"]["sent_bytes"] > 0
    assert row["ack"]["received_bytes"] > 0
    assert row["rest"]["sent_bytes"] >= 0
    segments = status.sent_bytes["segments"] + status.received_bytes["segments"]
    assert sum(row["ip"].values()) == 52 * segments > 0
    assert month["metered_bytes"] == month["total_bytes"] == counted + 52 * segments


def test_at_the_limit_telemetry_waits_and_emergencies_go(broker: Broker, tmp_path: Path) -> None:
    """Nothing is lost: what waits goes when a byte costs nothing again. With rules that hold nothing back (what was
    tried to see this test fail) the telemetry arrives at once."""
    database, meter, notices = tmp_path / "r.db", Meter(), list[Notice]()
    made = delivery(tmp_path, broker, BudgetOptions(monthly_bytes=30_000))
    assert made.uplink is not None
    assert made.budget is not None
    made.uplink.attach(network=meter)
    uplink = made.uplink
    with receiver(broker.port, database), made:
        keeper = DataKeeper(
            MemoryStorage(),
            made.budget,
            SystemClock(),
            lambda: reading_of(uplink),
            network=meter,
            on_notice=notices.append,
        )
        put(made, Lane.TELEMETRY, 300)
        wait_until("telemetry delivered", lambda: not made.journal.streams())

        def used_up() -> bool:
            put(made, Lane.EVENT, 20)
            keeper.turn()
            return bool(made.budget) and made.budget.used_bytes >= 30_000

        wait_until("the limit reached", used_up)
        assert {dict(notice.detail)["limit_percent"] for notice in notices} <= {"80", "95", "100"}
        before = held(database, Lane.TELEMETRY)
        put(made, Lane.TELEMETRY, 100)
        put(made, Lane.EMERGENCY)
        wait_until("the emergency delivered", lambda: held(database, Lane.EMERGENCY) == 1)
        wait_until("the pause told", lambda: uplink.status().paused is not None)
        put(made, Lane.EMERGENCY)
        wait_until("another one delivered", lambda: held(database, Lane.EMERGENCY) == 2)
        assert held(database, Lane.TELEMETRY) == before
        meter.state = replace(meter.state, path=NetworkPath.WIFI)
        wait_until("all of it delivered", lambda: held(database, Lane.TELEMETRY) == before + 100)
