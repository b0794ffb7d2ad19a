"""The terminal's identity inside the daemon: it enrols when it can, renews when it should, tells when it could not.

``IdentityKeeper`` also says what the rest of the daemon is configured with: device id, broker, key as enrolled. Until
then there is no uplink and records stay here; once the terminal is enrolled, ``restart`` asks the caller to run the
daemon anew (once in a terminal's life).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from outrider.config import Config
from outrider.config import Uplink as UplinkSection
from outrider.errors import ConfigError, LinkError, OutriderError, TrustError
from outrider.files_io import read_text
from outrider.model.notice import Notice, NoticeCode, NoticeLevel
from outrider.ports import Clock

if TYPE_CHECKING:
    from outrider.trust.identity_io import DeviceIdentity
    from outrider.trust.provisioning import Provisioning

LOOK_S: Final = 2.0
ENROL_RETRY_S: Final = 30.0
ENROL_RETRY_CAP_S: Final = 600.0
LIFETIME_US: Final = 60_000_000  # between looks at how old the certificate is
DAY_US: Final = 86_400_000_000

log = logging.getLogger(__name__)


class Connection(Protocol):
    """What is asked of the uplink: whether the broker has taken the present connection."""

    def status(self) -> Any: ...


def identity_directory(config: Config, base: Path) -> Path:
    """Where the identity is, by the configuration."""
    named = config.identity.directory if config.identity is not None else None
    return base / config.terminal.data_directory / "identity" if named is None else base / named


def read_provisioning(path: Path) -> Provisioning:
    """The provisioning file; TrustError names what is wrong with it."""
    from outrider.trust.provisioning import parse_provisioning

    try:
        return parse_provisioning(read_text(path, 64 * 1024), path)
    except OSError as err:
        raise TrustError(f"cannot be read: {err.strerror}", path=path) from None
    except UnicodeDecodeError as err:
        raise TrustError(f"not UTF-8 text at byte {err.start}", path=path) from None


def enrolled_config(config: Config, identity: DeviceIdentity) -> Config:
    """The configuration with what enrolment gave filled in; without an uplink while the terminal is not enrolled."""
    if not identity.enrolled:
        return msgspec.structs.replace(config, uplink=None)
    device = identity.device
    _check_device(config, device, "the certificate is that of")
    section = config.uplink or UplinkSection()
    if not section.host:
        broker, *others = identity.settings().brokers
        names = tuple(
            f"[{other.host}]:{other.port}" if ":" in other.host else f"{other.host}:{other.port}" for other in others
        )
        section = msgspec.structs.replace(section, host=broker.host, port=broker.port, brokers=section.brokers or names)
    terminal = msgspec.structs.replace(config.terminal, device=device)
    return msgspec.structs.replace(config, terminal=terminal, uplink=section)


def check_usable(config: Config, identity: DeviceIdentity) -> None:
    """TrustError unless everything that a connection needs can be read; what [uplink] names itself is not needed."""
    identity.context(identity.current)
    section = config.uplink
    if section is None or not section.host or section.ack_key_file is None:
        identity.settings()


def describe(identity: DeviceIdentity) -> dict[str, Any]:
    """What ``outrider identity show --json`` prints. TrustError when the terminal is not enrolled."""
    from outrider.trust.certificates import ends_s, pin_of

    held = identity.held()
    now_s, clock_known = identity.now_s()
    return {
        "device": identity.device,
        "fingerprint": held.lifetime.fingerprint,
        "starts": _day(held.lifetime.starts_s),
        "ends": _day(held.lifetime.ends_s),
        "due": _day(held.lifetime.due_s),
        "state": held.lifetime.state(now_s).value,
        "clock_known": clock_known,
        "key": {"kind": "file", "file": str(identity.current), "private": identity.private()},
        "roots": [{"pin": pin_of(root), "ends": _day(ends_s(root))} for root in identity.trusted()],
        "brokers": [{"host": one.host, "port": one.port} for one in identity.settings().brokers],
        "unconfirmed": identity.previous.exists(),
    }


@dataclass(slots=True)
class _Attempts:
    """How often something failed in a row, and when it may be tried again (CLOCK_BOOTTIME)."""

    failures: int = 0
    next_us: int = 0

    def failed(self, now_us: int, wait_s: float) -> None:
        self.failures += 1
        self.next_us = now_us + round(wait_s * 1e6)

    def clear(self) -> None:
        self.failures = self.next_us = 0


class IdentityKeeper:
    """See the module. Inert without a section ``[identity]``."""

    def __init__(self, config: Config, base: Path, clock: Clock, on_notice: Callable[[Notice], None]) -> None:
        self.config = config
        self._given = config
        self.identity: DeviceIdentity | None = None
        self.restart = False
        self._base = base
        self._clock = clock
        self._on_notice = on_notice
        self._section = config.identity
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._uplink: Connection | None = None
        self._claims = _Attempts()
        self._renewals = _Attempts()  # apart: a claim that is refused must not keep a certificate from being renewed
        self._tried: Provisioning | None = None  # what was claimed last; another one is claimed at once
        self._looked_us: int | None = None
        self._told_us: int | None = None
        self._last_error: str | None = None
        if config.identity is not None:
            from outrider.trust.identity_io import DeviceIdentity

            wall_s = lambda: clock.utc_us() / 1e6  # noqa: E731
            self.identity = DeviceIdentity(identity_directory(config, base), wall_s)
            self.config = self._configured(self.identity)

    def _configured(self, identity: DeviceIdentity) -> Config:
        """An identity that cannot be used (damaged flash) keeps records here; it does not keep the car from being
        recorded."""
        try:
            if identity.enrolled:
                check_usable(self.config, identity)
            return enrolled_config(self.config, identity)
        except (TrustError, OSError) as err:
            self._say(err)
            return msgspec.structs.replace(self.config, uplink=None)

    @property
    def enrolled(self) -> DeviceIdentity | None:
        """The identity, if there is one to connect with."""
        return self.identity if self.identity is not None and self.config.uplink is not None else None

    def start(self, uplink: Connection | None) -> None:
        if self.identity is None:
            return
        self._uplink = uplink
        self._thread = threading.Thread(target=self._run, name="identity", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """An exchange that hangs is left behind: it holds nothing, and whatever it was at is taken up again."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=2.0)

    def status(self) -> dict[str, Any] | None:
        if self.identity is None:
            return None
        document: dict[str, Any] = {"enrolled": self.identity.enrolled, "last_error": self._last_error}
        if self.identity.enrolled:
            try:
                held = self.identity.held().lifetime
                document |= {"fingerprint": held.fingerprint, "ends_utc_s": held.ends_s, "due_utc_s": held.due_s}
                document["state"] = held.state(self.identity.now_s()[0]).value
            except OutriderError as err:
                document["last_error"] = str(err)
        return document

    # ---- its thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        assert self.identity is not None
        while not self._stop.is_set() and not self.restart:
            try:
                self.look(self.identity)
            except Exception as err:  # noqa: BLE001  whatever it was, the terminal goes on, and tries again later
                self._say(err)
            self._stop.wait(LOOK_S)

    def look(self, identity: DeviceIdentity) -> None:
        """What is to be done now. Called every LOOK_S."""
        now_us = self._clock.boottime_us()
        if not identity.enrolled:
            self._enrol(identity, now_us)
            return
        if self.config.uplink is None:  # it was damaged, or somebody has enrolled it meanwhile
            self._claim_again(identity, now_us)
            check_usable(self._given, identity)
            enrolled_config(self._given, identity)  # ConfigError for another device: running anew would end in it
            self.restart = True
            return
        self._confirm(identity)
        if self._looked_us is None or now_us - self._looked_us >= LIFETIME_US:
            self._looked_us = now_us
            self._claim_again(identity, now_us)
            self._watch_lifetime(identity, now_us)

    def _claim_again(self, identity: DeviceIdentity, now_us: int) -> None:
        """A provisioning file with a new token replaces an identity, one of no use any more above all."""
        from outrider.trust.enrol_io import is_claimed

        assert self._section is not None
        if self._section.provisioning is None:
            return
        try:
            given = read_provisioning(self._base / self._section.provisioning)
            if is_claimed(identity, given):
                return
        except TrustError:
            return  # deleted after use, as is right, or of no use
        if self._claim(identity, given, now_us):
            log.info("identity: enrolled anew as %s", given.device)

    def _claim(self, identity: DeviceIdentity, given: Provisioning, now_us: int) -> bool:
        """One attempt, when it is time for one: soon again where the server did not answer, or not now; in hours where
        it refused for good."""
        from outrider.app.enrolment import est_client
        from outrider.trust.client_io import Refused
        from outrider.trust.enrol_io import enrol
        from outrider.trust.renewal import retry_s

        attempts = self._claims
        if given != self._tried:
            attempts.clear()
        if now_us < attempts.next_us:
            return False
        self._tried = given
        try:
            enrol(identity, given, est_client(self._given, self._base, given.url))
        except Exception as err:  # noqa: BLE001  whatever it was, the server is not to be asked every other second
            soon = not err.for_good if isinstance(err, Refused) else isinstance(err, LinkError)
            doubling_s = min(ENROL_RETRY_CAP_S, ENROL_RETRY_S * 2.0 ** min(attempts.failures, 8))
            attempts.failed(now_us, doubling_s if soon else retry_s(attempts.failures + 1))
            self._say(err)
            return False
        attempts.clear()
        self._last_error = None
        return True

    def _confirm(self, identity: DeviceIdentity) -> None:
        if self._uplink is None or not identity.previous.exists():
            return
        if self._uplink.status().connected and identity.connected():
            log.info("identity: the broker has taken the renewed certificate; the old one is gone")

    def _enrol(self, identity: DeviceIdentity, now_us: int) -> None:
        assert self._section is not None
        if self._section.provisioning is None:
            self._last_error = "not enrolled; run: outrider identity enrol --from FILE"
            return
        given = read_provisioning(self._base / self._section.provisioning)
        _check_device(self._given, given.device, "the provisioning file is for")
        if self._claim(identity, given, now_us):
            log.info("identity: enrolled as %s", given.device)
            self.restart = True

    def _watch_lifetime(self, identity: DeviceIdentity, now_us: int) -> None:
        from outrider.trust.renewal import State, retry_s

        state = identity.held().lifetime.state(identity.now_s()[0])
        if state is not State.FRESH and now_us >= self._renewals.next_us:
            try:
                self._renew(identity)
                return
            except Exception as err:  # noqa: BLE001  that it is going to expire must be told whatever the reason is
                self._renewals.failed(now_us, retry_s(self._renewals.failures + 1))
                self._say(err)
        if state in {State.EXPIRING, State.EXPIRED} and (self._told_us is None or now_us - self._told_us >= DAY_US):
            self._told_us = now_us
            self._tell(NoticeCode.CERTIFICATE_EXPIRING, identity, expired=state is State.EXPIRED)

    def _renew(self, identity: DeviceIdentity) -> None:
        from outrider.app.enrolment import est_client
        from outrider.trust.enrol_io import enrolled_at, renew

        renew(identity, est_client(self._given, self._base, enrolled_at(identity)))
        self._renewals.clear()
        self._told_us = None
        self._last_error = None
        self._tell(NoticeCode.CERTIFICATE_RENEWED, identity)

    def _tell(self, code: NoticeCode, identity: DeviceIdentity, *, expired: bool = False) -> None:
        held = identity.held().lifetime
        level = NoticeLevel.INFO if code is NoticeCode.CERTIFICATE_RENEWED else NoticeLevel.WARNING
        detail = [("certificate", held.fingerprint[:16]), ("ends_utc_s", str(held.ends_s))]
        if code is NoticeCode.CERTIFICATE_EXPIRING:
            detail.append(("failures", str(self._renewals.failures)))
        self._on_notice(Notice(code, NoticeLevel.ERROR if expired else level, tuple(detail)))

    def _say(self, err: Exception) -> None:
        if str(err) != self._last_error:
            log.warning("identity: %s", err)
        self._last_error = str(err)


def _check_device(config: Config, device: str, what: str) -> None:
    """One name for one terminal; the default names nobody."""
    told = config.terminal.device
    if told not in {type(config.terminal)().device, device}:
        raise ConfigError(f"[terminal] device is {told!r}, {what} {device!r}; remove one of them")


def _day(utc_s: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(utc_s, UTC).strftime("%Y-%m-%d")
