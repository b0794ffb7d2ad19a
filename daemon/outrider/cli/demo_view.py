"""How the demo looks while it runs: steps, a progress bar, events as they are found."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from outrider.cli.render import event_line, trip_line
from outrider.model.event import Event, Phase, Trip

if TYPE_CHECKING:
    from rich.console import Console

    from outrider.app.pipeline import Output


class DemoView:
    """Prints to a rich console; the bar is only drawn on a terminal."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        self._console = console
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=1.0)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self._bar.stop()

    def step(self, text: str) -> None:
        self._console.print(f"[bold]▸[/] {text}", highlight=False)
        self._bar.reset(self._task, description=text, completed=0, total=1.0)

    def progress(self, share: float) -> None:
        self._bar.update(self._task, completed=min(1.0, share))

    def output(self, output: Output) -> None:
        from rich.text import Text

        if isinstance(output, Event) and output.phase is not Phase.BEGIN:
            self._console.print(Text.from_ansi("   " + event_line(output)))
        elif isinstance(output, Trip) and output.t_end_us:
            self._console.print("   " + trip_line(output), highlight=False)
