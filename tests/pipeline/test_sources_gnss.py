"""A GNSS receiver on a real terminal device: a pseudo-terminal that talks, is pulled out and comes back."""

from __future__ import annotations

import os
import queue
import threading
import tty
from pathlib import Path

import pytest

from outrider.clock import ManualClock, SystemClock
from outrider.errors import ConfigError
from outrider.model.fix import Fix, FixType
from outrider.model.record import ClockFix, ClockSource
from outrider.ports import SourceItem
from outrider.sources.gnss_io import GnssOptions, GnssSource
from outrider.sources.nmea import seal

WAIT_S = 30.0
FAST = (0.01, 0.05)


class Receiver:
    """A receiver behind a stable device name."""

    def __init__(self, link: Path) -> None:
        self.link = link

    def plug_in(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(os.ttyname(self._slave))

    def pull_out(self) -> None:
        self.link.unlink()
        os.close(self._slave)
        os.close(self._master)

    def says(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._master, data) :]

    def epoch(self, tod: str, status: str = "A") -> bytes:
        where = "5540.3252,N,01231.2946,E,10.0,93.80" if status == "A" else ",,,,,"
        quality = "5540.3252,N,01231.2946,E,1,08,0.9" if status == "A" else ",,,,0,00,"
        return seal(f"GNRMC,{tod},{status},{where},100326,,,{'A' if status == 'A' else 'N'}") + seal(
            f"GNGGA,{tod},{quality},36.1,M,41.5,M,,"
        )


class Terminal:
    """The source under test and what it delivered."""

    def __init__(self, link: Path, clock: SystemClock | ManualClock | None = None) -> None:
        self.clock = clock or SystemClock()
        self.source = GnssSource(GnssOptions(str(link), 115_200, back_off_s=FAST), self.clock)
        self._items: queue.Queue[SourceItem] = queue.Queue()
        self.clocks: list[tuple[int, ClockFix]] = []

    def __enter__(self) -> Terminal:
        self.source.start(self._items.put)
        return self

    def __exit__(self, *_: object) -> None:
        self.source.stop()

    def fix(self) -> Fix:
        while True:
            item = self._items.get(timeout=WAIT_S)
            if item.clock is not None:
                self.clocks.append(item.clock)
            if item.fix is not None:
                assert item.watermark_us == item.fix.t_us
                return item.fix

    def wait_for(self, state: str) -> None:
        pause = threading.Event()
        for _ in range(int(WAIT_S / 0.005)):
            if self.source.state()["state"] == state:
                return
            pause.wait(0.005)
        raise AssertionError(f"not {state} after {WAIT_S} s: {self.source.state()}")


def test_a_receiver_that_talks_gives_fixes_and_the_clock(tmp_path: Path) -> None:
    """Bytes in odd pieces become fixes with engine time, and one clock fact; garbage costs nothing but a count."""
    receiver = Receiver(tmp_path / "gnss")
    receiver.plug_in()
    with Terminal(receiver.link) as terminal:
        terminal.wait_for("up")
        before_us = terminal.clock.boottime_us()
        stream = b"\0\xff$GPGGA,12" + b"".join(receiver.epoch(f"1200{n:02d}.00") for n in range(5))
        for at in range(0, len(stream), 17):
            receiver.says(stream[at : at + 17])
        fixes = [terminal.fix() for _ in range(5)]
        after_us = terminal.clock.boottime_us()
        state = terminal.source.state()
    assert {f.fix_type for f in fixes} == {FixType.FIX_3D}
    assert [f.first for f in fixes] == [True, False, False, False, False]
    times = [before_us, *(f.t_us for f in fixes), after_us]
    assert times == sorted(times)
    assert fixes[0].lat_deg == pytest.approx(55 + 40.3252 / 60)
    assert terminal.clocks[0][1].source is ClockSource.GNSS
    assert terminal.clocks[0][0] == fixes[0].t_us
    assert state["nmea_half_lines"] == 1
    assert state["fixes"] == 5
    receiver.pull_out()


def test_an_epoch_is_handed_on_when_the_receiver_pauses(tmp_path: Path) -> None:
    """The last fix before a pause does not wait for the next one."""
    receiver = Receiver(tmp_path / "gnss")
    receiver.plug_in()
    with Terminal(receiver.link) as terminal:
        terminal.wait_for("up")
        receiver.says(receiver.epoch("120000.00"))
        assert terminal.fix().utc_us is not None
    receiver.pull_out()


def test_no_fix_is_delivered_as_such(tmp_path: Path) -> None:
    """A tunnel: epochs of type none, then a first fix."""
    receiver = Receiver(tmp_path / "gnss")
    receiver.plug_in()
    with Terminal(receiver.link) as terminal:
        terminal.wait_for("up")
        receiver.says(receiver.epoch("120000.00", "V") + receiver.epoch("120001.00"))
        assert terminal.fix().fix_type is FixType.NONE
        assert terminal.fix().first
    receiver.pull_out()


def test_pulled_out_and_plugged_in_again(tmp_path: Path) -> None:
    """Down while it is away, with the reason; a half line from before is forgotten; time does not fall."""
    receiver = Receiver(tmp_path / "gnss")
    receiver.plug_in()
    with Terminal(receiver.link) as terminal:
        terminal.wait_for("up")
        receiver.says(receiver.epoch("120000.00"))
        before = terminal.fix()
        receiver.says(b"$GNRMC,1200")
        while not terminal.source._framer._inside:  # the half line was read
            terminal.source._stop.wait(0.005)
        receiver.pull_out()
        terminal.wait_for("down")
        assert terminal.source.state()["error"]
        receiver.plug_in()
        terminal.wait_for("up")
        assert not terminal.source._framer._inside
        receiver.says(receiver.epoch("120001.00"))
        after = terminal.fix()
        state = terminal.source.state()
    assert before.t_us < after.t_us
    assert after.fix_type is FixType.FIX_3D
    assert state["opened"] == 2
    assert (state["nmea_fixes"], state["nmea_half_lines"]) == (2, 1)
    assert "nmea_malformed" not in state
    receiver.pull_out()


def test_a_device_that_is_not_there_yet(tmp_path: Path) -> None:
    """Started before the receiver is plugged in: down, then up by itself."""
    receiver = Receiver(tmp_path / "gnss")
    with Terminal(receiver.link) as terminal:
        terminal.wait_for("down")
        receiver.plug_in()
        terminal.wait_for("up")
        receiver.says(receiver.epoch("120000.00"))
        assert terminal.fix().first
    receiver.pull_out()


def test_a_senseless_baud_rate_is_refused(tmp_path: Path) -> None:
    """What can never work is told at the start."""
    source = GnssSource(GnssOptions(str(tmp_path / "x"), 0), SystemClock())
    with pytest.raises(ConfigError, match="baud rate 0"):
        source.start(lambda _item: None)


def test_silence_is_noticed_and_told(tmp_path: Path) -> None:
    """A receiver that says nothing for five seconds: the state says so, once counted; then it is up again."""
    receiver = Receiver(tmp_path / "gnss")
    receiver.plug_in()
    clock = ManualClock(boottime_us=1_000_000)
    with Terminal(receiver.link, clock) as terminal:
        terminal.wait_for("up")
        receiver.says(receiver.epoch("120000.00"))
        terminal.fix()
        clock.advance(6)
        terminal.wait_for("silent")
        while not terminal.source.stats.silences:
            terminal.source._stop.wait(0.005)
        receiver.says(receiver.epoch("120006.00"))
        assert terminal.fix().first
        terminal.wait_for("up")
        assert terminal.source.state()["silences"] == 1
    receiver.pull_out()
