"""Enrolment and renewal against a served desk: resumable at every step, and nobody else gets anything."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from outrider.errors import LinkError, TrustError
from outrider.trust import enrol_io, identity_io, private_io
from outrider.trust.authority import make_root
from outrider.trust.certificates import pin_of
from outrider.trust.client_io import EstClient, Refused
from outrider.trust.enrol_io import enrol, renew
from outrider.trust.identity_io import DeviceIdentity
from outrider.trust.renewal import RELEASED_UTC_S
from tests.support.identity import NOW_S, Enrolment, Wall, enrolment

DAY_S = 86_400


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def served(tmp_path: Path, wall: Wall) -> Iterator[Enrolment]:
    with enrolment(tmp_path / "ca", wall) as found:
        yield found


@pytest.fixture
def identity(tmp_path: Path, wall: Wall) -> DeviceIdentity:
    return DeviceIdentity(tmp_path / "identity", wall)


def test_a_token_buys_everything_a_terminal_needs(served: Enrolment, identity: DeviceIdentity) -> None:
    """Certificate for a key made here, roots, brokers, acknowledgement key, device id; files for the owner alone."""
    outcome = enrol(identity, served.provisioning("bus-17"))
    assert outcome.fresh
    assert identity.device == outcome.device == "bus-17"
    assert identity.settings().brokers[0].host == "localhost"
    assert bytes.fromhex(identity.settings().ack_key) == served.authority.keys().key("bus-17")
    assert [pin_of(root) for root in identity.trusted()] == [pin_of(served.authority.root().certificate)]
    assert identity.private()
    assert not [path.name for path in identity.directory.iterdir() if path.name in {"pending.key", "candidate.pem"}]
    assert identity.directory.stat().st_mode & 0o777 == 0o700
    assert (identity.directory / "settings.json").stat().st_mode & 0o777 == 0o600
    assert served.audit()[-1] == "enrol-granted"


def test_enrolling_again_does_nothing(served: Enrolment, identity: DeviceIdentity) -> None:
    """The same terminal: no new certificate, no question asked. Another name: refused here, token untouched."""
    given = served.provisioning("bus-17")
    first = enrol(identity, given)
    audit = served.audit()
    assert enrol(identity, given) == dataclasses.replace(first, fresh=False)
    with pytest.raises(TrustError, match="enrolled as 'bus-17'"):
        enrol(identity, served.provisioning("bus-18"))
    assert served.audit() == audit


def test_a_token_is_good_once(served: Enrolment, identity: DeviceIdentity, tmp_path: Path, wall: Wall) -> None:
    """Who comes second with the same file is refused, and the audit says so."""
    given = served.provisioning("bus-17")
    enrol(identity, given)
    with pytest.raises(Refused, match="used before"):
        enrol(DeviceIdentity(tmp_path / "thief", wall), given)
    assert served.audit()[-1] == "enrol-token-used"


def test_what_is_wrong_with_a_token_is_said(served: Enrolment, identity: DeviceIdentity, wall: Wall) -> None:
    """Unknown, for another device, expired: each refused in its own words, none used up."""
    given = served.provisioning("bus-17")
    for changed, words in (
        (dataclasses.replace(given, token="a" * 32), "not known"),
        (dataclasses.replace(given, device="bus-18"), "another device"),
    ):
        with pytest.raises(Refused, match=words):
            enrol(identity, changed)
    wall.now_s += 2 * DAY_S
    with pytest.raises(Refused, match="expired"):
        enrol(identity, given)
    assert served.audit()[-3:] == ["enrol-token-unknown", "enrol-token-other-device", "enrol-token-expired"]
    wall.now_s -= 2 * DAY_S
    assert enrol(identity, given).fresh


def test_a_new_token_replaces_a_lost_terminal(
    served: Enrolment, identity: DeviceIdentity, tmp_path: Path, wall: Wall
) -> None:
    """Enrolling the name again revokes what the older terminal had: it gets nothing more."""
    enrol(identity, served.provisioning("bus-17"))
    enrol(DeviceIdentity(tmp_path / "new", wall), served.provisioning("bus-17"))
    with pytest.raises(Refused, match=r"revoked \(superseded\)"):
        renew(identity)
    lists = x509.load_pem_x509_crl((served.authority.directory / "crl.pem").read_bytes())
    assert lists.get_revoked_certificate_by_serial_number(identity.held().certificate.serial_number) is not None


def test_a_first_enrolment_disturbs_no_broker(
    served: Enrolment, identity: DeviceIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lists are written and brokers told when something was revoked, not for each of a thousand new terminals."""
    told = []
    monkeypatch.setattr(served.authority, "tell_broker", lambda: told.append(1))
    before = (served.authority.directory / "crl.pem").stat()
    enrol(identity, served.provisioning("bus-17"))
    assert (served.authority.directory / "crl.pem").stat() == before
    assert told == []


