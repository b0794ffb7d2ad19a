"""Which interface carries what goes to the world, from the kernel's own tables. Pure: text in.

The default route with the lowest metric, IPv4 before IPv6. Formats: Linux ``fib_route_seq_show`` (net/ipv4/fib_trie.c)
and ``rt6_info_route`` (net/ipv6/route.c). A line that is none of theirs is passed over.
"""

from __future__ import annotations

from typing import Final

UP: Final = 0x1
REJECT: Final = 0x200
_ANY4: Final = "00000000"
_ANY6: Final = "0" * 32


def default_interfaces(route4: str, route6: str) -> tuple[str, ...]:
    """Interfaces of default routes, the best first, each once."""
    found = sorted(_default4(route4), key=_metric) + sorted(_default6(route6), key=_metric)
    return tuple(dict.fromkeys(name for _, name in found))


def _metric(route: tuple[int, str]) -> int:
    return route[0]


def _default4(text: str) -> list[tuple[int, str]]:
    """Iface Destination Gateway Flags RefCnt Use Metric Mask ...: numbers are hex, the metric is decimal."""
    found = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 8 or fields[1] != _ANY4 or fields[7] != _ANY4:
            continue
        flags, metric = _number(fields[3], 16), _number(fields[6], 10)
        if flags is not None and metric is not None and flags & UP and not flags & REJECT:
            found.append((metric, fields[0]))
    return found


def _default6(text: str) -> list[tuple[int, str]]:
    """Destination, length, source, length, next hop, metric, reference count, use, flags, interface: all hex."""
    found = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 10 or fields[0] != _ANY6 or fields[1] != "00" or fields[9] == "lo":
            continue
        metric, flags = _number(fields[5], 16), _number(fields[8], 16)
        if flags is not None and metric is not None and flags & UP and not flags & REJECT:
            found.append((metric, fields[9]))
    return found


def _number(text: str, base: int) -> int | None:
    try:
        return int(text, base)
    except ValueError:
        return None
