"""The daemon's keeper: enrols when it can, renews when it is due, says so; and what the configuration becomes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from outrider.app.identity import IdentityKeeper, describe
from outrider.app.options import uplink_options
from outrider.clock import ManualClock
from outrider.config import Config, parse_config
from outrider.errors import ConfigError
from outrider.model.notice import Notice, NoticeCode, NoticeLevel
from outrider.trust.enrol_io import enrol
from outrider.trust.identity_io import DeviceIdentity
from outrider.trust.provisioning import render_provisioning
from tests.support.identity import NOW_S, Enrolment, Wall, enrolment

TEXT = "[terminal]\ndata_directory = 'data'\n[identity]\nprovisioning = 'bus.toml'\n"
DAY_S = 86_400


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def served(tmp_path: Path, wall: Wall) -> Iterator[Enrolment]:
    with enrolment(tmp_path / "ca", wall) as found:
        yield found


@dataclass
class Desk:
    """A keeper on a clock of its own, looked at by hand."""

    base: Path
    wall: Wall
    text: str = TEXT
    notices: list[Notice] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = ManualClock(utc_us=int(self.wall() * 1e6))
        self.keeper = self.anew()

    def anew(self) -> IdentityKeeper:
        return IdentityKeeper(parse_config(self.text, Path("x.toml")), self.base, self.clock, self.notices.append)

    @property
    def identity(self) -> DeviceIdentity:
        assert self.keeper.identity is not None
        return self.keeper.identity

    def look(self) -> None:
        try:
            self.keeper.look(self.identity)
        except Exception as err:  # noqa: BLE001  as its thread does
            self.keeper._say(err)

    def pass_days(self, days: float) -> None:
        self.clock.advance(days * DAY_S)
        self.wall.now_s += days * DAY_S


def test_without_the_section_nothing_changes(tmp_path: Path) -> None:
    """Inert: the configuration as it is, nothing started."""
    config = parse_config("[uplink]\nhost = 'b'", Path("x.toml"))
    keeper = IdentityKeeper(config, tmp_path, ManualClock(), lambda _notice: None)
    keeper.start(None)
    keeper.stop()
    assert keeper.config is config
    assert keeper.enrolled is None
    assert keeper.status() is None


def test_a_new_terminal_enrols_as_soon_as_the_server_answers(tmp_path: Path, served: Enrolment, wall: Wall) -> None:
    """No uplink before; a server that is not there is asked again at growing intervals; then the daemon runs anew."""
    desk = Desk(tmp_path, wall)
    assert desk.keeper.config.uplink is None
    desk.look()
    assert "cannot be read" in str((desk.keeper.status() or {})["last_error"])
    given = served.provisioning("bus-17", days=5)
    (tmp_path / "bus.toml").write_text(render_provisioning(given).replace(str(served.port), "1"), encoding="ascii")
    desk.look()
    assert "localhost:1" in str((desk.keeper.status() or {})["last_error"])
    waits = []
    for _turn in range(4):
        desk.look()  # not yet again
        waits.append((desk.keeper._claims.next_us - desk.clock.boottime_us()) / 1e6)
        desk.clock.advance(waits[-1])
        desk.look()
    assert waits == [30, 60, 120, 240]
    (tmp_path / "bus.toml").write_text(render_provisioning(given), encoding="ascii")
    desk.look()  # another file: at once
    assert desk.keeper.restart
    again = desk.anew()
    assert again.config.terminal.device == "bus-17"
    assert again.config.uplink is not None
    assert (again.config.uplink.host, again.config.uplink.port) == ("localhost", 8883)
    assert again.enrolled is not None
    options = uplink_options(again.config.uplink, "bus-17", tmp_path, again.enrolled)
    assert options.ack_key == served.authority.keys().key("bus-17")
    assert callable(options.tls)


def enrolled(tmp_path: Path, served: Enrolment, wall: Wall, text: str = TEXT) -> Desk:
    enrol(DeviceIdentity(tmp_path / "data" / "identity", wall), served.provisioning("bus-17"))
    return Desk(tmp_path, wall, text)


def test_it_renews_at_two_thirds_and_says_so(tmp_path: Path, served: Enrolment, wall: Wall) -> None:
    """Not before; once; with a notice; and the old certificate goes when the broker has taken the new one."""
    desk = enrolled(tmp_path, served, wall)
    first = desk.identity.fingerprint
    desk.pass_days(200)
    desk.look()
    assert desk.identity.fingerprint == first
    desk.pass_days(45)
    desk.look()
    second = desk.identity.fingerprint
    assert second != first
    assert [notice.code for notice in desk.notices] == [NoticeCode.CERTIFICATE_RENEWED]
    assert dict(desk.notices[0].detail)["certificate"] == second[:16]
    desk.look()
    assert desk.identity.fingerprint == second
    desk.keeper._uplink = SimpleNamespace(status=lambda: SimpleNamespace(connected=True))
    desk.look()
    assert desk.identity.previous.exists()  # that connection is of the old certificate
    desk.identity.tls()
    desk.look()
    assert not desk.identity.previous.exists()


def test_a_renewal_that_fails_is_repeated_and_told_before_it_is_too_late(
    tmp_path: Path, served: Enrolment, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hourly, then rarer; a warning from five sixths on, once a day; an error once it has expired."""
    desk = enrolled(tmp_path, served, wall)
    asked = []
    monkeypatch.setattr(
        "outrider.trust.enrol_io.renew", lambda *_given: asked.append(1) or (_ for _ in ()).throw(OSError("no"))
    )
    desk.pass_days(250)
    for _turn in range(3):
        desk.look()
    assert len(asked) == 1
    assert desk.notices == []
    desk.pass_days(0.05)
    desk.look()
    assert len(asked) == 2
    desk.pass_days(60)
    desk.look()
    desk.look()
    (warned,) = desk.notices
    assert (warned.code, warned.level) == (NoticeCode.CERTIFICATE_EXPIRING, NoticeLevel.WARNING)
    assert dict(warned.detail)["failures"] == "3"
    desk.pass_days(60)
    desk.look()
    assert desk.notices[-1].level is NoticeLevel.ERROR
    assert (desk.keeper.status() or {})["state"] == "expired"


