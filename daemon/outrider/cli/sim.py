"""``outrider sim``: simulate drives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from outrider.cli.common import emit_json, json_option, note
from outrider.cli.sim_fleet import fleet
from outrider.i18n import _

if TYPE_CHECKING:
    from outrider.sim.write_io import Written

_MOVING_SHARE = 0.4  # of the bar: computing the motion; the rest is telling it


@click.group()
def cli() -> None:
    """Simulate drives: a car on a road, told as CAN log, NMEA file and the truth; or a fleet on a broker."""


cli.add_command(fleet)


@cli.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the bundled scenarios."""
    from outrider.sim.scenario_io import bundled_scenarios

    scenarios = bundled_scenarios().values()
    if as_json:
        emit_json([{"name": item.name, "title": item.title} for item in scenarios])
        return
    width = max(len(item.name) for item in scenarios)
    for item in scenarios:
        click.echo(f"{item.name:<{width}}  {item.title}")


@cli.command()
@click.argument("scenario")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    metavar="DIR",
    help=_("Folder for the files; made if missing."),
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help=_("Same seed, same drive."))
@click.option(
    "--format",
    "log_format",
    type=click.Choice(["log", "blf"]),
    default="log",
    show_default=True,
    help=_("CAN log: candump text or Vector BLF."),
)
@json_option
def drive(scenario: str, output: Path, seed: int, log_format: str, as_json: bool) -> None:
    """Drive SCENARIO, a bundled name or a TOML file, and write what is heard of it: DIR/can.log, DIR/gnss.nmea,
    DIR/imu.csv; and DIR/truth.json."""
    from outrider.sim.drive import generate
    from outrider.sim.scenario_io import load_scenario
    from outrider.sim.write_io import write_drive

    loaded = load_scenario(scenario)
    with _bar(loaded.title) as report:
        made = generate(loaded, seed, lambda share: report(_MOVING_SHARE * share))
        written = write_drive(
            made, output, log_format, lambda share: report(_MOVING_SHARE + (1.0 - _MOVING_SHARE) * share)
        )
    truth = made.truth()
    if as_json:
        emit_json(_summary(written, truth))
    else:
        _tell(written, truth)


def _summary(written: Written, truth: dict[str, Any]) -> dict[str, Any]:
    kinds = [event["kind"] for event in truth["events"]]
    return {
        "scenario": truth["scenario"],
        "seed": truth["seed"],
        "duration_s": truth["duration_s"],
        "distance_m": truth["distance_m"],
        "frames": written.frames,
        "sentences": written.sentences,
        "samples": written.samples,
        "events": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
        "files": {
            name: None if path is None else str(path)
            for name, path in (
                ("can", written.can),
                ("nmea", written.nmea),
                ("imu", written.imu),
                ("truth", written.truth),
            )
        },
    }


def _tell(written: Written, truth: dict[str, Any]) -> None:
    minutes, seconds = divmod(round(truth["duration_s"]), 60)
    note(
        _("{title}\n{km:.2f} km in {minutes}:{seconds:02d} min, {frames} frames, {sentences} sentences").format(
            title=truth["title"],
            km=truth["distance_m"] / 1000.0,
            minutes=minutes,
            seconds=seconds,
            frames=written.frames,
            sentences=written.sentences,
        )
    )
    kinds = [event["kind"] for event in truth["events"]]
    if kinds:
        note(", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds))))
    for path in (*written.recordings, written.truth):
        click.echo(str(path))


@contextmanager
def _bar(title: str) -> Iterator[Callable[[float], None]]:
    """A progress bar on stderr where that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=1.0)
        yield lambda share: bar.update(task, completed=share)
