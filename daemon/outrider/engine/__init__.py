"""The native engine: the one package that imports the extension ``outrider._native``.

It packs tables, hands batches across the border and turns what comes back into ``model`` objects. No policy lives
here; what the engine does is documented in ``native/include/outrider/*.h`` and docs/reference/native.md.
"""

from outrider.engine.candump import Candump, CandumpParser, parse_candump
from outrider.engine.capture_io import ERROR_CLASSES, BusStats, Capture, CaptureEnd, CaptureOptions, disconnect
from outrider.engine.decode import Decoded, Decoder
from outrider.engine.detector import (
    SAMPLE_SIZE,
    MotionDetector,
    Pulse,
    crash_bias,
    crash_weights,
    default_thresholds,
    detector_bytes,
    reference_loop,
)
from outrider.engine.engine import ALGORITHM, Engine
from outrider.engine.evidence import EvidenceState, SignalRecord, signal_records
from outrider.engine.native import crc32c
from outrider.engine.options import EngineOptions, Mount
from outrider.engine.page import BlackBox, Moment, parse_black_box
from outrider.engine.player_io import Player, PlayStats, ensure_virtual, open_can, open_unix
from outrider.engine.stats import DecodeStats, EngineStats, MotionStats
from outrider.engine.tables import pack_tables

__all__ = [
    "ALGORITHM",
    "ERROR_CLASSES",
    "SAMPLE_SIZE",
    "BlackBox",
    "BusStats",
    "Candump",
    "CandumpParser",
    "Capture",
    "CaptureEnd",
    "CaptureOptions",
    "DecodeStats",
    "Decoded",
    "Decoder",
    "Engine",
    "EngineOptions",
    "EngineStats",
    "EvidenceState",
    "Moment",
    "MotionDetector",
    "MotionStats",
    "Mount",
    "PlayStats",
    "Player",
    "Pulse",
    "SignalRecord",
    "crash_bias",
    "crash_weights",
    "crc32c",
    "default_thresholds",
    "detector_bytes",
    "disconnect",
    "ensure_virtual",
    "open_can",
    "open_unix",
    "pack_tables",
    "parse_black_box",
    "parse_candump",
    "reference_loop",
    "signal_records",
]
