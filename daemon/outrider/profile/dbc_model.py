"""A DBC file after loading: messages, signals, multiplexing, value texts. Data only, checked by the loader."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from outrider.model.vehicle import BitField, Encoding
from outrider.profile.anomaly import Anomaly


@dataclass(frozen=True, slots=True)
class MuxSelector:
    """The signal is in the frame only while ``switch`` (a signal of the same message) has a raw value in ``ranges``.

    ranges: inclusive pairs of unsigned raw values, sorted, not overlapping.
    """

    switch: str
    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class DbcSignal:
    """One ``SG_``. physical = raw * factor + offset in ``unit``.

    minimum/maximum: as written, None when the file says [0|0] (no limits). choices: (raw value, text) pairs.
    spn, cycle and start values come from attributes; None = not given. line: 1-based, of the SG_.
    """

    name: str
    field: BitField
    encoding: Encoding
    factor: float
    offset: float
    minimum: float | None
    maximum: float | None
    unit: str
    receivers: tuple[str, ...] = ()
    comment: str = ""
    choices: tuple[tuple[int, str], ...] = ()
    is_switch: bool = False
    mux: MuxSelector | None = None
    spn: int | None = None
    start_value: float | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class DbcMessage:
    """One ``BO_``. frame_id: 11 or 29 bits without flag bits; length in bytes, 0..64 (J1939 transport: up to 1785).

    cycle_ms: GenMsgCycleTime, None when not given or 0.
    """

    name: str
    frame_id: int
    extended: bool
    length: int
    signals: tuple[DbcSignal, ...]
    sender: str = ""
    comment: str = ""
    cycle_ms: int | None = None
    j1939: bool = False
    line: int = 0

    def signal(self, name: str) -> DbcSignal | None:
        return next((s for s in self.signals if s.name == name), None)


@dataclass(frozen=True, slots=True)
class Dbc:
    """All of one file. ``encoding`` is the text encoding it was read with."""

    file: str
    version: str
    nodes: tuple[str, ...]
    messages: tuple[DbcMessage, ...]
    anomalies: tuple[Anomaly, ...]
    encoding: str = "utf-8"

    def message(self, name: str) -> DbcMessage | None:
        return next((m for m in self.messages if m.name == name), None)

    def find_signal(self, name: str) -> Iterator[tuple[DbcMessage, DbcSignal]]:
        """Every message that has a signal of this name, in file order."""
        for message in self.messages:
            signal = message.signal(name)
            if signal is not None:
                yield message, signal
