"""The package: the same each time, complete, readable by others, and read without trusting a byte."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import can
import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.crash.can_log import blf, candump, mf4
from outrider.crash.collect import collect, document
from outrider.crash.document_json import encode_document, schema
from outrider.crash.package_data import package_content
from outrider.crash.package_io import MAX_FILES, read_package, write_package
from outrider.crash.record_file import decode_records, encode_records
from outrider.crash.tables_csv import grid_s, on_grid
from outrider.engine import Engine, parse_candump
from outrider.errors import InputError
from outrider.model.crash import CrashState
from outrider.model.evidence import EvidenceChunk, EvidencePart
from outrider.model.frame import BRS, EFF, ERR, ESI, FD, FRAME, RTR, FrameBatch
from outrider.model.record import Category, Kind, Lane, Record, StoredRecord, TelemetryRow
from outrider.wire.bodies import encode_body
from tests.support.crash_drive import crash_drive, options, profile
from tests.support.crash_records import BOOT_ID, EPOCH, START_US, blow, driven, pulsed, without

SCHEMA = Path(__file__).parents[3] / "docs" / "reference" / "crash-document.schema.json"
BUNDLE = collect(driven(), "car-1")[0]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "crash.zip"
    write_package(BUNDLE, path)
    return path


def test_written_and_read_is_the_same(package: Path) -> None:
    """Document, records and the crash collected from them come back as they were."""
    read = read_package(package)
    assert read.bundle() == BUNDLE
    assert read.document == package_content(BUNDLE).document
    assert decode_records(read.files["records.bin"]) == list(BUNDLE.records)


def test_the_same_records_give_the_same_bytes(package: Path, tmp_path: Path) -> None:
    """No time of writing, no order of a dictionary."""
    write_package(BUNDLE, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == package.read_bytes()


def test_hashes_lead_back_to_the_log(package: Path) -> None:
    """The manifest holds SHA-256 of every file and the digest of every record as the journal defines it."""
    with zipfile.ZipFile(package) as file:
        manifest = json.loads(file.read("manifest.json"))
        assert {one["name"] for one in manifest["files"]} == set(file.namelist()) - {"manifest.json"}
        for one in manifest["files"]:
            assert hashlib.sha256(file.read(one["name"])).hexdigest() == one["sha256"]
    assert [one["sha256"] for one in manifest["records"]["list"]] == [s.digest().hex() for s in BUNDLE.records]
    whole = hashlib.sha256(b"".join(s.digest() for s in BUNDLE.records)).hexdigest()
    assert manifest["records"]["sha256"] == whole


def test_documents_hold_to_the_published_schema(package: Path) -> None:
    """docs/reference/crash-document.schema.json is the schema of this release, and documents hold to it."""
    published = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert published == schema(), "write it anew: outrider.crash.document_json.schema()"
    jsonschema.validate(json.loads(read_package(package).files["document.json"]), published)
    jsonschema.validate(json.loads(encode_document(document(collect(pulsed(*blow(-40, 0)))[0]))), published)


def test_tables_say_what_the_document_says(package: Path) -> None:
    """delta-V at 100 Hz, the 10 Hz grid of 20 s with T0 last, every signal with its rate."""
    read = read_package(package)
    lines = read.files["delta_v.csv"].decode().splitlines()
    assert lines[0] == "t_ms,long_kmh,lat_kmh,resultant_kmh"
    assert [float(line.split(",")[0]) for line in lines[1:]] == list(read.document.delta_v.t_ms)
    grid = read.files["pre_crash.csv"].decode().splitlines()
    assert len(grid) == 1 + 201
    assert (grid[1].split(",")[0], grid[-1].split(",")[0]) == ("-20.0", "0.0")
    index = [line.split(",")[0] for line in read.files["signals_index.csv"].decode().splitlines()[1:]]
    assert index == [series.name for series in read.document.series]
    raw = read.files["imu.csv"].decode().splitlines()
    assert len(raw) - 1 == len(BUNDLE.items(EvidencePart.IMU)) // 48
    assert "imu_vehicle.csv" not in read.files  # the mounting was not known in this drive
    assert len(read.files["inputs.csv"].decode().splitlines()) > 5


def test_a_file_of_which_nothing_was_recorded_is_left_out() -> None:
    """No table that is a header alone: the document says what is missing and why."""
    records: Sequence[StoredRecord] = driven()
    for kind in (EvidenceChunk, TelemetryRow, CrashState):
        records = without(records, kind)
    content = package_content(collect(records)[0])
    assert {"delta_v.csv", "gnss.csv", "signals.csv", "signals_index.csv", "pre_crash.csv"}.isdisjoint(content.files)
    assert all(data.count(b"\n") > 1 for name, data in content.files.items() if name.endswith(".csv"))
    assert "the course of the delta-V" in {one.what for one in content.document.missing}


def test_a_value_holds_on_the_grid_until_it_is_too_old() -> None:
    """The newest value counts for a second, of slow signals for two periods; before the first there is none."""
    speed = next(s for s in document(BUNDLE).series if s.name == "Vehicle.Speed")
    grid = grid_s()
    values = on_grid(speed, grid)
    first = next(i for i, value in enumerate(values) if value is not None)
    assert grid[first] >= speed.t_s[0]
    assert all(value is None for value in values[:first])
    assert on_grid(speed, [speed.t_s[-1] + 0.5]) == [speed.values[-1]]
    assert on_grid(speed, [speed.t_s[-1] + 5]) == [None]


def test_a_black_box_page_is_told_in_words() -> None:
    """The page that belongs to a crash is in the package, and what it says beside it; a torn one is told as torn."""
    with Engine(profile().tables, options()) as engine:
        engine.offer_frames(crash_drive().batch(0, 1 << 60, START_US))
        engine.run(1 << 50)
        page = engine.black_box_page(BOOT_ID)
        now_us = engine.now_us()
    for data, torn in ((page, False), (page[:-1] + bytes([page[-1] ^ 1]), True), (bytes(4096), True)):
        records = [*driven(), *black_box(data)]
        (bundle,) = collect(records, "car-1")
        told = json.loads(package_content(bundle).files["black_box.json"])
        assert ("error" in told) == torn
        if not torn:
            assert told["t_s"] == pytest.approx((now_us - bundle.t0_us) / 1e6, abs=1e-3)
            assert told["signals"]
            (bare,) = collect(without(records, EvidenceChunk) + black_box(data), "car-1")
            speed = next(s for s in document(bare).series if s.name == "Vehicle.Outrider.Speed")
            assert (speed.source, speed.rate_hz) == ("black_box", pytest.approx(10, abs=0.1))
            assert max(speed.values) == pytest.approx(50, abs=3)


def black_box(page: bytes) -> list[StoredRecord]:
    chunk = EvidenceChunk(BUNDLE.seq, EvidencePart.BLACK_BOX, 0, 1, BUNDLE.t0_us, BUNDLE.t0_us, page)
    record = Record(Lane.BULK, Kind.EVIDENCE, Category.EMERGENCY, BOOT_ID, BUNDLE.t0_us, encode_body(chunk))
    return [StoredRecord(EPOCH, 9999, record)]


# ---- raw frames -----------------------------------------------------------------------------------


def some_frames() -> bytes:
    batch = FrameBatch()
    batch.append(1_000_000, 0x123, b"\x01\x02\x03")
    batch.append(1_000_001, 0x1ABCDEF0, b"", EFF)
    batch.append(1_500_000, 0x7FF, bytes(8), RTR, 1)
    batch.append(2_000_000, 0x100, bytes(range(48)), FD | BRS, 1)
    batch.append(2_000_001, 0x1FFFFFFF, bytes(64), FD | EFF | ESI, 2)
    batch.append(3_000_000, 0x080, bytes(8), ERR)  # bus error: the only class that python-can knows in candump
    return bytes(batch.buffer)


@pytest.mark.parametrize(("suffix", "write"), [(".log", candump), (".blf", blf)])
def test_python_can_reads_the_frames_back(suffix: str, write: Callable[[bytes, int], bytes], tmp_path: Path) -> None:
    """Identifier, data, kind and time of every frame, classic, remote, FD and error."""
    path = tmp_path / f"can{suffix}"
    path.write_bytes(write(some_frames(), 1_700_000_000_000_000))
    with can.LogReader(path) as log:
        read = [(round((m.timestamp - 1_700_000_000) * 1e6), m) for m in log]
    expected = list(FRAME.iter_unpack(some_frames()))
    assert len(read) == len(expected)
    for (at_us, message), (t_us, number, _bus, flags, size, _rsv, data) in zip(read, expected, strict=True):
        assert at_us == pytest.approx(t_us, abs=1)
        assert message.is_error_frame == bool(flags & ERR)
        if flags & ERR:
            continue
        assert (message.arbitration_id, message.is_extended_id) == (number, bool(flags & EFF))
        assert message.is_fd == bool(flags & FD)
        assert message.is_remote_frame == bool(flags & RTR)
        if not flags & RTR:
            assert bytes(message.data) == data[:size]


def test_asammdf_reads_the_frames_back(tmp_path: Path) -> None:
    """The MF4 log is a bus log to asammdf: same identifiers and payloads."""
    from asammdf import MDF

    path = tmp_path / "can.mf4"
    classic = b"".join(FRAME.pack(*f) for f in FRAME.iter_unpack(some_frames()) if not f[3] & (RTR | ERR))
    path.write_bytes(mf4(classic, 1_700_000_000_000_000))
    with MDF(path) as log:
        seen = {number for buses in log.bus_logging_map["CAN"].values() for number in buses}
    assert seen == {0x123, 0x1ABCDEF0, 0x100, 0x1FFFFFFF}
    with can.LogReader(path) as log:
        assert [bytes(m.data) for m in log] == [f[6][: f[4]] for f in FRAME.iter_unpack(classic)]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**40),
            st.booleans(),
            st.integers(0, 0x7FF),
            st.integers(0, 3),
            st.binary(max_size=8),
            st.booleans(),
        ),
        max_size=20,
    )
)
def test_our_own_reader_reads_candump_back(frames: list[tuple[int, bool, int, int, bytes, bool]]) -> None:
    """Every frame comes back through the reader that replays use."""
    batch = FrameBatch()
    for t_us, wide, number, bus, data, fd in frames:
        batch.append(t_us, number << 18 if wide else number, data, (EFF if wide else 0) | (FD if fd else 0), bus)
    read = parse_candump(candump(bytes(batch.buffer), 0))
    assert read.bad_lines == 0
    names = [int(name.removeprefix("can")) for name in read.interfaces]
    back = [(f[0], f[1], names[f[2]], f[3], f[6][: f[4]]) for f in FRAME.iter_unpack(read.frames)]
    assert back == [(f[0], f[1], f[2], f[3], f[6][: f[4]]) for f in FRAME.iter_unpack(bytes(batch.buffer))]


def test_the_log_of_a_package_replays(tmp_path: Path) -> None:
    """The raw frames of the package are all of those the terminal kept."""
    content = package_content(BUNDLE, profile().tables)
    read = parse_candump(content.files["can.log"])
    assert read.bad_lines == 0
    assert len(read.frames) == len(BUNDLE.items(EvidencePart.FRAMES))


# ---- hostile packages -----------------------------------------------------------------------------


def rewritten(package: Path, path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """The package with its files changed, the manifest left as it is."""
    with zipfile.ZipFile(package) as file:
        files = {name: file.read(name) for name in file.namelist()}
    change(files)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return path


def put(name: str, data: bytes) -> Callable[[dict[str, bytes]], None]:
    return lambda files: files.__setitem__(name, data)


def edit(name: str, old: bytes, new: bytes) -> Callable[[dict[str, bytes]], None]:
    def change(files: dict[str, bytes]) -> None:
        assert old in files[name]
        files[name] = files[name].replace(old, new, 1)

    return change


def drop(name: str) -> Callable[[dict[str, bytes]], None]:
    return lambda files: files.__delitem__(name)


def listed(**change: Any) -> Callable[[dict[str, bytes]], None]:
    def edit_manifest(files: dict[str, bytes]) -> None:
        manifest = json.loads(files["manifest.json"])
        manifest.update(change)
        files["manifest.json"] = json.dumps(manifest).encode()

    return edit_manifest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("../../etc/cron.d/x", b"x"), "name no package has"),
        (put("standards/../x", b"x"), "name no package has"),
        (put("/etc/passwd", b"x"), "name no package has"),
        (put("a\\b", b"x"), "name no package has"),
        (put("extra.bin", b"x"), "not named by the manifest"),
        (drop("records.bin"), "records.bin is missing"),
        (drop("document.json"), "document.json is missing"),
        (drop("delta_v.csv"), "delta_v.csv is missing"),
        (drop("manifest.json"), "holds no manifest.json"),
        (edit("delta_v.csv", b"0.0", b"9.9"), "its SHA-256 differs"),
        (put("manifest.json", b"{"), "no manifest"),
        (put("manifest.json", b"[" * 100_000), "no manifest"),
        (put("manifest.json", b"\xff\xfe"), "no manifest"),
        (listed(format="outrider-package/2"), "outrider-package/2"),
        (listed(event_id="other"), "different crashes"),
        (lambda files: files.update({f"f{i}": b"" for i in range(MAX_FILES)}), "at most"),
    ],
)
def test_what_is_not_as_it_should_be_is_refused(
    change: Callable[[dict[str, bytes]], None], message: str, package: Path, tmp_path: Path
) -> None:
    """One clear error that names the file and what is wrong."""
    path = rewritten(package, tmp_path / "bad.zip", change)
    with pytest.raises(InputError, match=message) as caught:
        read_package(path)
    assert str(path) in str(caught.value)


def test_another_version_of_the_document_is_told(package: Path, tmp_path: Path) -> None:
    """A newer document is no damaged one."""

    def newer(files: dict[str, bytes]) -> None:
        files["document.json"] = files["document.json"].replace(b"outrider-crash/1", b"outrider-crash/9")
        manifest = json.loads(files["manifest.json"])
        for one in manifest["files"]:
            if one["name"] == "document.json":
                one["sha256"] = hashlib.sha256(files["document.json"]).hexdigest()
        files["manifest.json"] = json.dumps(manifest).encode()

    with pytest.raises(InputError, match="outrider-crash/9"):
        read_package(rewritten(package, tmp_path / "newer.zip", newer))


@pytest.mark.parametrize("size", [0, 10, 1000, -100])
def test_a_cut_file_is_refused(size: int, package: Path, tmp_path: Path) -> None:
    """No traceback for half a package."""
    path = tmp_path / "cut.zip"
    path.write_bytes(package.read_bytes()[:size])
    with pytest.raises(InputError, match=r"cut\.zip"):
        read_package(path)


def test_a_bomb_is_not_unpacked(package: Path, tmp_path: Path) -> None:
    """Entries that declare too much are refused before they are read; one that declares too little stays small."""
    path = rewritten(package, tmp_path / "bomb.zip", put("big.bin", bytes(1024)))
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02", 0, data.rindex(b"big.bin"))
    data[at + 24 : at + 28] = (0x7FFFFFFF).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(InputError, match="unpacks to more than"):
        read_package(path)


def test_double_and_encrypted_files_are_refused(package: Path, tmp_path: Path) -> None:
    """Which of two would count is nobody's guess; what is encrypted cannot be checked."""
    double = tmp_path / "double.zip"
    double.write_bytes(package.read_bytes())
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(double, "a") as file:
        file.writestr("delta_v.csv", b"x")
    with pytest.raises(InputError, match="twice"):
        read_package(double)
    data = bytearray(package.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    locked = tmp_path / "locked.zip"
    locked.write_bytes(data)
    with pytest.raises(InputError, match="encrypted"):
        read_package(locked)


def test_no_regular_file_is_an_error_of_the_system(tmp_path: Path) -> None:
    """A folder or a missing file is told as such."""
    with pytest.raises(OSError, match="directory"):
        read_package(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_package(tmp_path / "none.zip")


@given(st.binary(max_size=300))
def test_no_bytes_break_the_file_of_records(data: bytes) -> None:
    """Any bytes are read or refused."""
    for file in (data, b"OTRREC1\n" + data):
        try:
            records = decode_records(file)
        except InputError:
            continue
        assert encode_records(records) == file


def test_a_cut_file_of_records_is_refused() -> None:
    """At every byte but where a record ends."""
    whole = encode_records(BUNDLE.records[:3])
    ends = {len(encode_records(BUNDLE.records[:n])) for n in range(4)}
    for size in range(8, len(whole)):
        if size in ends:
            assert len(decode_records(whole[:size])) < 3
        else:
            with pytest.raises(InputError, match="cut"):
                decode_records(whole[:size])


def test_an_open_file_is_replaced_whole(tmp_path: Path) -> None:
    """What was there stays until the new package is complete, and nothing else is left behind."""
    path = tmp_path / "crash.zip"
    path.write_bytes(b"old")
    write_package(BUNDLE, path, log_format="blf")
    assert zipfile.is_zipfile(io.BytesIO(path.read_bytes()))
    assert [entry.name for entry in tmp_path.iterdir()] == ["crash.zip"]
