"""Sizes and limits of a journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from outrider.errors import ConfigError
from outrider.model.record import Lane
from outrider.record.format import BLOCK, COMMIT_HEADER_BYTES, MAX_BODY_BYTES, RECORD_HEADER_BYTES

URGENT: Final = frozenset({Lane.EMERGENCY, Lane.LEDGER})
SHED_ORDER: Final = (Lane.BULK, Lane.TELEMETRY, Lane.EVENT)
MIN_SEGMENT_BYTES: Final = 4 * BLOCK
MARGIN_BYTES: Final = 64 * 1024  # of the device, left to others


@dataclass(frozen=True, slots=True)
class LaneOptions:
    """segment_bytes: size of a pre-written file, whole 4 KiB blocks. quota_bytes: the lane's own cap, None = none."""

    segment_bytes: int
    quota_bytes: int | None = None


def default_lanes() -> Mapping[Lane, LaneOptions]:
    small, large = LaneOptions(256 * 1024), LaneOptions(1024 * 1024)
    return {Lane.EMERGENCY: small, Lane.LEDGER: small, Lane.EVENT: small, Lane.TELEMETRY: large, Lane.BULK: large}


@dataclass(frozen=True, slots=True)
class JournalOptions:
    """quota_bytes: all lanes together; beyond it the oldest of bulk, then telemetry, then event goes.

    reserve_segments: pre-written files kept for emergency and ledger, for a full device. spare_segments: released files
    of one size kept for re-use. pending_bytes: what a low lane may hold uncommitted before it is shed.
    evidence_segments: pre-written bulk files kept for the evidence of a crash: so it is written without delay, and on a
    full device too.
    """

    lanes: Mapping[Lane, LaneOptions] = field(default_factory=default_lanes)
    quota_bytes: int = 1024 * 1024 * 1024
    reserve_segments: int = 4
    spare_segments: int = 2
    pending_bytes: int = 4 * 1024 * 1024
    evidence_segments: int = 0

    def __post_init__(self) -> None:
        for lane in Lane:
            size = self.lanes[lane].segment_bytes
            if size % BLOCK or size < MIN_SEGMENT_BYTES:
                raise ConfigError(f"segment of {lane.name}: {size} bytes; whole 4 KiB blocks, at least 4, are needed")

    @classmethod
    def sized(
        cls,
        *,
        telemetry_segment_bytes: int = 1024 * 1024,
        quota_bytes: int = 1024 * 1024 * 1024,
        evidence_reserve_bytes: int = 0,
        quotas: Mapping[Lane, int | None] | None = None,
    ) -> Self:
        """Telemetry and bulk segments of this size, the others a quarter of it (16 KiB to 256 KiB).

        evidence_reserve_bytes: room kept for evidence, in whole bulk segments. quotas: of single lanes, bytes; where
        none is given an eighth of the sum for events, a quarter for bulk, and the sum alone for telemetry.
        """
        large = LaneOptions(telemetry_segment_bytes // BLOCK * BLOCK)
        quarter = telemetry_segment_bytes // 4 // BLOCK * BLOCK
        small = LaneOptions(min(256 * 1024, max(MIN_SEGMENT_BYTES, quarter)))
        usual = {
            Lane.EVENT: max(quota_bytes // 8, 8 * small.segment_bytes),
            Lane.BULK: max(quota_bytes // 4, 2 * evidence_reserve_bytes, 4 * large.segment_bytes),
        }
        lanes = {
            lane: LaneOptions((small if lane <= Lane.EVENT else large).segment_bytes, own or usual.get(lane))
            for lane, own in ((lane, (quotas or {}).get(lane)) for lane in Lane)
        }
        ready = -(-evidence_reserve_bytes // large.segment_bytes)
        return cls(lanes=lanes, quota_bytes=quota_bytes, evidence_segments=ready)

    def max_body_bytes(self, lane: Lane) -> int:
        """The largest body this lane takes: one record must fit into a fresh segment."""
        room = self.lanes[lane].segment_bytes - BLOCK - COMMIT_HEADER_BYTES - RECORD_HEADER_BYTES
        return min(MAX_BODY_BYTES, room)
