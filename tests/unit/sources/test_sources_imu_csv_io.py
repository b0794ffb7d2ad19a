"""Recorded inertial samples as a replay source."""

from __future__ import annotations

import gzip
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.errors import RecordingError
from outrider.model.fix import ImuSample
from outrider.sources.imu_csv_io import COLUMNS, ImuRecording
from outrider.sources.open_io import BASE_US, open_recordings

HEAD = ",".join(COLUMNS)
UTC = 1_800_000_000_000_000


def samples_of(path: Path) -> tuple[list[ImuSample], dict[str, int]]:
    (source,) = open_recordings([path])
    return [s for item in source.items() for s in item.imu or ()], source.stats.counters()


def test_samples_come_out_as_written(tmp_path: Path) -> None:
    """Values, flags, rates that nobody measured; time from the first sample on; packed or not."""
    text = f"{HEAD},flags\n{UTC},1,2,9.5,0.1,0,-0.1,\n{UTC + 10_000},1,2,3,,,,v\n{UTC + 20_000},-160,0,0,0,0,0,s\n"
    for path, data in ((tmp_path / "imu.csv", text.encode()), (tmp_path / "i.csv.gz", gzip.compress(text.encode()))):
        path.write_bytes(data)
        assert samples_of(path)[0] == [
            ImuSample(BASE_US, (1, 2, 9.5), (0.1, 0, -0.1)),
            ImuSample(BASE_US + 10_000, (1, 2, 3), None, valid=False),
            ImuSample(BASE_US + 20_000, (-160, 0, 0), (0, 0, 0), saturated=True),
        ]


def test_it_shares_the_time_line_of_a_log(tmp_path: Path) -> None:
    """The same clock stamped both."""
    (tmp_path / "can.log").write_text(f"({UTC / 1e6 - 1:.6f}) can0 123#00\n")
    (tmp_path / "imu.csv").write_text(f"{HEAD}\n{UTC},0,0,9.8,0,0,0\n")
    log, imu = open_recordings([tmp_path / "imu.csv", tmp_path / "can.log"])
    assert log.name == "can.log"
    assert next(iter(imu.items())).watermark_us == BASE_US + 1_000_000


def test_a_long_file_comes_in_pieces_of_a_tick(tmp_path: Path) -> None:
    """No item is so long that the others would have to wait for it."""
    rows = "".join(f"{UTC + n * 40_000},0,0,9.8,0,0,0\n" for n in range(100))
    (tmp_path / "imu.csv").write_text(f"{HEAD}\n{rows}")
    (source,) = open_recordings([tmp_path / "imu.csv"])
    items = list(source.items())
    assert sum(len(item.imu or ()) for item in items) == 100
    assert all(item.imu and item.imu[-1].t_us - item.imu[0].t_us < 100_000 for item in items)


def test_lines_that_are_none_are_counted(tmp_path: Path) -> None:
    """Short, words, beyond any time, back in time: skipped, told, the rest is read."""
    bad = [f"{UTC},1,2", f"{UTC},a,b,c,d,e,f", f"{1 << 62},0,0,0,0,0,0", "", '"', f"{UTC - 5},0,0,9,0,0,0"]
    (tmp_path / "imu.csv").write_text("\n".join([HEAD, f"{UTC},0,0,9,0,0,0", *bad, f"{UTC + 9},0,0,9,0,0,0", ""]))
    samples, counters = samples_of(tmp_path / "imu.csv")
    assert [s.t_us for s in samples] == [BASE_US, BASE_US + 9]
    assert (counters["malformed"], counters["first_bad_line"], counters["wild_stamps"]) == (5, 3, 1)


def test_a_file_without_samples_is_an_error(tmp_path: Path) -> None:
    """It says so and names itself."""
    (tmp_path / "imu.csv").write_text(HEAD + "\n")
    with pytest.raises(RecordingError, match=r"imu\.csv.*holds no inertial samples"):
        open_recordings([tmp_path / "imu.csv"])


@given(st.binary(max_size=400))
def test_any_bytes_after_the_header_are_harmless(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Samples or a clear error."""
    path = tmp_path_factory.mktemp("imu") / "imu.csv"
    path.write_bytes(HEAD.encode() + b"\n" + data)
    try:
        samples = [s for item in ImuRecording(path).items() for s in item.imu or ()]
    except RecordingError:
        return
    assert all(a.t_us <= b.t_us for a, b in pairwise(samples))


def test_a_damaged_archive_is_a_clear_error(tmp_path: Path) -> None:
    """Whatever the decompressor stumbles over: its checksum, its end, or the middle of a block."""
    lines = "".join(f"{UTC + i * 10_000},0.{i},0.{i * 7 % 911},9,,,\n" for i in range(2000))
    packed = gzip.compress((HEAD + "\n" + lines).encode())
    half = len(packed) // 2
    for damaged in (packed[:half], packed[:half] + b"\xff" * 64 + packed[half + 64 :], packed[:-8] + bytes(8)):
        (tmp_path / "imu.csv.gz").write_bytes(damaged)
        with pytest.raises(RecordingError, match=r"imu\.csv\.gz.*cannot be read"):
            list(ImuRecording(tmp_path / "imu.csv.gz").items())
    (tmp_path / "imu.csv.gz").write_bytes(packed[:20] + b"\xff" * 64 + packed[84:])
    with pytest.raises(RecordingError, match=r"imu\.csv\.gz.*cannot be read"):
        open_recordings([tmp_path / "imu.csv.gz"])