def test_a_new_token_mends_an_identity_that_is_of_no_use(served: Enrolment, identity: DeviceIdentity) -> None:
    """Revoked, too long away, or damaged: the same command with a new file; the old one stays until all is there."""
    enrol(identity, served.provisioning("bus-17"))
    renew(identity)
    served.authority.revoke("bus-17", "by mistake")
    with pytest.raises(Refused, match="revoked"):
        renew(identity)
    kept = identity.fingerprint
    with pytest.raises(LinkError):
        enrol(identity, dataclasses.replace(served.provisioning("bus-17"), url="https://localhost:1"))
    assert identity.fingerprint == kept
    given = served.provisioning("bus-17")
    assert enrol(identity, given).fresh
    assert not identity.previous.exists()
    assert not enrol(identity, given).fresh
    renew(identity)
    assert not enrol(identity, given).fresh  # a renewed identity still knows where it came from
    identity.current.write_bytes(b"\0" * 100)
    assert enrol(identity, served.provisioning("bus-17")).fresh


def test_an_attempt_that_was_cut_short_long_ago_does_not_stand_in_the_way(
    served: Enrolment, identity: DeviceIdentity, monkeypatch: pytest.MonkeyPatch, wall: Wall
) -> None:
    """A certificate that was issued to the waiting key is of a root that has gone, or has ended: a new one is made."""
    enrol(identity, served.provisioning("bus-17"))
    with monkeypatch.context() as patch:
        cut_after(2, patch)  # the candidate is there, of the first root
        with pytest.raises(Cut):
            renew(identity)
    served.authority.rotate()
    served.reload()
    renew(identity)
    assert served.authority.unaware() == []
    with monkeypatch.context() as patch:
        cut_after(2, patch)
        with pytest.raises(Cut):
            renew(identity)
    wall.now_s += 400 * DAY_S
    assert renew(identity).ends_s > wall.now_s


def test_two_terminals_with_one_identity_show_in_the_audit(
    served: Enrolment, identity: DeviceIdentity, tmp_path: Path, wall: Wall
) -> None:
    """A copy of the storage renews from a certificate that has been renewed already."""
    enrol(identity, served.provisioning("bus-17"))
    shutil.copytree(identity.directory, tmp_path / "copy")
    wall.now_s += 5
    renew(identity)
    wall.now_s += 5
    renew(DeviceIdentity(tmp_path / "copy", wall))
    assert served.audit() == ["enrol-granted", "renewed", "renewed-from-older"]


class Cut(Exception):  # noqa: N818  what happens, not an error
    """The power goes."""


def cut_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """The power goes before file operation number ``steps`` (from 0); how many there were."""
    done = 0

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **named: Any) -> Any:
            nonlocal done
            if done == steps:
                raise Cut
            done += 1
            return call(*args, **named)

        return run

    for module in (enrol_io, identity_io):
        for name in ("write_whole", "move", "remove"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, counted(getattr(private_io, name)))
    return lambda: done


