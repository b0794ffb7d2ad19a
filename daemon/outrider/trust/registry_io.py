"""The enrolment server's memory, one SQLite file: claim tokens (hashed), certificates issued and revoked, audit.

Claiming a token and storing the certificate it was good for are one transaction: a token is used exactly when there is
a certificate for it. Several processes may use the file (the server, ``outrider enrol token``, ``outrider ca revoke``).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from cryptography import x509

from outrider.errors import TrustError
from outrider.files_io import make_private
from outrider.trust.certificates import (
    PublicKey,
    certificates_pem,
    ends_s,
    key_fingerprint,
    read_certificates,
    starts_s,
)

SCHEMA: Final = 1
AUDIT_ROWS: Final = 100_000
BUSY_S: Final = 20.0

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS tokens (
    hash TEXT PRIMARY KEY, device TEXT NOT NULL, created_s INTEGER NOT NULL, expires_s INTEGER NOT NULL,
    used_s INTEGER, key TEXT, serial TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS certificates (
    serial TEXT PRIMARY KEY, purpose TEXT NOT NULL, name TEXT NOT NULL, key TEXT NOT NULL, issuer TEXT NOT NULL,
    starts_s INTEGER NOT NULL, ends_s INTEGER NOT NULL, pem BLOB NOT NULL, revoked_s INTEGER, reason TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS certificates_by_name ON certificates (name, key);
CREATE TABLE IF NOT EXISTS audit (
    id INTEGER PRIMARY KEY, utc_s INTEGER NOT NULL, what TEXT NOT NULL, device TEXT, remote TEXT, detail TEXT
) STRICT;
"""

Issue = Callable[[], x509.Certificate]


class Claim(Enum):
    """What came of a token."""

    GRANTED = "granted"
    REPEATED = "repeated"  # the same key again: the answer was lost on its way
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    USED = "used"
    OTHER_DEVICE = "other-device"


@dataclass(frozen=True, slots=True)
class Token:
    """One claim token as it is remembered. Times in seconds since 1970."""

    device: str
    created_s: int
    expires_s: int
    used_s: int | None


