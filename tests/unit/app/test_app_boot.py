"""Facts about this boot."""

from __future__ import annotations

from pathlib import Path

from outrider.app.boot_io import boot_id, system_clock_fix
from outrider.clock import ManualClock
from outrider.model.record import ClockSource


def test_boot_id_is_stable_within_a_boot() -> None:
    """Two starts of the daemon in one boot share the id."""
    assert boot_id() == boot_id()
    assert 0 <= boot_id() < 2**32


def test_an_unset_clock_is_no_time() -> None:
    """1970 is never stamped."""
    assert system_clock_fix(ManualClock(utc_us=1_000_000)) is None


def test_source_and_uncertainty_are_named(tmp_path: Path) -> None:
    """NTP only when the system says that it is synchronised; otherwise a battery clock with an hour of doubt."""
    clock = ManualClock(utc_us=1_790_000_000_000_000)
    rtc = system_clock_fix(clock, tmp_path / "missing")
    assert rtc is not None
    assert rtc.source is ClockSource.RTC
    (tmp_path / "synchronized").touch()
    ntp = system_clock_fix(clock, tmp_path / "synchronized")
    assert ntp is not None
    assert ntp.source is ClockSource.NTP
    assert ntp.uncertainty_us < rtc.uncertainty_us
