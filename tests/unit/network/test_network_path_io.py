"""Which interface carries us, from tables and trees as the kernel writes them."""

from __future__ import annotations

import threading
from pathlib import Path as FilePath

import pytest

from outrider.model.network import Path
from outrider.network.path_io import Interface, KernelNetwork, RouteWatch
from outrider.network.route import default_interfaces
from outrider.network.trouble import Traffic

HEADER = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
ETH = "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
WLAN = "wlan0\t00000000\t0102A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n"
WWAN = "wwan0\t00000000\t010A400A\t0003\t0\t0\t700\t00000000\t0\t0\t0\n"
LAN = "eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"
ANY6 = (
    f"{'0' * 32} 00 {'0' * 32} 00 fe80000000000000000000000000000{1} {{metric}} 00000001 00000000 {{flags}} {{name}}\n"
)


def line6(name: str, metric: int, flags: int = 0x450003) -> str:
    return ANY6.format(metric=f"{metric:08x}", flags=f"{flags:08x}", name=f"{name:>8}")


class Kernel:
    """Trees of /proc/net and /sys/class/net."""

    def __init__(self, directory: FilePath) -> None:
        self.proc, self.sys = directory / "proc", directory / "sys"
        self.proc.mkdir()
        self.sys.mkdir()

    def routes(self, *lines: str, six: str = "") -> None:
        (self.proc / "route").write_text(HEADER + "".join(lines), encoding="ascii")
        (self.proc / "ipv6_route").write_text(six, encoding="ascii")

    def interface(
        self, name: str, link: int = 1, device: str = "", carrier: str | None = "1", wireless: bool = False
    ) -> None:
        place = self.sys / name
        (place / "statistics").mkdir(parents=True)
        (place / "type").write_text(f"{link}\n", encoding="ascii")
        (place / "uevent").write_text(f"{f'DEVTYPE={device}' if device else ''}\nINTERFACE={name}\n", encoding="ascii")
        if carrier is not None:
            (place / "carrier").write_text(f"{carrier}\n", encoding="ascii")
        if wireless:
            (place / "wireless").mkdir()
        for way, count in (("rx", 12), ("tx", 34)):
            (place / "statistics" / f"{way}_packets").write_text(f"{count}\n", encoding="ascii")

    def network(self, *cellular: str) -> KernelNetwork:
        return KernelNetwork(cellular, self.proc, self.sys)


@pytest.fixture
def kernel(tmp_path: FilePath) -> Kernel:
    return Kernel(tmp_path)


def test_ethernet_before_wifi_before_the_modem(kernel: Kernel) -> None:
    """The lowest metric carries; when it goes, the next one does."""
    kernel.interface("eth0")
    kernel.interface("wlan0", device="wlan")
    kernel.interface("wwan0", link=65534, device="wwan")
    for lines, expected in (
        ((WWAN, LAN, ETH, WLAN), Interface("eth0", Path.ETHERNET)),
        ((WWAN, WLAN), Interface("wlan0", Path.WIFI)),
        ((WWAN,), Interface("wwan0", Path.CELLULAR)),
        ((LAN,), Interface(None, Path.NONE)),
        ((), Interface(None, Path.NONE)),
    ):
        kernel.routes(*lines)
        assert kernel.network().default() == expected


def test_a_cable_that_is_out_does_not_carry(kernel: Kernel) -> None:
    """A static route stays when the carrier is gone; it leads nowhere."""
    kernel.interface("eth0", carrier="0")
    kernel.interface("wwan0", device="wwan")
    kernel.routes(ETH, WWAN)
    assert kernel.network().default() == Interface("wwan0", Path.CELLULAR)


def test_only_ipv6_carries_as_well(kernel: Kernel) -> None:
    """IPv4 goes first; without it the best default route of IPv6; a refused one is none."""
    kernel.interface("wlan0", device="wlan")
    kernel.interface("wwan0", device="wwan")
    six = line6("lo", 1, 0x200200) + line6("eth9", 1, 0x201) + line6("wwan0", 1024) + line6("wlan0", 600)
    kernel.routes(six=six)
    assert kernel.network().default() == Interface("wlan0", Path.WIFI)
    kernel.routes(WWAN, six=six)
    assert kernel.network().default() == Interface("wwan0", Path.CELLULAR)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"link": 512}, Path.CELLULAR),  # PPP
        ({"wireless": True}, Path.WIFI),
        ({"device": "wireguard", "link": 65534}, Path.UNKNOWN),
        ({"link": 65534}, Path.UNKNOWN),  # tun
        ({"device": "bridge"}, Path.ETHERNET),
        ({"link": 280}, Path.UNKNOWN),  # CAN
    ],
)
def test_kinds_of_interfaces(kernel: Kernel, options: dict[str, object], expected: Path) -> None:
    """By what the kernel says of the device."""
    kernel.interface("if0", **options)  # type: ignore[arg-type]  # names and types are those above
    assert kernel.network().kind("if0") is expected


def test_a_modem_that_looks_like_ethernet(kernel: Kernel) -> None:
    """Named by ModemManager or by the configuration, it is the mobile network."""
    kernel.interface("usb0")
    assert kernel.network().kind("usb0") is Path.ETHERNET
    assert kernel.network().kind("usb0", ("usb0",)) is Path.CELLULAR
    assert kernel.network("usb0").kind("usb0") is Path.CELLULAR


def test_no_tables_no_claim(tmp_path: FilePath) -> None:
    """A sandbox without /proc/net: unknown, not none."""
    network = KernelNetwork((), tmp_path / "no", tmp_path / "no")
    assert network.default() == Interface(None, Path.UNKNOWN)
    assert network.traffic("wwan0") is None


def test_packets_are_counted(kernel: Kernel) -> None:
    """As the kernel counts them; what is no number is none."""
    kernel.interface("wwan0")
    assert kernel.network().traffic("wwan0") == Traffic("wwan0", 12, 34)
    (kernel.sys / "wwan0" / "statistics" / "rx_packets").write_text("-1", encoding="ascii")
    assert kernel.network().traffic("wwan0") is None


@pytest.mark.parametrize("text", ["\x00", "a b", f"{HEADER}eth0\t00000000\t0\tXX\t0\t0\t0\t00000000", "eth0 " * 9])
def test_damaged_tables_are_passed_over(text: str) -> None:
    """A line that is none of the kernel's tells nothing."""
    assert default_interfaces(text, text) == ()


def test_this_machine_can_be_read() -> None:
    """The real /proc and /sys: an answer, whichever, and counters for what it names."""
    default = KernelNetwork().default()
    if default.name is not None:
        assert KernelNetwork().traffic(default.name) is not None


def test_a_wait_can_be_ended() -> None:
    """``wake`` from another thread ends it long before its time."""
    watch = RouteWatch()
    waiter = threading.Thread(target=watch.wait, args=(600.0,))
    waiter.start()
    watch.wake()
    waiter.join(60.0)
    assert not waiter.is_alive()
    watch.close()