def test_a_power_cut_at_any_step_of_enrolment_costs_nothing(
    served: Enrolment, tmp_path: Path, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was written last, the next attempt ends enrolled, with the same token and one certificate in force."""
    for steps in range(20):
        device = f"bus-{steps}"
        identity, given = DeviceIdentity(tmp_path / device, wall), served.provisioning(device)
        with monkeypatch.context() as patch:
            done = cut_after(steps, patch)
            try:
                enrol(identity, given)
                break
            except Cut:
                was_done = identity.enrolled  # but for tidying up
        assert enrol(identity, given).fresh is not was_done
        identity.tls()
        valid = [one for one in served.registry.all_issued(device) if one.revoked_s is None]
        assert [one.certificate for one in valid] == [identity.held().certificate], done()
    assert done() >= 7  # every step was cut once


def test_without_the_pending_key_a_cut_would_cost_the_token(
    served: Enrolment, tmp_path: Path, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The defence removed: a new key at each attempt. After a cut behind the server's answer the token is gone."""
    identity, given = DeviceIdentity(tmp_path / "bus", wall), served.provisioning("bus-17")
    with monkeypatch.context() as patch:
        cut_after(1, patch)  # pending.key is written, the certificate is not
        with pytest.raises(Cut):
            enrol(identity, given)
    identity.pending.unlink()
    with pytest.raises(Refused, match="used before"):
        enrol(identity, given)


def test_a_power_cut_at_any_step_of_a_renewal_leaves_an_identity(
    served: Enrolment, tmp_path: Path, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every moment there is a certificate with its key that the server accepts; the next attempt goes on."""
    identity = DeviceIdentity(tmp_path / "identity", wall)
    enrol(identity, served.provisioning("bus-17"))
    for steps in range(20):
        with monkeypatch.context() as patch:
            done = cut_after(steps, patch)
            try:
                renew(identity)
                break
            except Cut:
                EstClient(served.url).settings(identity.tls())
        before, key = len(served.registry.all_issued("bus-17")), identity.held().certificate.public_key()
        renew(identity)
        assert identity.held().certificate.public_key() != key
        assert not identity.pending.exists()
        assert len(served.registry.all_issued("bus-17")) <= before + 1
        EstClient(served.url).settings(identity.tls())
    assert done() >= 6


def test_a_server_that_is_not_the_pinned_one_hears_no_token(
    served: Enrolment, identity: DeviceIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another authority, also one of the same name: the terminal ends it before it says anything."""
    other = make_root("Test CA 1", NOW_S, 10)
    given = dataclasses.replace(served.provisioning("bus-17"), ca_pin=pin_of(other.certificate))
    with pytest.raises(TrustError, match="not the one that the provisioning file pins"):
        enrol(identity, given)
    assert served.audit() == []
    # who repeats the pinned root but has no certificate under it fails in TLS
    monkeypatch.setattr(EstClient, "pinned_roots", lambda _self, _pin: [other.certificate])
    with pytest.raises(TrustError, match="not to be trusted"):
        enrol(identity, given)
    assert served.audit() == []
    assert not identity.enrolled


def test_a_server_for_another_host_is_not_trusted(served: Enrolment, identity: DeviceIdentity) -> None:
    """The pin alone is not enough: the certificate must be for the host that was asked."""
    served.authority.issue_server(["enrol.example"])
    served.reload()
    with pytest.raises(TrustError, match="not to be trusted"):
        enrol(identity, served.provisioning("bus-17"))


def test_a_server_that_is_not_there_is_a_link_error(served: Enrolment, identity: DeviceIdentity) -> None:
    """Try again later."""
    given = dataclasses.replace(served.provisioning("bus-17"), url="https://localhost:1")
    with pytest.raises(LinkError, match="localhost:1"):
        enrol(identity, given)


def test_renewal_makes_a_new_key_and_keeps_the_old_certificate_until_a_broker_took_the_new_one(
    served: Enrolment, identity: DeviceIdentity
) -> None:
    """Both are valid meanwhile; each third connection is tried with the old one."""
    enrol(identity, served.provisioning("bus-17"))
    first = identity.held()
    identity.tls()
    assert not identity.changed()
    renew(identity)
    assert identity.changed()
    second = identity.held()
    assert first.certificate.public_key() != second.certificate.public_key()
    client = EstClient(served.url)
    used = []
    for _attempt in range(6):
        client.settings(identity.tls())
        used.append(identity._handed_out)
    assert used == [second.lifetime.fingerprint] * 2 + [first.lifetime.fingerprint] + used[:3]
    assert not identity.connected()  # the last context was the old one
    identity.tls()
    assert identity.connected()
    assert not identity.previous.exists()


def test_a_car_that_stood_too_long_still_renews(served: Enrolment, identity: DeviceIdentity, wall: Wall) -> None:
    """Expired certificates buy nothing but a new one, and that for the days of grace."""
    enrol(identity, served.provisioning("bus-17"))
    wall.now_s += 400 * DAY_S
    with pytest.raises(Refused, match="expired"):
        EstClient(served.url).settings(identity.tls())
    assert renew(identity).ends_s > wall.now_s
    wall.now_s += (365 + 181) * DAY_S
    with pytest.raises(Refused, match="expired; enrol again"):
        renew(identity)


def test_a_terminal_that_thinks_it_is_1970_enrols_renews_and_connects(
    served: Enrolment, tmp_path: Path, wall: Wall
) -> None:
    """Without a clock of its own validity is judged by what has passed for certain."""
    wrong = Wall(0.0)
    identity = DeviceIdentity(tmp_path / "identity", wrong)
    assert identity.now_s() == (RELEASED_UTC_S, False)
    enrol(identity, served.provisioning("bus-17"))
    assert identity.now_s() == (NOW_S, False)  # the server's word
    renew(identity)
    EstClient(served.url).settings(identity.tls())
    wrong.now_s = NOW_S + 5
    assert identity.now_s() == (NOW_S + 5, True)


def test_a_wrong_clock_does_not_make_an_expired_server_valid(
    served: Enrolment, tmp_path: Path, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is known to be over by the floor is over; without that check the handshake would succeed."""
    wrong = Wall(0.0)
    identity = DeviceIdentity(tmp_path / "identity", wrong)
    enrol(identity, served.provisioning("bus-17"))
    wall.now_s += 900 * DAY_S
    identity.raise_floor(int(wall.now_s))
    with pytest.raises(TrustError, match="expired"):
        EstClient(served.url).settings(identity.tls())
    monkeypatch.setattr(identity_io, "_by_floor", lambda _floor: __import__("ssl").SSLSocket)
    with pytest.raises(Refused):  # TLS let it through; the server looks at our certificate
        EstClient(served.url).settings(identity.tls())


def test_roots_change_without_cutting_anybody_off(served: Enrolment, identity: DeviceIdentity) -> None:
    """Two generations at once: learnt at a renewal; then servers change; then the old root goes."""
    ca = served.authority
    enrol(identity, served.provisioning("bus-17"))
    ca.rotate()
    served.reload()
    assert ca.unaware() == ["bus-17"]
    renew(identity)
    assert ca.unaware() == []
    assert len(identity.trusted()) == 2
    ca.serve_newest()
    served.reload()
    renew(identity)
    ca.retire()
    renew(identity)
    assert [pin_of(root) for root in identity.trusted()] == [pin_of(ca.root().certificate)]


def test_a_terminal_that_missed_the_new_root_refuses_the_new_server(
    served: Enrolment, identity: DeviceIdentity
) -> None:
    """Pinned means pinned: what the overlap is for."""
    enrol(identity, served.provisioning("bus-17"))
    served.authority.rotate()
    served.authority.serve_newest()
    served.reload()
    with pytest.raises(TrustError, match="not to be trusted"):
        renew(identity)


def test_damaged_files_are_named(served: Enrolment, identity: DeviceIdentity) -> None:
    """A file that cannot be used is an error with its name, never a traceback; damaged leftovers are made anew."""
    identity.directory.mkdir(mode=0o700)
    identity.pending.write_bytes(b"\0" * 200)
    identity.candidate.write_bytes(b"\xff" * 100)
    enrol(identity, served.provisioning("bus-17"))
    for path in (identity.roots, identity.current, identity.settings_file):
        kept = path.read_bytes()
        for damage in (b"", b"\0" * len(kept), kept[: len(kept) // 2]):
            path.write_bytes(damage)
            with pytest.raises(TrustError) as caught:
                identity.settings() if path == identity.settings_file else identity.tls()
            assert "PRIVATE" not in str(caught.value)
        path.write_bytes(kept)
    identity.floor.write_bytes(b"never\n")
    identity.tls()
