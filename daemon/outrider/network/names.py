"""Numbers of ModemManager's D-Bus interface, as names.

Source: ModemManager 1.20, "Flags and Enumerations". A number that is not listed here gets a name made of it: a newer
ModemManager must not be an error.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, Self


class Named(IntEnum):
    """An enumeration that takes any number of 32 bits."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, int) or not -(1 << 31) <= value < 1 << 32:
            return None
        member = int.__new__(cls, value)
        member._name_ = f"NUMBER_{value}"
        member._value_ = value
        return member

    @property
    def word(self) -> str:
        """For people and JSON: ``emergency-only``."""
        return self.name.lower().replace("_", "-")


class ModemState(Named):
    """MMModemState."""

    FAILED = -1
    UNKNOWN = 0
    INITIALIZING = 1
    LOCKED = 2
    DISABLED = 3
    DISABLING = 4
    ENABLING = 5
    ENABLED = 6
    SEARCHING = 7
    REGISTERED = 8
    DISCONNECTING = 9
    CONNECTING = 10
    CONNECTED = 11


class FailedReason(Named):
    """MMModemStateFailedReason."""

    NONE = 0
    UNKNOWN = 1
    SIM_MISSING = 2
    SIM_ERROR = 3
    UNKNOWN_CAPABILITIES = 4
    ESIM_WITHOUT_PROFILES = 5


class PowerState(Named):
    """MMModemPowerState."""

    UNKNOWN = 0
    OFF = 1
    LOW = 2
    ON = 3


class Registration(Named):
    """MMModem3gppRegistrationState."""

    IDLE = 0
    HOME = 1
    SEARCHING = 2
    DENIED = 3
    UNKNOWN = 4
    ROAMING = 5
    HOME_SMS_ONLY = 6
    ROAMING_SMS_ONLY = 7
    EMERGENCY_ONLY = 8
    HOME_CSFB_NOT_PREFERRED = 9
    ROAMING_CSFB_NOT_PREFERRED = 10
    ATTACHED_RLOS = 11


class Lock(Named):
    """MMModemLock: what must be unlocked first."""

    UNKNOWN = 0
    NONE = 1
    SIM_PIN = 2
    SIM_PIN2 = 3
    SIM_PUK = 4
    SIM_PUK2 = 5
    PH_SP_PIN = 6
    PH_SP_PUK = 7
    PH_NET_PIN = 8
    PH_NET_PUK = 9
    PH_SIM_PIN = 10
    PH_CORP_PIN = 11
    PH_CORP_PUK = 12
    PH_FSIM_PIN = 13
    PH_FSIM_PUK = 14
    PH_NETSUB_PIN = 15
    PH_NETSUB_PUK = 16


class PortType(Named):
    """MMModemPortType."""

    UNKNOWN = 1
    NET = 2
    AT = 3
    QCDM = 4
    GPS = 5
    QMI = 6
    MBIM = 7
    AUDIO = 8
    IGNORED = 9
    XMMRPC = 10


REGISTERED: Final = frozenset(
    {
        Registration.HOME,
        Registration.ROAMING,
        Registration.HOME_CSFB_NOT_PREFERRED,
        Registration.ROAMING_CSFB_NOT_PREFERRED,
    }
)
ROAMING: Final = frozenset(
    {Registration.ROAMING, Registration.ROAMING_SMS_ONLY, Registration.ROAMING_CSFB_NOT_PREFERRED}
)
OPEN_LOCKS: Final = frozenset({Lock.UNKNOWN, Lock.NONE, Lock.SIM_PIN2, Lock.SIM_PUK2})  # none of them keeps us out
CHANGING: Final = frozenset(
    {
        ModemState.INITIALIZING,
        ModemState.DISABLING,
        ModemState.ENABLING,
        ModemState.DISCONNECTING,
        ModemState.CONNECTING,
    }
)

# MMModemAccessTechnology: one bit each; several may be set, the last of this list that is set is told.
TECHNOLOGIES: Final[tuple[tuple[int, str], ...]] = (
    (1 << 0, "POTS"),
    (1 << 1, "GSM"),
    (1 << 2, "GSM"),
    (1 << 3, "GPRS"),
    (1 << 4, "EDGE"),
    (1 << 10, "1xRTT"),
    (1 << 11, "EVDO"),
    (1 << 12, "EVDO"),
    (1 << 13, "EVDO"),
    (1 << 5, "UMTS"),
    (1 << 6, "HSDPA"),
    (1 << 7, "HSUPA"),
    (1 << 8, "HSPA"),
    (1 << 9, "HSPA+"),
    (1 << 17, "NB-IoT"),
    (1 << 16, "LTE-M"),
    (1 << 14, "LTE"),
    (1 << 15, "5G NR"),
)


def technology(bits: int | None) -> str | None:
    """The best of the technologies in use; None: none or unknown."""
    told = None
    for bit, name in TECHNOLOGIES:
        if bits is not None and bits & bit:
            told = name
    return told