def test_a_new_provisioning_file_is_claimed_by_the_running_daemon(
    tmp_path: Path, served: Enrolment, wall: Wall
) -> None:
    """A revoked terminal gets a new file: within a minute it is somebody again; a used file does nothing."""
    desk = enrolled(tmp_path, served, wall)
    served.authority.revoke("bus-17", "by mistake")
    (tmp_path / "bus.toml").write_text(render_provisioning(served.provisioning("bus-17")), encoding="ascii")
    before = desk.identity.fingerprint
    desk.look()
    after = desk.identity.fingerprint
    assert after != before
    for _turn in range(3):
        desk.pass_days(0.01)
        desk.look()
    assert desk.identity.fingerprint == after
    assert served.audit().count("enrol-granted") == 2


def test_a_damaged_identity_is_mended_by_a_new_provisioning_file(tmp_path: Path, served: Enrolment, wall: Wall) -> None:
    """Nobody has to remove anything: a new token is enough."""
    desk = enrolled(tmp_path, served, wall)
    desk.identity.current.write_bytes(b"\0" * 99)
    desk.keeper = desk.anew()
    desk.look()
    assert not desk.keeper.restart
    for _turn in range(30):  # a look each other second must not put the next claim off for ever
        desk.clock.advance(2)
        desk.look()
    (tmp_path / "bus.toml").write_text(render_provisioning(served.provisioning("bus-17")), encoding="ascii")
    desk.look()
    assert desk.keeper.restart
    assert desk.identity.device == "bus-17"


@pytest.mark.parametrize("days", [1, 0])
def test_a_used_up_provisioning_file_does_not_keep_it_from_renewing(
    tmp_path: Path, served: Enrolment, wall: Wall, days: int
) -> None:
    """An old file left in its place, or one whose token the server refuses: the certificate is renewed all the same."""
    old, newer = served.provisioning("bus-17"), served.provisioning("bus-17")
    enrol(DeviceIdentity(tmp_path / "data" / "identity", wall), old if days else newer)
    desk = enrolled(tmp_path, served, wall)  # by hand, with a third one
    (tmp_path / "bus.toml").write_text(render_provisioning(old), encoding="ascii")
    refused = 0 if days else 1
    wall.now_s += 0 if days else 2 * DAY_S  # it has expired
    desk.look()
    first = desk.identity.fingerprint
    assert sum(what.startswith("enrol-token") for what in served.audit()) == refused
    desk.pass_days(245)
    desk.look()
    assert desk.identity.fingerprint != first
    assert "renewed" in served.audit()


