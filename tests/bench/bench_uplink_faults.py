"""Faults of the link by the thousand: records lost, records twice. Prints one JSON document; exit code 0: none.

    PYTHONPATH=daemon python tests/bench/bench_uplink_faults.py [--faults N] [--seed N]

See ``tests/support/chaos_run.py``: real broker, sockets and receiver; nineteen kinds of faults one after the other.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.chaos_run import ChaosRun

ZERO = ("acknowledged_records_lost", "records_not_arrived", "duplicates_after_deduplication", "contents_differ")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-faults-") as folder:
        document = ChaosRun(Path(folder), arguments.seed).run(arguments.faults)
    print(json.dumps(document, indent=1))
    return 0 if document["all_acknowledged"] and not any(document[name] for name in ZERO) else 1


if __name__ == "__main__":
    sys.exit(main())
