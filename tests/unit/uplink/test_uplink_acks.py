"""Acknowledgements are believed only when signed and new."""

from __future__ import annotations

import pytest

from outrider.errors import WireError
from outrider.uplink.acks import AckReader, ReplayedError
from outrider.wire.ack import Ack, sign_ack

KEY = b"k" * 32


def test_old_counters_are_refused_until_forgotten() -> None:
    """A replay is refused; after a new connection the counter starts afresh."""
    reader = AckReader("car", KEY)
    payload = sign_ack(Ack("car", 5, ()), KEY)
    assert reader.read(payload).counter == 5
    with pytest.raises(ReplayedError):
        reader.read(payload)
    with pytest.raises(ReplayedError):
        reader.read(sign_ack(Ack("car", 4, ()), KEY))
    reader.forget()
    assert reader.read(payload).counter == 5


def test_a_forged_one_does_not_move_the_counter() -> None:
    reader = AckReader("car", KEY)
    with pytest.raises(WireError):
        reader.read(sign_ack(Ack("car", 1 << 63, ()), b"x" * 32))
    assert reader.read(sign_ack(Ack("car", 1, ()), KEY)).counter == 1
