"""A drive in memory: the frames and sentences of a replay, at the times of a replay, and on disk again."""

from __future__ import annotations

from pathlib import Path

import pytest

from outrider.errors import RecordingError
from outrider.model.fix import Fix
from outrider.model.frame import FRAME_SIZE
from outrider.ports import SourceItem
from outrider.sim.drive import generate
from outrider.sim.scenario_io import load_scenario
from outrider.sim.write_io import Written, write_drive
from outrider.sources.drive_io import Drive, load_drive
from outrider.sources.merge import merge
from outrider.sources.nmea import seal
from outrider.sources.open_io import open_recordings
from outrider.sources.sequence import times_of
from tests.support.terminal import data_file

CANDUMP = """(1700000000.000100) can1 123#0102
(1700000000.000200) can0 18FEF100#FFFF
(1700000000.000300) vcan2 124##3AABB
(1700000000.000400) can0 125#R4
(1700000000.000500) can0 20000040#0000000000000000
(1700000001.500000) can0 126#
"""


def rmc(tod: str) -> bytes:
    return seal(f"GPRMC,{tod},A,5540.3252,N,01231.2946,E,1.42,93.80,141123,,,A")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write_drive(generate(load_scenario("short"), 1), tmp_path_factory.mktemp("drive"))


def replayed(files: list[Path]) -> tuple[bytes, list[Fix]]:
    """What a replay of the files feeds: frames in order of time, fixes; times from zero."""
    items: list[SourceItem] = list(merge(open_recordings(files, base_us=0)))
    raw = b"".join(bytes(i.frames.buffer) for i in items if i.frames is not None)
    return raw, [i.fix for i in items if i.fix is not None]


def test_the_drive_is_what_a_replay_of_the_same_files_sees(written: Written) -> None:
    """Frames to the byte; each fix of the replay has its sentences at its own time."""
    drive = load_drive([written.nmea, written.can])
    frames, fixes = replayed([written.nmea, written.can])
    assert drive.frames == frames
    assert drive.frame_count == len(frames) // FRAME_SIZE > 10_000
    assert sorted({t for t, _text in drive.sentences}) == sorted({fix.t_us for fix in fixes})
    assert b"".join(text for _t, text in drive.sentences) == written.nmea.read_bytes()
    assert min(times_of(drive.frames)[0], drive.sentences[0][0]) == 0
    assert drive.duration_us == max(times_of(drive.frames)[-1], drive.sentences[-1][0])


def test_every_kind_of_frame_survives_writing_and_reading(tmp_path: Path) -> None:
    """Standard, extended, FD with its flag, remote, error, empty: the same drive, dates included."""
    log = tmp_path / "in.log"
    log.write_text(CANDUMP, encoding="ascii")
    drive = load_drive([log])
    assert (drive.frame_count, drive.buses, drive.duration_us) == (6, (0, 1, 2), 1_499_900)
    assert drive.zero_utc_us == 1_700_000_000_000_100
    [copy] = drive.write(tmp_path)
    again = load_drive([copy])
    assert (again.frames, again.zero_utc_us, again.sentences) == (drive.frames, drive.zero_utc_us, ())


def test_recordings_of_several_buses_are_put_in_order(tmp_path: Path) -> None:
    """Two files over the same time: frames interleaved by time; at equal times the first file's comes first."""
    one, two = tmp_path / "a.log", tmp_path / "b.log"
    one.write_text("".join(f"(1700000000.{n:06}) can0 100#{n:02X}\n" for n in range(0, 50, 2)), encoding="ascii")
    two.write_text("".join(f"(1700000000.{n:06}) can1 101#{n:02X}\n" for n in range(50)), encoding="ascii")
    drive = load_drive([one, two])
    times = times_of(drive.frames)
    assert times == sorted(times)
    assert len(times) == 75
    assert [drive.frames[n * FRAME_SIZE + 12] for n in range(6)] == [0, 1, 1, 0, 1, 1]


def test_a_part_of_a_drive_is_a_drive(tmp_path: Path, written: Written) -> None:
    """Ten seconds from the middle: written to disk, a replay sees just those, from zero."""
    whole = load_drive([written.can, written.nmea])
    part = whole.part(20.0, 30.0)
    assert 9_900_000 <= part.duration_us < 10_000_000
    assert min(times_of(part.frames)[0], part.sentences[0][0]) == 0
    moved_us = part.zero_utc_us - whole.zero_utc_us
    assert 20_000_000 <= moved_us < 20_100_000
    wanted = {t - moved_us for t in times_of(whole.frames) if 20_000_000 <= t < 30_000_000}
    assert set(times_of(part.frames)) == wanted
    files = part.write(tmp_path)
    frames, fixes = replayed(files)
    assert frames == part.frames
    assert {t for t, _text in part.sentences} == {fix.t_us for fix in fixes}
    with pytest.raises(RecordingError, match=r"nothing lies between 9000\.0 s and 9001\.0 s"):
        whole.part(9000.0, 9001.0)


def test_sentences_have_the_time_of_their_epoch(tmp_path: Path) -> None:
    """Also those that tell no time, those before the first fix, and those the terminal does not use."""
    nmea = tmp_path / "r.nmea"
    gsv = seal("GPGSV,1,1,01,19,65,185,25")
    void = seal("GPRMC,101507.000,V,,,,,,,141123,,,N")
    lines = [void, gsv, rmc("101509.000"), gsv, b"garbage\r\n", b"$PTNL,1\r\n", rmc("101510.500"), gsv]
    nmea.write_bytes(b"".join(lines))
    drive = load_drive([nmea])
    assert drive.sentences == (
        (0, void),
        (0, gsv),
        (2_000_000, rmc("101509.000")),
        (2_000_000, gsv),
        (3_500_000, rmc("101510.500")),
        (3_500_000, gsv),
    )
    assert (drive.frames, drive.buses) == (b"", ())


def test_what_cannot_be_played_on_a_bus_is_refused(tmp_path: Path) -> None:
    """A tape, NMEA without time, nothing at all: the file and the reason."""
    tape = tmp_path / "x.tape"
    tape.write_bytes(b"OTAP")
    with pytest.raises(RecordingError, match=r"x\.tape: a tape holds no frames"):
        load_drive([tape])
    timeless = tmp_path / "t.nmea"
    timeless.write_bytes(seal("GPRMC,,V,,,,,,,,,,N") * 3)
    with pytest.raises(RecordingError, match="no sentence tells the time"):
        load_drive([timeless])
    with pytest.raises(RecordingError, match="cannot be read"):
        load_drive([tmp_path / "missing.log"])


def test_the_loggers_drive() -> None:
    """A real recording in MF4: one time line over its parts."""
    pytest.importorskip("asammdf")
    files = sorted(data_file("canedge", "164").glob("*.MF4"))[:2]
    drive = load_drive(files)
    frames, _fixes = replayed(files)
    assert drive.frames == frames
    assert drive.zero_utc_us > 1_600_000_000_000_000
    assert isinstance(drive, Drive)
