"""The provisioning file: how a new terminal finds its enrolment server, and what it may claim. It holds no key.

::

    url = "https://enrol.example:8443"
    device = "LSVAA4187E2000001"
    token = "32 letters and digits"                 # one use; worth nothing afterwards
    ca_pin = "sha256:64 hex digits"                 # of the root; nothing else is trusted to be the server
"""

from __future__ import annotations

import re
import tomllib
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from outrider.errors import TrustError
from outrider.wire.topics import DEVICE_ID

_PIN: Final = re.compile(r"sha256:[0-9a-f]{64}")
_TOKEN: Final = re.compile(r"[a-z2-7]{16,128}")
_KEYS: Final = ("url", "device", "token", "ca_pin")


@dataclass(frozen=True, slots=True)
class Provisioning:
    """Checked content of the file. ``url`` is https and has no path; the token does not show in ``repr``."""

    url: str
    device: str
    token: str
    ca_pin: str

    def __repr__(self) -> str:
        return f"Provisioning(url={self.url!r}, device={self.device!r}, token=..., ca_pin={self.ca_pin!r})"


def parse_provisioning(text: str, path: Path) -> Provisioning:
    """TrustError names the file, the key and what to write there; it never repeats the token."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        line = re.search(r"line (\d+)", str(err))
        raise TrustError("not valid TOML", path=path, line=int(line[1]) if line else None) from None
    except (RecursionError, ValueError):
        raise TrustError("not valid TOML: nested too deeply or a number is too long", path=path) from None
    unknown = sorted(set(document) - set(_KEYS))
    if unknown:
        raise TrustError(f"unknown key {unknown[0][:40]!r}; known keys: {', '.join(_KEYS)}", path=path)
    url, device, token, pin = (_text(document, key, path) for key in _KEYS)
    if not DEVICE_ID.fullmatch(device):
        raise TrustError(f"device = {device[:80]!r}: use 1 to 64 of A-Z a-z 0-9 _ -", path=path)
    if not _TOKEN.fullmatch(token.lower()):
        raise TrustError("token: not a claim token; make one with outrider enrol token", path=path)
    if not _PIN.fullmatch(pin):
        raise TrustError('ca_pin: write "sha256:" and 64 hex digits (outrider ca show)', path=path)
    return Provisioning(check_url(url, path), device, token.lower(), pin)


def render_provisioning(given: Provisioning) -> str:
    """The file that ``parse_provisioning`` reads."""
    values = (given.url, given.device, given.token, given.ca_pin)
    lines = [f'{key} = "{value}"' for key, value in zip(_KEYS, values, strict=True)]
    return "\n".join(["# One use: hand it to the terminal named here, then delete it.", *lines, ""])


def check_url(url: str, path: Path | None = None) -> str:
    """``https://HOST[:PORT]`` without a trailing slash; TrustError for anything else."""
    message = f'url = {url[:80]!r}: write "https://HOST:PORT" and nothing behind it'
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError:
        raise TrustError(message, path=path) from None
    rest = parts.path.rstrip("/") or parts.query or parts.fragment or parts.username or parts.password
    if parts.scheme != "https" or not parts.hostname or rest or port == 0 or not url.isascii() or not url.isprintable():
        raise TrustError(message, path=path)
    if re.search(r"[\"\\\s]", url):
        raise TrustError(message, path=path)
    return url.rstrip("/")


def _text(document: dict[str, Any], key: str, path: Path) -> str:
    value = document.get(key)
    if not isinstance(value, str):
        raise TrustError(f'{key} = "..." is missing', path=path)
    return value
