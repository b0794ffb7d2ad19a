"""NMEA 0183: bytes to sentences. Owns framing and checksums; pure, any chunking gives the same sentences.

A sentence runs from ``$`` or ``!`` to CR or LF: ``$`` address ``,`` fields ``*`` two hex digits (NMEA 0183 v4.11, 5.3).
What the fields mean is the business of ``fixes``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import reduce
from operator import xor
from typing import Final

from outrider.sources.stats import NmeaStats

MAX_SENTENCE: Final = 256  # the standard says 82; receivers with many satellites write up to about 200
_STARTS: Final = b"$!"
_SPECIAL: Final = re.compile(rb"[^\x20\x22\x23\x25-\x7e]")  # end of line, start of a sentence, or no text at all
_WHITE: Final = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence with a right checksum. ``t_us``: engine time at which its first byte arrived.

    ``kind``: the formatter, such as ``RMC``; empty for a proprietary sentence. ``text``: from ``$``, without checksum.
    """

    t_us: int
    talker: str
    kind: str
    text: str


class NmeaFramer:
    """Cuts a byte stream into sentences. A sentence without checksum is dropped unless ``require_checksum`` is off.

    Receivers write checksums; what lacks one is a cut line or somebody's debug output.
    """

    def __init__(self, stats: NmeaStats, *, require_checksum: bool = True) -> None:
        self._stats = stats
        self._require_checksum = require_checksum
        self._line = bytearray()
        self._started_us = 0
        self._inside = False

    def feed(self, data: bytes, t_us: int) -> list[Sentence]:
        """Sentences completed by ``data``, which arrived at ``t_us``."""
        sentences: list[Sentence] = []
        start = 0
        for match in _SPECIAL.finditer(data):
            at = match.start()
            self._take(data[start:at])
            start = at + 1
            byte = data[at : at + 1]
            if byte in _STARTS:
                self._begin(byte, t_us)
            elif byte in b"\r\n":
                sentence = self._end()
                if sentence is not None:
                    sentences.append(sentence)
            else:
                self._spoil()
        self._take(data[start:])
        return sentences

    def reset(self) -> None:
        """Forget a half line, as after the port was reopened."""
        if self._inside:
            self._stats.half_lines += 1
        self._inside = False
        self._line.clear()

    def close(self) -> list[Sentence]:
        """The last line of a file that does not end in a line feed."""
        sentence = self._end()
        return [] if sentence is None else [sentence]

    def _begin(self, byte: bytes, t_us: int) -> None:
        if self._inside:
            self._stats.half_lines += 1
        self._line[:] = byte
        self._started_us = t_us
        self._inside = True

    def _take(self, text: bytes) -> None:
        if not self._inside:
            self._stats.garbage_bytes += len(text.translate(None, _WHITE))
            return
        room = MAX_SENTENCE - len(self._line)
        self._line += text[:room]
        if len(text) > room:
            self._stats.overlong += 1
            self._stats.garbage_bytes += len(text[room:].translate(None, _WHITE))
            self._inside = False

    def _spoil(self) -> None:
        """A byte that no sentence can hold: what was begun is lost."""
        self._stats.garbage_bytes += 1
        if self._inside:
            self._stats.half_lines += 1
            self._inside = False

    def _end(self) -> Sentence | None:
        if not self._inside:
            return None
        self._inside = False
        return self._check(self._line.decode("ascii").rstrip())

    def _check(self, line: str) -> Sentence | None:
        text, star, given = line.partition("*")
        if not star:
            if self._require_checksum and not text.startswith("$P"):
                self._stats.no_checksum += 1
                return None
        elif not re.fullmatch("[0-9A-Fa-f]{2}", given) or int(given, 16) != checksum(text[1:]):
            self._stats.checksum_errors += 1
            return None
        self._stats.sentences += 1
        return self._classify(text)

    def _classify(self, text: str) -> Sentence | None:
        address = text[1:].split(",", 1)[0]
        if address.startswith("P"):
            self._stats.proprietary += 1
            return None
        if not re.fullmatch("[A-Z]{2}[A-Z0-9]{3}", address):
            self._stats.malformed += 1
            return None
        return Sentence(self._started_us, address[:2], address[2:], text)


def checksum(body: str) -> int:
    """XOR of all characters between ``$`` and ``*``."""
    return reduce(xor, body.encode("ascii"), 0)


def seal(body: str) -> bytes:
    """A whole sentence of ``body`` (without ``$``), as a receiver writes it."""
    return f"${body}*{checksum(body):02X}\r\n".encode("ascii")
