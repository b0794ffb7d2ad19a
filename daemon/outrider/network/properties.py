"""Properties of D-Bus objects, taken for what they are: data from another program, of any type.

``Properties`` gives a value of the type that is asked for, or None; what had another type is noted, once a name.
``ObjectTree`` keeps the properties of all objects of one program by path and interface, as its signals tell them.
A subscriber's own number is never kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, TypeVar

NEVER_KEPT: Final = frozenset({"OwnNumbers"})
MAX_OBJECTS: Final = 256
MAX_INTERFACES: Final = 64
MAX_PROPERTIES: Final = 512
MAX_TEXT: Final = 256

Values = Mapping[str, Any]
_Kind = TypeVar("_Kind")


@dataclass(slots=True)
class Properties:
    """The values of one interface. ``odd``: names whose value was of another type or absurd."""

    values: Values = field(default_factory=dict)
    odd: set[str] = field(default_factory=set)

    def text(self, name: str) -> str | None:
        """A line of text; None for none, empty or more than ``MAX_TEXT``. What cannot be printed is taken out."""
        value = self._of(name, str)
        if value is None:
            return None
        if len(value) > MAX_TEXT:
            self.odd.add(name)
            return None
        return "".join(char for char in value if char.isprintable()).strip() or None

    def whole(self, name: str) -> int | None:
        """A whole number of 64 bits; a boolean is none."""
        value = self._of(name, int)
        if value is None:
            return None
        if isinstance(value, bool) or not -(1 << 63) <= value < 1 << 64:
            self.odd.add(name)
            return None
        return value

    def real(self, name: str) -> float | None:
        """A finite number."""
        value = self._of(name, float)
        if value is None:
            return None
        if not math.isfinite(value):
            self.odd.add(name)
            return None
        return value

    def truth(self, name: str) -> bool | None:
        return self._of(name, bool)

    def texts(self, name: str) -> tuple[str, ...]:
        """The texts of a list; other members are passed over."""
        value = self._of(name, list)
        return tuple(item for item in value or () if isinstance(item, str) and len(item) <= MAX_TEXT)

    def pairs(self, name: str) -> tuple[tuple[Any, Any], ...]:
        """The structures of two members in a list."""
        value = self._of(name, list)
        return tuple((item[0], item[1]) for item in value or () if isinstance(item, list | tuple) and len(item) == 2)

    def inner(self, name: str) -> Properties:
        """A dictionary by name within; empty when there is none. Shares ``odd``."""
        value = self._of(name, dict)
        return Properties({key: item for key, item in (value or {}).items() if isinstance(key, str)}, self.odd)

    def _of(self, name: str, kind: type[_Kind]) -> _Kind | None:
        value = self.values.get(name)
        if value is None or isinstance(value, kind):
            return value
        self.odd.add(name)
        return None


class ObjectTree:
    """Objects by path, of each its interfaces, of each its properties. Bounded; ``refused`` counts what went beyond."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[str, dict[str, Any]]] = {}
        self.refused = 0

    def __contains__(self, path: str) -> bool:
        return path in self._objects

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._objects))

    def clear(self) -> None:
        self._objects.clear()

    def put(self, path: Any, interfaces: Any) -> bool:
        """An object and interfaces of it, as ``InterfacesAdded`` or ``GetAll`` tell: what is told takes the place of
        what was known of these interfaces. False: no such thing was told."""
        if not isinstance(path, str) or not isinstance(interfaces, dict):
            return self._refuse()
        if path not in self._objects and len(self._objects) >= MAX_OBJECTS:
            return self._refuse()
        known = self._objects.setdefault(path, {})
        for name, values in interfaces.items():
            if not isinstance(name, str) or not isinstance(values, dict) or len(known) >= MAX_INTERFACES:
                self._refuse()
                continue
            known[name] = self._kept(values)
        return True

    def change(self, path: Any, interface: Any, values: Any, invalidated: Any) -> bool:
        """As ``PropertiesChanged`` tells. Of objects that are not known nothing is taken. True: something changed."""
        known = self._objects.get(path) if isinstance(path, str) else None
        if known is None or not isinstance(interface, str) or not isinstance(values, dict):
            return False
        if interface not in known and len(known) >= MAX_INTERFACES:
            return self._refuse()
        kept = {**known.get(interface, {}), **self._kept(values)}
        for name in invalidated if isinstance(invalidated, list) else ():
            kept.pop(name, None) if isinstance(name, str) else None
        if len(kept) > MAX_PROPERTIES:
            return self._refuse()
        known[interface] = kept
        return True

    def drop(self, path: Any, interfaces: Iterable[Any] | None = None) -> bool:
        """As ``InterfacesRemoved`` tells; an object without interfaces is gone. None: the whole object."""
        known = self._objects.get(path) if isinstance(path, str) else None
        if known is None:
            return False
        for name in tuple(known) if interfaces is None else interfaces:
            known.pop(name, None) if isinstance(name, str) else None
        if not known:
            del self._objects[path]
        return True

    def of(self, path: str | None, interface: str) -> Properties | None:
        """A copy that does not change any more; None where there is no such interface."""
        known = self._objects.get(path, {}).get(interface) if path is not None else None
        return None if known is None else Properties(dict(known))

    def with_interface(self, interface: str) -> list[str]:
        """Paths that have it, in order of their names."""
        return sorted(path for path, known in self._objects.items() if interface in known)

    def _kept(self, values: Mapping[Any, Any]) -> dict[str, Any]:
        named = ((name, value) for name, value in values.items() if isinstance(name, str) and name not in NEVER_KEPT)
        return dict(islice(named, MAX_PROPERTIES))

    def _refuse(self) -> bool:
        self.refused += 1
        return False
