"""pytest plugin: ``pytest fleet.suite.toml`` runs a suite, one test item a drive.

Entry point ``outrider`` of group ``pytest11``. Loaded with every run of pytest where this package is installed, so:
nothing is imported before a suite is collected, and nothing is touched but files named ``*.suite.toml``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from outrider.app.suite import SuiteRun

SUFFIX = ".suite.toml"


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--outrider-bus`` and ``--outrider-speed``, as ``outrider hil run`` has them."""
    group = parser.getgroup("outrider", "suites of drives (*.suite.toml)")
    group.addoption(
        "--outrider-bus", choices=("replay", "unix", "vcan"), default=None, help="instead of the suite's bus"
    )
    group.addoption(
        "--outrider-speed", type=_speed, default=None, metavar="1..100", help="instead of the suite's speed"
    )


def _speed(text: str) -> int:
    speed = int(text)
    if not 1 <= speed <= 100:
        raise ValueError(text)
    return speed


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A file named ``*.suite.toml`` is a suite."""
    if not file_path.name.endswith(SUFFIX):
        return None
    collector: pytest.Collector = SuiteFile.from_parent(parent, path=file_path)
    return collector


class SuiteDiffersError(Exception):
    """A drive did not give what was expected: its sentences."""


class SuiteFile(pytest.File):
    """A suite: an item for each drive, and one for the pinned algorithm."""

    def collect(self) -> Iterable[pytest.Item]:
        from outrider.app.suite import SuiteRun
        from outrider.app.suite_extra import need
        from outrider.errors import OutriderError
        from outrider.suite.load_io import load_suite

        try:
            loaded = load_suite(self.path)
            bus = self.config.option.outrider_bus or loaded.suite.suite.bus
            need({"a live bus": bus != "replay"})
        except OutriderError as err:
            raise self.CollectError(str(err)) from None
        header, options = loaded.suite.suite, self.config.option
        run = SuiteRun(loaded, bus, options.outrider_speed or header.speed)
        yield from self._items(run)

    def _items(self, run: SuiteRun) -> Iterator[pytest.Item]:
        if run.suite.suite.algorithm is not None:
            yield AlgorithmItem.from_parent(self, name="algorithm", run=run)
        for drive in run.suite.drive:
            yield DriveItem.from_parent(self, name=drive.name, run=run)


class _SuiteItem(pytest.Item):
    """An item that shows sentences, no traceback."""

    def __init__(self, *, run: SuiteRun, **rest: Any) -> None:
        super().__init__(**rest)
        self.run = run

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, SuiteDiffersError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, f"{self.path.name}: {self.name}"


class DriveItem(_SuiteItem):
    """One drive, through the bus of the suite."""

    def runtest(self) -> None:
        from dataclasses import replace

        from outrider.app.suite import run_suite
        from outrider.errors import OutriderError

        run = replace(self.run, only=(self.name,), verdicts=[])
        try:
            run_suite(run)
        except OutriderError as err:
            raise SuiteDiffersError(str(err)) from None
        (verdict,) = run.verdicts
        self.add_report_section("call", "found", "\n".join(line.sentence for line in verdict.lines))
        if not verdict.ok:
            raise SuiteDiffersError("\n".join(verdict.problems))


class AlgorithmItem(_SuiteItem):
    """The detector is the one the suite was written for."""

    def runtest(self) -> None:
        from outrider.suite.results import algorithm_sentence

        results = self.run.results()
        if not results.algorithm_ok:
            raise SuiteDiffersError(algorithm_sentence(results))
