"""The configuration file: defaults, units, and mistakes named with their place."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.config import Config, config_document, load_config, parse_config
from outrider.errors import ConfigError

FILE = Path("outrider.toml")


def test_empty_file_is_the_defaults() -> None:
    """A missing key has its documented default."""
    assert parse_config("", FILE) == Config()
    assert config_document(Config())["journal"]["telemetry_commit_s"] == 10.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[uplnk]\nhost='x'", "did you mean 'uplink'"),
        ("[[can]]\ninterface='slcan'\nframes='profile'", "is for interface"),
        ("[[can]]\nframes='profile'\noptions={can_filters=[]}", "exclude each other"),
        ("[[can]]\nframes='some'", '(at can[0].frames); use "all" or "profile"'),
        ("[uplink]\nhost='x'\nack='nobody'", '(at uplink.ack); use "broker" or "receiver"'),
        ("[journal]\ntelemetry_commit_moving_fast_s=1", "did you mean 'telemetry_commit_moving_s'"),
        (
            "[uplink]\nhost='x'\n[uplink.budget]\nmonthly=5",
            "[uplink.budget] unknown key 'monthly'; did you mean 'monthly_mb'",
        ),
        ("[uplink]\nhost='x'\n[uplink.budget]\nplan='fast'", '(at uplink.budget.plan); use "low" or "moving" or'),
        ("[uplink]\nhost='x'\n[uplink.budget]\nmonthly_mb=0", "uplink.budget.monthly_mb"),
        ("[telemetry.precision]\nspeed=0", "telemetry.precision"),
        ("[telemetry]\nprecission={}", "did you mean 'precision'"),
        ("[uplink]\nhots='x'", "did you mean 'host'"),
        ("[[can]]\nchanel='can0'", "did you mean 'channel'"),
        ("[journal]\ntelemetry_commit=3", "did you mean 'telemetry_commit_s'"),
        ("[terminal]\ndevice='a b'", "terminal.device"),
        ("[uplink]\nhost='x'\nport=70000", "uplink.port"),
        ("[gnss]\nbaud_rate='fast'", "gnss.baud_rate"),
        ("[terminal\n", "outrider.toml:1"),
        ("[uplink]\nport=1", "host"),
        ("[uplink]\nhost=''", "uplink.host"),
        ("[[can]]\nbitrate=-5", "bitrate"),
        ("[journal]\nevent_commit_s=inf", "journal.event_commit_s"),
        ("[journal]\ntelemetry_commit_s=nan", "journal.telemetry_commit_s"),
        ("a=" + "[" * 50_000, "nested too deeply"),
        ("a=" + "1" * 5000, "too long"),
    ],
)
def test_a_mistake_is_named(text: str, message: str) -> None:
    """The error says which key or line, and the nearest known key."""
    with pytest.raises(ConfigError, match=r"outrider\.toml") as caught:
        parse_config(text, FILE)
    assert message in str(caught.value)


def test_unreadable_files(tmp_path: Path) -> None:
    """Missing, binary and directory paths are clear errors."""
    with pytest.raises(ConfigError, match="No such file"):
        load_config(tmp_path / "none.toml")
    (tmp_path / "bin.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_config(tmp_path / "bin.toml")
    with pytest.raises(ConfigError):
        load_config(tmp_path)


@given(st.text(max_size=200))
def test_any_text_is_a_config_or_a_config_error(text: str) -> None:
    """No other exception, whatever the file holds."""
    with contextlib.suppress(ConfigError):
        parse_config(text, FILE)


def test_what_is_shown_is_a_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``config show`` prints TOML that says the same, nested sections and names with dots included."""
    from outrider.cli.main import main

    path = tmp_path / "outrider.toml"
    text = (
        '[telemetry.precision]\nspeed = 1\n"Vehicle.A.B" = 0.5\n[uplink]\nhost = "x"\n'
        '[uplink.budget]\nbulk = "wifi"\nmonthly_mb = 20\n'
    )
    path.write_text(text, encoding="utf-8")
    main(["config", "show", str(path)])
    shown = parse_config(capsys.readouterr().out, FILE)
    assert shown == load_config(path)
    assert shown.telemetry.precision == {"speed": 1.0, "Vehicle.A.B": 0.5}
