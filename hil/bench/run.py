"""`make bench-hil`: the rig's numbers, measured on this machine and in the rig's virtual machine, onto the page.

Every measurement is a process of its own and prints or leaves JSON. What needs a kernel CAN bus runs through
``hil.run`` (here where the kernel has it, else in the virtual machine); each part boots once, so that a part can be
measured alone: ``python -m hil.bench.run --only per_frame``. Results are kept in build/hil/bench, so that ``--write``
writes what is there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from hil.bench import footprint, latency, per_frame
from hil.bench.guest import CRASHES, SHARE_VARIABLE, document
from hil.bench.load import dbc_file
from hil.run import RESULTS
from tests.bench.page import table, write

ROOT: Final = Path(__file__).parents[2]
KEPT: Final = ROOT / "build" / "hil" / "bench"
PAGE: Final = ROOT / "docs" / "reference" / "benchmarks.md"
OWNER: Final = "make bench-hil"
HOST_CRASHES: Final = 200
HOST_TERMINALS: Final = 16
GUEST_LIMIT_S: Final = 900.0
SHARE_OF_HIGHEST: Final = 0.7  # full load that a guest can keep up: below its highest lossless rate


@dataclass(frozen=True)
class Part:
    """One table of the page. ``guest``: the part of ``hil.bench.guest`` that makes it, else ``here``."""

    name: str
    title: str
    note: str
    here: Callable[[], dict[str, Any]] | None = None


def _say(text: str) -> None:
    click.echo(text, err=True)


def _host_per_frame() -> dict[str, Any]:
    return per_frame.measure(dbc_file())


def _host_footprint() -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        return footprint.measure([f"{folder}/{n}.sock" for n in range(4)], dbc_file(), _say)


def _host_latency() -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        channels = [f"{folder}/{n}.sock" for n in range(HOST_TERMINALS)]
        return latency.measure(HOST_CRASHES, channels, _say)


PARTS: Final = (
    Part(
        "one_bus",
        "Highest lossless rate, one bus",
        "Frames of 8 bytes on vcan. Outrider captures, decodes, detects and records; `candump -l` only writes them "
        "down; python-can reads and cantools decodes. A rate counts when nothing was lost and the reader was done with "
        "the sender. Bars: at least as much as candump, at least 12 times python-can with cantools. `ended_by`: "
        "what stopped the climb; `sender`: the guest cannot send faster.",
    ),
    Part(
        "four_buses",
        "Highest lossless rate, four buses",
        "The same on four buses at once. A share of 1 is 100 % of four buses of 1 Mbit/s: 36,036 frames a second.",
    ),
    Part(
        "per_frame",
        "CPU a frame, socket to signal store, on vcan",
        "Thread CPU of the reader, system calls included, in chunks of what four full buses bring in 5 ms; medians of "
        "rounds taken in turn. Bar: at most a twelfth of python-can's recv with cantools' decode_message, aim an "
        '18th. `profile_to_all`: `frames = "profile"` on a bus of which one frame in five is of the profile.',
    ),
    Part(
        "host_per_frame",
        "CPU a frame, socket to signal store, on this machine",
        "The same without a virtual machine: UDP datagrams of 16 bytes over loopback in place of vcan.",
        _host_per_frame,
    ),
    Part(
        "host_latency",
        "Crash to acknowledgement, on this machine",
        "From the moment at which the sample that told the crash was due on the bus (a Unix socket) to the crash "
        "record, and then the receiver's acknowledgement of it, coming out of a loopback broker; a record is sent only "
        "after its commit on flash. Daemons, receiver and mosquitto are processes of their own. Aim: p99 at most "
        "100 ms.",
        _host_latency,
    ),
    Part(
        "latency",
        "Crash to acknowledgement, on vcan in the guest",
        f"The same in the virtual machine, on four buses of vcan; {CRASHES} crashes, since it is slow.",
    ),
    Part(
        "host_footprint",
        "Memory and CPU at full load, on this machine",
        "The daemon as a process, buses filled to 100 %. PSS before and at the end of 23 s; the recorder's cap stands "
        "apart.",
        _host_footprint,
    ),
    Part(
        "footprint",
        "Memory and CPU at full load, on vcan in the guest",
        "The same on vcan, at the share of the full load that the guest keeps up.",
    ),
)


def measure(part: Part) -> None:
    """Runs one part and keeps its result; click.ClickException when it failed."""
    _say(f"{part.title} ...")
    if part.here is not None:
        keep(part.name, document(part.here()))
        return
    environment = os.environ | {SHARE_VARIABLE: str(guest_share())}
    command = [sys.executable, "-m", "hil.run", "--limit", str(GUEST_LIMIT_S), "--module", "hil.bench.guest", part.name]
    result = RESULTS / f"bench-{part.name}.json"
    result.unlink(missing_ok=True)
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    if done.returncode or not result.exists():
        raise click.ClickException(f"{part.title}: the run on vcan ended with {done.returncode}")
    keep(part.name, json.loads(result.read_text(encoding="utf-8")))


def guest_share() -> float:
    """Share of four full buses that was lossless in the guest, less a margin."""
    found = kept("four_buses")
    reached = float(found["result"]["outrider"]["share_of_full_buses"]) if found else 1.0
    return round(min(1.0, SHARE_OF_HIGHEST * reached), 2)


def keep(name: str, made: dict[str, Any]) -> None:
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / f"{name}.json").write_text(json.dumps(made, indent=1), encoding="utf-8")


def kept(name: str) -> dict[str, Any] | None:
    file = KEPT / f"{name}.json"
    found: dict[str, Any] | None = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
    return found


def page() -> str:
    """The rig's part of the page from what is kept."""
    text = (
        "# The rig\n\nThe guest is QEMU without KVM over Debian's kernel: its processor is some 16 times slower than\n"
        "the host's and system calls are dearer still, so quote its ratios. `make bench-hil` measures all of it again."
        "\n\n"
    )
    for part in PARTS:
        found = kept(part.name)
        text += f"## {part.title}\n\n{part.note}\n\n`python -m hil.bench.run --only {part.name}`\n\n"
        text += f"{found['machine']}\n\n{table(found['result'])}\n" if found else "Did not run on this machine.\n\n"
    return text


@click.command()
@click.option("--only", multiple=True, type=click.Choice([p.name for p in PARTS]), help="Measure this part alone.")
@click.option("--write", "only_write", is_flag=True, help="Measure nothing, write what is kept.")
def main(only: tuple[str, ...], only_write: bool) -> None:
    """Measure and write the rig's part of docs/reference/benchmarks.md."""
    failed = []
    for part in () if only_write else PARTS:
        if not only or part.name in only:
            try:
                measure(part)
            except (click.ClickException, AssertionError, OSError) as err:
                failed.append(f"{part.name}: {err}")
    write(PAGE, OWNER, page())
    for text in failed:
        _say(text)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
