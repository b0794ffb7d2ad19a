"""MDF4: real recordings, python-can's reader as the oracle, and broken files."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from outrider.errors import RecordingError
from outrider.model.frame import FRAME
from outrider.sources.merge import merge
from outrider.sources.mf4_io import Mf4Reader
from outrider.sources.open_io import BASE_US, open_recordings
from outrider.sources.packing import pack_message
from outrider.sources.sequence import times_of
from outrider.sources.stats import SourceStats
from tests.support.recordings import recording

pytest.importorskip("asammdf", reason="asammdf is not installed: pip install outrider[workstation]")

REPO = Path(__file__).parents[3]
PARTS = [65_296, 73_785, 73_765, 73_774, 5_477]


def parts() -> list[Path]:
    return sorted(recording("canedge/164").glob("*.MF4"))


def test_columns_give_what_python_can_gives_frame_by_frame() -> None:
    """The same bytes for the first frames of a car's log and of a truck's, merged from its channel groups."""
    import can

    for path in (parts()[0], recording("j1939/truck-402s.MF4")):
        fast = next(iter(Mf4Reader(path).chunks(SourceStats())))
        with can.LogReader(str(path)) as slow:
            for n, message in enumerate(islice(slow, 4000)):
                got = bytes(fast[n * FRAME.size : (n + 1) * FRAME.size])
                t_us = FRAME.unpack(got)[0]
                assert abs(t_us - message.timestamp * 1e6) <= 1  # the oracle adds floats of 1.6e9 s
                channel = message.channel
                assert isinstance(channel, int)
                assert got == pack_message(message, t_us, max(0, channel - 1))


def test_five_parts_are_one_drive() -> None:
    """All frames, one time line with its gaps, whatever order the files are given in."""
    sources = open_recordings(parts()[::-1])
    assert [s.name for s in sources] == [p.name for p in parts()]
    reached, frames, clocks = 0, 0, 0
    for item in merge(sources):
        assert item.watermark_us >= reached
        reached = item.watermark_us
        frames += len(item.frames or ())
        clocks += item.clock is not None
    assert frames == sum(PARTS)
    assert [s.stats.frames for s in sources] == PARTS  # type: ignore[attr-defined]  # of FrameRecording
    assert clocks == 1
    assert reached - BASE_US == pytest.approx(2_389_000_000, abs=1_000_000)


def test_the_truck_log_is_read_whole() -> None:
    """Two channel groups of two buses merge into one order of time."""
    (source,) = open_recordings([recording("j1939/truck-402s.MF4")])
    times = [t for i in source.items() if i.frames is not None for t in times_of(i.frames.buffer)]
    assert len(times) == 150_411
    assert times == sorted(times)
    assert times[0] == BASE_US


@pytest.mark.parametrize("at_once", [97, 5000])
def test_reading_in_pieces_changes_nothing(at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups of different lengths, read piece by piece, merge to the same frames as read whole."""
    path = write(tmp_path / "a.mf4", 3000) if at_once < 100 else recording("j1939/truck-402s.MF4")
    whole = b"".join(Mf4Reader(path).chunks(SourceStats()))
    monkeypatch.setattr("outrider.sources.mf4_io.RECORDS_AT_ONCE", at_once)
    assert b"".join(Mf4Reader(path).chunks(SourceStats())) == whole
    assert times_of(whole) == sorted(times_of(whole))


def write(path: Path, count: int) -> Path:
    import can

    with can.Logger(str(path)) as logger:
        for n in range(count):
            kind = n % 3
            logger(
                can.Message(
                    timestamp=1.7e9 + n * 0.01,
                    arbitration_id=n,
                    is_extended_id=bool(n % 2),
                    is_fd=kind == 1,
                    bitrate_switch=kind == 1,
                    is_remote_frame=kind == 2,
                    dlc=n % 9 if kind == 2 else None,
                    data=None if kind == 2 else bytes([n % 256] * (48 if kind == 1 else 8)),
                    is_rx=bool(n % 5),
                    channel=1 + n % 2,
                )
            )
    return path


def test_a_round_trip_keeps_every_kind_of_frame(tmp_path: Path) -> None:
    """Data, remote and FD frames, both directions, two buses: written with python-can, read back by columns."""
    (source,) = open_recordings([write(tmp_path / "a.mf4", 90)])
    frames = [f for i in source.items() if i.frames is not None for f in FRAME.iter_unpack(i.frames.buffer)]
    assert [f[1] for f in frames] == list(range(90))
    for n, (t_us, _, bus, flags, size, _, data) in enumerate(frames):
        kind = n % 3
        assert t_us == pytest.approx(BASE_US + n * 10_000, abs=1)
        assert bus == n % 2
        assert flags == (n % 2) | (0x18 if kind == 1 else 0x02 if kind == 2 else 0) | (0 if n % 5 else 0x40)
        assert size == (48 if kind == 1 else n % 9 if kind == 2 else 8)
        assert data == (b"" if kind == 2 else bytes([n % 256] * size)).ljust(64, b"\0")


def test_no_can_frames_says_so(tmp_path: Path) -> None:
    """A measurement file without bus logging."""
    import numpy as np
    from asammdf import MDF, Signal

    path = tmp_path / "a.mf4"
    with MDF(version="4.10") as mdf:
        mdf.append(Signal(np.arange(3.0), np.arange(3.0), name="Speed"))
        mdf.save(path)
    with pytest.raises(RecordingError, match=r"a\.mf4: an MDF4 file without CAN frames"):
        open_recordings([path])


def test_a_cut_real_recording_is_an_error_with_its_name(tmp_path: Path) -> None:
    """Half a file, as from a card that was pulled."""
    whole = parts()[0].read_bytes()
    path = tmp_path / "half.MF4"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RecordingError, match=r"half\.MF4: no readable MDF4 file"):
        list(merge(open_recordings([path])))


HOSTILE = """
import random, sys
from pathlib import Path
from outrider.errors import RecordingError
from outrider.sources.merge import merge
from outrider.sources.open_io import open_recordings

good = Path(sys.argv[1]).read_bytes()
rng = random.Random(7)
outcomes = 0
for n in range(40):
    bad = bytearray(good)
    at = rng.randrange(len(bad))
    bad[at : at + rng.randrange(1, 200)] = rng.randbytes(rng.randrange(200)) if n % 2 else b""
    path = Path(sys.argv[2]) / f"bad{n}.mf4"
    path.write_bytes(bad)
    try:
        for item in merge(open_recordings([path])):
            assert item.watermark_us >= 0
    except RecordingError as err:
        assert path.name in str(err)
    outcomes += 1
print(outcomes)
"""


def test_hostile_files_bring_an_error_never_a_traceback(tmp_path: Path) -> None:
    """In a process of its own, so that what is printed while objects are destroyed is seen too."""
    good = write(tmp_path / "good.mf4", 200)
    done = subprocess.run(
        [sys.executable, "-c", HOSTILE, str(good), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(REPO / "daemon")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.stdout, done.stderr) == ("40\n", "")


def test_without_asammdf_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the terminal asammdf is not there."""
    path = tmp_path / "a.mf4"
    path.write_bytes(b"MDF     4.11    " + bytes(200))
    monkeypatch.setitem(sys.modules, "asammdf", None)
    with pytest.raises(RecordingError, match=r"pip install outrider\[workstation\]"):
        open_recordings([path])
