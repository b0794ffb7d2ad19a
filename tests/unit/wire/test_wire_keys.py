"""Acknowledgement keys: listed or derived; every mistake in the file is named."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import pytest

from outrider.errors import ConfigError
from outrider.wire.keys import derive_key, parse_keys

FILE = Path("keys.toml")


def test_listed_keys_win_over_derived_ones() -> None:
    ring = parse_keys(f'master = "{"ab" * 32}"\n[devices]\ncar = "{"cd" * 16}"\n', FILE)
    assert ring.key("car") == b"\xcd" * 16
    assert ring.key("bus") == derive_key(b"\xab" * 32, "bus")
    assert ring.key("bus") != ring.key("bus2")


def test_the_derivation_is_the_documented_one() -> None:
    """HMAC-SHA-256(master, "outrider ack key 1" 00 device): others have to compute it, too."""
    assert (
        derive_key(b"m" * 32, "bus-17") == hmac.new(b"m" * 32, b"outrider ack key 1\0bus-17", hashlib.sha256).digest()
    )


def test_without_a_master_unlisted_devices_have_none() -> None:
    assert parse_keys(f'[devices]\ncar = "{"cd" * 16}"', FILE).key("bus") is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("master = ", "TOML"),
        ("", "holds no key"),
        ('mastr = "ab"', "mastr"),
        ('master = "xy"', "hex"),
        ("master = 5", "hex"),
        ('master = "abcd"', "2 bytes"),
        ('devices = "x"', "table"),
        ('[devices]\n"a/b" = "00"', "a/b"),
        ('[devices]\ncar = "00"', r"\[devices\] car: 1 bytes"),
    ],
)
def test_mistakes_are_named(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        parse_keys(text, FILE)
    assert "keys.toml" in str(caught.value)