def test_an_identity_of_another_user_does_not_keep_the_car_from_being_recorded(
    tmp_path: Path, served: Enrolment, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory that may not be entered: said, and no uplink; the daemon starts."""
    desk = enrolled(tmp_path, served, wall)

    def refuse(*_given: object, **_options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", refuse)
    monkeypatch.setattr("outrider.trust.private_io.read_file", refuse)
    keeper = desk.anew()
    assert keeper.config.uplink is None
    assert "Permission denied" in str((keeper.status() or {})["last_error"])


@pytest.mark.parametrize("more", ["", "[uplink]\nhost = 'other'\n"])
def test_a_damaged_identity_does_not_keep_the_car_from_being_recorded(
    tmp_path: Path, served: Enrolment, wall: Wall, more: str
) -> None:
    """No uplink, an error in the status; mended (or enrolled by hand) while the daemon runs, it is used."""
    desk = enrolled(tmp_path, served, wall, TEXT + more)
    for path in (desk.identity.current, desk.identity.roots, desk.identity.settings_file):
        kept = path.read_bytes()
        path.write_bytes(b"\0" * 9)
        desk.keeper = desk.anew()
        assert desk.keeper.config.uplink is None
        assert desk.keeper.enrolled is None
        assert path.name in str((desk.keeper.status() or {})["last_error"])
        desk.look()
        assert not desk.keeper.restart
        path.write_bytes(kept)
        desk.look()
        assert desk.keeper.restart


def test_a_token_for_another_device_than_the_configured_one_is_not_used_up(
    tmp_path: Path, served: Enrolment, wall: Wall
) -> None:
    """The mistake is said before the server is asked; nor does the daemon run anew into it."""
    (tmp_path / "bus.toml").write_text(render_provisioning(served.provisioning("bus-17")), encoding="ascii")
    desk = Desk(tmp_path, wall, TEXT.replace("[terminal]", "[terminal]\ndevice = 'bus-18'"))
    desk.look()
    assert "'bus-18', the provisioning file is for 'bus-17'" in str((desk.keeper.status() or {})["last_error"])
    assert served.audit() == []
    enrol(desk.identity, served.provisioning("bus-17"))
    desk.look()
    assert not desk.keeper.restart
    assert "the certificate is that of 'bus-17'" in str((desk.keeper.status() or {})["last_error"])


def test_a_refusal_for_a_while_is_asked_again_soon(tmp_path: Path, served: Enrolment, wall: Wall) -> None:
    """429 of a server that was guessed at from the same address: minutes, not hours."""
    desk = Desk(tmp_path, wall)
    (tmp_path / "bus.toml").write_text(render_provisioning(served.provisioning("bus-17", days=9)), encoding="ascii")
    for _number in range(10):
        served.desk.limit.fail("127.0.0.1", wall())
    desk.look()
    assert "(429)" in str((desk.keeper.status() or {})["last_error"])
    wall.now_s += 60
    desk.clock.advance(60)
    desk.look()
    assert desk.keeper.restart


def test_what_the_configuration_says_goes_first(tmp_path: Path, served: Enrolment, wall: Wall) -> None:
    """Host and key of [uplink]; but a device that is not the certificate's is a mistake."""
    (tmp_path / "ack.key").write_text("cd" * 32, encoding="ascii")
    desk = enrolled(tmp_path, served, wall, TEXT + "[uplink]\nhost = 'other'\nport = 1\nack_key_file = 'ack.key'")
    section = desk.keeper.config.uplink
    assert section is not None
    assert (section.host, section.port) == ("other", 1)
    assert uplink_options(section, "bus-17", tmp_path, desk.identity).ack_key == b"\xcd" * 32
    with pytest.raises(ConfigError, match="'bus-18', the certificate is that of 'bus-17'"):
        Desk(tmp_path, wall, TEXT.replace("[terminal]", "[terminal]\ndevice = 'bus-18'"))


@pytest.mark.parametrize("more", ["ca_file = 'x'", "certificate_file = 'x'", "key_file = 'x'", "tls = false"])
def test_what_contradicts_an_identity_is_refused(more: str) -> None:
    """One source of certificates."""
    with pytest.raises(ConfigError, match=r"\[identity\]"):
        parse_config(TEXT + f"[uplink]\n{more}\n", Path("x.toml"))
    assert isinstance(parse_config(TEXT + "[uplink]\nkeepalive_s = 30\n", Path("x.toml")), Config)


def test_what_is_shown_holds_no_key(tmp_path: Path, served: Enrolment, wall: Wall) -> None:
    """Where the key is, not what it is."""
    desk = enrolled(tmp_path, served, wall)
    text = str(describe(desk.identity)) + str(desk.keeper.status())
    assert desk.identity.settings().ack_key not in text
    assert "PRIVATE" not in text
    assert describe(desk.identity)["key"]["private"] is True
    desk.identity.current.chmod(0o644)
    assert describe(desk.identity)["key"]["private"] is False


def test_a_fault_in_the_keeper_is_an_error_in_its_status(tmp_path: Path, served: Enrolment, wall: Wall) -> None:
    """Its thread goes on whatever happens: here the certificate becomes unreadable."""
    desk = enrolled(tmp_path, served, wall)
    kept = desk.identity.current.read_bytes()
    desk.identity.current.write_bytes(b"gone")
    desk.look()
    assert "current.pem" in str((desk.keeper.status() or {})["last_error"])
    desk.identity.current.write_bytes(kept)
    assert wall() == NOW_S
    desk.look()
    assert (desk.keeper.status() or {})["state"] == "fresh"
