"""Ending a delivery while the disk fails or hangs: nothing is called delivered or closed that is not."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest

from outrider.app.delivery import Delivery, DeliveryOptions
from outrider.clock import SystemClock
from outrider.errors import JournalError
from outrider.model.record import Lane
from outrider.record.storage_io import DirectoryFile
from outrider.record.storage_memory import refusal
from tests.support.memory_log import opaque

CRASH = opaque(Lane.EMERGENCY, 1, 50, random.Random(1))


def delivery(directory: Path) -> Delivery:
    return Delivery(DeliveryOptions(directory, boot_id=7), SystemClock())


def test_what_could_not_be_committed_is_not_delivered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal has nothing to send, since nothing became durable; that is no success."""
    with delivery(tmp_path) as made:
        with monkeypatch.context() as broken:

            def fail(_file: DirectoryFile) -> None:
                raise refusal(5, "flash: Input/output error")

            broken.setattr(DirectoryFile, "sync", fail)
            made.writer.put(CRASH)
            assert not made.wait_delivered(0.2)
        assert made.writer.flush(60)


def test_a_writer_that_hangs_is_not_written_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing tells it, and leaves the journal to the one who is in it."""
    hanging, go = threading.Event(), threading.Event()
    sync = DirectoryFile.sync

    def hang(file: DirectoryFile) -> None:
        if threading.current_thread().name == "journal-writer":
            hanging.set()
            go.wait(60)
        sync(file)

    made = delivery(tmp_path)
    stop = made.writer.stop
    monkeypatch.setattr(made.writer, "stop", lambda: stop(0.05))
    monkeypatch.setattr(DirectoryFile, "sync", hang)
    made.__enter__()
    made.writer.put(CRASH)
    assert hanging.wait(60)
    with pytest.raises(JournalError, match="does not answer"):
        made.__exit__(None, None, None)
    go.set()
    stop(60)
    assert not made.writer.stats().alive
    made.journal.close()
    with delivery(tmp_path) as again:
        assert [(s.lane, s.durable) for s in again.journal.streams()] == [(Lane.EMERGENCY, 1)]
