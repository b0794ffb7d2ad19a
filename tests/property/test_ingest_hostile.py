"""Whatever arrives on whatever topic: a letter with a reason or content that can be stored; never an exception, never
another device's data."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.ingest.core import BeaconFrom, DeadLetter, read_message
from outrider.ingest.sinks.proof import Verdict, prove
from outrider.ingest.sinks.store_io import Store
from outrider.wire.birth import Birth
from outrider.wire.codec import Batch

GOLDEN = Path(__file__).parents[1] / "golden"
VECTORS = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(GOLDEN.glob("*.json"))]
PAYLOADS = [bytes.fromhex(case["payload"]) for case in VECTORS if len(case["payload"]) < 10_000]

flips = st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(1, 255)), max_size=3)
cuts = st.one_of(st.none(), st.integers(0, 1 << 20))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A golden payload with some bytes changed, and perhaps cut off."""
    payload = bytearray(draw(st.sampled_from(PAYLOADS)))
    for place, change in draw(flips):
        payload[place % len(payload)] ^= change
    cut = draw(cuts)
    return bytes(payload if cut is None else payload[: cut % len(payload)])


topics = st.one_of(
    st.sampled_from([f"t/veh-000123/{leaf}" for leaf in "desbax"] + ["t/other/d", "t/other/s", "t//d", "t/a/b/c", ""]),
    st.text(max_size=30),
)


@settings(max_examples=60)
@given(messages=st.lists(st.tuples(topics, st.one_of(damaged(), st.binary(max_size=60))), max_size=6))
def test_damaged_and_foreign_messages_do_no_harm(messages: list[tuple[str, bytes]]) -> None:
    """Only the topic's device is written to, each letter has its reason, and the gap proof finds no loss."""
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "r.db") as store:
        named = set()
        for topic, payload in messages:
            content = read_message(topic, payload, max_bytes=1 << 20)
            store.reserve([content])
            store.mark()
            match content:
                case DeadLetter(reason):
                    assert reason
                    store.dead_letter(topic, reason, payload, 5)
                case Batch():
                    store.accept(content, 5)
                    named.add(topic.split("/")[1])
                case Birth():
                    store.accept_birth(content, 5)
                    named.add(topic.split("/")[1])
                case _:
                    assert isinstance(content, BeaconFrom)
        store.commit()
        assert {told["device"] for told in store.device_names()} == named
        for device in named:
            for proof in prove(store.runs(device), store.gaps(device), store.positions(device)):
                assert proof.verdict != Verdict.LOST
