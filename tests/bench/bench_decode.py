"""Decode beside its peers, in one process and on the same frames; prints JSON.

    python tests/bench/bench_decode.py [--rounds N] [--frames N]

Peers: cantools ``decode_message`` (Python), the C code cantools generates (gcc -O2, every signal of the frame unpacked
and decoded to double; its dispatch is a precomputed function pointer, ours looks the identifier up), and for candump
logs python-can's ``CanutilsLogReader`` + cantools. Times are the best of the rounds, in nanoseconds a frame.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cantools
from cantools.database.can.c_source import camel_to_snake_case, generate
from cffi import FFI

sys.path[:0] = [str(Path(__file__).parents[1] / "oracles"), str(Path(__file__).parents[2] / "daemon")]
from dbc_tables import corpus, tables_from_cantools  # noqa: E402  # after the path is set

from outrider.engine import CandumpParser, Decoder  # noqa: E402  # same
from outrider.model.frame import EFF, FrameBatch  # noqa: E402  # same

FILES = ("vw_mqb.dbc", "ford_lincoln_base_pt.dbc")
HARNESS = """
#include <stddef.h>
#include <stdint.h>
#include "peer.h"
%(functions)s
typedef size_t (*peer_fn)(const uint8_t *, double *);
static const peer_fn PEERS[] = { %(names)s };
size_t peer_decode(const uint8_t *frames, const uint16_t *message, size_t n, double *out) {
    size_t written = 0;
    for (size_t i = 0; i < n; i++)
        written += PEERS[message[i]](frames + i * 80 + 16, out + written);
    return written;
}
"""


class Workload:
    """Random frames of a database, in every form the peers want."""

    def __init__(self, path: Path, count: int) -> None:
        self.db = cantools.database.load_file(path, strict=False)
        self.tables, self.names = tables_from_cantools(self.db)
        rng = random.Random(1)
        self.numbers = [rng.randrange(len(self.db.messages)) for _ in range(count)]
        self.messages = [self.db.messages[i] for i in self.numbers]
        self.payloads = [rng.randbytes(min(m.length, 8)) for m in self.messages]
        self.batch = FrameBatch()
        for i, (message, payload) in enumerate(zip(self.messages, self.payloads, strict=True)):
            self.batch.append(i * 250, message.frame_id, payload, EFF if message.is_extended_frame else 0)
        self.log = "".join(
            f"({i * 250e-6:.6f}) can0 {m.frame_id:0{8 if m.is_extended_frame else 3}X}#{p.hex().upper()}\n"
            for i, (m, p) in enumerate(zip(self.messages, self.payloads, strict=True))
        ).encode()


def best(rounds: int, calls: dict[str, Callable[[], object]], count: int) -> dict[str, float]:
    """Nanoseconds a frame of each call, the calls taking turns so that all see the same machine."""
    times = dict.fromkeys(calls, float("inf"))
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter_ns()
            call()
            times[name] = min(times[name], (time.perf_counter_ns() - start) / count)
    return times


def generated_c(work: Workload, folder: Path) -> Callable[[], object]:
    """cantools' own C for this database, compiled at -O2, as a call over the workload's frames."""
    header, source, _fuzz, _make = generate(work.db, "peer", "peer.h", "peer.c", "fuzz.c")
    (folder / "peer.h").write_text(header)
    (folder / "peer.c").write_text(source)
    functions, names = [], []
    for message in work.db.messages:
        name = camel_to_snake_case(message.name)
        body = "".join(
            f"    *out++ = peer_{name}_{camel_to_snake_case(s.name)}_decode(m.{camel_to_snake_case(s.name)});\n"
            for s in message.signals
        )
        functions.append(
            f"static size_t f_{name}(const uint8_t *data, double *out) {{\n    struct peer_{name}_t m;\n"
            f"    double *start = out;\n    peer_{name}_unpack(&m, data, {message.length});\n{body}"
            "    return (size_t)(out - start);\n}\n"
            if message.length
            else f"static size_t f_{name}(const uint8_t *data, double *out) {{ (void)data; (void)out; return 0; }}\n"
        )
        names.append(f"f_{name}")
    (folder / "harness.c").write_text(HARNESS % {"functions": "".join(functions), "names": ", ".join(names)})
    library = folder / "peer.so"
    subprocess.run(
        ["gcc", "-O2", "-w", "-shared", "-fPIC", "-o", library, folder / "peer.c", folder / "harness.c"], check=True
    )
    ffi = FFI()
    ffi.cdef("size_t peer_decode(const uint8_t *frames, const uint16_t *message, size_t n, double *out);")
    lib = ffi.dlopen(str(library))
    frames = ffi.from_buffer(work.batch.buffer)
    numbers = ffi.new("uint16_t[]", work.numbers)
    room = ffi.new("double[]", sum(len(m.signals) for m in work.messages) + 1)
    return lambda: (lib.peer_decode(frames, numbers, len(work.numbers), room), lib, library)[0]


def cantools_python(work: Workload, count: int) -> Callable[[], object]:
    db, pairs = work.db, list(zip(work.messages, work.payloads, strict=True))[:count]

    def call() -> None:
        for message, payload in pairs:
            # A mux value without signals is an error there; such frames are as good as decoded.
            with contextlib.suppress(cantools.database.DecodeError):
                db.decode_message(message.frame_id, payload, allow_truncated=True)

    return call


def candump_python(work: Workload, count: int) -> Callable[[], object]:
    from can.io.canutils import CanutilsLogReader

    text = b"".join(work.log.splitlines(keepends=True)[:count]).decode()

    def call() -> None:
        for frame in CanutilsLogReader(io.StringIO(text)):
            with contextlib.suppress(cantools.database.DecodeError):
                work.db.decode_message(frame.arbitration_id, bytes(frame.data), allow_truncated=True)

    return call


def candump_native(work: Workload, decoder: Decoder) -> Callable[[], object]:
    def call() -> int:
        parser = CandumpParser()
        return sum(len(decoder.decode(batch)) for batch in parser.feed(work.log))

    return call


def measure(path: Path, frames: int, rounds: int) -> dict[str, Any]:
    work = Workload(path, frames)
    decoder = Decoder(work.tables, reuse=True)
    slow = min(frames, 2000)
    with tempfile.TemporaryDirectory() as folder:
        fast_calls = {
            "outrider": lambda: decoder.decode(work.batch),
            "cantools_c": generated_c(work, Path(folder)),
            "outrider_candump": candump_native(work, decoder),
        }
        fast = best(rounds, fast_calls, frames)
    slow_calls = {"cantools": cantools_python(work, slow), "python_can_candump": candump_python(work, slow)}
    peers = best(max(5, rounds // 4), slow_calls, slow)
    values = len(decoder.decode(work.batch))
    return {
        "dbc": path.name,
        "frames": frames,
        "values_per_frame": round(values / frames, 2),
        "ns_per_frame": {name: round(ns, 1) for name, ns in {**fast, **peers}.items()},
        "times_faster_than_cantools": round(peers["cantools"] / fast["outrider"], 1),
        "time_relative_to_cantools_c": round(fast["outrider"] / fast["cantools_c"], 3),
        "candump_times_faster": round(peers["python_can_candump"] / fast["outrider_candump"], 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--frames", type=int, default=8192)
    arguments = parser.parse_args()
    folder = corpus()
    if folder is None:
        print("opendbc wheel not available: pip download opendbc==0.3.1 into ~/.cache/outrider", file=sys.stderr)
        return 1
    results = [measure(folder / name, arguments.frames, arguments.rounds) for name in FILES]
    print(json.dumps({"decode": results}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
