"""What a file is, and one clear error for what is none."""

from __future__ import annotations

import os
import random
from pathlib import Path

import can
import pytest

from outrider.errors import RecordingError
from outrider.sources.merge import merge
from outrider.sources.nmea import seal
from outrider.sources.open_io import BASE_US, KNOWN, kind_of, open_recordings

LINE = "(1700000000.000000) can0 123#1122\n"
RMC = seal("GPRMC,221320.00,A,5540.3252,N,01231.2946,E,1.42,93.80,141123,,,A")


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("x.txt", LINE.encode(), ".log"),
        ("x", b"# a comment\n" + LINE.encode(), ".log"),
        ("x.txt", RMC * 3, ".nmea"),
        ("x.ubx", b"\xb5\x62\x01\x07" + bytes(40) + RMC, ".nmea"),
        ("x.dat", b"LOGG" + bytes(200), ".blf"),
        ("x.dat", b"MDF     4.11    ", ".mf4"),
        ("x.dat", b"UnFinMF 4.11    ", ".mf4"),
        ("x.dat", b"SQLite format 3\0", ".db"),
        ("x.txt", b";$FILEVERSION=1.1\r\n", ".trc"),
        ("x.txt", b"date Tue Nov 14 10:13:20 PM 2023\r\nbase hex  timestamps absolute\r\n", ".asc"),
        ("x.txt", b"timestamp,arbitration_id,extended,remote,error,dlc,data\n", ".csv"),
        ("x.trc", b"1) 1000.0 Rx 0100 2 11 22\n", ".trc"),
    ],
)
def test_a_file_is_known_by_its_content(tmp_path: Path, name: str, content: bytes, kind: str) -> None:
    """Content first, the name only where a text format has nothing telling."""
    path = tmp_path / name
    path.write_bytes(content)
    assert kind_of(path) == kind


def test_an_unknown_file_names_the_known_kinds(tmp_path: Path) -> None:
    """One error that says what would work."""
    path = tmp_path / "notes.txt"
    path.write_text("nothing of the kind\n")
    with pytest.raises(RecordingError, match=r"notes\.txt: not a recording of a known kind") as caught:
        open_recordings([path])
    assert KNOWN in str(caught.value)


def test_missing_empty_and_folders_are_named(tmp_path: Path) -> None:
    """Each with its own reason."""
    (tmp_path / "empty.log").touch()
    for name, reason in (("gone.log", "No such file"), ("empty.log", "is empty"), (".", "Is a directory")):
        with pytest.raises(RecordingError, match=reason):
            open_recordings([tmp_path / name])


def test_a_log_without_frames_says_so(tmp_path: Path) -> None:
    """A header alone is no drive."""
    path = tmp_path / "a.csv"
    path.write_text("timestamp,arbitration_id,extended,remote,error,dlc,data\n")
    with pytest.raises(RecordingError, match="holds no CAN frames"):
        open_recordings([path])


def test_nmea_with_only_bad_checksums_says_so(tmp_path: Path) -> None:
    """Nothing usable in it."""
    path = tmp_path / "a.nmea"
    path.write_bytes(RMC.replace(b"5540", b"5541") * 4)
    with pytest.raises(RecordingError, match="no RMC, GGA or GNS sentence"):
        open_recordings([path])


@pytest.mark.parametrize("kind", [".asc", ".blf", ".csv", ".db", ".log", ".trc"])
def test_garbage_after_a_right_beginning_is_an_error_never_a_traceback(tmp_path: Path, kind: str) -> None:
    """Hostile files: RecordingError with the file's name, or frames; nothing else gets out."""
    source = tmp_path / f"good{kind}"
    with can.Logger(str(source)) as logger:
        for n in range(200):
            logger(can.Message(timestamp=1.7e9 + n * 0.01, arbitration_id=n, data=os.urandom(8)))
    good = source.read_bytes()
    rng = random.Random(kind)
    for round_ in range(12):
        damaged = bytearray(good)
        start = rng.randrange(20, len(good))
        damaged[start : start + rng.randrange(1, 400)] = rng.randbytes(rng.randrange(0, 400))
        path = tmp_path / f"bad{round_}{kind}"
        path.write_bytes(damaged)
        try:
            for item in merge(open_recordings([path])):
                assert item.watermark_us >= 0
        except RecordingError as err:
            assert path.name in str(err)  # noqa: PT017 - either outcome is right, only the kind of error is checked


def test_frames_and_fixes_share_the_time_line(tmp_path: Path) -> None:
    """Both absolute: a second between a frame and a fix in the files is a second in the engine."""
    log, nmea = tmp_path / "can.log", tmp_path / "gnss.nmea"
    log.write_text(LINE)  # 2023-11-14 22:13:20 UTC
    nmea.write_bytes(RMC + seal("GPRMC,221321.50,A,5540.3252,N,01231.2946,E,1.42,93.80,141123,,,A"))
    items = list(merge(open_recordings([nmea, log])))
    assert [i.fix.t_us for i in items if i.fix] == [BASE_US, BASE_US + 1_500_000]
    assert [i.frames.t_us_at(0) for i in items if i.frames] == [BASE_US]
