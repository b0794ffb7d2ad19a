"""Acknowledgement keys: one per device, or all derived from a master key. At least 16 bytes each, 32 are usual.

A key file is TOML::

    master = "64 hex digits"            # optional: the key of every device not listed is derived from it

    [devices]
    bus-17 = "64 hex digits"

Derivation: HMAC-SHA-256(master, "outrider ack key 1" 00 device). A terminal gets its own key only, never the master.
"""

from __future__ import annotations

import hashlib
import hmac
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from outrider.errors import ConfigError
from outrider.wire.ack import MIN_KEY_BYTES
from outrider.wire.topics import DEVICE_ID

_DOMAIN = b"outrider ack key 1\0"


def derive_key(master: bytes, device: str) -> bytes:
    """The 32-byte key of a device under a master key."""
    return hmac.new(master, _DOMAIN + device.encode("ascii"), hashlib.sha256).digest()


class KeyRing:
    """Keys by device; a device that is neither listed nor covered by a master key has none."""

    def __init__(self, devices: Mapping[str, bytes] | None = None, master: bytes | None = None) -> None:
        self._devices = dict(devices or {})
        self._master = master

    def key(self, device: str) -> bytes | None:
        if device in self._devices:
            return self._devices[device]
        return None if self._master is None else derive_key(self._master, device)


def parse_keys(text: str, path: Path) -> KeyRing:
    """The key file. ConfigError names what is wrong and where."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        raise ConfigError(f"not valid TOML: {err}", path=path) from None
    except (RecursionError, ValueError):
        raise ConfigError("not valid TOML: nested too deeply or a number is too long", path=path) from None
    unknown = sorted(set(document) - {"master", "devices"})
    if unknown:
        raise ConfigError(f'unknown key {unknown[0]!r}; known are "master" and the table [devices]', path=path)
    devices = document.get("devices", {})
    if not isinstance(devices, dict):
        raise ConfigError("devices must be a table: [devices]", path=path)
    for device in devices:
        if not DEVICE_ID.fullmatch(device):
            raise ConfigError(f"[devices] {device!r}: use 1 to 64 of A-Z a-z 0-9 _ -", path=path)
    keys = {device: _key(value, f"[devices] {device}", path) for device, value in devices.items()}
    master = None if "master" not in document else _key(document["master"], "master", path)
    if not keys and master is None:
        raise ConfigError('holds no key: give master = "HEX" or a table [devices]', path=path)
    return KeyRing(keys, master)


def _key(value: Any, name: str, path: Path) -> bytes:
    try:
        key = bytes.fromhex(value)
    except (TypeError, ValueError):
        raise ConfigError(f"{name}: not a string of hex digits", path=path) from None
    if len(key) < MIN_KEY_BYTES:
        raise ConfigError(f"{name}: {len(key)} bytes, at least {MIN_KEY_BYTES} are needed", path=path)
    return key
