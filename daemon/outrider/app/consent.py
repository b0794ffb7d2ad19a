"""Where the owner's consent decides what leaves the driving side. Today nothing is withheld.

Every record and every beacon belongs to a category (``app/intake.place_of``; a beacon tells a location) and asks here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from outrider.model.record import Category

ALWAYS: Final = frozenset({Category.SYSTEM, Category.EMERGENCY})


@dataclass(frozen=True, slots=True)
class Consent:
    """withheld: categories the owner has not agreed to. The terminal's own health and emergencies are not asked for."""

    withheld: frozenset[Category] = frozenset()

    def allows(self, category: Category) -> bool:
        return category in ALWAYS or category not in self.withheld
