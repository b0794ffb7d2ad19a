"""Payloads once written are read for ever, by our reader and by one written from the documentation alone."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from outrider.model.record import Kind
from outrider.wire.ack import verify_ack
from outrider.wire.beacon import decode_beacon, encode_beacon
from outrider.wire.birth import decode_birth
from outrider.wire.bodies import Opaque, decode_body, encode_body, table_id
from outrider.wire.codec import decode_batch
from outrider.wire.describe import describe

FOLDER = Path(__file__).parent


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"golden_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cases(kind: str) -> list[Any]:
    found = [(p.stem, json.loads(p.read_text(encoding="utf-8"))) for p in sorted(FOLDER.glob("*.json"))]
    return [pytest.param(case, id=name) for name, case in found if case["type"] == kind]


@pytest.mark.parametrize("case", cases("batch"))
def test_batches_decode_to_the_very_bytes(case: dict[str, Any]) -> None:
    """Canonical bytes of each record, as they were when the vector was made."""
    batch = decode_batch(bytes.fromhex(case["payload"]))
    assert (batch.device, batch.behind) == (case["device"], case.get("behind", 0))
    assert [r.canonical().hex() for r in batch.records] == case["canonical"]


@pytest.mark.parametrize("case", cases("batch"))
def test_the_documentation_is_enough_to_read_batches(case: dict[str, Any]) -> None:
    """reader.py shares no code with outrider and gets the same bytes."""
    device, canonical = load("reader").read_batch(bytes.fromhex(case["payload"]))
    assert device == case["device"]
    assert [c.hex() for c in canonical] == case["canonical"]


@pytest.mark.parametrize("case", cases("body"))
def test_bodies_mean_the_same(case: dict[str, Any]) -> None:
    """The description holds every field; encoding the object again gives the same bytes."""
    kind, body = Kind(case["kind"]), bytes.fromhex(case["payload"])
    obj = decode_body(kind, body)
    assert not isinstance(obj, Opaque)
    assert encode_body(obj) == body
    described = describe(kind, body)
    assert {key: described[key] for key in case["described"]} == case["described"]


@pytest.mark.parametrize("case", cases("ack"))
def test_acknowledgements_verify(case: dict[str, Any]) -> None:
    """With the key of the vector."""
    ack = verify_ack(bytes.fromhex(case["payload"]), bytes.fromhex(case["key"]), case["device"])
    assert ack.counter == case["counter"]
    assert [[f"{p.epoch:016x}", int(p.lane), p.up_to_seq] for p in ack.positions] == case["positions"]


@pytest.mark.parametrize("case", cases("birth"))
def test_births_and_wills_decode(case: dict[str, Any]) -> None:
    """With their signal table."""
    birth = decode_birth(bytes.fromhex(case["payload"]))
    assert (birth.device, birth.software, birth.online) == (case["device"], case["software"], case["online"])
    assert (f"{birth.session_id:016x}", f"{birth.epoch:016x}") == (case["session_id"], case["epoch"])
    assert birth.boot_id == case["boot_id"]
    assert birth.table is not None
    assert f"{table_id(birth.table):08x}" == case["table_id"]


@pytest.mark.parametrize("case", cases("beacon"))
def test_beacons_decode(case: dict[str, Any]) -> None:
    """To the fields of the vector, by our reader and by the one written from the page; and back to the same bytes."""
    payload = bytes.fromhex(case["payload"])
    assert asdict(decode_beacon(payload)) == case["fields"]
    assert load("reader").read_beacon(payload) == case["fields"]
    assert encode_beacon(decode_beacon(payload)) == payload


def test_every_case_of_make_has_its_file_and_none_is_overwritten() -> None:
    """A case added to make.py is committed with its vector; a vector that exists is never touched."""
    make = load("make")
    before = {path.name: path.read_bytes() for path in FOLDER.glob("*.json")}
    assert {f"{name}.json" for name in make.cases()} <= set(before), "run tests/golden/make.py and commit what it wrote"
    make.main()
    assert {path.name: path.read_bytes() for path in FOLDER.glob("*.json")} == before
    assert all(cases(kind) for kind in ("batch", "body", "ack", "birth", "beacon"))
