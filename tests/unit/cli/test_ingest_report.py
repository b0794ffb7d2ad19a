"""The reports of ``outrider ingest``."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from outrider.cli import ingest
from outrider.clock import SystemClock
from outrider.ingest.options import ReceiverOptions
from outrider.ingest.receiver_io import Receiver


def test_a_reader_of_reports_that_is_gone_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``outrider ingest --json | head``: the reports end without a traceback."""
    asked = []

    def gone(_document: object) -> None:
        asked.append(1)
        raise BrokenPipeError

    monkeypatch.setattr(ingest, "emit_json", gone)
    receiver = Receiver(ReceiverOptions(database=tmp_path / "fleet.db"), SystemClock())
    ingest._report(receiver, threading.Event(), 0.001, True)
    assert asked == [1]
