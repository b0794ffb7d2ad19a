"""A python-can message into the layout of the engine."""

from __future__ import annotations

import can
import pytest

from outrider.model.frame import BRS, EFF, ERR, ESI, FD, FRAME, RTR, TX
from outrider.sources.packing import pack_message


def unpacked(message: can.Message) -> tuple[int, int, int, int, bytes]:
    """identifier, bus, flags, length, data (zero padded)"""
    frame = pack_message(message, 77, 3)
    assert frame is not None
    t_us, can_id, bus, flags, size, reserved, data = FRAME.unpack(frame)
    assert (t_us, reserved) == (77, 0)
    return can_id, bus, flags, size, data


@pytest.mark.parametrize(
    ("message", "flags", "size"),
    [
        (can.Message(arbitration_id=0x123, is_extended_id=False, data=b"abc"), 0, 3),
        (can.Message(arbitration_id=0x123, is_extended_id=True, data=b""), EFF, 0),
        (can.Message(arbitration_id=0x1FFFFFFF, data=b"12345678", is_rx=False), EFF | TX, 8),
        (can.Message(arbitration_id=1, is_extended_id=False, is_remote_frame=True, dlc=5), RTR, 5),
        (can.Message(arbitration_id=0x40, is_extended_id=False, is_error_frame=True, dlc=8, data=bytes(8)), ERR, 8),
        (can.Message(arbitration_id=1, is_extended_id=False, is_fd=True, data=bytes(64)), FD, 64),
        (
            can.Message(
                arbitration_id=1, is_fd=True, bitrate_switch=True, error_state_indicator=True, data=b"12", dlc=2
            ),
            EFF | FD | BRS | ESI,
            2,
        ),
    ],
    ids=["classic", "extended", "echo", "remote", "error", "fd", "fd-flags"],
)
def test_every_kind_of_frame(message: can.Message, flags: int, size: int) -> None:
    """Flags, length and data arrive as they are."""
    assert unpacked(message) == (
        message.arbitration_id,
        3,
        flags,
        size,
        bytes(message.data).ljust(64, b"\0"),
    )


def test_what_a_log_format_cannot_say_is_inferred() -> None:
    """More than 8 bytes are FD; an identifier over 11 bits is extended."""
    assert unpacked(can.Message(arbitration_id=0x800, is_extended_id=False, data=bytes(12)))[2] == EFF | FD


@pytest.mark.parametrize(
    "message",
    [
        can.Message(arbitration_id=0x20000000),
        can.Message(arbitration_id=-1),
        can.Message(arbitration_id=1, data=bytes(65)),
        can.Message(arbitration_id=1, is_remote_frame=True, dlc=-1),
    ],
    ids=["id", "negative", "long", "remote"],
)
def test_what_is_no_can_frame_is_refused(message: can.Message) -> None:
    """None, never an exception: the caller counts it."""
    assert pack_message(message, 1, 0) is None


def test_an_absurd_time_is_refused() -> None:
    """A stamp that does not fit is not wrapped around."""
    assert pack_message(can.Message(arbitration_id=1), 2**63, 0) is None
