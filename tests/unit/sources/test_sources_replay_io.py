"""Recordings: every format python-can writes is read back, and what is broken says where."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import can
import pytest

from outrider.errors import RecordingError
from outrider.model.frame import BRS, EFF, ERR, FD, FRAME, RTR, TX
from outrider.model.record import ClockSource
from outrider.ports import ReplaySource, SourceItem
from outrider.sources.candump_io import CandumpReader
from outrider.sources.merge import merge
from outrider.sources.open_io import BASE_US, open_recordings
from outrider.sources.replay_io import BusNumbers, CanLogReader
from outrider.sources.stats import SourceStats
from outrider.sources.timeline import RECORDING_UNCERTAINTY_US

T0 = 1_700_000_000.25
Frame = tuple[int, int, int, int, bytes]


def message(n: int, **changes: Any) -> can.Message:
    values: dict[str, Any] = {
        "timestamp": T0 + n * 0.001,
        "arbitration_id": 0x100 + n % 16,
        "is_extended_id": False,
        "data": bytes([n % 256, 1, 2, 3]),
        "channel": 0,
    }
    return can.Message(**values | changes)


def write(path: Path, messages: list[can.Message]) -> Path:
    with can.Logger(str(path)) as logger:
        for each in messages:
            logger(each)
    return path


def frames(items: list[SourceItem]) -> list[Frame]:
    """(t, id, flags, length, data) of all frames."""
    return [
        (f[0], f[1], f[3], f[4], f[6][: f[4]])
        for i in items
        if i.frames is not None
        for f in FRAME.iter_unpack(i.frames.buffer)
    ]


def read(*paths: Path) -> tuple[list[SourceItem], list[ReplaySource]]:
    sources = open_recordings(list(paths))
    return list(merge(sources)), sources


CLASSIC = [
    message(0),
    message(1, arbitration_id=0x18FEF100, is_extended_id=True, data=bytes(range(8))),
    message(2, data=b""),
]
REMOTE = message(3, is_remote_frame=True, dlc=0, data=None)
ECHO = message(4, is_rx=False)
FD_FRAMES = [message(5, is_fd=True, data=bytes(range(48))), message(6, is_fd=True, bitrate_switch=True, data=b"12")]
ERROR = message(7, is_error_frame=True, data=b"", arbitration_id=0)

# What each format can say; MDF4 in test_sources_mf4_io.
FORMATS: dict[str, list[can.Message]] = {
    ".asc": [*CLASSIC, REMOTE, ECHO, *FD_FRAMES],
    ".blf": [*CLASSIC, REMOTE, ECHO, *FD_FRAMES],
    ".csv": [*CLASSIC, REMOTE],
    ".db": [*CLASSIC, REMOTE],
    ".log": [*CLASSIC, REMOTE, ECHO, *FD_FRAMES],
    ".trc": [*CLASSIC, ECHO],
    ".asc.gz": [*CLASSIC, ECHO],
    ".csv.gz": CLASSIC,
    ".log.gz": [*CLASSIC, ECHO],
    ".trc.gz": CLASSIC,
}


def expected(messages: list[can.Message]) -> list[Frame]:
    return [
        (
            BASE_US + round((m.timestamp - messages[0].timestamp) * 1e6),
            m.arbitration_id,
            (EFF if m.is_extended_id else 0)
            | (RTR if m.is_remote_frame else 0)
            | (FD if m.is_fd else 0)
            | (BRS if m.bitrate_switch else 0)
            | (0 if m.is_rx else TX),
            len(m.data),
            bytes(m.data),
        )
        for m in messages
    ]


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_writable_format_is_read_back_equal(tmp_path: Path, suffix: str) -> None:
    """Identifier, kind, direction, data and microseconds survive a round trip through each format."""
    messages = FORMATS[suffix]
    items, (source,) = read(write(tmp_path / f"drive{suffix}", messages))
    got = frames(items)
    if suffix in {".blf", ".trc", ".trc.gz"}:  # BLF: start rounded to ms; TRC: days as a decimal fraction
        assert [f[0] for f in got] == pytest.approx([f[0] for f in expected(messages)], abs=2)
        assert [f[1:] for f in got] == [f[1:] for f in expected(messages)]
    else:
        assert got == expected(messages)
    assert source.stats.frames == len(messages)  # type: ignore[attr-defined]  # of FrameRecording


@pytest.mark.parametrize("suffix", [".asc", ".blf", ".log", ".csv", ".db"])
def test_error_frames_are_marked_and_counted(tmp_path: Path, suffix: str) -> None:
    """An error frame is no data frame."""
    items, (source,) = read(write(tmp_path / f"drive{suffix}", [*CLASSIC, ERROR]))
    assert [f[2] & ERR for f in frames(items)] == [0, 0, 0, ERR]
    assert source.stats.error_frames == 1  # type: ignore[attr-defined]  # of FrameRecording


def test_the_fast_way_for_candump_gives_what_python_can_gives(tmp_path: Path) -> None:
    """Native parser and python-can's reader: the same bytes."""
    messages = [message(n, channel=f"can{(n + 2) % 3}") for n in range(3000)]
    path = write(tmp_path / "drive.log", [*messages, message(3001, is_fd=True, data=bytes(64), channel="can1"), ECHO])
    slow, fast = SourceStats(), SourceStats()
    expected_raw = b"".join(CanLogReader(path, ".log", BusNumbers()).chunks(slow))
    assert b"".join(CandumpReader(path, BusNumbers()).chunks(fast)) == expected_raw
    assert len(expected_raw) == 3002 * FRAME.size
    assert fast.counters() == slow.counters()


