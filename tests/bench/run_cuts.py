"""The long run of the cut test: every operation of many workloads, one state of each kind in turn.

``python tests/bench/run_cuts.py [STATES] [FIRST_SEED]`` prints one JSON document; a broken promise ends it with
the seed, the operation and the state that broke it. docs/internals/power-loss.md says what the states are.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter

from tests.support.powercut import Shape
from tests.support.powercut_journal import hunt
from tests.support.powercut_work import SETUPS


def main(states: int, seed: int) -> dict[str, object]:
    begun = time.monotonic()
    shapes: Counter[Shape] = Counter()
    counts: Counter[str] = Counter()
    while shapes.total() + counts["after a further cut"] < states:
        for name, setup in SETUPS.items():
            storage, history = setup.run(seed)
            found = hunt(storage, history, setup.options, seed, 1)
            shapes += found.shapes
            counts["after a further cut"] += found.again
            counts["operations of the workloads"] += len(storage.log)
            counts["records promised"] += len(history.committed)
            counts["cursors lost"] += len(history.cursor_lost)
            counts["processes killed"] += history.kills
            counts["pages and small states written"] += len(history.pages.writes) + len(history.mountings.writes)
            counts["segments written anew"] += sum(op.name == "rewrite.tmp" and bool(op.new) for op in storage.log)
            counts["syncs refused"] += history.failed_syncs
            counts[f"workloads, {name}"] += 1
        seed += 1
    by_sectors = Counter({f"{s.sectors.name.lower()} ({s.sector})": 0 for s in shapes})
    by_entries: Counter[str] = Counter()
    for shape, count in shapes.items():
        by_sectors[f"{shape.sectors.name.lower()} ({shape.sector})"] += count
        by_entries[shape.entries.name.lower()] += count
    return {
        "states": shapes.total() + counts["after a further cut"],
        "broken promises": 0,
        "states by unsynced sectors": dict(sorted(by_sectors.items())),
        "states by unsynced directory entries": dict(sorted(by_entries.items())),
        **{name: counts[name] for name in sorted(counts)},
        "seconds": round(time.monotonic() - begun),
    }


if __name__ == "__main__":
    arguments = [int(text) for text in sys.argv[1:3]]
    print(json.dumps(main(*(arguments + [12_000, 0][len(arguments) :])), indent=2))
