"""Waits between requests: each twice the last, between two bounds, from the start again once things are well."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class BackOff:
    """Times in microseconds. ``due_us``: when the next request may be made, 0 at once."""

    first_us: int
    longest_us: int
    due_us: int = 0
    step_us: int = 0

    def ready(self, now_us: int) -> bool:
        return now_us >= self.due_us

    def note(self, now_us: int) -> None:
        """A request was made."""
        self.step_us = min(self.longest_us, self.step_us * 2 or self.first_us)
        self.due_us = now_us + self.step_us

    def reset(self) -> None:
        """All is well: the next trouble begins with the shortest wait again. A running wait is served out."""
        self.step_us = 0
