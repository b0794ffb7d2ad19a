"""PostgreSQL under several workers, and killed: what was acknowledged is there, once, and positions are right."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from outrider.errors import InputError, JournalError
from outrider.ingest.core import StreamKey
from outrider.ingest.sinks import postgres_io
from outrider.ingest.sinks.proof import Verdict, prove
from outrider.ingest.sinks.sinks_io import open_store
from outrider.ingest.sinks.store_io import Store
from outrider.model.record import Lane
from outrider.wire.birth import Birth
from outrider.wire.codec import Batch
from tests.support.postgres import PostgresServer, make_server
from tests.support.sink_worker import DEVICES, EPOCH, LANES, NEWEST, NOW, crowd_batches, record

ROOT = Path(__file__).parents[2]


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.url(f"s{uuid.uuid4().hex[:12]}")


@pytest.fixture
def doomed() -> Iterator[PostgresServer]:
    """A server of the test's own, to be killed."""
    yield from make_server()


@contextmanager
def worker(mode: str, url: str, *more: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.support.sink_worker", mode, url, *map(str, more)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def told(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    return (json.loads(line) for line in process.stdout)


def numbers(store: Store, device: str, lane: Lane) -> list[int]:
    return [stored.seq for stored in store.records(device, EPOCH, lane)]


def test_workers_that_hold_batches_of_one_device_agree(url: str) -> None:
    """Three processes store the same overlapping batches of three devices, each in another order: once each, complete,
    no position beyond a hole, no counter twice, and a later counter never tells less. Without the row locks (seen with
    FOR UPDATE removed) counters come twice and positions go back."""
    open_store(url).close()
    acks: list[tuple[str, int, int, int]] = []
    with worker("crowd", url, 1) as one, worker("crowd", url, 2) as two, worker("crowd", url, 3) as three:
        for process in (one, two, three):
            for line in told(process):
                assert "refused" not in line, "locks are taken in one order: nobody waits in a circle"
                acks += map(tuple, line["acks"])
            assert process.wait(60) == 0
    by_device = {device: sorted(ack[1:] for ack in acks if ack[0] == device) for device in DEVICES}
    for device, told_to in by_device.items():
        assert len({counter for counter, _lane, _position in told_to}) == len(told_to), device
        for lane in LANES:
            positions = [position for _counter, of, position in told_to if of == lane]
            assert positions == sorted(positions)
            assert positions[-1] == NEWEST
    expected = sorted({stored.seq for batch in crowd_batches() for stored in batch.records})
    with open_store(url, read_only=True) as store:
        for device in DEVICES:
            for lane in LANES:
                assert numbers(store, device, lane) == expected
            proofs = prove(store.runs(device), store.gaps(device), store.positions(device))
            assert [proof.verdict for proof in proofs] == [Verdict.COMPLETE] * len(LANES)
            assert {(f, n) for f, n, _reason in proofs[0].declared} == {(36, 39), (76, 79), (116, 119)}
        assert not list(store.letters())


def killed_under(server: PostgresServer, mode: str, commits: int) -> tuple[int, int]:
    """(the last position that the worker was told, the one that is there after SIGKILL and a new start)."""
    url = server.url(f"s{uuid.uuid4().hex[:12]}")
    last = 0
    with worker(mode, url) as process:
        for count, line in enumerate(told(process)):
            last = line.get("position", last)
            if count == commits:
                server.kill()
            if "refused" in line:
                break
    server.start()
    with open_store(url, read_only=True) as store:
        there = store.positions("a").get(StreamKey("a", EPOCH, Lane.EVENT), 0)
        present = numbers(store, "a", Lane.EVENT)
    assert present == [n for n in range(1, there + 1) if n in set(present)]
    assert all(n in present or n % 40 > 35 for n in range(1, there + 1)), "a position without its records"
    return last, there


@pytest.mark.parametrize("commits", [1, 60])
def test_what_was_acknowledged_survives_the_death_of_the_server(doomed: PostgresServer, commits: int) -> None:
    """All its processes get SIGKILL while a worker commits. The server's own default here is not to wait for the
    log (``synchronous_commit = off``): the sink asks for it."""
    last, there = killed_under(doomed, "feed", commits)
    assert there >= last >= 5


def test_the_same_without_waiting_for_the_log_loses(doomed: PostgresServer) -> None:
    """The mutant of the test above: it would see a loss."""
    last, there = killed_under(doomed, "lazy", 60)
    assert there < last


def test_a_worker_goes_on_when_the_server_is_back(doomed: PostgresServer) -> None:
    """It refuses meanwhile, connects again by itself, and has lost nothing."""
    url = doomed.url("s1")
    with worker("feed", url) as process:
        lines = told(process)
        before = max(next(lines)["position"] for _ in range(5))
        doomed.kill()
        assert any("refused" in line for line in lines)
        doomed.start()
        after = next(line["position"] for line in lines if "position" in line)
    assert after > before
    with open_store(url, read_only=True) as store:
        assert numbers(store, "a", Lane.EVENT)[:30] == list(range(1, 31))


def one(device: str, seq: int) -> Batch:
    return Batch(device, EPOCH, Lane.EVENT, (record(device, Lane.EVENT, seq),), seq - 1)


def test_workers_that_meet_crosswise_are_parted(url: str) -> None:
    """Without ``reserve`` two may wait for each other: the database refuses one of them, whose messages come again."""
    refused: list[JournalError] = []
    with open_store(url) as left, open_store(url) as right:
        for store in (left, right):
            store.reserve([one("a", 1), one("b", 1)])  # makes the devices
            store.rollback()
        left.accept(one("a", 1), NOW)
        left.commit()
        left.accept(one("a", 2), NOW)
        right.accept(one("b", 1), NOW)

        def go_on(store: Store, device: str, seq: int) -> None:
            try:
                store.accept(one(device, seq), NOW)
                store.commit()
            except JournalError as err:
                refused.append(err)
                store.rollback()

        other = threading.Thread(target=go_on, args=(left, "b", 2))
        other.start()
        go_on(right, "a", 3)
        other.join(60)
        assert not other.is_alive()
        assert len(refused) == 1
        assert "deadlock" in str(refused[0])
        for batch in (one("a", 2), one("a", 3), one("b", 1), one("b", 2)):
            right.accept(batch, NOW)
        right.commit()
        assert set(right.positions().values()) == {2, 3}


def test_one_worker_moves_records_to_the_shelf(url: str, tmp_path: Path) -> None:
    """And another one when that one is gone."""
    pytest.importorskip("duckdb")
    shelf = f"parquet:{tmp_path / 'shelf'}?every_s=0"
    with open_store(shelf, url) as second:
        with open_store(shelf, url) as first:
            first.accept(one("a", 1), NOW)
            first.commit()
            first.tend()
            second.tend()
            assert (first.shelf._moving is None, second.shelf._moving is None) == (False, True)
        assert second.waiting() == 0, "closing finishes what was begun"
        second.accept(one("a", 2), NOW)
        second.commit()
        second.tend()
        assert second.shelf._moving is not None
    with open_store(shelf, url, read_only=True) as reader:
        assert numbers(reader, "a", Lane.EVENT) == [1, 2]


def test_a_server_that_does_not_answer_is_given_up(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It hangs (here: its process is stopped): one error after the time-out, and a new connection then."""
    with open_store(url) as store:
        store.accept(one("a", 1), NOW)
        store.commit()
        assert isinstance(store.sql, postgres_io.PostgresSql)
        store.sql._drop()
        with monkeypatch.context() as patient:
            patient.setattr(postgres_io, "_COMMAND_S", 2.0)  # of this connection; the next has as long as it takes
            [(pid,)] = store.sql.rows("SELECT pg_backend_pid()")
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(JournalError):
                store.accept(one("a", 2), NOW)
            store.rollback()
            assert store.accept(one("a", 2), NOW).new == 1
            store.commit()
        finally:
            os.kill(pid, signal.SIGCONT)
        assert numbers(store, "a", Lane.EVENT) == [1, 2]


def test_a_transaction_that_failed_is_never_taken_for_committed(url: str) -> None:
    """PostgreSQL answers COMMIT of a failed transaction with ROLLBACK, and no error: nothing of it is stored."""
    with open_store(url) as store:
        store.accept(one("a", 1), NOW)
        with pytest.raises(JournalError):
            store.sql.rows("SELECT no_such_column")
        assert store.sql.in_transaction
        with pytest.raises(JournalError, match="ROLLBACK"):
            store.sql.commit()
        store.rollback()
        assert not store.positions()


def test_a_text_that_postgresql_cannot_hold_stops_nobody(url: str) -> None:
    """A NUL in a status document would else refuse the whole group for ever."""
    with open_store(url) as store:
        store.accept_birth(Birth("a", 1, "1.\x000", None, online=True, boot_id=7, epoch=EPOCH), NOW)
        store.dead_letter("t/\x00", "na\x00ughty", b"\x00", NOW)
        store.commit()
        assert store.devices()[0]["software"] == "1.\ufffd0"
        assert store.dead_letters() == [("t/\ufffd", "na\ufffdughty", b"\x00")]


def test_a_server_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="database: "):
        open_store(f"postgresql:///x?host={tmp_path}&user=nobody")


def test_tables_of_others_are_left_alone(postgres: PostgresServer) -> None:
    """A schema that holds something else is refused, and so is one of another version."""
    schema = f"s{uuid.uuid4().hex[:12]}"
    url = postgres.url(schema)
    with open_store(url) as store:
        store.sql.begin()
        store.sql.many("UPDATE meta SET value = '99' WHERE name = ?", [("version",)])
        store.sql.commit()
    with pytest.raises(InputError, match="found 99"):
        open_store(url)
    with open_store(postgres.url(f"s{uuid.uuid4().hex[:12]}")) as store:
        store.sql.rows(f"DROP TABLE {schema}.meta CASCADE")
    with pytest.raises(InputError, match="holds tables of others"):
        open_store(url)
