"""Which MQTT version to speak, and how long to wait before the next connection.

Many brokers and clouds speak 3.1.1 only; some answer a version 5 CONNECT with a refusal, some just hang up. A broker
that has accepted a version is asked for the other one only after several hang-ups in a row.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import tenacity

_PATIENCE = 3
_FLOOR_S = 0.2


class Version(IntEnum):
    """Values of paho's MQTTProtocolVersion."""

    V311 = 4
    V5 = 5

    @property
    def text(self) -> str:
        return "5.0" if self is Version.V5 else "3.1.1"


class Dialect:
    """Chooses the version of the next CONNECT from how the last ones went."""

    def __init__(self) -> None:
        self.version = Version.V5
        self._accepted = False
        self._hang_ups = 0

    def accepted(self) -> None:
        """CONNACK: success."""
        self._accepted = True
        self._hang_ups = 0

    def refused(self) -> None:
        """CONNACK: this version is not spoken here."""
        self._switch()

    def hung_up(self) -> None:
        """The broker took the connection and closed it instead of a CONNACK."""
        self._hang_ups += 1
        if self._hang_ups >= (_PATIENCE if self._accepted else 1):
            self._switch()

    def _switch(self) -> None:
        self.version = Version.V311 if self.version is Version.V5 else Version.V5
        self._accepted = False
        self._hang_ups = 0


class Backoff:
    """Full jitter: a random wait below a bound that doubles with each failure, up to the cap.

    Only an acknowledgement or a PUBACK resets it: a broker that accepts and then kicks is not hammered.
    """

    def __init__(self, first_s: float, cap_s: float) -> None:
        self._wait = tenacity.wait_random_exponential(multiplier=first_s, max=cap_s)
        self._state = tenacity.RetryCallState(_NO_RETRY, None, (), {})
        self._state.attempt_number = 0

    @property
    def failures(self) -> int:
        return self._state.attempt_number

    def reset(self) -> None:
        self._state.attempt_number = 0

    def next_s(self) -> float:
        """Seconds to wait after one more failure."""
        self._state.attempt_number += 1
        return max(_FLOOR_S, self._wait(self._state))


_NO_RETRY: Any = None  # wait strategies look at attempt_number only
