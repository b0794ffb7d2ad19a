"""The one byte before every protobuf message, and compression with bounds.

::

    0x10 | message                 plain
    0x11 | zstd frame of message   without the 4 magic bytes: a stock decoder wants 28 B5 2F FD put in front

The high half of the byte is the format version (1). Compression is used where it pays. What comes from outside is
never expanded beyond the caller's limit.
"""

from __future__ import annotations

from typing import Final

import zstandard

from outrider.errors import WireError

MAX_MESSAGE_BYTES: Final = 1 << 20
PLAIN: Final = 0x10
ZSTD: Final = 0x11

_LEVEL: Final = 12
_MAGIC: Final = bytes.fromhex("28b52ffd")


def frame(message: bytes) -> bytes:
    """The payload for a message: the shorter of plain and compressed. The same bytes for the same library version."""
    packed = _compressor().compress(message) if len(message) > 32 else message
    if len(packed) < len(message):
        return bytes((ZSTD,)) + packed
    return bytes((PLAIN,)) + message


def unframe(payload: bytes, max_bytes: int = MAX_MESSAGE_BYTES) -> bytes:
    """The message in a payload. WireError when empty, of another version, damaged, or larger than max_bytes."""
    if not payload:
        raise WireError("empty payload")
    tag, rest = payload[0], payload[1:]
    if tag == PLAIN:
        message = rest
    elif tag == ZSTD:
        message = _expand(rest, max_bytes)
    else:
        raise WireError(f"payload starts with {tag:#04x}: not a format this version reads")
    if len(message) > max_bytes:
        raise WireError(f"message is larger than {max_bytes} bytes")
    return message


def _compressor() -> zstandard.ZstdCompressor:
    parameters = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL,
        format=zstandard.FORMAT_ZSTD1_MAGICLESS,
        write_content_size=False,
        write_checksum=False,
        write_dict_id=False,
    )
    return zstandard.ZstdCompressor(compression_params=parameters)


def _expand(data: bytes, max_bytes: int) -> bytes:
    """The content of the frame; no more than max_bytes are ever allocated for it."""
    context = zstandard.ZstdDecompressor(format=zstandard.FORMAT_ZSTD1_MAGICLESS)
    try:
        declared = zstandard.frame_content_size(_MAGIC + data)
        if declared > max_bytes:
            raise WireError(f"message is larger than {max_bytes} bytes")
        return context.decompress(data, max_output_size=max_bytes)
    except zstandard.ZstdError as err:
        raise WireError(f"payload does not decompress into {max_bytes} bytes: {err}") from None