@dataclass(frozen=True, slots=True)
class Issued:
    """One certificate as it is remembered. purpose: device, receiver or server; serial: hex; issuer: the root's
    fingerprint."""

    serial: str
    purpose: str
    name: str
    issuer: str
    starts_s: int
    ends_s: int
    revoked_s: int | None
    reason: str | None
    pem: bytes

    @property
    def certificate(self) -> x509.Certificate:
        return read_certificates(self.pem)[0]


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the audit."""

    utc_s: int
    what: str
    device: str | None
    remote: str | None
    detail: str | None


class Registry:
    """See the module. TrustError when the file is none of ours; sqlite3 errors come out as OSError."""

    def __init__(self, path: Path) -> None:
        make_private(path)
        self._path = path
        with self._naming():
            self._db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
            # not WAL: several processes write, and SQLite before 3.51.3 can then lose a commit
            self._db.execute("PRAGMA journal_mode = DELETE")
            self._db.execute("PRAGMA synchronous = EXTRA")
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version not in {0, SCHEMA}:
                raise TrustError(f"is of version {version}, this software knows {SCHEMA}", path=path)
            self._db.executescript(_TABLES + f"PRAGMA user_version = {SCHEMA};")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self._db.close()

    # ---- tokens -----------------------------------------------------------------------------------

    def add_token(self, token_hash: str, device: str, now_s: float, expires_s: float) -> None:
        with self._transaction() as db:
            values = (token_hash, device, int(now_s), int(expires_s))
            db.execute("INSERT INTO tokens (hash, device, created_s, expires_s) VALUES (?, ?, ?, ?)", values)

    def tokens(self) -> list[Token]:
        """The newest first."""
        rows = self._rows("SELECT device, created_s, expires_s, used_s FROM tokens ORDER BY created_s DESC, device")
        return [Token(*row) for row in rows]

    def drop_tokens(self, device: str) -> int:
        """Unused tokens of a device are worth nothing any more; how many there were."""
        with self._transaction() as db:
            return db.execute("DELETE FROM tokens WHERE device = ? AND used_s IS NULL", (device,)).rowcount

    def claim(
        self, token_hash: str, device: str, key: PublicKey, now_s: float, issue: Issue
    ) -> tuple[Claim, x509.Certificate | None]:
        """Use the token up and remember what ``issue`` makes, or say why not. Older certificates of the device are
        revoked then: whoever holds a token speaks for the device from now on."""
        wanted = key_fingerprint(key)
        with self._transaction() as db:
            row = db.execute(
                "SELECT device, expires_s, used_s, key, serial FROM tokens WHERE hash = ?", (token_hash,)
            ).fetchone()
            if row is None:
                return Claim.UNKNOWN, None
            bound, expires_s, used_s, used_key, serial = row
            if bound != device:
                return Claim.OTHER_DEVICE, None
            if used_s is not None:
                known = self.issued(serial) if used_key == wanted else None
                return (Claim.USED, None) if known is None else (Claim.REPEATED, known.certificate)
            if now_s >= expires_s:
                return Claim.EXPIRED, None
            certificate = issue()
            self._revoke(db, "name = ?1 AND purpose = 'device'", device, now_s, "superseded")
            self._remember(db, "device", device, certificate)
            db.execute(
                "UPDATE tokens SET used_s = ?, key = ?, serial = ? WHERE hash = ?",
                (int(now_s), wanted, f"{certificate.serial_number:x}", token_hash),
            )
            return Claim.GRANTED, certificate

    # ---- certificates -----------------------------------------------------------------------------

    def remember(self, purpose: str, name: str, certificate: x509.Certificate) -> None:
        with self._transaction() as db:
            self._remember(db, purpose, name, certificate)

    def issued(self, serial: str) -> Issued | None:
        found = self._issued("serial = ?", serial)
        return found[0] if found else None

    def issued_for_key(self, device: str, key: PublicKey) -> Issued | None:
        """The newest certificate of this device and key that is not revoked."""
        found = [one for one in self._issued("name = ? AND key = ?", device, key_fingerprint(key)) if not one.revoked_s]
        return found[0] if found else None

    def all_issued(self, name: str | None = None) -> list[Issued]:
        """The newest first."""
        return self._issued("1") if name is None else self._issued("name = ?", name)

    def revoke(self, what: str, now_s: float, reason: str) -> int:
        """All certificates of a name, or the one with that serial; how many were valid until now."""
        with self._transaction() as db:
            return self._revoke(db, "(serial = ?1 OR name = ?1)", what, now_s, reason)

    def revoked(self, issuer: str, now_s: float) -> list[tuple[int, float]]:
        """(serial, when) of what a root has signed and is revoked; what has ended is refused without a list."""
        where = "issuer = ? AND revoked_s IS NOT NULL AND ends_s > ?"
        rows = self._rows(f"SELECT serial, revoked_s FROM certificates WHERE {where}", (issuer, int(now_s)))
        return [(int(serial, 16), float(revoked_s)) for serial, revoked_s in rows]

    # ---- audit ------------------------------------------------------------------------------------

    def note(self, now_s: float, what: str, device: str | None, remote: str | None, detail: str | None = None) -> None:
        """A line of the audit; the newest AUDIT_ROWS are kept. Never give it a token or a key."""
        with self._transaction() as db:
            values = (int(now_s), what, device, remote, detail)
            last = db.execute(
                "INSERT INTO audit (utc_s, what, device, remote, detail) VALUES (?, ?, ?, ?, ?)", values
            ).lastrowid
            db.execute("DELETE FROM audit WHERE id <= ?", ((last or 0) - AUDIT_ROWS,))

    def audit(self, limit: int = 100) -> list[Entry]:
        """The newest first."""
        rows = self._rows("SELECT utc_s, what, device, remote, detail FROM audit ORDER BY id DESC LIMIT ?", (limit,))
        return [Entry(*row) for row in rows]

    # ---- leaves -----------------------------------------------------------------------------------

    def _remember(self, db: sqlite3.Connection, purpose: str, name: str, certificate: x509.Certificate) -> None:
        key = certificate.public_key()
        assert not isinstance(key, bytes)
        values = (
            f"{certificate.serial_number:x}",
            purpose,
            name,
            key_fingerprint(key),  # type: ignore[arg-type]  # only P-256 keys are ever certified here
            _issuer_id(certificate),
            starts_s(certificate),
            ends_s(certificate),
            certificates_pem([certificate]),
        )
        db.execute(
            "INSERT INTO certificates (serial, purpose, name, key, issuer, starts_s, ends_s, pem) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            values,
        )

    def _revoke(self, db: sqlite3.Connection, where: str, what: str, now_s: float, reason: str) -> int:
        """``where`` is one of this module's own conditions on ``what``, ?1."""
        condition = f"UPDATE certificates SET revoked_s = ?2, reason = ?3 WHERE revoked_s IS NULL AND {where}"
        changed = db.execute(condition, (what, int(now_s), reason))
        return changed.rowcount

    def _issued(self, where: str, *values: str) -> list[Issued]:
        rows = self._rows(
            "SELECT serial, purpose, name, issuer, starts_s, ends_s, revoked_s, reason, pem FROM certificates "
            f"WHERE {where} ORDER BY starts_s DESC, rowid DESC",
            values,
        )
        return [_issued_row(row) for row in rows]

    def _rows(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        with self._naming():
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._naming():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")  # busy (a reader that stays), full: what is open then must not stay open
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    @contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as err:
            raise OSError(5, f"the registry cannot be used: {err}", str(self._path)) from None


def _issued_row(row: tuple[Any, ...]) -> Issued:
    serial, purpose, name, issuer, starts, ends, revoked, reason, pem = row
    return Issued(serial, purpose, name, issuer, starts, ends, revoked, reason, pem)


def _issuer_id(certificate: x509.Certificate) -> str:
    """The signing root, by its key identifier: two generations may bear one name."""
    extension = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    return (extension.key_identifier or b"").hex()


def root_id(root: x509.Certificate) -> str:
    """How ``Issued.issuer`` names a root."""
    return root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest.hex()
