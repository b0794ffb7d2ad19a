"""A year of a commuter's car: driven, cut, out of coverage, full, delivered, and compared record by record.

``python tests/bench/run_year.py [--days N] [--first-day N] [--seed N]`` prints a table; the status is 1 when the store
is not the truth less the declared gaps. About 1.3 million records and fifteen minutes for a whole year; the same seed
gives the same year.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.support.year import Year


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--first-day", type=int, default=0, help="of the year; the car goes on holiday on day 212")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shortened", type=float, default=1.0, help="trips last this share of their time")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        year = Year(
            given.seed,
            Path(directory) / "store.db",
            first_day=given.first_day,
            days=given.days,
            shortened=given.shortened,
        )
        year.run(on_day=_progress)
        print(file=sys.stderr)
        verdict = year.check()
        print(year.table(verdict))
    return 1 if verdict.wrong else 0


def _progress(day: int) -> None:
    print(f"\rday {day}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
