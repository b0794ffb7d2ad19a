"""The provisioning file: what is wrong with it is said with its place, and the token is never repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from outrider.errors import TrustError
from outrider.trust.provisioning import Provisioning, parse_provisioning, render_provisioning

GOOD = Provisioning("https://enrol.example:8443", "bus-17", "abcdefghijklmnop234567abcdefghij", "sha256:" + "0f" * 32)
PATH = Path("bus.toml")


def test_what_is_written_is_read() -> None:
    """Round trip; the token does not show in repr."""
    assert parse_provisioning(render_provisioning(GOOD), PATH) == GOOD
    assert GOOD.token not in repr(GOOD)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("https://enrol.example:8443", "http://enrol.example", 'write "https://HOST:PORT"'),
        ("https://enrol.example:8443", "https://enrol.example/path", 'write "https://HOST:PORT"'),
        ("https://enrol.example:8443", "https://user:x@enrol.example", 'write "https://HOST:PORT"'),
        ("https://enrol.example:8443", "https://enrol.example:99999", 'write "https://HOST:PORT"'),
        ("https://enrol.example:8443", "https://[::1", 'write "https://HOST:PORT"'),
        ('device = "bus-17"', 'device = "../x"', "device = '../x'"),
        ('device = "bus-17"', "device = 17", 'device = "..." is missing'),
        (GOOD.token, "short", "token: not a claim token"),
        (GOOD.token, "!" * 32, "token: not a claim token"),
        ("sha256:", "md5:", 'ca_pin: write "sha256:"'),
        ("ca_pin = ", "pin = ", "unknown key 'pin'"),
        ('device = "bus-17"', 'device = "bus', "bus.toml:3: not valid TOML"),
        ('device = "bus-17"', 'device = "bus-17"\nx = ' + "[" * 3000, "not valid TOML"),
    ],
)
def test_a_mistake_is_named(old: str, new: str, words: str) -> None:
    """File, line or key, and what to write instead."""
    with pytest.raises(TrustError) as caught:
        parse_provisioning(render_provisioning(GOOD).replace(old, new), PATH)
    assert words in str(caught.value)
    assert str(PATH) in str(caught.value)
    assert GOOD.token not in str(caught.value)
