"""A certificate authority in one directory: ``outrider ca init`` makes it, broker and enrolment server read it.

::

    authority.json               name, lifetimes, hosts, generations of roots
    root-N.pem   root-N.key      a root and its key (0600; the one thing to guard)
    roots.pem                    the roots to be trusted; two while one takes over
    server.pem   server.key      of broker and enrolment server
    receiver.pem receiver.key    of outrider ingest
    crl.pem                      revoked certificates, one list for each root
    ack-keys.toml                master of the acknowledgement keys (outrider ingest --key-file)
    registry.db                  tokens, what was issued, audit (registry_io)
    mosquitto.conf acl           a broker that enforces who may say what

Rotation, in the order that strands nobody: a new root is trusted first (``rotate``), terminals learn of it when they
renew; then servers show certificates of it (``serve_newest``); then the old one goes (``retire``).
"""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from outrider.errors import TrustError
from outrider.trust.authority import (
    DAY_S,
    GRACE_DAYS,
    Root,
    host_name,
    issue_client,
    issue_server,
    make_root,
    revocation_list,
)
from outrider.trust.certificates import (
    Key,
    PublicKey,
    certificates_pem,
    ends_s,
    fingerprint,
    key_pem,
    new_key,
    read_certificates,
    read_key,
    starts_s,
)
from outrider.trust.mosquitto import RECEIVER, Listeners, render_acl, render_config
from outrider.trust.private_io import PUBLIC, make_private_directory, read_whole, write_whole
from outrider.trust.registry_io import Registry, root_id
from outrider.trust.renewal import Lifetime, State
from outrider.wire.keys import KeyRing, parse_keys
from outrider.wire.topics import DEVICE_ID

ROOT_DAYS: Final = 3650
SERVER_DAYS: Final = 825
CRL_DAYS: Final = 3650  # a broker refuses everybody once the list is older than it says; it is renewed at each change
DEFAULT_HOSTS: Final = ("localhost", "127.0.0.1", "::1")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """authority.json. generations: of the trusted roots, oldest first; the last one signs terminals. serving: the one
    that signs servers."""

    name: str
    device_days: int = 365
    hosts: tuple[str, ...] = DEFAULT_HOSTS
    generations: tuple[int, ...] = (1,)
    serving: int = 1


