"""Recordings through engine, journal, a real broker and the receiver process: what arrives is what was recorded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from outrider.app.replay import Tally, summary
from outrider.app.session import ReplaySession
from outrider.sim.write_io import Written
from tests.support.broker import Broker
from tests.support.terminal import KEY, Digests, ReceiverProcess, data_file, receiver_process

DEVICE = "T1"


def deliver(
    files: Sequence[Path],
    directory: Path,
    broker: Broker,
    *,
    profiles: Sequence[str] = (),
    dbc: Sequence[Path] = (),
    speed: float | None = None,
    meanwhile: Callable[[ReplaySession], None] | None = None,
) -> tuple[Digests, Tally, dict[str, object]]:
    """Replay and wait for every acknowledgement; digests of what was written."""
    (directory / "ack.key").write_text(KEY, encoding="ascii")
    tally = Tally()
    with ReplaySession.open(
        files,
        profiles=profiles,
        dbc=dbc,
        journal=directory / "journal",
        broker=f"127.0.0.1:{broker.port}",
        device=DEVICE,
        ack_key_file=directory / "ack.key",
        on_output=tally.note,
    ) as session:
        trouble = threading.Thread(target=meanwhile, args=(session,)) if meanwhile else None
        if trouble:
            trouble.start()
        session.run(speed=speed)
        if trouble:
            trouble.join()
        result = session.deliver(timeout_s=120)
        assert result["complete"], result
        assert session.digest is not None
        return session.digest.digests(), tally, summary(tally, session.pipeline)


def check(receiver: ReceiverProcess, written: Digests) -> None:
    assert receiver.digests() == written, receiver.log()[-2000:]


def test_a_simulated_drive_arrives_whole(tmp_path: Path, broker: Broker, short_drive: Written) -> None:
    """Every record, identical by hash, in every lane."""
    with receiver_process(tmp_path, broker.port, DEVICE) as receiver:
        written, tally, _summary = deliver([short_drive.can, short_drive.nmea], tmp_path, broker, profiles=["simcar"])
        check(receiver, written)
        assert receiver.stop() == 0
    assert len(written) >= 3
    assert tally.trips


def test_the_logger_drive(tmp_path: Path, broker: Broker) -> None:
    """A real car: IMU, position, odometer and OBD answers from five MDF4 files, trips and no crash."""
    pytest.importorskip("asammdf")
    files = sorted(data_file("canedge", "164").glob("*.MF4"))
    dbc = data_file("canedge", "canmod-gps.dbc")
    with receiver_process(tmp_path, broker.port, DEVICE) as receiver:
        written, tally, document = deliver(files, tmp_path, broker, profiles=["canmod", "obd2"], dbc=[dbc])
        check(receiver, written)
    assert document["crashes"] == 0
    assert tally.trips
    assert document["odometer_m"]
    last = tally.last
    assert last is not None
    assert last.lat_deg is not None
    assert last.mount == 2
    assert 30_000 < document["distance_m"] < 60_000


@pytest.mark.parametrize("name", ["amod-walk.nmea", "trimble-r1.nmea"])
def test_the_position_logs(tmp_path: Path, broker: Broker, name: str) -> None:
    """Receivers alone, one of them mostly without a fix: no crash, everything arrives."""
    with receiver_process(tmp_path, broker.port, DEVICE) as receiver:
        written, _tally, document = deliver([data_file("nmea", name)], tmp_path, broker)
        check(receiver, written)
    assert document["crashes"] == 0


def test_the_truck(tmp_path: Path, broker: Broker) -> None:
    """J1939: speed and engine speed from two messages of a partial DBC."""
    pytest.importorskip("asammdf")
    with receiver_process(tmp_path, broker.port, DEVICE) as receiver:
        dbc = data_file("j1939", "j1939-demo.dbc")
        truck = data_file("j1939", "truck-402s.MF4")
        written, tally, document = deliver([truck], tmp_path, broker, profiles=["j1939"], dbc=[dbc])
        check(receiver, written)
    assert document["crashes"] == 0
    assert tally.last is not None
    assert tally.last.speed_mps is not None
    assert tally.last.rpm is not None


def test_broker_and_receiver_killed_ten_times(tmp_path: Path, broker: Broker, short_drive: Written) -> None:
    """SIGKILL to both, ten times each, while a drive is sent: all arrives, in order, none twice."""
    with receiver_process(tmp_path, broker.port, DEVICE) as receiver:

        def trouble(session: ReplaySession) -> None:
            for turn in range(10):
                threading.Event().wait(0.3)  # let some of the drive through before the next blow
                victims = (broker, receiver) if turn % 2 else (receiver, broker)
                for victim in victims:
                    victim.kill()
                for victim in (broker, receiver):
                    victim.start()

        files = [short_drive.can, short_drive.nmea]
        written, _tally, _summary = deliver(files, tmp_path, broker, profiles=["simcar"], speed=8, meanwhile=trouble)
        check(receiver, written)
