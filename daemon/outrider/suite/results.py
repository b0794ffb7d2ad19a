"""What a run of a suite brought, as a document that outlives it: written by ``hil run``, read by ``hil compare``.

JSON, format ``outrider-hil-results/1`` (docs/reference/cli-schema.json, ``hil_results``). Pure: bytes in, bytes out.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from outrider.errors import SuiteError
from outrider.i18n import _
from outrider.suite.model import Header
from outrider.suite.observed import Observed
from outrider.suite.verdict import DriveVerdict

FORMAT: Final = "outrider-hil-results/1"
_DAMAGE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class DriveResult(msgspec.Struct, frozen=True, kw_only=True):
    """One drive: what was seen, and what that is held against the suite. ``problems`` is empty when ``ok``."""

    ok: bool
    summary: str
    problems: tuple[str, ...]
    observed: Observed


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run. ``algorithm``: that of the detector that ran; ``pinned``: the one the suite asks for."""

    format: str = FORMAT
    suite: str
    software: str
    algorithm: str | None
    pinned: str | None
    bus: str
    speed: int
    drives: tuple[DriveResult, ...]

    @property
    def algorithm_ok(self) -> bool:
        """The detector is the pinned one, or none is pinned, or it is not known which one ran."""
        return self.pinned is None or self.algorithm is None or self.pinned == self.algorithm

    @property
    def ok(self) -> bool:
        return self.algorithm_ok and all(drive.ok for drive in self.drives)


class _Begin(msgspec.Struct):
    format: str = ""


def make_results(
    header: Header, verdicts: Iterable[DriveVerdict], *, software: str, algorithm: str | None, bus: str, speed: int
) -> Results:
    """Results of judged drives, in order."""
    drives = tuple(
        DriveResult(ok=v.ok, summary=v.sentence, problems=tuple(v.problems), observed=v.observed) for v in verdicts
    )
    return Results(
        suite=header.name,
        software=software,
        algorithm=algorithm,
        pinned=header.algorithm,
        bus=bus,
        speed=speed,
        drives=drives,
    )


def encode(results: Results) -> bytes:
    """A line a drive would be unreadable, one number a line too: indented, traces inline."""
    lines = [b'{"format":' + msgspec.json.encode(results.format)]
    for field in ("suite", "software", "algorithm", "pinned", "bus", "speed"):
        lines.append(b'"%s":%s' % (field.encode(), msgspec.json.encode(getattr(results, field))))
    drives = b",\n".join(msgspec.json.encode(drive) for drive in results.drives)
    return b",\n".join(lines) + b',\n"drives":[\n' + drives + b"\n]}\n"


def decode(data: bytes, path: Path) -> Results:
    """SuiteError for what is damaged, of another format, or no results at all."""
    try:
        begin = msgspec.json.decode(data, type=_Begin)
    except _DAMAGE as err:
        raise SuiteError(f"no results of `outrider hil run`, or damaged: {err}", path=path) from None
    if begin.format != FORMAT:
        what = f"format {begin.format!r}" if begin.format else "no results of `outrider hil run`"
        raise SuiteError(f"{what}; this release reads {FORMAT!r}: run the suite again to make it", path=path)
    try:
        results = msgspec.json.decode(data, type=Results)
    except _DAMAGE as err:
        raise SuiteError(f"damaged: {err}", path=path) from None
    names = [drive.observed.name for drive in results.drives]
    if len(set(names)) != len(names):
        raise SuiteError("damaged: a drive appears twice", path=path)
    return results


def algorithm_sentence(results: Results) -> str:
    """What is wrong with the detector's version, and what to do."""
    return _(
        "the suite is pinned to algorithm {pinned}, this release has {algorithm}: "
        "look at the differences, then accept it with --update"
    ).format(pinned=results.pinned, algorithm=results.algorithm)
