"""What enrolment gives a terminal besides its certificate: brokers, the acknowledgement key, who it is. Pure.

One JSON document, over the wire (``/.well-known/outrider/terminal``) and on flash the same::

    {"device": "...", "ack_key": "64 hex digits", "brokers": [{"host": "...", "port": 8883}], "utc_s": 1795305600}
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from outrider.errors import TrustError

MAX_BROKERS: Final = 8
PATH: Final = "/.well-known/outrider/terminal"


class Broker(msgspec.Struct, frozen=True, kw_only=True):
    """One broker; the terminal tries them in order."""

    host: Annotated[str, msgspec.Meta(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9_.:-]+$")]
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 8883


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """See the module. utc_s: the server's clock when it answered, a floor for the terminal's. Newer fields are passed
    over."""

    device: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    ack_key: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{2}){16,64}$")]
    brokers: Annotated[tuple[Broker, ...], msgspec.Meta(min_length=1, max_length=MAX_BROKERS)]
    utc_s: Annotated[int, msgspec.Meta(ge=0, lt=1 << 40)]

    def __repr__(self) -> str:
        return f"Settings(device={self.device!r}, ack_key=..., brokers={self.brokers!r}, utc_s={self.utc_s})"


def read_settings(body: bytes) -> Settings:
    """TrustError says what is wrong, without repeating any of the content."""
    try:
        return msgspec.json.decode(body, type=Settings)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as err:
        place = str(err).rpartition(" - at ")[2] if " - at " in str(err) else "not JSON of the expected form"
        raise TrustError(f"the terminal's settings cannot be used ({place})") from None


def write_settings(settings: Settings) -> bytes:
    return msgspec.json.encode(settings)