def test_utc_is_told_once(tmp_path: Path) -> None:
    """One clock fact at the beginning of the first recording with UTC stamps, with its assumed uncertainty."""
    a = write(tmp_path / "a.log", CLASSIC)
    b = write(tmp_path / "b.log", [message(5000)])
    items, _ = read(b, a)
    clocks = [i.clock for i in items if i.clock is not None]
    ((t_us, fix),) = clocks
    assert (t_us, fix.utc_us, fix.source) == (BASE_US, round(T0 * 1e6), ClockSource.RECORDING)
    assert fix.uncertainty_us == RECORDING_UNCERTAINTY_US


def test_relative_stamps_tell_no_clock(tmp_path: Path) -> None:
    """Seconds since the logger's start are no date."""
    items, _ = read(write(tmp_path / "a.csv", [message(0, timestamp=12.5), message(1, timestamp=13.5)]))
    assert [i.clock for i in items if i.clock] == []
    assert [f[0] for f in frames(items)] == [BASE_US, BASE_US + 1_000_000]


def test_parts_of_a_drive_continue_one_time_line(tmp_path: Path) -> None:
    """Whatever order the files are given in; the gap between them stays."""
    parts = [write(tmp_path / f"{n}.csv", [message(n * 60_000 + k) for k in range(3)]) for n in range(3)]
    items, sources = read(parts[2], parts[0], parts[1])
    assert [s.name for s in sources] == ["0.csv", "1.csv", "2.csv"]
    minute = 60_000_000
    assert [f[0] for f in frames(items)] == [BASE_US + n * minute + k * 1000 for n in range(3) for k in range(3)]


def test_a_replay_is_the_same_each_time(tmp_path: Path) -> None:
    """A source can be read again and gives the same items."""
    (source,) = open_recordings([write(tmp_path / "a.blf", [message(n) for n in range(3000)])])
    assert frames(list(source.items())) == frames(list(source.items()))


