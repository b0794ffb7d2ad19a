"""Cutting evidence into records."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from outrider.app.evidence import chunks
from outrider.engine import Evidence
from outrider.model.evidence import MAX_CHUNK_BYTES, EvidencePart

BYTES = st.builds(lambda n, b: bytes([b]) * n, st.integers(0, 3 * MAX_CHUNK_BYTES), st.integers(0, 255))


@given(BYTES, BYTES, BYTES)
def test_the_pieces_put_together_are_the_part(frames: bytes, imu: bytes, signals: bytes) -> None:
    """Nothing is lost, no piece is larger than may travel, and each knows its place."""
    evidence = Evidence(7, 5, frames, imu, signals, ((1, 2), (3, 4), (5, 6)))
    pieces = list(chunks(evidence))
    for part, data in ((EvidencePart.FRAMES, frames), (EvidencePart.IMU, imu), (EvidencePart.SIGNALS, signals)):
        mine = [p for p in pieces if p.part is part]
        assert b"".join(p.data for p in mine) == data
        assert [p.index for p in mine] == list(range(len(mine)))
        assert all(p.count == len(mine) and p.event_seq == 7 and 0 < len(p.data) <= MAX_CHUNK_BYTES for p in mine)
