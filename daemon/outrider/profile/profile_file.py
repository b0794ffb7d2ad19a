"""``*.profile.toml``: the struct, its checks, its errors. Text in, ``ProfileFile`` out; paths are not opened here."""

from __future__ import annotations

import re
import tomllib
from typing import Annotated, Any, Final, Literal

import msgspec

from outrider.errors import ProfileError
from outrider.profile.compile import Alias
from outrider.profile.overlay import nearest

ProfileId = Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9_.-]{0,63}$")]
CLASSES: Final = ("passenger", "light-truck", "heavy", "any")
SUFFIX: Final = ".profile.toml"
_UNKNOWN: Final = re.compile(r"unknown field `([^`]*)`")
_LINE: Final = re.compile(r"\(at line ([0-9]+)")


class AliasTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Another identifier with the content of ``message``. extended: 29 bits. j1939: matched by PGN alone."""

    message: str
    id: Annotated[int, msgspec.Meta(ge=0, le=0x1FFFFFFF)]
    extended: bool = False
    j1939: bool = False


class VehicleTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """class: thresholds of harsh driving; "" and "any" leave it to the other profiles. The rest is for people."""

    vehicle_class: Literal["", "any", "passenger", "light-truck", "heavy"] = msgspec.field(default="", name="class")
    make: str = ""
    model: str = ""
    years: str = ""


class ProfileFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """dbc and overlay: paths relative to the profile file. needs: what the user must add, for messages only.

    j1939: true = all 29-bit messages are matched by PGN; false = none; left out = as the DBC says.
    imu_range_g: measuring range per axis of the IMU on CAN, 0 = none or unknown.
    holdup_ms: how long the terminal lives on its own energy after the car's supply is gone.
    """

    id: ProfileId
    name: str
    description: str = ""
    dbc: tuple[str, ...] = ()
    overlay: tuple[str, ...] = ()
    needs: str = ""
    j1939: bool | None = None
    imu_range_g: Annotated[float, msgspec.Meta(ge=0.0, le=10_000.0)] = 0.0
    holdup_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)] = 0
    alias: tuple[AliasTable, ...] = ()
    vehicle: VehicleTable = VehicleTable()

    def aliases(self) -> tuple[Alias, ...]:
        return tuple(Alias(a.message, a.id, a.extended or a.j1939, a.j1939) for a in self.alias)


def parse_profile(text: str, file: str) -> ProfileFile:
    """Raises ProfileError with the file, the line where TOML gives one, and the nearest known key."""
    try:
        raw: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        found = _LINE.search(str(err))
        line = int(found[1]) if found else text.count("\n") + 1  # "at end of document"
        raise ProfileError(f"no valid TOML: {err}", path=file, line=line) from None
    except (RecursionError, ValueError):
        raise ProfileError("no valid TOML: nested too deeply or a number is too long", path=file) from None
    try:
        return msgspec.convert(raw, ProfileFile)
    except msgspec.ValidationError as err:
        raise ProfileError(_explain(str(err)), path=file, line=_line_of(str(err), text)) from None


def _explain(message: str) -> str:
    unknown = _UNKNOWN.search(message)
    if message.endswith("at `$.vehicle.class`"):
        return f"[vehicle] class is one of {', '.join(CLASSES)}: {message}"
    if unknown is None:
        return message
    known = _known_keys(message)
    return f"unknown key {unknown[1]}{nearest(unknown[1], known)}"


def _known_keys(message: str) -> list[str]:
    struct = AliasTable if "$.alias" in message else VehicleTable if "$.vehicle" in message else ProfileFile
    return [field.encode_name for field in msgspec.structs.fields(struct)]


def _line_of(message: str, text: str) -> int | None:
    """The line that begins with the key the message speaks of, if it is there."""
    unknown = _UNKNOWN.search(message)
    path = re.search(r"at `\$\.([A-Za-z0-9_.]+)", message)
    key = unknown[1] if unknown else path[1].rpartition(".")[2] if path else None
    if key is None:
        return None
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(rf"\s*\[*{re.escape(key)}\b", line):
            return number
    return None
