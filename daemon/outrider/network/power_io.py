"""Cutting the modem's power: a command, or a file of sysfs that takes two words (a GPIO, a USB port's ``disable``)."""

from __future__ import annotations

import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from outrider.errors import LinkError

COMMAND_S: Final = 60.0
TOLD_BYTES: Final = 200
RESTORE_TRIES: Final = 3
RESTORE_WAIT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class PowerOptions:
    """command: arguments, no shell; it cuts and restores. file: takes ``off``, after ``off_s`` seconds ``on``."""

    command: tuple[str, ...] = ()
    file: Path | None = None
    off: str = "1"
    on: str = "0"
    off_s: float = 5.0

    @property
    def is_there(self) -> bool:
        return bool(self.command) or self.file is not None


class PowerSwitch:
    """``stop`` ends the wait between off and on; on is always written."""

    def __init__(self, options: PowerOptions, stop: threading.Event) -> None:
        self._options = options
        self._stop = stop

    def cycle(self) -> None:
        """LinkError says what went wrong."""
        if self._options.command:
            self._run()
        elif self._options.file is not None:
            self._switch(self._options.file)
        else:
            raise LinkError("no way to cut the power is configured ([modem] power_command or power_file)")

    def restore(self) -> None:
        """Power on, where a file says so; a switch that is busy is asked again. LinkError as ``cycle``."""
        file = self._options.file
        if file is None:
            return
        for left in reversed(range(RESTORE_TRIES)):
            try:
                self._write(file, self._options.on)
                return
            except LinkError:
                if not left:
                    raise
                time.sleep(RESTORE_WAIT_S)

    def _run(self) -> None:
        command = list(self._options.command)
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise LinkError(f"{command[0]}: not done within {COMMAND_S:.0f} s") from None
        except (OSError, ValueError) as err:
            raise LinkError(f"{command[0]}: {getattr(err, 'strerror', None) or err}") from None
        if done.returncode != 0:
            told = (done.stderr or done.stdout)[-TOLD_BYTES:].decode("utf-8", "replace").strip()
            raise LinkError(f"{command[0]}: exit code {done.returncode}{': ' + told if told else ''}")

    def _switch(self, file: Path) -> None:
        try:
            self._write(file, self._options.off)  # within: what fails here may have cut the power all the same
            self._stop.wait(self._options.off_s)
        finally:
            self.restore()

    def _write(self, file: Path, word: str) -> None:
        try:
            with file.open("r+", encoding="ascii") as out:
                out.write(word)
        except (OSError, UnicodeError) as err:
            raise LinkError(f"{file}: {getattr(err, 'strerror', None) or err}") from None
