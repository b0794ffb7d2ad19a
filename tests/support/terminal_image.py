"""Draws what a command prints as an SVG, for the docs::

python tests/support/terminal_image.py [--last N] OUT.svg -- COMMAND...
"""

from __future__ import annotations

import argparse
import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 112


def run_on_terminal(command: list[str]) -> str:
    """Output of the command as a person would see it, colours included."""
    master, slave = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(WIDTH), "TERM": "xterm-256color", "LINES": "50"}
    process = subprocess.Popen(command, stdout=slave, stderr=slave, stdin=slave, env=environment)
    os.close(slave)
    chunks = []
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:
            break
        if not chunk:
            break
        chunks.append(chunk)
    os.close(master)
    process.wait()
    return b"".join(chunks).decode("utf-8", errors="replace")


def settled(output: str) -> list[str]:
    """Lines that stay on the screen: what a progress bar overwrote is gone."""
    lines: list[str] = []
    for line in output.replace("\r\n", "\n").split("\n"):
        for _up in range(line.count("\x1b[1A")):
            lines = lines[:-1]
        last = re.split(r"\r|\x1b\[2K", line)[-1]
        lines.append(re.sub(r"\x1b\[\?25[lh]|\x1b\[\d*[ABK]", "", last).rstrip())
    return lines


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--last", type=int, default=40)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    lines = [line for line in settled(run_on_terminal(command)) if line.strip("\x1b[0m ")]
    console = Console(record=True, width=WIDTH, file=open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # sink
    shown = ["outrider" if Path(part).name == "outrider" else part for part in command]
    console.print(f"$ {shlex.join(shown)}", style="bold", highlight=False)
    for line in lines[-arguments.last :]:
        console.print(Text.from_ansi(line), no_wrap=True, overflow="crop")
    drawing = console.export_svg(title="outrider", unique_id=arguments.out.stem)
    drawing = re.sub(r"@font-face \{.*?\}\s*", "", drawing, flags=re.DOTALL)  # no fonts from elsewhere
    arguments.out.write_text(
        re.sub(r"<!-- Generated.*?-->", "", drawing).replace("Fira Code", "DejaVu Sans Mono"), "utf-8"
    )
    print(arguments.out, file=sys.stderr)


if __name__ == "__main__":
    main()