class Authority:
    """One directory. TrustError names a file that is missing or damaged."""

    def __init__(self, directory: Path, wall_s: Callable[[], float] = time.time) -> None:
        self.directory = directory.resolve()
        self.told = False  # whether the broker was told of the last change
        self._wall_s = wall_s
        content = read_whole(self.directory / "authority.json")
        if content is None:
            raise TrustError(f"holds no authority; make one with: outrider ca init {directory}", path=directory)
        try:
            self.plan = msgspec.json.decode(content, type=Plan)
        except msgspec.DecodeError as err:
            raise TrustError(f"is damaged: {err}", path=self.directory / "authority.json") from None

    # ---- making one -------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        directory: Path,
        plan: Plan,
        listeners: Listeners | None = None,
        wall_s: Callable[[], float] = time.time,
    ) -> Authority:
        """A new authority with a broker's configuration. TrustError when there is one already."""
        directory = directory.resolve()
        if (directory / "authority.json").exists():
            raise TrustError("there is an authority already; remove the directory to begin again", path=directory)
        for host in plan.hosts:
            host_name(host)
        make_private_directory(directory)
        _write_root(directory, 1, make_root(f"{plan.name} 1", wall_s(), ROOT_DAYS))
        keys = (
            "# Master of all acknowledgement keys: for the receiver alone.",
            f'master = "{secrets.token_hex(32)}"',
            "",
        )
        write_whole(directory / "ack-keys.toml", "\n".join(keys).encode("ascii"))
        write_whole(directory / "acl", render_acl().encode("ascii"), PUBLIC)
        user = "root" if os.geteuid() == 0 else None
        config = render_config(directory, listeners or Listeners(), user=user)
        write_whole(directory / "mosquitto.conf", config.encode("utf-8"), PUBLIC)
        write_whole(directory / "authority.json", msgspec.json.encode(plan), PUBLIC)
        authority = cls(directory, wall_s)
        authority.refresh()
        authority.issue_server()
        authority.issue_receiver()
        return authority

    # ---- what it holds ----------------------------------------------------------------------------

    def root(self, generation: int | None = None) -> Root:
        """A trusted root with its key; the newest unless named."""
        number = self.plan.generations[-1] if generation is None else generation
        return Root(self._certificate(number), self._key(self.directory / f"root-{number}.key"))

    def roots(self) -> list[x509.Certificate]:
        """The roots to be trusted, oldest first."""
        return [self._certificate(number) for number in self.plan.generations]

    def keys(self) -> KeyRing:
        """The acknowledgement keys."""
        path = self.directory / "ack-keys.toml"
        return parse_keys(self._content(path).decode("utf-8", errors="replace"), path)

    def registry(self) -> Registry:
        return Registry(self.directory / "registry.db")

    # ---- issuing ----------------------------------------------------------------------------------

    def sign_device(self, key: PublicKey, device: str) -> x509.Certificate:
        """A certificate of the newest root. The caller puts it into the registry."""
        if not DEVICE_ID.fullmatch(device):
            raise TrustError(f"device {device[:80]!r}: use 1 to 64 of A-Z a-z 0-9 _ -")
        return issue_client(self.root(), key, device, self._wall_s(), self.plan.device_days)

    def issue_receiver(self) -> None:
        """receiver.pem and receiver.key, new."""
        key = new_key()
        certificate = issue_client(self.root(), key.public_key(), RECEIVER, self._wall_s(), SERVER_DAYS)
        self._store("receiver", RECEIVER, certificate, key_pem(key))

    def issue_server(self, hosts: Sequence[str] | None = None) -> None:
        """server.pem and server.key, new, for ``hosts`` (None: as before), by the root that servers show."""
        if hosts is not None:
            self._replace(msgspec.structs.replace(self.plan, hosts=tuple(hosts)))
        key = new_key()
        root = self.root(self.plan.serving)
        certificate = issue_server(root, key.public_key(), self.plan.hosts, self._wall_s(), SERVER_DAYS)
        self._store("server", self.plan.hosts[0], certificate, key_pem(key))

    def tend(self) -> list[str]:
        """Certificates of server and receiver that are past two thirds of their lifetime are issued anew; which."""
        renewed = []
        for name, issue in (("server", self.issue_server), ("receiver", self.issue_receiver)):
            certificate = read_certificates(self._content(self.directory / f"{name}.pem"))[0]
            lifetime = Lifetime(starts_s(certificate), ends_s(certificate), fingerprint(certificate))
            if lifetime.state(self._wall_s()) is not State.FRESH:
                issue()
                renewed.append(name)
        if renewed:
            self.tell_broker()
        return renewed

    def revoke(self, what: str, reason: str) -> int:
        """By name or serial; how many certificates that were valid are not any more. The broker is told."""
        with self.registry() as registry:
            count = registry.revoke(what, self._wall_s(), reason)
            registry.note(self._wall_s(), "revoked", what, None, f"{count} certificates: {reason}")
        self.refresh()
        self.tell_broker()
        return count

    # ---- generations ------------------------------------------------------------------------------

    def rotate(self) -> int:
        """A new root, trusted beside the present one; it signs terminals from now on. Its number."""
        if len(self.plan.generations) > 1:
            raise TrustError("two roots are trusted already; finish that first: outrider ca rotate DIR --retire")
        number = self.plan.generations[-1] + 1
        _write_root(self.directory, number, make_root(f"{self.plan.name} {number}", self._wall_s(), ROOT_DAYS))
        self._replace(msgspec.structs.replace(self.plan, generations=(*self.plan.generations, number)))
        self.refresh()
        self.tell_broker()
        return number

    def serve_newest(self) -> None:
        """Servers and receivers show certificates of the newest root. Lists and roots first: a rotation that was cut
        short may not have written them."""
        self.refresh()
        self._replace(msgspec.structs.replace(self.plan, serving=self.plan.generations[-1]))
        self.issue_server()
        self.issue_receiver()
        self.tell_broker()

    def unaware(self) -> list[str]:
        """Devices with a certificate of an older root only, valid or still to be renewed (a car that stands in a
        garage): they have not learnt of the newest one yet."""
        newest, since_s = root_id(self.root().certificate), self._wall_s() - GRACE_DAYS * DAY_S
        with self.registry() as registry:
            valid = [
                one
                for one in registry.all_issued()
                if one.purpose == "device" and one.revoked_s is None and one.ends_s > since_s
            ]
        aware = {one.name for one in valid if one.issuer == newest}
        return sorted({one.name for one in valid} - aware)

    def retire(self) -> None:
        """Only the newest root is trusted from now on."""
        if self.plan.serving != self.plan.generations[-1]:
            raise TrustError("servers still show the old root; first: outrider ca rotate DIR --servers")
        self._replace(msgspec.structs.replace(self.plan, generations=self.plan.generations[-1:]))
        self.refresh()
        self.tell_broker()

    # ---- leaves -----------------------------------------------------------------------------------

    def refresh(self) -> None:
        """roots.pem and crl.pem as they should be now."""
        write_whole(self.directory / "roots.pem", certificates_pem(self.roots()), PUBLIC)
        with self.registry() as registry:
            lists = [self._revocations(registry, self.root(number)) for number in self.plan.generations]
        write_whole(self.directory / "crl.pem", b"".join(lists), PUBLIC)

    def tell_broker(self) -> bool:
        """SIGHUP to the mosquitto of ``mosquitto.pid``, if that is one; also in ``told``. False: nobody was told."""
        self.told = self._signal_broker()
        return self.told

    def _signal_broker(self) -> bool:
        content = (read_whole(self.directory / "mosquitto.pid") or b"").strip()
        if not content.isdigit():
            return False
        try:
            name = (Path("/proc") / content.decode() / "comm").read_text(encoding="utf-8").strip()
            if name != "mosquitto":
                return False
            os.kill(int(content), signal.SIGHUP)
        except OSError:
            return False
        return True

    def _revocations(self, registry: Registry, root: Root) -> bytes:
        revoked = registry.revoked(root_id(root.certificate), self._wall_s())
        listed = revocation_list(root, revoked, self._wall_s(), CRL_DAYS)
        return listed.public_bytes(serialization.Encoding.PEM)

    def _store(self, purpose: str, name: str, certificate: x509.Certificate, key: bytes) -> None:
        write_whole(self.directory / f"{purpose}.key", key)
        write_whole(self.directory / f"{purpose}.pem", certificates_pem([certificate]), PUBLIC)
        with self.registry() as registry:
            registry.remember(purpose, name, certificate)

    def _replace(self, plan: Plan) -> None:
        write_whole(self.directory / "authority.json", msgspec.json.encode(plan), PUBLIC)
        self.plan = plan

    def _certificate(self, number: int) -> x509.Certificate:
        path = self.directory / f"root-{number}.pem"
        content = self._content(path)
        try:
            return read_certificates(content)[0]
        except TrustError as err:
            raise TrustError(str(err), path=path) from None

    def _key(self, path: Path) -> Key:
        content = self._content(path)
        try:
            return read_key(content)
        except TrustError as err:
            raise TrustError(str(err), path=path) from None

    def _content(self, path: Path) -> bytes:
        content = read_whole(path)
        if content is None:
            raise TrustError("is missing", path=path)
        return content


def _write_root(directory: Path, number: int, root: Root) -> None:
    write_whole(directory / f"root-{number}.key", key_pem(root.key))
    write_whole(directory / f"root-{number}.pem", certificates_pem([root.certificate]), PUBLIC)
