"""The authority's directory: made once, never half, generations in order, damage named."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509

from outrider.errors import ConfigError, TrustError
from outrider.trust.authority_io import Authority, Plan
from outrider.trust.certificates import new_key, read_certificates
from outrider.trust.mosquitto import RECEIVER
from outrider.trust.registry_io import Claim, Registry
from outrider.wire.topics import DEVICE_ID
from tests.support.identity import NOW_S, Wall, authority, pair


def test_it_is_made_once(tmp_path: Path) -> None:
    """Keys for their owner alone, everything else readable by the broker; a second time is refused."""
    ca = authority(tmp_path / "ca")
    private = {p.name for p in ca.directory.iterdir() if p.stat().st_mode & 0o077 == 0}
    assert private >= {"root-1.key", "server.key", "receiver.key", "ack-keys.toml"}
    assert not private & {"roots.pem", "server.pem", "crl.pem", "acl", "mosquitto.conf"}
    assert ca.directory.stat().st_mode & 0o777 == 0o700
    root = ca.root().certificate
    with pytest.raises(TrustError, match="an authority already"):
        authority(tmp_path / "ca")
    assert Authority(tmp_path / "ca").root().certificate == root
    assert len(ca.keys().key("bus-17") or b"") == 32
    assert not DEVICE_ID.fullmatch(RECEIVER)


def test_a_bad_host_makes_nothing(tmp_path: Path) -> None:
    """What would fail at the end fails before there is anything."""
    with pytest.raises(TrustError, match="neither a host name"):
        Authority.create(tmp_path / "ca", Plan(name="x", hosts=("a b",)))
    assert not (tmp_path / "ca").exists()


def test_damage_is_named(tmp_path: Path) -> None:
    """Each file that is missing or unreadable is an error with its name."""
    ca = authority(tmp_path / "ca")
    for name, use in (
        ("authority.json", lambda: Authority(ca.directory)),
        ("root-1.pem", ca.root),
        ("root-1.key", ca.root),
        ("ack-keys.toml", ca.keys),
    ):
        path = ca.directory / name
        kept = path.read_bytes()
        for damage in (b"", b"\0\0\0", None):
            path.write_bytes(damage) if damage is not None else path.unlink()
            with pytest.raises((TrustError, ConfigError)) as caught:
                use()
            assert name in str(caught.value) or (damage is None and "outrider ca init" in str(caught.value))
        path.write_bytes(kept)
    with pytest.raises(TrustError, match="outrider ca init"):
        Authority(tmp_path / "nothing")


def test_generations_come_in_order(tmp_path: Path) -> None:
    """No second rotation before the first is done, no retirement before servers show the new root."""
    ca = authority(tmp_path / "ca")
    old = pair(ca, tmp_path, "bus-1", now_s=NOW_S)
    ca.rotate()
    with pytest.raises(TrustError, match="two roots are trusted already"):
        ca.rotate()
    with pytest.raises(TrustError, match="servers still show the old root"):
        ca.retire()
    assert len(read_certificates((ca.directory / "roots.pem").read_bytes())) == 2
    assert (ca.directory / "crl.pem").read_bytes().count(b"BEGIN X509 CRL") == 2
    assert ca.unaware() == ["bus-1"]
    pair(ca, tmp_path, "bus-1", now_s=NOW_S)
    assert ca.unaware() == []
    ca.serve_newest()
    ca.retire()
    assert read_certificates((ca.directory / "roots.pem").read_bytes()) == [ca.root().certificate]
    assert Authority(ca.directory).plan.generations == (2,)
    assert old.exists()


def test_a_name_and_a_serial_can_be_revoked(tmp_path: Path) -> None:
    """Each is in the list of the root that signed it, until its end; a second time changes nothing."""
    wall = Wall()
    ca = authority(tmp_path / "ca", wall)
    pair(ca, tmp_path, "bus-1", now_s=NOW_S)
    pair(ca, tmp_path, "bus-2", now_s=NOW_S)
    with ca.registry() as registry:
        (one,) = registry.all_issued("bus-1")
        (two,) = registry.all_issued("bus-2")
    assert ca.revoke(one.serial, "lost") == 1
    assert ca.revoke("bus-2", "lost") == 1
    assert ca.revoke("bus-2", "lost") == 0
    listed = x509.load_pem_x509_crl((ca.directory / "crl.pem").read_bytes())
    assert {entry.serial_number for entry in listed} == {int(one.serial, 16), int(two.serial, 16)}
    wall.now_s += 31 * 86_400
    ca.refresh()
    assert not list(x509.load_pem_x509_crl((ca.directory / "crl.pem").read_bytes()))  # they have ended meanwhile


def test_servers_are_renewed_in_time(tmp_path: Path) -> None:
    """A broker's certificate that ends cuts off everybody: at two thirds of its lifetime there is a new one, once."""
    wall = Wall()
    ca = authority(tmp_path / "ca", wall)
    before = (ca.directory / "server.pem").read_bytes()
    wall.now_s += 500 * 86_400
    assert ca.tend() == []
    wall.now_s += 60 * 86_400
    assert ca.tend() == ["server", "receiver"]
    assert ca.tend() == []
    assert (ca.directory / "server.pem").read_bytes() != before


def test_only_mosquitto_is_sent_a_signal(tmp_path: Path) -> None:
    """A stale pid file that names another process by now, or garbage, harms nobody."""
    ca = authority(tmp_path / "ca")
    for content in ("1", "999999999", "-1", "x", "", "9" * 400):
        (ca.directory / "mosquitto.pid").write_text(content, encoding="ascii")
        assert not ca.tell_broker()


def test_a_registry_of_another_kind_is_refused(tmp_path: Path) -> None:
    """A file that is no registry, or a newer one, is not written to."""
    path = tmp_path / "registry.db"
    path.write_bytes(b"no database at all, but long enough to be read as one" * 30)
    with pytest.raises(OSError, match="registry cannot be used"):
        Registry(path)
    path.unlink()
    with Registry(path) as registry:
        registry._db.execute("PRAGMA user_version = 9")
    with pytest.raises(TrustError, match="version 9"):
        Registry(path)


def test_of_many_who_come_with_one_token_at_once_one_gets_a_certificate(tmp_path: Path) -> None:
    """Claiming and storing are one transaction, between processes too."""
    ca = authority(tmp_path / "ca")
    with ca.registry() as registry:
        registry.add_token("hash", "bus-17", NOW_S, NOW_S + 60)

    def claim(_number: int) -> Claim:
        key = new_key().public_key()
        with ca.registry() as registry:
            return registry.claim("hash", "bus-17", key, NOW_S, lambda: ca.sign_device(key, "bus-17"))[0]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(claim, range(8)))
    assert sorted(claim.value for claim in found) == ["granted"] + ["used"] * 7
    with ca.registry() as registry:
        assert len(registry.all_issued("bus-17")) == 1


def test_the_audit_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest lines are kept."""
    monkeypatch.setattr("outrider.trust.registry_io.AUDIT_ROWS", 10)
    with Registry(tmp_path / "registry.db") as registry:
        for number in range(25):
            registry.note(number, f"what-{number}", None, None)
        assert [entry.what for entry in registry.audit()] == [f"what-{number}" for number in range(24, 14, -1)]


def test_the_plan_is_plain_json(tmp_path: Path) -> None:
    """An operator can read what was decided."""
    ca = authority(tmp_path / "ca", Wall())
    plan = json.loads((ca.directory / "authority.json").read_text(encoding="utf-8"))
    assert plan["generations"] == [1]
    assert plan["hosts"][0] == "localhost"
