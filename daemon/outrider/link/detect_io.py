"""Carrying a search out: set a candidate, make sure that it only listens, count, judge; afterwards leave the link well.

Rule: whatever happens, the link ends listen-only at the rate that was found, else down.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from outrider.errors import LinkError
from outrider.link.detect import Candidate, Detection, Trial, require_listen_only
from outrider.link.listen_io import Listener
from outrider.link.set_io import LinkSetter
from outrider.link.settings import LinkDown
from outrider.link.state_io import LinkState

WINDOW_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Search:
    """What a search works with. window_s: how long each candidate is listened to."""

    device: str
    state: LinkState
    setter: LinkSetter
    listener: Listener
    window_s: float = WINDOW_S

    def run(self, detection: Detection, on_trial: Callable[[Trial], None] | None = None) -> None:
        """Tries candidates until the search is over. LinkError when the link cannot be used for it."""
        found = False
        try:
            while (candidate := detection.next()) is not None:
                trial = self._try(candidate)
                detection.note(trial)
                if on_trial is not None:
                    on_trial(trial)
            found = detection.best is not None
        finally:
            if not found:
                with suppress(LinkError):  # it may be gone
                    self.setter.request(LinkDown(self.device))

    def _try(self, candidate: Candidate) -> Trial:
        try:
            self.setter.request(candidate.setting(self.device))
        except LinkError as err:
            if self.state.read(self.device) is None:
                raise
            return Trial(candidate, refused=str(err))
        require_listen_only(self.state.read(self.device), candidate)
        return Trial(candidate, self.listener.listen(self.device, self.window_s))


class FoundBitrates:
    """What was found before: {"can0": {"bitrate": 500000, "data_bitrate": null}} in one JSON file.

    A damaged file is as good as none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, device: str) -> Candidate | None:
        entry = self._load().get(device)
        if not isinstance(entry, dict):
            return None
        rate, data = _rate(entry.get("bitrate")), _rate(entry.get("data_bitrate"))
        return None if rate is None else Candidate(rate, data)

    def put(self, device: str, candidate: Candidate) -> None:
        """OSError when it cannot be written; the old file then stays."""
        document = self._load()
        document[device] = {"bitrate": candidate.bitrate, "data_bitrate": candidate.data_bitrate}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_name(self._path.name + ".new")
        with draft.open("w", encoding="utf-8") as file:
            file.write(json.dumps(document, indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)

    def _load(self) -> dict[str, Any]:
        try:
            document = json.loads(self._path.read_bytes()[: 1 << 20])
        except (OSError, ValueError, RecursionError):
            return {}
        return document if isinstance(document, dict) else {}


def _rate(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 5_000 <= value <= 12_000_000 else None
