"""Keeps the mounting that the detector has found over a restart, and gives it back at the next start.

A fault of the disk costs a few minutes of driving without known axes, and is said; it never stops the daemon.
"""

from __future__ import annotations

import logging
import math
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from outrider.engine import Engine, Mount
from outrider.errors import EngineError, JournalError
from outrider.files_io import read_file, replacing
from outrider.ports import Storage
from outrider.record.mounting import KeptMounting, MountingFile
from outrider.record.storage_io import DirectoryStorage

KEEP_EVERY_US: Final = 60_000_000
TURNED: Final = math.cos(math.radians(1.0))  # less than this is not worth a write
OLDER: Final = 600.0  # seconds of driving
ALIGNED: Final = 2  # Snapshot.mount
TAPE_SUFFIX: Final = ".mounting"
MAX_BYTES: Final = 4096

log = logging.getLogger(__name__)


def open_mounting(directory: Path, engine: Engine, profile: str, sensor: str, stack: ExitStack) -> Mounting | None:
    """The mounting kept in ``directory``, closed with ``stack``; None, and a word in the log, where nothing can be."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        storage = DirectoryStorage(directory)
    except (OSError, JournalError) as err:
        log.warning("mounting: not kept: %s", err)
        return None
    stack.callback(storage.close)
    mounting = Mounting(storage, engine, profile, sensor)
    stack.callback(mounting.close)
    return mounting


class Mounting:
    """``restore`` before the first input, ``note`` with each snapshot, ``close`` at the end."""

    def __init__(self, storage: Storage, engine: Engine, profile: str, sensor: str) -> None:
        self._engine = engine
        self._profile = profile
        self._sensor = sensor
        self._kept: KeptMounting | None = None
        self._looked_us: int | None = None
        self._aligned = False
        self._trouble: str | None = None
        self._file: MountingFile | None = None
        self._restored = False
        try:
            self._file = MountingFile(storage)
        except JournalError as err:
            self._fail(err)

    def restore(self) -> KeptMounting | None:
        """What was given to the engine."""
        try:
            kept = None if self._file is None else self._file.read()
        except JournalError as err:
            self._fail(err)
            return None
        if kept is None:
            return None
        if (kept.profile, kept.sensor) != (self._profile, self._sensor):
            log.info("mounting: the kept one is of %s, %s; it is found anew", kept.profile, kept.sensor)
            return None
        if not apply(self._engine, kept):
            return None
        log.info("mounting: kept from before, quality %.2f after %.0f s of driving", kept.rho, kept.age_s)
        self._kept, self._restored, self._aligned = kept, True, any(kept.forward)
        return kept

    def note(self, t_us: int, mount: int) -> None:
        """``mount``: ``Snapshot.mount``. Looks once a minute, and at once when axes were given up or found."""
        aligned = mount == ALIGNED
        if aligned != self._aligned:
            log.info("mounting: %s", "axes known" if aligned else "axes given up")
            self._aligned = aligned
        elif self._looked_us is not None and t_us - self._looked_us < KEEP_EVERY_US:
            return
        self._looked_us = t_us
        self._keep()

    def close(self) -> None:
        if self._looked_us is not None:
            self._keep()
        if self._file is not None:
            self._file.close()
            self._file = None

    def status(self) -> dict[str, Any]:
        """JSON-ready: ``kept`` (on flash), ``restored`` (given back at the start), ``error`` while the disk refuses."""
        document: dict[str, Any] = {"kept": self._kept is not None, "restored": self._restored}
        return document if self._trouble is None else {**document, "error": self._trouble}

    def _keep(self) -> None:
        now = self._now() if self._aligned else None
        if not _differs(self._kept, now) or self._file is None:
            return
        try:
            self._file.write(now)
        except JournalError as err:
            self._fail(err)
        else:
            self._kept, self._trouble = now, None

    def _now(self) -> KeptMounting | None:
        mount = self._engine.mount()
        kept = KeptMounting(
            profile=self._profile,
            sensor=self._sensor,
            up=mount.up,
            forward=mount.forward,
            rho=mount.rho,
            age_s=mount.age_s,
        )
        return kept if kept.sensible and any(mount.forward) else None

    def _fail(self, err: JournalError) -> None:
        if self._trouble is None:
            log.warning("mounting: %s", err)
        self._trouble = str(err)


def apply(engine: Engine, kept: KeptMounting) -> bool:
    """Gives a mounting to the engine; False when the engine will not have it."""
    try:
        engine.set_mount(Mount(kept.up, kept.forward, kept.rho, kept.age_s))
    except EngineError as err:
        log.warning("mounting: not taken: %s", err)
        return False
    return True


def write_beside(tape: Path, kept: KeptMounting) -> None:
    """A tape begins with what the engine knew at its first input."""
    with replacing(tape.with_name(tape.name + TAPE_SUFFIX)) as partial:
        partial.write_bytes(msgspec.json.encode(kept))


def read_beside(tape: Path) -> KeptMounting | None:
    """What ``write_beside`` left, None when there is none or it is no mounting."""
    with suppress(OSError, msgspec.MsgspecError, RecursionError):
        data = read_file(tape.with_name(tape.name + TAPE_SUFFIX), MAX_BYTES)
        kept = msgspec.json.decode(data, type=KeptMounting)
        return kept if kept.sensible else None
    return None


def _differs(kept: KeptMounting | None, now: KeptMounting | None) -> bool:
    """Enough for a write."""
    if kept is None or now is None:
        return kept is not now
    turned = min(_cos(kept.up, now.up), _cos(kept.forward, now.forward)) < TURNED
    return turned or abs(now.age_s - kept.age_s) >= OLDER


def _cos(a: tuple[float, float, float], b: tuple[float, float, float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))
