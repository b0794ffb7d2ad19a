"""``outrider demo``: a simulated drive that ends in a crash, from the wheel to the receiver, on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from outrider.cli.common import Number, emit_json, json_option, stdout_console
from outrider.i18n import _

if TYPE_CHECKING:
    from rich.console import Console

    from outrider.app.demo import DemoResult
    from outrider.app.judge import Match


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("demo-out"), show_default=True)
@click.option("--scenario", default="city-crash", show_default=True, help=_("Bundled scenario or TOML file."))
@click.option("--speed", type=Number(1, 1000), default=30.0, show_default=True, help=_("Times real time."))
@click.option("--seed", type=int, default=1, show_default=True)
@json_option
def cli(out: Path, scenario: str, speed: float, seed: int, as_json: bool) -> None:
    """Simulate a drive that ends in a crash and follow it to the receiver.

    Uses mosquitto where it is installed, otherwise a broker from a wheel; both on 127.0.0.1 only.
    """
    from outrider.app.demo import run_demo
    from outrider.cli.demo_view import DemoView

    console = stdout_console(stderr=as_json)
    with DemoView(console) as view:
        result = run_demo(out, scenario, speed=speed, seed=seed, view=view)
    if as_json:
        emit_json(_document(result))
    else:
        _print(console, result)
    if not result.ok:
        raise SystemExit(1)


def _document(result: DemoResult) -> dict[str, Any]:
    import dataclasses

    return {"type": "demo", "ok": result.ok, **dataclasses.asdict(result)}


def _print(console: Console, result: DemoResult) -> None:
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(title=_("What happened and what was found"), title_justify="left", box=SIMPLE)
    for column in (_("at"), _("truth"), _("found"), ""):
        table.add_column(column, no_wrap=True)
    for match in result.matches:
        table.add_row(*_row(match))
    console.print(table)
    console.print(_delivery_line(result))
    if result.crash_durable_ms is not None and result.crash_acknowledged_ms is not None:
        console.print(
            _(
                "Crash: on flash {flash:.0f} ms, acknowledged by the receiver {ack:.0f} ms after the triggering sample."
            ).format(flash=result.crash_durable_ms, ack=result.crash_acknowledged_ms)
        )
    console.print(_("The data lies in {out}: look with").format(out=result.out))
    program = sys.argv[0] if Path(sys.argv[0]).name == "outrider" else "outrider"
    journal = f"{result.out}/journal"
    for command in (f"crash show --journal {journal}", f"journal stats {journal}", f"journal ls {journal} -n 5"):
        console.print(f"  {program} {command}", highlight=False)


def _row(match: Match) -> list[str]:
    missed, extra = _("missed"), _("not in the truth")
    mark = {
        "hit": "[green]✓[/]",
        "missed": f"[red]{missed}[/]",
        "extra": f"[yellow]{extra}[/]",
        "below": "[dim]✓[/]",
    }
    at_s = match.truth_s if match.truth_s is not None else match.found_s or 0.0
    truth = " ".join(filter(None, (match.truth_kind, match.truth_size)))
    found = " ".join(filter(None, (match.found_kind, match.found_size)))
    if match.truth_s is not None and match.found_s is not None:
        found += f" ({match.found_s - match.truth_s:+.1f} s)"
    return [f"{int(at_s // 60)}:{at_s % 60:04.1f}", truth, found, mark[match.verdict]]


def _delivery_line(result: DemoResult) -> str:
    same = _("identical by hash") if result.identical else _("NOT identical")
    return _(
        "{written} records written, {received} received ({same}), {batches} messages, {per:.1f} B a telemetry record."
    ).format(
        written=result.written,
        received=result.received,
        same=same,
        batches=result.messages,
        per=result.telemetry_bytes_per_record,
    )
