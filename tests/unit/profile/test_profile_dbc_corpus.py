"""The DBC files of the opendbc wheel: all load, and what cantools accepts is read exactly as cantools reads it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from outrider.model.vehicle import Encoding
from outrider.profile.dbc_model import DbcSignal
from tests.support.opendbc import dbc_files, loaded

FILES = 58
# Files cantools refuses even when told not to be strict (45.1); each holds the quirk named.
QUIRKS = {
    "chrysler_cusw": "extended-bit-missing",
    "fca_giorgio": "extended-bit-missing",
    "gm_global_a_lowspeed": "extended-bit-missing",
    "hyundai_kia_generic": "syntax",
    "mazda_2017": "name-digit",
    "psa_aee2010_r3": "name-digit",
    "rivian_primary_actuator": "unknown-target",
    "tesla_can": "unknown-target",
    "toyota_2017_ref_pt": "extended-bit-missing",
    "toyota_radar_dsu_tssp": "missing-semicolon",
    "vw_meb": "extended-bit-missing",
    "vw_mqbevo": "extended-bit-missing",
}


def test_all_files_load_with_nearly_all_their_signals() -> None:
    """58 of 58 load; what is missing against the lines of the file is exactly what the anomalies say was dropped."""
    files = dbc_files()
    assert len(files) == FILES
    for path in files:
        dbc = loaded(path)
        parked = _signals_without_frame(path)
        lines = sum(line.lstrip().startswith("SG_ ") for line in path.read_text(errors="replace").splitlines())
        dropped = sum(a.action.startswith("dropped") or "first one kept" in a.action for a in dbc.anomalies)
        kept = sum(len(m.signals) for m in dbc.messages)
        assert lines - parked - kept <= dropped, path.name
        assert all(a.file == path.name and a.line > 0 and a.found and a.action for a in dbc.anomalies)


def _signals_without_frame(path: Path) -> int:
    block = path.read_text(errors="replace").partition("VECTOR__INDEPENDENT_SIG_MSG")[2]
    count = 0
    for line in block.splitlines()[1:]:
        if not line.lstrip().startswith("SG_ "):
            break
        count += 1
    return count


@pytest.mark.parametrize("name", sorted(QUIRKS))
def test_files_cantools_refuses_are_explained(name: str) -> None:
    """The fault for which others refuse a file is among the anomalies, with its line."""
    path = next(p for p in dbc_files() if p.stem == name)
    assert QUIRKS[name] in {a.code for a in loaded(path).anomalies}


def _cantools(path: Path) -> Any:
    import cantools

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return cantools.database.load_file(path, strict=False, sort_signals=None, encoding="utf-8")
        except UnicodeDecodeError:
            return None
        except cantools.database.UnsupportedDatabaseFormatError:
            return None


def _theirs(signal: Any) -> tuple[Any, ...]:
    encoding = Encoding.INT if signal.is_signed else Encoding.UINT
    if signal.is_float:
        encoding = Encoding.FLOAT32 if signal.length == 32 else Encoding.FLOAT64
    choices = {int(k): str(v) for k, v in (signal.choices or {}).items()}
    limits = (signal.minimum, signal.maximum)
    mux = None
    if signal.multiplexer_signal is not None and signal.multiplexer_ids is not None:
        mux = (signal.multiplexer_signal, sorted(signal.multiplexer_ids))
    return (
        (signal.start, signal.length, signal.byte_order == "big_endian", encoding),
        (float(signal.scale), float(signal.offset), signal.unit or ""),
        (None, None) if limits in ((0, 0), (None, None)) else tuple(map(float, limits)),
        choices,
        signal.is_multiplexer,
        mux,
        signal.comment or "",
    )


def _mine(signal: DbcSignal) -> tuple[Any, ...]:
    mux = None
    if signal.mux is not None:
        mux = (signal.mux.switch, [v for low, high in signal.mux.ranges for v in range(low, high + 1)])
    field = signal.field
    return (
        (field.start, field.length, field.big_endian, signal.encoding),
        (signal.factor, signal.offset, signal.unit),
        (signal.minimum, signal.maximum),
        dict(signal.choices),
        signal.is_switch,
        mux,
        signal.comment,
    )


@pytest.mark.slow
def test_the_rest_is_read_exactly_as_cantools_reads_it() -> None:
    """Same messages, bits, factors, units, limits, value texts, switches and comments in every file cantools takes."""
    compared = 0
    for path in dbc_files():
        database = _cantools(path)
        if database is None:
            continue
        dbc = loaded(path)
        assert [(m.name, m.frame_id, m.is_extended_frame, m.length) for m in database.messages] == [
            (m.name, m.frame_id, m.extended, m.length) for m in dbc.messages
        ], path.name
        for theirs, mine in zip(database.messages, dbc.messages, strict=True):
            assert [s.name for s in theirs.signals] == [s.name for s in mine.signals], f"{path.name}: {mine.name}"
            for one, two in zip(theirs.signals, mine.signals, strict=True):
                assert _theirs(one) == _mine(two), f"{path.name}: {mine.name}.{two.name}"
                compared += 1
    assert compared > 20_000
