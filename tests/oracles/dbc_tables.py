"""Cantools databases as ``VehicleTables``, independent of the profile package; and where the DBC corpus comes from.

The corpus is the ``opendbc`` wheel (MIT), fetched once into ``$OUTRIDER_CACHE`` (default ``~/.cache/outrider``) and
read as data, since the package itself does not install on every Python.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from outrider.model.vehicle import BitField, Condition, Encoding, MessageDef, SignalDef, Slot, VehicleTables

WHEEL = "opendbc==0.3.1"


def corpus(*, download: bool = True) -> Path | None:
    """Folder that holds the DBC files; None when the wheel is neither cached nor to be had."""
    cache = Path(os.environ.get("OUTRIDER_CACHE", "~/.cache/outrider")).expanduser()
    target = cache / "opendbc-0.3.1" / "opendbc" / "dbc"
    if target.is_dir():
        return target
    wheels = sorted(cache.glob("opendbc-0.3.1-*.whl"))
    if not wheels and download:
        cache.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*command, "-d", str(cache), WHEEL], check=False, capture_output=True, timeout=120)
        wheels = sorted(cache.glob("opendbc-0.3.1-*.whl"))
    if not wheels:
        return None
    with zipfile.ZipFile(wheels[0]) as wheel:
        names = [name for name in wheel.namelist() if name.startswith("opendbc/dbc/") and name.endswith(".dbc")]
        wheel.extractall(cache / "opendbc-0.3.1", names)
    return target


def tables_from_cantools(db: Any) -> tuple[VehicleTables, list[str]]:
    """Tables with one slot per signal, and the slot names ("MESSAGE.SIGNAL")."""
    names: list[str] = []
    messages = []
    for message in db.messages:
        signals = []
        for signal in message.signals:
            names.append(f"{message.name}.{signal.name}")
            signals.append(_signal(message, signal, len(names) - 1))
        messages.append(
            MessageDef(message.name, message.frame_id, message.is_extended_frame, message.length, tuple(signals))
        )
    return VehicleTables("cantools", tuple(messages), tuple(Slot(name) for name in names)), names


def _signal(message: Any, signal: Any, slot: int) -> SignalDef:
    encoding = Encoding.INT if signal.is_signed else Encoding.UINT
    if signal.is_float:
        encoding = Encoding.FLOAT32 if signal.length == 32 else Encoding.FLOAT64
    conversion = signal.conversion
    return SignalDef(
        f"{message.name}.{signal.name}",
        slot,
        field_of(signal),
        encoding,
        float(conversion.scale),
        float(conversion.offset),
        conditions=_conditions(message, signal),
    )


def field_of(signal: Any) -> BitField:
    return BitField(signal.start, signal.length, signal.byte_order == "big_endian")


def _conditions(message: Any, signal: Any) -> tuple[Condition, ...]:
    """The whole chain of multiplexers above a signal."""
    found: list[Condition] = []
    while signal.multiplexer_signal is not None:
        above = message.get_signal_by_name(signal.multiplexer_signal)
        found.insert(0, Condition(field_of(above), tuple((i, i) for i in sorted(signal.multiplexer_ids))))
        signal = above
    return tuple(found)
