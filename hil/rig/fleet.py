"""What the fleet's side holds, against what the terminal says it made: the proof of exactly once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from outrider.model.record import Lane
from outrider.wire.codec import decode_batch
from tests.support.chaos_proxy import ChaosProxy
from tests.support.terminal import ReceiverProcess


@dataclass(frozen=True)
class Held:
    """What the receiver has. streams: (epoch, lane) -> (records, first, last); numbers count from 1."""

    streams: dict[tuple[str, str], tuple[int, int, int]]
    gaps: int
    dead_letters: int


def held(receiver: ReceiverProcess) -> Held:
    """All that it has committed so far."""
    if not receiver.database.exists():
        return Held({}, 0, 0)
    with _database(receiver) as db:
        if not db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'records'").fetchone()[0]:
            return Held({}, 0, 0)  # it is just being made
        rows = db.execute(
            "SELECT epoch, lane, count(*), min(seq), max(seq) FROM records GROUP BY epoch, lane"
        ).fetchall()
        gaps, dead = (db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("gaps", "dead_letters"))
    streams = {(f"{epoch & (1 << 64) - 1:016x}", Lane(lane).name.lower()): (n, a, z) for epoch, lane, n, a, z in rows}
    return Held(streams, gaps, dead)


def utc_of_records(receiver: ReceiverProcess) -> list[tuple[int, int, int, int]]:
    """(kind, t_us, utc_us, uncertainty_us) of every record whose time the receiver could resolve, by time of boot."""
    query = "SELECT kind, t_us, utc_us, uncertainty_us FROM records_utc WHERE utc_us IS NOT NULL ORDER BY t_us"
    with _database(receiver) as db:
        return [(int(k), int(t), int(u), int(s)) for k, t, u, s in db.execute(query)]


def clocks(receiver: ReceiverProcess) -> list[tuple[int, int, int]]:
    """(t_us, utc_us, source) of every clock record the fleet has."""
    with _database(receiver) as db:
        return [(int(t), int(u), int(s)) for t, u, s in db.execute("SELECT t_us, utc_us, source FROM clock_fixes")]


@contextmanager
def _database(receiver: ReceiverProcess) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"{receiver.database.absolute().as_uri()}?mode=ro", uri=True)) as db:
        yield db


def durable(status: dict[str, Any]) -> dict[str, int]:
    """Lane -> records the terminal has on its disk for ever."""
    return {lane: state["durable"] for lane, state in status["journal"]["lanes"].items() if state["durable"]}


def missing(status: dict[str, Any], receiver: ReceiverProcess) -> list[str]:
    """What of the terminal's durable records the fleet does not hold, exactly once and without a hole; empty = all."""
    have = held(receiver)
    epoch = status["journal"]["epoch"]
    wrong = []
    for lane, promised in durable(status).items():
        count, first, last = have.streams.get((epoch, lane), (0, 1, 0))
        if first != 1 or count != last:
            wrong.append(f"{lane}: {count} records between {first} and {last}")
        elif count < promised:
            wrong.append(f"{lane}: {count} of {promised}")
    if have.gaps or have.dead_letters:
        wrong.append(f"{have.gaps} gaps, {have.dead_letters} dead letters")
    return wrong


def lanes_published(proxy: ChaosProxy, start: int = 0) -> list[str]:
    """The lane of each batch that passed the proxy, in order, from the ``start``-th message on."""
    batches = [payload for topic, payload in proxy.publishes[start:] if topic.rpartition("/")[2] in ("d", "e")]
    return [decode_batch(payload).lane.name.lower() for payload in batches]
