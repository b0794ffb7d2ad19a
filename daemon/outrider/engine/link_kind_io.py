"""What kind of network interface a name stands for, as the kernel says it: "vcan", "vxcan", "can", ...

Asked with one RTM_GETLINK over rtnetlink(7), which needs no privileges. sysfs does not tell: a virtual bus and a
serial-line adapter look the same there.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Final

_REQUEST: Final = struct.Struct("=IHHIIBxHiII")  # struct nlmsghdr, struct ifinfomsg
_HEADER_BYTES: Final = 32  # of both in the answer
_RTM_NEWLINK: Final = 16
_RTM_GETLINK: Final = 18
_NLM_F_REQUEST: Final = 1
_IFLA_LINKINFO: Final = 18
_IFLA_INFO_KIND: Final = 1
_TYPE_MASK: Final = 0x3FFF  # without NLA_F_NESTED, NLA_F_NET_BYTEORDER


def link_kind(name: str) -> str | None:
    """Kind of the interface; None when it has none (a plain device) or is not there."""
    try:
        index = socket.if_nametoindex(name)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
            sock.send(_REQUEST.pack(_REQUEST.size, _RTM_GETLINK, _NLM_F_REQUEST, 1, 0, 0, 0, index, 0, 0))
            answer = sock.recv(65536)
    except OSError:
        return None
    return kind_in(answer)


def kind_in(answer: bytes) -> str | None:
    """IFLA_INFO_KIND of an RTM_NEWLINK message; None for any other message, or without one."""
    if len(answer) < _HEADER_BYTES or struct.unpack_from("=H", answer, 4)[0] != _RTM_NEWLINK:
        return None
    for kind, value in _attributes(answer[_HEADER_BYTES:]):
        if kind == _IFLA_LINKINFO:
            for inner, text in _attributes(value):
                if inner == _IFLA_INFO_KIND:
                    return text.rstrip(b"\0").decode("ascii", "replace")
    return None


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, value) of each ``struct rtattr``: u16 length with header, u16 type, value, padding to 4 bytes."""
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            return
        yield kind & _TYPE_MASK, data[at + 4 : at + length]
        at += (length + 3) & ~3
