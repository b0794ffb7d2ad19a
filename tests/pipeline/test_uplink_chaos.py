"""One fault after the other on the link, at the broker, the receiver, the terminal: nothing is lost, nothing twice.

A bounded piece; a thousand faults and more: ``python tests/bench/bench_uplink_faults.py --faults 1000``.
"""

from __future__ import annotations

from pathlib import Path

from outrider.uplink.options import AckMode
from tests.support.chaos_run import ChaosRun


def test_every_fault_once_and_some_twice(tmp_path: Path) -> None:
    """Each kind at least once, in turn: what was acknowledged is held, what was written arrives, with equal content."""
    run = ChaosRun(tmp_path, seed=4)
    result = run.run(len(run.faults) + 6)
    assert set(result["by_kind"]) == set(run.faults)
    assert result["acknowledged_records_lost"] == 0
    assert result["records_not_arrived"] == 0
    assert result["duplicates_after_deduplication"] == 0
    assert result["contents_differ"] == 0
    assert result["all_acknowledged"]


def test_a_terminal_that_believes_pubacks_loses_records(tmp_path: Path) -> None:
    """The same demands find the mutant that frees records on the broker's word."""
    run = ChaosRun(tmp_path, seed=4, ack=AckMode.BROKER, ack_key=b"")

    def lie() -> None:
        run.proxy.lie = True
        assert run.log.wait_acknowledged(60)
        run.proxy.calm()

    run.faults = {"PUBACK without the broker": lie}
    result = run.run(1)
    assert result["acknowledged_records_lost"] > 0
    assert result["records_not_arrived"] > 0