def test_an_asc_date_does_not_depend_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ASC names a local time without a zone: it places parts, and tells no clock."""
    import time

    text = "date Tue Nov 14 10:13:20.250 PM 2023\nbase hex  timestamps absolute\nno internal events logged\n"
    path = tmp_path / "a.asc"
    path.write_text(text + " 0.000100 1  123             Rx   d 2 01 02\n")
    firsts = []
    for zone in ("UTC", "Asia/Tokyo"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        (source,) = open_recordings([path])
        firsts.append(source.first_file_us)  # type: ignore[attr-defined]  # of FrameRecording
        assert [i.clock for i in source.items() if i.clock] == []
    monkeypatch.undo()
    time.tzset()
    assert firsts == [1_700_000_000_250_100] * 2


def test_bad_lines_of_a_candump_log_are_counted_not_fatal(tmp_path: Path) -> None:
    """Garbage between good lines costs only itself, and the first bad line is named."""
    path = tmp_path / "a.log"
    path.write_text("(1700000000.0) can0 123#11\nrubbish\n(1700000000.1) can0 XYZ#11\n(1700000000.2) can0 124#22\n")
    items, (source,) = read(path)
    assert [f[1] for f in frames(items)] == [0x123, 0x124]
    assert (source.stats.malformed, source.stats.first_bad_line) == (2, 2)  # type: ignore[attr-defined]  # see above


@pytest.mark.parametrize("suffix", [".csv", ".trc", ".asc"])
def test_a_broken_text_log_names_the_line_after_the_good_frames(tmp_path: Path, suffix: str) -> None:
    """What was good comes out first; then one error with file and line."""
    path = write(tmp_path / f"a{suffix}", [message(n) for n in range(5)])
    lines = path.read_text().splitlines()
    bad = {
        ".csv": "1700000001.0,nothing",
        ".trc": "      9    1.000 DT  1      01zz Rx -  2    00 00",
        ".asc": " 1.000100 1  12zz             Rx   d 2 01 02",
    }[suffix]
    last = max(n for n, line in enumerate(lines) if line[:1] != ";" and "End" not in line and line.strip())
    path.write_text("\n".join([*lines[: last + 1], bad, *lines[last + 1 :], ""]))
    seen: list[SourceItem] = []
    with pytest.raises(RecordingError, match=rf"a{suffix}:{last + 2}: unreadable after 5 frames"):
        seen.extend(merge_into(seen, path))
    assert len(frames(seen)) == 5


def merge_into(seen: list[SourceItem], path: Path) -> list[SourceItem]:
    for item in merge(open_recordings([path])):
        seen.append(item)
    return []


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95])
def test_a_cut_blf_gives_what_is_left_and_says_so(tmp_path: Path, keep: float) -> None:
    """python-can stops silently at the cut; the promised length tells."""
    path = tmp_path / "a.blf"
    write(path, [message(n, data=os.urandom(8)) for n in range(40_000)])
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    seen: list[SourceItem] = []
    with pytest.raises(RecordingError, match=r"a\.blf: (cut short|unreadable)"):
        merge_into(seen, path)
    assert 0 < len(frames(seen)) < 40_000


def test_a_cut_gzip_gives_what_is_left_and_says_so(tmp_path: Path) -> None:
    """The end of a compressed log is missing."""
    path = tmp_path / "a.log.gz"
    lines = b"".join(b"(1700000000.%06d) can0 123#%s\n" % (n, os.urandom(8).hex().encode()) for n in range(50_000))
    packed = gzip.compress(lines)
    path.write_bytes(packed[: len(packed) // 2])
    seen: list[SourceItem] = []
    with pytest.raises(RecordingError, match=r"a\.log\.gz: cannot be read further"):
        merge_into(seen, path)
    assert 0 < len(frames(seen)) < 50_000


def test_bus_numbers_follow_names() -> None:
    """can0 is 0 and vcan1 is 1; a taken or missing number gives the lowest free one; integers stay."""
    buses = BusNumbers()
    assert [buses.of(c) for c in ("can1", "vcan0", "slcan", "can1", "vcan1", None, 7)] == [1, 0, 2, 1, 3, 0, 7]


def test_a_trc_line_that_is_skipped_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """python-can's reader only logs it, once a line, on the user's terminal."""
    path = write(tmp_path / "cut.trc", [message(n) for n in range(50)])
    text = path.read_bytes().rstrip()
    path.write_bytes(text[: text.rindex(b" Rx ")])
    stats = SourceStats()
    for _chunk in CanLogReader(path, ".trc", BusNumbers()).chunks(stats):
        pass
    assert stats.malformed == 1
    assert stats.first_bad_line == text.count(b"\n") + 1
    assert not [r for r in caplog.records if r.name.startswith("can")]
