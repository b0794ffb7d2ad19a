"""Faults on the way from the terminal to the fleet: broker, receiver, and the network between them."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from hil.rig.protocols import BrokerLike
from hil.rig.resources import VM_HINT, in_guest
from hil.rig.shell import privileged, works
from tests.support.broker import Broker
from tests.support.chaos_proxy import ChaosProxy
from tests.support.terminal import ReceiverProcess

LOOPBACK: Final = "lo"


def slow_net_missing() -> str | None:
    """Shaping of loopback, which would slow everything else on the machine: in a guest only."""
    if not in_guest():
        return f"shapes the loopback of the whole machine: {VM_HINT}"
    return None if works("modprobe", "-q", "sch_netem") and works("tc", "-V") else f"needs tc and sch_netem: {VM_HINT}"


class BrokerKilled:
    """The broker dies (SIGKILL) and comes back knowing nothing. A proxy in front takes connections and drops them."""

    name: Final = "broker killed"

    def __init__(self, broker: BrokerLike) -> None:
        self._broker = broker
        self._running = True

    def inject(self) -> None:
        self._broker.kill()
        self._running = False

    def heal(self) -> None:
        if not self._running:
            self._broker.start()
            self._running = True


class Refused:
    """Nobody listens at the broker's address: connection refused."""

    name: Final = "connection refused"

    def __init__(self, proxy: ChaosProxy) -> None:
        self._proxy = proxy
        self._shut = False

    def inject(self) -> None:
        self._proxy.shut()
        self._shut = True

    def heal(self) -> None:
        if self._shut:
            self._proxy.reopen()
            self._shut = False


class NotAuthorised:
    """The broker answers each CONNECT with a refusal, as after a lost password file or a blocked account."""

    name: Final = "not authorised"

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def inject(self) -> None:
        self._restart("true", "false")

    def heal(self) -> None:
        self._restart("false", "true")

    def _restart(self, was: str, now: str) -> None:
        self._broker.kill()
        self._broker.change(f"allow_anonymous {was}", f"allow_anonymous {now}")
        self._broker.start()


class BlackHole:
    """A half-open connection: the far side takes every byte, answers nothing, and resets nothing."""

    name: Final = "half-open connection"

    def __init__(self, proxy: ChaosProxy) -> None:
        self._proxy = proxy

    def inject(self) -> None:
        self._proxy.black_hole = True

    def heal(self) -> None:
        self._proxy.black_hole = False


class ReceiverAway:
    """The broker is there and confirms, but the fleet's receiver is not: nothing is acknowledged."""

    name: Final = "receiver away"

    def __init__(self, receiver: ReceiverProcess) -> None:
        self._receiver = receiver

    def inject(self) -> None:
        self._receiver.kill()

    def heal(self) -> None:
        with suppress(AssertionError):  # it was never stopped
            self._receiver.start()


class SlowNet:
    """A bad cellular link on loopback: delay and jitter each way, a rate, loss; packets that overtake others (sent at
    once instead of delayed), come twice, or with a bit wrong."""

    def __init__(
        self,
        *,
        delay_ms: int,
        jitter_ms: int,
        rate_kbit: int,
        loss_percent: float,
        reorder_percent: float = 0.0,
        duplicate_percent: float = 0.0,
        corrupt_percent: float = 0.0,
    ) -> None:
        self.name: Final = f"{delay_ms} ms, {rate_kbit} kbit/s, {loss_percent:g} % lost"
        self._netem = (
            *("delay", f"{delay_ms}ms", f"{jitter_ms}ms"),
            *("rate", f"{rate_kbit}kbit", "loss", f"{loss_percent}%", "limit", "10000"),
            *(("reorder", f"{reorder_percent}%") if reorder_percent else ()),
            *(("duplicate", f"{duplicate_percent}%") if duplicate_percent else ()),
            *(("corrupt", f"{corrupt_percent}%") if corrupt_percent else ()),
        )

    def inject(self) -> None:
        privileged("tc", "qdisc", "replace", "dev", LOOPBACK, "root", "netem", *self._netem)

    def heal(self) -> None:
        privileged("tc", "qdisc", "del", "dev", LOOPBACK, "root", check=False)
