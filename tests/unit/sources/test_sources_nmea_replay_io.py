"""Files of NMEA as replay sources, among them the output of two real receivers."""

from __future__ import annotations

import gzip
from itertools import pairwise
from pathlib import Path

from outrider.model.fix import Fix, FixType
from outrider.sources.nmea import seal
from outrider.sources.nmea_replay_io import NmeaRecording, retimed
from outrider.sources.open_io import BASE_US, open_recordings
from tests.support.recordings import recording

SECOND = 1_000_000


def recorded(name: str) -> NmeaRecording:
    (source,) = open_recordings([recording(f"nmea/{name}")])
    assert isinstance(source, NmeaRecording)
    return source


def fixes(source: NmeaRecording) -> list[Fix]:
    return [i.fix for i in source.items() if i.fix is not None]


def rmc(tod: str, status: str = "A", day: str = "141123") -> bytes:
    where = "5540.3252,N,01231.2946,E,1.42,93.80" if status == "A" else ",,,,,"
    return seal(f"GPRMC,{tod},{status},{where},{day},,,{'A' if status == 'A' else 'N'}")


def test_the_walk_is_read_without_a_loss() -> None:
    """622 positions in Copenhagen, no garbage, no wrong checksum; two lines of the logger's own without one."""
    source = recorded("amod-walk.nmea")
    got = fixes(source)
    nmea = source.stats.nmea
    assert (nmea.garbage_bytes, nmea.checksum_errors, nmea.malformed, nmea.half_lines) == (0, 0, 0, 0)
    assert (len(got), nmea.fixes, nmea.no_fix, nmea.no_checksum) == (623, 622, 1, 2)
    assert got[0].t_us == BASE_US
    assert [f.t_us for f in got] == sorted(f.t_us for f in got)
    assert all(f.lat_deg is not None and 55.66 < f.lat_deg < 55.69 for f in got if f.fix_type is not FixType.NONE)
    assert sum(f.first for f in got) == 4  # the logger was paused


def test_a_minute_without_a_fix_keeps_its_length() -> None:
    """The Trimble's battery-backed clock jumps before its first fix: 76 epochs, 1 or 2 s apart, then 316 fixes."""
    source = recorded("trimble-r1.nmea")
    got = fixes(source)
    nmea = source.stats.nmea
    assert (nmea.proprietary, nmea.checksum_errors, nmea.fixes, nmea.no_fix) == (392, 0, 316, 76)
    assert [f.fix_type is FixType.NONE for f in got] == [True] * 76 + [False] * 316
    assert got[76].first
    assert not any(f.first for f in got[77:])
    steps = [b.t_us - a.t_us for a, b in pairwise(got)]
    assert sorted(round(step / SECOND) for step in steps) == [1] * 390 + [2]  # one epoch is missing in the file
    assert source.stats.clamped == 0


def test_engine_time_is_the_utc_of_the_sentences(tmp_path: Path) -> None:
    """Distances between epochs and the clock facts follow the receiver."""
    path = tmp_path / "a.nmea"
    path.write_bytes(rmc("221320.00") + rmc("221321.50") + rmc("221500.00"))
    items = list(open_recordings([path])[0].items())
    assert [i.fix.t_us for i in items if i.fix] == [BASE_US, BASE_US + 1_500_000, BASE_US + 100 * SECOND]
    clocks = [i.clock for i in items if i.clock]
    assert [(t_us, fix.utc_us) for t_us, fix in clocks] == [
        (BASE_US, 1_700_000_000 * SECOND),
        (BASE_US + 100 * SECOND, 1_700_000_100 * SECOND),
    ]


def test_time_going_back_is_held_and_counted(tmp_path: Path) -> None:
    """Nothing gets older than what was handed on."""
    path = tmp_path / "a.nmea"
    path.write_bytes(rmc("221320.00") + rmc("221325.00") + rmc("221322.00") + rmc("221326.00"))
    (source,) = open_recordings([path])
    assert isinstance(source, NmeaRecording)
    assert [f.t_us - BASE_US for f in fixes(source)] == [0, 5 * SECOND, 5 * SECOND, 6 * SECOND]
    assert (source.stats.clamped, source.stats.nmea.time_back) == (1, 1)


def test_a_wild_clock_without_a_fix_is_not_followed(tmp_path: Path) -> None:
    """A receiver that lost everything and names another year does not carry the replay there."""
    path = tmp_path / "a.nmea"
    path.write_bytes(rmc("221320.00") + rmc("000000.00", "V", "010199") + rmc("221322.00"))
    (source,) = open_recordings([path])
    assert isinstance(source, NmeaRecording)
    assert [f.t_us - BASE_US for f in fixes(source)] == [0, 0, 2 * SECOND]
    path.write_bytes(rmc("221320.00") + rmc("000000.00", "V", "010140") + rmc("221322.00"))
    (source,) = open_recordings([path])
    assert isinstance(source, NmeaRecording)
    assert [f.t_us - BASE_US for f in fixes(source)] == [0, 0, 2 * SECOND]
    assert source.stats.wild_stamps == 1


def test_a_file_without_any_fix_is_still_a_recording(tmp_path: Path) -> None:
    """A drive in a garage: epochs of type none, on the receiver's own clock."""
    path = tmp_path / "a.nmea"
    path.write_bytes(rmc("221320.00", "V") + rmc("221321.00", "V"))
    (source,) = open_recordings([path])
    assert isinstance(source, NmeaRecording)
    assert [(f.t_us - BASE_US, f.fix_type) for f in fixes(source)] == [(0, FixType.NONE), (SECOND, FixType.NONE)]


def test_compressed_files_are_read(tmp_path: Path) -> None:
    """gzip, as for the text logs of CAN."""
    path = tmp_path / "a.nmea.gz"
    path.write_bytes(gzip.compress(rmc("221320.00") + rmc("221321.00")))
    (source,) = open_recordings([path])
    assert isinstance(source, NmeaRecording)
    assert len(fixes(source)) == 2


def test_epochs_before_the_first_fix_are_led_back_from_it() -> None:
    """Believed distances stay; a correction of the clock counts as a second."""
    assert retimed([], 5) == []
    assert retimed([7 * SECOND, 8 * SECOND, 40 * SECOND, 41 * SECOND], 42 * SECOND) == [
        7 * SECOND,
        8 * SECOND,
        40 * SECOND,
        41 * SECOND,
    ]
    wild = retimed([90 * SECOND, 92 * SECOND, 40 * SECOND, 41 * SECOND], 42 * SECOND)
    assert wild == [37 * SECOND, 39 * SECOND, 40 * SECOND, 41 * SECOND]
