"""``outrider replay``: recordings through the same pipeline as the daemon, to JSON, a journal or a broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from outrider.cli.common import Number, emit_json, json_option, note
from outrider.errors import InputError, JournalError, LinkError
from outrider.i18n import _

if TYPE_CHECKING:
    from outrider.app.replay import Tally


class Speed(click.ParamType[float | None]):
    """``max`` (None) or a positive multiple of real time."""

    name = "speed"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | None:
        if value is None or value == "max":
            return None
        try:
            speed = float(value)
        except ValueError:
            speed = 0.0
        if not 0 < speed < 1e6:
            self.fail(_("{value!r} is neither 'max' nor a positive number").format(value=value), param, ctx)
        return speed


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--profile", "-p", "profiles", multiple=True, help=_("Vehicle profile: bundled name or file."))
@click.option("--dbc", multiple=True, type=click.Path(path_type=Path), help=_("More DBC files."))
@click.option("--overlay", multiple=True, type=click.Path(path_type=Path), help=_("More VSS overlays."))
@click.option("--speed", type=Speed(), default="max", show_default=True, help=_("Multiple of real time, or max."))
@click.option("--after", type=Number(0, 3600), default=0.0, help=_("Seconds of silence after the end."))
@click.option("--tape", type=click.Path(path_type=Path), help=_("Write the inputs in engine order to this file."))
@click.option("--journal", type=click.Path(path_type=Path), help=_("Keep the records in this journal."))
@click.option("--broker", metavar="HOST:PORT", help=_("Deliver the journal's records to this MQTT broker."))
@click.option("--device", default="terminal", show_default=True, help=_("Name of the terminal at the broker."))
@click.option(
    "--ack-key-file", type=click.Path(path_type=Path), help=_("Key that the receiver's acknowledgements bear.")
)
@json_option
def cli(as_json: bool, **args: Any) -> None:
    """Replay FILES: python-can logs (candump, ASC, BLF, TRC, MF4, ...), NMEA, or one tape.

    Prints every trip and event, then a summary. With --json: one JSON object a line, the summary last.
    """
    with ExitStack() as stack:
        _replay(stack, as_json, **args)


def _replay(stack: ExitStack, as_json: bool, **args: Any) -> None:
    from outrider.app.replay import Tally, summary
    from outrider.app.session import DELIVERY_TIMEOUT_S, ReplaySession
    from outrider.cli.render import output_document, print_output

    tally = Tally()
    screen = stack.enter_context(_screen(args["files"], as_json))

    def on_output(output: Any) -> None:
        tally.note(output)
        document = output_document(output)
        if document is not None:
            emit_json(document) if as_json else print_output(output, screen.echo)

    session = stack.enter_context(ReplaySession.open(on_output=on_output, **_session_args(args)))
    session.run(speed=args["speed"], after_s=args["after"], tape=args["tape"], on_progress=screen.on_progress)
    screen.done()
    delivery = session.deliver()
    document = {"type": "summary", **summary(tally, session.pipeline, session.source_counters()), **delivery}
    if as_json:
        emit_json(document)
    else:
        _print_summary(tally, document)
    if delivery.get("complete") is False:
        raise LinkError(
            _("{broker}: {missing} record(s) not acknowledged in {seconds:.0f} s; they stay in {journal}").format(
                broker=args["broker"],
                missing=document["written"] - document["delivered"] - document["lost"],
                seconds=DELIVERY_TIMEOUT_S,
                journal=args["journal"],
            )
        )
    if document.get("lost"):
        raise JournalError(
            _("{journal}: {lost} of {written} records found no room and are lost; free space, replay again").format(
                journal=args["journal"], lost=document["lost"], written=document["written"]
            )
        )


def _session_args(args: dict[str, Any]) -> dict[str, Any]:
    if args["broker"] and not args["journal"]:
        raise InputError(_("--broker needs --journal DIR: records are sent from the journal"))
    names = ("files", "profiles", "dbc", "overlay", "journal", "broker", "device", "ack_key_file")
    return {name: args[name] for name in names}


@dataclass(frozen=True)
class _Screen:
    """How a replay shows itself: where lines go, and who draws progress (nobody, when nobody looks)."""

    echo: Callable[[str], None]
    on_progress: Callable[[int], None] | None = None
    done: Callable[[], None] = lambda: None


@contextmanager
def _screen(files: tuple[Path, ...], as_json: bool) -> Iterator[_Screen]:
    """Lines and bar share one console when both go to the terminal, so that they do not overwrite each other."""
    import sys

    if as_json or not sys.stderr.isatty():
        yield _Screen(click.echo)
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.text import Text

    shared = sys.stdout.isatty()
    console = Console(stderr=not shared, soft_wrap=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(_("replaying {count} file(s)").format(count=len(files)), total=None)

        def show(t_us: int) -> None:
            bar.update(task, description=_("replayed {minutes:.1f} min").format(minutes=t_us / 60e6))

        def echo(text: str) -> None:
            console.print(Text.from_ansi(text), soft_wrap=True)

        yield _Screen(echo if shared else click.echo, show, bar.stop)


def _note_drops(sources: dict[str, dict[str, int]]) -> None:
    """A line for each recording that was not taken whole: what was skipped or set right, and how often."""
    from outrider.app.replay import DOUBTFUL

    for name, counters in sources.items():
        drops = ", ".join(f"{key} {counters[key]}" for key in DOUBTFUL if key in counters)
        if drops:
            note(_("{file}: not all of it could be used: {drops}").format(file=name, drops=drops))


def _print_summary(tally: Tally, document: dict[str, Any]) -> None:
    _note_drops(document["sources"])
    note("")
    click.echo(
        _("{minutes:.1f} min, {km:.2f} km, {trips} trip(s), {events} event report(s), {crashes} crash(es)").format(
            minutes=document["seconds"] / 60,
            km=document["distance_m"] / 1000,
            trips=len(tally.trips),
            events=len(tally.events),
            crashes=document["crashes"],
        )
    )
    if "delivered" in document:
        click.echo(
            _("{delivered} of {written} records delivered and acknowledged").format(
                delivered=document["delivered"], written=document["written"]
            )
        )
