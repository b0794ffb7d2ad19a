"""The DBC loader over whole model spaces: round trips, damaged real files, and values against cantools."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outrider.engine import Decoder
from outrider.errors import ProfileError
from outrider.model.frame import EFF, FrameBatch
from outrider.profile.compile import compile_dbc
from outrider.profile.dbc_loader import load_dbc
from outrider.profile.dbc_model import Dbc, DbcMessage
from tests.oracles.dbc_text import databases, write
from tests.support.opendbc import dbc_files, loaded

COMPARED = ("vw_mqb", "ford_lincoln_base_pt", "vw_pq", "tesla_powertrain", "hyundai_2015_ccan", "gm_global_a_object")


def _plain(message: DbcMessage) -> DbcMessage:
    return replace(message, line=0, signals=tuple(replace(s, line=0) for s in message.signals))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(databases(), st.sampled_from(["\n", "\r\n"]))
def test_what_is_written_is_read_back(found: tuple[DbcMessage, ...], newline: str) -> None:
    """Any model survives its way through a DBC text, without a complaint."""
    dbc = load_dbc(write(found, newline).encode(), "x.dbc")
    assert tuple(_plain(m) for m in dbc.messages) == found
    assert [str(a) for a in dbc.anomalies if a.code != "name-digit"] == []


def _load_or_refuse(data: bytes) -> Dbc | None:
    """Any other exception than ProfileError fails the test."""
    try:
        return load_dbc(data, "damaged.dbc")
    except ProfileError:
        return None


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_load_or_are_refused(data: bytes) -> None:
    """Also behind a valid beginning, no bytes at all make the loader fail in another way."""
    _load_or_refuse(data)
    dbc = _load_or_refuse(b'BO_ 1 A: 8 X\n SG_ s : 0|8@1+ (1,0) [0|0] "" X\n' + data)
    assert dbc is None or dbc.messages


TOKENS = ["BO_", "SG_", "1", "A", ":", "8", "X", "0|8@1+", "(1,0)", "[0|0]", '"', '""', "\n", ";", "CM_", "VAL_", "M",
          "m1", "SG_MUL_VAL_", "0-1", "BA_", "BA_DEF_", "ENUM", "NS_", "VAL_TABLE_", "SIG_VALTYPE_", "\\",
          "99999999999999999999999", "1e999", "BU_:", "VERSION", "é", "\x00"]  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=60))
def test_any_order_of_words_loads_or_is_refused(words: list[str]) -> None:
    """Grammar thrown together at random: anomalies or one error, never a traceback."""
    _load_or_refuse(" ".join(["BO_ 1 A: 8 X\n", *words]).encode())


def _damage(data: bytes, rng: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(rng.randint(1, 12)):
        at = rng.randrange(len(out))
        match rng.randrange(5):
            case 0:
                del out[at:]
                out += b"\n"
            case 1:
                del out[at : at + rng.randint(1, 200)]
            case 2:
                out[at : at + 1] = rng.randbytes(rng.randint(1, 4))
            case 3:
                out[at:at] = rng.choice([b'"', b"\n", b";", b"SG_ ", b"\x00", b"999999999999", b"BO_ ", b":"])
            case _:
                other = rng.randrange(len(out))
                out[at:at] = out[other : other + 300]
        if len(out) < 2:
            break
    return bytes(out)


@pytest.mark.parametrize("seed", range(40))
def test_damaged_real_files_never_end_in_a_traceback(seed: int) -> None:
    """Cut, mixed and stained copies of real files load with anomalies or are refused."""
    rng = random.Random(seed)
    path: Path = rng.choice([p for p in dbc_files() if p.stat().st_size < 120_000])
    dbc = _load_or_refuse(_damage(path.read_bytes(), rng))
    if dbc is not None:
        compile_dbc(dbc)


EVIL = [
    '"' * 50_000,
    '"\\' * 50_000,
    "SG_ " * 50_000,
    "1" * 200_000,
    "0 " * 100_000,
    "m" * 200_000,
    "VAL_ 1 s " + '1 "x" ' * 50_000,
    "\n" * 200_000,
    "(" * 100_000,
    "SG_MUL_VAL_ 1 s s " + "0-1," * 50_000,
    "".join(f' SG_ s{i} m{i}M : 0|8@1+ (1,0) [0|0] "" X\n' for i in range(3000)),
    "".join(f' SG_ s{i} m0M : 0|8@1+ (1,0) [0|0] "" X\nSG_MUL_VAL_ 1 s{i} s{i + 1} 0-0;\n' for i in range(2000)),
]


@pytest.mark.parametrize("evil", EVIL, ids=range(len(EVIL)))
def test_hostile_text_takes_linear_time(evil: str) -> None:
    """Text made to hurt parsers is done with at once: with backtracking, the time limit of the suite would strike."""
    _load_or_refuse(('BO_ 1 A: 8 X\n SG_ s : 0|8@1+ (1,0) [0|0] "" X\n' + evil).encode())


@pytest.mark.parametrize("name", COMPARED)
def test_decoded_values_equal_those_of_cantools(name: str) -> None:
    """compile_dbc in the native engine against cantools, random frames, every signal with up to 53 bits exactly."""
    import cantools

    path = next(p for p in dbc_files() if p.stem == name)
    tables = compile_dbc(loaded(path))
    decoder = Decoder(tables)
    try:
        database = cantools.database.load_file(path, strict=False, encoding="utf-8")
    except (cantools.database.UnsupportedDatabaseFormatError, UnicodeDecodeError):
        pytest.skip(f"cantools does not read {name}")
    rng = random.Random(name)
    compared = 0
    for message in database.messages:
        if message.length > 8 or not message.signals:
            continue
        for _ in range(3):
            data = rng.randbytes(max(message.length, 8))
            batch = FrameBatch()
            batch.append(0, message.frame_id, data, EFF if message.is_extended_frame else 0)
            decoded = decoder.decode(batch)
            mine = {tables.slots[s].path: v for s, v in zip(decoded.slots, decoded.values, strict=True)}
            try:
                theirs = message.decode(data[: message.length], decode_choices=False, allow_truncated=True)
            except cantools.database.DecodeError:
                continue  # a multiplexer value it has no signals for
            widths = {s.name: s.length for s in message.signals}
            for signal, value in theirs.items():
                if widths[signal] <= 53:
                    assert mine[f"{message.name}.{signal}"] == pytest.approx(float(value), rel=1e-15), (
                        message.name,
                        signal,
                    )
                    compared += 1
    assert compared > 100


def test_every_file_of_the_corpus_compiles_into_native_tables() -> None:
    """The engine takes the tables of all 58 files: nothing the loader keeps is beyond it."""
    for path in dbc_files():
        tables = compile_dbc(loaded(path))
        assert len(Decoder(tables).decode(FrameBatch())) == 0
        assert tables.slots
