"""Decode against cantools on real databases."""

from __future__ import annotations

import contextlib
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from outrider.engine import Decoder
from outrider.model.frame import EFF, FD, FrameBatch

sys.path.insert(0, str(Path(__file__).parents[1] / "oracles"))
from dbc_tables import corpus, tables_from_cantools

cantools = pytest.importorskip("cantools")
FOLDER = corpus()
FILES = sorted(FOLDER.glob("*.dbc")) if FOLDER else []
FRAMES_PER_MESSAGE = 4


def load(path: Path) -> Any:
    try:
        return cantools.database.load_file(path, strict=False)
    except (cantools.database.Error, ValueError, KeyError) as err:
        pytest.skip(f"cantools itself refuses {path.name}: {str(err).splitlines()[0]}")


@pytest.mark.skipif(not FILES, reason="no DBC corpus: pip download opendbc==0.3.1 into ~/.cache/outrider")
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_values_equal_cantools(path: Path) -> None:
    """On every DBC that cantools reads, every value of random frames equals float(cantools)."""
    db = load(path)
    tables, names = tables_from_cantools(db)
    rng = random.Random(path.stem)
    batch, expected = FrameBatch(), []
    last = {(m.frame_id, m.is_extended_frame): m for m in db.messages}
    for message in last.values():
        for _ in range(FRAMES_PER_MESSAGE):
            data = rng.randbytes(message.length)
            expected.append(_reference(message, data))
            flags = (EFF if message.is_extended_frame else 0) | (FD if len(data) > 8 else 0)
            batch.append(0, message.frame_id, data, flags)
    got: list[dict[str, float]] = [{} for _ in expected]
    decoded = Decoder(tables).decode(batch)
    for frame, slot, value in zip(decoded.frame_index, decoded.slots, decoded.values, strict=True):
        got[frame][names[slot]] = value
    compared = 0
    for reference, ours in zip(expected, got, strict=True):
        if reference is None:
            continue
        assert {name: ours.get(name) for name in reference} == reference
        compared += len(reference)
    assert compared > 0 or not db.messages


def _reference(message: Any, data: bytes) -> dict[str, float] | None:
    """Physical values by cantools; None where it cannot decode the frame at all. NaN floats are left out."""
    with contextlib.suppress(cantools.database.DecodeError):
        values = message.decode(data, decode_choices=False)
        exact = {s.name for s in message.signals if s.is_float or s.length <= 53}
        return {
            f"{message.name}.{name}": float(value)
            for name, value in values.items()
            if name in exact and float(value) - float(value) == 0
        }
    return None
