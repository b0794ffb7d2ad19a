"""Sizes of a journal."""

from __future__ import annotations

import pytest

from outrider.errors import ConfigError
from outrider.model.evidence import MAX_CHUNK_BYTES
from outrider.model.record import Lane
from outrider.record.format import MAX_BODY_BYTES
from outrider.record.journal import JournalOptions
from outrider.record.options import LaneOptions, default_lanes


@pytest.mark.parametrize(
    ("kib", "large", "small"), [(16, 16, 16), (64, 64, 16), (1024, 1024, 256), (65536, 65536, 256)]
)
def test_sizes_follow_the_configuration(kib: int, large: int, small: int) -> None:
    """Telemetry and bulk get the size asked for, the others a quarter within 16 to 256 KiB."""
    options = JournalOptions.sized(telemetry_segment_bytes=kib * 1024, quota_bytes=1 << 22)
    sizes = [options.lanes[lane].segment_bytes // 1024 for lane in Lane]
    assert sizes == [small, small, small, large, large]
    assert options.quota_bytes == 1 << 22


@pytest.mark.parametrize("kib", [16, 1024])
def test_a_chunk_of_evidence_fits_everywhere(kib: int) -> None:
    """The largest body the pipeline makes goes into the smallest segments; a record never exceeds 64 KiB."""
    options = JournalOptions.sized(telemetry_segment_bytes=kib * 1024)
    for lane in Lane:
        assert MAX_CHUNK_BYTES + 256 <= options.max_body_bytes(lane) <= MAX_BODY_BYTES


@pytest.mark.parametrize("size", [0, 4096, 5000, 16385])
def test_an_impossible_segment_is_a_configuration_error(size: int) -> None:
    """Named with its lane."""
    with pytest.raises(ConfigError, match="segment of BULK"):
        JournalOptions(lanes=dict(default_lanes()) | {Lane.BULK: LaneOptions(size)})
