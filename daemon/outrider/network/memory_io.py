"""What the terminal remembers of its modem over a restart: that it has one, which SIM (as a hash), the last steps.

One small JSON file. A damaged one is as good as none; one that cannot be written is told and costs the memory only.
"""

from __future__ import annotations

import logging
import os
import secrets
from pathlib import Path
from typing import Final

import msgspec

from outrider.files_io import read_file, replacing
from outrider.network.ladder import DAY_US
from outrider.network.sim import KEY_BYTES, sim_hash
from outrider.network.trouble import Rung
from outrider.ports import Clock

FILE_NAME: Final = "modem.json"
MAX_BYTES: Final = 65_536
MAX_STEPS: Final = 256
SET_UTC_S: Final = 1_767_225_600  # 2026: a clock that says less has not been set

log = logging.getLogger(__name__)


class Memory(msgspec.Struct, kw_only=True):
    """key: of the SIM's hash, hex. steps: (UTC in seconds, rung) of the last day."""

    key: str = ""
    sim: str | None = None
    modem: bool = False
    steps: list[tuple[int, int]] = []


class ModemMemory:
    """``path``: of the file; its directory is made."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._told = False
        self._memory = self._read()
        if len(self._memory.key) != 2 * KEY_BYTES:
            self._memory.key = secrets.token_hex(KEY_BYTES)
            self._memory.sim = None

    @property
    def has_modem(self) -> bool:
        """There was one, at some time."""
        return self._memory.modem

    def note_modem(self) -> None:
        if not self._memory.modem:
            self._memory.modem = True
            self._write()

    def note_sim(self, iccid: str) -> tuple[str, str] | None:
        """(hash before, hash now) when it is another one than before; None for the same, or the first."""
        now, before = sim_hash(bytes.fromhex(self._memory.key), iccid), self._memory.sim
        if now == before:
            return None
        self._memory.sim = now
        self._write()
        return None if before is None else (before, now)

    def note_step(self, rung: Rung) -> None:
        utc_s = self._clock.utc_us() // 1_000_000
        recent = [(at, done) for at, done in self._memory.steps if abs(utc_s - at) * 1_000_000 < DAY_US]
        self._memory.steps = [*recent, (utc_s, int(rung))][-MAX_STEPS:]
        self._write()

    def history(self) -> list[tuple[int, Rung]]:
        """Steps of the last day as (time of CLOCK_BOOTTIME in microseconds, rung). What a wrong clock puts into the
        future counts as taken now: better a step too few. From now on, that is, and not at each start until then."""
        now_us, utc_s = self._clock.boottime_us(), self._clock.utc_us() // 1_000_000
        if utc_s > SET_UTC_S and any(at > utc_s for at, _ in self._memory.steps):
            self._memory.steps = [(min(at, utc_s), done) for at, done in self._memory.steps]
            self._write()
        ages = [(max(0, utc_s - at) * 1_000_000, Rung(done)) for at, done in self._memory.steps if 1 <= done <= 4]
        return sorted((now_us - age_us, rung) for age_us, rung in ages if age_us < DAY_US)

    def _read(self) -> Memory:
        try:
            memory = msgspec.json.decode(read_file(self._path, MAX_BYTES), type=Memory)
            bytes.fromhex(memory.key)
        except FileNotFoundError:
            return Memory()
        except (OSError, ValueError, RecursionError) as err:
            log.warning("%s: not used: %s", self._path, getattr(err, "strerror", None) or err)
            return Memory()
        return memory

    def _write(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self._path) as part, part.open("wb") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(msgspec.json.encode(self._memory))
                file.flush()
                os.fsync(file.fileno())
        except OSError as err:
            if not self._told:
                log.warning("%s: not kept: %s", self._path, err.strerror or err)
            self._told = True
