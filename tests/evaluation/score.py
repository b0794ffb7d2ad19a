"""Prints the scoring tables as JSON, one line a row: ``python -m tests.evaluation.score [A B C D E F G H]``.

Per data set, never pooled. Rows whose recordings are missing say so. Benchmarks of speed: native/bench/bench_motion.c.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

from tests.evaluation import loaders as ld
from tests.evaluation import rows, rows_drive, rows_robust


def row_b() -> Iterator[dict[str, Any]]:
    for range_g in (8, 16, 64):
        yield rows.row_b(range_g, 400)


def row_c() -> Iterator[dict[str, Any]]:
    for channel in ("093", "097", "099", "100"):
        for range_g in (8, 16, 32, 200):
            for rate in (50, 100, 200, 400, 800, 1600):
                yield rows.row_c(channel, range_g, rate)


def row_d() -> Iterator[dict[str, Any]]:
    yield {"set": "canedge", **rows.row_d_drive()}
    yield {"set": "obd-etios", **rows.row_d_obd()}
    for scale in (1, 3):
        yield {"set": "potholes", **rows.row_d_potholes(scale)}
    yield {"set": "harsh-jair", **rows.row_d_harsh()}


def row_e() -> Iterator[dict[str, Any]]:
    for trip in ("17", "20"):
        yield rows_drive.row_e(trip)


def row_h() -> Iterator[dict[str, Any]]:
    for name, score in rows_robust.robust_a().items():
        yield {"set": "vzcrash", "sensor": name, **score}
    for name, score in rows_robust.robust_d().items():
        yield {"set": "canedge", "sensor": name, **score}


TABLES: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
    "A": lambda: iter([rows.row_a()]),
    "B": row_b,
    "C": row_c,
    "D": row_d,
    "E": row_e,
    "F": lambda: iter([rows_drive.row_f()]),
    "G": lambda: iter([rows_drive.row_g()]),
    "H": row_h,
}


def main(wanted: list[str]) -> None:
    for name in wanted or list(TABLES):
        try:
            for line in TABLES[name]():
                print(json.dumps({"row": name, **line}))
        except ld.MissingError as error:
            print(json.dumps({"row": name, "missing": str(error)}))


if __name__ == "__main__":
    main(sys.argv[1:])
