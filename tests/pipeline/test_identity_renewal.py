"""The uplink with an identity that is renewed under it, at a real broker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from outrider.trust.enrol_io import enrol, renew
from outrider.trust.identity_io import DeviceIdentity
from tests.support.delivery import make_uplink, running
from tests.support.identity import Enrolment, SecureBroker, Wall, secure_broker
from tests.support.memory_log import MemoryLog
from tests.support.terminal import wait_until


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[SecureBroker, Enrolment, DeviceIdentity]]:
    """A broker that nobody tells of changes, the enrolment server of its authority, an enrolled terminal."""
    directory = tmp_path / "ca"
    with ExitStack() as stack:
        broker = stack.enter_context(secure_broker(directory, f"pid_file {directory}/mosquitto.pid"))
        served = stack.enter_context(closing(Enrolment(broker.authority, Wall(time.time()))))
        identity = DeviceIdentity(tmp_path / "identity")
        enrol(identity, served.provisioning("car-1"))
        yield broker, served, identity


def accepted(broker: SecureBroker) -> int:
    return broker.log().count("New client connected from")


def test_a_renewed_certificate_is_used_at_the_next_connection(
    place: tuple[SecureBroker, Enrolment, DeviceIdentity],
) -> None:
    """The connection that is open stays; the next one is made with the new certificate, and then the old one goes."""
    broker, _served, identity = place
    with running(make_uplink(MemoryLog(), broker.port, host="localhost", tls=identity.tls)) as uplink:
        wait_until("connected", lambda: uplink.status().connected)
        renew(identity)
        assert identity.changed()
        assert not identity.connected()
        assert uplink.status().connected
        broker.restart()
        wait_until("the new certificate connects", lambda: uplink.status().connected and identity.connected())
        assert not identity.previous.exists()
        assert accepted(broker) == 2


def test_a_new_certificate_that_the_broker_does_not_take_cuts_nobody_off(
    place: tuple[SecureBroker, Enrolment, DeviceIdentity],
) -> None:
    """A broker that has not heard of the new root: the old certificate is tried as well, until it has."""
    broker, served, identity = place
    served.authority.rotate()
    served.reload()
    renew(identity)  # of the new root
    with running(make_uplink(MemoryLog(), broker.port, host="localhost", tls=identity.tls)) as uplink:
        wait_until("connected with the old certificate", lambda: uplink.status().connected)
        assert not identity.connected()
        assert identity.previous.exists()
        broker.restart()  # it reads the roots again
        wait_until("the new certificate connects", lambda: uplink.status().connected and identity.connected())


def test_a_terminal_without_a_clock_connects_where_one_with_that_clock_could_not(
    place: tuple[SecureBroker, Enrolment, DeviceIdentity], tmp_path: Path
) -> None:
    """To a clock that is behind, the broker's certificate is not yet valid: here by days, often by years."""
    broker, _served, identity = place
    broker.authority._wall_s = Wall(time.time() + 10 * 86_400)
    broker.authority.issue_server()
    broker.restart()
    believing = make_uplink(MemoryLog(), broker.port, host="localhost", tls=identity.tls)
    with running(believing) as uplink:
        wait_until("refused", lambda: "not yet valid" in (uplink.status().last_error or ""))
    lost = DeviceIdentity(identity.directory, Wall(0.0))
    with running(make_uplink(MemoryLog(), broker.port, host="localhost", tls=lost.tls)) as uplink:
        wait_until("connected", lambda: uplink.status().connected)


def test_without_the_old_certificate_it_would_be_cut_off(
    place: tuple[SecureBroker, Enrolment, DeviceIdentity],
) -> None:
    """The defence removed: the previous certificate thrown away at once."""
    broker, served, identity = place
    served.authority.rotate()
    served.reload()
    renew(identity)
    identity.previous.unlink()
    with running(make_uplink(MemoryLog(), broker.port, host="localhost", tls=identity.tls)) as uplink:
        wait_until("refused three times", lambda: broker.log().count("OpenSSL Error") >= 3)
        assert not uplink.status().connected
        assert accepted(broker) == 0
