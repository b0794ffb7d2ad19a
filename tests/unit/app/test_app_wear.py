"""Bytes at the device: found in sysfs, added up over boots, told before the flash is worn."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from outrider.app.wear import OWN_IO, KeptWear, WearKeeper, bytes_per_day, decode, own_bytes, read_wear
from outrider.app.wear_device import BlockDevice, Life, find_device
from outrider.app.wear_life import Assumption, cycles_used, life_years
from outrider.cli.wear_view import wear_lines
from outrider.clock import ManualClock
from outrider.errors import JournalError
from outrider.model.notice import Notice, NoticeCode, NoticeLevel
from outrider.record.storage_memory import MemoryStorage
from tests.support.snapshots import QUIET

NUMBER = os.makedev(179, 2)
STAT = "10 0 80 5 {writes} 0 {sectors} 9 0 14 14 0 0 0 0 {flushes} 3\n"


class Sysfs:
    """A sysfs of files: /sys/block/mmcblk0 with its second partition, as a Raspberry Pi has it."""

    def __init__(self, root: Path, name: str = "mmcblk0", *, part: str | None = "mmcblk0p2") -> None:
        self.root = root
        self.disk = root / "devices" / "platform" / "host" / "block" / name
        self.disk.mkdir(parents=True)
        (self.disk / "device").mkdir()
        (self.root / "dev" / "block").mkdir(parents=True)
        where = self.disk
        if part is not None:
            where = self.disk / part
            where.mkdir()
            (where / "partition").write_text("2\n")
            (where / "stat").write_text(STAT.format(writes=1, sectors=5, flushes=0))
        (root / "dev" / "block" / "179:2").symlink_to(where)
        self.write("size", "15523840")
        self.write("device/cid", "1501004d4d4338534d")
        self.sectors(0)

    def write(self, name: str, text: str) -> None:
        (self.disk / name).parent.mkdir(parents=True, exist_ok=True)
        (self.disk / name).write_text(text + "\n")

    def sectors(self, count: int) -> None:
        (self.disk / "stat").write_text(STAT.format(writes=7, sectors=count, flushes=4))

    def find(self, place: Path) -> BlockDevice | None:
        return find_device(place, self.root, self.root / "mountinfo", NUMBER)


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    return Sysfs(tmp_path / "sys")


def test_the_disk_of_a_partition_is_found(sysfs: Sysfs, tmp_path: Path) -> None:
    """By the number of the device that the directory lies on; counters are those of the whole disk."""
    sysfs.write("device/type", "MMC")
    sysfs.write("device/name", "BJTD4R")
    sysfs.sectors(2048)
    device = sysfs.find(tmp_path)
    assert device is not None
    assert (device.name, device.kind, device.model) == ("mmcblk0", "mmc", "BJTD4R")
    assert device.capacity_bytes == 15523840 * 512
    assert device.written_bytes() == 1024 * 1024
    assert device.flushes() == 4
    assert "1501004d4d" in device.identity
    sysfs.write("device/type", "SD")
    assert (found := sysfs.find(tmp_path)) is not None
    assert found.kind == "sd"
    assert found.life() is None  # an SD card does not tell


@pytest.mark.parametrize(
    ("life", "end", "told"),
    [
        ("0x01 0x02", "0x01", Life((10, 20), "normal")),
        ("0x0b 0x01", "0x03", Life((100, None), "urgent")),
        ("0x00 0x00", "0x02", Life(None, "warning")),
        ("0x09 0x00", "0x00", Life((80, 90), None)),
        ("0x00 0x00", "0x00", None),
        ("0xff 0x5z", "", None),
        ("", "", None),
    ],
)
def test_what_an_emmc_says_of_its_life(sysfs: Sysfs, tmp_path: Path, life: str, end: str, told: Life | None) -> None:
    """The worse of its two estimates, in steps of ten percent; undefined and absurd values are no estimate."""
    sysfs.write("device/life_time", life)
    sysfs.write("device/pre_eol_info", end)
    device = sysfs.find(tmp_path)
    assert device is not None
    assert device.life() == told


def test_ufs_nvme_and_mapped_devices(tmp_path: Path) -> None:
    """UFS tells through its controller; an NVMe disk tells nothing in sysfs; below a mapped device lies a real one."""
    ufs = Sysfs(tmp_path / "ufs", "sda", part=None)
    controller = ufs.root / "devices" / "platform" / "1d84000.ufshc"
    lun = controller / "host0" / "target0:0:0" / "0:0:0:0"
    lun.mkdir(parents=True)
    (ufs.disk / "device" / "cid").unlink()
    (ufs.disk / "device").rmdir()
    (ufs.disk / "device").symlink_to(lun)
    health = controller / "health_descriptor"
    health.mkdir()
    (health / "eol_info").write_text("0x01\n")
    (health / "life_time_estimation_a").write_text("0x03\n")
    (health / "life_time_estimation_b").write_text("0x01\n")
    device = ufs.find(tmp_path)
    assert device is not None
    assert device.kind == "ufs"
    assert device.life() == Life((20, 30), "normal")

    nvme = Sysfs(tmp_path / "nvme", "nvme0n1", part="nvme0n1p1")
    mapped = nvme.root / "devices" / "virtual" / "block" / "dm-0"
    (mapped / "slaves").mkdir(parents=True)
    (mapped / "slaves" / "nvme0n1p1").symlink_to(nvme.disk / "nvme0n1p1")
    link = nvme.root / "dev" / "block" / "179:2"
    link.unlink()
    link.symlink_to(mapped)
    device = nvme.find(tmp_path)
    assert device is not None
    assert (device.name, device.kind, device.life()) == ("nvme0n1", "nvme", None)


def test_file_systems_without_a_device_of_their_own(sysfs: Sysfs, tmp_path: Path) -> None:
    """An overlay is followed to its upper directory; memory has no device; nothing of it raises."""
    upper = tmp_path / "upper"
    upper.mkdir()
    link = sysfs.root / "dev" / "block" / "179:2"
    real = upper.stat().st_dev
    target = link.resolve()
    link.unlink()
    mounts = sysfs.root / "mountinfo"
    assert sysfs.find(tmp_path) is None
    mounts.write_text(f"30 1 179:2 / / rw - overlay overlay rw,lowerdir=/x,upperdir={upper},workdir=/w\n")
    (sysfs.root / "dev" / "block" / f"{os.major(real)}:{os.minor(real)}").symlink_to(target)
    device = sysfs.find(tmp_path)
    assert device is not None
    assert device.name == "mmcblk0"
    mounts.write_text("30 1 179:2 / / rw - tmpfs tmpfs rw\n31 1 garbage\n\n")
    assert sysfs.find(tmp_path) is None
    assert find_device(tmp_path / "missing", sysfs.root, mounts) is None


class World:
    def __init__(self, sysfs: Sysfs, tmp_path: Path) -> None:
        self.sysfs, self.place = sysfs, tmp_path
        self.clock = ManualClock(boottime_us=10**9, utc_us=1_795_000_000_000_000)
        self.storage, self.notices = MemoryStorage(), list[Notice]()
        self.io = tmp_path / "io"
        self.boot = 1
        self.own(0)
        self.start()

    def own(self, count: int) -> None:
        self.io.write_text(f"rchar: 1\nwrite_bytes: {count}\ncancelled_write_bytes: 5\n")

    def start(self, find: Callable[[Path], BlockDevice | None] | None = None) -> None:
        self.keeper = WearKeeper(
            self.storage,
            self.place,
            self.clock,
            self.boot,
            on_notice=self.notices.append,
            find=find or self.sysfs.find,
            own_io=self.io,
        )

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.keeper.turn()


@pytest.fixture
def world(sysfs: Sysfs, tmp_path: Path) -> World:
    return World(sysfs, tmp_path)


def test_bytes_add_up_over_restarts_and_boots(world: World) -> None:
    """A restart goes on where it was; a new boot counts from zero, and what it wrote before we came counts too."""
    world.sysfs.sectors(100)
    world.pass_time(60.0)
    world.keeper.close()
    world.sysfs.sectors(130)  # others, while nobody counted
    world.start()
    world.sysfs.sectors(150)
    world.pass_time(60.0)
    world.keeper.close()
    world.boot = 2
    world.sysfs.sectors(20)
    world.start()
    world.sysfs.sectors(25)
    world.pass_time(60.0)
    status = world.keeper.status()
    assert status["total"]["device"] == 175 * 512
    assert status["total"]["on_s"] == 180.0


def test_what_was_written_before_the_first_start_is_not_ours_to_tell(sysfs: Sysfs, tmp_path: Path) -> None:
    sysfs.sectors(10**6)
    world = World(sysfs, tmp_path)
    sysfs.sectors(10**6 + 2)
    world.pass_time(60.0)
    assert world.keeper.status()["total"]["device"] == 1024


def test_an_hour_of_driving(world: World) -> None:
    """Bytes while the car moves, at the device and our own, for an hour; standing is apart."""
    world.sysfs.sectors(1000)
    world.pass_time(60.0)
    world.keeper.note(replace(QUIET, motion=2))
    world.sysfs.sectors(1000 + 40_000)
    world.own(4_096_000)
    world.pass_time(1800.0)
    status = world.keeper.status()
    assert status["device_bytes_per_driving_hour"] == 2 * 40_000 * 512
    assert status["own_bytes_per_driving_hour"] == 2 * 4_096_000
    assert status["total"]["driving_s"] == 1800.0


def test_days_and_what_follows_from_them(world: World) -> None:
    """The pace is the mean of whole calendar days; life is a range with its assumptions."""
    sectors = 0
    for _ in range(5):
        sectors += 2 * 10**6
        world.sysfs.sectors(sectors)
        world.pass_time(86_400.0)
    status = world.keeper.status()
    assert len(status["days"]) == 5
    assert "mean of 4 days" in dict(wear_lines(status))["a day"]  # today is not over
    assert status["device_bytes_per_day"] == 2 * 10**6 * 512
    assert status["years"]["poor"] == pytest.approx(15523840 * 512 * 500 / 16 / (2 * 10**6 * 512) / 365.25)
    assert status["years"]["good"] == pytest.approx(48 * status["years"]["poor"])
    assert [dict(notice.detail)["cause"] for notice in world.notices] == ["pace"]  # 0.66 years at worst: told once
    assert bytes_per_day({}) is None


def test_a_device_that_wears_out_says_so_once_a_step(world: World) -> None:
    """Each step one notice, also over a restart."""
    world.sysfs.write("device/life_time", "0x09 0x01")
    world.pass_time(60.0)
    world.pass_time(60.0)
    (notice,) = world.notices
    assert (notice.code, notice.level) == (NoticeCode.FLASH_WEAR, NoticeLevel.WARNING)
    assert dict(notice.detail) == {"cause": "life", "used_percent": "80"}
    world.start()  # as after a power cut
    world.pass_time(60.0)
    assert len(world.notices) == 1
    world.sysfs.write("device/life_time", "0x0b 0x01")
    world.sysfs.write("device/pre_eol_info", "0x03")
    world.pass_time(60.0)
    assert [(n.level, dict(n.detail)["cause"]) for n in world.notices[1:]] == [
        (NoticeLevel.ERROR, "life"),
        (NoticeLevel.ERROR, "spare"),
    ]


def test_another_card_begins_anew(world: World) -> None:
    """Its life is its own."""
    world.sysfs.sectors(100)
    world.pass_time(60.0)
    world.keeper.close()
    world.sysfs.write("device/cid", "another")
    world.start()
    assert world.keeper.status()["total"]["device"] == 0


@pytest.mark.parametrize("utc_us", [0, 10**19])
def test_a_clock_beyond_reason_has_no_days(world: World, utc_us: int) -> None:
    """The sums go on."""
    world.clock._utc = utc_us
    world.sysfs.sectors(10)
    world.pass_time(60.0)
    status = world.keeper.status()
    assert (status["total"]["device"], status["days"]) == (5120, {})


def test_no_device_is_an_answer(world: World) -> None:
    """Memory or network below the journal: our own bytes are counted all the same."""
    world.storage = MemoryStorage()
    world.start(find=lambda _place: None)
    world.own(5000)
    world.pass_time(60.0)
    status = world.keeper.status()
    assert (status["device"], status["life"]) == (None, None)
    assert (status["total"]["device"], status["total"]["own"]) == (0, 5000)


def test_a_state_that_is_none(world: World) -> None:
    """Damage, another version, days that are none: said, and begun anew."""
    for data in (b"x", b"{}x", b'{"version":2}', b'{"days":{"today":[1,2,3,4,5,6]}}', b"[" * 9999):
        with pytest.raises(JournalError):
            decode(data)
    assert decode(b"") == KeptWear()
    assert world.keeper._file is not None
    world.keeper._file.write(b"junk")
    world.start()
    assert "no wear counters" in world.keeper.status()["error"]
    world.pass_time(700.0)
    assert read_wear(world.storage).total.on_s == 700.0
    assert "error" not in world.keeper.status()


def test_arithmetic_of_life() -> None:
    """8 GB of 3000 cycles at 132 MB a day, programmed eight times: the 62 years of the design's table."""
    assert life_years(8 * 10**9, 132e6, Assumption(3000, 8)) == pytest.approx(62.2, rel=0.01)
    assert life_years(0, 1, Assumption(1, 1)) is None
    assert life_years(1, 0, Assumption(1, 1)) is None
    assert cycles_used(8 * 10**9, 16 * 10**9, 2.0) == 4.0
    assert cycles_used(0, 1, 1.0) == 0.0


def test_our_own_bytes(tmp_path: Path) -> None:
    """As the kernel of this machine tells them; None where it does not."""
    assert own_bytes(OWN_IO) is not None
    assert own_bytes(tmp_path / "none") is None
    (tmp_path / "odd").write_text("write_bytes: many\n")
    assert own_bytes(tmp_path / "odd") is None
