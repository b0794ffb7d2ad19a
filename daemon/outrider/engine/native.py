"""The border: the extension, its errors, and CRC-32C."""

from __future__ import annotations

from typing import Any, Final

from outrider._native import ffi as _ffi
from outrider._native import lib as _lib
from outrider.errors import EngineError

ffi: Final[Any] = _ffi
lib: Final[Any] = _lib

_MEANING: Final = {
    lib.OTR_ERR_INVAL: "an argument is out of range",
    lib.OTR_ERR_NOMEM: "the memory handed over is too small",
    lib.OTR_ERR_FULL: "a queue is full",
    lib.OTR_ERR_TRUNC: "the input ends in the middle of an item",
    lib.OTR_ERR_FORMAT: "the input has another format or version",
    lib.OTR_ERR_CORRUPT: "a checksum does not match",
    lib.OTR_ERR_TIME: "time went back too far",
    lib.OTR_ERR_STATE: "the call is not allowed in this state",
}


def check(result: int, what: str = "native call") -> int:
    """The result of a native call, or EngineError when it is a negative code."""
    if result < 0:
        raise EngineError(f"{what}: {_MEANING.get(result, 'unknown error')} (code {result})", result)
    return result


def aligned(size: int) -> tuple[Any, Any]:
    """(owner, pointer): zeroed memory of ``size`` bytes at a multiple of 16; keep the owner alive."""
    owner = ffi.new("uint8_t[]", size + 15)
    offset = -int(ffi.cast("uintptr_t", owner)) % 16
    return owner, owner + offset


def crc32c(data: bytes | bytearray | memoryview, seed: int = 0) -> int:
    """CRC-32C (Castagnoli) of ``data``; ``seed`` is the CRC of what came before it."""
    view = ffi.from_buffer(data)
    return int(lib.otr_crc32c(seed, view, len(view)))
